//! The stream to a destination whose path carries fewer frames than there are. Some frames are left
//! out, and the others are numbered consecutively, so that viewers do not wait for missing ones.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::feedback::short_micros;
use super::loss_protection::LossProtection;
use crate::chunk::ChunkedFrame;
use crate::seq::{FrameNumber, FrameSeq};
use crate::wire::native::SenderReport;

/// Upper bound on remembered frame numbers, in case a send error is reported late.
const MAX_NUMBERS: usize = 64;

/// Weight of the newest distance between two frames in their mean.
const NEWEST: f64 = 1.0 / 8.0;

/// The frames of one destination, from the first that was left out.
#[derive(Debug)]
pub(super) struct ThinnedStream {
    pub(super) protection: LossProtection,
    /// Frames below this one have their common number.
    first: FrameNumber,
    next: FrameNumber,
    /// Frames sent to other destinations only.
    left_out: u64,
    /// Bytes of JPEGs that were sent here, minus those of all frames.
    bytes: i64,
    /// Bytes of the JPEGs that were sent here.
    jpeg: u64,
    /// Frames left out since the newest one here.
    run: u32,
    /// How many frames of the stream there are for each frame here, on average over the newest
    /// ones.
    distance: f64,
    /// The newest frames: their number here, and their common number.
    numbers: VecDeque<(FrameNumber, FrameNumber)>,
}

impl ThinnedStream {
    /// Continues after the frames before this number.
    pub(super) fn new(protection: LossProtection, first: FrameNumber) -> Self {
        Self {
            protection,
            first,
            next: first,
            left_out: 0,
            bytes: 0,
            jpeg: 0,
            run: 0,
            distance: 1.0,
            numbers: VecDeque::new(),
        }
    }

    /// Leaves out a frame of this many bytes.
    pub(super) fn leave_out(&mut self, bytes: usize) {
        self.withhold(bytes);
        self.skip();
    }

    /// Withholds a frame of this many bytes: its second encoding follows.
    pub(super) fn withhold(&mut self, bytes: usize) {
        self.bytes -= bytes as i64;
    }

    /// Leaves out a frame that was withheld.
    pub(super) fn skip(&mut self) {
        self.left_out += 1;
        self.run += 1;
    }

    /// Records a frame of this many bytes in the second encoding.
    pub(super) fn record_second(&mut self, bytes: usize) {
        self.bytes += bytes as i64;
    }

    /// Bytes of the JPEGs that were sent here.
    pub(super) fn jpeg(&self) -> u64 {
        self.jpeg
    }

    /// How many frames of the stream there are for each frame here, on average over the newest.
    pub(super) fn distance(&self) -> f64 {
        // A longer run without a frame is not in the mean yet.
        self.distance.max(f64::from(self.run))
    }

    /// The number of frames left out.
    pub(super) fn left_out(&self) -> u64 {
        self.left_out
    }

    /// The mean interval of the frames here, if those of the stream are `interval` apart.
    pub(super) fn interval(&self, interval: Duration) -> Duration {
        interval.mul_f64(self.distance())
    }

    /// The frame with its number here.
    pub(super) fn renumber(&mut self, frame: &ChunkedFrame) -> Arc<ChunkedFrame> {
        let distance = f64::from(std::mem::take(&mut self.run)) + 1.0;
        self.distance += (distance - self.distance) * NEWEST;
        let number = self.next;
        self.next = number.next();
        self.jpeg += frame.len() as u64;
        self.numbers.push_back((number, frame.original()));
        if self.numbers.len() > MAX_NUMBERS {
            self.numbers.pop_front();
        }
        Arc::new(frame.renumbered(number))
    }

    /// One above the number of the newest frame here.
    pub(super) fn next(&self) -> FrameNumber {
        self.next
    }

    /// Whether a number belongs to this stream, not to the one before.
    pub(super) fn includes(&self, number: FrameNumber) -> bool {
        number >= self.first
    }

    /// The common number of a frame.
    pub(super) fn original(&self, number: FrameSeq) -> FrameSeq {
        let numbers = self.numbers.iter().rev();
        let mut numbers = numbers.filter(|(own, _)| own.seq() == number);
        numbers.next().map_or(number, |(_, all)| all.seq())
    }

