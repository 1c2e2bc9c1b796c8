//! A stream between two programs, for tests of their clocks.

use crate::program::{Ended, SENDER, Start, VIEWER, address};

/// Runs a stream of four seconds. `starter` starts the sender. Returns the ended
/// sender and viewer.
///
/// # Panics
/// If a program fails.
pub fn play(starter: &[&str]) -> (Ended, Ended) {
    let to = address();
    let mut viewer = Start::new(VIEWER, &format!("{to} --headless --once")).run();
    viewer.wait_for("Waiting for a stream");
    let arguments = format!("pattern:320x180@30 {to} --frames 120");
    let sender = if starter.is_empty() {
        Start::new(SENDER, &arguments)
    } else {
        Start::by(starter, SENDER, &arguments)
    };
    (sender.run().end().well(), viewer.end().well())
}
