//! The network is away for some seconds, or a program stands still: the picture
//! is back at once when they are.

use std::thread::sleep;
use std::time::Duration;

use framegram_common::os;
use framegram_tests::hosts::{Hosts, INTERFACE, SENDER_IPS, VIEWER_IPS};
use framegram_tests::program::{Program, SENDER, Start, VIEWER, address};
use nix::sys::signal::Signal;

const SOURCE: &str = "pattern:320x180@30";

/// Longer than a viewer that asked for the stream is remembered.
const AWAY: Duration = Duration::from_secs(6);

/// The stream goes on for so long after that.
const AFTER: Duration = Duration::from_secs(4);

/// The picture is back within this on the busiest machine. Where frames wait
/// for older ones that will not come, it is later than [`AFTER`].
const SOON: Duration = Duration::from_secs(3);

/// Lets a stream run, takes something away for a while and gives it back, and
/// asserts that the picture is back soon.
fn assert_back(
    sender: Program,
    mut viewer: Program,
    take: impl Fn(&Program, &Program),
    give: impl Fn(&Program, &Program),
) {
    viewer.wait_for("It is framegram's own format");
    take(&sender, &viewer);
    sleep(AWAY);
    give(&sender, &viewer);
    let back = os::now();
    sleep(AFTER);
    sender.signal(Signal::SIGINT);
    let sender = sender.end().well();
    viewer.wait_for("The sender ended the stream");
    viewer.signal(Signal::SIGINT);
    let viewer = viewer.end().well();
    let without = viewer.first_picture(back).map(|shown| shown - back);
    assert!(
        without.is_some_and(|without| without < SOON),
        "{without:?} without picture: {:#}",
        viewer.report
    );
    assert_eq!(viewer.value("stream.ended"), true, "{:#}", viewer.report);
    assert_eq!(viewer.count("stream.followed"), 1, "{:#}", viewer.report);
    // Those that the sender's system refused have numbers too.
    let numbered = sender.count("frames.sent") + sender.count("frames.not_sent");
    assert_eq!(viewer.count("frames.sent"), numbered);
}

/// A sender and a viewer on this machine.
fn here(pull: bool) -> (Program, Program) {
    let address = address();
    let (from, to) = if pull {
        (
            format!("--listen {address}"),
            format!("--connect {address}"),
        )
    } else {
        (address.to_string(), address.to_string())
    };
    let viewer = Start::new(VIEWER, &viewing(&to));
    let sender = Start::new(SENDER, &format!("{SOURCE} {from}"));
    both(sender, viewer, pull)
}

/// The same on two hosts.
fn between(hosts: &Hosts, pull: bool) -> (Program, Program) {
    let (from, to) = if pull {
        let address = format!("{}:5005", SENDER_IPS[0]);
        (
            format!("--listen {address}"),
            format!("--connect {address}"),
        )
    } else {
        (format!("{}:5005", VIEWER_IPS[0]), String::new())
    };
    let sender = hosts.sender(&format!("{SOURCE} {from}"));
    both(sender, hosts.viewer(&viewing(&to)), pull)
}

fn viewing(to: &str) -> String {
    // Without --once, which takes a long silence for the end.
    format!("{to} --headless --report frames.csv")
}

fn both(sender: Start, viewer: Start, pull: bool) -> (Program, Program) {
    if pull {
        let mut sender = sender.run();
        sender.wait_for("viewers may come");
        (sender, viewer.run())
    } else {
        let mut viewer = viewer.run();
        viewer.wait_for("Waiting for a stream");
        (sender.run(), viewer)
    }
}

/// Takes the cable out at the sender, and puts it in again.
fn without_cable(pull: bool) {
    let Some(hosts) = Hosts::new(1_500) else {
        return;
    };
    let (sender, viewer) = between(&hosts, pull);
    let set = |state| {
        let _ = hosts.run_by_sender(&format!("ip link set {INTERFACE} {state}"));
    };
    assert_back(sender, viewer, |_, _| set("down"), |_, _| set("up"));
}

#[test]
fn without_network_for_a_while() {
    without_cable(false);
}