    /// The sender report for this destination. Frames that were left out count as replaced by newer
    /// ones, and the interval is that of the others.
    pub(super) fn fill(&self, report: SenderReport) -> SenderReport {
        let interval = self.interval(Duration::from_micros(report.interval.into()));
        SenderReport {
            interval: short_micros(interval),
            frames_sent: self.next.0,
            frames_replaced: report.frames_replaced + self.left_out,
            jpeg_bytes: report.jpeg_bytes.saturating_add_signed(self.bytes),
            ..report
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;

    use super::*;
    use crate::fec::Fec;
    use crate::frame::Frame;

    fn frame(number: u64) -> ChunkedFrame {
        let frame = Frame {
            number: FrameNumber(number),
            jpeg: Bytes::from_static(&[7; 3_000]),
            captured: Duration::ZERO,
        };
        ChunkedFrame::new(frame, 1_452, 0, Vec::new()).unwrap()
    }

    fn stream(first: u64) -> ThinnedStream {
        let protection = LossProtection::new(Fec::Off, Duration::ZERO);
        ThinnedStream::new(protection, FrameNumber(first))
    }

    #[test]
    fn frames_are_numbered_without_a_gap_and_known_by_both_numbers() {
        let mut stream = stream(5);
        stream.leave_out(3_000);
        let numbers = [6, 8, 9].map(|number| stream.renumber(&frame(number)).number());
        assert_eq!(numbers, [5, 6, 7].map(FrameNumber));
        assert_eq!(stream.next(), FrameNumber(8));
        let original = |number| stream.original(FrameNumber(number).seq());
        assert_eq!(original(6), FrameNumber(8).seq());
        // Those before it was thinned have one number for all.
        assert_eq!(original(4), FrameNumber(4).seq());
        assert!(stream.includes(FrameNumber(5)) && !stream.includes(FrameNumber(4)));
    }

    #[test]
    fn no_more_numbers_are_remembered_than_may_be() {
        let mut stream = stream(0);
        for number in 0..1_000 {
            stream.renumber(&frame(2 * number));
        }
        assert_eq!(stream.numbers.len(), MAX_NUMBERS);
        let original = |number| stream.original(FrameNumber(number).seq());
        assert_eq!(original(999), FrameNumber(1_998).seq());
        assert_eq!(original(900), FrameNumber(900).seq());
    }

    #[test]
    fn who_gets_fewer_frames_is_told_that_newer_ones_replaced_them() {
        let mut stream = stream(2);
        stream.leave_out(700);
        stream.leave_out(300);
        stream.renumber(&frame(4));
        let all = SenderReport {
            frames_sent: 5,
            frames_replaced: 1,
            jpeg_bytes: 10_000,
            ..SenderReport::default()
        };
        let told = stream.fill(all);
        assert_eq!((told.frames_sent, told.frames_replaced), (3, 3));
        assert_eq!(told.jpeg_bytes, 9_000);
        assert_eq!(stream.left_out(), 2);
        assert_eq!(told.interval, 0, "unknown stays unknown");
    }

    #[test]
    fn the_interval_is_that_of_the_frames_that_are_sent_here() {
        let mut stream = stream(0);
        let each = Duration::from_millis(40);
        let mut number = 0;
        let mut send_every = |stream: &mut ThinnedStream, distance: u64| {
            (1..distance).for_each(|_| stream.leave_out(100));
            number += distance;
            stream.renumber(&frame(number));
        };
        (0..40).for_each(|_| send_every(&mut stream, 3));
        let interval = stream.interval(each);
        assert!((119..=120).contains(&interval.as_millis()), "{interval:?}");
        let told = stream.fill(SenderReport {
            interval: 40_000,
            ..SenderReport::default()
        });
        assert_eq!(u128::from(told.interval), interval.as_micros());
        // A run without frames counts before it ends.
        (0..10).for_each(|_| stream.leave_out(100));
        assert_eq!(stream.interval(each), 10 * each);
        (0..60).for_each(|_| send_every(&mut stream, 1));
        let interval = stream.interval(each);
        assert!((40..=41).contains(&interval.as_millis()), "{interval:?}");
    }
}
