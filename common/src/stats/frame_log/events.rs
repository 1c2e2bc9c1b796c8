//! Events of frames whose outcome can still change.

use std::time::Duration;

use super::{FrameLog, FrameRecord, FrameState};
use crate::reassembly::Origin;
use crate::seq::FrameNumber;
use crate::stats::outcome::Outcome;
use crate::time::SenderTime;

impl FrameLog {
    /// Records a packet with a chunk that was sent at `sent`. `base` is the number of the media
    /// packet with the frame's first chunk, if the packet implies it.
    pub(crate) fn record_chunk(
        &mut self,
        number: FrameNumber,
        base: Option<u64>,
        sent: SenderTime,
        now: Duration,
    ) {
        if let Some(open) = self.open.get_mut(&number.0) {
            open.base = open.base.or(base);
            let record = &mut open.record;
            record.sent = Some(record.sent.map_or(sent, |before| before.min(sent)));
            record.last_chunk = Some(now);
        }
    }

    /// Records the header of a frame of this many `bytes`.
    pub(crate) fn record_header(&mut self, number: FrameNumber, bytes: u32, captured: SenderTime) {
        if let Some(open) = self.open.get_mut(&number.0) {
            open.record.captured = Some(captured);
            open.record.bytes = Some(bytes);
        }
    }

    /// Records a chunk that was repaired before its original arrived.
    pub(crate) fn record_repaired(&mut self, number: FrameNumber, origin: Origin) {
        self.count_repaired(number, origin, |count| count + 1);
    }

    /// Records the late original of a chunk that was repaired in this way: it was late, and not
    /// lost.
    pub(crate) fn record_belated(&mut self, number: FrameNumber, repaired: Origin) {
        self.count_repaired(number, repaired, |count| count.saturating_sub(1));
    }

    fn count_repaired(&mut self, number: FrameNumber, origin: Origin, next: fn(u64) -> u64) {
        let Some(open) = self.open.get_mut(&number.0) else {
            return;
        };
        let record = &mut open.record;
        let (all, own) = match origin {
            Origin::Sent => return,
            Origin::Parity => (&mut self.repaired_by_parity, &mut record.chunks_by_parity),
            Origin::Retransmission => (
                &mut self.repaired_by_retransmission,
                &mut record.chunks_by_retransmission,
            ),
        };
        *all = next(*all);
        *own = next((*own).into()) as u32;
        if let FrameState::Told(outcome) = &mut open.state
            && outcome.is_intact()
        {
            *outcome = intact(record);
        }
    }

    /// The number of chunks lost and repaired, by parity and by retransmission.
    pub(crate) fn repaired(&self) -> (u64, u64) {
        (self.repaired_by_parity, self.repaired_by_retransmission)
    }

    /// Records that the frame is complete.
    pub(crate) fn complete(&mut self, number: FrameNumber, now: Duration) {
        if let Some(open) = self.open.get_mut(&number.0) {
            open.record.complete = Some(now);
        }
    }

    /// Records that the frame is complete after it was given up, with or without chunks of it at
    /// that time.
    pub(crate) fn complete_late(&mut self, number: FrameNumber, now: Duration) {
        self.complete(number, now);
        if let Some(open) = self.open.get_mut(&number.0)
            && matches!(open.state, FrameState::Coming | FrameState::GivenUp)
            && !open.holes
        {
            open.state = FrameState::Told(Outcome::Late);
        }
    }

    /// Records that all chunks of the frame arrived, and are not what was sent.
    pub(crate) fn record_broken(&mut self, number: FrameNumber) {
        if let Some(open) = self.open.get_mut(&number.0) {
            open.state = FrameState::Broken;
        }
    }

    /// Records that the frame is shown with holes: this share of it, 0 to 1, is stale.
    pub(crate) fn record_stale(&mut self, number: FrameNumber, stale: f64) {
        if let Some(open) = self.open.get_mut(&number.0) {
            open.record.stale = stale;
            open.holes = true;
        }
    }

    /// Records that the frame was given up and is not shown.
    pub(crate) fn give_up(&mut self, number: FrameNumber) {
        if let Some(open) = self.open.get_mut(&number.0)
            && open.state == FrameState::Coming
        {
            open.state = FrameState::GivenUp;
        }
    }

    /// Records that the frame was shown.
    pub(crate) fn record_shown(&mut self, number: FrameNumber, at: Duration) {
        let Some(open) = self.open.get_mut(&number.0) else {
            return;
        };
        let record = &mut open.record;
        record.shown = Some(at);
        open.state = FrameState::Told(if open.holes {
            Outcome::Concealed
        } else {
            intact(record)
        });
    }

    /// Records that a newer frame was shown instead.
    pub(crate) fn record_skipped(&mut self, number: FrameNumber) {
        if let Some(open) = self.open.get_mut(&number.0) {
            open.state = match (open.holes, open.record.complete) {
                (false, _) => FrameState::Told(Outcome::Skipped),
                (true, Some(_)) => FrameState::Told(Outcome::Late),
                (true, None) => FrameState::GivenUp,
            };
        }
    }

    /// Records that the decoder rejected the frame.
    pub(crate) fn record_undecodable(&mut self, number: FrameNumber) {
        if let Some(open) = self.open.get_mut(&number.0) {
            open.state = FrameState::Told(Outcome::Undecodable);
        }
    }
}

/// The outcome of a complete frame that was shown.
fn intact(record: &FrameRecord) -> Outcome {
    if record.chunks_by_parity > 0 {
        Outcome::IntactParity
    } else if record.chunks_by_retransmission > 0 {
        Outcome::IntactRetransmission
    } else {
        Outcome::IntactUnrepaired
    }
}
