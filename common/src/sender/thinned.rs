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
