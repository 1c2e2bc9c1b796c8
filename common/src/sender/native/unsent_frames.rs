//! Frames of which no chunk left: the sender's own system refused all of them.

use std::collections::VecDeque;

use crate::seq::{FrameNumber, FrameSeq};

/// The most frames that are remembered, in case a refusal is told late: those
/// of ten seconds on an impaired link at 100 frames a second.
const MAX_FRAMES: usize = 1024;

/// The newest frames, and how many of their chunks left.
#[derive(Debug, Default)]
pub(super) struct UnsentFrames {
    frames: VecDeque<Chunks>,
    /// Frames that are forgotten, and did not leave.
    refused: u64,
}

#[derive(Debug)]
struct Chunks {
    frame: FrameNumber,
    handed_out: u64,
    refused: u64,
}

impl UnsentFrames {
    /// A chunk of a frame is handed out, to whichever destination.
    pub(super) fn note(&mut self, frame: FrameNumber) {
        if let Some(chunks) = self.find(frame) {
            chunks.handed_out += 1;
            return;
        }
        // One that is sent again long after, of a frame that is forgotten.
        if self.frames.back().is_some_and(|last| last.frame > frame) {
            return;
        }
        self.frames.push_back(Chunks {
            frame,
            handed_out: 1,
            refused: 0,
        });
        if self.frames.len() > MAX_FRAMES
            && let Some(oldest) = self.frames.pop_front()
        {
            self.refused += u64::from(oldest.is_refused());
        }
    }

    /// A chunk that was handed out did not leave.
    pub(super) fn note_refused(&mut self, frame: FrameSeq) {
        let Some(last) = self.frames.back() else {
            return;
        };
        if let Some(chunks) = self.find(frame.extend(last.frame)) {
            chunks.refused += 1;
        }
    }

    /// How many frames did not leave, to any destination.
    pub(super) fn refused(&self) -> u64 {
        let remembered = self.frames.iter().filter(|chunks| chunks.is_refused());
        self.refused + remembered.count() as u64
    }

    fn find(&mut self, frame: FrameNumber) -> Option<&mut Chunks> {
        // The newest are asked for nearly always.
        self.frames
            .iter_mut()
            .rev()
            .find(|chunks| chunks.frame <= frame)
            .filter(|chunks| chunks.frame == frame)
    }
}

impl Chunks {
    fn is_refused(&self) -> bool {
        self.refused >= self.handed_out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_left_if_one_of_its_chunks_did_and_is_told_of_once_it_is_forgotten_too() {
        let mut leaving = UnsentFrames::default();
        let frames = 3 * MAX_FRAMES as u64;
        for frame in (0..frames).map(FrameNumber) {
            for chunk in 0..3 {
                leaving.note(frame);
                if frame.0 % 2 == 0 || chunk == 1 {
                    leaving.note_refused(frame.seq());
                }
            }
        }
        assert_eq!(leaving.refused(), frames / 2);
        // Sent again, it leaves after all.
        leaving.note(FrameNumber(frames - 2));
        leaving.note(FrameNumber(0));
        assert_eq!(leaving.refused(), frames / 2 - 1);
    }
}
