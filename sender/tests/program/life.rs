//! How a stream ends: by signals, with readers that do not read, and by panics.

use std::fs;
use std::io::{Read, Write, pipe};
use std::net::UdpSocket;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use framegram_common::wire::native::Packet;

use crate::{Folder, NOBODY};

/// How long a program may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// The interval between checks.
const TICK: Duration = Duration::from_millis(5);

fn sender(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_framegram-send"));
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

fn signal(child: &Child, name: &str) {
    let id = child.id().to_string();
    let status = Command::new("kill").args(["-s", name, &id]).status();
    assert!(status.unwrap().success());
}

/// Waits until `is_so` returns true.
#[track_caller]
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "it never was so: {what}");
        thread::sleep(TICK);
    }
}

#[track_caller]
fn end(child: &mut Child) -> ExitStatus {
    let mut status = None;
    until("the program ended", || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    status.unwrap()
}

pub(crate) fn report(path: &str) -> serde_json::Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// A viewer's socket, which distinguishes packets.
pub(crate) struct Ear(UdpSocket);

impl Ear {
    pub(crate) fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(socket)
    }

    pub(crate) fn address(&self) -> String {
        self.0.local_addr().unwrap().to_string()
    }

    /// Waits until a packet for which `wanted` returns true arrives.
    pub(crate) fn hear(&self, wanted: fn(&Packet) -> bool) {
        let mut buffer = vec![0; 65_536];
        loop {
            let len = self.0.recv(&mut buffer).expect("it never came");
            let packet = Packet::decode(&buffer[..len]);
            if packet.is_ok_and(|(_, packet)| wanted(&packet)) {
                return;
            }
        }
    }
}

#[test]
fn a_signal_during_the_bye_does_not_kill() {
    let folder = Folder::new();
    let path = folder.path("report.json");
    let ear = Ear::new();
    let to = ear.address();
    let line = [
        "pattern:64x48",
        &to,
        "--duration",
        "200ms",
        "--report",
        &path,
    ];
    let mut child = sender(&line).spawn().unwrap();
    ear.hear(|packet| matches!(packet, Packet::SenderBye(_)));
    signal(&child, "INT");
    assert_eq!(end(&mut child).code(), Some(0));
    assert_eq!(report(&path)["stream"]["ended"], true);
}

#[test]
fn the_same_signal_twice_counts_once() {
    for name in ["INT", "TERM", "HUP"] {
        let folder = Folder::new();
        let path = folder.path("report.json");
        let ear = Ear::new();
        let line = ["pattern:64x48", &ear.address(), "--report", &path];
        let mut child = sender(&line).spawn().unwrap();
        ear.hear(|packet| matches!(packet, Packet::Chunk(_)));
        // As `timeout` does it: to the child and to its group.
        signal(&child, name);
        signal(&child, name);
        ear.hear(|packet| matches!(packet, Packet::SenderBye(_)));
        assert_eq!(end(&mut child).code(), Some(0), "{name}");
        assert_eq!(report(&path)["stream"]["ended"], true);
    }
}

#[test]
fn a_program_without_a_terminal_continues() {
    let ear = Ear::new();
    let mut nohup = Command::new("nohup");
    nohup.arg(env!("CARGO_BIN_EXE_framegram-send"));
    nohup.args(["pattern:64x48", &ear.address()]);
    let mut child = nohup
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    ear.hear(|packet| matches!(packet, Packet::Chunk(_)));
    signal(&child, "HUP");
    for _ in 0..30 {
        ear.hear(|packet| matches!(packet, Packet::Chunk(_)));
    }
    assert_eq!(child.try_wait().unwrap(), None);
    signal(&child, "TERM");
    ear.hear(|packet| matches!(packet, Packet::SenderBye(_)));
    assert_eq!(end(&mut child).code(), Some(0));
}

/// A FIFO.
fn fifo(folder: &Folder) -> String {
    let path = folder.path("fifo");
    let made = Command::new("mkfifo").arg(&path).status();
    assert!(made.unwrap().success());
    path
}

/// A pipe that is full, like one that nobody reads.
fn full_pipe() -> (std::io::PipeReader, std::io::PipeWriter) {
    let (reader, writer) = pipe().unwrap();
    let mut filling = writer.try_clone().unwrap();
    let mut chunk = 4096;
    let (sent, filled) = std::sync::mpsc::channel();
    thread::spawn(move || {
        // The last write never ends.
        while filling.write(&vec![b'x'; chunk]).is_ok() {
            chunk = 4096;
            let _ = sent.send(());
        }
    });
    while filled.recv_timeout(Duration::from_millis(200)).is_ok() {}
    (reader, writer)
}

