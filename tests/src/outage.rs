//! Outages: the network is away, or a program stands still, for some seconds.
//! Afterwards the picture must return at once.

use std::thread::sleep;
use std::time::Duration;

use framegram_net::clock;
use nix::sys::signal::Signal;

use crate::program::{Program, Start};

/// Source of the stream.
pub const SOURCE: &str = "pattern:320x180@30";

/// Length of the outage: longer than a sender remembers a silent viewer.
pub const AWAY: Duration = Duration::from_secs(6);

/// Time for which the stream continues afterwards.
pub const AFTER: Duration = Duration::from_secs(4);

/// Time within which the picture must return, on the busiest machine. If frames
/// waited for older ones that never arrive, it would take longer than [`AFTER`].
pub const SOON: Duration = Duration::from_secs(3);

/// Runs a stream, takes something away for a while, gives it back, and asserts
/// that the picture returns soon.
///
/// # Panics
/// If it does not.
pub fn assert_back(
    sender: Program,
    mut viewer: Program,
    take: impl Fn(&Program, &Program),
    give: impl Fn(&Program, &Program),
) {
    viewer.wait_for("It is the native format");
    take(&sender, &viewer);
    sleep(AWAY);
    give(&sender, &viewer);
    let back = clock::now();
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
    // Frames that the sender's operating system rejected have numbers too.
    let numbered = sender.count("frames.sent") + sender.count("frames.not_sent");
    assert_eq!(viewer.count("frames.sent"), numbered);
}

/// Arguments of a viewer that listens at this address, or connects to it.
pub fn viewing(to: &str) -> String {
    // Without --once, because it takes a long silence for the end.
    format!("{to} --headless --report frames.csv")
}

/// Starts both programs. The one that waits for the other starts first: the
/// sender if the viewer connects (`pull`).
pub fn both(sender: Start, viewer: Start, pull: bool) -> (Program, Program) {
    if pull {
        let mut sender = sender.run();
        sender.wait_for("To connect, type");
        (sender, viewer.run())
    } else {
        let mut viewer = viewer.run();
        viewer.wait_for("Waiting for a stream");
        (sender.run(), viewer)
    }
}
