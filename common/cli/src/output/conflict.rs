//! Detects files that must not be the same.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{STDOUT, aside};
use crate::paths::resolve;

/// A file and the option that names it.
#[derive(Clone, Copy, Debug)]
pub struct Named<'a> {
    /// The option, such as `--report`.
    pub option: &'a str,
    /// The path as typed; `-` is standard input or output.
    pub path: &'a Path,
    /// Whether an older file is moved aside.
    pub grows: bool,
}

impl<'a> Named<'a> {
    /// A file that is read, or replaced as a whole.
    pub fn new(option: &'a str, path: &'a Path) -> Self {
        Self {
            option,
            path,
            grows: false,
        }
    }

    /// A file that grows under its final name.
    pub fn growing(option: &'a str, path: &'a Path) -> Self {
        Self {
            grows: true,
            ..Self::new(option, path)
        }
    }
}

/// Explains why files cannot be written: an input would be overwritten, or two
/// outputs would be the same file.
pub fn conflict(inputs: &[Named<'_>], outputs: &[Named<'_>]) -> Option<String> {
    let read: Vec<_> = inputs
        .iter()
        .map(|input| (input, Identity::of(input.path, "/dev/stdin")))
        .collect();
    let mut written: Vec<(&Named<'_>, Identity)> = Vec::new();
    for output in outputs.iter().filter(|output| !is_shared(output.path)) {
        let own = Identity::of(output.path, "/dev/stdout");
        let older = own.place.as_deref().filter(|_| output.grows).map(aside);
        let older = older.map(|aside| Identity::of(&aside, ""));
        let option = output.option;
        for identity in std::iter::once(&own).chain(&older) {
            if let Some((input, _)) = read.iter().find(|(_, other)| other.is(identity)) {
                let (input, path) = (input.option, input.path.display());
                return Some(format!(
                    "{option} would overwrite {path}, which is {input}: name another file"
                ));
            }
            if let Some((other, _)) = written.iter().find(|(_, other)| other.is(identity)) {
                let (other, path) = (other.option, output.path.display());
                return Some(format!(
                    "{other} and {option} would both write {path}: name two files"
                ));
            }
        }
        written.push((output, own));
        written.extend(older.map(|older| (output, older)));
    }
    None
}

/// Identifies a file, whatever path leads to it.
struct Identity {
    /// Its real path; `None` for standard input and output.
    place: Option<PathBuf>,
    /// Device and inode number, if the file exists.
    number: Option<(u64, u64)>,
}

impl Identity {
    fn of(path: &Path, standard: &str) -> Self {
        let is_standard = path.as_os_str() == STDOUT;
        let at = if is_standard {
            Path::new(standard)
        } else {
            path
        };
        let known = fs::metadata(at).ok().filter(fs::Metadata::is_file);
        Self {
            place: (!is_standard).then(|| resolve(path)),
            number: known.map(|known| (known.dev(), known.ino())),
        }
    }

    fn is(&self, other: &Self) -> bool {
        let same_place = self.place.is_some() && self.place == other.place;
        same_place || (self.number.is_some() && self.number == other.number)
    }
}

/// Whether several writers can share the target: a FIFO, a device, or standard
/// output that is one.
fn is_shared(path: &Path) -> bool {
    let at = if path.as_os_str() == STDOUT {
        Path::new("/dev/stdout")
    } else {
        path
    };
    fs::metadata(at).is_ok_and(|there| !there.is_file() && !there.is_dir())
}
