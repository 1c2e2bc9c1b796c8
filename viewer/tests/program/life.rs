//! How a viewer ends when readers do not read.

use std::fs::File;
use std::io::{PipeReader, PipeWriter, Read, Write, pipe};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{Folder, Viewer, address, frames, json, send, viewer};

/// How long a program may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

#[track_caller]
fn end(child: &mut Child) -> ExitStatus {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if begun.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("it did not end");
        }
        thread::sleep(Duration::from_millis(5));
    }
}

fn signal(child: &Child, name: &str) {
    let id = child.id().to_string();
    let status = Command::new("kill").args(["-s", name, &id]).status();
    assert!(status.unwrap().success());
}

fn fifo(folder: &Folder, name: &str) -> String {
    let path = folder.path(name);
    let made = Command::new("mkfifo").arg(&path).status();
    assert!(made.unwrap().success());
    path
}

/// A pipe that is full, like one that nobody reads.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, writer) = pipe().unwrap();
    let mut filling = writer.try_clone().unwrap();
    let (sent, filled) = channel();
    thread::spawn(move || {
        // The last write never ends.
        while filling.write(&[b'x'; 4096]).is_ok() {
            let _ = sent.send(());
        }
    });
    while filled.recv_timeout(Duration::from_millis(200)).is_ok() {}
    (reader, writer)
}

/// Runs a viewer until a signal, while a stream is sent again and again. Returns how it ends, and
/// what it writes if somebody reads that.
fn interrupted(arguments: &[&str], prepare: impl FnOnce(&mut Command)) -> (Option<i32>, String) {
    let address = address();
    let mut command = viewer(arguments);
    command.arg(address.to_string());
    command.stdout(Stdio::null());
    prepare(&mut command);
    let mut child = command.spawn().unwrap();
    // Longer than the interval of progress lines.
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(2500) {
        send(address, &frames(30), true);
    }
    signal(&child, "INT");
    let status = end(&mut child);
    let mut told = String::new();
    if let Some(mut stderr) = child.stderr.take() {
        stderr.read_to_string(&mut told).unwrap();
    }
    (status.code(), told)
}

#[test]
fn it_continues_and_ends_although_nobody_reads_its_output() {
    let folder = Folder::new();
    let path = folder.path("report.json");
    let (reader, writer) = full_pipe();
    let arguments = ["--headless", "--report", &path];
    let (code, _) = interrupted(&arguments, |command| {
        command.stderr(writer);
    });
    assert_eq!(code, Some(0));
    assert!(json(&path)["frames"]["shown"].as_u64().unwrap() > 30);
    drop(reader);
}

#[test]
fn a_stopped_terminal_blocks_no_stream() {
    let folder = Folder::new();
    let path = folder.path("report.json");
    let pty = nix::pty::openpty(None, None).unwrap();
    let mut keyboard = File::from(pty.master);
    // Ctrl-S.
    keyboard.write_all(b"\x13").unwrap();
    let arguments = ["--headless", "--report", &path];
    let (code, _) = interrupted(&arguments, |command| {
        command.stderr(pty.slave);
    });
    assert_eq!(code, Some(0));
    assert!(json(&path)["frames"]["shown"].as_u64().unwrap() > 30);
    // All that the program wrote can be read, and then reading fails.
    let mut got = Vec::new();
    let _ = keyboard.read_to_end(&mut got);
    let got = String::from_utf8_lossy(&got);
    assert!(!got.contains("  frames:"), "it was not stopped: {got}");
}

#[test]
fn a_signal_during_the_end_does_not_kill() {
    let folder = Folder::new();
    let path = folder.path("report.json");
    // Unless a signal arrives, it waits in the end for a reader of this file.
    let held = fifo(&folder, "held.json");
    let arguments = ["--headless", "--frames", "5", "--report", &held];
    let arguments = [&arguments[..], &["--report", &path]].concat();
    let mut viewer = Viewer::listening(&arguments);
    send(viewer.address(), &frames(10), true);
    viewer.wait_for("  frames:");
    // As `timeout` does it: to the child and to its group.
    viewer.signal("INT");
    viewer.signal("INT");
    let ended = viewer.end();
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    let told = ended.stderr;
    assert!(told.contains("held.json: nobody reads"), "{told}");
    assert_eq!(json(&path)["frames"]["shown"], 5);
}

#[test]
fn an_unread_fifo_does_not_prevent_the_end() {
    let folder = Folder::new();
    let path = folder.path("report.json");
    let film = fifo(&folder, "film.mjpeg");
    let arguments = ["--headless", "--report", &path, "--output", &film];
    let (code, told) = interrupted(&arguments, |_| {});
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("film.mjpeg: nobody reads"), "{told}");
    assert!(json(&path)["frames"]["shown"].as_u64().unwrap() > 30);

    for name in ["fifo.json", "fifo.csv"] {
        let path = fifo(&folder, name);
        let (code, told) = interrupted(&["--headless", "--report", &path], |_| {});
        assert_eq!(code, Some(1), "{name}: {told}");
        assert!(told.contains(&format!("{name}: nobody reads")), "{told}");
    }
}

#[test]
fn unread_figures_and_frames_do_not_prevent_the_end() {
    let folder = Folder::new();
    let path = folder.path("report.json");
    let frames = ["--output", "-", "--output-format", "y4m"];
    for more in [&["--stats", "json"][..], &frames] {
        let (reader, writer) = full_pipe();
        let arguments = [&["--headless", "--report", &path], more].concat();
        let (code, told) = interrupted(&arguments, |command| {
            command.stdout(writer);
        });
        assert_eq!(code, Some(1), "{told}");
        assert!(told.contains("standard output: nobody reads"), "{told}");
        assert!(json(&path)["frames"]["sent"].as_u64().unwrap() > 30);
        drop(reader);
    }
}

#[test]
fn a_fifo_without_a_reader_is_a_failure() {
    let folder = Folder::new();
    for (flag, name) in [("--output", "film.mjpeg"), ("--report", "gone.json")] {
        let path = fifo(&folder, name);
        let mut command = viewer(&["--headless", flag, &path]);
        let address = address();
        command.arg(address.to_string());
        let mut child = command.spawn().unwrap();
        // Opened by both sides, then closed by the reader.
        drop(File::open(&path).unwrap());
        let begun = Instant::now();
        while flag == "--output" && child.try_wait().unwrap().is_none() {
            assert!(begun.elapsed() < PATIENCE, "it did not end");
            send(address, &frames(10), true);
        }
        // An option that writes only in the end notices it then.
        if flag == "--report" {
            signal(&child, "TERM");
        }
        assert_eq!(end(&mut child).code(), Some(1), "{name}");
        let mut told = String::new();
        let mut stderr = child.stderr.take().unwrap();
        stderr.read_to_string(&mut told).unwrap();
        assert!(told.contains("Broken pipe"), "{told}");
    }
}
