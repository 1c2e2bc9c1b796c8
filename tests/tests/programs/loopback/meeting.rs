//! Programs that start and end in any order, and more than two of them.

use nix::sys::signal::Signal;

use super::{assert_complete, listening, sender, viewer};
use framegram_tests::program::{SENDER, Start, address, until};

/// A stream without end, of small frames in quick succession.
const ENDLESS: &str = "pattern:320x180@60";

#[test]
fn the_sender_reports_what_each_viewer_saw() {
    let addresses = [address(), address()];
    let viewers = addresses.map(|address| listening(address, "--once"));
    let sender = sender("pattern:320x180@30", addresses[0], "--frames 60")
        .with([addresses[1].to_string()])
        .run();
    let sender = sender.end().well();
    let mut numbers = Vec::new();
    for (index, viewer) in viewers.into_iter().enumerate() {
        let viewer = viewer.end().well();
        let row = sender.value(&format!("viewers.{index}"));
        assert_eq!(row["destination"], index);
        assert_eq!(row["present"], true);
        assert_eq!(row["packets"]["lost"], 0);
        // Its last report may have been sent before its last frame.
        let shown = row["frames"]["shown"].as_u64().expect("told");
        assert!(
            (1..=viewer.count("frames.shown")).contains(&shown),
            "{row:#}"
        );
        let line = format!("at {}: {shown} frames shown", addresses[index]);
        assert!(sender.said.contains(&line), "{}", sender.said);
        numbers.push(row["viewer"].clone());
    }
    assert_ne!(numbers[0], numbers[1]);
    assert!(sender.value("viewers.2").is_null());
}

#[test]
fn the_first_frame_sent_is_the_first_shown_when_the_viewer_listens() {
    let address = address();
    let viewer = listening(address, "--once --output out.mjpeg");
    let sender = sender("pattern:320x180@30", address, "--frames 10")
        .run()
        .end()
        .well();
    let viewer = viewer.end().well();
    assert_complete(&sender, &viewer, 10);
    assert_eq!(viewer.count("outcomes.before_joining"), 0);
}

#[test]
fn a_viewer_that_joins_late_shows_frames_sent_from_then_on() {
    let address = address();
    let mut sender = sender(ENDLESS, address, "").run();
    sender.wait_for("frames");
    // Long enough for the sender to send its totals, once a second.
    let viewer = viewer(address, "--duration 3s").run().end().well();
    assert!(viewer.count("outcomes.before_joining") > 0);
    let shown = viewer.count("frames.shown");
    assert!(shown > 100, "{shown} frames in three seconds");
    assert_eq!(viewer.count("packets.lost"), 0);
}

#[test]
fn a_sender_without_a_viewer_continues_to_the_end() {
    let sender = sender("pattern:320x180@60", address(), "--frames 30")
        .run()
        .end()
        .well();
    assert_eq!(sender.count("frames.sent"), 30);
}

#[test]
fn a_viewer_survives_the_restart_of_the_sender() {
    let address = address();
    let mut viewer = listening(address, "--output out.mjpeg");
    let mut first = sender(ENDLESS, address, "").run();
    first.wait_for("frames");
    // It is killed, so it sends no bye.
    first.signal(Signal::SIGKILL);
    assert_eq!(first.end().code, None);
    let mut second = sender(ENDLESS, address, "").run();
    viewer.wait_for("Following another stream");
    second.wait_for("frames");
    second.signal(Signal::SIGINT);
    let second = second.end().well();
    viewer.wait_for("The sender ended the stream");
    viewer.signal(Signal::SIGINT);
    let viewer = viewer.end().well();
    assert_eq!(viewer.count("stream.followed"), 2);
    assert_eq!(viewer.value("stream.number"), second.value("stream.number"));
    let of_both = viewer.count("frames.shown") + viewer.count("outcomes.before_joining");
    assert!(of_both > second.count("frames.sent"));
}

