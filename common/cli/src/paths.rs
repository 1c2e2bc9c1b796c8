//! Paths of files that a command line names.

use std::fs;
use std::path::{Path, PathBuf};

/// Name of standard output and standard input on the command line.
pub const STANDARD: &str = "-";

/// Upper bound on links in a chain: as many as Linux follows.
const MOST_LINKS: usize = 40;

/// The real path of a file, with all links resolved. The file need not exist.
#[must_use]
pub fn resolve(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        let Ok(to) = fs::read_link(&path) else {
            break;
        };
        path = folder(&path).join(to);
    }
    let (folder, name) = (folder(&path).canonicalize(), path.file_name());
    match (folder, name) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => path.canonicalize().unwrap_or(path),
    }
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}
