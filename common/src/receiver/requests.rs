//! Asking for what is missing: when, how much, and how often.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::reassembly::Assembly;
use crate::repair::LossModel;
use crate::seq::FrameNumber;
use crate::wire::native::{MAX_GAPS, MAX_WANTS, Want};

/// What is out of order by less than this is not asked for; more where the
/// path is seen to reorder more.
const LEAST_PATIENCE: Duration = Duration::from_millis(2);

/// The most patience with a path that reorders.
const MOST_PATIENCE: Duration = Duration::from_millis(15);

/// What an answer takes beyond the round trip: the sender's turn, and the
/// spreading of its packets.
const ANSWER_TIME: Duration = Duration::from_millis(3);

/// The shortest time between two requests.
const REQUEST_EVERY: Duration = Duration::from_millis(2);

/// The second copy of a request leaves so much later than the first, so that
/// one burst seldom takes both.
const COPY_AFTER: Duration = Duration::from_millis(2);

/// The most often that is asked for one frame.
const MAX_ROUNDS: u32 = 6;

/// Before a round trip has been measured it is taken for this.
const UNKNOWN_RTT: Duration = Duration::from_millis(10);

/// The requests of one stream.
#[derive(Debug, Default)]
pub(super) struct Requests {
    asked: BTreeMap<FrameNumber, Asked>,
    number: u32,
    copies: VecDeque<(Duration, u32, Vec<Want>)>,
    not_before: Duration,
    rtt: Option<Duration>,
    /// How much later than its successor a packet has come of late.
    lateness: Duration,
}

/// What was done for one frame.
#[derive(Debug, Default)]
struct Asked {
    rounds: u32,
    /// When the answer to the last round ought to have come.
    answered: Duration,
    /// How far the frame had come, and since when.
    progress: VecDeque<(Duration, usize)>,
}

/// A frame that is incomplete.
#[derive(Clone, Copy, Debug)]
pub(super) struct Incomplete<'a> {
    pub(super) number: FrameNumber,
    /// What there is of it; `None` where nothing arrived.
    pub(super) assembly: Option<&'a Assembly>,
    /// When it is given up.
    pub(super) deadline: Duration,
    /// When its last packet was to arrive.
    pub(super) all_due: Duration,
    /// How many packets would complete it, with the parity that is there.
    pub(super) short_of: usize,
}

impl Requests {
    /// Takes a measured round-trip time; the least of late counts.
    pub(super) fn note_rtt(&mut self, rtt: Duration) {
        let smoothed = self.rtt.map_or(rtt, |before| {
            if rtt < before {
                rtt
            } else {
                (before * 15 + rtt) / 16
            }
        });
        self.rtt = Some(smoothed);
    }

    /// The round-trip time.
    pub(super) fn rtt(&self) -> Option<Duration> {
        self.rtt
    }

    /// Takes by how much a packet came later than one sent after it.
    pub(super) fn note_lateness(&mut self, late: Duration) {
        let decayed = self.lateness.mul_f64(0.99);
        self.lateness = decayed.max(late);
    }

    /// How long something is allowed to be merely out of order.
    pub(super) fn patience(&self) -> Duration {
        self.lateness
            .mul_f64(1.25)
            .clamp(LEAST_PATIENCE, MOST_PATIENCE)
    }

    /// Notes how far a frame has come by `now`.
    pub(super) fn note_progress(&mut self, number: FrameNumber, reached: usize, now: Duration) {
        let patience = self.patience();
        let progress = &mut self.asked.entry(number).or_default().progress;
        if progress.back().is_none_or(|(_, before)| *before < reached) {
            progress.push_back((now, reached));
        }
        while progress
            .get(1)
            .is_some_and(|(since, _)| *since + patience <= now)
        {
            progress.pop_front();
        }
    }

    /// Forgets the frames before this one.
    pub(super) fn forget_before(&mut self, number: FrameNumber) {
        self.asked = self.asked.split_off(&number);
    }

