//! Asking for what is missing: when, how much, and how often.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::answers::Answers;
use crate::fec::{LossModel, retransmit_gap};
use crate::reassembly::Assembly;
use crate::seq::FrameNumber;
use crate::wire::native::{
    FRAME_NACK_LEN, FrameNack, GAP_LEN, HEADER, MAX_GAPS, MAX_NACK_FRAMES, NACK_BODY,
};

/// What is out of order by less than this is not asked for; more where the
/// path is seen to reorder more.
const LEAST_PATIENCE: Duration = Duration::from_millis(2);

/// The most patience with a path that reorders.
const MOST_PATIENCE: Duration = Duration::from_millis(15);

/// How much of the greatest lateness is left with the next packet: what comes
/// out of order once in a hundred packets is not forgotten in between.
const LATENESS_KEPT: f64 = 0.998;

/// What an answer takes beyond the round trip and the spreading of its packets:
/// the sender's turn.
const ANSWER_TIME: Duration = Duration::from_micros(500);

/// How much of what was known before of turns that are waited for is left with
/// the next answer, in eighths.
const TURN_KEPT: u32 = 7;

/// The shortest time between two requests.
const REQUEST_EVERY: Duration = Duration::from_millis(2);

/// Time from copy to copy of a request, so that one burst seldom takes all; less
/// where the last of them would come too late.
const COPY_EVERY: Duration = Duration::from_millis(1);

/// The most copies of requests that wait.
const MAX_WAITING_COPIES: usize = 64;

/// The most often that is asked for one chunk.
const MAX_ROUNDS: u32 = 6;

/// The most missing chunks of a frame that are looked at at once: beyond that a
/// frame is not saved by asking.
const MAX_LOOKED_AT: usize = 512;

/// The most of them in all frames together, the oldest first: this is looked
/// through with every packet.
const MAX_LOOKED_AT_TOGETHER: usize = 2 * MAX_LOOKED_AT;

/// Before a round trip has been measured it is taken for this.
const UNKNOWN_RTT: Duration = Duration::from_millis(10);

/// The requests of one stream.
#[derive(Debug, Default)]
pub(super) struct Requests {
    asked: BTreeMap<FrameNumber, Asked>,
    number: u32,
    /// Copies of requests that are still to leave, in the order of time.
    copies: VecDeque<(Duration, u32, Vec<FrameNack>)>,
    not_before: Duration,
    rtt: Option<Duration>,
    /// How much later than its successor a packet has come of late.
    lateness: Duration,
    /// When the newest packet of media or repair arrived.
    heard: Duration,
    /// By how much answers are later than the round trip of late, on average:
    /// either side may wait for its turn on a busy machine.
    turn: Duration,
}

