//! What the timecodes in the frames tell.

use serde::Serialize;

use super::Percentiles;

/// Counts of images that carry timecodes, in the order in which they were seen:
/// images = shown + repeated + backward + unread.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct TimecodeCounts {
    /// Images looked at.
    pub images: u64,
    /// Of these, without a readable timecode.
    pub unread: u64,
    /// Frames seen, each counted once.
    pub shown: u64,
    /// Frames between the first and the last one seen that were not seen.
    pub lost: u64,
    /// Images that show the same frame as the one before.
    pub repeated: u64,
    /// Images that show a frame again that was seen before the last one.
    pub backward: u64,
    /// Of the frames seen, those seen after a newer one.
    pub overtaken: u64,
    /// Most images in a row with one frame.
    pub longest: u64,
    /// Runs of a sender.
    pub runs: u64,
    /// Capture to first seen, in milliseconds. `None` unless capture and seeing are
    /// on one clock.
    pub delay_ms: Option<Percentiles>,
}
