//! Send errors: packets that were numbered and rejected by the local system, and frames of which no
//! chunk was sent.

use std::collections::VecDeque;
use std::ops::Range;

use crate::seq::{FrameNumber, FrameSeq, PacketNumber};

/// The packets of one destination.
#[derive(Debug, Default)]
pub(super) struct SendErrors {
    /// Their number, over all channels.
    pub(super) packets: u64,
    /// Their UDP payload in bytes.
    pub(super) bytes: u64,
    /// The newest run of media packets among them.
    pub(super) run: Range<u64>,
    /// Whether no sender report has counted them yet.
    unreported: bool,
    /// Whether a report about them was sent, and nothing else since.
    tried: bool,
}

impl SendErrors {
    /// Counts a packet of this many bytes; one of the media channel has a number.
    pub(super) fn record(&mut self, media: Option<PacketNumber>, bytes: u64) {
        self.packets += 1;
        self.bytes += bytes;
        self.unreported = true;
        if let Some(number) = media {
            if self.run.end != number.0 || self.run.is_empty() {
                self.run.start = number.0;
            }
            self.run.end = number.0 + 1;
        }
    }

    /// Whether a sender report is due now. Once after anything else is sent, since the report may
    /// be rejected too.
    pub(super) fn take_report(&mut self) -> bool {
        let report = self.unreported && !self.tried;
        if report {
            (self.unreported, self.tried) = (false, true);
        }
        report
    }

    /// Records that something other than a report is sent.
    pub(super) fn record_attempt(&mut self) {
        self.tried = false;
    }
}

/// Upper bound on remembered frames, in case a send error is reported late: ten seconds on an
/// impaired link at 100 frames per second.
const MAX_FRAMES: usize = 1024;

/// The newest frames, and how many of their chunks were sent.
#[derive(Debug, Default)]
pub(super) struct UnsentFrames {
    frames: VecDeque<FrameChunks>,
    /// Forgotten frames that were not sent.
    unsent: u64,
}

#[derive(Debug)]
struct FrameChunks {
    frame: FrameNumber,
    handed_out: u64,
    refused: u64,
}

impl UnsentFrames {
    /// Records that a chunk of a frame is handed out, to any destination.
    pub(super) fn record_chunk(&mut self, frame: FrameNumber) {
        if let Some(chunks) = self.find(frame) {
            chunks.handed_out += 1;
            return;
        }
        // A late retransmission of a forgotten frame.
        if self.frames.back().is_some_and(|last| last.frame > frame) {
            return;
        }
        self.frames.push_back(FrameChunks {
            frame,
            handed_out: 1,
            refused: 0,
        });
        if self.frames.len() > MAX_FRAMES
            && let Some(oldest) = self.frames.pop_front()
        {
            self.unsent += u64::from(oldest.is_unsent());
        }
    }

    /// Records that a chunk that was handed out was rejected.
    pub(super) fn record_refused(&mut self, frame: FrameSeq) {
        let Some(last) = self.frames.back() else {
            return;
        };
        if let Some(chunks) = self.find(frame.extend(last.frame)) {
            chunks.refused += 1;
        }
    }

    /// The number of frames that were not sent to any destination.
    pub(super) fn count(&self) -> u64 {
        let remembered = self.frames.iter().filter(|chunks| chunks.is_unsent());
        self.unsent + remembered.count() as u64
    }

    fn find(&mut self, frame: FrameNumber) -> Option<&mut FrameChunks> {
        // Nearly always one of the newest.
        self.frames
            .iter_mut()
            .rev()
            .find(|chunks| chunks.frame <= frame)
            .filter(|chunks| chunks.frame == frame)
    }
}

impl FrameChunks {
    fn is_unsent(&self) -> bool {
        self.refused >= self.handed_out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_left_if_one_of_its_chunks_did_and_counts_once_it_is_forgotten_too() {
        let mut unsent = UnsentFrames::default();
        let frames = 3 * MAX_FRAMES as u64;
        for frame in (0..frames).map(FrameNumber) {
            for chunk in 0..3 {
                unsent.record_chunk(frame);
                if frame.0 % 2 == 0 || chunk == 1 {
                    unsent.record_refused(frame.seq());
                }
            }
        }
        assert_eq!(unsent.count(), frames / 2);
        // The retransmission is sent after all.
        unsent.record_chunk(FrameNumber(frames - 2));
        unsent.record_chunk(FrameNumber(0));
        assert_eq!(unsent.count(), frames / 2 - 1);
    }

    #[test]
    fn each_run_of_errors_is_reported_once_and_again_after_something_else_was_tried() {
        let mut errors = SendErrors::default();
        let record = |errors: &mut SendErrors, number| {
            errors.record(Some(PacketNumber(number)), 100);
        };
        assert!(!errors.take_report());
        record(&mut errors, 7);
        record(&mut errors, 8);
        assert!(errors.take_report());
        // The report itself is rejected.
        errors.record(None, 200);
        assert!(!errors.take_report());
        errors.record_attempt();
        assert!(errors.take_report());
        record(&mut errors, 12);
        assert_eq!(errors.run, 12..13);
        assert_eq!((errors.packets, errors.bytes), (4, 500));
    }
}