    /// The next request, by number: what is due of these frames, or the copy
    /// of the last.
    pub(super) fn poll<'a>(
        &mut self,
        incomplete: impl Iterator<Item = Incomplete<'a>>,
        model: LossModel,
        now: Duration,
    ) -> Option<(u32, Vec<Want>)> {
        if self.copies.front().is_some_and(|(due, ..)| *due <= now) {
            return self
                .copies
                .pop_front()
                .map(|(_, number, wants)| (number, wants));
        }
        if now < self.not_before {
            return None;
        }
        let mut room = MAX_GAPS;
        let wants: Vec<_> = incomplete
            .filter_map(|frame| self.want(&frame, model, &mut room, now))
            .take(MAX_WANTS)
            .collect();
        if wants.is_empty() {
            return None;
        }
        self.number = self.number.wrapping_add(1);
        self.not_before = now + REQUEST_EVERY;
        self.copies
            .push_back((now + COPY_AFTER, self.number, wants.clone()));
        Some((self.number, wants))
    }

    /// When [`Requests::poll`] has something for these frames at the earliest.
    pub(super) fn due<'a>(
        &self,
        incomplete: impl Iterator<Item = Incomplete<'a>>,
    ) -> Option<Duration> {
        let frames = incomplete.filter_map(|frame| self.due_for(&frame));
        let first = frames.min().map(|due| due.max(self.not_before));
        first
            .into_iter()
            .chain(self.copies.front().map(|(due, ..)| *due))
            .min()
    }

    /// When it is time to ask for a frame; `None` where it is of no use.
    fn due_for(&self, frame: &Incomplete<'_>) -> Option<Duration> {
        let asked = self.asked.get(&frame.number);
        if frame.short_of == 0 || asked.is_some_and(|asked| asked.rounds >= MAX_ROUNDS) {
            return None;
        }
        let patience = self.patience();
        let tail = frame.all_due + patience;
        // A hole is one since the packet behind it came.
        let hole = asked.zip(frame.assembly).and_then(|(asked, assembly)| {
            let first = assembly.have().zeroes().next()?;
            asked
                .progress
                .iter()
                .find(|(_, reached)| *reached > first)
                .map(|(since, _)| *since + patience)
        });
        let noticed = hole.map_or(tail, |hole| hole.min(tail));
        let due = noticed.max(asked.map_or(Duration::ZERO, |asked| asked.answered));
        (due + self.rtt.unwrap_or(UNKNOWN_RTT) <= frame.deadline).then_some(due)
    }

    fn want(
        &mut self,
        frame: &Incomplete<'_>,
        model: LossModel,
        room: &mut usize,
        now: Duration,
    ) -> Option<Want> {
        if self.due_for(frame)? > now {
            return None;
        }
        let rtt = self.rtt.unwrap_or(UNKNOWN_RTT);
        let patience = self.patience();
        let last = now + rtt * 2 + ANSWER_TIME + patience > frame.deadline;
        let asked = self.asked.entry(frame.number).or_default();
        // Chunks beyond this may still be on their way in order.
        let settled = if now >= frame.all_due + patience {
            usize::MAX
        } else {
            let since = |(since, _): &&(Duration, usize)| *since + patience <= now;
            asked
                .progress
                .iter()
                .rev()
                .find(since)
                .map_or(0, |(_, reached)| *reached)
        };
        let (gaps, missing) = match frame.assembly {
            Some(assembly) => gaps(assembly, settled, frame.short_of, *room),
            None => (Vec::new(), 1),
        };
        if frame.assembly.is_some() && gaps.is_empty() {
            return None;
        }
        *room -= gaps.len();
        asked.rounds += 1;
        asked.answered = now + rtt + ANSWER_TIME + patience;
        let extra = model.extra(missing, last).min(usize::from(u8::MAX)) as u8;
        Some(Want {
            frame: frame.number.seq(),
            extra,
            gaps,
        })
    }
}

/// The gaps before chunk `settled`, at most `most` of them and at most `chunks`
/// chunks in all, and how many chunks they are.
fn gaps(
    assembly: &Assembly,
    settled: usize,
    chunks: usize,
    most: usize,
) -> (Vec<(u16, u16)>, usize) {
    let mut gaps: Vec<(u16, u16)> = Vec::new();
    let mut named = 0;
    for index in assembly
        .have()
        .zeroes()
        .take_while(|index| *index < settled)
    {
        if named == chunks {
            break;
        }
        let full = gaps.len() == most;
        match gaps.last_mut() {
            Some((first, count)) if usize::from(*first) + usize::from(*count) == index => {
                *count += 1
            }
            _ if full => break,
            _ => gaps.push((index as u16, 1)),
        }
        named += 1;
    }
    (gaps, named)
}
