//! The stream as a destination gets it whose path carries fewer frames than there
//! are: some are left out, and the others numbered without a gap, so that its
//! viewers wait for none that does not come.

use std::collections::VecDeque;
use std::sync::Arc;

use super::loss_protection::LossProtection;
use crate::chunk::ChunkedFrame;
use crate::seq::{FrameNumber, FrameSeq};
use crate::wire::native::SenderReport;

/// The most frames whose numbers are remembered, in case one is refused late.
const MAX_NUMBERS: usize = 64;

/// The frames of one destination, from the first one that was left out.
#[derive(Debug)]
pub(super) struct ThinnedStream {
    pub(super) protection: LossProtection,
    /// Frames below this one have the number that they have for all.
    first: FrameNumber,
    next: FrameNumber,
    /// Frames that others got.
    left_out: u64,
    /// Bytes of the JPEGs left out.
    bytes: u64,
    /// The newest frames: their numbers here, and those that they have for all.
    numbers: VecDeque<(FrameNumber, FrameNumber)>,
}

impl ThinnedStream {
    /// Goes on behind the frames before this number.
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

    /// A frame of this many bytes is left out.
    pub(super) fn leave_out(&mut self, bytes: usize) {
        self.left_out += 1;
        self.bytes += bytes as u64;
    }

    /// How many frames were left out.
    pub(super) fn left_out(&self) -> u64 {
        self.left_out
    }

    /// A frame with its number here.
    pub(super) fn renumber(&mut self, frame: &ChunkedFrame) -> Arc<ChunkedFrame> {
        let number = self.next;
        self.next = number.next();
        self.numbers.push_back((number, frame.original()));
        if self.numbers.len() > MAX_NUMBERS {
            self.numbers.pop_front();
        }
        Arc::new(frame.renumbered(number))
    }

    /// One above the newest frame's number here.
    pub(super) fn next(&self) -> FrameNumber {
        self.next
    }

    /// Whether a number is one of this stream, not of the one before.
    pub(super) fn includes(&self, number: FrameNumber) -> bool {
        number >= self.first
    }

    /// The number that a frame has for all.
    pub(super) fn original(&self, number: FrameSeq) -> FrameSeq {
        let numbers = self.numbers.iter().rev();
        let mut numbers = numbers.filter(|(own, _)| own.seq() == number);
        numbers.next().map_or(number, |(_, all)| all.seq())
    }

    /// What a sender report tells this destination: who leaves frames out sends
    /// newer ones in their place.
    pub(super) fn fill(&self, report: SenderReport) -> SenderReport {
        SenderReport {
            frames_sent: self.next.0,
            frames_replaced: report.frames_replaced + self.left_out,
            jpeg_bytes: report.jpeg_bytes.saturating_sub(self.bytes),
            ..report
        }
    }
}
