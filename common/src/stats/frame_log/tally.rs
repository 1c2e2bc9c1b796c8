//! Counts frames by outcome.

use super::settle::{FrameStep, Knowledge};
use super::{FrameLog, FrameState};
use crate::stats::outcome::{OUTCOMES, Outcome, Outcomes};

impl FrameLog {
    /// The counts of the settled frames, and of the others as they stand: as if all were settled
    /// now.
    pub(in crate::stats) fn tally(&self, knowledge: &Knowledge<'_>) -> Tally {
        let mut tally = self.tally.clone();
        self.walk(knowledge.sent, knowledge, &mut |step| {
            match step {
                FrameStep::Absent(parts, _) => parts
                    .into_iter()
                    .for_each(|(run, outcome)| tally.record_absent(run.end - run.start, outcome)),
                FrameStep::Open(number, open, reached) => {
                    let outcome = match open.state {
                        FrameState::Told(outcome) => outcome,
                        _ => self.judged(number, open, reached, knowledge).outcome,
                    };
                    tally.record(outcome, open.record.stale);
                }
            }
            true
        });
        tally
    }
}

/// Counts of frames by outcome.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::stats) struct Tally {
    counts: [u64; OUTCOMES.len()],
    /// Not shown; something of them arrived, and only missing chunks prevented display.
    pub(in crate::stats) incomplete: u64,
    /// Nothing of them arrived.
    pub(in crate::stats) lost: u64,
    /// The sum of the stale shares of the images shown.
    stale: f64,
}

impl Tally {
    /// Counts a frame with this outcome and stale share, of which something arrived.
    pub(super) fn record(&mut self, outcome: Outcome, stale: f64) {
        self.counts[outcome as usize] += 1;
        let incomplete = [Outcome::Corrupt, Outcome::TailUnknown].contains(&outcome);
        self.incomplete += u64::from(incomplete || outcome.lacks_packets());
        if outcome == Outcome::Concealed {
            self.stale += stale;
        }
    }

    /// Counts frames of which nothing arrived.
    pub(super) fn record_absent(&mut self, frames: u64, outcome: Outcome) {
        self.counts[outcome as usize] += frames;
        if outcome != Outcome::Open {
            self.lost += frames;
        }
    }

    /// The number of frames with this outcome.
    pub(in crate::stats) fn of(&self, outcome: Outcome) -> u64 {
        self.counts[outcome as usize]
    }

    /// The number of frames with any of these outcomes.
    pub(in crate::stats) fn sum(&self, which: impl Fn(Outcome) -> bool) -> u64 {
        let outcomes = Outcome::all().filter(|outcome| which(*outcome));
        outcomes.map(|outcome| self.of(outcome)).sum()
    }

    /// The mean stale share of a concealed frame.
    pub(in crate::stats) fn stale_share(&self) -> Option<f64> {
        let concealed = self.of(Outcome::Concealed);
        (concealed > 0).then(|| self.stale / concealed as f64)
    }

    /// All counts. Only the sender knows those `before_joining`, replaced, and not sent.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_which_nothing_arrived_are_lost_unless_they_are_waited_for() {
        let mut tally = Tally::default();
        tally.record_absent(3, Outcome::LostNetwork);
        tally.record_absent(2, Outcome::Open);
        assert_eq!((tally.lost, tally.incomplete), (3, 0));
        assert_eq!(tally.of(Outcome::Open), 2);
        assert_eq!(tally.sum(|_| true), 5);
    }

    #[test]
    fn frames_of_which_something_arrived_are_incomplete_if_they_lack_packets() {
        let mut tally = Tally::default();
        for (outcome, stale) in [
            (Outcome::LostNetwork, 0.0),
            (Outcome::Corrupt, 0.0),
            (Outcome::TailUnknown, 0.0),
            (Outcome::Late, 0.0),
            (Outcome::IntactParity, 0.5),
            (Outcome::Concealed, 0.1),
            (Outcome::Concealed, 0.3),
        ] {
            tally.record(outcome, stale);
        }
        assert_eq!((tally.lost, tally.incomplete), (0, 3));
        let stale = tally.stale_share().expect("two frames were concealed");
        assert!((stale - 0.2).abs() < 1e-9);
        assert_eq!(Tally::default().stale_share(), None);
    }

    #[test]
    fn counts_that_only_the_sender_knows_are_its_own() {
        let mut tally = Tally::default();
        tally.record_absent(2, Outcome::NotSent);
        let outcomes = tally.outcomes(Some([5, 6, 7]));
        assert_eq!(outcomes[Outcome::BeforeJoining], Some(5));
        assert_eq!(outcomes[Outcome::Replaced], Some(6));
        assert_eq!(outcomes[Outcome::NotSent], Some(9));
        assert_eq!(tally.outcomes(None)[Outcome::NotSent], None);
    }
}
