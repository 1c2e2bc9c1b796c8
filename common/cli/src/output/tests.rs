use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::sync::{Arc, Mutex};

use anyhow::bail;

use super::*;
use crate::stop::Stop;

/// A temporary folder for a test.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Creates a file with this content.
    fn file(&self, name: &str, content: &str) -> PathBuf {
        fs::write(self.path(name), content).unwrap();
        self.path(name)
    }

    /// All file names, sorted.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn an_older_file_stays_until_the_new_one_is_complete() {
    let folder = Folder::new();
    let path = folder.file("report.json", "old");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let file = OutputFile::claim(&path, "report", &Threads::new(&Stop::new())).unwrap();
    assert_eq!(text(&path), "old");
    let mut draft = file.draft().unwrap();
    draft.write_all(b"new").unwrap();
    draft.flush().unwrap();
    assert_eq!(text(&path), "old");
    draft.finish().unwrap();
    assert_eq!(text(&path), "new");
    assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o640);
    assert_eq!(folder.names(), ["report.json"]);
}

#[test]
fn failed_and_aborted_writes_leave_the_old_file() {
    let folder = Folder::new();
    let path = folder.file("report.json", "old");
    let file = OutputFile::claim(&path, "report", &Threads::new(&Stop::new())).unwrap();
    let failed = file.replace(|out| {
        out.write_all(&[b'x'; 100_000])?;
        bail!("the disk is full")
    });
    let failed = format!("{:#}", failed.unwrap_err());
    assert!(failed.contains("report.json: the disk is full"), "{failed}");
    drop(file.draft().unwrap());
    assert_eq!(text(&path), "old");
    let other = folder.path("never.json");
    drop(OutputFile::claim(&other, "report", &Threads::new(&Stop::new())).unwrap());
    assert_eq!(folder.names(), ["report.json"]);
    OutputFile::claim(
        &folder.path("no/such.json"),
        "report",
        &Threads::new(&Stop::new()),
    )
    .unwrap_err();
    OutputFile::claim(folder.0.path(), "report", &Threads::new(&Stop::new())).unwrap_err();
}

#[test]
fn links_stay_links_whatever_they_lead_to() {
    let folder = Folder::new();
    let target = folder.file("target.json", "old");
    symlink("target.json", folder.path("one")).unwrap();
    symlink("one", folder.path("two")).unwrap();
    symlink("later.json", folder.path("dangling")).unwrap();
    let write = |name: &str| {
        let file =
            OutputFile::claim(&folder.path(name), "report", &Threads::new(&Stop::new())).unwrap();
        file.replace(|out| Ok(out.write_all(b"new")?)).unwrap();
    };
    write("two");
    assert_eq!(text(&target), "new");
    assert!(folder.path("one").is_symlink() && folder.path("two").is_symlink());
    write("dangling");
    assert!(folder.path("dangling").is_symlink());
    assert_eq!(text(&folder.path("later.json")), "new");
}

#[test]
fn a_growing_file_moves_the_older_one_aside_with_its_first_byte() {
    let folder = Folder::new();
    let path = folder.file("film.mjpeg", "older");
    folder.file("film.mjpeg~", "oldest");
    let told = Arc::new(Mutex::new(Vec::new()));
    let hear = Arc::clone(&told);
    let file = OutputFile::claim(&path, "recording", &Threads::new(&Stop::new())).unwrap();
    let mut growing = file.grow(move |line| hear.lock().unwrap().push(line.to_owned()));
    growing.write_all(b"").unwrap();
    growing.flush().unwrap();
    assert_eq!(text(&path), "older");
    growing.write_all(b"n").unwrap();
    assert_eq!(text(&path), "n");
    growing.write_all(b"ew").unwrap();
    assert_eq!(text(&path), "new");
    assert_eq!(text(&folder.path("film.mjpeg~")), "older");
    let told = told.lock().unwrap();
    assert_eq!(told.len(), 1);
    assert!(told[0].starts_with("The older recording is ") && told[0].contains("film.mjpeg~"));
    assert_eq!(folder.names(), ["film.mjpeg", "film.mjpeg~"]);
}

#[test]
fn without_new_content_no_file_is_moved_aside() {
    let folder = Folder::new();
    let path = folder.file("a.trace", "old");
    drop(
        OutputFile::claim(&path, "trace", &Threads::new(&Stop::new()))
            .unwrap()
            .grow(|_| {}),
    );
    assert_eq!(text(&path), "old");
    let empty = folder.file("b.trace", "");
    let mut growing = OutputFile::claim(&empty, "trace", &Threads::new(&Stop::new()))
        .unwrap()
        .grow(|line| panic!("{line}"));
    growing.write_all(b"new").unwrap();
    assert_eq!(folder.names(), ["a.trace", "b.trace"]);
}

#[test]
fn a_device_is_written_directly() {
    let file = OutputFile::claim(
        Path::new("/dev/null"),
        "report",
        &Threads::new(&Stop::new()),
    )
    .unwrap();
    file.replace(|out| Ok(out.write_all(b"new")?)).unwrap();
    let full = OutputFile::claim(
        Path::new("/dev/full"),
        "report",
        &Threads::new(&Stop::new()),
    )
    .unwrap();
    full.replace(|out| Ok(out.write_all(b"new")?)).unwrap_err();
}

#[test]
fn one_file_is_not_written_twice_under_any_name() {
    let folder = Folder::new();
    let one = folder.file("one.json", "");
    fs::hard_link(&one, folder.path("hard.json")).unwrap();
    symlink(&one, folder.path("soft.json")).unwrap();
    symlink("late.json", folder.path("dangling.json")).unwrap();
    let both = |other: &str, path: &Path| {
        let other = folder.path(other);
        let outputs = [Named::new("--report", path), Named::new("--sdp", &other)];
        conflict(&[], &outputs)
    };
    for name in ["one.json", "hard.json", "soft.json", "./one.json"] {
        let told = both(name, &one).expect(name);
        assert!(
            told.starts_with("--report and --sdp would both write "),
            "{told}"
        );
    }
    assert!(both("dangling.json", &folder.path("late.json")).is_some());
    assert_eq!(both("two.json", &one), None);
    let null = Path::new("/dev/null");
    let twice = [Named::new("--report", null), Named::new("--sdp", null)];
    assert_eq!(conflict(&[], &twice), None);
    let (film, older) = (folder.path("film.y4m"), folder.path("film.y4m~"));
    let aside = [
        Named::new("--trace", &older),
        Named::growing("--output", &film),
    ];
    assert!(conflict(&[], &aside).is_some());
}

#[test]
fn input_files_are_not_overwritten() {
    let folder = Folder::new();
    let film = folder.file("in.avi", "film");
    symlink(&film, folder.path("link.sdp")).unwrap();
    let read = [Named::new("SOURCE", &film)];
    let told = conflict(&read, &[Named::new("--sdp", &folder.path("link.sdp"))]).unwrap();
    assert!(
        told.starts_with("--sdp would overwrite ") && told.contains("SOURCE"),
        "{told}"
    );
    assert_eq!(
        conflict(&read, &[Named::new("--sdp", &folder.path("a.sdp"))]),
        None
    );
    let older = folder.file("log.csv~", "film");
    let read = [Named::new("SOURCE", &older)];
    let log = folder.path("log.csv");
    assert!(conflict(&read, &[Named::growing("--impair-log", &log)]).is_some());
}