/// What was done for one frame.
#[derive(Debug, Default)]
struct Asked {
    /// The chunks that were asked for; a frame of which nothing arrived is
    /// asked for as its chunk 0.
    answers: Answers,
    /// Packets asked for beyond those, and when they ought to have come.
    extra: Vec<(Duration, usize)>,
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
        let decayed = self.lateness.mul_f64(LATENESS_KEPT);
        self.lateness = decayed.max(late);
    }

    /// Notes that a packet of media or repair arrives.
    pub(super) fn note_arrival(&mut self, now: Duration) {
        self.heard = now;
    }

    /// Notes that the path is back after an outage. What was asked into it
    /// reached nobody: it is as if it had not been asked for.
    pub(super) fn note_resumed(&mut self) {
        let asked = self.asked.values_mut();
        asked.for_each(|asked| asked.answers = Answers::default());
    }

    /// Notes that a chunk of a frame arrives that was sent again.
    pub(super) fn note_answer(&mut self, number: FrameNumber, index: u16, now: Duration) {
        let rtt = self.rtt.unwrap_or(UNKNOWN_RTT);
        let asked = self.asked.get_mut(&number);
        if let Some(late) = asked.and_then(|asked| asked.answers.note_came(index, rtt, now)) {
            let late = late.saturating_sub(ANSWER_TIME).min(MOST_PATIENCE);
            self.turn = (self.turn * TURN_KEPT + late) / 8;
        }
    }

    /// When an answer whose packets take `spread` ought to have come.
    fn answered(&self, spread: Duration, now: Duration) -> Duration {
        let rtt = self.rtt.unwrap_or(UNKNOWN_RTT);
        now + rtt + ANSWER_TIME + spread + self.turn * 2
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

    /// The next request, by number, in at most `datagram` bytes: what is due of
    /// these frames, or the copy of the last.
    pub(super) fn poll<'a>(
        &mut self,
        incomplete: impl Iterator<Item = Incomplete<'a>>,
        model: LossModel,
        datagram: usize,
        now: Duration,
    ) -> Option<(u32, Vec<FrameNack>)> {
        if self.copies.front().is_some_and(|(due, ..)| *due <= now) {
            return self
                .copies
                .pop_front()
                .map(|(_, number, wants)| (number, wants));
        }
        if now < self.not_before {
            return None;
        }
        let mut room = Room {
            bytes: datagram.saturating_sub(HEADER + NACK_BODY),
            gaps: MAX_GAPS,
        };
        // Until a request for all of them would come too late.
        let mut time = Duration::MAX;
        let wants: Vec<_> = within_reach(incomplete)
            .filter_map(|frame| {
                let want = self.want(&frame, model, &mut room, now)?;
                let rtt = self.rtt.unwrap_or(UNKNOWN_RTT);
                time = time.min(frame.deadline.saturating_sub(now + rtt));
                Some(want)
            })
            .take(MAX_NACK_FRAMES)
            .collect();
        if wants.is_empty() {
            return None;
        }
        self.number = self.number.wrapping_add(1);
        self.not_before = now + REQUEST_EVERY;
        let copies = model.request_copies() as u32;
        let gap = COPY_EVERY.min(time / copies);
        for copy in 1..copies {
            let due = now + gap * copy;
            let at = self.copies.partition_point(|(before, ..)| *before <= due);
            self.copies.insert(at, (due, self.number, wants.clone()));
        }
        self.copies.truncate(MAX_WAITING_COPIES);
        Some((self.number, wants))
    }

    /// When [`Requests::poll`] has something for these frames at the earliest.
    pub(super) fn due<'a>(
        &self,
        incomplete: impl Iterator<Item = Incomplete<'a>>,
    ) -> Option<Duration> {
        let frames = within_reach(incomplete).filter_map(|frame| self.due_for(&frame));
        let first = frames.min().map(|due| due.max(self.not_before));
        first
            .into_iter()
            .chain(self.copies.front().map(|(due, ..)| *due))
            .min()
    }

    /// When it is time to ask for more of a frame; `None` where that is of no
    /// use.
    fn due_for(&self, frame: &Incomplete<'_>) -> Option<Duration> {
        let due = self.chunks_due(frame).map(|(_, due)| due).min()?;
        // While enough is on its way nothing more is asked for.
        let mut answers: Vec<_> = self.answers_due(frame).collect();
        answers.sort_unstable();
        let enough_until = answers
            .iter()
            .rev()
            .nth(frame.short_of.saturating_sub(1))
            .copied();
        let due = due.max(enough_until.unwrap_or_default());
        let in_time = due + self.rtt.unwrap_or(UNKNOWN_RTT) <= frame.deadline;
        (in_time && frame.short_of > 0).then_some(due)
    }

    /// When each of the missing chunks that were asked for ought to have come.
    fn answers_due<'a>(&'a self, frame: &Incomplete<'a>) -> impl Iterator<Item = Duration> {
        let patience = self.patience();
        let asked = self.asked.get(&frame.number);
        let missing = asked.map(|asked| (asked, frame.missing()));
        missing.into_iter().flat_map(move |(asked, missing)| {
            missing.filter_map(move |index| asked.answers.due(index, patience))
        })
    }

    /// The chunks that are missing, each with when it is time to ask for it.
    fn chunks_due<'a>(&'a self, frame: &Incomplete<'a>) -> impl Iterator<Item = (u16, Duration)> {
        let tail = frame.all_due + self.patience();
        let asked = self.asked.get(&frame.number);
        frame.missing().filter_map(move |index| {
            let noticed = asked
                .and_then(|asked| asked.noticed(index))
                .map(|at| at + self.patience());
            let noticed = noticed.map_or(tail, |noticed| noticed.min(tail));
            let again = asked.and_then(|asked| asked.answers.due(index, self.patience()));
            match again {
                Some(_) if asked.is_some_and(|it| it.answers.rounds(index) >= MAX_ROUNDS) => None,
                Some(again) => Some((index, noticed.max(again))),
                None => Some((index, noticed)),
            }
        })
    }

    fn want(
        &mut self,
        frame: &Incomplete<'_>,
        model: LossModel,
        room: &mut Room,
        now: Duration,
    ) -> Option<FrameNack> {
        if room.gaps_of_one_more() == 0 || self.due_for(frame)? > now {
            return None;
        }
        let patience = self.patience();
        let outstanding = self.answers_due(frame).filter(|due| *due > now).count();
        let wanted = frame.short_of.saturating_sub(outstanding);
        let due = self
            .chunks_due(frame)
            .filter(|(_, due)| *due <= now)
            .map(|(index, _)| index);
        let (chunks, gaps) = gaps(due.take(wanted), room.gaps_of_one_more());
        if chunks.is_empty() {
            return None;
        }
        room.take(gaps.len());
        let gap = retransmit_gap(chunks.len());
        let answered = self.answered(gap * (chunks.len() - 1) as u32, now) + patience;
        let last = self.answered(Duration::ZERO, answered) > frame.deadline;
        let asked = self.asked.entry(frame.number).or_default();
        asked.answers.note_asked(&chunks, gap, answered, now);
        // Nothing came where something was due: a burst may still go on.
        let quiet = self.heard + patience < now;
        // Extra packets stand in for any chunk: those on their way count.
        asked.extra.retain(|(answered, _)| *answered > now);
        let coming = asked.extra.iter().map(|(_, count)| count).sum();
        let extra = model
            .extra(outstanding + chunks.len(), last, quiet)
            .saturating_sub(coming);
        let extra = extra.min(usize::from(u8::MAX));
        asked.extra.push((answered, extra));
        let extra = extra as u8;
        let gaps = if frame.assembly.is_some() {
            gaps
        } else {
            Vec::new()
        };
        Some(FrameNack {
            frame: frame.number.seq(),
            extra,
            gaps,
        })
    }
}

