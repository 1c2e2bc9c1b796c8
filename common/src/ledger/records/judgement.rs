//! What the packets tell of frames: of those that did not become whole, and of
//! those of which nothing arrived.

use std::ops::Range;

use super::{HORIZON, Open, Records, State};
use crate::ledger::causes::Cause;
use crate::ledger::evidence::{Evidence, Verdict};
use crate::ledger::record::{Fate, FrameRecord};

/// How far frames can be settled, and with what.
#[derive(Clone, Copy, Debug)]
pub(in crate::ledger) struct Knowledge<'a> {
    pub(in crate::ledger) evidence: Evidence<'a>,
    /// The first frame that this side is accountable for.
    pub(in crate::ledger) first: u64,
    /// One above the newest frame known to have been sent.
    pub(in crate::ledger) sent: u64,
    /// The first frame that is still waited for.
    pub(in crate::ledger) awaited: Option<u64>,
    /// What joins the clocks.
    pub(in crate::ledger) offset_micros: Option<i64>,
}

/// How far the media packets can be told to belong to frames.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reached {
    /// Packets below this are of frames that were looked at.
    packets: u64,
    /// The frame that begins with that packet, where it is known.
    frame: Option<u64>,
}

impl Records {
    /// The record of an open frame as it stands, and what is known of packets
    /// behind it.
    pub(super) fn judged(
        &self,
        number: u64,
        open: &Open,
        reached: Reached,
        knowledge: &Knowledge<'_>,
    ) -> (FrameRecord, Reached) {
        let evidence = &knowledge.evidence;
        let follows = (reached.frame == Some(number)).then_some(reached.packets);
        let own = self
            .base(number)
            .or(follows)
            .map(|base| base..base.saturating_add(open.chunks()));
        let range = own.clone().unwrap_or_else(|| {
            let end = self.next_base(number + 1).unwrap_or(evidence.media.end);
            reached.packets.min(end)..end
        });
        let verdict = evidence.verdict(range);
        let fate = match open.state {
            State::Told(fate) => fate,
            State::Coming => Fate::Open,
            State::Broken => Fate::Corrupt,
            State::GivenUp if number < knowledge.first => Fate::BeforeJoining,
            State::GivenUp => match verdict {
                Verdict {
                    cause: Some(cause), ..
                } => of(cause),
                Verdict { unknown: true, .. } => Fate::TailUnknown,
                // All of it arrived, after it was forgotten.
                Verdict { cause: None, .. } => Fate::Late,
            },
        };
        let lost = if own.is_some() {
            u32::try_from(verdict.missing).ok()
        } else {
            open.record.chunks
        };
        let record = FrameRecord {
            fate,
            chunks_lost: lost,
            offset_micros: knowledge.offset_micros,
            ..open.record.clone()
        };
        let reached = own.map_or(reached, |own| Reached {
            packets: own.end,
            frame: Some(number + 1),
        });
        (record, reached)
    }

    /// What became of frames of which nothing arrived, behind the packets that
    /// were `reached`.
    pub(super) fn absent(
        &self,
        run: Range<u64>,
        reached: Reached,
        knowledge: &Knowledge<'_>,
    ) -> Vec<(Range<u64>, Fate)> {
        if run.is_empty() {
            return Vec::new();
        }
        let evidence = &knowledge.evidence;
        let end = self.next_base(run.end).unwrap_or(evidence.media.end);
        let packets = reached.packets.min(end)..end;
        let fate = |verdict: Verdict| match verdict.cause {
            Some(cause) => of(cause),
            None => Fate::TailUnknown,
        };
        let awaited = knowledge.awaited.unwrap_or(u64::MAX).max(run.start);
        let (lost, open) = (run.start..run.end.min(awaited), awaited..run.end);
        let one_each = packets.end - packets.start == run.end - run.start;
        let mut parts = Vec::new();
        if one_each && lost.end.saturating_sub(lost.start) <= HORIZON {
            parts.extend(lost.map(|number| {
                let packet = packets.start + (number - run.start);
                (
                    number..number + 1,
                    fate(evidence.verdict(packet..packet + 1)),
                )
            }));
        } else if !lost.is_empty() {
            parts.push((lost, fate(evidence.verdict(packets))));
        }
        if !open.is_empty() {
            parts.push((open, Fate::Open));
        }
        parts
    }

    /// The first packet of the first frame from `number` on of which that is
    /// known.
    pub(super) fn next_base(&self, number: u64) -> Option<u64> {
        let mut open = self.open.range(number..);
        open.find_map(|(number, _)| self.base(*number))
    }

    /// The first packet of an open frame, told by itself or by the frames
    /// right behind it.
    fn base(&self, number: u64) -> Option<u64> {
        let mut chunks = 0;
        for ahead in number..number.saturating_add(MAX_LOOK_AHEAD) {
            let open = self.open.get(&ahead)?;
            if let Some(base) = open.base {
                return base.checked_sub(chunks);
            }
            chunks += open.chunks();
        }
        None
    }
}

impl Reached {
    /// Nothing was looked at. From the start of a stream its first frame
    /// begins with its first packet.
    pub(super) fn start(knowledge: &Knowledge<'_>) -> Self {
        let packets = knowledge.evidence.media.start;
        Self {
            packets,
            frame: (packets == 0).then_some(knowledge.first),
        }
    }
}

fn of(cause: Cause) -> Fate {
    match cause {
        Cause::Network => Fate::LostNetwork,
        Cause::Socket => Fate::LostSocket,
        Cause::Corrupt => Fate::Corrupt,
        Cause::Refused => Fate::NotSent,
        Cause::Mixed => Fate::Mixed,
    }
}

/// Frames without a packet of their own are placed by the next one that has,
/// if it is so near.
const MAX_LOOK_AHEAD: u64 = 16;
