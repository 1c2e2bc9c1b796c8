//! Streams of SRTP: the key is in the sender's session description.

use std::fs::{self, Permissions};
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use framegram_tests::program::{PATIENT, Program, SENDER, Start, VIEWER, address};
use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::keys::{key_file, keys};
use crate::tap::{Tap, await_read};

/// Frames that never end, small and quick.
const ENDLESS: &str = "pattern:320x180@60";

/// A sender with its session description.
struct Sealing {
    program: Program,
    sdp: PathBuf,
}

impl Sealing {
    /// It has sent its first frame.
    fn start(keys: &TempDir, to: SocketAddr, arguments: &str) -> Self {
        let sdp = keys.path().join(format!("{}.sdp", to.port()));
        let (key, path) = (key_file(keys, "one"), sdp.display());
        let arguments = format!("--wire rtp {key} --sdp {path} {arguments} {to}");
        let mut program = Start::new(SENDER, &arguments).run();
        program.wait_for("holds the key of this start, and only you can read it");
        Self { program, sdp }
    }
}

fn viewer(to: SocketAddr, sdp: &std::path::Path, arguments: &str) -> Program {
    let sdp = sdp.display();
    let arguments = format!("--headless {PATIENT} --sdp {sdp} {to} {arguments}");
    let mut viewer = Start::new(VIEWER, &arguments).run();
    viewer.wait_for("Waiting for a stream");
    viewer
}

#[test]
fn srtp_arrives_whole_and_reports_come_back_sealed() {
    let keys = keys();
    for (arguments, listens) in [("", "open"), ("--rtcp-mux", "")] {
        let to = address();
        let Sealing { program, sdp } = Sealing::start(&keys, to, &format!("{arguments} {ENDLESS}"));
        let metadata = fs::metadata(&sdp).expect("it is there");
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
        let text = fs::read_to_string(&sdp).expect("text");
        assert!(text.contains(" RTP/SAVP 26\r\n"), "{text}");
        assert!(text.contains("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:"));
        // The sender reports within 7.5 s, and is answered.
        let viewer = viewer(to, &sdp, "-t 9s");
        let said = viewer.said();
        assert!(said.contains("framegram-send --wire rtp --key-file FILE --sdp FILE camera"));
        let viewer = viewer.end().well();
        program.signal(Signal::SIGINT);
        let sender = program.end().well();
        assert!(viewer.count("frames.intact") > 300, "{:#}", viewer.report);
        assert_eq!(viewer.value("stream.wire"), "rtp");
        for name in ["lost", "malformed", "unauthentic", "replayed"] {
            let name = format!("packets.{name}");
            assert_eq!(viewer.count(&name), 0, "{name}: {:#}", viewer.report);
        }
        assert_eq!(sender.count("packets.unauthentic"), 0, "{listens}");
        // Known from the viewer's report alone.
        assert!(sender.value("jitter_ms").is_number(), "{:#}", sender.report);
    }
}

#[test]
fn each_start_has_a_key_of_its_own_and_another_one_shows_nothing() {
    let keys = keys();
    let (first, second) = (address(), address());
    let one = Sealing::start(&keys, first, ENDLESS);
    let other = Sealing::start(&keys, second, ENDLESS);
    let attribute = |sealing: &Sealing| {
        let text = fs::read_to_string(&sealing.sdp).expect("text");
        let line = text.lines().find(|line| line.starts_with("a=crypto:"));
        line.expect("a key").to_owned()
    };
    assert_ne!(attribute(&one), attribute(&other));
    let mut wrong = viewer(first, &other.sdp, "--wait 3s");
    wrong.wait_for("but not with the key of this session description");
    let wrong = wrong.end();
    assert_eq!(wrong.code, Some(1), "{}", wrong.said);
    assert!(wrong.value("frames.shown").is_null(), "{:#}", wrong.report);
    // Without a key, its viewer shows nothing either.
    let without = format!("--headless --wait 2s {second} --wire rtp");
    let without = Start::new(VIEWER, &without).run().end();
    assert_eq!(without.code, Some(1), "{}", without.said);
    // Nor does one with a key show what has none.
    other.program.signal(Signal::SIGINT);
    let _ = other.program.end().well();
    let mut with = viewer(second, &other.sdp, "--wait 3s");
    let clear = Start::new(SENDER, &format!("--wire rtp {ENDLESS} {second} -t 4s")).run();
    with.wait_for("but not with the key of this session description");
    let with = with.end();
    assert_eq!(with.code, Some(1), "{}", with.said);
    assert!(with.value("frames.shown").is_null(), "{:#}", with.report);
    drop(clear);
}

