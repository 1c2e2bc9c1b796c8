//! How many frames ended how.

use super::FrameRecord;
use crate::stats::outcome::{OUTCOMES, Outcome, Outcomes};

/// Counts of frames by outcome.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::stats) struct Tally {
    counts: [u64; OUTCOMES.len()],
    /// Not shown, though something of it arrived and nothing spoiled it but
    /// what it lacked.
    pub(in crate::stats) incomplete: u64,
    /// Nothing of it arrived.
    pub(in crate::stats) lost: u64,
    /// Shares of the images shown that were stale, added up.
    stale: f64,
}

impl Tally {
    /// Counts a frame of which something arrived.
    pub(super) fn record(&mut self, record: &FrameRecord) {
        let outcome = record.outcome;
        self.counts[outcome as usize] += 1;
        let incomplete = [Outcome::Corrupt, Outcome::TailUnknown].contains(&outcome);
        self.incomplete += u64::from(incomplete || outcome.lacks_packets());
        if outcome == Outcome::Concealed {
            self.stale += record.stale;
        }
    }

    /// Counts frames of which nothing arrived.
    pub(super) fn record_absent(&mut self, frames: u64, outcome: Outcome) {
        self.counts[outcome as usize] += frames;
        if outcome != Outcome::Open {
            self.lost += frames;
        }
    }

    /// How many frames ended so.
    pub(in crate::stats) fn of(&self, outcome: Outcome) -> u64 {
        self.counts[outcome as usize]
    }

    /// How many frames ended as `which` says.
    pub(in crate::stats) fn sum(&self, which: impl Fn(Outcome) -> bool) -> u64 {
        let outcomes = Outcome::all().filter(|outcome| which(*outcome));
        outcomes.map(|outcome| self.of(outcome)).sum()
    }

    /// The mean share of a concealed frame that had not arrived.
    pub(in crate::stats) fn stale_share(&self) -> Option<f64> {
        let concealed = self.of(Outcome::Concealed);
        (concealed > 0).then(|| self.stale / concealed as f64)
    }

    /// All of them. What came `before_joining`, was replaced and could not be
    /// sent the sender tells.
    pub(in crate::stats) fn outcomes(&self, sender: Option<[u64; 3]>) -> Outcomes {
        let counted = Outcome::all().map(|outcome| (outcome, self.of(outcome)));
        let mut outcomes: Outcomes = counted.collect();
        outcomes[Outcome::BeforeJoining] = sender.map(|[before, ..]| before);
        outcomes[Outcome::Replaced] = sender.map(|[_, replaced, _]| replaced);
        let not_sent = self.of(Outcome::NotSent);
        outcomes[Outcome::NotSent] = sender.map(|[.., unnumbered]| unnumbered + not_sent);
        outcomes
    }
}
