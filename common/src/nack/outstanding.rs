//! The chunks of one frame that were asked for, and their retransmissions. The
//! retransmissions that answer one NACK leave in the order of its chunks, so
//! each arrival shows which were lost and when the rest is due.

use std::collections::BTreeMap;
use std::time::Duration;

/// A retransmission does not answer a NACK that was sent less than this part of
/// an RTT ago, in percent, since RTTs vary.
const SOONEST: u32 = 75;

/// What was asked for of one frame.
#[derive(Debug, Default)]
pub(super) struct Outstanding {
    chunks: BTreeMap<u16, RequestedChunk>,
    /// One for each NACK that named the frame, oldest first.
    bursts: Vec<Burst>,
}

/// The retransmissions that answer one NACK.
#[derive(Debug)]
struct Burst {
    requested: Duration,
    /// Time from packet to packet.
    gap: Duration,
    /// The positions that arrived, each further than the one before, and when.
    reached: Vec<(u16, Duration)>,
}

#[derive(Debug, Default)]
struct RequestedChunk {
    /// When the newest retransmission is due, while nothing of its burst arrives.
    due: Duration,
    /// The bursts that it is part of and its position in each, newest last: one
    /// for each time that it was asked for.
    positions: Vec<(usize, u16)>,
}

impl Burst {
    /// When the packet at a position came, or should have come.
    fn expected(&self, position: u16) -> Option<Duration> {
        let beyond = self
            .reached
            .partition_point(|(reached, _)| *reached < position);
        match self.reached.get(beyond) {
            Some((_, since)) => Some(*since),
            None => {
                let (reached, at) = self.reached.last()?;
                Some(*at + self.gap * u32::from(position - reached))
            }
        }
    }
}

impl Outstanding {
    /// Records a NACK of these chunks. Their retransmissions leave `gap` apart,
    /// the last of them is `due` then.
    pub(super) fn record_nack(
        &mut self,
        chunks: &[u16],
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
            reached: Vec::new(),
        });
    }

    /// Records a retransmission. Of the first in its burst, returns how much
    /// later it came than one RTT after the NACK.
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

    /// How often a chunk was asked for.
    pub(super) fn rounds(&self, index: u16) -> u32 {
        self.chunks
            .get(&index)
            .map_or(0, |chunk| chunk.positions.len() as u32)
    }

    /// When a chunk that is missing may be asked for again. `None`: it was not
    /// asked for yet.
    pub(super) fn due(&self, index: u16, reordering: Duration) -> Option<Duration> {
        let chunk = self.chunks.get(&index)?;
        let ((newest, position), earlier) = chunk.positions.split_last()?;
        let newest = &self.bursts[*newest];
        let own = newest.expected(*position);
        let own = own.map_or(chunk.due, |at| at + reordering);
        // The sender answers a chunk once in a while: where the retransmission
        // for an earlier NACK was only late, the newest NACK draws none.
        let late = earlier.iter().filter_map(|(burst, position)| {
            let expected = self.bursts[*burst].expected(*position)?;
            (expected > newest.requested).then_some(expected + reordering)
        });
        late.chain([own]).min()
    }
}
