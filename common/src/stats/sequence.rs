//! Tracks the packet numbers of one channel: received, missing, duplicate,
//! reordered.

use std::collections::BTreeMap;
use std::ops::Range;

use fixedbitset::FixedBitSet;
use hdrhistogram::Histogram;

use crate::seq::PacketNumber;

/// Distance behind the highest number up to which a packet is told from a
/// duplicate: several seconds of the fastest stream.
pub(super) const WINDOW: u64 = 1 << 16;

/// Classification of a packet by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Insertion {
    /// Its number was not received before.
    New,
    /// Its number was received before, or is too far behind to tell.
    Duplicate,
    /// Its number cannot belong to this stream.
    Implausible,
}

/// Numbers that were missing when a higher one arrived or a sender report
/// announced them. Some may have arrived since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// One above the last number of the gap.
    pub end: u64,
    /// Number of packets received when the gap was found.
    revealed_at: u64,
    /// The socket drop event that may explain the gap.
    pub drop_event: Option<u64>,
}

/// The numbers received on one channel.
#[derive(Clone, Debug)]
pub struct SequenceTracker {
    /// The lowest number received, and one above the highest.
    range: Option<(u64, u64)>,
    received: u64,
    duplicate: u64,
    reordered: u64,
    gaps: u64,
    seen: FixedBitSet,
    /// Gaps by their first number, as far back as the window reaches.
    missing: BTreeMap<u64, Gap>,
    /// Every number below this was received or is in a gap.
    revealed: u64,
    /// Below this, missing numbers may be in no gap.
    sure_from: u64,
    /// Reordering extents in packets.
    extents: Option<Histogram<u32>>,
}

impl Default for SequenceTracker {
    fn default() -> Self {
        Self {
            range: None,
            received: 0,
            duplicate: 0,
            reordered: 0,
            gaps: 0,
            missing: BTreeMap::new(),
            revealed: 0,
            sure_from: 0,
            extents: None,
            seen: FixedBitSet::with_capacity(WINDOW as usize),
        }
    }
}

impl SequenceTracker {
    /// Counts a packet.
    pub fn insert(&mut self, number: PacketNumber) -> Insertion {
        self.insert_in(number, None)
    }

    /// Counts a packet. `drop_event` may explain the gap that its number reveals.
    pub fn insert_in(&mut self, number: PacketNumber, drop_event: Option<u64>) -> Insertion {
        let number = number.0;
        if !self.is_plausible(PacketNumber(number)) {
            return Insertion::Implausible;
        }
        let (first, next) = *self.range.get_or_insert_with(|| {
            // The first packet reveals no gap.
            self.sure_from = self.sure_from.max(number);
            (number, number)
        });
        if number >= next {
            self.advance(next, number);
            if first < next {
                self.reveal(number, drop_event);
            }
            self.revealed = self.revealed.max(number + 1);
        } else {
            if next - number > WINDOW || self.seen[bit(number)] {
                self.duplicate += 1;
                return Insertion::Duplicate;
            }
            // https://www.rfc-editor.org/rfc/rfc4737#section-3.3
            self.reordered += 1;
            self.record_extent(number);
        }
        self.seen.insert(bit(number));
        self.range = Some((first.min(number), next.max(number + 1)));
        self.received += 1;
        Insertion::New
    }

    /// Whether a stream can have such a number at all. Whether a leap is
    /// plausible is for the caller to check.
    pub fn is_plausible(&self, number: PacketNumber) -> bool {
        number.0 <= MAX_NUMBER
    }

    /// Records that all numbers below `end` have been sent.
    pub fn reveal(&mut self, end: u64, drop_event: Option<u64>) {
        let start = self.revealed;
        if end <= start || end > MAX_NUMBER {
            return;
        }
        let gap = Gap {
            end,
            revealed_at: self.received,
            drop_event,
        };
        self.missing.insert(start, gap);
        self.revealed = end;
        let forgotten = self.next().saturating_sub(WINDOW);
        while let Some(oldest) = self.missing.first_entry()
            && (oldest.get().end < forgotten || self.missing.len() > MAX_GAPS)
        {
            self.missing.pop_first();
        }
    }

    /// Excludes numbers below `start`: none of them counts as missing.
    pub fn begin_at(&mut self, start: u64) {
        self.revealed = self.revealed.max(start);
        self.sure_from = self.sure_from.max(start);
    }

    /// From this number on, every missing number that is known to have been sent is in a gap.
    /// Lower ones may still arrive.
    pub fn sure_from(&self) -> u64 {
        self.sure_from
    }

