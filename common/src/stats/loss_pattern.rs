//! Measures the pattern of loss: loss periods, distances and bursts.

use std::ops::Range;

use hdrhistogram::Histogram;

use super::sequence::{SequenceTracker, WINDOW};
use crate::seq::PacketNumber;
use crate::stats::{Bursts, LossPattern, Percentiles};

/// Finds loss periods and bursts among packets in sending order.
///
/// A packet is final once it is too late for it to arrive. Younger packets are
/// evaluated by each [`LossPatternMeter::read`] and stay open.
#[derive(Clone, Debug, Default)]
pub(crate) struct LossPatternMeter {
    /// First packet that is not final.
    at: Option<u64>,
    pattern: LossPattern,
    distances: Option<Histogram<u32>>,
    lost_run: u64,
    /// Packets received since the last lost one; `None` before the first loss.
    received_since: Option<u64>,
    burst: LossBurst,
}

/// A burst so far. It counts once a second packet is lost.
#[derive(Clone, Copy, Debug, Default)]
struct LossBurst {
    packets: u64,
    lost: u64,
}

impl LossPatternMeter {
    /// Evaluates the packets that leave the window when `number` is recorded. The
    /// counts begin at `start`.
    pub(crate) fn advance(&mut self, numbers: &SequenceTracker, start: u64, number: u64) {
        let horizon = (number + 1).saturating_sub(WINDOW);
        if horizon > start {
            self.take_until(numbers, start, horizon);
        }
    }

    /// Pattern of the packets from `start` to below `end`.
    pub(crate) fn read(&self, numbers: &SequenceTracker, start: u64, end: u64) -> LossPattern {
        let mut all = self.clone();
        all.take_until(numbers, start, end);
        all.close_run();
        all.close_burst();
        let mut pattern = all.pattern;
        pattern.bursts.gap_packets = pattern.packets - pattern.bursts.burst_packets;
        pattern.bursts.gap_lost = pattern.lost - pattern.bursts.burst_lost;
        pattern.distance = all.distances.as_ref().map(percentiles);
        pattern
    }

    fn take_until(&mut self, numbers: &SequenceTracker, start: u64, end: u64) {
        let mut at = *self.at.get_or_insert(start);
        let (first, next) = (numbers.first().unwrap_or(end), numbers.next());
        let before = first.clamp(at, end.max(at)) - at;
        self.take(true, before);
        at += before;
        let sure = numbers.sure_from().clamp(at, end.min(next).max(at));
        at = self.take_each(numbers, at..sure);
        for (gap_start, gap) in numbers.gaps_in(at..end.min(next)) {
            let gap = gap_start.max(at)..gap.end.min(end).min(next);
            self.take(false, gap.start - at);
            at = self.take_each(numbers, gap);
        }
        let rest = end.min(next).saturating_sub(at);
        self.take(false, rest);
        at += rest;
        let behind = end.saturating_sub(at);
        self.take(true, behind);
        self.at = Some(at + behind);
    }

    /// Evaluates the packets of a range one by one. Returns its end.
    fn take_each(&mut self, numbers: &SequenceTracker, range: Range<u64>) -> u64 {
        for number in range.clone() {
            self.take(!numbers.has(PacketNumber(number)), 1);
        }
        range.end
    }

    fn take(&mut self, lost: bool, count: u64) {
        if count == 0 {
            return;
        }
        self.pattern.packets += count;
        if !lost {
            self.close_run();
            self.received_since = self.received_since.map(|since| since + count);
            return;
        }
        self.pattern.lost += count;
        if let Some(since) = self.received_since {
            self.record_distance(since + 1, 1);
        }
        self.record_distance(1, count - 1);
        let since = self.received_since.replace(0).unwrap_or(u64::MAX);
        if since >= Bursts::GMIN {
            self.close_burst();
            self.burst = LossBurst {
                packets: count,
                lost: count,
            };
        } else {
            self.burst.packets += since + count;
            self.burst.lost += count;
        }
        self.lost_run += count;
    }

    /// Loss distance: <https://www.rfc-editor.org/rfc/rfc3357#section-5.2>.
    fn record_distance(&mut self, distance: u64, times: u64) {
        if times == 0 {
            return;
        }
        let distances = self.distances.get_or_insert_with(|| {
            let bounds = Histogram::new_with_bounds(1, MAX_DISTANCE, 2);
            bounds.expect("these bounds are constants and valid")
        });
        distances.saturating_record_n(distance, u32::try_from(times).unwrap_or(u32::MAX));
    }

    fn close_run(&mut self) {
        let run = std::mem::take(&mut self.lost_run);
        if run == 0 {
            return;
        }
        let pattern = &mut self.pattern;
        pattern.periods += 1;
        pattern.longest = pattern.longest.max(run);
        let place = (run as usize).min(LossPattern::LENGTHS);
        if pattern.period_lengths.len() < place {
            pattern.period_lengths.resize(place, 0);
        }
        pattern.period_lengths[place - 1] += 1;
    }

    fn close_burst(&mut self) {
        let LossBurst { packets, lost } = std::mem::take(&mut self.burst);
        // A single lost packet is no burst:
        // https://www.rfc-editor.org/rfc/rfc3611#section-4.7.2.
        if lost > 1 {
            let bursts = &mut self.pattern.bursts;
            bursts.bursts += 1;
            bursts.burst_packets += packets;
            bursts.burst_lost += lost;
            bursts.longest_burst = bursts.longest_burst.max(packets);
        }
    }
}

