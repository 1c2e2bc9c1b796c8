//! Sequence numbers and timestamps of packets, extended on arrival.

use std::time::Duration;

use crate::seq::{PacketNumber, extend};

/// The furthest that numbers may jump without a restart (`MAX_DROPOUT`,
/// <https://www.rfc-editor.org/rfc/rfc3550#appendix-A.1>).
const MAX_DROPOUT: u64 = 3000;

/// The furthest that a number may be behind the highest one (`MAX_MISORDER` in the same section),
/// unless the stream is so fast that more are on the way at once.
const MAX_MISORDER: u64 = 100;

/// This many packets may be lost in no time, however slow the stream.
const MIN_JUMP: u64 = 16;

/// The window over which the packet rate is measured.
const RATE_SPAN: Duration = Duration::from_millis(250);

/// A stream is silent for this long only if its source pauses or the network was down: reordered
/// packets arrive sooner.
pub(super) const RESUMED: Duration = Duration::from_millis(300);

/// The number of the first packet that arrives: high enough that reordered packets from before it
/// have numbers above zero.
const BEGIN: u64 = 1 << 16;

/// Extends 16-bit numbers and 32-bit times.
#[derive(Debug, Default)]
pub(super) struct Numbering {
    /// What is subtracted from sequence numbers, modulo 2^16.
    shift: u16,
    ticks: Option<u64>,
    /// After a jump: the sequence number that confirms it.
    expected: Option<u16>,
    /// When the newest packet that fits arrived.
    last_received: Duration,
    rate: PacketRate,
}

/// A packet's extended number and timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extended {
    pub(super) number: PacketNumber,
    pub(super) ticks: u64,
}

/// What is known of a stream's pace.
#[derive(Clone, Copy, Debug)]
pub(super) struct RtpPace {
    /// The frame interval.
    pub(super) interval: Duration,
    /// After this long without a packet, its sender may have restarted.
    pub(super) quiet: Duration,
}

impl Numbering {
    /// Extends the numbers of a packet that arrived at `now`. `next` is one above the highest
    /// number so far, 0 before the first.
    ///
    /// `None` if the packet is further from all earlier ones than the elapsed time explains, unless
    /// a second packet continues there and no other arrived for a while: then the sender has
    /// restarted. So forged packets cannot move a live stream further than that. After an outage,
    /// the first packet counts; a frame without its first packet is lost.
    pub(super) fn extend(
        &mut self,
        sequence: u16,
        timestamp: u32,
        next: u64,
        pace: RtpPace,
        now: Duration,
    ) -> Option<Extended> {
        let low = u64::from(timestamp);
        if next == 0 {
            self.shift = sequence;
            self.take(now);
            self.ticks = Some(low);
            return Some(Extended {
                number: PacketNumber(BEGIN),
                ticks: low,
            });
        }
        let elapsed = now.saturating_sub(self.last_received);
        let jump = self.rate.packets(elapsed + pace.interval);
        let jump = jump.map_or(MAX_DROPOUT, |jump| MAX_DROPOUT.min(MIN_JUMP + 2 * jump));
        let misorder = self.rate.packets(pace.interval).unwrap_or(0);
        let behind = MAX_MISORDER.max(2 * misorder).min(MAX_DROPOUT);
        let mut number = extend(u64::from(sequence.wrapping_sub(self.shift)), 16, next);
        // The sequence number may have wrapped meanwhile.
        let resumed = elapsed >= RESUMED;
        let near = (next.saturating_sub(behind)..=next + jump).contains(&number);
        if !near || resumed && number < next {
            let expected = self.expected.replace(sequence.wrapping_add(1));
            let restarted = expected == Some(sequence) && elapsed >= pace.quiet;
            if !restarted && !resumed {
                return None;
            }
            self.shift = sequence.wrapping_sub(next as u16);
            number = next;
            self.ticks = None;
        }
        self.take(now);
        let ticks = self.ticks.map_or(low, |near| extend(low, 32, near));
        self.ticks = Some(ticks);
        Some(Extended {
            number: PacketNumber(number),
            ticks,
        })
    }

    fn take(&mut self, now: Duration) {
        self.expected = None;
        self.last_received = now;
        self.rate.record(now);
    }

    /// A number as receiver reports carry it: the sender's own number, and above it the count of
    /// its wraps.
    pub(super) fn on_the_wire(&self, number: u64) -> u32 {
        (number - BEGIN + u64::from(self.shift)) as u32
    }
}

