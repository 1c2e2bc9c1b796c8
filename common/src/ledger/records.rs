//! The records of one stream's frames: open while their fate can still change,
//! then handed out in the order of their numbers.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::time::Duration;

use super::causes::Cause;
use super::evidence::{Evidence, Verdict};
use super::record::{Fate, FrameRecord};
use super::tally::Tally;
use crate::seq::FrameNumber;

/// A frame that did not become whole in time is settled when the newest is so
/// many numbers ahead: nothing of it is taken in after that.
pub const HORIZON: u64 = 256;

/// The most frames that are open: those on their way to be shown, and those
/// before the horizon. With more the oldest is settled as it stands.
const MAX_OPEN: usize = 2048;

/// The most records that wait to be taken, runs of frames of which nothing
/// arrived counted as one. With more the oldest is forgotten.
const MAX_WAITING: usize = 1024;

/// Frames without a packet of their own are placed by the next one that has,
/// if it is so near.
const MAX_LOOK_AHEAD: u64 = 16;

/// The most records of a run of frames of which nothing arrived: 18 minutes at
/// 60 frames a second. Of a longer one, which a forged number would draw, the
/// oldest are counted and have no record.
const MAX_RUN: u64 = 1 << 16;

/// The frames of one stream.
#[derive(Debug, Default)]
pub struct Records {
    stream: u64,
    open: BTreeMap<u64, Open>,
    /// The lowest frame of which something arrived, and one above the highest.
    range: Option<(u64, u64)>,
    /// The frames that have been settled.
    settled: Option<Range<u64>>,
    /// What is known of the packets of the settled frames.
    reached: Reached,
    /// The frame in whose midst this side joined.
    joined_within: Option<u64>,
    tally: Tally,
    waiting: VecDeque<Settled>,
}

/// A frame of which something arrived, and whose fate may still change.
#[derive(Debug)]
struct Open {
    record: FrameRecord,
    /// The number of the media packet that carries its first chunk.
    base: Option<u64>,
    /// Whether it was handed out with holes.
    holes: bool,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It arrives, or waits to be shown.
    Coming,
    /// It was given up, and not shown.
    GivenUp,
    /// It was whole, and its checksum did not hold.
    Broken,
    /// Its fate is told.
    Told(Fate),
}

/// How far the media packets can be told to belong to frames.
#[derive(Clone, Copy, Debug, Default)]
struct Reached {
    /// Packets below this are of frames that were looked at.
    packets: u64,
    /// The frame that begins with that packet, where it is known.
    frame: Option<u64>,
}

/// A frame, or a run of them of which nothing arrived.
#[derive(Debug)]
enum Settled {
    One(Box<FrameRecord>),
    Absent(Range<u64>, Fate),
}

/// What a frame consists of.
#[derive(Clone, Copy, Debug)]
pub struct Contents {
    /// How many chunks.
    pub chunks: u32,
    /// How many bytes.
    pub bytes: u32,
    /// When the picture was taken, on the sender's clock.
    pub captured: Duration,
}

/// How far frames can be settled, and with what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Knowledge<'a> {
    pub(super) evidence: Evidence<'a>,
    /// The first frame that this side is accountable for.
    pub(super) first: u64,
    /// One above the newest frame known to have been sent.
    pub(super) sent: u64,
    /// The first frame that is still waited for.
    pub(super) awaited: Option<u64>,
    /// What joins the clocks.
    pub(super) offset_micros: Option<i64>,
}

impl Records {
    /// No frames of the stream with this number.
    #[must_use]
    pub fn new(stream: u64) -> Self {
        Self {
            stream,
            ..Self::default()
        }
    }

    /// The next record, in the order of numbers.
    pub fn poll(&mut self) -> Option<FrameRecord> {
        match self.waiting.front_mut()? {
            Settled::Absent(range, fate) => {
                let number = FrameNumber(range.start);
                let record = FrameRecord::unknown(self.stream, number, *fate);
                range.start += 1;
                if range.is_empty() {
                    self.waiting.pop_front();
                }
                Some(record)
            }
            Settled::One(_) => match self.waiting.pop_front() {
                Some(Settled::One(record)) => Some(*record),
                _ => None,
            },
        }
    }

    /// Whether the frame's fate is settled: nothing of it is to be taken in.
    #[must_use]
    pub fn is_settled(&self, number: FrameNumber) -> bool {
        let settled = self.settled.as_ref();
        settled.is_some_and(|settled| number.0 < settled.end)
    }

