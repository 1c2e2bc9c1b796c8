//! Two viewers, one of them behind a slow path with loss.

use std::time::Duration;

use framegram_lab::impair::Impairment;
use framegram_tests::hosts::{Hosts, VIEWER_IPS};
use framegram_tests::program::{Ended, Program, Start};

/// The address of the viewer on the sender's own host, whose path loses nothing.
const CLEAN: &str = "127.0.0.1:5006";

fn listening(viewer: Start) -> Program {
    let mut viewer = viewer.run();
    viewer.wait_for("Waiting for a stream");
    viewer
}

/// Plays the same frames to the clean viewer, and to `others`.
fn play(hosts: &Hosts, others: &str) -> (Ended, Ended) {
    let arguments = "--headless --once --latency 200ms";
    let clean = format!("{CLEAN} {arguments}");
    let clean = listening(hosts.viewer_by_sender(&clean));
    // All datagrams are of one size, so that bytes can be compared.
    let sending = "pattern:1920x1080@30 --frames 450 --rate auto --packet-size 1452 -v";
    let sender = hosts.sender(&format!("{sending} {CLEAN} {others}"));
    let sender = sender.run().end().well();
    (sender, clean.end().well())
}

pub(crate) fn a_slow_viewer_gets_a_second_encoding_and_another_what_it_gets_alone() {
    let slow = |rate| Impairment {
        loss: 0.05,
        rate: Some(rate),
        queue: Duration::from_millis(200),
        delay: Duration::from_millis(5),
        seed: 7,
        ..Impairment::default()
    };
    // About a fifth of what the stream takes.
    let hosts = Hosts::with_path(slow(4_000_000), slow(100_000_000));
    let (_, alone) = play(&hosts, "");
    let viewer = format!("{}:5005 --headless --once --latency 200ms", VIEWER_IPS[0]);
    let far = listening(hosts.viewer(&viewer));
    let (sender, beside) = play(&hosts, &format!("{}:5005", VIEWER_IPS[0]));
    let far = far.end().well();
    let per_frame = |viewer: &Ended| {
        assert_eq!(viewer.count("frames.intact"), viewer.count("frames.sent"));
        assert_eq!(viewer.count("packets.lost"), 0);
        viewer.count("bytes.received") as f64 / viewer.count("frames.sent") as f64
    };
    let (alone, beside) = (per_frame(&alone), per_frame(&beside));
    assert!(
        (beside / alone - 1.0).abs() < 0.03,
        "{beside}, alone {alone}"
    );
    let second = sender.count("paths.1.frames_second_encoding");
    assert_eq!(sender.count("paths.0.frames_second_encoding"), 0);
    assert!(sender.said.contains("a second encoding"), "{}", sender.said);
    // It takes some seconds until the path is known.
    let all = sender.count("frames.sent");
    assert!(second * 2 > all, "{second} of {all}: {:#}", sender.report);
    let (complete, sent) = (far.count("frames.intact"), far.count("frames.sent"));
    assert!(
        complete * 10 > sent * 8,
        "{complete} of {sent}: {:#}",
        far.report
    );
    // At a lower quality or, if that was not enough, in a smaller size, whose quality may be any.
    let of = |side: &Ended, name| side.value(name).as_u64();
    let is_less = |name| of(&far, name) < of(&sender, name);
    assert!(
        is_less("stream.quality") || is_less("stream.width"),
        "{:#}",
        far.report
    );
}
