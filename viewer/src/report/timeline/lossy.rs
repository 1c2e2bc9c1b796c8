//! Frames that lost chunks.

use framegram_common::stats::{FrameRecord, Outcome};
use serde::Serialize;

/// A frame of which chunks did not arrive as they were sent first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LossyFrame {
    /// The stream's number in 16 hexadecimal digits.
    pub stream: String,
    /// The frame's number.
    pub frame: u64,
    /// How many chunks; null if nothing of the frame arrived.
    pub chunks_lost: Option<u32>,
    /// How the frame ended, as in `outcomes`.
    pub outcome: &'static str,
}

/// Those frames, as far as there is room.
#[derive(Clone, Debug, Default)]
pub(super) struct LossyFrames {
    pub(super) listed: Vec<LossyFrame>,
    pub(super) unlisted: u64,
}

/// The most frames that are listed: with a frame in ten, half a minute and
/// more. The others are counted.
pub const MAX_LOSSY_FRAMES: usize = 2048;

impl LossyFrames {
    pub(super) fn record(&mut self, record: &FrameRecord) {
        let lost = record.chunks_lost.is_some_and(|chunks| chunks > 0);
        // Of the end of a stream that was cut off, what was lost is unknown.
        let unknown = [Outcome::BeforeJoining, Outcome::TailUnknown].contains(&record.outcome);
        if unknown || !(lost || record.outcome.lacks_packets()) {
            return;
        }
        if self.listed.len() == MAX_LOSSY_FRAMES {
            self.unlisted += 1;
            return;
        }
        self.listed.push(LossyFrame {
            stream: format!("{:016x}", record.stream),
            frame: record.number.0,
            chunks_lost: record.chunks_lost,
            outcome: record.outcome.key(),
        });
    }
}