    /// Records the reordering extent: the distance, in order of arrival, to the
    /// first packet that had a higher number.
    ///
    /// <https://www.rfc-editor.org/rfc/rfc4737#section-4.2.2>
    fn record_extent(&mut self, number: u64) {
        let gap = self.gap(number);
        // Numbers below the first one received are in no gap. The first packet
        // had the higher number.
        let revealed_at = gap.map_or(0, |gap| gap.revealed_at);
        let extent = self.received.saturating_sub(revealed_at).max(1);
        let extents = self.extents.get_or_insert_with(|| {
            let bounds = Histogram::new_with_bounds(1, WINDOW, 3);
            bounds.expect("these bounds are constants and valid")
        });
        extents.saturating_record(extent);
    }

    fn advance(&mut self, next: u64, number: u64) {
        self.gaps += u64::from(number > next);
        let (from, to) = (bit(next), bit(number));
        if number - next >= WINDOW {
            self.seen.clear();
        } else if from <= to {
            self.seen.set_range(from..to, false);
        } else {
            self.seen.set_range(from.., false);
            self.seen.set_range(..to, false);
        }
    }

    /// The gap that contains or contained a number.
    pub fn gap(&self, number: u64) -> Option<&Gap> {
        let (_, gap) = self.missing.range(..=number).next_back()?;
        (number < gap.end).then_some(gap)
    }

    /// Gaps that overlap a range of numbers, each with its first number.
    pub fn gaps_in(&self, range: Range<u64>) -> impl Iterator<Item = (u64, &Gap)> {
        let first = self.missing.range(..=range.start).next_back();
        let others = self
            .missing
            .range(range.start.saturating_add(1)..range.end.max(range.start.saturating_add(1)));
        first
            .into_iter()
            .chain(others)
            .map(|(start, gap)| (*start, gap))
            .filter(move |(start, gap)| gap.end > range.start && *start < range.end)
    }

    /// Numbers of a range that were received, as far back as the window reaches.
    pub fn received_in(&self, range: Range<u64>) -> u64 {
        let Some((first, next)) = self.range else {
            return 0;
        };
        let start = range.start.max(first).max(next.saturating_sub(WINDOW));
        let end = range.end.min(next);
        if start >= end {
            return 0;
        }
        let (from, to) = (bit(start), bit(end));
        let ones = if end - start == WINDOW {
            self.seen.count_ones(..)
        } else if from < to {
            self.seen.count_ones(from..to)
        } else {
            self.seen.count_ones(from..) + self.seen.count_ones(..to)
        };
        ones as u64
    }

    /// Numbers of a range that are missing, as far back as the window reaches.
    pub fn missing_in(&self, range: Range<u64>) -> u64 {
        let length = range.end.saturating_sub(range.start);
        length.saturating_sub(self.received_in(range))
    }

    /// Every number below this was received or is in a gap.
    pub fn revealed(&self) -> u64 {
        self.revealed
    }

    /// Reordering extents in packets; `None` if no packet was reordered.
    pub fn extents(&self) -> Option<&Histogram<u32>> {
        self.extents.as_ref()
    }

    /// Whether the number was received, as far back as the window reaches.
    pub fn has(&self, number: PacketNumber) -> bool {
        self.range.is_some_and(|(first, next)| {
            let known = (first..next).contains(&number.0) && next - number.0 <= WINDOW;
            known && self.seen[bit(number.0)]
        })
    }

    /// The lowest number received.
    pub fn first(&self) -> Option<u64> {
        self.range.map(|(first, _)| first)
    }

    /// One above the highest number received; 0 before the first.
    pub fn next(&self) -> u64 {
        self.range.map_or(0, |(_, next)| next)
    }

    /// Packets received, each number once.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Duplicates received.
    pub fn duplicate(&self) -> u64 {
        self.duplicate
    }

    /// Packets received after one with a higher number.
    pub fn reordered(&self) -> u64 {
        self.reordered
    }

    /// Gaps, counted when the next packet arrived.
    pub fn gaps(&self) -> u64 {
        self.gaps
    }
}

/// Upper bound on remembered gaps: every other packet of a window is lost.
const MAX_GAPS: usize = WINDOW as usize / 2;

/// No stream counts this far. Above it, sums could overflow.
const MAX_NUMBER: u64 = u64::MAX / 2;

