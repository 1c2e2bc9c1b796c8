//! Where the time of a stream's frames and packets went.

use std::time::Duration;

use crate::stats::{self, DelayHistogram, FrameRecord, Percentiles};
use crate::wire::native::{self, SenderReport};

/// Delays by stage: those of frames are of the frames shown.
#[derive(Clone, Debug, Default)]
pub(super) struct Stages {
    sent_to_complete: DelayHistogram,
    complete_to_shown: DelayHistogram,
    capture_to_shown: DelayHistogram,
    one_way: DelayHistogram,
}

impl Stages {
    /// A packet with a chunk that was sent for the first time, at `sent`
    /// microseconds of the sender's clock; `offset` is what is to be added.
    pub(super) fn note_packet(&mut self, sent: u64, arrival: Duration, offset: Option<i64>) {
        note(&mut self.one_way, Some(sent), Some(arrival), offset);
    }

    /// A frame, whose time in each stage counts if it was shown; `offset` as
    /// above.
    pub(super) fn note_shown(&mut self, record: &FrameRecord, offset: Option<i64>) {
        let micros = |time: Option<Duration>| time.map(native::micros);
        let FrameRecord {
            captured,
            sent,
            complete,
            shown,
            ..
        } = record;
        note(&mut self.sent_to_complete, micros(*sent), *complete, offset);
        note(
            &mut self.capture_to_shown,
            micros(*captured),
            *shown,
            offset,
        );
        note(
            &mut self.complete_to_shown,
            micros(*complete),
            *shown,
            Some(0),
        );
    }

    /// Counts those of another stream too.
    pub(super) fn add(&mut self, other: &Self) {
        self.sent_to_complete.add(&other.sent_to_complete);
        self.complete_to_shown.add(&other.complete_to_shown);
        self.capture_to_shown.add(&other.capture_to_shown);
        self.one_way.add(&other.one_way);
    }

    /// From capture to shown.
    pub(super) fn capture_to_shown(&self) -> &DelayHistogram {
        &self.capture_to_shown
    }

    /// All distributions: those that the viewer measures, and those that the
    /// sender's totals tell.
    pub(super) fn delays(&self, totals: Option<&SenderReport>) -> stats::Delays {
        let totals = totals.copied().unwrap_or_default();
        stats::Delays {
            capture_to_encoded: told([
                totals.encode_p50,
                totals.encode_p95,
                totals.encode_p99,
                totals.encode_max,
            ]),
            encoded_to_sent: told([
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

/// A distribution as totals carry it.
fn told(micros: [u32; 4]) -> Option<Percentiles> {
    let [p50, p95, p99, max] = micros.map(|micros| f64::from(micros) / 1e3);
    (max > 0.0).then_some(Percentiles { p50, p95, p99, max })
}

/// Counts the time from `from` to `to`, where all of it is known. Less than
/// nothing, as an offset that is a little off makes of a short one, is nothing.
fn note(delays: &mut DelayHistogram, from: Option<u64>, to: Option<Duration>, offset: Option<i64>) {
    if let (Some(from), Some(to), Some(offset)) = (from, to, offset) {
        let micros = to.as_micros() as i128 - i128::from(from) - i128::from(offset);
        let micros = u64::try_from(micros.max(0)).unwrap_or(u64::MAX);
        delays.note(Duration::from_micros(micros));
    }
}
