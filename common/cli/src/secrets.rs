//! Passwords in URLs: they are never printed, nor shown to whoever lists the
//! machine's processes.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;

/// A URL as it is printed: without user, password and query, which may hold one.
pub fn redacted(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.into();
    };
    // A password may hold any character, also those that end it by the rules.
    let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
    match rest.split_once(['?', '#']) {
        Some((rest, _)) => format!("{scheme}://{rest}?..."),
        None => format!("{scheme}://{rest}"),
    }
}

/// A text as it is printed, with each URL in it [`redacted`].
pub fn redacted_in(text: &str) -> String {
    if !text.contains("://") {
        return text.into();
    }
    text.split_inclusive(char::is_whitespace)
        .map(|word| {
            let bare =
                word.trim_end_matches(|it: char| it.is_whitespace() || "'\":;,.".contains(it));
            let end = word.get(bare.len()..).unwrap_or_default();
            redacted(bare) + end
        })
        .collect()
}

/// Where the kernel says that the command line begins and ends: among the fields of
/// `/proc/self/stat` behind the name, from 0.
/// <https://www.kernel.org/doc/html/latest/filesystems/proc.html>
const ARGUMENTS: (usize, usize) = (45, 46);

/// The most bytes of a command line that are looked at.
const MAX_ARGUMENTS: u64 = 2 << 20;

/// Overwrites what may be a password in the command line, which everybody on the
/// machine can read. The arguments have to be parsed before.
///
/// # Errors
/// Where there is no `/proc`, or it may not be written.
pub fn hide_in_arguments() -> io::Result<()> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // The name may hold anything, also spaces.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let fields: Vec<u64> = fields
        .split_whitespace()
        .map(|field| field.parse().unwrap_or(0))
        .collect();
    let field = |index: usize| fields.get(index).copied().unwrap_or(0);
    let (begin, end) = (field(ARGUMENTS.0), field(ARGUMENTS.1));
    let len = end.saturating_sub(begin);
    if begin == 0 || len == 0 || len > MAX_ARGUMENTS {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let memory = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/proc/self/mem")?;
    let mut arguments = vec![0; len as usize];
    memory.read_exact_at(&mut arguments, begin)?;
    let hidden = hidden(&arguments);
    if hidden != arguments {
        memory.write_all_at(&hidden, begin)?;
    }
    Ok(())
}

/// The same arguments, each as long as it was and ended by a 0.
fn hidden(arguments: &[u8]) -> Vec<u8> {
    let mut hidden = arguments.to_vec();
    for argument in hidden.split_mut(|byte| *byte == 0) {
        let Some(scheme) = argument.windows(3).position(|at| at == b"://") else {
            continue;
        };
        let rest = &mut argument[scheme + 3..];
        let user = rest.iter().rposition(|byte| *byte == b'@').unwrap_or(0);
        rest[..user].fill(b'*');
        let query = rest.iter().position(|byte| *byte == b'?');
        if let Some(query) = query {
            rest[query + 1..].fill(b'*');
        }
    }
    hidden
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_a_password_is_not_printed() {
        for (url, printed) in [
            ("rtsp://admin:secret@camera/1", "rtsp://camera/1"),
            ("rtsp://admin:sec@ret@camera", "rtsp://camera"),
            ("rtsp://admin:sec/?ret@camera/1", "rtsp://camera/1"),
            ("http://camera:81/s?pwd=secret", "http://camera:81/s?..."),
            ("http://camera/stream", "http://camera/stream"),
            ("a.mp4", "a.mp4"),
        ] {
            assert_eq!(redacted(url), printed);
            let text = redacted_in(&format!("see '{url}': it is gone"));
            assert_eq!(text, format!("see '{printed}': it is gone"));
        }
    }

    #[test]
    fn arguments_keep_their_places() {
        let arguments = b"framegram-send\0-v\0rtsp://admin:sec@ret@camera/1?a=b\0host:5\0";
        let expected = b"framegram-send\0-v\0rtsp://*************@camera/1?***\0host:5\0";
        let hidden = hidden(arguments);
        assert_eq!(hidden.len(), arguments.len());
        assert_eq!(
            String::from_utf8_lossy(&hidden),
            String::from_utf8_lossy(expected)
        );
    }
}
