//! Latency breakdown of a stream's frames and packets.

use std::time::Duration;

use crate::stats::{self, DelayHistogram, FrameRecord, Percentiles};
use crate::time::SenderTime;
use crate::wire::native::SenderReport;

/// A delay histogram per stage. Those of frames cover the frames shown.
#[derive(Clone, Debug, Default)]
pub(in crate::receiver) struct LatencyBreakdown {
    sent_to_complete: DelayHistogram,
    complete_to_shown: DelayHistogram,
    capture_to_shown: DelayHistogram,
    one_way: DelayHistogram,
}

impl LatencyBreakdown {
    /// Records a media packet. `offset` is added to the sender's time, in microseconds.
    pub(super) fn record_packet(
        &mut self,
        sent: SenderTime,
        arrival: Duration,
        offset: Option<i64>,
    ) {
        add(&mut self.one_way, Some(sent), Some(arrival), offset);
    }

    /// Records a frame. Its stages count if it was shown.
    pub(super) fn record_frame(&mut self, record: &FrameRecord, offset: Option<i64>) {
        let FrameRecord {
            captured,
            sent,
            complete,
            shown,
            ..
        } = record;
        add(&mut self.sent_to_complete, *sent, *complete, offset);
        add(&mut self.capture_to_shown, *captured, *shown, offset);
        if let (Some(complete), Some(shown)) = (complete, shown) {
            let waited = shown.saturating_sub(*complete);
            self.complete_to_shown.record(waited);
        }
    }

    /// Adds those of another stream.
    pub(in crate::receiver) fn add(&mut self, other: &Self) {
        self.sent_to_complete.add(&other.sent_to_complete);
        self.complete_to_shown.add(&other.complete_to_shown);
        self.capture_to_shown.add(&other.capture_to_shown);
        self.one_way.add(&other.one_way);
    }

    /// From capture to shown, with these frames.
    pub(super) fn capture_to_shown<'a>(
        &self,
        frames: impl Iterator<Item = &'a FrameRecord>,
        offset: Option<i64>,
    ) -> DelayHistogram {
        let mut delays = self.capture_to_shown.clone();
        frames.for_each(|frame| add(&mut delays, frame.captured, frame.shown, offset));
        delays
    }

    /// All distributions: those that the viewer measures, and those that the sender reports.
    pub(super) fn delays(&self, totals: Option<&SenderReport>) -> stats::Delays {
        let totals = totals.copied().unwrap_or_default();
        stats::Delays {
            capture_to_encoded: reported([
                totals.encode_p50,
                totals.encode_p95,
                totals.encode_p99,
                totals.encode_max,
            ]),
            encoded_to_sent: reported([
                totals.send_p50,
                totals.send_p95,
                totals.send_p99,
                totals.send_max,
            ]),
            sent_to_complete: self.sent_to_complete.percentiles(),
            complete_to_shown: self.complete_to_shown.percentiles(),
            capture_to_shown: self.capture_to_shown.percentiles(),
            one_way: self.one_way.percentiles(),
        }
    }
}

/// A distribution as a sender report carries it.
fn reported(micros: [u32; 4]) -> Option<Percentiles> {
    let [p50, p95, p99, max] = micros.map(|micros| f64::from(micros) / 1e3);
    (max > 0.0).then_some(Percentiles { p50, p95, p99, max })
}

/// Records the time from `from` to `to`, if all of it is known. A negative time, as a slightly
/// wrong offset produces, counts as zero.
fn add(
    delays: &mut DelayHistogram,
    from: Option<SenderTime>,
    to: Option<Duration>,
    offset: Option<i64>,
) {
    if let (Some(from), Some(to), Some(offset)) = (from, to, offset) {
        let micros = from.transit(to) - i128::from(offset);
        let micros = u64::try_from(micros.max(0)).unwrap_or(u64::MAX);
        delays.record(Duration::from_micros(micros));
    }
}