#[test]
fn without_network_for_a_while_where_the_viewer_asked() {
    without_cable(true);
}

/// Stops the viewer or the sender, and lets it go on.
fn standing_still(pull: bool, is_viewer: bool) {
    let (sender, viewer) = here(pull);
    let signal = |sender: &Program, viewer: &Program, signal| {
        let program = if is_viewer { viewer } else { sender };
        program.signal(signal);
    };
    assert_back(
        sender,
        viewer,
        |sender, viewer| signal(sender, viewer, Signal::SIGSTOP),
        |sender, viewer| signal(sender, viewer, Signal::SIGCONT),
    );
}

#[test]
fn with_a_viewer_that_stands_still() {
    standing_still(false, true);
}

#[test]
fn with_a_viewer_that_asked_and_stands_still() {
    standing_still(true, true);
}

#[test]
fn with_a_sender_that_stands_still() {
    standing_still(false, false);
}

#[test]
fn with_a_sender_that_stands_still_and_was_asked() {
    standing_still(true, false);
}

/// How soon after a silence the viewer has certainly read what waited in its
/// socket.
const READ: Duration = Duration::from_secs(1);

/// Frames that a second has.
const RATE: u64 = 30;

/// Stops the sender or the viewer of a stream whose frames do not tell when
/// they were captured, and lets it go on.
fn standing_still_in_another_format(sending: &str, is_viewer: bool) {
    let address = address();
    let mut viewer = Start::new(VIEWER, &format!("{address} --headless")).run();
    viewer.wait_for("Waiting for");
    let sending = format!("{SOURCE} {address} {sending}");
    let sender = Start::new(SENDER, &sending).run();
    viewer.wait_for("30.0 fps");
    let signal = |signal| {
        let program = if is_viewer { &viewer } else { &sender };
        program.signal(signal);
    };
    signal(Signal::SIGSTOP);
    sleep(AWAY);
    signal(Signal::SIGCONT);
    sleep(READ);
    let before = frames(&viewer);
    sleep(AFTER - READ);
    let after = frames(&viewer);
    for program in [sender, viewer] {
        program.signal(Signal::SIGINT);
        let _ = program.end().well();
    }
    assert!(after >= before + RATE, "{before} frames, then {after}");
}

/// How many frames a viewer has shown, by its progress.
fn frames(viewer: &Program) -> u64 {
    let said = viewer.said();
    let (before, _) = said.rsplit_once(" frames, ").expect("it tells progress");
    let count = before.rsplit(' ').next().unwrap_or_default();
    count.replace(',', "").parse().expect("a number of frames")
}

#[test]
fn with_programs_that_stand_still_and_rtp() {
    for is_viewer in [false, true] {
        standing_still_in_another_format("--wire rtp", is_viewer);
    }
}

#[test]
fn with_programs_that_stand_still_and_bare_jpeg() {
    for is_viewer in [false, true] {
        standing_still_in_another_format("--wire raw", is_viewer);
    }
}

#[test]
fn with_programs_that_stand_still_and_a_grid() {
    for is_viewer in [false, true] {
        let to = address();
        // The next port is for reports, and no other test's.
        let _ = address();
        let viewing = format!("{to} --layout grid --headless --report frames.csv");
        let mut viewer = Start::new(VIEWER, &viewing).run();
        viewer.wait_for("Waiting for");
        let sender = Start::new(SENDER, &format!("{SOURCE} {to}")).run();
        viewer.wait_for("Sender 1 is");
        let program = if is_viewer { &viewer } else { &sender };
        program.signal(Signal::SIGSTOP);
        sleep(AWAY);
        program.signal(Signal::SIGCONT);
        let back = os::now();
        sleep(AFTER);
        for program in [&sender, &viewer] {
            program.signal(Signal::SIGINT);
        }
        let (_, viewer) = (sender.end().well(), viewer.end().well());
        let without = viewer.first_picture(back).map(|shown| shown - back);
        assert!(
            without.is_some_and(|without| without < SOON),
            "{without:?} without picture: {:#}",
            viewer.report
        );
    }
}
