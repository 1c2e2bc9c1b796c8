//! What the program refuses, and the one line that says why.

use std::net::UdpSocket;

use crate::support::{Folder, Viewer, frames, json, picture, send, viewer};

/// Runs to the end. Returns the exit status and standard error. Standard output must be empty.
fn refused(arguments: &[&str]) -> (i32, String) {
    let output = viewer(arguments).output().unwrap();
    assert_eq!(output.stdout, b"", "{arguments:?}");
    let told = String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap(), told)
}

fn fails(arguments: &[&str], parts: &[&str]) {
    let (code, told) = refused(arguments);
    assert_eq!(code, 1, "{arguments:?}: {told}");
    assert_eq!(told.lines().count(), 1, "{arguments:?}: {told}");
    for part in parts {
        assert!(told.contains(part), "{arguments:?}: {told}");
    }
}

#[test]
fn wrong_usage_is_exit_code_2() {
    for arguments in [
        &["--frames", "0"] as &[&str],
        &["--duration", "soon"],
        &["--buffer", "1"],
        &["--latency", "11s"],
        &["--latency", "-1ms"],
        &["--latency", "60x"],
        &["--allow", "everyone"],
        &["--output", "-"],
        &["--output", "film.mp4"],
        &["--output-format", "y4m"],
        &["--snapshot", "last.gif"],
        &["127.0.0.1:0"],
        &["a", "b"],
        &["--no-such-flag"],
    ] {
        let (code, told) = refused(arguments);
        assert_eq!(code, 2, "{arguments:?}: {told}");
        assert!(
            told.starts_with("framegram-view: "),
            "{arguments:?}: {told}"
        );
        assert_eq!(told.lines().count(), 1, "{arguments:?}: {told}");
    }
}

#[test]
fn an_address_in_use_names_the_address_and_another() {
    let other = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap().to_string();
    fails(
        &["--headless", &address],
        &[&address, "in use", "another port"],
    );
}

#[test]
fn no_display_names_headless() {
    fails(&["127.0.0.1:5996"], &["no display", "--headless"]);
}

#[test]
fn a_path_that_cannot_be_written_is_found_before_the_stream() {
    for flag in ["--report", "--snapshot", "--output"] {
        let folder = Folder::new();
        let extension = match flag {
            "--report" => "json",
            "--snapshot" => "png",
            _ => "y4m",
        };
        let path = folder.path(&format!("no/such/folder.{extension}"));
        let what = flag.trim_start_matches('-');
        fails(
            &["--headless", flag, &path, "127.0.0.1:5999"],
            &[what, &path, "No such file"],
        );
    }
}

#[test]
fn an_unknown_interface_or_host_is_named() {
    fails(
        &["--headless", "--interface", "nothere0", "239.1.2.3"],
        &["nothere0"],
    );
    fails(
        &["--headless", "no.such.host.invalid"],
        &["no.such.host.invalid"],
    );
}

#[test]
fn receiving_nothing_is_a_failure_after_the_wait() {
    let folder = Folder::new();
    let (report, snapshot) = (folder.path("report.json"), folder.path("last.png"));
    fails(
        &[
            "--headless",
            "--quiet",
            "--wait",
            "200ms",
            "--report",
            &report,
            "--snapshot",
            &snapshot,
            "127.0.0.1:5998",
        ],
        &["no stream arrived within 0.2 s"],
    );
    assert!(json(&report)["frames"]["shown"].is_null() || json(&report)["frames"]["shown"] == 0);
    assert!(!std::path::Path::new(&snapshot).exists());
}

#[test]
fn a_sender_that_is_not_allowed_is_counted_and_not_shown() {
    let folder = Folder::new();
    let report = folder.path("report.json");
    let viewer = Viewer::listening(&[
        "--headless",
        "--allow",
        "10.0.0.0/8",
        "--wait",
        "1s",
        "--report",
        &report,
    ]);
    send(viewer.address(), &frames(5), true);
    let ended = viewer.end();
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    assert!(json(&report)["packets"]["foreign"].as_u64().unwrap() >= 5);
    let told = ended.stderr.lines().last().unwrap();
    assert!(
        told.contains(" datagrams arrived from 127.0.0.1:"),
        "{told}"
    );
    assert!(told.ends_with("add --allow 127.0.0.1"), "{told}");
    assert_eq!(json(&report)["discarded"][0]["reason"], "address");
}

#[test]
fn a_format_that_is_not_taken_is_named() {
    let one = ["--headless", "--wire", "rtp", "--wait", "1s"];
    let grid = [&one[..], &["--grid"]].concat();
    for arguments in [&one[..], &grid] {
        let viewer = Viewer::listening(arguments);
        send(viewer.address(), &frames(5), true);
        let ended = viewer.end();
        assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
        let told = ended.stderr.lines().last().unwrap();
        assert!(told.contains("which are native, not --wire rtp"), "{told}");
    }
}

#[test]
fn a_recording_converts_frames_of_another_size() {
    let folder = Folder::new();
    let output = folder.path("film.y4m");
    let mut jpegs = frames(8);
    jpegs[5] = picture(320, 240, |_, _| [1, 2, 3]);
    jpegs[6] = picture(320, 240, |_, _| [4, 5, 6]);
    let viewer = Viewer::listening(&["--headless", "--once", "--output", &output]);
    send(viewer.address(), &jpegs, true);
    let ended = viewer.end();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    let told = format!("2 frames in {output} are converted");
    assert!(ended.stderr.contains(&told), "{}", ended.stderr);
    let written = std::fs::read(output).unwrap();
    assert_eq!(written.windows(6).filter(|w| w == b"FRAME\n").count(), 8);
}

#[test]
fn input_is_read_up_to_a_limit() {
    fails(
        &["--headless", "--sdp", "/dev/zero", "127.0.0.1:5997"],
        &["/dev/zero", "larger than"],
    );
}

#[test]
fn junk_that_looks_like_a_stream_is_not_followed() {
    let folder = Folder::new();
    let report = folder.path("report.json");
    let viewer = Viewer::listening(&["--headless", "--wait", "1s", "--report", &report]);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let packet = [
        0x80, 26, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 65, 80, 9, 9, 0, 9, 0, 0, 1,
    ];
    let junk = [&[0xff, 0xd8, 0xff, 0xe0, 7][..], &packet];
    for datagram in junk {
        socket.send_to(datagram, viewer.address()).unwrap();
    }
    let ended = viewer.end();
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    assert!(!ended.stderr.contains("Following"), "{}", ended.stderr);
    assert_eq!(json(&report)["packets"]["malformed"], 2);
}
