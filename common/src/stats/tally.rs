//! How many frames met which outcome.

use super::outcome::{FrameRecord, Outcome};
use crate::stats::Outcomes;

/// Counts of frames by outcome.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    counts: [u64; Outcome::ALL.len()],
    /// Not shown, though something of it arrived and nothing spoiled it but
    /// what it lacked.
    pub incomplete: u64,
    /// Nothing of it arrived.
    pub lost: u64,
    /// Shares of the pictures shown that were stale, added up.
    stale: f64,
}

impl Tally {
    /// Counts a frame of which something arrived.
    pub fn note(&mut self, record: &FrameRecord) {
        self.counts[record.outcome as usize] += 1;
        match record.outcome {
            Outcome::Corrupt
            | Outcome::LostUnknown
            | Outcome::LostSocket
            | Outcome::LostNetwork
            | Outcome::NotSent
            | Outcome::TailUnknown => self.incomplete += 1,
            Outcome::Concealed => self.stale += record.stale,
            Outcome::IntactUnrepaired
            | Outcome::IntactRetransmission
            | Outcome::IntactParity
            | Outcome::Skipped
            | Outcome::Undecodable
            | Outcome::Late
            | Outcome::BeforeJoining
            | Outcome::Open => {}
        }
    }

    /// Counts frames of which nothing arrived.
    pub fn note_absent(&mut self, frames: u64, outcome: Outcome) {
        self.counts[outcome as usize] += frames;
        if outcome != Outcome::Open {
            self.lost += frames;
        }
    }

    /// How many frames met this outcome.
    #[must_use]
    pub fn of(&self, outcome: Outcome) -> u64 {
        self.counts[outcome as usize]
    }

    /// Frames shown byte for byte as sent.
    #[must_use]
    pub fn intact(&self) -> u64 {
        let intact = Outcome::ALL
            .into_iter()
            .filter(|outcome| outcome.is_intact());
        intact.map(|outcome| self.of(outcome)).sum()
    }

    /// Frames shown, with holes or without.
    #[must_use]
    pub fn shown(&self) -> u64 {
        self.intact() + self.of(Outcome::Concealed)
    }

    /// The mean share of a concealed frame that had not arrived.
    #[must_use]
    pub fn stale_share(&self) -> Option<f64> {
        let concealed = self.of(Outcome::Concealed);
        (concealed > 0).then(|| self.stale / concealed as f64)
    }

    /// All of them, with what only the sender knows: frames captured, replaced
    /// and not sent.
    #[must_use]
    pub fn outcomes(&self, before_joining: u64, sender: Option<[u64; 3]>) -> Outcomes {
        let of = |outcome| Some(self.of(outcome));
        let own = Outcome::ALL
            .into_iter()
            .filter(|outcome| *outcome != Outcome::BeforeJoining)
            .map(|outcome| self.of(outcome))
            .sum::<u64>();
        let unaccounted = sender.map(|[captured, replaced, not_sent]| {
            captured.saturating_sub(replaced + not_sent + before_joining + own)
        });
        Outcomes {
            replaced: sender.map(|[_, replaced, _]| replaced),
            not_sent: sender.map(|[_, _, not_sent]| not_sent + self.of(Outcome::NotSent)),
            before_joining: sender.map(|_| before_joining),
            lost_network: of(Outcome::LostNetwork),
            lost_socket: of(Outcome::LostSocket),
            mixed: of(Outcome::LostUnknown),
            corrupt: of(Outcome::Corrupt),
            late: of(Outcome::Late),
            undecodable: of(Outcome::Undecodable),
            skipped: of(Outcome::Skipped),
            concealed: of(Outcome::Concealed),
            intact_parity: of(Outcome::IntactParity),
            intact_retransmission: of(Outcome::IntactRetransmission),
            intact_unrepaired: of(Outcome::IntactUnrepaired),
            open: of(Outcome::Open),
            tail_unknown: of(Outcome::TailUnknown),
            unaccounted,
            after_last_totals: None,
        }
    }
}
