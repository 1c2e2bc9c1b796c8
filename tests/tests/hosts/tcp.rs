//! TCP beside UDP, between hosts.

use std::time::Duration;

use framegram_lab::impair::Impairment;
use framegram_tests::hosts::{Hosts, VIEWER_IPS};
use framegram_tests::program::Ended;

/// Plays a stream between two hosts. Returns the ended sender and viewer.
fn play(hosts: &Hosts, sending: &str, viewing: &str) -> (Ended, Ended) {
    let mut viewer = hosts.viewer(&format!("--headless --once {viewing}")).run();
    viewer.wait_for("Waiting for a stream");
    let sender = hosts.sender(&format!("{sending} {}:5005", VIEWER_IPS[0]));
    let sender = sender.run().end().well();
    (sender, viewer.end().well())
}

pub(crate) fn a_stream_passes_where_no_udp_does() {
    let hosts = Hosts::new(1_500);
    for rule in [
        "nft add table ip wall",
        "nft add chain ip wall in { type filter hook input priority 0 ; }",
        "nft add rule ip wall in meta l4proto udp drop",
    ] {
        let _ = hosts.run_by_viewer(rule);
    }
    let source = "pattern:320x180@30 --frames 60";
    let (sender, viewer) = play(&hosts, &format!("{source} --transport tcp"), "");
    // Frames that are captured before the connection is open are replaced.
    assert!(sender.count("frames.sent") > 0);
    assert_eq!(viewer.count("frames.intact"), sender.count("frames.sent"));
    assert_eq!(viewer.value("stream.transport"), "tcp");
}

pub(crate) fn over_a_path_with_loss_tcp_delivers_every_sent_frame_complete() {
    let lossy = |seed| Impairment {
        loss: 0.02,
        delay: Duration::from_millis(10),
        seed,
        ..Impairment::default()
    };
    let hosts = Hosts::with_path(lossy(1), lossy(2));
    let source = "pattern:640x360@30 --frames 150";
    let (sender, viewer) = play(&hosts, &format!("{source} --transport tcp"), "");
    assert_eq!(viewer.count("packets.lost"), 0);
    assert_eq!(viewer.count("frames.intact"), sender.count("frames.sent"));
    // The same path with UDP: it does lose packets, in the intended share.
    let unrepaired = format!("{source} --fec off --no-retransmit");
    let (_, viewer) = play(&hosts, &unrepaired, "--latency 500ms");
    let lost = viewer.count("packets.lost") as f64 / viewer.count("packets.sent") as f64;
    assert!((0.01..0.035).contains(&lost), "{lost}");
    let way = viewer.value("delays_ms.one_way")["p50"].as_f64().unwrap();
    assert!(way >= 10.0, "{way} ms");
}
