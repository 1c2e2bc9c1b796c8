//! Frames that lost chunks.

use framegram_common::stats::{FrameRecord, Outcome};
use serde::Serialize;

/// A frame with chunks that did not arrive when first sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LossyFrame {
    /// The stream number in 16 hexadecimal digits.
    pub stream: String,
    /// The frame number.
    pub frame: u64,
    /// Number of such chunks; null if nothing of the frame arrived.
    pub chunks_lost: Option<u32>,
    /// The outcome, as in `outcomes`.
    pub outcome: &'static str,
}

/// A bounded list of such frames.
#[derive(Clone, Debug, Default)]
pub(super) struct LossyFrames {
    pub(super) listed: Vec<LossyFrame>,
    pub(super) unlisted: u64,
}

/// Upper bound on listed frames: at least half a minute if one frame in ten is
/// lossy. Further ones are only counted.
pub const MAX_LOSSY_FRAMES: usize = 2048;

impl LossyFrames {
    pub(super) fn record(&mut self, record: &FrameRecord) {
        let lost = record.chunks_lost.is_some_and(|chunks| chunks > 0);
        // Whether these frames were lost is unknown or does not count.
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
