//! Settles frames by their packets: those that did not become complete, and those of which nothing
//! arrived.

use std::ops::Range;

use super::{FrameLog, FrameRecord, FrameState, HORIZON, OpenFrame};
use crate::stats::missing::MissingPackets;
use crate::stats::outcome::Outcome;
use crate::stats::outlook::Outlook;
use crate::stats::socket_drops::LossCause;

/// What frames are settled by, and how far.
#[derive(Clone, Copy, Debug)]
pub(in crate::stats) struct Knowledge<'a> {
    pub(in crate::stats) missing: MissingPackets<'a>,
    /// The first frame that counts.
    pub(in crate::stats) first: u64,
    /// One above the newest frame known to have been sent.
    pub(in crate::stats) sent: u64,
    /// What is known of the frames in progress.
    pub(in crate::stats) outlook: &'a Outlook,
}

/// How far the media packets can be assigned to frames.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reached {
    /// Packets below this belong to frames already examined.
    packets: u64,
    /// The frame that begins with that packet, if known.
    frame: Option<u64>,
}

impl FrameLog {
    /// The packets of an open frame, if they are known.
    pub(super) fn own(
        &self,
        number: u64,
        open: &OpenFrame,
        reached: Reached,
    ) -> Option<Range<u64>> {
        let follows = (reached.frame == Some(number)).then_some(reached.packets);
        let base = open.base.or_else(|| self.base(number)).or(follows);
        base.map(|base| base..base.saturating_add(open.chunks()))
    }

    /// The record of an open frame as it stands, and its packets, if they are known.
    pub(super) fn judged(
        &self,
        number: u64,
        open: &OpenFrame,
        reached: Reached,
        knowledge: &Knowledge<'_>,
    ) -> (FrameRecord, Option<Range<u64>>) {
        let packets = &knowledge.missing;
        let own = self.own(number, open, reached);
        let range = own.clone().unwrap_or_else(|| {
            let end = self.next_base(number + 1).unwrap_or(packets.media.1);
            reached.packets.min(end)..end
        });
        let missing = packets.of(range);
        let outcome = match open.state {
            FrameState::Told(outcome) => outcome,
            FrameState::Coming => Outcome::Open,
            FrameState::Broken => Outcome::Corrupt,
            FrameState::GivenUp if number < knowledge.first => Outcome::BeforeJoining,
            FrameState::GivenUp => match (missing.cause, missing.unknown) {
                (Some(cause), _) => of(cause),
                (None, true) => Outcome::TailUnknown,
                // All of it arrived after it was forgotten.
                (None, false) => Outcome::Late,
            },
        };
        let lost = if own.is_some() {
            u32::try_from(missing.count).ok()
        } else {
            open.record.chunks
        };
        let record = FrameRecord {
            outcome,
            chunks_lost: lost,
            offset_micros: knowledge.outlook.offset_micros,
            ..open.record.clone()
        };
        (record, own)
    }

    /// The outcome of frames of which nothing arrived, after the packets that were `reached`.
    pub(super) fn absent(
        &self,
        run: Range<u64>,
        reached: Reached,
        knowledge: &Knowledge<'_>,
    ) -> Vec<(Range<u64>, Outcome)> {
        if run.is_empty() {
            return Vec::new();
        }
        let missing = &knowledge.missing;
        let end = self.next_base(run.end).unwrap_or(missing.media.1);
        let packets = reached.packets.min(end)..end;
        let outcome = |packets| match missing.of(packets).cause {
            Some(cause) => of(cause),
            None => Outcome::TailUnknown,
        };
        let awaited = knowledge.outlook.awaited.map_or(u64::MAX, |it| it.0);
        let awaited = awaited.max(run.start);
        let (lost, open) = (run.start..run.end.min(awaited), awaited..run.end);
        let one_each = packets.end - packets.start == run.end - run.start;
        let mut parts = Vec::new();
        if one_each && lost.end.saturating_sub(lost.start) <= HORIZON {
            parts.extend(lost.map(|number| {
                let packet = packets.start + (number - run.start);
                (number..number + 1, outcome(packet..packet + 1))
            }));
        } else if !lost.is_empty() {
            parts.push((lost, outcome(packets)));
        }
        if !open.is_empty() {
            parts.push((open, Outcome::Open));
        }
        parts
    }

    /// The first packet of the next frame, from `number` on, whose first packet is known.
    pub(super) fn next_base(&self, number: u64) -> Option<u64> {
        let mut open = self.open.range(number..);
        open.find_map(|(number, _)| self.base(*number))
    }

    /// The first packet of an open frame, known from its own packets or from those of the frames
    /// right after it.
    pub(super) fn base(&self, number: u64) -> Option<u64> {
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
    /// Nothing examined yet. At the start of a stream, the first frame begins with the first
    /// packet.
    pub(super) fn start(knowledge: &Knowledge<'_>) -> Self {
        let packets = knowledge.missing.media.0;
        Self {
            packets,
            frame: (packets == 0).then_some(knowledge.first),
        }
    }

    /// Behind an open frame with these packets.
    pub(super) fn after(self, number: u64, own: Option<Range<u64>>) -> Self {
        own.map_or(self, |own| Self {
            packets: own.end,
            frame: Some(number + 1),
        })
    }
}

fn of(cause: LossCause) -> Outcome {
    match cause {
        LossCause::Network => Outcome::LostNetwork,
        LossCause::Socket => Outcome::LostSocket,
        LossCause::SendError => Outcome::NotSent,
        LossCause::Unknown => Outcome::LostUnknown,
    }
}

/// A frame without a packet of its own is placed by the next frame that has one, if it is this
/// close.
const MAX_LOOK_AHEAD: u64 = 16;
