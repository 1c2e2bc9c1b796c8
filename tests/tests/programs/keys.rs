//! Streams with a key, and what happens to everything else.

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use framegram_common::wire::native::is_sealed;
use framegram_tests::program::{Ended, PATIENT, Program, SENDER, Start, VIEWER, address, media};
use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::tap::Tap;

/// Frames that never end, small and quick.
const ENDLESS: &str = "pattern:320x180@60";

/// A folder with the key files `one` and `other`, as the sender makes them.
pub(crate) fn keys() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["one", "other"] {
        let path = folder.path().join(name);
        let made = Start::new(SENDER, "keygen").with([&path]).run_plain().end();
        assert!(made.well().said.contains("give both programs --key-file"));
    }
    folder
}

pub(crate) fn key_file(folder: &TempDir, name: &str) -> String {
    format!("--key-file {}", folder.path().join(name).display())
}

fn viewer(arguments: &str) -> Program {
    let mut viewer = Start::new(VIEWER, &format!("--headless {PATIENT} {arguments}")).run();
    viewer.wait_for("Waiting for a stream");
    viewer
}

fn assert_complete(sender: &Ended, viewer: &Ended) {
    let sent = sender.count("frames.sent");
    assert!(sent > 0);
    assert_eq!(viewer.count("frames.intact"), sent, "{:#}", viewer.report);
    for name in ["lost", "corrupt", "malformed", "unauthentic", "replayed"] {
        let name = format!("packets.{name}");
        assert_eq!(viewer.count(&name), 0, "{name}: {:#}", viewer.report);
    }
    for name in ["packets.sent", "bytes.sent"] {
        assert_eq!(sender.value(name), viewer.value(name), "{name}");
    }
    assert_eq!(sender.count("packets.unauthentic"), 0);
    assert!(sender.count("viewers.0.frames.shown") > 0, "it is answered");
}

#[test]
fn a_stream_with_a_key_arrives_complete_over_udp_and_tcp() {
    let keys = keys();
    let key = key_file(&keys, "one");
    for (transport, cipher) in [("udp", "AES-128-GCM"), ("tcp", "ChaCha20-Poly1305")] {
        let to = address();
        let viewer = viewer(&format!("{to} --once {key}"));
        assert!(
            viewer
                .said()
                .contains("framegram-send --key-file FILE camera")
        );
        let arguments = format!("-v {key} --transport {transport}");
        let sender = Start::new(SENDER, &arguments).environment("FRAMEGRAM_CIPHER", cipher);
        let sender = sender.with([media("clip.mp4"), to.to_string()]);
        let sender = sender.run().end().well();
        assert!(sender.said.contains(&format!("sealed with {cipher}")));
        assert_complete(&sender, &viewer.end().well());
    }
    let sender = Start::new(SENDER, &format!("{ENDLESS} {} -n 30 {key}", address()));
    let sender = sender.environment("FRAMEGRAM_CIPHER", "DES").run().end();
    assert_eq!(sender.code, Some(1), "{}", sender.said);
    assert!(sender.said.contains("FRAMEGRAM_CIPHER names no cipher"));
}

#[test]
fn a_viewer_that_connects_needs_the_key() {
    let keys = keys();
    let to = address();
    let key = key_file(&keys, "one");
    let arguments = format!("{ENDLESS} --listen {to} {key}");
    let mut sender = Start::new(SENDER, &arguments).run();
    sender.wait_for("framegram-view --key-file FILE --connect");
    let connecting = |key: &str, wait: &str| {
        let arguments = format!("--headless {PATIENT} --connect {to} {wait} -n 20 {key}");
        Start::new(VIEWER, &arguments).run()
    };
    let mut other = connecting(&key_file(&keys, "other"), "--wait 8s");
    sender.wait_for("but not with this key");
    other.wait_for("does not answer: check that");
    assert_eq!(other.end().code, Some(1));
    assert_eq!(connecting("", "--wait 1s").end().code, Some(1));
    let viewer = connecting(&key, "--wait 20s").end().well();
    assert_eq!(viewer.count("frames.intact"), 20);
    assert_eq!(viewer.count("packets.unauthentic"), 0);
    sender.signal(Signal::SIGINT);
    let sender = sender.end().well();
    assert_eq!(sender.count("admission.admitted"), 1);
    assert!(sender.count("packets.unauthentic") > 0);
    // After the other key, a missing one is a notice of its own.
    assert!(sender.said.contains("without a key"), "{}", sender.said);
}