#[test]
fn a_stream_continues_and_ends_although_nobody_reads_its_output() {
    let folder = Folder::new();
    let path = folder.path("report.json");
    let ear = Ear::new();
    let (reader, writer) = full_pipe();
    let line = ["pattern:64x48@60", &ear.address(), "--report", &path];
    let mut child = sender(&line).stderr(writer).spawn().unwrap();
    // Longer than the interval of progress lines.
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(2500) {
        ear.hear(|packet| matches!(packet, Packet::Chunk(_)));
    }
    signal(&child, "INT");
    ear.hear(|packet| matches!(packet, Packet::SenderBye(_)));
    assert_eq!(end(&mut child).code(), Some(0));
    assert!(report(&path)["frames"]["sent"].as_u64().unwrap() > 60);
    drop(reader);
}

#[test]
fn a_stopped_terminal_blocks_no_stream() {
    let folder = Folder::new();
    let path = folder.path("report.json");
    let ear = Ear::new();
    let pty = nix::pty::openpty(None, None).unwrap();
    let mut keyboard = fs::File::from(pty.master);
    // Ctrl-S.
    keyboard.write_all(b"\x13").unwrap();
    let line = ["pattern:64x48@60", &ear.address(), "--report", &path];
    let mut command = sender(&line);
    let mut child = command.stderr(pty.slave).spawn().unwrap();
    drop(command);
    // The progress line is redrawn five times a second.
    for _ in 0..120 {
        ear.hear(|packet| matches!(packet, Packet::Chunk(_)));
    }
    signal(&child, "INT");
    ear.hear(|packet| matches!(packet, Packet::SenderBye(_)));
    assert_eq!(end(&mut child).code(), Some(0));
    assert!(report(&path)["frames"]["sent"].as_u64().unwrap() > 60);
    // All that the program wrote can be read, and then reading fails.
    let mut got = Vec::new();
    let _ = keyboard.read_to_end(&mut got);
    let got = String::from_utf8_lossy(&got);
    assert!(!got.contains("sent"), "it was not stopped: {got}");
}

#[test]
fn a_late_reader_gets_the_last_lines() {
    let (mut reader, writer) = full_pipe();
    let line = ["pattern:64x48@60", NOBODY, "--frames", "30"];
    let mut child = sender(&line).stderr(writer).spawn().unwrap();
    thread::sleep(Duration::from_millis(300));
    let reading = thread::spawn(move || {
        let mut told = Vec::new();
        let mut buffer = [0; 4096];
        while !told.windows(12).any(|at| at == b"sent 30 of 3") {
            let len = reader.read(&mut buffer).unwrap();
            told.extend_from_slice(&buffer[..len]);
        }
    });
    assert_eq!(end(&mut child).code(), Some(0));
    until("the summary was read", || reading.is_finished());
    reading.join().unwrap();
}

#[test]
fn an_unread_report_does_not_prevent_the_end() {
    let folder = Folder::new();
    let path = fifo(&folder);
    let ear = Ear::new();
    let line = ["pattern:64x48", &ear.address(), "--report", &path];
    let mut child = sender(&line).stderr(Stdio::piped()).spawn().unwrap();
    ear.hear(|packet| matches!(packet, Packet::Chunk(_)));
    signal(&child, "INT");
    ear.hear(|packet| matches!(packet, Packet::SenderBye(_)));
    assert_eq!(end(&mut child).code(), Some(1));
    let mut told = String::new();
    let mut stderr = child.stderr.take().unwrap();
    stderr.read_to_string(&mut told).unwrap();
    let last = told.lines().last().unwrap();
    assert!(last.contains("fifo: nobody reads"), "{told}");
}

#[test]
fn a_report_to_a_closed_pipe_is_a_failure() {
    let folder = Folder::new();
    let path = fifo(&folder);
    let line = [
        "pattern:64x48@60",
        NOBODY,
        "--frames",
        "30",
        "--report",
        &path,
    ];
    let mut child = sender(&line).stderr(Stdio::piped()).spawn().unwrap();
    // Opened by both sides, then closed by the reader.
    drop(fs::File::open(&path).unwrap());
    assert_eq!(end(&mut child).code(), Some(1));
    let mut told = String::new();
    let mut stderr = child.stderr.take().unwrap();
    stderr.read_to_string(&mut told).unwrap();
    assert!(told.contains("Broken pipe"), "{told}");
}

#[test]
fn an_unwritable_description_is_reported_at_the_end() {
    let full = || fs::File::options().write(true).open("/dev/full").unwrap();
    for to in ["-", "/dev/full"] {
        let line = ["pattern:64x48", NOBODY, "--wire", "rtp", "--frames", "3"];
        let mut command = sender(&line);
        command.args(["--quiet", "--sdp", to]).stdout(full());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        assert_eq!(end(&mut child).code(), Some(1), "{to}");
        let mut told = String::new();
        let mut stderr = child.stderr.take().unwrap();
        stderr.read_to_string(&mut told).unwrap();
        assert_eq!(told.lines().count(), 1, "{told}");
        assert!(told.contains("session description"), "{told}");
    }
}

#[test]
fn a_closed_standard_output_is_a_success() {
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    let line = ["pattern:64x48", NOBODY, "--frames", "3", "--report", "-"];
    let mut child = sender(&line).stdout(writer).spawn().unwrap();
    assert_eq!(end(&mut child).code(), Some(0));
}
