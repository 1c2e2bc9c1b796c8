//! Frames that lost chunks.

use serde::Serialize;

use crate::stats::{FrameRecord, Outcome};

/// A frame of which chunks did not arrive as they were sent first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hit {
    /// The stream's number in 16 hexadecimal digits.
    pub stream: String,
    /// The frame's number.
    pub frame: u64,
    /// How many chunks; `None` where nothing of it arrived.
    pub chunks_lost: Option<u32>,
    /// Its outcome, as in `outcomes`.
    pub outcome: &'static str,
}

/// Those frames, as far as there is room.
#[derive(Clone, Debug, Default)]
pub(super) struct Hits {
    listed: Vec<Hit>,
    unlisted: u64,
}

/// The most frames that are listed: with a frame in ten, half a minute and
/// more. The others are counted.
pub const MAX_HITS: usize = 2048;

impl Hits {
    pub(super) fn note(&mut self, record: &FrameRecord) {
        let lost = record.chunks_lost.is_some_and(|chunks| chunks > 0);
        let hit = match record.outcome {
            // Of the end of a stream that was cut off, what was lost is unknown.
            Outcome::BeforeJoining | Outcome::TailUnknown => false,
            Outcome::LostNetwork
            | Outcome::LostSocket
            | Outcome::LostUnknown
            | Outcome::Corrupt
            | Outcome::NotSent => true,
            Outcome::Open
            | Outcome::IntactUnrepaired
            | Outcome::IntactRetransmission
            | Outcome::IntactParity
            | Outcome::Concealed
            | Outcome::Skipped
            | Outcome::Undecodable
            | Outcome::Late => lost,
        };
        if hit && self.listed.len() < MAX_HITS {
            self.listed.push(Hit {
                stream: format!("{:016x}", record.stream),
                frame: record.number.0,
                chunks_lost: record.chunks_lost,
                outcome: record.outcome.name(),
            });
        } else {
            self.unlisted += u64::from(hit);
        }
    }

    pub(super) fn read(&self) -> (Vec<Hit>, u64) {
        (self.listed.clone(), self.unlisted)
    }
}
