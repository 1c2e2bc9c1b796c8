//! The records of one stream's frames: open while their outcome can still change, then handed out
//! in the order of their numbers.

mod events;
mod record;
mod settle;
mod tally;

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::time::Duration;

use super::outcome::Outcome;
use crate::seq::FrameNumber;
pub use record::FrameRecord;
pub(super) use settle::Knowledge;
use settle::{FrameStep, Reached};
pub(super) use tally::Tally;

/// A frame that was not complete in time is settled once the newest frame is this many numbers
/// ahead. Chunks of it are ignored from then on.
pub(crate) const HORIZON: u64 = 256;

/// Upper bound on open frames: those about to be shown, and those within the horizon. Above it, the
/// oldest is settled as it stands.
const MAX_OPEN: usize = 2048;

/// Upper bound on records that wait to be taken; a run of frames of which nothing arrived counts as
/// one. Above it, the oldest is dropped.
const MAX_WAITING: usize = 1024;

/// Upper bound on the records of a run of frames of which nothing arrived: 18 minutes at 60 frames
/// per second. The oldest frames of a longer run, which a forged number could cause, are counted
/// and have no record.
const MAX_RUN: u64 = 1 << 16;

/// The frames of one stream.
#[derive(Debug, Default)]
pub(crate) struct FrameLog {
    stream: u64,
    open: BTreeMap<u64, OpenFrame>,
    /// The lowest frame of which something arrived, and one above the highest.
    range: Option<(u64, u64)>,
    /// How far frames have been settled.
    settled: Option<Reached>,
    tally: Tally,
    repaired_by_parity: u64,
    repaired_by_retransmission: u64,
    waiting: VecDeque<SettledFrames>,
}

/// A frame of which something arrived, and whose outcome may still change.
#[derive(Clone, Debug)]
struct OpenFrame {
    record: FrameRecord,
    /// The number of the media packet that carries its first chunk.
    base: Option<u64>,
    /// Whether it was shown with holes.
    holes: bool,
    state: FrameState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FrameState {
    /// It is arriving, or waits to be shown.
    Coming,
    /// It was given up, and not shown.
    GivenUp,
    /// It was complete, and its checksum did not match.
    Broken,
    /// Its outcome has been reported.
    Told(Outcome),
}

/// Frames that can be settled, and how far they reach.
#[derive(Debug, Default)]
pub(super) struct DueFrames {
    frames: Vec<SettledFrames>,
    reached: Option<Reached>,
}

/// A frame, or a run of them of which nothing arrived.
#[derive(Debug)]
enum SettledFrames {
    One(Box<FrameRecord>),
    Absent(Range<u64>, Outcome),
}

impl FrameLog {
    /// A log without frames, for the stream with this number.
    pub(crate) fn new(stream: u64) -> Self {
        Self {
            stream,
            ..Self::default()
        }
    }

    /// The next record, in the order of frame numbers.
    pub(crate) fn poll(&mut self) -> Option<FrameRecord> {
        match self.waiting.front_mut()? {
            SettledFrames::Absent(range, outcome) => {
                let number = FrameNumber(range.start);
                let record = FrameRecord::unknown(self.stream, number, *outcome);
                range.start += 1;
                if range.is_empty() {
                    self.waiting.pop_front();
                }
                Some(record)
            }
            SettledFrames::One(_) => match self.waiting.pop_front() {
                Some(SettledFrames::One(record)) => Some(*record),
                _ => None,
            },
        }
    }

    /// Whether the frame is settled, so that chunks of it are ignored.
    pub(crate) fn is_settled(&self, number: FrameNumber) -> bool {
        let settled = self.settled.as_ref();
        settled.is_some_and(|settled| number.0 < settled.frames.end)
    }

    /// Records the first chunk of a frame of this many `chunks`.
    pub(crate) fn begin(&mut self, number: FrameNumber, chunks: u16, now: Duration) {
        let (first, next) = self.range.unwrap_or((number.0, number.0));
        self.range = Some((first.min(number.0), next.max(number.0 + 1)));
        let record = FrameRecord {
            first_chunk: Some(now),
            last_chunk: Some(now),
            chunks: Some(chunks.into()),
            ..FrameRecord::unknown(self.stream, number, Outcome::Open)
        };
        let open = OpenFrame {
            record,
            base: None,
            holes: false,
            state: FrameState::Coming,
        };
        self.open.insert(number.0, open);
    }

    /// The lowest frame of which something arrived.
    pub(crate) fn first(&self) -> Option<u64> {
        self.range.map(|(first, _)| first)
    }

