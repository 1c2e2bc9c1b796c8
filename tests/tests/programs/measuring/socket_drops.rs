//! Datagrams that the viewer's socket drops while the viewer is stopped.

use framegram_tests::measuring::{LOG, assert_equal, recorded, wait_for_rows};
use framegram_tests::program::address;
use nix::sys::signal::Signal;

use super::{listening, sender};

#[test]
fn socket_drops_of_a_stopped_viewer_are_not_network_losses() {
    let address = address();
    let mut viewer = listening(address, "--buffer 64k");
    let sender = sender("pattern:640x360@60", address, &recorded(Some("seed=0"))).run();
    viewer.wait_for("Following the stream");
    wait_for_rows(&sender, 20_000);
    viewer.signal(Signal::SIGSTOP);
    // Several times as much as the buffer can hold.
    wait_for_rows(&sender, 100_000);
    viewer.signal(Signal::SIGCONT);
    wait_for_rows(&sender, 60_000);
    sender.signal(Signal::SIGINT);
    let sender = sender.end().well();
    let viewer = viewer.end().well();
    assert!(viewer.count("packets.socket_dropped") > 100);
    assert_eq!(viewer.count("packets.lost"), 0, "{:#}", viewer.report);
    assert_eq!(viewer.count("outcomes.lost_network"), 0);
    assert_equal("stopped", &viewer, &[&sender.path(LOG)]);
    // Some of it was considered lost at first.
    let buckets = viewer
        .value("timeline.buckets")
        .as_array()
        .expect("buckets");
    let sum = |name: &str| -> u64 { buckets.iter().filter_map(|it| it[name].as_u64()).sum() };
    assert_eq!(sum("packets_lost"), 0);
    assert_eq!(
        sum("socket_dropped"),
        viewer.count("packets.socket_dropped")
    );
    assert_eq!(sum("bytes"), viewer.count("bytes.received"));
}

#[test]
fn socket_drops_of_several_senders_are_reported_in_total() {
    let address = address();
    let line = format!("--grid --buffer 64k {}", recorded(Some("seed=0")));
    let mut viewer = listening(address, &line);
    let senders = [1, 2].map(|number| {
        let sender = sender("pattern:640x360@60", address, &recorded(Some("seed=0"))).run();
        viewer.wait_for(&format!("Sender {number} is"));
        sender
    });
    viewer.signal(Signal::SIGSTOP);
    // From each, several times as much as the buffer can hold.
    for sender in &senders {
        wait_for_rows(sender, 100_000);
    }
    viewer.signal(Signal::SIGCONT);
    for sender in &senders {
        wait_for_rows(sender, 60_000);
        sender.signal(Signal::SIGINT);
    }
    let senders = senders.map(|sender| sender.end().well());
    let viewer = viewer.end().well();
    assert!(viewer.count("packets.socket_dropped") > 100);
    assert_eq!(viewer.count("packets.lost"), 0, "{:#}", viewer.report);
    assert_eq!(viewer.count("outcomes.lost_network"), 0);
    assert!(viewer.count("outcomes.lost_unknown") > 0);
    let said = &viewer.said;
    assert!(
        said.contains("whose packets it dropped cannot be told"),
        "{said}"
    );
    assert!(!said.contains("--fec"), "{said}");
    assert_equal("by the viewer's log", &viewer, &[&viewer.path(LOG)]);
    let logs = [senders[0].path(LOG), senders[1].path(LOG)];
    assert_equal("by the senders'", &viewer, &[&logs[0], &logs[1]]);
}
