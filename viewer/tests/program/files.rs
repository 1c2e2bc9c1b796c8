//! What a viewer writes, and what happens to existing files.

use std::fs;
use std::os::unix::fs::symlink;

use crate::support::{Folder, Viewer, frames, json, send, viewer};

/// The options that write a file, and the file's name.
const WRITTEN: [(&str, &str); 7] = [
    ("--report", "a.json"),
    ("--report", "a.csv"),
    ("--report", "a.html"),
    ("--snapshot", "a.jpg"),
    ("--output", "a.mjpeg"),
    ("--trace", "a.trace"),
    ("--impair-log", "a.log"),
];

/// All of them, with existing files.
fn all(folder: &Folder) -> Vec<String> {
    let mut arguments = vec!["--impair".to_owned(), "loss=0.1%".to_owned()];
    for (option, name) in WRITTEN {
        let path = folder.path(name);
        fs::write(&path, "yesterday's").unwrap();
        arguments.extend([option.to_owned(), path]);
    }
    arguments
}

fn refs(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

#[test]
fn a_viewer_that_cannot_start_changes_no_file() {
    let folder = Folder::new();
    let arguments = all(&folder);
    let sdp = folder.path("missing.sdp");
    let rest = ["--headless", "--sdp", &sdp, "127.0.0.1:5994"];
    let output = viewer(&[&refs(&arguments)[..], &rest].concat())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    for (_, name) in WRITTEN {
        assert_eq!(
            fs::read_to_string(folder.path(name)).unwrap(),
            "yesterday's",
            "{name}"
        );
    }
    assert_eq!(
        fs::read_dir(folder.path("")).unwrap().count(),
        WRITTEN.len()
    );
}

#[test]
fn an_older_file_is_replaced_or_moved_aside_with_the_first_new_byte() {
    let folder = Folder::new();
    let arguments = all(&folder);
    let rest = ["--headless", "--once"];
    let mut viewer = Viewer::listening(&[&refs(&arguments)[..], &rest].concat());
    for (_, name) in WRITTEN {
        assert_eq!(
            fs::read_to_string(folder.path(name)).unwrap(),
            "yesterday's",
            "{name}"
        );
    }
    send(viewer.address(), &frames(30), false);
    viewer.wait_for("The older output is");
    // A file that grows can be read. The others are unchanged.
    assert!(
        fs::read(folder.path("a.mjpeg"))
            .unwrap()
            .starts_with(&[0xff, 0xd8])
    );
    for name in ["a.json", "a.csv", "a.html", "a.jpg"] {
        assert_eq!(
            fs::read_to_string(folder.path(name)).unwrap(),
            "yesterday's",
            "{name}"
        );
    }
    viewer.signal("INT");
    let ended = viewer.end();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert_eq!(ended.stderr.matches(" now.").count(), 3, "{}", ended.stderr);
    for (_, name) in WRITTEN {
        let written = fs::read(folder.path(name)).unwrap();
        assert_ne!(written, b"yesterday's", "{name}");
    }
    for name in ["a.mjpeg~", "a.trace~", "a.log~"] {
        assert_eq!(
            fs::read_to_string(folder.path(name)).unwrap(),
            "yesterday's",
            "{name}"
        );
    }
    assert!(json(&folder.path("a.json"))["frames"]["shown"].as_u64() > Some(0));
    assert_eq!(
        fs::read_dir(folder.path("")).unwrap().count(),
        WRITTEN.len() + 3
    );
}

#[test]
fn no_input_is_overwritten_and_no_file_written_twice() {
    let folder = Folder::new();
    let (one, link) = (folder.path("one.json"), folder.path("link.mjpeg"));
    fs::write(&one, "the only copy").unwrap();
    symlink(&one, &link).unwrap();
    let film = folder.path("film.mjpeg");
    let older = folder.path("film.mjpeg~");
    for arguments in [
        &["--report", &one, "--output", &link] as &[&str],
        &["--sdp", &one, "--report", &one],
        &["--trace", &older, "--output", &film],
    ] {
        let output = viewer(arguments).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {told}");
        assert_eq!(told.lines().count(), 1, "{told}");
        assert!(told.contains("would"), "{told}");
    }
    assert_eq!(fs::read_to_string(&one).unwrap(), "the only copy");
    assert!(!fs::exists(&film).unwrap());
}

#[test]
fn a_full_disk_leaves_older_reports_unchanged() {
    let folder = Folder::new();
    let mut command = std::process::Command::new("sh");
    let within = "trap '' XFSZ; ulimit -f 1; exec \"$0\" \"$@\"";
    command
        .args(["-c", within, env!("CARGO_BIN_EXE_framegram-view")])
        .args(["--headless", "--once"])
        .env_remove("DISPLAY")
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let reports = ["a.json", "a.csv", "a.html"].map(|name| folder.path(name));
    for report in &reports {
        fs::write(report, "yesterday's").unwrap();
        command.args(["--report", report]);
    }
    let viewer = Viewer::start(command);
    send(viewer.address(), &frames(40), true);
    let ended = viewer.end();
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    for report in &reports {
        assert_eq!(
            fs::read_to_string(report).unwrap(),
            "yesterday's",
            "{report}"
        );
        assert!(ended.stderr.contains(report.as_str()), "{}", ended.stderr);
    }
    assert_eq!(fs::read_dir(folder.path("")).unwrap().count(), 3);
}
