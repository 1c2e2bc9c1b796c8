//! The ways in which a stream ends regularly.

use nix::sys::signal::Signal;

use super::{listening, sender};
use framegram_tests::odd_jpeg::in_recording;
use framegram_tests::program::address;

#[test]
fn a_signal_ends_both_programs_in_order() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let address = address();
        let mut viewer = listening(address, "--once --output out.mjpeg");
        let mut sender = sender("pattern:320x180@60", address, "").run();
        viewer.wait_for("frames");
        sender.wait_for("frames");
        sender.signal(signal);
        let sender = sender.end().well();
        let viewer = viewer.end().well();
        assert_eq!(viewer.value("stream.ended"), true, "no bye after {signal}");
        assert_eq!(viewer.count("frames.sent"), sender.count("frames.sent"));
        assert_eq!(viewer.count("frames.intact"), sender.count("frames.sent"));
        assert_eq!(viewer.count("packets.lost"), 0);
    }
}

#[test]
fn a_signal_ends_a_viewer_that_waits_or_watches() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let waiting = listening(address(), "");
        waiting.signal(signal);
        let _ = waiting.end().well();

        let address = address();
        let mut watching = listening(address, "--output out.mjpeg --snapshot out.png");
        let _sender = sender("pattern:320x180@60", address, "").run();
        watching.wait_for("frames");
        watching.signal(signal);
        let ended = watching.end().well();
        let shown = ended.count("frames.shown");
        assert!(shown > 0);
        let recorded = in_recording(&ended.file("out.mjpeg")).concat();
        assert_eq!(recorded.len() as u64, ended.count("bytes.jpeg"));
        assert!(image::load_from_memory(&ended.file("out.png")).is_ok());
    }
}

#[test]
fn both_programs_end_after_the_requested_frames() {
    let address = address();
    let viewer = listening(address, "--frames 12");
    let sender = sender("pattern:320x180@60", address, "--frames 40")
        .run()
        .end()
        .well();
    assert_eq!(sender.count("frames.sent"), 40);
    assert_eq!(viewer.end().well().count("frames.shown"), 12);
}

#[test]
fn both_programs_end_after_the_requested_time() {
    let address = address();
    let viewer = listening(address, "--duration 500ms");
    let sender = sender("pattern:320x180@30", address, "--duration 1s")
        .run()
        .end()
        .well();
    let sent = sender.count("frames.sent");
    assert!((25..=32).contains(&sent), "{sent} frames in a second");
    let shown = viewer.end().well().count("frames.shown");
    assert!((8..=20).contains(&shown), "{shown} frames in half a second");
}

#[test]
fn a_viewer_gives_up_when_nothing_arrives() {
    let ended = listening(address(), "--wait 300ms").end();
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.said.contains("no stream arrived within"),
        "{}",
        ended.said
    );
}

#[test]
fn a_looped_video_continues_until_a_limit() {
    let address = address();
    let viewer = listening(address, "--once");
    let source = framegram_tests::program::media("rotated.mp4");
    let sender = sender(&source, address, "--loop --frames 70 --fps 60");
    assert_eq!(sender.run().end().well().count("frames.sent"), 70);
    assert_eq!(viewer.end().well().count("frames.sent"), 70);
}