    /// The first piece of a frame arrived.
    pub fn begin(&mut self, number: FrameNumber, contents: Contents, now: Duration) {
        let (first, next) = self.range.unwrap_or((number.0, number.0));
        self.range = Some((first.min(number.0), next.max(number.0 + 1)));
        let record = FrameRecord {
            captured: Some(contents.captured),
            first_chunk: Some(now),
            last_chunk: Some(now),
            chunks: Some(contents.chunks),
            bytes: Some(contents.bytes),
            ..FrameRecord::unknown(self.stream, number, Fate::Open)
        };
        let open = Open {
            record,
            base: None,
            holes: false,
            state: State::Coming,
        };
        self.open.insert(number.0, open);
    }

    /// A packet with a chunk arrived that left at `sent`; `base` is the number
    /// of the media packet with the frame's first chunk, where it tells that.
    pub fn note_chunk(
        &mut self,
        number: FrameNumber,
        base: Option<u64>,
        sent: Duration,
        now: Duration,
    ) {
        if let Some(open) = self.open.get_mut(&number.0) {
            open.base = open.base.or(base);
            let record = &mut open.record;
            record.sent = Some(record.sent.map_or(sent, |before| before.min(sent)));
            record.last_chunk = Some(now);
        }
    }

    /// A chunk was put in its place that did not arrive as it was sent first.
    pub fn note_repaired(&mut self, number: FrameNumber, by_parity: bool) {
        if let Some(open) = self.open.get_mut(&number.0) {
            let record = &mut open.record;
            record.chunks_by_parity += u32::from(by_parity);
            record.chunks_by_request += u32::from(!by_parity);
        }
    }

    /// The frame became whole.
    pub fn complete(&mut self, number: FrameNumber, now: Duration) {
        if let Some(open) = self.open.get_mut(&number.0) {
            open.record.complete = Some(now);
        }
    }

    /// The frame became whole after it was given up: while something of it was
    /// there, or while nothing was.
    pub fn complete_late(&mut self, number: FrameNumber, now: Duration) {
        self.complete(number, now);
        self.joined_within.take_if(|within| *within == number.0);
        if let Some(open) = self.open.get_mut(&number.0)
            && matches!(open.state, State::Coming | State::GivenUp)
            && !open.holes
        {
            open.state = State::Told(Fate::Late);
        }
    }

    /// The frame has no hole, and is not the one that was sent.
    pub fn note_broken(&mut self, number: FrameNumber) {
        if let Some(open) = self.open.get_mut(&number.0) {
            open.state = State::Broken;
        }
    }

    /// The frame is handed out with holes; this share of it, 0 to 1, is stale.
    pub fn note_stale(&mut self, number: FrameNumber, stale: f64) {
        if let Some(open) = self.open.get_mut(&number.0) {
            open.record.stale = stale;
            open.holes = true;
        }
    }

    /// The frame was given up, and is not shown.
    pub fn give_up(&mut self, number: FrameNumber) {
        if let Some(open) = self.open.get_mut(&number.0)
            && open.state == State::Coming
        {
            open.state = State::GivenUp;
        }
    }

    /// This side joined in the midst of the frame: if it does not become whole,
    /// it was sent before.
    pub fn join_within(&mut self, number: FrameNumber) {
        self.joined_within = Some(number.0);
    }

    /// The frame was shown. Returns the record as far as it goes.
    pub fn note_shown(&mut self, number: FrameNumber, at: Duration) -> Option<&FrameRecord> {
        let open = self.open.get_mut(&number.0)?;
        let record = &mut open.record;
        record.shown = Some(at);
        open.state = State::Told(if open.holes {
            Fate::Concealed
        } else if record.chunks_by_parity > 0 {
            Fate::IntactParity
        } else if record.chunks_by_request > 0 {
            Fate::IntactRequest
        } else {
            Fate::IntactUnrepaired
        });
        Some(record)
    }

    /// A newer frame was shown instead.
    pub fn note_superseded(&mut self, number: FrameNumber) {
        if let Some(open) = self.open.get_mut(&number.0) {
            open.state = match (open.holes, open.record.complete) {
                (false, _) => State::Told(Fate::Superseded),
                (true, Some(_)) => State::Told(Fate::Late),
                (true, None) => State::GivenUp,
            };
        }
    }

    /// The decoder gave the frame up.
    pub fn note_undecodable(&mut self, number: FrameNumber) {
        if let Some(open) = self.open.get_mut(&number.0) {
            open.state = State::Told(Fate::Undecodable);
        }
    }

    /// The lowest frame of which something arrived.
    #[must_use]
    pub fn first(&self) -> Option<u64> {
        self.range.map(|(first, _)| first)
    }

    /// The first frame that this side is accountable for where it joined late:
    /// not the one that it joined within, if that is why it was given up.
    #[must_use]
    pub fn first_own(&self) -> Option<u64> {
        self.range.map(|(first, _)| {
            let within = self.joined_within == Some(first);
            let open = self.open.get(&first);
            let lost = match open.map(|open| open.state) {
                Some(state) => state == State::GivenUp,
                None => true,
            };
            first + u64::from(within && lost)
        })
    }

