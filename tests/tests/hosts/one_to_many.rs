//! One sender and three viewers on a network: groups, broadcast, and several
//! destinations, over IPv4 and IPv6.

use framegram_tests::hosts::INTERFACE;
use framegram_tests::networks::Segment;
use framegram_tests::program::{Ended, PATIENT, Program, SENDER, Start, VIEWER};
use nix::sys::signal::Signal;

const FRAMES: u64 = 20;

/// The hosts of the viewers; the sender is host 0.
const VIEWERS: [u8; 3] = [1, 2, 3];

fn viewer(network: &Segment, host: u8, arguments: &str) -> Program {
    let mut viewer = network
        .start(host, VIEWER, &format!("--headless {PATIENT} {arguments}"))
        .run();
    viewer.wait_for("Waiting for a stream");
    viewer
}

/// Sends some frames to viewers that listen at `at`, each on its own host.
fn play(network: &Segment, at: &str, sending: &str) -> (Ended, Vec<Ended>) {
    let viewers = VIEWERS.map(|host| viewer(network, host, &format!("{at} --once")));
    let arguments = format!("--frames {FRAMES} pattern:320x180@30 {sending}");
    let sender = network.start(0, SENDER, &arguments).run().end().well();
    assert_eq!(sender.count("frames.sent"), FRAMES);
    (sender, viewers.map(|viewer| viewer.end().well()).into())
}

/// Asserts that every viewer got every datagram, and that the sender sent each only once.
fn assert_one_for_all((sender, viewers): &(Ended, Vec<Ended>)) {
    for viewer in viewers {
        assert_eq!(viewer.count("frames.intact"), FRAMES, "{:#}", viewer.report);
        assert_eq!(
            viewer.count("packets.received") + viewer.count("packets.duplicate"),
            sender.count("packets.sent")
        );
    }
}

pub(crate) fn a_group_reaches_three_viewers_at_the_price_of_one() {
    let network = Segment::new(4);
    let on = format!("--interface {INTERFACE}");
    for (at, sending) in [
        ("239.7.7.7:5006", "239.7.7.7:5006".to_owned()),
        (
            &format!("239.7.7.8:5006 {on}"),
            format!("239.7.7.8:5006 --ttl 3 {on}"),
        ),
        (
            &format!("[ff05::7:7]:5006 {on}"),
            format!("[ff05::7:7]:5006 {on}"),
        ),
    ] {
        assert_one_for_all(&play(&network, at, &sending));
    }
}

/// Who comes late has the salt from the next report; who has no key sees nothing.
pub(crate) fn a_group_with_a_key_is_open_to_latecomers_who_have_it() {
    let network = Segment::new(4);
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    let made = Start::new(SENDER, "keygen").with([&key]).run_plain().end();
    assert_eq!(made.code, Some(0), "{}", made.said);
    let key = format!("--key-file {}", key.display());
    let at = "239.7.7.11:5006";
    let mut first = viewer(&network, 1, &format!("{at} --once {key}"));
    let without = viewer(&network, 3, &format!("{at} --wait 3s"));
    let arguments = format!("-t 4 pattern:320x180@30 {at} {key}");
    let sender = network.start(0, SENDER, &arguments).run();
    first.wait_for("Following");
    let late = viewer(&network, 2, &format!("{at} --once {key}"));
    let sender = sender.end().well();
    let [first, late] = [first, late].map(|viewer| viewer.end().well());
    assert_eq!(
        first.count("frames.intact"),
        sender.count("frames.sent"),
        "{:#}",
        first.report
    );
    assert!(late.count("frames.intact") > 0, "{:#}", late.report);
    for name in ["packets.unauthentic", "packets.replayed", "frames.lost"] {
        assert_eq!(first.count(name) + late.count(name), 0, "{name}");
    }
    let without = without.end();
    assert_eq!(without.code, Some(1), "{}", without.said);
    assert!(without.said.contains("is encrypted: give this viewer"));
    assert!(without.value("frames.shown").is_null());
}

pub(crate) fn rtp_and_bare_jpeg_reach_a_group_too() {
    let network = Segment::new(4);
    for wire in ["rtp", "raw"] {
        let at = "239.7.7.9:5006";
        // Bare JPEG has no bye.
        let (sender, viewers) = play(
            &network,
            &format!("{at} --frames {FRAMES}"),
            &format!("{at} --wire {wire}"),
        );
        for viewer in viewers {
            assert_eq!(viewer.value("stream.wire"), wire);
            assert_eq!(viewer.count("frames.intact"), FRAMES, "{:#}", viewer.report);
        }
        assert_eq!(sender.count("packets.send_errors"), 0);
    }
}

pub(crate) fn a_broadcast_reaches_three_viewers_at_the_price_of_one() {
    let network = Segment::new(4);
    for to in ["10.78.5.255:5006", "255.255.255.255:5006"] {
        let sending = format!("{to} --broadcast --interface {INTERFACE}");
        assert_one_for_all(&play(&network, ":5006", &sending));
    }
}

pub(crate) fn several_destinations_each_get_the_stream() {
    let network = Segment::new(4);
    let to = format!(
        "{}:5006 [{}]:5006 {}:5006",
        Segment::v4(1),
        Segment::v6(2),
        Segment::v4(3)
    );
    let (sender, viewers) = play(&network, ":5006", &to);
    let mut received = 0;
    for viewer in &viewers {
        assert_eq!(viewer.count("frames.intact"), FRAMES, "{:#}", viewer.report);
        received += viewer.count("packets.received");
    }
    assert_eq!(received, sender.count("packets.sent"));
}

pub(crate) fn a_group_reaches_as_far_as_it_is_told_to() {
    let network = Segment::new(2);
    let group = "239.7.7.10:5006";
    let run = |sending: &str, near_hears: bool| {
        let near = viewer(&network, 0, &format!("{group} --once"));
        let far = viewer(&network, 1, &format!("{group} --once"));
        let arguments = format!("--frames {FRAMES} pattern:160x90@30 {group} {sending}");
        let sender = network.start(0, SENDER, &arguments).run().end().well();
        assert_eq!(sender.count("frames.sent"), FRAMES);
        let (hears, deaf) = if near_hears { (near, far) } else { (far, near) };
        assert_eq!(hears.end().well().count("frames.intact"), FRAMES);
        deaf.signal(Signal::SIGINT);
        assert_eq!(deaf.end().well().count("stream.followed"), 0);
    };
    run("--ttl 0", true);
    run("--no-multicast-loop", false);
}