/// The packet rate.
#[derive(Debug, Default)]
struct PacketRate {
    /// When this count began.
    since: Duration,
    count: u32,
    /// Packets per second in the previous window; `None` before there was one.
    before: Option<f64>,
}

impl PacketRate {
    fn record(&mut self, now: Duration) {
        let elapsed = now.saturating_sub(self.since);
        // An outage has no rate.
        if elapsed >= 2 * RATE_SPAN {
            (self.since, self.count) = (now, 0);
        } else if elapsed >= RATE_SPAN {
            self.before = Some(f64::from(self.count) / elapsed.as_secs_f64());
            (self.since, self.count) = (now, 0);
        }
        self.count += 1;
    }

    /// How many packets arrive in this time; `None` if unknown.
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
    const PACE: RtpPace = RtpPace {
        interval: Duration::from_millis(30),
        quiet: Duration::from_millis(100),
    };

    fn extend_at(
        numbering: &mut Numbering,
        next: &mut u64,
        sequence: u16,
        time: u32,
        now: Duration,
    ) -> Option<u64> {
        let extended = numbering.extend(sequence, time, *next, PACE, now)?;
        *next = (*next).max(extended.number.0 + 1);
        Some(extended.number.0)
    }

    #[test]
    fn numbers_and_times_continue_over_their_wraps() {
        let (mut numbering, mut next) = (Numbering::default(), 0);
        let mut extended =
            |sequence, time| extend_at(&mut numbering, &mut next, sequence, time, MS);
        assert_eq!(extended(65_534, u32::MAX), Some(BEGIN));
        assert_eq!(extended(1, 8), Some(BEGIN + 3));
        assert_eq!(extended(65_535, u32::MAX), Some(BEGIN + 1));
        assert_eq!(extended(65_533, 1), Some(BEGIN - 1));
        assert_eq!(numbering.on_the_wire(BEGIN + 3), 65_537);
        let last = numbering.extend(2, 9, next, PACE, MS).unwrap();
        assert_eq!(last.ticks, (1 << 32) + 9);
    }

    #[test]
    fn after_an_outage_the_first_packet_counts_wherever_its_number_is() {
        for sequence in [110, 5_000, 40_000, 65_000, 109, 50] {
            let (mut numbering, mut next) = (Numbering::default(), 0);
            for sequence in 100..110 {
                extend_at(&mut numbering, &mut next, sequence, 5_000, MS);
            }
            let back = MS + RESUMED;
            let extended = numbering.extend(sequence, 9_000, next, PACE, back);
            let number = extended.expect("it counts").number.0;
            assert!((next..next + MAX_DROPOUT).contains(&number), "{sequence}");
            // The next packet continues there.
            let extended = numbering.extend(sequence + 1, 9_000, number + 1, PACE, back);
            assert_eq!(extended.map(|extended| extended.number.0), Some(number + 1));
        }
    }

    #[test]
    fn a_jump_counts_when_a_second_packet_continues_it_and_the_old_sequence_is_over() {
        let (mut numbering, mut next) = (Numbering::default(), 0);
        let mut extended =
            |sequence, time, now| extend_at(&mut numbering, &mut next, sequence, time, now);
        for sequence in 100..110 {
            extended(sequence, 5_000, MS);
        }
        assert_eq!(extended(30_000, 1, MS), None);
        assert_eq!(extended(110, 5_000, MS), Some(BEGIN + 10));
        assert_eq!(extended(30_000, 1, 2 * MS), None);
        assert_eq!(extended(30_001, 1, 100 * MS), None);
        assert_eq!(extended(30_002, 1, 101 * MS), Some(BEGIN + 11));
        assert_eq!(extended(30_003, 1, 101 * MS), Some(BEGIN + 12));
    }

    #[test]
    fn a_number_jump_is_limited_by_the_elapsed_time() {
        let (mut numbering, mut next) = (Numbering::default(), 0);
        // 500 packets a second.
        for sequence in 0..1_000_u16 {
            let now = 2 * MS * sequence.into();
            assert!(extend_at(&mut numbering, &mut next, sequence, 0, now).is_some());
        }
        let last = 2 * MS * 999;
        assert_eq!(
            extend_at(&mut numbering, &mut next, 1_100, 0, last + MS),
            None
        );
        let lost = extend_at(&mut numbering, &mut next, 1_040, 0, last + MS);
        assert_eq!(lost, Some(BEGIN + 1_040));
        let outage = Duration::from_secs(2);
        let back = extend_at(&mut numbering, &mut next, 2_040, 0, last + outage);
        assert_eq!(back, Some(BEGIN + 2_040));
    }
}
