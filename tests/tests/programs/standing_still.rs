//! A program is stopped for some seconds.

use std::thread::sleep;
use std::time::Duration;

use framegram_net::clock;
use framegram_tests::outage::{AFTER, AWAY, SOON, SOURCE, assert_back, both, viewing};
use framegram_tests::program::{Program, SENDER, Start, VIEWER, address};
use nix::sys::signal::Signal;

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

/// Stops the viewer or the sender, and continues it.
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
fn a_stopped_viewer_and_its_sender_agree() {
    standing_still(false, true);
}

#[test]
fn a_stopped_connected_viewer_and_its_sender_agree() {
    standing_still(true, true);
}

#[test]
fn a_stopped_sender_and_its_viewer_agree() {
    standing_still(false, false);
}

#[test]
fn a_stopped_sender_and_its_connected_viewer_agree() {
    standing_still(true, false);
}

/// How soon after a pause the viewer has certainly read what waited in its socket.
const READ: Duration = Duration::from_secs(1);

/// Frames per second.
const RATE: u64 = 30;

/// Stops and continues the sender or the viewer of a stream whose frames carry no capture time.
fn standing_still_in_another_format(sending: &str, is_viewer: bool) {
    let address = address();
    let mut viewer = Start::new(VIEWER, &format!("{address} --headless")).run();
    viewer.wait_for("Waiting for");
    let sending = format!("{SOURCE} {address} {sending}");
    let sender = Start::new(SENDER, &sending).run();
    viewer.wait_for(" fps, ");
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

/// How many frames a viewer has shown, according to its progress line.
fn frames(viewer: &Program) -> u64 {
    let said = viewer.said();
    let (before, _) = said.rsplit_once(" frames, ").expect("it tells progress");
    let count = before.rsplit(' ').next().unwrap_or_default();
    count.replace(',', "").parse().expect("a number of frames")
}

#[test]
fn stopped_programs_agree_with_rtp() {
    for is_viewer in [false, true] {
        standing_still_in_another_format("--wire rtp", is_viewer);
    }
}

#[test]
fn stopped_programs_agree_with_bare_jpeg() {
    for is_viewer in [false, true] {
        standing_still_in_another_format("--wire raw", is_viewer);
    }
}

#[test]
fn a_stopped_sender_and_a_grid_agree() {
    for is_viewer in [false, true] {
        let to = address();
        let viewing = format!("{to} --grid --headless --report frames.csv");
        let mut viewer = Start::new(VIEWER, &viewing).run();
        viewer.wait_for("Waiting for");
        let sender = Start::new(SENDER, &format!("{SOURCE} {to}")).run();
        viewer.wait_for("Sender 1 is");
        let program = if is_viewer { &viewer } else { &sender };
        program.signal(Signal::SIGSTOP);
        sleep(AWAY);
        program.signal(Signal::SIGCONT);
        let back = clock::now();
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
