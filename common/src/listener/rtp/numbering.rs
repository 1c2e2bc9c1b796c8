//! Numbers and times of packets, extended where they come in.

use std::time::Duration;

use crate::seq::{PacketNumber, extend};

/// The furthest that numbers may leap and still be of the same run
/// (`MAX_DROPOUT`, <https://www.rfc-editor.org/rfc/rfc3550#appendix-A.1>).
const MAX_LEAP: u64 = 3000;

/// Nothing of a stream comes for so long only where its source pauses or the
/// network was away: a packet that is out of order comes sooner.
pub(super) const RESUMED: Duration = Duration::from_millis(300);

/// Where the numbers of a stream begin to be counted: so high that those of
/// packets which come out of order before the first are not below zero.
const BEGIN: u64 = 1 << 16;

/// Extends 16-bit numbers and 32-bit times.
#[derive(Debug, Default)]
pub(super) struct Numbering {
    /// What is taken off numbers on the wire, modulo 2^16.
    shift: u16,
    ticks: Option<u64>,
    /// After a leap: the number that shows that it was none by chance.
    expected: Option<u16>,
}

/// A packet's place in its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) number: PacketNumber,
    pub(super) ticks: u64,
}

impl Numbering {
    /// The place of a packet; `next` is one above the highest number so far, 0
    /// before the first. `None` for one that is far from all before it, unless
    /// a second one goes on from there: its sender began anew. After a `silence`
    /// the first one counts: numbers may have gone round meanwhile, and a frame
    /// without its first packet is none.
    pub(super) fn place(
        &mut self,
        sequence: u16,
        timestamp: u32,
        next: u64,
        silence: Duration,
    ) -> Option<Place> {
        if next == 0 {
            self.shift = sequence;
            self.ticks = Some(u64::from(timestamp));
            return Some(Place {
                number: PacketNumber(BEGIN),
                ticks: u64::from(timestamp),
            });
        }
        let mut number = extend(u64::from(sequence.wrapping_sub(self.shift)), 16, next);
        let resumed = silence >= RESUMED;
        if number.abs_diff(next) > MAX_LEAP || resumed && number < next {
            let expected = self.expected.replace(sequence.wrapping_add(1));
            if expected != Some(sequence) && !resumed {
                return None;
            }
            self.shift = sequence.wrapping_sub(next as u16);
            number = next;
            self.ticks = None;
        }
        self.expected = None;
        let low = u64::from(timestamp);
        let ticks = self.ticks.map_or(low, |near| extend(low, 32, near));
        self.ticks = Some(ticks);
        Some(Place {
            number: PacketNumber(number),
            ticks,
        })
    }

    /// A number as receiver reports tell it: the sender's own, and above it
    /// how often that wrapped.
    pub(super) fn on_the_wire(&self, number: u64) -> u32 {
        (number - BEGIN + u64::from(self.shift)) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(numbering: &mut Numbering, next: &mut u64, sequence: u16, time: u32) -> Option<u64> {
        let place = numbering.place(sequence, time, *next, Duration::ZERO)?;
        *next = (*next).max(place.number.0 + 1);
        Some(place.number.0)
    }

    #[test]
    fn numbers_and_times_go_on_over_their_wraps() {
        let (mut numbering, mut next) = (Numbering::default(), 0);
        assert_eq!(
            place(&mut numbering, &mut next, 65_534, u32::MAX),
            Some(BEGIN)
        );
        assert_eq!(place(&mut numbering, &mut next, 1, 8), Some(BEGIN + 3));
        assert_eq!(
            place(&mut numbering, &mut next, 65_535, u32::MAX),
            Some(BEGIN + 1)
        );
        assert_eq!(place(&mut numbering, &mut next, 65_533, 1), Some(BEGIN - 1));
        assert_eq!(numbering.on_the_wire(BEGIN + 3), 65_537);
        assert_eq!(
            numbering.place(2, 9, next, Duration::ZERO).unwrap().ticks,
            (1 << 32) + 9
        );
    }

    #[test]
    fn after_an_outage_the_first_packet_counts_wherever_its_number_is() {
        for sequence in [110, 5_000, 40_000, 65_000, 109, 50] {
            let (mut numbering, mut next) = (Numbering::default(), 0);
            for sequence in 100..110 {
                place(&mut numbering, &mut next, sequence, 5_000);
            }
            let place = numbering.place(sequence, 9_000, next, RESUMED);
            let number = place.expect("it counts").number.0;
            assert!((next..next + MAX_LEAP).contains(&number), "{sequence}");
            // The next one goes on from there.
            let place = numbering.place(sequence + 1, 9_000, number + 1, Duration::ZERO);
            assert_eq!(place.map(|place| place.number.0), Some(number + 1));
        }
    }

    #[test]
    fn a_leap_counts_when_a_second_packet_goes_on_from_it() {
        let (mut numbering, mut next) = (Numbering::default(), 0);
        for sequence in 100..110 {
            place(&mut numbering, &mut next, sequence, 5_000);
        }
        assert_eq!(place(&mut numbering, &mut next, 30_000, 1), None);
        assert_eq!(
            place(&mut numbering, &mut next, 110, 5_000),
            Some(BEGIN + 10)
        );
        assert_eq!(place(&mut numbering, &mut next, 30_000, 1), None);
        assert_eq!(
            place(&mut numbering, &mut next, 30_001, 1),
            Some(BEGIN + 11)
        );
        assert_eq!(
            place(&mut numbering, &mut next, 30_002, 1),
            Some(BEGIN + 12)
        );
    }
}
