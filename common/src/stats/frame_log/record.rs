//! What is known of one frame at the end of its way.

use std::time::Duration;

use crate::seq::FrameNumber;
use crate::stats::outcome::Outcome;
use crate::time::SenderTime;

/// One frame, when its outcome is settled.
///
/// `offset_micros` joins the clocks of sender and viewer.
#[derive(Clone, Debug, PartialEq)]
pub struct FrameRecord {
    /// The stream that it is of.
    pub stream: u64,
    /// Its number in the stream.
    pub number: FrameNumber,
    /// What became of it.
    pub outcome: Outcome,
    /// When it was captured; unknown as its length is.
    pub captured: Option<SenderTime>,
    /// When the first of its datagrams that arrived left.
    pub sent: Option<SenderTime>,
    /// When the first of it arrived.
    pub first_chunk: Option<Duration>,
    /// When the last of it arrived, repeated or redundant chunks included.
    pub last_chunk: Option<Duration>,
    /// When it was whole, in time or not.
    pub complete: Option<Duration>,
    /// When it was shown.
    pub shown: Option<Duration>,
    /// How many chunks it has; unknown where nothing of it arrived.
    pub chunks: Option<u32>,
    /// How many of them did not arrive as they were sent first.
    pub chunks_lost: Option<u32>,
    /// How many parity rebuilt.
    pub chunks_by_parity: u32,
    /// How many came because they were asked for.
    pub chunks_by_retransmission: u32,
    /// Length of its JPEG in bytes; unknown where no chunk with its header arrived.
    pub bytes: Option<u32>,
    /// The share of the image that had not arrived, 0 to 1: more than 0 for
    /// a frame with holes only.
    pub stale: f64,
    /// What is to be added to the sender's time to have the viewer's, in
    /// microseconds, as it was estimated when the frame was settled; 0 where
    /// both run on one clock.
    pub offset_micros: Option<i64>,
}

impl FrameRecord {
    /// From capture to shown, on the viewer's clock; `None` if the frame was not
    /// shown, or the sender's clock is not known.
    #[must_use]
    pub fn delay(&self) -> Option<Duration> {
        let micros = self.captured?.transit(self.shown?) - i128::from(self.offset_micros?);
        // An offset that is a little off makes less than nothing of a short one.
        u64::try_from(micros.max(0)).ok().map(Duration::from_micros)
    }

    /// A frame of which nothing but its outcome is known.
    #[must_use]
    pub fn unknown(stream: u64, number: FrameNumber, outcome: Outcome) -> Self {
        Self {
            stream,
            number,
            outcome,
            captured: None,
            sent: None,
            first_chunk: None,
            last_chunk: None,
            complete: None,
            shown: None,
            chunks: None,
            chunks_lost: None,
            chunks_by_parity: 0,
            chunks_by_retransmission: 0,
            bytes: None,
            stale: 0.0,
            offset_micros: None,
        }
    }
}
