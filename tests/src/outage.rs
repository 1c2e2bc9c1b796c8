//! The network is away for some seconds, or a program stands still: the picture
//! is back at once when they are.

use std::thread::sleep;
use std::time::Duration;

use framegram_net::clock;
use nix::sys::signal::Signal;

use crate::program::{Program, Start};

/// What is streamed.
pub const SOURCE: &str = "pattern:320x180@30";

/// Longer than a viewer that asked for the stream is remembered.
pub const AWAY: Duration = Duration::from_secs(6);

/// The stream goes on for so long after that.
pub const AFTER: Duration = Duration::from_secs(4);

/// The picture is back within this on the busiest machine. Where frames wait
/// for older ones that will not come, it is later than [`AFTER`].
pub const SOON: Duration = Duration::from_secs(3);

/// Lets a stream run, takes something away for a while and gives it back, and
/// asserts that the picture is back soon.
///
/// # Panics
/// Where it is not.
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
    // Those that the sender's system refused have numbers too.
    let numbered = sender.count("frames.sent") + sender.count("frames.not_sent");
    assert_eq!(viewer.count("frames.sent"), numbered);
}

/// The arguments of a viewer at this address, or that asks there.
#[must_use]
pub fn viewing(to: &str) -> String {
    // Without --once, which takes a long silence for the end.
    format!("{to} --headless --report frames.csv")
}

/// Starts both, the one that waits first: the sender if the viewer is to `pull`.
#[must_use]
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
