//! Which missing chunks to request, when, and how often (NACK,
//! <https://www.rfc-editor.org/rfc/rfc4585#section-6.2.1>).

mod missing;
mod outstanding;
#[cfg(test)]
mod tests;
mod timing;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::fec::{AnswerPlan, LossModel, retransmit_gap};
use crate::seq::FrameNumber;
use crate::wire::native::{Chunk, FrameNack, HEADER, MAX_GAPS, MAX_NACK_FRAMES, NACK_BODY};
pub(crate) use missing::IncompleteFrame;
use missing::{MAX_LOOKED_AT, NackRoom, gaps, within_reach};
use outstanding::Outstanding;
use timing::{LONG_REST, MAX_REORDERING, RESPONSE_TIME, UNKNOWN_RTT};

/// The share of the greatest lateness that remains after each packet, so that lateness of one
/// packet in a hundred is not forgotten in between.
const LATENESS_KEPT: f64 = 0.998;

/// Weight of the previous average scheduling delay at each sample, in eighths.
const DELAY_KEPT: u32 = 7;

/// The shortest time between two NACKs.
const NACK_EVERY: Duration = Duration::from_millis(2);

/// Time between copies of a NACK, so that one loss burst seldom takes all; shorter if the last copy
/// would arrive too late.
const COPY_EVERY: Duration = Duration::from_millis(1);

/// Upper bound on waiting copies.
const MAX_WAITING_COPIES: usize = 64;

/// Rounds that answers are planned for.
const MAX_PLANNED_ROUNDS: usize = 3;

/// The NACKs of one stream.
#[derive(Debug, Default)]
pub(crate) struct NackGenerator {
    frames: BTreeMap<FrameNumber, NackState>,
    number: u32,
    /// Copies still to send, ordered by time.
    copies: VecDeque<(Duration, u32, Vec<FrameNack>)>,
    not_before: Duration,
    rtt: Option<Duration>,
    /// How much later than its successor a packet arrived recently.
    lateness: Duration,
    /// The average delay of retransmissions beyond what the RTT explains: on a busy machine, either
    /// side may wait to be scheduled.
    scheduling_delay: Duration,
    /// The path's loss, and the best answers to NACKs.
    answers: Option<(LossModel, AnswerPlan)>,
}

/// The NACK state of one frame.
#[derive(Debug, Default)]
struct NackState {
    /// The requested chunks. A frame of which nothing arrived is requested as its chunk 0.
    outstanding: Outstanding,
    /// How far the frame had arrived, and since when.
    progress: VecDeque<(Duration, usize)>,
}

impl NackGenerator {
    /// Records a measured RTT. The smallest of the recent ones counts.
    pub(crate) fn record_rtt(&mut self, rtt: Duration) {
        let smoothed = self.rtt.map_or(rtt, |before| {
            if rtt < before {
                rtt
            } else {
                (before * 15 + rtt) / 16
            }
        });
        self.rtt = Some(smoothed);
    }

    /// The RTT, if measured.
    pub(crate) fn rtt(&self) -> Option<Duration> {
        self.rtt
    }

    /// Records how much later a packet arrived than one sent after it.
    pub(crate) fn record_lateness(&mut self, late: Duration) {
        if !self.lateness.is_zero() {
            self.lateness = self.lateness.mul_f64(LATENESS_KEPT);
        }
        self.lateness = self.lateness.max(late);
    }

    /// Handles the end of an outage. NACKs sent during the outage reached nobody and do not count.
    pub(crate) fn handle_outage_end(&mut self) {
        let frames = self.frames.values_mut();
        frames.for_each(|frame| frame.outstanding = Outstanding::default());
    }

    /// Records a retransmission.
    pub(crate) fn record_retransmission(
        &mut self,
        number: FrameNumber,
        chunk: &Chunk<'_>,
        now: Duration,
    ) {
        let rtt = self.rtt.unwrap_or(UNKNOWN_RTT);
        let late = self.frames.get_mut(&number).and_then(|frame| {
            let outstanding = &mut frame.outstanding;
            outstanding.record_count(usize::from(chunk.count).min(MAX_LOOKED_AT) as u16);
            outstanding.record_retransmission(chunk.index, rtt, now)
        });
        if let Some(late) = late {
            let late = late.saturating_sub(RESPONSE_TIME).min(MAX_REORDERING);
            self.scheduling_delay = (self.scheduling_delay * DELAY_KEPT + late) / 8;
        }
    }

    /// Records how far a frame has arrived.
    pub(crate) fn record_progress(&mut self, number: FrameNumber, reached: usize, now: Duration) {
        let reordering = self.reordering();
        let progress = &mut self.frames.entry(number).or_default().progress;
        if progress.back().is_none_or(|(_, before)| *before < reached) {
            progress.push_back((now, reached));
        }
        while progress
            .get(1)
            .is_some_and(|(since, _)| *since + reordering <= now)
        {
            progress.pop_front();
        }
    }

