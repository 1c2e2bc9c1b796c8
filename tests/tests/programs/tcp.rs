//! Streams over TCP.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use framegram_common::seq::FrameNumber;
use framegram_common::wire::native::Packet;
use framegram_tests::program::{Program, SENDER, Start, VIEWER, address, media};
use nix::sys::signal::Signal;

fn viewer(to: SocketAddr, arguments: &str) -> Program {
    let mut viewer = Start::new(VIEWER, &format!("{to} --headless {arguments}")).run();
    viewer.wait_for("Waiting for a stream");
    viewer
}

fn sender(source: &str, to: &str) -> Program {
    Start::new(SENDER, &format!("{source} --transport tcp {to}")).run()
}

#[test]
fn every_frame_arrives_complete_and_both_reports_agree() {
    let to = [address(), address()];
    let viewers = to.map(|to| viewer(to, "--once"));
    let clip = media("clip.mp4");
    let sender = sender(&clip, &format!("{} {}", to[0], to[1])).end().well();
    for viewer in viewers {
        let viewer = viewer.end().well();
        assert_eq!(viewer.value("stream.transport"), "tcp");
        let sent = viewer.count("frames.sent");
        assert_eq!(sent, sender.count("frames.sent"));
        assert_eq!(sent, viewer.count("frames.intact"));
        assert_eq!(viewer.count("packets.lost"), 0);
        assert_eq!(
            viewer.count("packets.sent"),
            viewer.count("packets.received")
        );
    }
    assert_eq!(sender.value("stream.transport"), "tcp");
}

#[test]
fn a_viewer_that_starts_late_or_again_is_connected_to() {
    let to = address();
    let mut sender = sender("pattern:320x180@30", &to.to_string());
    sender.wait_for("nobody listens");
    for _ in 0..2 {
        let viewer = viewer(to, "--frames 10").end().well();
        assert_eq!(viewer.count("frames.intact"), 10);
        assert_eq!(viewer.count("packets.lost"), 0);
    }
    sender.signal(Signal::SIGINT);
    let sender = sender.end().well();
    // Frames that were captured while no viewer was connected were not encoded.
    assert!(sender.count("outcomes.replaced") > 0, "{:#}", sender.report);
}

/// The packets of a stream as they arrive, framed as in RFC 4571.
fn packets(mut stream: &TcpStream) -> impl Iterator<Item = Vec<u8>> {
    std::iter::from_fn(move || {
        let mut len = [0; 2];
        stream.read_exact(&mut len).ok()?;
        let mut packet = vec![0; u16::from_be_bytes(len).into()];
        stream.read_exact(&mut packet).ok()?;
        Some(packet)
    })
}

#[test]
fn a_slow_viewer_gets_the_newest_waiting_frame_and_a_fast_one_all_frames() {
    let (slow, fast) = (address(), address());
    let listener = TcpListener::bind(slow).unwrap();
    let fast_viewer = viewer(fast, "--once");
    let sender = sender("pattern:1280x720@30", &format!("{slow} {fast}"));
    // It reads nothing until the sender reports that this much time has passed.
    let (stream, _) = listener.accept().unwrap();
    let mut sender = sender;
    sender.wait_for("0:03.");
    sender.signal(Signal::SIGINT);
    let mut frames = BTreeSet::new();
    for packet in packets(&stream) {
        if let (_, Packet::Chunk(chunk)) = Packet::decode(&packet).unwrap() {
            frames.insert(chunk.frame.extend(FrameNumber(0)));
        }
    }
    drop(stream);
    let sender = sender.end().well();
    let fast_viewer = fast_viewer.end().well();
    let sent = sender.count("frames.sent");
    assert!(
        (frames.len() as u64) < sent / 2,
        "{} of {sent}",
        frames.len()
    );
    assert_eq!(fast_viewer.count("frames.intact"), sent);
}

#[test]
fn strangers_connections_neither_hold_up_a_stream_nor_end_the_viewer() {
    let to = address();
    let viewer = viewer(to, "--once");
    let connect = || TcpStream::connect(to).unwrap();
    // More connections than there is room for. Most of them send nothing.
    let mut strangers: Vec<_> = std::iter::repeat_with(connect).take(70).collect();
    for (at, stranger) in strangers.iter_mut().enumerate().skip(60) {
        let bytes: [&[u8]; 3] = [b"GET / HTTP/1.1\r\n\r\n", &[0; 100], &[0xff; 100]];
        // It may be closed already.
        let _ = stranger.write_all(bytes[at % 3]);
    }
    let sender = sender("pattern:320x180@30 --frames 60", &to.to_string());
    let sender = sender.end().well();
    let viewer = viewer.end().well();
    assert_eq!(viewer.count("frames.intact"), sender.count("frames.sent"));
    assert_eq!(viewer.count("packets.lost"), 0);
    drop(strangers);
}