/// What a request still has room for.
struct Room {
    bytes: usize,
    gaps: usize,
}

impl Room {
    /// How many gaps of one more frame.
    fn gaps_of_one_more(&self) -> usize {
        let gaps = self.bytes.saturating_sub(FRAME_NACK_LEN) / GAP_LEN;
        gaps.min(self.gaps)
    }

    /// Takes one more frame with so many gaps.
    fn take(&mut self, gaps: usize) {
        self.gaps = self.gaps.saturating_sub(gaps);
        self.bytes = self.bytes.saturating_sub(FRAME_NACK_LEN + GAP_LEN * gaps);
    }
}

impl<'a> Incomplete<'a> {
    /// The chunks that are missing, as many as are looked at.
    fn missing(&self) -> impl Iterator<Item = u16> + use<'a> {
        let missing = self.assembly.map(|assembly| assembly.have().zeroes());
        let missing = missing.into_iter().flatten().map(|index| index as u16);
        // Nothing of the frame is there: it is asked for as a whole.
        let whole = self.assembly.is_none().then_some(0);
        missing.take(MAX_LOOKED_AT).chain(whole)
    }
}

impl Asked {
    /// Since when a chunk behind this one has been there.
    fn noticed(&self, index: u16) -> Option<Duration> {
        let behind = |(_, reached): &&(Duration, usize)| *reached > usize::from(index);
        self.progress.iter().find(behind).map(|(since, _)| *since)
    }
}

/// The frames that are looked through, so that work stays bounded.
fn within_reach<'a>(
    incomplete: impl Iterator<Item = Incomplete<'a>>,
) -> impl Iterator<Item = Incomplete<'a>> {
    let mut looked_at = 0;
    incomplete.take_while(move |frame| {
        let within = looked_at < MAX_LOOKED_AT_TOGETHER;
        let missing = frame.assembly.map_or(1, Assembly::missing);
        looked_at += missing.min(MAX_LOOKED_AT);
        within
    })
}

/// The chunks that fit into `most` gaps, and the gaps.
fn gaps(chunks: impl Iterator<Item = u16>, most: usize) -> (Vec<u16>, Vec<(u16, u16)>) {
    let mut gaps: Vec<(u16, u16)> = Vec::new();
    let mut named = Vec::new();
    for index in chunks {
        let full = gaps.len() == most;
        match gaps.last_mut() {
            Some((first, count)) if *first + *count == index => *count += 1,
            _ if full => break,
            _ => gaps.push((index, 1)),
        }
        named.push(index);
    }
    (named, gaps)
}
