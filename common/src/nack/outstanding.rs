//! The requested chunks of one frame, and their retransmissions. The retransmissions that answer
//! one NACK leave in the order of its chunks, so each arrival shows which ones were lost and when
//! the rest is due.

use std::collections::BTreeMap;
use std::time::Duration;

use super::timing::{FAR_BEHIND, Tolerance};
use crate::fec::retransmit_gap;

/// A retransmission cannot answer a NACK that was sent less than this percentage of an RTT ago,
/// with a margin since RTTs vary.
const SOONEST: u32 = 75;

/// The requests for one frame.
#[derive(Debug, Default)]
pub(super) struct Outstanding {
    chunks: BTreeMap<u16, RequestedChunk>,
    /// One for each NACK that named the frame, oldest first.
    bursts: Vec<Burst>,
    /// The newest NACK requested the complete frame as its chunk 0.
    pub(super) is_complete_frame: bool,
}

/// The retransmissions that answer one NACK.
#[derive(Debug)]
struct Burst {
    requested: Duration,
    /// Time between packets.
    gap: Duration,
    /// Position of its first extra packet, and the number of extra packets.
    extra: (u16, u16),
    /// When the last packet is due, before any has arrived.
    due: Duration,
    /// The positions that arrived, each higher than the previous one, and when.
    reached: Vec<(u16, Duration)>,
}

#[derive(Debug, Default)]
struct RequestedChunk {
    /// When the newest retransmission is due, before any of its burst has arrived.
    due: Duration,
    /// The bursts that include it and its position in each, newest last: one for each request.
    positions: Vec<(usize, u16)>,
}

impl Burst {
    /// When the packet at a position arrived, or should have arrived.
    fn expected(&self, position: u16) -> Option<Duration> {
        let (reached, at) = self.reached.last()?;
        let beyond = self.overtaken(position, 0);
        beyond.or_else(|| Some(*at + self.gap * u32::from(position - reached)))
    }

    /// When a packet at least `by` positions further arrived.
    fn overtaken(&self, position: u16, by: u16) -> Option<Duration> {
        let before = |(reached, _): &(u16, Duration)| *reached < position.saturating_add(by);
        let at = self.reached.partition_point(before);
        self.reached.get(at).map(|(_, since)| *since)
    }

    /// When the packet at a position counts as lost, if anything of the burst has
    /// arrived.
    fn lost(&self, position: u16, tolerance: Tolerance) -> Option<Duration> {
        let expected = self.expected(position)? + tolerance.reordering;
        let far = self.overtaken(position, FAR_BEHIND as u16);
        Some(far.map_or(expected, |far| expected.min(far + tolerance.lateness)))
    }
}

impl Outstanding {
    /// Records a NACK of these chunks, and of `extra` packets after them. They leave `gap` apart,
    /// and the last of them is `due` then.
    pub(super) fn record_nack(
        &mut self,
        chunks: &[u16],
        extra: usize,
        gap: Duration,
        due: Duration,
        now: Duration,
    ) {
        let burst = self.bursts.len();
        for (index, position) in chunks.iter().zip(0..) {
            let chunk = self.chunks.entry(*index).or_default();
            chunk.due = due;
            chunk.positions.push((burst, position));
        }
        self.bursts.push(Burst {
            requested: now,
            gap,
            extra: (chunks.len() as u16, extra as u16),
            due,
            reached: Vec::new(),
        });
    }

    /// Records how many chunks the frame has. If the complete frame was requested, all of them
    /// were.
    pub(super) fn record_count(&mut self, count: u16) {
        if !std::mem::take(&mut self.is_complete_frame) {
            return;
        }
        let newest = self.bursts.len().saturating_sub(1);
        let Some(burst) = self.bursts.last_mut() else {
            return;
        };
        burst.gap = retransmit_gap(usize::from(count) + usize::from(burst.extra.1));
        burst.extra.0 = count;
        let due = burst.due + burst.gap * u32::from(count);
        for index in 0..count {
            let chunk = self.chunks.entry(index).or_default();
            chunk.due = due;
            if chunk
                .positions
                .last()
                .is_none_or(|(burst, _)| *burst != newest)
            {
                chunk.positions.push((newest, index));
            }
        }
    }

    /// When each of the extra packets is due.
    pub(super) fn extra_due(&self, tolerance: Tolerance) -> impl Iterator<Item = Duration> {
        self.bursts.iter().flat_map(move |burst| {
            let (first, count) = burst.extra;
            let due = move |at| burst.lost(at, tolerance).unwrap_or(burst.due);
            (first..first.saturating_add(count)).map(due)
        })
    }

    /// Records a retransmission. For the first in its burst, returns how much later than one RTT
    /// after the NACK it arrived.
    pub(super) fn record_retransmission(
        &mut self,
        index: u16,
        rtt: Duration,
        now: Duration,
    ) -> Option<Duration> {
        let positions = &self.chunks.get(&index)?.positions;
        let (burst, position) = positions.iter().rev().find_map(|(burst, position)| {
            let possible = self.bursts[*burst].requested + rtt * SOONEST / 100 <= now;
            possible.then_some((*burst, *position))
        })?;
        let burst = &mut self.bursts[burst];
        let first = burst.reached.is_empty();
        let furthest = burst.reached.last();
        if furthest.is_none_or(|(furthest, _)| *furthest < position) {
            burst.reached.push((position, now));
        }
        let soonest = burst.requested + rtt + burst.gap * u32::from(position);
        first.then(|| now.saturating_sub(soonest))
    }

    /// The requested chunks, ascending.
    pub(super) fn indices(&self) -> impl Iterator<Item = u16> {
        self.chunks.keys().copied()
    }

    /// One above the highest requested chunk.
    pub(super) fn end(&self) -> u16 {
        let last = self.chunks.last_key_value();
        last.map_or(0, |(index, _)| index.saturating_add(1))
    }

    /// How often a chunk was requested.
    pub(super) fn rounds(&self, index: u16) -> u32 {
        self.chunks
            .get(&index)
            .map_or(0, |chunk| chunk.positions.len() as u32)
    }

    /// When a chunk was last requested.
    pub(super) fn requested(&self, index: u16) -> Option<Duration> {
        let (newest, _) = self.chunks.get(&index)?.positions.last()?;
        Some(self.bursts[*newest].requested)
    }

    /// When a missing chunk may be requested again; `None` if it was not requested yet.
    pub(super) fn due(&self, index: u16, tolerance: Tolerance) -> Option<Duration> {
        let chunk = self.chunks.get(&index)?;
        let ((newest, position), earlier) = chunk.positions.split_last()?;
        let newest = &self.bursts[*newest];
        let own = newest.lost(*position, tolerance).unwrap_or(chunk.due);
        // The sender limits how often it answers for one chunk. If the retransmission for an
        // earlier NACK was merely late, the newest NACK gets none.
        let late = earlier.iter().filter_map(|(burst, position)| {
            let expected = self.bursts[*burst].expected(*position)?;
            (expected > newest.requested).then_some(expected + tolerance.reordering)
        });
        late.chain([own]).min()
    }
}
