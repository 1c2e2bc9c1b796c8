//! How a stream ends: by signals, with readers that do not read, and by panics.

use std::fs;
use std::net::UdpSocket;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use framegram_common::wire::native::Packet;

use crate::Folder;

/// How long a program may take, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often a wait looks.
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

/// Waits until this is so.
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

fn report(path: &str) -> serde_json::Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// A viewer's socket, which tells packets from each other.
struct Ear(UdpSocket);

impl Ear {
    fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(socket)
    }

    fn address(&self) -> String {
        self.0.local_addr().unwrap().to_string()
    }

    /// Waits until a packet like this comes.
    fn hear(&self, wanted: fn(&Packet) -> bool) {
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
fn a_signal_during_the_farewell_is_no_second_one() {
    let folder = Folder::new("farewell");
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
    ear.hear(|packet| matches!(packet, Packet::Farewell(_)));
    signal(&child, "INT");
    assert_eq!(end(&mut child).code(), Some(0));
    assert_eq!(report(&path)["stream"]["ended"], true);
}

#[test]
fn a_signal_that_comes_twice_is_one() {
    for name in ["INT", "TERM", "HUP"] {
        let folder = Folder::new(&format!("twice-{name}"));
        let path = folder.path("report.json");
        let ear = Ear::new();
        let line = ["pattern:64x48", &ear.address(), "--report", &path];
        let mut child = sender(&line).spawn().unwrap();
        ear.hear(|packet| matches!(packet, Packet::Chunk(_)));
        // As `timeout` does it, to the child and to its group.
        signal(&child, name);
        signal(&child, name);
        ear.hear(|packet| matches!(packet, Packet::Farewell(_)));
        assert_eq!(end(&mut child).code(), Some(0), "{name}");
        assert_eq!(report(&path)["stream"]["ended"], true);
    }
}

#[test]
fn who_goes_on_without_a_terminal_goes_on() {
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
    ear.hear(|packet| matches!(packet, Packet::Farewell(_)));
    assert_eq!(end(&mut child).code(), Some(0));
}
