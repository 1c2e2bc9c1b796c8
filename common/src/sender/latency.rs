//! How long frames take until they are sent, by stage.

use std::collections::VecDeque;
use std::time::Duration;

use crate::frame::Times;
use crate::stats;
use crate::stats::DelayHistogram;
use crate::wire::native::SenderReport;

/// Upper bound on frames waiting to be sent: more than wait behind a low bit rate limit.
const MAX_WAITING: usize = 256;

/// A delay histogram per stage, over the frames handed in with all their times.
#[derive(Debug, Default)]
pub(super) struct Latency {
    capture_to_encoded: DelayHistogram,
    encoded_to_sent: DelayHistogram,
    /// Frames still to be sent, and when they were encoded.
    waiting: VecDeque<(u64, Duration)>,
}

impl Latency {
    /// Records that a frame with this number is handed in.
    pub(super) fn record_frame(&mut self, number: u64, times: Times) {
        let Some(encoded) = times.encoded else {
            return;
        };
        self.capture_to_encoded
            .record(encoded.saturating_sub(times.captured));
        self.waiting.push_back((number, encoded));
        if self.waiting.len() > MAX_WAITING {
            self.waiting.pop_front();
        }
    }

    /// Records that the first datagram of this frame is sent.
    pub(super) fn record_sent(&mut self, number: u64, now: Duration) {
        while let Some((first, encoded)) = self.waiting.front().copied() {
            if first > number {
                return;
            }
            self.waiting.pop_front();
            if first == number {
                self.encoded_to_sent.record(now.saturating_sub(encoded));
            }
        }
    }

    /// Fills in the stages that a sender measures.
    pub(super) fn fill(&self, delays: &mut stats::Delays) {
        delays.capture_to_encoded = self.capture_to_encoded.percentiles();
        delays.encoded_to_sent = self.encoded_to_sent.percentiles();
    }

    /// Fills in the stages of a sender report.
    pub(super) fn fill_report(&self, report: &mut SenderReport) {
        [
            report.encode_p50,
            report.encode_p95,
            report.encode_p99,
            report.encode_max,
        ] = carried(&self.capture_to_encoded);
        [
            report.send_p50,
            report.send_p95,
            report.send_p99,
            report.send_max,
        ] = carried(&self.encoded_to_sent);
    }
}

/// A distribution as in a sender report: a maximum of 0 means none.
fn carried(delays: &DelayHistogram) -> [u32; 4] {
    let Some(percentiles) = delays.percentiles() else {
        return [0; 4];
    };
    let micros = |millis: f64| (millis * 1e3).round() as u32;
    [
        micros(percentiles.p50),
        micros(percentiles.p95),
        micros(percentiles.p99),
        micros(percentiles.max).max(1),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_frame_is_taken_once_and_a_frame_that_never_comes_is_skipped() {
        let ms = Duration::from_millis;
        let mut latency = Latency::default();
        for number in 0..4 {
            let times = Times {
                captured: ms(100 * number),
                encoded: Some(ms(100 * number + 5 + number)),
            };
            latency.record_frame(number, times);
        }
        latency.record_sent(0, ms(6));
        latency.record_sent(0, ms(90));
        latency.record_sent(3, ms(310));
        let mut delays = stats::Delays::default();
        latency.fill(&mut delays);
        let max = |of: Option<stats::Percentiles>| of.unwrap().max;
        assert!((max(delays.capture_to_encoded) - 8.0).abs() < 0.1);
        assert!((max(delays.encoded_to_sent) - 2.0).abs() < 0.1);
        assert_eq!(latency.encoded_to_sent.count(), 2);
        let mut totals = SenderReport::default();
        latency.fill_report(&mut totals);
        assert!((5..7).contains(&(totals.encode_p50 / 1000)));
        assert!(totals.send_max >= 2000);
    }

    #[test]
    fn unsent_frames_are_remembered_up_to_a_bound() {
        let mut latency = Latency::default();
        let times = Times {
            encoded: Some(Duration::ZERO),
            ..Times::from(Duration::ZERO)
        };
        (0..10_000).for_each(|number| latency.record_frame(number, times));
        assert_eq!(latency.waiting.len(), MAX_WAITING);
    }
}
