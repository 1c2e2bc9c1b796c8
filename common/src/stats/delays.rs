//! Jitter and delays.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::stats::Percentiles;
use crate::time::SenderTime;

/// Interarrival jitter, smoothed with a gain of 1/16.
///
/// <https://www.rfc-editor.org/rfc/rfc3550#section-6.4.1>
#[derive(Clone, Debug, Default)]
pub(crate) struct Jitter {
    transit: Option<i128>,
    micros: f64,
    differences: DelayHistogram,
}

impl Jitter {
    /// Counts a packet.
    pub(crate) fn record(&mut self, sent: SenderTime, arrival: Duration) {
        let transit = sent.transit(arrival);
        if let Some(before) = self.transit.replace(transit) {
            let difference = (transit - before).unsigned_abs() as f64;
            self.micros += (difference - self.micros) / 16.0;
            self.differences
                .record(Duration::from_micros(difference as u64));
        }
    }

    /// Distribution of the differences in transit time between consecutive
    /// packets, in milliseconds; `None` before the second packet.
    pub(crate) fn distribution(&self) -> Option<Percentiles> {
        self.differences.percentiles()
    }

    /// Jitter in microseconds; `None` before the second packet.
    pub(crate) fn micros(&self) -> Option<f64> {
        self.transit.map(|_| self.micros)
    }
}

/// Distribution of delays with a resolution of 1 us and three significant digits.
#[derive(Clone, Debug)]
pub struct DelayHistogram {
    /// Grows with the values recorded, up to [`MAX_MICROS`].
    histogram: Histogram<u32>,
}

impl Default for DelayHistogram {
    fn default() -> Self {
        let histogram = Histogram::new(3);
        Self {
            histogram: histogram.expect("three digits are allowed"),
        }
    }
}

impl DelayHistogram {
    /// Records a delay. Delays above an hour count as an hour.
    pub fn record(&mut self, delay: Duration) {
        let micros = delay.as_micros().min(MAX_MICROS.into());
        // The histogram resizes itself, so recording cannot fail.
        let _ = self.histogram.record(micros as u64);
    }

    /// Adds the delays of another histogram.
    pub fn add(&mut self, other: &Self) {
        // The histogram resizes itself, so adding cannot fail.
        let _ = self.histogram.add(&other.histogram);
    }

    /// Number of delays recorded.
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// Recorded delays in microseconds, each with its count.
    pub fn recorded(&self) -> impl Iterator<Item = (u64, u64)> {
        let recorded = self.histogram.iter_recorded();
        recorded.map(|value| (value.value_iterated_to(), value.count_at_value().into()))
    }

    /// The delay in microseconds that `share` (0 to 1) of all delays do not
    /// exceed; 0 without any delay.
    pub fn micros_at(&self, share: f64) -> u64 {
        self.histogram.value_at_quantile(share)
    }

    /// The distribution in milliseconds; `None` without any delay.
    pub fn percentiles(&self) -> Option<Percentiles> {
        let millis = |micros: u64| micros as f64 / 1000.0;
        (!self.histogram.is_empty()).then(|| Percentiles {
            p50: millis(self.micros_at(0.50)),
            p95: millis(self.micros_at(0.95)),
            p99: millis(self.micros_at(0.99)),
            max: millis(self.histogram.max()),
        })
    }
}

/// One hour: no frame is shown that late.
const MAX_MICROS: u64 = 3_600_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_of_an_even_stream_is_zero_and_of_an_uneven_one_is_not() {
        let mut even = Jitter::default();
        let mut uneven = Jitter::default();
        for packet in 0..1000_u64 {
            let sent = SenderTime::from_micros(packet * 100);
            even.record(sent, Duration::from_micros(packet * 100 + 7000));
            uneven.record(sent, Duration::from_micros(packet * 100 + packet % 2 * 50));
        }
        assert_eq!(even.micros(), Some(0.0));
        assert!((uneven.micros().unwrap() - 50.0).abs() < 0.1);
    }

    #[test]
    fn percentiles_are_in_milliseconds() {
        let mut delays = DelayHistogram::default();
        assert_eq!(delays.percentiles(), None);
        for millis in 1..=100 {
            delays.record(Duration::from_millis(millis));
        }
        let percentiles = delays.percentiles().unwrap();
        assert!((percentiles.p50 - 50.0).abs() < 0.1);
        assert!((percentiles.p95 - 95.0).abs() < 0.1);
        assert!((percentiles.max - 100.0).abs() < 0.1);
    }

    #[test]
    fn jitter_takes_a_sixteenth_of_each_difference() {
        let mut jitter = Jitter::default();
        assert_eq!(jitter.micros(), None);
        jitter.record(SenderTime::from_micros(0), Duration::from_micros(5_000));
        jitter.record(SenderTime::from_micros(0), Duration::from_micros(6_600));
        assert_eq!(jitter.micros(), Some(100.0));
    }
}
