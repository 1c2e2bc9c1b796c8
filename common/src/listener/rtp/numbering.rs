//! Numbers and times of packets, extended where they come in.

use std::time::Duration;

use crate::seq::{PacketNumber, extend};

/// The furthest that numbers may leap and still be of the same run
/// (`MAX_DROPOUT`, <https://www.rfc-editor.org/rfc/rfc3550#appendix-A.1>).
const MAX_DROPOUT: u64 = 3000;

/// The furthest that a number may be behind the highest one (`MAX_MISORDER`
/// there), where the stream is not so fast that more are under way together.
const MAX_MISORDER: u64 = 100;

/// So many packets may be lost in no time, however slow the stream.
const LEAST_LEAP: u64 = 16;

/// Packets are counted for so long to know how many come a second.
const RATE_SPAN: Duration = Duration::from_millis(250);

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
    /// When the last packet came that had a place.
    placed: Duration,
    rate: Rate,
}

/// A packet's place in its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) number: PacketNumber,
    pub(super) ticks: u64,
}

/// What is known of a stream's pace.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// From frame to frame.
    pub(super) interval: Duration,
    /// After so long without a packet its sender may have begun anew.
    pub(super) quiet: Duration,
}

impl Numbering {
    /// The place of a packet that came at `now`; `next` is one above the
    /// highest number so far, 0 before the first. `None` for one that is
    /// further from all before it than the time that has passed explains,
    /// unless a second one goes on from there and none else came for a while:
    /// its sender began anew. Whoever forges packets of a stream that goes on
    /// moves it no further than that. After an outage the first one counts: a
    /// frame without its first packet is none.
    pub(super) fn place(
        &mut self,
        sequence: u16,
        timestamp: u32,
        next: u64,
        pace: Pace,
        now: Duration,
    ) -> Option<Place> {
        let low = u64::from(timestamp);
        if next == 0 {
            self.shift = sequence;
            self.take(now);
            self.ticks = Some(low);
            return Some(Place {
                number: PacketNumber(BEGIN),
                ticks: low,
            });
        }
        let elapsed = now.saturating_sub(self.placed);
        let leap = self.rate.packets(elapsed + pace.interval);
        let leap = leap.map_or(MAX_DROPOUT, |leap| MAX_DROPOUT.min(LEAST_LEAP + 2 * leap));
        let misorder = self.rate.packets(pace.interval).unwrap_or(0);
        let behind = MAX_MISORDER.max(2 * misorder).min(MAX_DROPOUT);
        let mut number = extend(u64::from(sequence.wrapping_sub(self.shift)), 16, next);
        // Numbers may have gone round meanwhile.
        let resumed = elapsed >= RESUMED;
        let near = (next.saturating_sub(behind)..=next + leap).contains(&number);
        if !near || resumed && number < next {
            let expected = self.expected.replace(sequence.wrapping_add(1));
            let begun_anew = expected == Some(sequence) && elapsed >= pace.quiet;
            if !begun_anew && !resumed {
                return None;
            }
            self.shift = sequence.wrapping_sub(next as u16);
            number = next;
            self.ticks = None;
        }
        self.take(now);
        let ticks = self.ticks.map_or(low, |near| extend(low, 32, near));
        self.ticks = Some(ticks);
        Some(Place {
            number: PacketNumber(number),
            ticks,
        })
    }

    fn take(&mut self, now: Duration) {
        self.expected = None;
        self.placed = now;
        self.rate.note(now);
    }

    /// A number as receiver reports tell it: the sender's own, and above it
    /// how often that wrapped.
    pub(super) fn on_the_wire(&self, number: u64) -> u32 {
        (number - BEGIN + u64::from(self.shift)) as u32
    }
}

/// How many packets come a second.
#[derive(Debug, Default)]
struct Rate {
    /// Since when these were counted.
    since: Duration,
    count: u32,
    /// Packets a second in the span before; `None` before there was one.
    before: Option<f64>,
}

impl Rate {
    fn note(&mut self, now: Duration) {
        let elapsed = now.saturating_sub(self.since);
        // Over an outage nothing was to be counted.
        if elapsed >= 2 * RATE_SPAN {
            (self.since, self.count) = (now, 0);
        } else if elapsed >= RATE_SPAN {
            self.before = Some(f64::from(self.count) / elapsed.as_secs_f64());
            (self.since, self.count) = (now, 0);
        }
        self.count += 1;
    }

