//! What a stream writes besides datagrams, and what happens to existing files.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use crate::{Folder, NOBODY, fails, send};

#[test]
fn a_typo_in_the_source_overwrites_no_file() {
    let folder = Folder::new();
    let sdp = folder.write("video.sdp", b"yesterday's");
    let report = folder.write("sent.json", b"yesterday's");
    let log = folder.write("done.csv", b"yesterday's");
    let missing = folder.path("missing.avi");
    let line = [
        &missing,
        NOBODY,
        "--wire",
        "rtp",
        "--sdp",
        &sdp,
        "--report",
        &report,
        "--impair",
        "loss=1%",
        "--impair-log",
        &log,
    ];
    fails(&line, b"", 1, &["missing.avi"]);
    for path in [&sdp, &report, &log] {
        assert_eq!(fs::read(path).unwrap(), b"yesterday's", "{path}");
    }
    assert_eq!(fs::read_dir(folder.0.path()).unwrap().count(), 3);
}

#[test]
fn the_source_is_not_overwritten_and_no_file_written_twice() {
    let folder = Folder::new();
    let source = folder.write("in.mjpeg", b"the only copy");
    let (link, hard) = (folder.path("link.sdp"), folder.path("hard.json"));
    symlink(&source, &link).unwrap();
    fs::hard_link(&source, &hard).unwrap();
    let stills = folder.path("stills");
    fs::create_dir(&stills).unwrap();
    let still = format!("{stills}/1.jpg");
    fs::write(&still, b"the only copy").unwrap();
    let one = folder.path("one.json");
    let again = folder.path("./one.json");
    let rtp = ["--wire", "rtp", "--sdp"];
    let log = ["--impair", "loss=1%", "--impair-log"];
    for (line, words) in [
        (
            vec![&*source, NOBODY, rtp[0], rtp[1], rtp[2], &source],
            "SOURCE",
        ),
        (
            vec![&*source, NOBODY, rtp[0], rtp[1], rtp[2], &link],
            "SOURCE",
        ),
        (vec![&*source, NOBODY, "--report", &hard], "SOURCE"),
        (
            vec![&*source, NOBODY, log[0], log[1], log[2], &source],
            "SOURCE",
        ),
        (
            vec![&*stills, NOBODY, rtp[0], rtp[1], rtp[2], &still],
            "SOURCE",
        ),
        (
            vec![
                "pattern", NOBODY, "--report", &one, log[0], log[1], log[2], &again,
            ],
            "--report and --impair-log would both write",
        ),
        (
            vec![
                "pattern", NOBODY, "--report", &one, rtp[0], rtp[1], rtp[2], &one,
            ],
            "--sdp and --report would both write",
        ),
    ] {
        fails(&line, b"", 2, &[words]);
    }
    assert_eq!(fs::read(&source).unwrap(), b"the only copy");
    assert_eq!(fs::read(&still).unwrap(), b"the only copy");
    assert!(!fs::exists(&one).unwrap());
}

/// Runs on a disk on which a file may have no more than 512 bytes.
fn on_a_full_disk(arguments: &[&str]) -> Command {
    let mut command = Command::new("sh");
    let within = "trap '' XFSZ; ulimit -f 1; exec \"$0\" \"$@\"";
    command
        .args(["-c", within, env!("CARGO_BIN_EXE_framegram-send")])
        .args(arguments)
        .stdin(Stdio::null());
    command
}

#[test]
fn a_full_disk_leaves_the_older_report_unchanged() {
    let folder = Folder::new();
    let report = folder.write("sent.json", b"yesterday's");
    let line = [
        "pattern:64x48@50",
        NOBODY,
        "--frames",
        "3",
        "--quiet",
        "--report",
        &report,
    ];
    let output = on_a_full_disk(&line).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert_eq!(told.lines().count(), 1, "{told}");
    assert!(told.contains("sent.json"), "{told}");
    assert_eq!(fs::read(&report).unwrap(), b"yesterday's");
    assert_eq!(fs::read_dir(folder.0.path()).unwrap().count(), 1);
}

#[test]
fn an_older_log_is_moved_aside_and_a_report_replaced() {
    let folder = Folder::new();
    let report = folder.write("sent.json", b"yesterday's");
    let log = folder.write("done.csv", b"yesterday's");
    let line = [
        "pattern:64x48@50",
        NOBODY,
        "--frames",
        "3",
        "--report",
        &report,
        "--impair",
        "loss=1%",
        "--impair-log",
        &log,
    ];
    let output = send(&line, b"");
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert_eq!(told.matches("done.csv~ now").count(), 1, "{told}");
    assert_eq!(fs::read(folder.path("done.csv~")).unwrap(), b"yesterday's");
    assert!(
        fs::read(&log)
            .unwrap()
            .starts_with(b"# framegram impairment log")
    );
    assert!(fs::read(&report).unwrap().starts_with(b"{"));
    assert_eq!(fs::read_dir(folder.0.path()).unwrap().count(), 3);
}

#[test]
fn an_unwritable_description_is_reported() {
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_framegram-send"))
        .args(["pattern:64x48@50", NOBODY, "--frames", "3", "--quiet"])
        .args(["--wire", "rtp", "--sdp", "-"])
        .stdin(Stdio::null())
        .stdout(full)
        .output()
        .unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("session description"), "{told}");
}
