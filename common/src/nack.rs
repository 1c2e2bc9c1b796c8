//! Which missing chunks to request, when, and how often (NACK,
//! <https://www.rfc-editor.org/rfc/rfc4585#section-6.2.1>).

mod outstanding;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::fec::{AnswerPlan, LossModel, retransmit_gap, retransmit_spread};
use crate::reassembly::Assembly;
use crate::seq::FrameNumber;
use crate::wire::native::{
    Chunk, FRAME_NACK_LEN, FrameNack, GAP_LEN, HEADER, MAX_GAPS, MAX_NACK_FRAMES, NACK_BODY,
};
use outstanding::Outstanding;

/// Packets that are reordered by less than this are not requested; by more if the path reorders
/// more.
const MIN_REORDERING: Duration = Duration::from_millis(2);

/// The most that reordering delays a NACK.
const MAX_REORDERING: Duration = Duration::from_millis(15);

/// Margin for reordered packets that are later than earlier ones.
const LATENESS_MARGIN: f64 = 1.25;

/// A packet is hardly ever reordered this far, as TCP assumes.
const FAR_BEHIND: usize = 3;

/// The share of the greatest lateness that remains after each packet, so that lateness of one
/// packet in a hundred is not forgotten in between.
const LATENESS_KEPT: f64 = 0.998;

/// The sender's processing time: what a retransmission takes beyond the RTT and the spacing of its
/// burst.
const RESPONSE_TIME: Duration = Duration::from_micros(500);

/// Weight of the previous average scheduling delay at each sample, in eighths.
const DELAY_KEPT: u32 = 7;

/// The shortest time between two NACKs.
const NACK_EVERY: Duration = Duration::from_millis(2);

/// How late a packet may be.
#[derive(Clone, Copy, Debug)]
struct Tolerance {
    /// A packet that the next ones overtook.
    reordering: Duration,
    /// A packet that many overtook.
    lateness: Duration,
}

/// Time between copies of a NACK, so that one loss burst seldom takes all; shorter if the last copy
/// would arrive too late.
const COPY_EVERY: Duration = Duration::from_millis(1);

/// Upper bound on waiting copies.
const MAX_WAITING_COPIES: usize = 64;

/// Rounds that answers are planned for.
const MAX_PLANNED_ROUNDS: usize = 3;

/// Upper bound on requests for one chunk.
const MAX_ROUNDS: u32 = 6;

/// Upper bound on missing chunks examined in one frame. NACKs cannot save a frame that misses more.
const MAX_LOOKED_AT: usize = 512;

/// Upper bound on missing chunks examined over all frames, oldest first: this
/// runs for every packet.
const MAX_LOOKED_AT_TOGETHER: usize = 2 * MAX_LOOKED_AT;

/// The RTT before one is measured.
const UNKNOWN_RTT: Duration = Duration::from_millis(10);

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
    /// When the newest packet of media or repair arrived.
    last_received: Duration,
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

