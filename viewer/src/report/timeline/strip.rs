//! The outcomes of all frames, reduced to a bounded number of letters.

use framegram_common::stats::Outcome;

/// Upper bound on letters. If there are more frames, each letter covers twice as
/// many. For half an hour at 30 frames per second, each frame has its own.
pub(super) const MAX_PLACES: usize = 1 << 16;

/// Outcomes in the order of frames.
#[derive(Debug, Default)]
pub(super) struct OutcomeStrip {
    /// How often the frames of a letter were doubled.
    doublings: u32,
    outcomes: Vec<Outcome>,
    /// Number of frames that the last letter covers.
    filled: u32,
}

impl OutcomeStrip {
    pub(super) fn frames_per_letter(&self) -> u32 {
        1 << self.doublings
    }

    pub(super) fn push(&mut self, outcome: Outcome) {
        if self.filled > 0 && self.filled < self.frames_per_letter() {
            if let Some(last) = self.outcomes.last_mut() {
                *last = (*last).max(outcome);
            }
            self.filled += 1;
            return;
        }
        if self.outcomes.len() == MAX_PLACES {
            let pairs = self.outcomes.chunks(2);
            let worst = pairs.filter_map(|pair| pair.iter().max().copied());
            self.outcomes = worst.collect();
            self.doublings += 1;
        }
        self.outcomes.push(outcome);
        self.filled = 1;
    }

    pub(super) fn letters(&self) -> String {
        let outcomes = self.outcomes.iter();
        outcomes.map(|outcome| outcome.info().letter).collect()
    }
}
