//! Packet numbers of one channel: received, missing, duplicate, reordered.

use fixedbitset::FixedBitSet;

use crate::seq::PacketNumber;

/// How far behind the highest number a packet is still told from a duplicate:
/// several seconds of the fastest stream.
const WINDOW: u64 = 1 << 16;

/// The furthest that numbers may leap: minutes of outage at the fastest rate.
/// A leap beyond it is no packet of this stream.
const MAX_LEAP: u64 = 1 << 24;

/// What a number says of its packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Its number was not received before.
    New,
    /// Its number was received before, or is too far behind to tell.
    Duplicate,
    /// Its number cannot be one of this stream.
    Implausible,
}

/// The numbers received on one channel.
#[derive(Clone, Debug)]
pub struct Numbers {
    /// The lowest received, and one above the highest.
    range: Option<(u64, u64)>,
    received: u64,
    duplicate: u64,
    reordered: u64,
    gaps: u64,
    seen: FixedBitSet,
}

impl Default for Numbers {
    fn default() -> Self {
        Self {
            range: None,
            received: 0,
            duplicate: 0,
            reordered: 0,
            gaps: 0,
            seen: FixedBitSet::with_capacity(WINDOW as usize),
        }
    }
}

impl Numbers {
    /// Counts a packet.
    pub fn note(&mut self, number: PacketNumber) -> Arrival {
        let number = number.0;
        if number > MAX_NUMBER {
            return Arrival::Implausible;
        }
        let (first, next) = *self.range.get_or_insert((number, number));
        if number >= next {
            if number - next > MAX_LEAP {
                return Arrival::Implausible;
            }
            self.advance(next, number);
        } else {
            if next - number > WINDOW || self.seen[bit(number)] {
                self.duplicate += 1;
                return Arrival::Duplicate;
            }
            // https://www.rfc-editor.org/rfc/rfc4737#section-3.3
            self.reordered += 1;
        }
        self.seen.insert(bit(number));
        self.range = Some((first.min(number), next.max(number + 1)));
        self.received += 1;
        Arrival::New
    }

    fn advance(&mut self, next: u64, number: u64) {
        self.gaps += u64::from(number > next);
        if number - next >= WINDOW {
            self.seen.clear();
        } else {
            for skipped in next..number {
                self.seen.set(bit(skipped), false);
            }
        }
    }

    /// Whether the packet was received, as far as the window reaches back.
    #[must_use]
    pub fn has(&self, number: PacketNumber) -> bool {
        self.range.is_some_and(|(first, next)| {
            let known = (first..next).contains(&number.0) && next - number.0 <= WINDOW;
            known && self.seen[bit(number.0)]
        })
    }

    /// The lowest number received.
    #[must_use]
    pub fn first(&self) -> Option<u64> {
        self.range.map(|(first, _)| first)
    }

    /// One above the highest number received; 0 before the first.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.range.map_or(0, |(_, next)| next)
    }

    /// Packets received, each number once.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Packets received again.
    #[must_use]
    pub fn duplicate(&self) -> u64 {
        self.duplicate
    }

    /// Packets received after one with a higher number.
    #[must_use]
    pub fn reordered(&self) -> u64 {
        self.reordered
    }

    /// How often the numbers leapt: runs of packets that were missing when the
    /// next one came.
    #[must_use]
    pub fn gaps(&self) -> u64 {
        self.gaps
    }
}

/// No stream counts so far; above it sums could overflow.
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
    fn a_leap_that_no_stream_makes_is_not_counted() {
        let mut numbers = Numbers::default();
        numbers.note(PacketNumber(5));
        assert_eq!(numbers.note(PacketNumber(u64::MAX)), Arrival::Implausible);
        assert_eq!(numbers.note(PacketNumber(6)), Arrival::New);
        assert_eq!((numbers.received(), numbers.next()), (2, 7));
    }

    #[test]
    fn the_window_is_forgotten_behind_the_highest() {
        let mut numbers = Numbers::default();
        numbers.note(PacketNumber(0));
        numbers.note(PacketNumber(WINDOW));
        assert!(!numbers.has(PacketNumber(0)));
        assert_eq!(numbers.note(PacketNumber(0)), Arrival::Duplicate);
        assert_eq!(numbers.note(PacketNumber(1)), Arrival::New);
    }

    proptest! {
        #[test]
        fn counts_what_a_plain_set_counts(arrivals in prop::collection::vec(0_u64..300, 1..400)) {
            let mut numbers = Numbers::default();
            let (mut set, mut highest, mut reordered, mut duplicate) = (BTreeSet::new(), None, 0, 0);
            for number in &arrivals {
                let new = set.insert(*number);
                duplicate += u64::from(!new);
                reordered += u64::from(new && Some(*number) < highest);
                highest = highest.max(Some(*number));
                let expected = if new { Arrival::New } else { Arrival::Duplicate };
                prop_assert_eq!(numbers.note(PacketNumber(*number)), expected);
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