    /// How many come in so long; `None` while that is not known.
    fn packets(&self, span: Duration) -> Option<u64> {
        let now = f64::from(self.count) / RATE_SPAN.as_secs_f64();
        let rate = self.before?.max(now);
        Some((rate * span.as_secs_f64()) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const PACE: Pace = Pace {
        interval: Duration::from_millis(30),
        quiet: Duration::from_millis(100),
    };

    fn place(
        numbering: &mut Numbering,
        next: &mut u64,
        sequence: u16,
        time: u32,
        now: Duration,
    ) -> Option<u64> {
        let place = numbering.place(sequence, time, *next, PACE, now)?;
        *next = (*next).max(place.number.0 + 1);
        Some(place.number.0)
    }

    #[test]
    fn numbers_and_times_go_on_over_their_wraps() {
        let (mut numbering, mut next) = (Numbering::default(), 0);
        let mut place = |sequence, time| place(&mut numbering, &mut next, sequence, time, MS);
        assert_eq!(place(65_534, u32::MAX), Some(BEGIN));
        assert_eq!(place(1, 8), Some(BEGIN + 3));
        assert_eq!(place(65_535, u32::MAX), Some(BEGIN + 1));
        assert_eq!(place(65_533, 1), Some(BEGIN - 1));
        assert_eq!(numbering.on_the_wire(BEGIN + 3), 65_537);
        let last = numbering.place(2, 9, next, PACE, MS).unwrap();
        assert_eq!(last.ticks, (1 << 32) + 9);
    }

    #[test]
    fn after_an_outage_the_first_packet_counts_wherever_its_number_is() {
        for sequence in [110, 5_000, 40_000, 65_000, 109, 50] {
            let (mut numbering, mut next) = (Numbering::default(), 0);
            for sequence in 100..110 {
                place(&mut numbering, &mut next, sequence, 5_000, MS);
            }
            let back = MS + RESUMED;
            let place = numbering.place(sequence, 9_000, next, PACE, back);
            let number = place.expect("it counts").number.0;
            assert!((next..next + MAX_DROPOUT).contains(&number), "{sequence}");
            // The next one goes on from there.
            let place = numbering.place(sequence + 1, 9_000, number + 1, PACE, back);
            assert_eq!(place.map(|place| place.number.0), Some(number + 1));
        }
    }

    #[test]
    fn a_leap_counts_when_a_second_packet_goes_on_from_it_and_the_first_run_is_over() {
        let (mut numbering, mut next) = (Numbering::default(), 0);
        let mut place = |sequence, time, now| place(&mut numbering, &mut next, sequence, time, now);
        for sequence in 100..110 {
            place(sequence, 5_000, MS);
        }
        assert_eq!(place(30_000, 1, MS), None);
        assert_eq!(place(110, 5_000, MS), Some(BEGIN + 10));
        assert_eq!(place(30_000, 1, 2 * MS), None);
        assert_eq!(place(30_001, 1, 100 * MS), None);
        assert_eq!(place(30_002, 1, 101 * MS), Some(BEGIN + 11));
        assert_eq!(place(30_003, 1, 101 * MS), Some(BEGIN + 12));
    }

    #[test]
    fn a_leap_is_as_long_as_the_time_that_passed() {
        let (mut numbering, mut next) = (Numbering::default(), 0);
        // 500 packets a second.
        for sequence in 0..1_000_u16 {
            let now = 2 * MS * sequence.into();
            assert!(place(&mut numbering, &mut next, sequence, 0, now).is_some());
        }
        let last = 2 * MS * 999;
        assert_eq!(place(&mut numbering, &mut next, 1_100, 0, last + MS), None);
        let lost = place(&mut numbering, &mut next, 1_040, 0, last + MS);
        assert_eq!(lost, Some(BEGIN + 1_040));
        let outage = Duration::from_secs(2);
        let back = place(&mut numbering, &mut next, 2_040, 0, last + outage);
        assert_eq!(back, Some(BEGIN + 2_040));
    }
}
