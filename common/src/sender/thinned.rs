//! The stream to a destination whose path carries fewer frames than there are. Some frames are left
//! out, and the others are numbered consecutively, so that viewers do not wait for missing ones.

use std::collections::VecDeque;
use std::sync::Arc;

use super::loss_protection::LossProtection;
use crate::chunk::ChunkedFrame;
use crate::seq::{FrameNumber, FrameSeq};
use crate::wire::native::SenderReport;

/// Upper bound on remembered frame numbers, in case a send error is reported late.
const MAX_NUMBERS: usize = 64;

/// The frames of one destination, from the first that was left out.
#[derive(Debug)]
pub(super) struct ThinnedStream {
    pub(super) protection: LossProtection,
    /// Frames below this one have their common number.
    first: FrameNumber,
    next: FrameNumber,
    /// Frames sent to other destinations only.
    left_out: u64,
    /// Bytes of the JPEGs left out.
    bytes: u64,
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
            numbers: VecDeque::new(),
        }
    }

    /// Leaves out a frame of this many bytes.
    pub(super) fn leave_out(&mut self, bytes: usize) {
        self.left_out += 1;
        self.bytes += bytes as u64;
    }

    /// The number of frames left out.
    pub(super) fn left_out(&self) -> u64 {
        self.left_out
    }

    /// The frame with its number here.
    pub(super) fn renumber(&mut self, frame: &ChunkedFrame) -> Arc<ChunkedFrame> {
        let number = self.next;
        self.next = number.next();
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
    /// ones.
    pub(super) fn fill(&self, report: SenderReport) -> SenderReport {
        SenderReport {
            frames_sent: self.next.0,
            frames_replaced: report.frames_replaced + self.left_out,
            jpeg_bytes: report.jpeg_bytes.saturating_sub(self.bytes),
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
    }
}