    /// The first frame that counts, if this side joined late, and counts media packets from number
    /// `media` on. A frame with earlier packets does not count if it was given up.
    pub(crate) fn first_own(&self, media: u64) -> Option<u64> {
        self.range.map(|(first, _)| {
            let before = match self.open.get(&first) {
                Some(open) if open.state == FrameState::GivenUp => {
                    self.base(first).is_some_and(|base| base < media)
                }
                Some(_) => false,
                None => self.tally.of(Outcome::BeforeJoining) > 0,
            };
            first + u64::from(before)
        })
    }

    /// One above the highest frame of which something arrived; 0 before it.
    pub(crate) fn next(&self) -> u64 {
        self.range.map_or(0, |(_, next)| next)
    }

    /// The frames whose outcome may still change, as they stand.
    pub(crate) fn open(&self) -> impl Iterator<Item = &FrameRecord> {
        self.open.values().map(|open| &open.record)
    }

    /// The frames that can be settled; at the `end`, all frames.
    pub(super) fn due(&self, knowledge: &Knowledge<'_>, end: bool) -> DueFrames {
        let mut limit = if end {
            knowledge.sent
        } else {
            let horizon = knowledge.sent.saturating_sub(HORIZON);
            knowledge
                .outlook
                .awaited
                .map_or(horizon, |awaited| awaited.0.min(horizon))
        };
        let mut open = self.open.len();
        if open > MAX_OPEN
            && let Some((oldest, _)) = self.open.first_key_value()
        {
            limit = limit.max(oldest + 1);
        }
        let begins = end || self.range.is_some() && limit > self.lowest(knowledge);
        if self.settled.is_none() && !begins {
            return DueFrames::default();
        }
        let mut frames = Vec::new();
        let reached = self.walk(limit, knowledge, &mut |step| {
            let forced = end || open > MAX_OPEN;
            match step {
                // Rebuilt frames imply them, and no packet proves them yet.
                FrameStep::Absent(parts, false)
                    if !forced && parts.iter().any(|part| part.1 == Outcome::TailUnknown) =>
                {
                    return false;
                }
                FrameStep::Absent(parts, _) => {
                    let parts = parts.into_iter();
                    frames.extend(parts.map(|(run, outcome)| SettledFrames::Absent(run, outcome)));
                }
                FrameStep::Open(_, frame, _) if frame.state == FrameState::Coming && !forced => {
                    return false;
                }
                FrameStep::Open(number, frame, reached) => {
                    let record = self.judged(number, frame, reached, knowledge);
                    frames.push(SettledFrames::One(Box::new(record)));
                    open -= 1;
                }
            }
            true
        });
        DueFrames {
            frames,
            reached: Some(reached),
        }
    }

    /// Settles the frames that are due. Calls `settled_one` with the record of each frame of which
    /// something arrived.
    pub(super) fn settle(&mut self, due: DueFrames, settled_one: &mut dyn FnMut(&FrameRecord)) {
        self.settled = due.reached.or(self.settled.take());
        for mut frames in due.frames {
            match &mut frames {
                SettledFrames::One(record) => {
                    self.open.remove(&record.number.0);
                    self.tally.record(record.outcome, record.stale);
                    settled_one(record);
                }
                SettledFrames::Absent(run, outcome) => {
                    self.tally.record_absent(run.end - run.start, *outcome);
                    run.start = run.start.max(run.end.saturating_sub(MAX_RUN));
                }
            }
            self.waiting.push_back(frames);
            if self.waiting.len() > MAX_WAITING {
                self.waiting.pop_front();
            }
        }
    }
}

impl OpenFrame {
    fn chunks(&self) -> u64 {
        self.record.chunks.unwrap_or(0).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reassembly::Origin;
    use crate::time::SenderTime;

    const NOW: Duration = Duration::from_secs(1);
    const FRAME: FrameNumber = FrameNumber(0);

    fn begun() -> FrameLog {
        let mut log = FrameLog::new(7);
        log.begin(FRAME, 3, NOW);
        log
    }

    #[test]
    fn a_frames_send_time_is_that_of_its_first_datagram_in_any_order() {
        let mut log = begun();
        for sent in [200, 100, 300] {
            log.record_chunk(FRAME, None, SenderTime::from_micros(sent), NOW);
        }
        let record = log.open().next().expect("it is open");
        assert_eq!(record.sent, Some(SenderTime::from_micros(100)));
    }

    #[test]
    fn a_chunk_that_arrives_after_its_repair_was_late_and_not_lost() {
        let mut log = begun();
        log.record_repaired(FRAME, Origin::Parity);
        log.record_repaired(FRAME, Origin::Retransmission);
        assert_eq!(log.repaired(), (1, 1));
        log.record_belated(FRAME, Origin::Parity);
        assert_eq!(log.repaired(), (0, 1));
    }
}
