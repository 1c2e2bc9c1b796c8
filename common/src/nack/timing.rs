//! When to request what is missing, and for how long a packet may merely be late.

use std::time::Duration;

use super::missing::{IncompleteFrame, within_reach};
use super::{MAX_PLANNED_ROUNDS, NackGenerator, NackState};
use crate::fec::retransmit_spread;

/// Packets that are reordered by less than this are not requested; by more if the path reorders
/// more.
pub(super) const MIN_REORDERING: Duration = Duration::from_millis(2);

/// The most that reordering delays a NACK.
pub(super) const MAX_REORDERING: Duration = Duration::from_millis(15);

/// Margin for reordered packets that are later than earlier ones.
pub(super) const LATENESS_MARGIN: f64 = 1.25;

/// A packet is hardly ever reordered this far, as TCP assumes.
pub(super) const FAR_BEHIND: usize = 3;

/// The sender's processing time: what a retransmission takes beyond the RTT and the spacing of its
/// burst.
pub(super) const RESPONSE_TIME: Duration = Duration::from_micros(500);

/// The rest of a frame, if it has more chunks than this, is hardly ever lost while what precedes it
/// comes late.
pub(super) const LONG_REST: usize = 8;

/// Upper bound on requests for one chunk.
pub(super) const MAX_ROUNDS: u32 = 6;

/// The RTT before one is measured.
pub(super) const UNKNOWN_RTT: Duration = Duration::from_millis(10);

/// How late a packet may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tolerance {
    /// A packet that the next ones overtook.
    pub(super) reordering: Duration,
    /// A packet that many overtook.
    pub(super) lateness: Duration,
}

impl NackGenerator {
    /// When retransmissions that are spread over `spread` are due.
    pub(super) fn expected(&self, spread: Duration, now: Duration) -> Duration {
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
    pub(super) fn latest(&self, frame: &IncompleteFrame<'_>) -> Duration {
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
    pub(super) fn due_for(&self, frame: &IncompleteFrame<'_>) -> Option<Duration> {
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
    pub(super) fn outstanding_due<'a>(
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
    pub(super) fn chunks_due<'a>(
        &'a self,
        frame: &IncompleteFrame<'a>,
    ) -> impl Iterator<Item = (u16, Duration)> {
        let tolerance = self.tolerance();
        let rtt = self.rtt.unwrap_or(UNKNOWN_RTT);
        let latest = self.latest(frame);
        let state = self.frames.get(&frame.number);
        // On a slow path, the rest of a frame is still coming when all of it was expected.
        let count = frame.assembly.map_or(0, |assembly| assembly.have().len());
        let next = state.and_then(|state| state.next(count, frame.all_due));
        let tail = next.unwrap_or(frame.all_due) + tolerance.reordering;
        let rounds = self.rounds_from(tail, frame.deadline);
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
    pub(super) fn rounds_from(&self, now: Duration, deadline: Duration) -> usize {
        let round = self.expected(retransmit_spread() + self.reordering(), Duration::ZERO);
        let fits = |rounds: &usize| {
            let last = now + round * (*rounds as u32 - 1);
            self.expected(Duration::ZERO, last) <= deadline
        };
        (1..=MAX_PLANNED_ROUNDS).take_while(fits).count()
    }
}
