//! Paths of files that a command line names.

use std::fs;
use std::path::{Path, PathBuf};

/// Name of standard output and standard input on the command line.
pub const STANDARD: &str = "-";

/// Upper bound on links in a chain: as many as Linux follows.
const MOST_LINKS: usize = 40;

/// The real path of a file, with all links resolved. The file need not exist.
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

/// The file of a tile, by its index: the first has this path, the others are numbered, as
/// `cam-2.mjpeg` next to `cam.mjpeg`.
pub fn numbered(path: &Path, tile: usize) -> PathBuf {
    if tile == 0 {
        return path.to_owned();
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let mut name = format!("{stem}-{}", tile + 1);
    if let Some(extension) = path.extension() {
        name = format!("{name}.{}", extension.to_string_lossy());
    }
    path.with_file_name(name)
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_further_tiles_are_numbered() {
        let name = |path: &str, tile| numbered(Path::new(path), tile).display().to_string();
        assert_eq!(name("a/cam.mjpeg", 0), "a/cam.mjpeg");
        assert_eq!(name("a/cam.mjpeg", 1), "a/cam-2.mjpeg");
        assert_eq!(name("cam", 2), "cam-3");
    }
}
