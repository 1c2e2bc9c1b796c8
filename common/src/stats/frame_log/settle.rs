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

/// How far the frames have been examined, and the media packets assigned to them.
#[derive(Clone, Debug)]
pub(super) struct Reached {
    /// The frames.
    pub(super) frames: Range<u64>,
    /// Packets below this belong to them.
    packets: u64,
    /// The frame that begins with that packet, if known.
    begins: Option<u64>,
}

/// A step along the frames, in the order of their numbers.
pub(super) enum FrameStep<'a> {
    /// Frames of which nothing arrived, by outcome, and whether the frame behind them is placed.
    Absent(Vec<(Range<u64>, Outcome)>, bool),
    /// A frame of which something arrived, and how far those before it reach.
    Open(u64, &'a OpenFrame, &'a Reached),
}

impl FrameLog {
    /// The lowest frame that counts.
    pub(super) fn lowest(&self, knowledge: &Knowledge<'_>) -> u64 {
        knowledge.first.min(self.first().unwrap_or(u64::MAX))
    }

    /// Walks along the frames from the first one that is not settled to `limit`, for as long as
    /// `visit` returns true. Returns how far it came.
    pub(super) fn walk(
        &self,
        limit: u64,
        knowledge: &Knowledge<'_>,
        visit: &mut dyn FnMut(FrameStep<'_>) -> bool,
    ) -> Reached {
        let first = self.lowest(knowledge);
        let mut reached = match &self.settled {
            Some(settled) => settled.clone(),
            None => Reached::start(first, knowledge),
        };
        if first < reached.frames.start {
            // It was learned only now that this side listened from the start.
            let before = first..reached.frames.start;
            visit(FrameStep::Absent(
                vec![(before, Outcome::LostNetwork)],
                true,
            ));
            reached.frames.start = first;
        }
        while reached.frames.end < limit {
            let next = reached.frames.end;
            let open = self.open.range(next..limit).next();
            let number = open.map_or(limit, |(number, _)| *number);
            if next < number {
                let parts = self.absent(next..number, reached.packets, knowledge);
                if !visit(FrameStep::Absent(parts, self.next_base(number).is_some())) {
                    break;
                }
                reached.frames.end = number;
            }
            if let Some((_, open)) = open {
                if !visit(FrameStep::Open(number, open, &reached)) {
                    break;
                }
                if let Some(own) = self.own(number, open, &reached) {
                    (reached.packets, reached.begins) = (own.end, Some(number + 1));
                }
                reached.frames.end = number + 1;
            }
        }
        reached
    }

    /// The packets of an open frame, if they are known.
    fn own(&self, number: u64, open: &OpenFrame, reached: &Reached) -> Option<Range<u64>> {
        let follows = (reached.begins == Some(number)).then_some(reached.packets);
        let base = open.base.or_else(|| self.base(number)).or(follows);
        base.map(|base| base..base.saturating_add(open.chunks()))
    }

    /// The record of an open frame as it stands.
    pub(super) fn judged(
        &self,
        number: u64,
        open: &OpenFrame,
        reached: &Reached,
        knowledge: &Knowledge<'_>,
    ) -> FrameRecord {
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
        FrameRecord {
            outcome,
            chunks_lost: lost,
            offset_micros: knowledge.outlook.offset_micros,
            ..open.record.clone()
        }
    }

    /// The outcome of frames of which nothing arrived, whose packets are those from `packet` on.
    fn absent(
        &self,
        run: Range<u64>,
        packet: u64,
        knowledge: &Knowledge<'_>,
    ) -> Vec<(Range<u64>, Outcome)> {
        let missing = &knowledge.missing;
        let end = self.next_base(run.end).unwrap_or(missing.media.1);
        let packets = packet.min(end)..end;
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
    fn next_base(&self, number: u64) -> Option<u64> {
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
    fn start(first: u64, knowledge: &Knowledge<'_>) -> Self {
        let packets = knowledge.missing.media.0;
        Self {
            frames: first..first,
            packets,
            begins: (packets == 0).then_some(knowledge.first),
        }
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
