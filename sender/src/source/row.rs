//! Stills that a pattern names: `img%04d.jpg`, as FFmpeg takes it, or `*.jpg` where
//! no shell has replaced it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// A pattern for the names of files in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    path: PathBuf,
    parts: Vec<Part>,
}

/// What a part of a name may be.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    /// These bytes.
    Text(Vec<u8>),
    /// At least this many digits.
    Digits(usize),
    /// Any byte.
    One,
    /// Anything.
    Any,
}

impl Row {
    /// The pattern that a path is; `None` where there is such a file, or nothing in
    /// its name stands for something else.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        if path.symlink_metadata().is_ok() {
            return None;
        }
        let parts = parse(path.file_name()?.as_encoded_bytes());
        let is_plain = |part: &Part| matches!(part, Part::Text(_));
        (!parts.iter().all(is_plain)).then(|| Self {
            path: path.to_owned(),
            parts,
        })
    }

    /// As it was typed.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The folder that it is about.
    pub(crate) fn folder(&self) -> &Path {
        match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        }
    }

    /// The files that match, in [`natural`] order.
    ///
    /// # Errors
    /// Where the folder cannot be read.
    pub(crate) fn files(&self) -> io::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(self.folder())? {
            let path = entry?.path();
            let name = path.file_name().map_or(&b""[..], OsStr::as_encoded_bytes);
            // As in a shell, a hidden file is meant where the dot is typed.
            let is_meant = !name.starts_with(b".") || self.asks_for_hidden();
            if is_meant && matches(&self.parts, name) && path.is_file() {
                files.push(path);
            }
        }
        files.sort_by_cached_key(|path| natural(path));
        Ok(files)
    }
}

impl Row {
    fn asks_for_hidden(&self) -> bool {
        matches!(self.parts.first(), Some(Part::Text(text)) if text.starts_with(b"."))
    }
}

/// Orders names as people do: `img2` before `img10`.
pub(crate) fn natural(path: &Path) -> (Vec<(u8, u128)>, PathBuf) {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    let mut key: Vec<(u8, u128)> = Vec::new();
    // A number stands where its first digit does.
    for byte in name {
        let digit = byte.is_ascii_digit().then(|| u128::from(byte - b'0'));
        match (digit, key.last_mut()) {
            (Some(digit), Some((b'0', number))) => {
                *number = number.saturating_mul(10).saturating_add(digit);
            }
            (Some(digit), _) => key.push((b'0', digit)),
            (None, _) => key.push((*byte, 0)),
        }
    }
    (key, path.to_owned())
}

fn parse(name: &[u8]) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = name;
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        let part = match first {
            b'*' => Part::Any,
            b'?' => Part::One,
            b'%' => match digits(behind) {
                Some((least, behind)) => {
                    rest = behind;
                    Part::Digits(least)
                }
                None => {
                    // Doubled, it stands for itself.
                    rest = behind.strip_prefix(b"%").unwrap_or(behind);
                    Part::Text(vec![b'%'])
                }
            },
            byte => Part::Text(vec![*byte]),
        };
        match (parts.last_mut(), part) {
            (Some(Part::Text(before)), Part::Text(more)) => before.extend(more),
            // Two of them take no more names than one, and many times as long.
            (Some(Part::Any), Part::Any) => {}
            (_, part) => parts.push(part),
        }
    }
    parts
}

/// How many digits `d`, `4d` or `04d` asks for, and what is behind it.
fn digits(rest: &[u8]) -> Option<(usize, &[u8])> {
    let end = rest.iter().position(|byte| !byte.is_ascii_digit())?;
    let (least, behind) = rest.split_at(end);
    let behind = behind.strip_prefix(b"d")?;
    let least = match least {
        [] => 1,
        digits => std::str::from_utf8(digits).ok()?.parse().ok()?,
    };
    Some((least, behind))
}

fn matches(parts: &[Part], name: &[u8]) -> bool {
    let Some((part, others)) = parts.split_first() else {
        return name.is_empty();
    };
    match part {
        Part::Text(text) => name
            .strip_prefix(&text[..])
            .is_some_and(|rest| matches(others, rest)),
        Part::One => name
            .split_first()
            .is_some_and(|(_, rest)| matches(others, rest)),
        Part::Digits(least) => {
            let len = name.iter().position(|byte| !byte.is_ascii_digit());
            let len = len.unwrap_or(name.len());
            len >= (*least).max(1) && matches(others, &name[len..])
        }
        Part::Any => (0..=name.len()).any(|len| matches(others, &name[len..])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(pattern: &str, name: &str) -> bool {
        matches(&parse(pattern.as_bytes()), name.as_bytes())
    }

    #[test]
    fn names_are_those_that_ffmpeg_and_a_shell_mean() {
        for (pattern, name, is_found) in [
            ("img%04d.jpg", "img0007.jpg", true),
            ("img%04d.jpg", "img12345.jpg", true),
            ("img%04d.jpg", "img7.jpg", false),
            ("img%d.jpg", "img7.jpg", true),
            ("img%d.jpg", "img.jpg", false),
            ("100%%%d.jpg", "100%3.jpg", true),
            ("50%.jpg", "50%.jpg", true),
            ("*.jpg", "a.jpg", true),
            ("*.jpg", "a.png", false),
            ("a?c*", "abcd", true),
            ("a?c*", "ac", false),
        ] {
            assert_eq!(found(pattern, name), is_found, "{pattern}, {name}");
        }
    }

    #[test]
    fn the_order_is_that_of_the_numbers() {
        let mut names = ["b1.jpg", "a10.jpg", "a9.jpg", "a.jpg", "a010.jpg"].map(Path::new);
        names.sort_by_cached_key(|name| natural(name));
        let expected = ["a.jpg", "a9.jpg", "a010.jpg", "a10.jpg", "b1.jpg"].map(Path::new);
        assert_eq!(names, expected);
    }

    #[test]
    fn a_file_of_that_name_is_no_pattern() {
        let folder = tempfile::tempdir().unwrap();
        let [odd, one, ten] = ["a%d.jpg", "a1.jpg", "a10.jpg"].map(|name| folder.path().join(name));
        fs::write(&one, b"").unwrap();
        fs::write(&ten, b"").unwrap();
        let row = Row::of(&odd).unwrap();
        assert_eq!(row.files().unwrap(), [one.clone(), ten]);
        fs::write(&odd, b"").unwrap();
        assert_eq!(Row::of(&odd), None);
        assert_eq!(Row::of(&folder.path().join("none.jpg")), None);
    }
}
