//! A mark for each frame, or for a few of them.

use crate::stats::Outcome;

/// The most marks. When there are more, each stands for twice as many frames;
/// of half an hour at 30 frames a second each frame has its own.
pub(super) const MAX_MARKS: usize = 1 << 16;

/// Outcomes in the order of frames.
#[derive(Debug)]
pub(super) struct Marks {
    frames_per_mark: u32,
    marks: Vec<Outcome>,
    /// How many frames the last mark has.
    filled: u32,
}

impl Default for Marks {
    fn default() -> Self {
        Self {
            frames_per_mark: 1,
            marks: Vec::new(),
            filled: 0,
        }
    }
}

impl Marks {
    pub(super) fn push(&mut self, outcome: Outcome) {
        if self.filled > 0 && self.filled < self.frames_per_mark {
            if let Some(last) = self.marks.last_mut() {
                *last = (*last).max(outcome);
            }
            self.filled += 1;
            return;
        }
        if self.marks.len() == MAX_MARKS {
            let pairs = self.marks.chunks(2);
            self.marks = pairs
                .filter_map(|pair| pair.iter().max().copied())
                .collect();
            self.frames_per_mark *= 2;
        }
        self.marks.push(outcome);
        self.filled = 1;
    }

    pub(super) fn frames_per_mark(&self) -> u32 {
        self.frames_per_mark
    }

    pub(super) fn outcomes(&self) -> impl Iterator<Item = Outcome> {
        self.marks.iter().copied()
    }
}