    /// Forgets the frames before this one.
    pub(crate) fn forget_before(&mut self, number: FrameNumber) {
        while let Some(oldest) = self.frames.first_entry()
            && *oldest.key() < number
        {
            oldest.remove();
        }
    }

    /// The next NACK and its number, in at most `datagram` bytes: what is due for these frames, or
    /// a copy of an earlier NACK.
    pub(crate) fn poll<'a>(
        &mut self,
        incomplete: impl Iterator<Item = IncompleteFrame<'a>>,
        model: LossModel,
        datagram: usize,
        now: Duration,
    ) -> Option<(u32, Vec<FrameNack>)> {
        if self.copies.front().is_some_and(|(due, ..)| *due <= now) {
            return self
                .copies
                .pop_front()
                .map(|(_, number, frames)| (number, frames));
        }
        if now < self.not_before {
            return None;
        }
        let mut room = NackRoom {
            bytes: datagram.saturating_sub(HEADER + NACK_BODY),
            gaps: MAX_GAPS,
        };
        let model = model.rounded();
        if self
            .answers
            .as_ref()
            .is_none_or(|(before, _)| *before != model)
        {
            self.answers = Some((model, AnswerPlan::new(&model, MAX_PLANNED_ROUNDS)));
        }
        // Until a request for all chunks would be too late.
        let mut time = Duration::MAX;
        let frames: Vec<_> = within_reach(incomplete)
            .filter_map(|frame| {
                let nack = self.frame_nack(&frame, &mut room, now)?;
                let rtt = self.rtt.unwrap_or(UNKNOWN_RTT);
                time = time.min(frame.deadline.saturating_sub(now + rtt));
                Some(nack)
            })
            .take(MAX_NACK_FRAMES)
            .collect();
        if frames.is_empty() {
            return None;
        }
        self.number = self.number.wrapping_add(1);
        self.not_before = now + NACK_EVERY;
        let copies = model.request_copies() as u32;
        let gap = COPY_EVERY.min(time / copies);
        for copy in 1..copies {
            let due = now + gap * copy;
            let at = self.copies.partition_point(|(before, ..)| *before <= due);
            self.copies.insert(at, (due, self.number, frames.clone()));
        }
        self.copies.truncate(MAX_WAITING_COPIES);
        Some((self.number, frames))
    }

    fn frame_nack(
        &mut self,
        frame: &IncompleteFrame<'_>,
        room: &mut NackRoom,
        now: Duration,
    ) -> Option<FrameNack> {
        if room.gaps_of_one_more() == 0 || self.due_for(frame)? > now {
            return None;
        }
        let reordering = self.reordering();
        // At the last chance, packets on their way are not relied on.
        let last = now >= self.latest(frame);
        let coming = |due: &Duration| *due > now && !last;
        let outstanding = self.outstanding_due(frame).filter(coming).count();
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
        let missing = outstanding + chunks.len();
        let more = self.rounds_from(now, frame.deadline).saturating_sub(1);
        let extra = self.answers.as_ref();
        let extra = extra.map_or(0, |(_, plan)| plan.extra(missing, more));
        let packets = chunks.len() + extra;
        let gap = retransmit_gap(packets);
        let due = self.expected(gap * (packets - 1) as u32, now) + reordering;
        let state = self.frames.entry(frame.number).or_default();
        let outstanding = &mut state.outstanding;
        outstanding.record_nack(&chunks, extra, gap, due, now);
        outstanding.is_complete_frame = frame.assembly.is_none();
        let extra = u8::try_from(extra).unwrap_or(u8::MAX);
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

impl NackState {
    /// The first of the trailing chunks that nothing has overtaken and that were not requested.
    /// They are all due at the same time.
    fn alike(&self) -> u16 {
        let reached = self.progress.back().map_or(0, |(_, reached)| *reached);
        let overtaken = u16::try_from(reached.saturating_sub(1)).unwrap_or(u16::MAX);
        overtaken.max(self.outstanding.end())
    }

    /// When the next of `count` chunks is expected, if they were all due but many are still coming:
    /// as long after the newest as that came after the one before.
    fn next(&self, count: usize, all_due: Duration) -> Option<Duration> {
        let mut newest = self.progress.iter().rev();
        let (last, reached) = newest.next()?;
        let is_coming = *last > all_due && reached + LONG_REST < count;
        let before = newest.next().map_or(*last, |(since, _)| *since);
        is_coming.then(|| *last + last.saturating_sub(before))
    }

    /// Since when a packet this far behind a chunk has arrived.
    fn overtaken(&self, index: u16, by: usize) -> Option<Duration> {
        let behind = |(_, reached): &&(Duration, usize)| *reached >= usize::from(index) + 1 + by;
        self.progress.iter().find(behind).map(|(since, _)| *since)
    }
}
