//! Where the time of a stream's frames and packets went.

use std::time::Duration;

use crate::ledger::{Delays, FrameRecord};
use crate::statistics;

/// Delays by stage: those of frames are of the frames shown.
#[derive(Debug, Default)]
pub(super) struct Stages {
    sent_to_complete: Delays,
    complete_to_shown: Delays,
    capture_to_shown: Delays,
    one_way: Delays,
}

impl Stages {
    /// A packet with a chunk that was sent for the first time, at `sent`
    /// microseconds of the sender's clock; `offset` is what is to be added.
    pub(super) fn note_packet(&mut self, sent: u64, arrival: Duration, offset: Option<i64>) {
        note(&mut self.one_way, Some(sent), Some(arrival), offset);
    }

    /// A frame was shown.
    pub(super) fn note_shown(&mut self, record: &FrameRecord, offset: Option<i64>) {
        let micros = |time: Option<Duration>| time.map(crate::wire::native::micros);
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

    /// From capture to shown.
    pub(super) fn capture_to_shown(&self) -> &Delays {
        &self.capture_to_shown
    }

    /// The distributions that the viewer measures.
    pub(super) fn delays(&self) -> statistics::Delays {
        statistics::Delays {
            sent_to_complete: self.sent_to_complete.percentiles(),
            complete_to_shown: self.complete_to_shown.percentiles(),
            capture_to_shown: self.capture_to_shown.percentiles(),
            one_way: self.one_way.percentiles(),
            ..statistics::Delays::default()
        }
    }
}

/// Counts the time from `from` to `to`, where all of it is known. Less than
/// nothing, as an offset that is a little off makes of a short one, is nothing.
fn note(delays: &mut Delays, from: Option<u64>, to: Option<Duration>, offset: Option<i64>) {
    if let (Some(from), Some(to), Some(offset)) = (from, to, offset) {
        let micros = to.as_micros() as i128 - i128::from(from) - i128::from(offset);
        let micros = u64::try_from(micros.max(0)).unwrap_or(u64::MAX);
        delays.note(Duration::from_micros(micros));
    }
}
