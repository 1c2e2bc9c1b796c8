//! The record of one frame.

use std::time::Duration;

use crate::seq::FrameNumber;
use crate::stats::outcome::Outcome;
use crate::time::SenderTime;

/// One frame with a settled outcome.
///
/// `offset_micros` relates the clocks of sender and viewer.
#[derive(Clone, Debug, PartialEq)]
pub struct FrameRecord {
    /// Its stream.
    pub stream: u64,
    /// Its number in the stream.
    pub number: FrameNumber,
    /// Its outcome.
    pub outcome: Outcome,
    /// When it was captured; `None` if no chunk with its header arrived.
    pub captured: Option<SenderTime>,
    /// When the first datagram that arrived was sent.
    pub sent: Option<SenderTime>,
    /// When its first chunk arrived.
    pub first_chunk: Option<Duration>,
    /// When its last chunk arrived, including repeated and redundant ones.
    pub last_chunk: Option<Duration>,
    /// When it was complete, in time or not.
    pub complete: Option<Duration>,
    /// When it was shown.
    pub shown: Option<Duration>,
    /// Its number of chunks; `None` if nothing of it arrived.
    pub chunks: Option<u32>,
    /// The number of chunks whose original did not arrive.
    pub chunks_lost: Option<u32>,
    /// The number of chunks that parity rebuilt.
    pub chunks_by_parity: u32,
    /// The number of chunks that a retransmission brought.
    pub chunks_by_retransmission: u32,
    /// Length of its JPEG in bytes; `None` if no chunk with its header arrived.
    pub bytes: Option<u32>,
    /// The share of the image that did not arrive, 0 to 1; above 0 only for a frame with holes.
    pub stale: f64,
    /// The clock offset in microseconds: added to the sender's time, it gives the viewer's.
    /// Estimated when the frame was settled; 0 if both read the same clock.
    pub offset_micros: Option<i64>,
}

impl FrameRecord {
    /// Delay from capture to shown, on the viewer's clock; `None` if the frame was not shown, or if
    /// the sender's clock is unknown.
    pub fn delay(&self) -> Option<Duration> {
        let micros = self.captured?.transit(self.shown?) - i128::from(self.offset_micros?);
        // A slightly wrong offset makes a short delay negative.
        u64::try_from(micros.max(0)).ok().map(Duration::from_micros)
    }

    /// A frame whose outcome is all that is known.
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
