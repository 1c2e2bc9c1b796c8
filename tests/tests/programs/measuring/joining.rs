//! Viewers that join late, senders that are killed, and ends that no viewer hears.

use framegram_tests::program::address;
use nix::sys::signal::Signal;

use super::{listening, sender, staying};
use framegram_tests::measuring::{LOG, assert_equal, check, recorded, wait_for_rows};

const SOURCE: &str = "pattern:320x180@90";

/// Some of each impairment that takes no time.
const HARM: &str = "loss=5%,reorder=3%,dup=3%,corrupt=2%";

/// The length that a log has reached in the middle of a stream, in bytes.
const SOME: u64 = 40_000;

#[test]
fn a_viewer_that_joins_late_counts_from_its_first_packet() {
    for (viewers, senders) in [(Some("delay=5ms±5ms,seed=1"), None), (None, Some("seed=2"))] {
        let harm = |spec: &str| format!("{HARM},{spec}");
        let (viewers, senders) = (viewers.map(harm), senders.map(harm));
        let address = address();
        let early = recorded(Some(senders.as_deref().unwrap_or("seed=0")));
        let sender = sender(SOURCE, address, &early).run();
        wait_for_rows(&sender, SOME);
        let mut viewer = listening(address, &recorded(viewers.as_deref()));
        viewer.wait_for("Following the stream");
        wait_for_rows(&sender, 2 * SOME);
        sender.signal(Signal::SIGINT);
        let sender = sender.end().well();
        let viewer = viewer.end().well();
        let log = if viewers.is_some() {
            viewer.path(LOG)
        } else {
            sender.path(LOG)
        };
        let what = format!("{viewers:?} {senders:?}");
        assert_equal(&what, &viewer, &[&log]);
        assert!(viewer.count("outcomes.before_joining") > 0, "{what}");
        assert!(viewer.count("accounts.0.first_frame") > 0, "{what}");
    }
}

#[test]
fn a_killed_and_restarted_sender_is_counted_to_its_last_packet_and_from_its_first() {
    let address = address();
    let harm = format!("{HARM},delay=5ms±5ms,seed=3");
    let mut viewer = staying(address, &recorded(Some(&harm)));
    let first = sender(SOURCE, address, "").run();
    viewer.wait_for("Following the stream");
    wait_for_rows(&viewer, SOME);
    first.signal(Signal::SIGKILL);
    let _ = first.end();
    let second = sender(SOURCE, address, "").run();
    viewer.wait_for("Following another stream");
    wait_for_rows(&viewer, SOME);
    second.signal(Signal::SIGINT);
    let _ = second.end().well();
    viewer.wait_for("The sender ended the stream");
    viewer.signal(Signal::SIGINT);
    let viewer = viewer.end().well();
    let table = assert_equal(&harm, &viewer, &[&viewer.path(LOG)]);
    assert_eq!(table.matches("Stream ").count(), 2, "{table}");
    assert_eq!(viewer.count("stream.followed"), 2);
}

#[test]
fn the_end_of_a_sender_that_is_killed_is_unknown_and_all_before_it_exact() {
    let address = address();
    let harm = format!("{HARM},delay=5ms±5ms,seed=4");
    let mut viewer = listening(address, &recorded(Some(&harm)));
    let sender = sender(SOURCE, address, "").run();
    viewer.wait_for("Following the stream");
    wait_for_rows(&viewer, SOME);
    sender.signal(Signal::SIGKILL);
    let _ = sender.end();
    let viewer = viewer.end().well();
    assert_equal(&harm, &viewer, &[&viewer.path(LOG)]);
    assert_eq!(viewer.value("stream.ended"), false);
    assert!(viewer.value("frames.after_last_report").is_null());
}

#[test]
fn a_killed_senders_log_is_not_taken_as_complete() {
    let address = address();
    let viewer = listening(address, "");
    let sender = sender(SOURCE, address, &recorded(Some("loss=5%"))).run();
    wait_for_rows(&sender, SOME);
    sender.signal(Signal::SIGKILL);
    let log = sender.folder().join(LOG);
    viewer.signal(Signal::SIGINT);
    let viewer = viewer.end().well();
    let checked = check(&viewer.path("report.json"), &[&log]);
    assert_eq!(checked.code, Some(1), "{}", checked.said);
    assert_eq!(checked.said.lines().count(), 1, "{}", checked.said);
}
