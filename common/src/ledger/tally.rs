//! How many frames met which fate.

use super::record::{Fate, FrameRecord};
use crate::statistics::Fates;

/// Counts of frames by fate.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    counts: [u64; Fate::ALL.len()],
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
        self.counts[record.fate as usize] += 1;
        match record.fate {
            Fate::Corrupt
            | Fate::Mixed
            | Fate::LostSocket
            | Fate::LostNetwork
            | Fate::NotSent
            | Fate::TailUnknown => self.incomplete += 1,
            Fate::Concealed => self.stale += record.stale,
            Fate::IntactUnrepaired
            | Fate::IntactRequest
            | Fate::IntactParity
            | Fate::Superseded
            | Fate::Undecodable
            | Fate::Late
            | Fate::BeforeJoining
            | Fate::Open => {}
        }
    }

    /// Counts frames of which nothing arrived.
    pub fn note_absent(&mut self, frames: u64, fate: Fate) {
        self.counts[fate as usize] += frames;
        if fate != Fate::Open {
            self.lost += frames;
        }
    }

    /// How many frames met this fate.
    #[must_use]
    pub fn of(&self, fate: Fate) -> u64 {
        self.counts[fate as usize]
    }

    /// Frames shown byte for byte as sent.
    #[must_use]
    pub fn intact(&self) -> u64 {
        let intact = Fate::ALL.into_iter().filter(|fate| fate.is_intact());
        intact.map(|fate| self.of(fate)).sum()
    }

    /// Frames shown, with holes or without.
    #[must_use]
    pub fn shown(&self) -> u64 {
        self.intact() + self.of(Fate::Concealed)
    }

    /// The mean share of a concealed frame that had not arrived.
    #[must_use]
    pub fn stale_share(&self) -> Option<f64> {
        let concealed = self.of(Fate::Concealed);
        (concealed > 0).then(|| self.stale / concealed as f64)
    }

    /// All of them, with what only the sender knows: frames captured, replaced
    /// and not sent.
    #[must_use]
    pub fn fates(&self, before_joining: u64, sender: Option<[u64; 3]>) -> Fates {
        let of = |fate| Some(self.of(fate));
        let own = Fate::ALL
            .into_iter()
            .filter(|fate| *fate != Fate::BeforeJoining)
            .map(|fate| self.of(fate))
            .sum::<u64>();
        let unaccounted = sender.map(|[captured, replaced, not_sent]| {
            captured.saturating_sub(replaced + not_sent + before_joining + own)
        });
        Fates {
            replaced: sender.map(|[_, replaced, _]| replaced),
            not_sent: sender.map(|[_, _, not_sent]| not_sent + self.of(Fate::NotSent)),
            before_joining: sender.map(|_| before_joining),
            lost_network: of(Fate::LostNetwork),
            lost_socket: of(Fate::LostSocket),
            mixed: of(Fate::Mixed),
            corrupt: of(Fate::Corrupt),
            late: of(Fate::Late),
            undecodable: of(Fate::Undecodable),
            superseded: of(Fate::Superseded),
            concealed: of(Fate::Concealed),
            intact_parity: of(Fate::IntactParity),
            intact_request: of(Fate::IntactRequest),
            intact_unrepaired: of(Fate::IntactUnrepaired),
            open: of(Fate::Open),
            tail_unknown: of(Fate::TailUnknown),
            unaccounted,
            after_last_totals: None,
        }
    }
}
