//! Figures from the timecodes in the frames.

use serde::Serialize;

use super::Percentiles;

/// Counts of images by their timecodes, in the order in which they were seen:
/// images = shown + repeated + backward + unread.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct TimecodeCounts {
    /// Images examined.
    pub images: u64,
    /// Of these, images without a readable timecode.
    pub unread: u64,
    /// Frames seen, each counted once.
    pub shown: u64,
    /// Frames missing between the first and the last one seen.
    pub lost: u64,
    /// Images with the same frame as the image before.
    pub repeated: u64,
    /// Images that go back to a frame seen earlier.
    pub backward: u64,
    /// Frames first seen after a newer one.
    pub overtaken: u64,
    /// Most consecutive images with the same frame.
    pub longest: u64,
    /// Runs of the sender.
    pub runs: u64,
    /// Delay from capture to first seen, in milliseconds. `None` unless both are
    /// on the same clock.
    pub delay_ms: Option<Percentiles>,
}