fn bit(number: u64) -> usize {
    (number % WINDOW) as usize
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_impossible_jump_is_not_counted() {
        let mut numbers = SequenceTracker::default();
        numbers.insert(PacketNumber(5));
        assert_eq!(
            numbers.insert(PacketNumber(u64::MAX)),
            Insertion::Implausible
        );
        assert_eq!(numbers.insert(PacketNumber(6)), Insertion::New);
        assert_eq!((numbers.received(), numbers.next()), (2, 7));
        assert!(numbers.is_plausible(PacketNumber(MAX_NUMBER)));
        assert!(!numbers.is_plausible(PacketNumber(MAX_NUMBER + 1)));
    }

    #[test]
    fn the_extent_counts_to_the_first_packet_with_a_higher_number() {
        // The example of RFC 4737, section 4.2.2, in a different order: 1 2 3 7 8
        // 9 10 4 5 6 11.
        let mut numbers = SequenceTracker::default();
        for number in [1, 2, 3, 7, 8, 9, 10, 4, 5, 6, 11] {
            numbers.insert(PacketNumber(number));
        }
        let extents: Vec<_> = numbers
            .extents()
            .map(|extents| {
                extents
                    .iter_recorded()
                    .map(|value| value.value_iterated_to())
                    .collect()
            })
            .unwrap_or_default();
        assert_eq!(extents, [4, 5, 6]);
    }

    #[test]
    fn gaps_keep_the_socket_drop_that_they_were_found_after() {
        let mut numbers = SequenceTracker::default();
        for (number, event) in [(0, None), (4, Some(1)), (2, None), (9, None)] {
            numbers.insert_in(PacketNumber(number), event);
        }
        numbers.reveal(12, Some(2));
        let found = |range| {
            let gaps = numbers.gaps_in(range);
            gaps.map(|(start, gap)| (start, gap.end, gap.drop_event))
                .collect::<Vec<_>>()
        };
        assert_eq!(found(0..1), []);
        assert_eq!(found(3..6), [(1, 4, Some(1)), (5, 9, None)]);
        assert_eq!(found(9..20), [(10, 12, Some(2))]);
        assert_eq!(numbers.received_in(0..10), 4);
        assert_eq!(numbers.received_in(1..4), 1);
    }

    #[test]
    fn the_window_is_forgotten_behind_the_highest() {
        let mut numbers = SequenceTracker::default();
        numbers.insert(PacketNumber(0));
        numbers.insert(PacketNumber(WINDOW));
        assert!(!numbers.has(PacketNumber(0)));
        assert_eq!(numbers.insert(PacketNumber(0)), Insertion::Duplicate);
        assert_eq!(numbers.insert(PacketNumber(1)), Insertion::New);
    }

    proptest! {
        #[test]
        fn a_jump_drops_only_numbers_behind_the_window(
            leaps in prop::collection::vec((0_u64..3, 0..2 * WINDOW), 1..40)
        ) {
            let (mut numbers, mut set, mut next) = (SequenceTracker::default(), BTreeSet::new(), 0);
            for (few, far) in leaps {
                // Most leaps are short; some exceed the window.
                let number = next + if few == 0 { far } else { far % 100 };
                next = number + 1;
                set.insert(number);
                numbers.insert(PacketNumber(number));
                let from = next.saturating_sub(WINDOW);
                prop_assert_eq!(numbers.received_in(0..next), set.range(from..).count() as u64);
                for number in set.iter().flat_map(|number| [number.saturating_sub(1), *number]) {
                    let known = number >= from && set.contains(&number);
                    prop_assert_eq!(numbers.has(PacketNumber(number)), known, "{}", number);
                }
            }
        }

        #[test]
        fn counts_equal_those_of_a_plain_set(arrivals in prop::collection::vec(0_u64..300, 1..400)) {
            let mut numbers = SequenceTracker::default();
            let (mut set, mut highest, mut reordered, mut duplicate) = (BTreeSet::new(), None, 0, 0);
            for number in &arrivals {
                let new = set.insert(*number);
                duplicate += u64::from(!new);
                reordered += u64::from(new && Some(*number) < highest);
                highest = highest.max(Some(*number));
                let expected = if new { Insertion::New } else { Insertion::Duplicate };
                prop_assert_eq!(numbers.insert(PacketNumber(*number)), expected);
            }
            prop_assert_eq!(numbers.received(), set.len() as u64);
            prop_assert_eq!(numbers.duplicate(), duplicate);
            prop_assert_eq!(numbers.reordered(), reordered);
            prop_assert_eq!(numbers.first(), set.first().copied());
            prop_assert_eq!(numbers.next(), set.last().unwrap() + 1);
            for number in 0..300 {
                prop_assert_eq!(numbers.has(PacketNumber(number)), set.contains(&number));
            }
        }
    }
}