#[test]
fn a_second_sender_is_counted_and_reported_but_not_shown() {
    let address = address();
    let mut viewer = listening(address, "--once");
    let mut first = sender(ENDLESS, address, "").run();
    first.wait_for("frames");
    let second = sender("pattern:160x90@60", address, "--frames 40")
        .run()
        .end()
        .well();
    assert_eq!(second.count("frames.sent"), 40);
    viewer.wait_for("Another stream");
    first.signal(Signal::SIGTERM);
    let first = first.end().well();
    let viewer = viewer.end().well();
    assert_eq!(viewer.count("stream.followed"), 1);
    assert_eq!(viewer.count("stream.others"), 1);
    assert!(viewer.count("packets.foreign") >= second.count("packets.sent") / 2);
    assert_eq!(viewer.value("stream.number"), first.value("stream.number"));
    assert_eq!(viewer.value("stream.width"), 320);
    assert_eq!(viewer.count("frames.sent"), first.count("frames.sent"));
}

#[test]
fn one_sender_serves_several_viewers() {
    let addresses = [address(), address(), address()];
    let viewers = addresses.map(|address| listening(address, "--once --output out.mjpeg"));
    let sender = Start::new(SENDER, "--frames 30 pattern:320x180@60")
        .with(addresses.map(|address| address.to_string()))
        .run()
        .end()
        .well();
    let recordings = viewers.map(|viewer| {
        let viewer = viewer.end().well();
        assert_eq!(viewer.count("frames.intact"), 30);
        assert_eq!(viewer.count("packets.lost"), 0);
        viewer.file("out.mjpeg")
    });
    assert_eq!(sender.count("frames.sent"), 30);
    assert!(
        recordings
            .iter()
            .all(|recording| *recording == recordings[0])
    );
}

#[test]
fn datagrams_from_elsewhere_are_counted_when_only_some_are_allowed() {
    let address = address();
    let viewer = listening(address, "--allow 10.1.2.0/24 --duration 10s");
    let sender = sender(ENDLESS, address, "--frames 30").run().end().well();
    assert_eq!(sender.count("frames.sent"), 30);
    viewer.signal(Signal::SIGINT);
    let viewer = viewer.end();
    assert!(viewer.count("packets.foreign") > 30, "{:#}", viewer.report);
    assert_eq!(viewer.count("stream.followed"), 0);
}

#[test]
fn frames_skipped_for_a_slow_viewer_are_not_counted_as_lost() {
    let address = address();
    let viewer = listening(address, "--once --buffer 64k");
    let mut sender = sender("pattern:640x360@60", address, "--frames 240").run();
    sender.wait_for("frames");
    viewer.signal(Signal::SIGSTOP);
    until("the kernel to drop datagrams", || {
        (dropped(address.port()) > 100).then_some(())
    });
    viewer.signal(Signal::SIGCONT);
    let sender = sender.end().well();
    let viewer = viewer.end().well();
    let dropped = viewer.count("packets.socket_dropped");
    assert!(dropped > 100, "{dropped} dropped");
    assert_eq!(viewer.count("packets.lost"), 0, "{:#}", viewer.report);
    assert_eq!(
        viewer.count("packets.received") + dropped,
        sender.count("packets.sent")
    );
    let hit = [
        "frames.lost",
        "frames.incomplete",
        "outcomes.late",
        "outcomes.concealed",
        "outcomes.intact_parity",
        "outcomes.intact_retransmission",
    ];
    let hit = hit.map(|count| viewer.count(count));
    assert!(hit.iter().sum::<u64>() > 0, "{:#}", viewer.report);
}

/// How many datagrams the kernel dropped at the sockets of a port.
fn dropped(port: u16) -> u64 {
    let table = std::fs::read_to_string("/proc/net/udp").unwrap_or_default();
    let own = format!(":{port:04X} ");
    let rows = table
        .lines()
        .filter(|row| row[..row.len().min(21)].contains(&own));
    rows.filter_map(|row| row.split_whitespace().last()?.parse::<u64>().ok())
        .sum()
}
