//! What the bar codes in the frames say of a stream.

use serde::Serialize;

use super::Percentiles;

/// The figures of pictures that carry stamps, as they were seen:
/// pictures = shown + repeated + backward + unread.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Stamps {
    /// Pictures looked at.
    pub pictures: u64,
    /// Of these, without a stamp that can be read.
    pub unread: u64,
    /// Frames seen, each counted once.
    pub shown: u64,
    /// Frames between the first and the last one seen that were not.
    pub lost: u64,
    /// Pictures that show the same frame as the one before.
    pub repeated: u64,
    /// Pictures that show a frame again that was seen before the last one.
    pub backward: u64,
    /// Of the frames seen, those that were seen behind a newer one.
    pub overtaken: u64,
    /// The most pictures in a row with one frame.
    pub longest: u64,
    /// Runs of a sender.
    pub runs: u64,
    /// Capture to seen, in milliseconds: of each frame the first time it is
    /// seen. `None` unless capture and seeing are on one clock.
    pub delay_ms: Option<Percentiles>,
}