#[test]
fn a_passphrase_serves_as_well_and_a_short_one_is_refused() {
    let to = address();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("phrase");
    fs::write(&path, "correct horse battery staple\n").expect("written");
    let viewer = viewer(&format!("{to} --once --passphrase-file {}", path.display()));
    let invitation = "framegram-send --passphrase-file FILE camera";
    assert!(viewer.said().contains(invitation));
    assert!(viewer.said().contains("type chmod 600"));
    let sender = Start::new(SENDER, &format!("{ENDLESS} {to} -n 30"))
        .environment("FRAMEGRAM_PASSPHRASE", "correct horse battery staple");
    let sender = sender.run().end().well();
    assert_complete(&sender, &viewer.end().well());
    let short = Start::new(SENDER, &format!("{ENDLESS} {to} -n 30"));
    let short = short
        .environment("FRAMEGRAM_PASSPHRASE", "short")
        .run()
        .end();
    assert_eq!(short.code, Some(1));
    assert!(
        short.said.contains("at least 12 characters"),
        "{}",
        short.said
    );
}

/// The viewer's messages about a sender, each side with or without a key.
#[test]
fn with_different_keys_nothing_is_shown_and_advice_is_given() {
    let keys = keys();
    let (one, other) = (key_file(&keys, "one"), key_file(&keys, "other"));
    for (sends, views, line) in [
        (&*one, &*other, "but not with this key"),
        (
            &one,
            "",
            "is encrypted: give this viewer the sender's --key-file",
        ),
        ("", &one, "has no key, and is not shown"),
    ] {
        let to = address();
        let mut viewer = viewer(&format!("{to} --wait 4s {views}"));
        let mut sender = Start::new(SENDER, &format!("{ENDLESS} {to} {sends}")).run();
        viewer.wait_for(line);
        if !sends.is_empty() {
            sender.wait_for("No viewer has answered with this key");
        }
        let viewer = viewer.end();
        assert_eq!(viewer.code, Some(1), "{}", viewer.said);
        let advice = viewer.said.lines().last().unwrap_or_default();
        assert!(advice.contains("--key-file"), "{advice}");
        let verdict = "No frame arrived: ";
        assert!(viewer.said.contains(verdict), "{}", viewer.said);
        assert!(viewer.value("frames.shown").is_null());
        sender.signal(Signal::SIGINT);
        assert_eq!(
            sender.end().well().value("viewers.0"),
            &serde_json::Value::Null
        );
    }
}

#[test]
fn bare_jpeg_takes_no_key_and_a_key_file_is_not_overwritten() {
    let keys = keys();
    let key = key_file(&keys, "one");
    for (program, rest) in [(SENDER, "pattern 127.0.0.1:5005"), (VIEWER, "--headless")] {
        let ended = Start::new(program, &format!("--wire raw {key} {rest}"));
        let ended = ended.run_plain().end();
        assert_eq!(ended.code, Some(2), "{}", ended.said);
        assert!(ended.said.contains("cannot be encrypted"), "{}", ended.said);
    }
    let again = Start::new(SENDER, "keygen").with([keys.path().join("one")]);
    let again = again.run_plain().end();
    assert_eq!(again.code, Some(1));
    assert!(
        again.said.contains("exists: name another file"),
        "{}",
        again.said
    );
    let shown = Start::new(SENDER, "keygen").run_plain().end().well();
    assert_eq!(shown.output.len(), 35, "a line of 28 digits in groups");
}

#[test]
fn an_observer_on_the_path_sees_lengths_and_can_neither_change_nor_replay_packets() {
    let keys = keys();
    let key = key_file(&keys, "one");
    let listens = address();
    let mut viewer = viewer(&format!("{listens} {key}"));
    let mut tap = Tap::new(listens);
    let sender = Start::new(SENDER, &format!("{key} --fec 40 --packet-size 1452"));
    let sender = sender.with([media("clip.mp4"), tap.address().to_string()]);
    let sender = sender.run();
    let changed = tap.pass(24);
    let sender = sender.end().well();
    viewer.wait_for("The sender ended the stream");
    assert!(changed > 10, "{changed}");
    assert!(tap.recorded.iter().all(|it| is_sealed(it)));
    // Marker bytes of JPEG that each frame and its header would contain.
    for marks in [&[0xff_u8, 0xd8, 0xff][..], &[0xff, 0xc4, 0x00], b"JFIF"] {
        let seen = |it: &Vec<u8>| it.windows(marks.len()).any(|part| part == marks);
        let seen = tap.recorded.iter().filter(|it| seen(it)).count();
        // By chance, one datagram in ten thousand contains three such bytes.
        assert!(
            seen <= 2,
            "{marks:02x?} in {seen} of {}",
            tap.recorded.len()
        );
    }
    for datagram in &tap.passed {
        tap.socket.send_to(datagram, listens).expect("sent");
    }
    // Everything that arrived before this was taken before it.
    let next = Start::new(SENDER, &format!("{ENDLESS} {listens} -n 60 {key}"));
    let next = next.run().end().well();
    viewer.wait_for("Following another stream");
    viewer.signal(Signal::SIGINT);
    let viewer = viewer.end().well();
    let passed = tap.passed.len() as u64;
    assert_eq!(viewer.count("packets.unauthentic"), changed);
    assert_eq!(viewer.count("stream.followed"), 2);
    let sent = sender.count("frames.sent") + next.count("frames.sent");
    assert!(viewer.count("frames.shown") <= sent);
    let replayed = viewer.count("packets.replayed");
    let dropped = viewer.count("packets.socket_dropped");
    assert!(replayed + dropped >= passed, "{replayed} of {passed}");
    assert!(viewer.count("frames.intact") > 0);
}

