//! Reads whole files, up to a size limit.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail};

/// Reads a text file of at most `most` bytes. A file that is named by mistake may
/// be endless.
///
/// # Errors
/// If it is longer, cannot be read, or is not text.
pub fn read_text(path: &Path, most: u64) -> Result<String> {
    let name = path.display();
    let file = File::open(path).with_context(|| format!("cannot open {name}"))?;
    let mut bytes = Vec::new();
    let read = file.take(most + 1).read_to_end(&mut bytes);
    read.with_context(|| format!("cannot read {name}"))?;
    if bytes.len() as u64 > most {
        bail!("cannot read {name}: it is larger than {most} bytes");
    }
    String::from_utf8(bytes).with_context(|| format!("cannot read {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endless_input_is_read_up_to_a_limit() {
        let error = read_text(Path::new("/dev/zero"), 1_000).unwrap_err();
        assert!(
            error.to_string().contains("larger than 1000 bytes"),
            "{error}"
        );
        let error = read_text(Path::new("/no/such/file"), 1_000).unwrap_err();
        assert!(format!("{error:#}").contains("No such file"), "{error:#}");
        assert_eq!(read_text(Path::new("/dev/null"), 1_000).unwrap(), "");
    }
}