/// Quantiles of a distribution of counts.
pub(super) fn percentiles(histogram: &Histogram<u32>) -> Percentiles {
    Percentiles {
        p50: histogram.value_at_quantile(0.50) as f64,
        p95: histogram.value_at_quantile(0.95) as f64,
        p99: histogram.value_at_quantile(0.99) as f64,
        max: histogram.max() as f64,
    }
}

/// Longer distances count as this one; numbers never leap further.
const MAX_DISTANCE: u64 = 1 << 24;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn pattern(received: &str) -> LossPattern {
        let mut numbers = SequenceTracker::default();
        for (number, mark) in received.bytes().enumerate() {
            if mark == b'.' {
                numbers.insert(PacketNumber(number as u64));
            }
        }
        LossPatternMeter::default().read(&numbers, 0, received.len() as u64)
    }

    #[test]
    fn runs_distances_and_bursts_of_one_stream() {
        // A burst of two runs, a single loss, and another one at the end.
        let pattern = pattern("..xx...x.................x..................x");
        assert_eq!((pattern.packets, pattern.lost, pattern.periods), (45, 5, 4));
        assert_eq!(pattern.period_lengths, [3, 1]);
        assert_eq!(pattern.longest, 2);
        let expected = Bursts {
            bursts: 1,
            burst_packets: 6,
            burst_lost: 3,
            longest_burst: 6,
            gap_packets: 39,
            gap_lost: 2,
        };
        assert_eq!(pattern.bursts, expected);
        let distance = pattern.distance.unwrap();
        assert_eq!((distance.p50, distance.max), (4.0, 19.0));
    }

    #[test]
    fn without_loss_there_is_one_gap() {
        let pattern = pattern("....................");
        assert_eq!((pattern.lost, pattern.periods, pattern.longest), (0, 0, 0));
        assert_eq!((pattern.bursts.bursts, pattern.bursts.gap_packets), (0, 20));
        assert_eq!(pattern.distance, None);
    }

    #[test]
    fn packets_that_leave_the_window_are_not_counted_as_lost_twice() {
        let mut numbers = SequenceTracker::default();
        let mut meter = LossPatternMeter::default();
        let mut lost = BTreeSet::new();
        for number in 0..3 * WINDOW {
            if number % 1000 == 500 || number % 7777 == 3 {
                lost.insert(number);
                continue;
            }
            meter.advance(&numbers, 0, number);
            numbers.insert(PacketNumber(number));
        }
        let pattern = meter.read(&numbers, 0, 3 * WINDOW);
        assert_eq!(pattern.packets, 3 * WINDOW);
        assert_eq!(pattern.lost, lost.len() as u64);
    }

    proptest! {
        #[test]
        fn packets_that_never_arrive_are_lost_in_any_order(
            arrivals in prop::collection::vec(0_u64..200, 1..150),
            reveal in prop::option::of((0_usize..150, 0_u64..250)),
        ) {
            let mut numbers = SequenceTracker::default();
            let mut set = BTreeSet::new();
            let mut end = 0;
            for (index, number) in arrivals.iter().enumerate() {
                if let Some((_, to)) = reveal.filter(|(at, _)| *at == index) {
                    if index == 0 {
                        numbers.begin_at(to);
                    }
                    numbers.reveal(to, None);
                    end = end.max(to);
                }
                numbers.insert(PacketNumber(*number));
                set.insert(*number);
                end = end.max(number + 1);
            }
            let start = *set.first().expect("one at least");
            let pattern = LossPatternMeter::default().read(&numbers, start, end);
            let text: String = (start..end).map(|n| if set.contains(&n) { '.' } else { 'x' }).collect();
            prop_assert_eq!(pattern.packets, end - start);
            prop_assert_eq!(pattern.lost as usize, text.matches('x').count());
            let runs = text.split('.').filter(|run| !run.is_empty());
            prop_assert_eq!(pattern.periods as usize, runs.count());
        }

        #[test]
        fn finds_what_a_plain_search_finds(lost in prop::collection::vec(any::<bool>(), 1..300), dense in 1..40_u8) {
            let lost: Vec<bool> = lost
                .iter()
                .enumerate()
                .map(|(at, lost)| *lost && at % usize::from(dense) == 0)
                .collect();
            let text: String = lost.iter().map(|lost| if *lost { 'x' } else { '.' }).collect();
            let found = pattern(&text);
            let runs: Vec<usize> = text.split('.').map(str::len).filter(|len| *len > 0).collect();
            prop_assert_eq!(found.lost as usize, runs.iter().sum::<usize>());
            prop_assert_eq!(found.periods as usize, runs.len());
            prop_assert_eq!(found.longest as usize, runs.iter().copied().max().unwrap_or(0));
            let bursts: Vec<&str> = text
                .split(&".".repeat(Bursts::GMIN as usize))
                .map(|part| part.trim_matches('.'))
                .filter(|part| part.matches('x').count() > 1)
                .collect();
            prop_assert_eq!(found.bursts.bursts as usize, bursts.len());
            prop_assert_eq!(
                found.bursts.burst_packets as usize,
                bursts.iter().map(|burst| burst.len()).sum::<usize>()
            );
        }
    }
}