/// Somebody between a viewer that connects and the sender, who keeps everything.
struct Recorder {
    stop: Arc<AtomicBool>,
    /// What the viewer sent, and what the sender did.
    ways: [JoinHandle<Vec<Vec<u8>>>; 2],
}

impl Recorder {
    /// Listens at `near`, for a sender at `far`.
    fn new(near: SocketAddr, far: SocketAddr) -> Self {
        let near = UdpSocket::bind(near).expect("a free port");
        let own = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        own.connect(far).expect("an address");
        let stop = Arc::new(AtomicBool::new(false));
        let viewer = Arc::new(Mutex::new(None));
        let (to, back) = (own.try_clone(), near.try_clone());
        let (to, back) = (to.expect("a socket"), back.expect("a socket"));
        let known = Arc::clone(&viewer);
        let there = Self::pass(near, &stop, move |datagram, from| {
            *known.lock().expect("no panic") = Some(from);
            // Before the sender is there, nothing arrives.
            let _ = to.send(datagram);
        });
        let here = Self::pass(own, &stop, move |datagram, _| {
            if let Some(viewer) = *viewer.lock().expect("no panic") {
                back.send_to(datagram, viewer).expect("sent");
            }
        });
        let ways = [there, here];
        Self { stop, ways }
    }

    fn pass(
        socket: UdpSocket,
        stop: &Arc<AtomicBool>,
        mut pass: impl FnMut(&[u8], SocketAddr) + Send + 'static,
    ) -> JoinHandle<Vec<Vec<u8>>> {
        let stop = Arc::clone(stop);
        let patience = Some(Duration::from_millis(20));
        socket.set_read_timeout(patience).expect("a timeout");
        thread::spawn(move || {
            let (mut recorded, mut buffer) = (Vec::new(), vec![0; 65_536]);
            while !stop.load(Ordering::Relaxed) {
                if let Ok((length, from)) = socket.recv_from(&mut buffer) {
                    recorded.push(buffer[..length].to_vec());
                    pass(&buffer[..length], from);
                }
            }
            recorded
        })
    }

    fn end(self) -> [Vec<Vec<u8>>; 2] {
        self.stop.store(true, Ordering::Relaxed);
        self.ways.map(|way| way.join().expect("no panic"))
    }
}

/// Whether a handshake has agreed on the key of a datagram, unless it is part of one
/// itself.
fn is_agreed(datagram: &[u8]) -> bool {
    let is_handshake = matches!(datagram[1] & 31, 10..=12 | 17);
    is_handshake || datagram[16] & 0x80 != 0
}

#[test]
fn a_viewer_that_connects_has_keys_that_nobody_has_later() {
    let keys = keys();
    let key = key_file(&keys, "one");
    let (listens, near) = (address(), address());
    let recorder = Recorder::new(near, listens);
    let mut sender = Start::new(SENDER, &format!("{ENDLESS} --listen {listens} {key}")).run();
    sender.wait_for("Waiting for up to");
    let connects = format!("--headless {PATIENT} --connect {near} {key}");
    let viewer = Start::new(VIEWER, &format!("{connects} --wait 20s -n 30")).run();
    let viewer = viewer.end().well();
    assert_eq!(viewer.count("frames.intact"), 30);
    assert_eq!(viewer.count("packets.unauthentic"), 0);
    sender.signal(Signal::SIGINT);
    let sender = sender.end().well();
    assert_eq!(sender.count("admission.admitted"), 1);
    assert_eq!(sender.count("packets.unauthentic"), 0);
    let [requests, stream] = recorder.end();
    for (way, least) in [(&requests, 1), (&stream, 30)] {
        assert!(way.iter().all(|it| is_sealed(it) && is_agreed(it)));
        let of_stream = way.iter().filter(|it| it[16] & 0x80 != 0).count();
        assert!(of_stream >= least, "{of_stream} of {}", way.len());
    }
    // All of it again, to a viewer that starts later with the same key.
    let impostor = UdpSocket::bind(near).expect("a free port");
    let late = Start::new(VIEWER, &format!("{connects} --wait 4s")).run();
    let patience = Some(Duration::from_secs(20));
    impostor.set_read_timeout(patience).expect("a timeout");
    let asked = impostor.recv_from(&mut [0; 2_000]);
    let (_, viewer) = asked.expect("it asks for a stream");
    for datagram in &stream {
        impostor.send_to(datagram, viewer).expect("sent");
    }
    let late = late.end();
    assert_eq!(late.code, Some(1), "{}", late.said);
    assert!(late.value("frames.shown").is_null());
}

#[test]
fn a_key_file_is_for_its_owner_only() {
    let keys = keys();
    let metadata = fs::metadata(keys.path().join("one")).expect("it is there");
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
}