#[test]
fn whoever_is_on_the_path_can_neither_change_nor_repeat_a_packet_of_srtp() {
    let keys = keys();
    let listens = address();
    let mut tap = Tap::new(listens);
    let to = tap.address();
    let arguments = format!("--rtcp-mux {ENDLESS} -n 240");
    let Sealing { program, sdp } = Sealing::start(&keys, to, &arguments);
    let mut viewer = viewer(listens, &sdp, "");
    // Anywhere, the header too.
    let changed = tap.pass(0);
    let sender = program.end().well();
    viewer.wait_for("The sender ended the stream");
    assert!(changed > 10, "{changed}");
    for datagram in &tap.passed {
        tap.socket.send_to(datagram, listens).expect("sent");
    }
    await_read(listens);
    viewer.signal(Signal::SIGINT);
    let viewer = viewer.end().well();
    let passed = tap.passed.len() as u64;
    let unauthentic = viewer.count("packets.unauthentic");
    let replayed = viewer.count("packets.replayed");
    let dropped = viewer.count("packets.socket_dropped");
    // A changed number may be one that was taken.
    let refused = unauthentic + replayed + dropped;
    assert_eq!(refused, changed + passed, "{:#}", viewer.report);
    assert!(replayed > passed / 2, "{replayed} of {passed}");
    assert_eq!(viewer.count("stream.followed"), 1);
    assert!(viewer.count("frames.intact") > 0);
    assert!(viewer.count("frames.shown") <= sender.count("frames.sent"));
}

#[test]
fn what_srtp_needs_is_said_and_an_older_description_becomes_private() {
    let keys = keys();
    let key = key_file(&keys, "one");
    let sdp = keys.path().join("x.sdp");
    let f8 = "a=crypto:1 F8_128_HMAC_SHA1_80 inline:4fl6DT4Bi+DWT6MsBt5BOQ7Gda1Jiv7rtpYLOqvm\n";
    fs::write(&sdp, f8).expect("written");
    fs::set_permissions(&sdp, Permissions::from_mode(0o644)).expect("ours");
    let path = sdp.display();
    let to = address();
    for (program, arguments, code, line) in [
        (
            SENDER,
            format!("--wire rtp {key} pattern {to}"),
            2,
            "needs --sdp FILE",
        ),
        (
            VIEWER,
            format!("--wire rtp {key} --headless {to}"),
            2,
            "give --sdp FILE instead",
        ),
        (
            VIEWER,
            format!("--sdp {path} {key} --headless {to}"),
            2,
            "exclude each other",
        ),
        (
            VIEWER,
            format!("--sdp {path} --headless {to}"),
            1,
            "the cipher suite F8_128_HMAC_SHA1_80 is not supported",
        ),
    ] {
        let ended = Start::new(program, &arguments).run_plain().end();
        assert_eq!(ended.code, Some(code), "{}", ended.said);
        assert!(ended.said.contains(line), "{}", ended.said);
    }
    let arguments = format!("--wire rtp {key} --sdp {path} {ENDLESS} -n 2 {to}");
    let sent = Start::new(SENDER, &arguments).run().end().well();
    assert!(sent.said.contains("only you can read it"), "{}", sent.said);
    let metadata = fs::metadata(&sdp).expect("it is there");
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    let mut readable = fs::File::options().append(true).open(&sdp).expect("ours");
    readable.write_all(b"a=note:\r\n").expect("written");
    fs::set_permissions(&sdp, Permissions::from_mode(0o640)).expect("ours");
    let viewer = viewer(to, &sdp, "--wait 1s");
    assert!(viewer.said().contains("type chmod 600"));
    assert_eq!(viewer.end().code, Some(1));
}