/// An incomplete frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IncompleteFrame<'a> {
    pub(crate) number: FrameNumber,
    /// Its received chunks, if any.
    pub(crate) assembly: Option<&'a Assembly>,
    /// When it is given up.
    pub(crate) deadline: Duration,
    /// When its last packet was expected.
    pub(crate) all_due: Duration,
    /// How many packets would complete it, given the parity that arrived.
    pub(crate) short_of: usize,
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
        let decayed = self.lateness.mul_f64(LATENESS_KEPT);
        self.lateness = decayed.max(late);
    }

    /// Records the arrival of a media or repair packet.
    pub(crate) fn record_arrival(&mut self, now: Duration) {
        self.last_received = now;
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

    /// When retransmissions that are spread over `spread` are due.
    fn expected(&self, spread: Duration, now: Duration) -> Duration {
        let rtt = self.rtt.unwrap_or(UNKNOWN_RTT);
        now + rtt + RESPONSE_TIME + spread + self.scheduling_delay * 2
    }

    /// How long a missing packet may be merely reordered.
    pub(crate) fn reordering(&self) -> Duration {
        self.lateness
            .mul_f64(LATENESS_MARGIN)
            .clamp(MIN_REORDERING, MAX_REORDERING)
    }

    /// When a chunk counts as lost because later packets arrived: after the third of them, unless
    /// the path reorders, and some time after the first one
    /// (<https://www.rfc-editor.org/rfc/rfc8985#section-6.2>).
    fn noticed(&self, state: &NackState, index: u16) -> Option<Duration> {
        let tolerance = self.tolerance();
        let first = state.overtaken(index, 1)? + tolerance.reordering;
        let third = state.overtaken(index, FAR_BEHIND);
        Some(third.map_or(first, |third| first.min(third + tolerance.lateness)))
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
        self.frames = self.frames.split_off(&number);
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
        let mut room = Room {
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

    /// When [`NackGenerator::poll`] has a NACK for these frames.
    pub(crate) fn due<'a>(
        &self,
        incomplete: impl Iterator<Item = IncompleteFrame<'a>>,
    ) -> Option<Duration> {
        let frames = within_reach(incomplete).filter_map(|frame| self.due_for(&frame));
        let first = frames.min().map(|due| due.max(self.not_before));
        first
            .into_iter()
            .chain(self.copies.front().map(|(due, ..)| *due))
            .min()
    }

    /// The latest time to request chunks of a frame.
    fn latest(&self, frame: &IncompleteFrame<'_>) -> Duration {
        let rtt = self.rtt.unwrap_or(UNKNOWN_RTT);
        frame.deadline.saturating_sub(rtt + RESPONSE_TIME)
    }

    /// How late packets may be.
    fn tolerance(&self) -> Tolerance {
        Tolerance {
            reordering: self.reordering(),
            lateness: self.lateness.mul_f64(LATENESS_MARGIN).min(MAX_REORDERING),
        }
    }

    /// When to request more chunks of a frame; `None` if no answer could arrive in time.
    fn due_for(&self, frame: &IncompleteFrame<'_>) -> Option<Duration> {
        let alike = self.frames.get(&frame.number).map_or(0, NackState::alike);
        let mut is_last = false;
        let due = self
            .chunks_due(frame)
            // This runs for every packet, so one chunk stands for all that are alike.
            .take_while(|(index, _)| !std::mem::replace(&mut is_last, *index >= alike))
            .map(|(_, due)| due)
            .min()?;
        // While enough is on its way, nothing more is requested, if there is still time later.
        let mut coming: Vec<_> = self.outstanding_due(frame).collect();
        coming.sort_unstable();
        let enough_until = coming
            .iter()
            .rev()
            .nth(frame.short_of.saturating_sub(1))
            .copied();
        let rtt = self.rtt.unwrap_or(UNKNOWN_RTT);
        let due = due.max(enough_until.unwrap_or_default().min(self.latest(frame)));
        let in_time = due + rtt <= frame.deadline;
        (in_time && frame.short_of > 0).then_some(due)
    }

    /// When each requested chunk and each extra packet is due.
    fn outstanding_due<'a>(
        &'a self,
        frame: &IncompleteFrame<'a>,
    ) -> impl Iterator<Item = Duration> {
        let tolerance = self.tolerance();
        let state = self.frames.get(&frame.number);
        let (state, frame) = (state.into_iter(), *frame);
        state
            .map(|state| &state.outstanding)
            .flat_map(move |asked| {
                let missing = asked
                    .indices()
                    .filter(move |index| frame.is_missing(*index));
                let chunks = missing.filter_map(move |index| asked.due(index, tolerance));
                chunks.chain(asked.extra_due(tolerance))
            })
    }

    /// The missing chunks, each with the time to request it.
    fn chunks_due<'a>(
        &'a self,
        frame: &IncompleteFrame<'a>,
    ) -> impl Iterator<Item = (u16, Duration)> {
        let tolerance = self.tolerance();
        let rtt = self.rtt.unwrap_or(UNKNOWN_RTT);
        let latest = self.latest(frame);
        let tail = frame.all_due + tolerance.reordering;
        let rounds = self.rounds_from(tail, frame.deadline);
        let state = self.frames.get(&frame.number);
        frame.missing().filter_map(move |index| {
            let noticed = state.and_then(|state| self.noticed(state, index));
            let noticed = noticed.map_or(tail, |noticed| noticed.min(tail));
            // Packets on their way may make the NACK unnecessary, so it waits if that costs no
            // round.
            let noticed = if self.rounds_from(noticed, frame.deadline) == rounds {
                noticed.max(frame.all_due.min(tail))
            } else {
                noticed
            };
            let asked = state.map(|state| &state.outstanding);
            let Some((asked, again)) =
                asked.and_then(|asked| Some((asked, asked.due(index, tolerance)?)))
            else {
                return Some((index, noticed));
            };
            // An answer that may merely be late does not delay the last chance.
            let soonest = asked.requested(index).unwrap_or_default() + rtt;
            let again = again.min(latest.max(soonest));
            (asked.rounds(index) < MAX_ROUNDS).then(|| (index, noticed.max(again)))
        })
    }

    /// How many successive NACKs can be answered in time if the first is sent `now`.
    fn rounds_from(&self, now: Duration, deadline: Duration) -> usize {
        let round = self.expected(retransmit_spread() + self.reordering(), Duration::ZERO);
        let fits = |rounds: &usize| {
            let last = now + round * (*rounds as u32 - 1);
            self.expected(Duration::ZERO, last) <= deadline
        };
        (1..=MAX_PLANNED_ROUNDS).take_while(fits).count()
    }

    fn frame_nack(
        &mut self,
        frame: &IncompleteFrame<'_>,
        room: &mut Room,
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

/// The room left in a NACK.
struct Room {
    bytes: usize,
    gaps: usize,
}

impl Room {
    /// The number of gaps that fit with one more frame.
    fn gaps_of_one_more(&self) -> usize {
        let gaps = self.bytes.saturating_sub(FRAME_NACK_LEN) / GAP_LEN;
        gaps.min(self.gaps)
    }

    /// Uses room for one more frame with this many gaps.
    fn take(&mut self, gaps: usize) {
        self.gaps = self.gaps.saturating_sub(gaps);
        self.bytes = self.bytes.saturating_sub(FRAME_NACK_LEN + GAP_LEN * gaps);
    }
}

impl<'a> IncompleteFrame<'a> {
    /// The missing chunks, up to the number that is examined.
    fn missing(&self) -> impl Iterator<Item = u16> + use<'a> {
        let missing = self.assembly.map(|assembly| assembly.have().zeroes());
        let missing = missing.into_iter().flatten().map(|index| index as u16);
        // Nothing of the frame arrived: the complete frame is requested.
        let first = self.assembly.is_none().then_some(0);
        missing.take(MAX_LOOKED_AT).chain(first)
    }

    /// Whether a chunk is missing. If nothing of the frame arrived, only the first counts as
    /// missing.
    fn is_missing(&self, index: u16) -> bool {
        let assembly = self.assembly;
        assembly.map_or(index == 0, |assembly| {
            let (have, index) = (assembly.have(), usize::from(index));
            index < have.len() && !have.contains(index)
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

    /// Since when a packet this far behind a chunk has arrived.
    fn overtaken(&self, index: u16, by: usize) -> Option<Duration> {
        let behind = |(_, reached): &&(Duration, usize)| *reached >= usize::from(index) + 1 + by;
        self.progress.iter().find(behind).map(|(since, _)| *since)
    }
}

/// The frames that are examined, so that work stays bounded.
fn within_reach<'a>(
    incomplete: impl Iterator<Item = IncompleteFrame<'a>>,
) -> impl Iterator<Item = IncompleteFrame<'a>> {
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