    /// One above the highest frame of which something arrived; 0 before it.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.range.map_or(0, |(_, next)| next)
    }

    /// Settles what can be settled, or everything at the `end`.
    pub(super) fn settle(&mut self, knowledge: &Knowledge<'_>, end: bool) {
        let mut limit = if end {
            knowledge.sent
        } else {
            let horizon = knowledge.sent.saturating_sub(HORIZON);
            knowledge
                .awaited
                .map_or(horizon, |awaited| awaited.min(horizon))
        };
        if self.open.len() > MAX_OPEN
            && let Some((oldest, _)) = self.open.first_key_value()
        {
            limit = limit.max(oldest + 1);
        }
        let begun = self.range.is_some() || end;
        let first = knowledge.first.min(self.first().unwrap_or(u64::MAX));
        let mut settled = match self.settled.take() {
            Some(settled) => settled,
            None if begun && (limit > first || end) => {
                self.reached = Reached::start(knowledge);
                first..first
            }
            None => return,
        };
        if first < settled.start {
            // It turned out late that this side listened from the start.
            let before = first..settled.start;
            self.put_absent(before, Fate::LostNetwork);
            settled.start = first;
        }
        while settled.end < limit {
            let next_open = self.open.range(settled.end..).next().map(|(next, _)| *next);
            if next_open == Some(settled.end) {
                let forced = end || self.open.len() > MAX_OPEN;
                if !self.settle_open(settled.end, knowledge, forced) {
                    break;
                }
                settled.end += 1;
            } else {
                let run = settled.end..next_open.unwrap_or(limit).min(limit);
                settled.end = run.end;
                for (part, fate) in self.absent(run, self.reached, knowledge) {
                    self.put_absent(part, fate);
                }
            }
        }
        self.settled = Some(settled);
    }

    /// The counts of the frames settled, and of the others as they stand.
    pub(super) fn tally(&self, knowledge: &Knowledge<'_>) -> Tally {
        let mut tally = self.tally.clone();
        let first = knowledge.first.min(self.first().unwrap_or(u64::MAX));
        let mut at = self.settled.as_ref().map_or(first, |settled| settled.end);
        if let Some(settled) = &self.settled {
            tally.note_absent(settled.start.saturating_sub(first), Fate::LostNetwork);
        }
        let mut reached = if self.settled.is_some() {
            self.reached
        } else {
            Reached::start(knowledge)
        };
        for (number, open) in self.open.range(at..) {
            for (part, fate) in self.absent(at..*number, reached, knowledge) {
                tally.note_absent(part.end - part.start, fate);
            }
            let (record, next) = self.judged(*number, open, reached, knowledge);
            tally.note(&record);
            reached = next;
            at = number + 1;
        }
        for (part, fate) in self.absent(at..knowledge.sent, reached, knowledge) {
            tally.note_absent(part.end - part.start, fate);
        }
        tally
    }

    /// Settles the oldest open frame, if its fate is told or must be.
    fn settle_open(&mut self, number: u64, knowledge: &Knowledge<'_>, forced: bool) -> bool {
        let Some(open) = self.open.get(&number) else {
            return true;
        };
        if open.state == State::Coming && !forced {
            return false;
        }
        let (record, reached) = self.judged(number, open, self.reached, knowledge);
        self.reached = reached;
        self.open.remove(&number);
        self.tally.note(&record);
        self.put(Settled::One(Box::new(record)));
        true
    }

    /// The record of an open frame as it stands, and what is known of packets
    /// behind it.
    fn judged(
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
    fn absent(
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
    fn next_base(&self, number: u64) -> Option<u64> {
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

    fn put_absent(&mut self, run: Range<u64>, fate: Fate) {
        if !run.is_empty() {
            self.tally.note_absent(run.end - run.start, fate);
            let start = run.start.max(run.end.saturating_sub(MAX_RUN));
            self.put(Settled::Absent(start..run.end, fate));
        }
    }

    fn put(&mut self, settled: Settled) {
        self.waiting.push_back(settled);
        if self.waiting.len() > MAX_WAITING {
            self.waiting.pop_front();
        }
    }
}

impl Open {
    fn chunks(&self) -> u64 {
        self.record.chunks.unwrap_or(0).into()
    }
}

impl Reached {
    /// Nothing was looked at. From the start of a stream its first frame
    /// begins with its first packet.
    fn start(knowledge: &Knowledge<'_>) -> Self {
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
        Cause::Mixed => Fate::Mixed,
    }
}
