//! How a frame ended: the one table that everything reads which counts, draws
//! or explains outcomes.

use std::ops::{Index, IndexMut};

use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};

/// How a frame ended, from the best to the least known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Outcome {
    /// Shown whole, nothing repaired.
    IntactUnrepaired,
    /// Shown whole after a retransmission.
    IntactRetransmission,
    /// Shown whole after repair by parity.
    IntactParity,
    /// Shown with holes filled.
    Concealed,
    /// Whole, and a newer one was shown.
    Skipped,
    /// Whole, and given up by the decoder.
    Undecodable,
    /// Whole after its deadline.
    Late,
    /// Whole, and its checksum does not hold.
    Corrupt,
    /// What it lacked was lost for several causes, or for one of several.
    LostUnknown,
    /// What it lacked was dropped in the socket buffer.
    LostSocket,
    /// What it lacked was lost on the way.
    LostNetwork,
    /// What it lacked never left the sender.
    NotSent,
    /// Sent before the viewer joined.
    BeforeJoining,
    /// Announced, and nothing else is known of it.
    TailUnknown,
    /// Not settled when the viewer stopped.
    Open,
    /// Given up before encoding for a newer one. It never had a number.
    Replaced,
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct OutcomeInfo {
    /// The outcome.
    pub outcome: Outcome,
    /// Its name in reports, and its class on the page.
    pub key: &'static str,
    /// Its letter in the timeline.
    pub letter: char,
    /// A few words, for legends and the rows of tables.
    pub legend: &'static str,
    /// Whether the frame should have been shown and was not.
    pub is_loss: bool,
    /// One sentence.
    pub explanation: &'static str,
}

/// All outcomes, in their order.
pub const OUTCOMES: [OutcomeInfo; 16] = [
    OutcomeInfo {
        outcome: Outcome::IntactUnrepaired,
        key: "intact_unrepaired",
        letter: '.',
        legend: "whole",
        is_loss: false,
        explanation: "Shown byte for byte as sent; nothing had to be repaired.",
    },
    OutcomeInfo {
        outcome: Outcome::IntactRetransmission,
        key: "intact_retransmission",
        letter: 'r',
        legend: "whole by retransmission",
        is_loss: false,
        explanation: "Shown byte for byte as sent; it took retransmissions, and no parity.",
    },
    OutcomeInfo {
        outcome: Outcome::IntactParity,
        key: "intact_parity",
        letter: 'p',
        legend: "whole by parity",
        is_loss: false,
        explanation: "Shown byte for byte as sent; parity rebuilt chunks.",
    },
    OutcomeInfo {
        outcome: Outcome::Concealed,
        key: "concealed",
        letter: 'c',
        legend: "concealed",
        is_loss: false,
        explanation: "Shown; what had not arrived was filled from the frame before.",
    },
    OutcomeInfo {
        outcome: Outcome::Skipped,
        key: "skipped",
        letter: 's',
        legend: "skipped",
        is_loss: false,
        explanation: "Whole and in time, but a newer one was shown.",
    },
    OutcomeInfo {
        outcome: Outcome::Undecodable,
        key: "undecodable",
        letter: 'u',
        legend: "undecodable",
        is_loss: true,
        explanation: "Whole, but not a JPEG that can be decoded.",
    },
    OutcomeInfo {
        outcome: Outcome::Late,
        key: "late",
        letter: 'l',
        legend: "late",
        is_loss: true,
        explanation: "Not shown; all of it arrived, but after its deadline.",
    },
    OutcomeInfo {
        outcome: Outcome::Corrupt,
        key: "corrupt",
        letter: 'x',
        legend: "corrupt",
        is_loss: true,
        explanation: "Not shown; all of it arrived, and its checksum does not hold.",
    },
    OutcomeInfo {
        outcome: Outcome::LostUnknown,
        key: "lost_unknown",
        letter: 'm',
        legend: "lost, cause unknown",
        is_loss: true,
        explanation: "Not shown; what it lacked was lost for more than one cause, or for one that \
                      cannot be told.",
    },
    OutcomeInfo {
        outcome: Outcome::LostSocket,
        key: "lost_socket",
        letter: 'b',
        legend: "lost in the socket buffer",
        is_loss: true,
        explanation: "Not shown; what it lacked was dropped in the viewer's socket buffer.",
    },
    OutcomeInfo {
        outcome: Outcome::LostNetwork,
        key: "lost_network",
        letter: 'n',
        legend: "lost on the network",
        is_loss: true,
        explanation: "Not shown; what it lacked was lost on the way, or arrived corrupt.",
    },
    OutcomeInfo {
        outcome: Outcome::NotSent,
        key: "not_sent",
        letter: 'k',
        legend: "not sent",
        is_loss: true,
        explanation: "It could not be encoded or sent, or the sender's own system refused every \
                      packet that it lacked.",
    },
    OutcomeInfo {
        outcome: Outcome::BeforeJoining,
        key: "before_joining",
        letter: '-',
        legend: "sent before joining",
        is_loss: false,
        explanation: "Sent before the viewer's first packet.",
    },
    OutcomeInfo {
        outcome: Outcome::TailUnknown,
        key: "tail_unknown",
        letter: '?',
        legend: "not known, at the end",
        is_loss: false,
        explanation: "Announced, and behind the last packet that the viewer knows of: whether it \
                      was lost cannot be told.",
    },
    OutcomeInfo {
        outcome: Outcome::Open,
        key: "open",
        letter: 'o',
        legend: "not settled",
        is_loss: false,
        explanation: "Still awaited, or on its way to be shown; 0 once a stream has ended.",
    },
    OutcomeInfo {
        outcome: Outcome::Replaced,
        key: "replaced",
        letter: '~',
        legend: "replaced at the source",
        is_loss: false,
        explanation: "A newer one took its place before it was encoded. A sender that waits for \
                      viewers replaces every frame while nobody watches.",
    },
];

impl Outcome {
    /// Its row of the table.
    #[must_use]
    pub fn info(self) -> &'static OutcomeInfo {
        &OUTCOMES[self as usize]
    }

    /// Its name in reports.
    #[must_use]
    pub fn key(self) -> &'static str {
        self.info().key
    }

    /// All outcomes, in their order.
    pub fn all() -> impl DoubleEndedIterator<Item = Self> + Clone {
        OUTCOMES.iter().map(|info| info.outcome)
    }

    /// The outcome with this letter.
    #[must_use]
    pub fn of_letter(letter: char) -> Option<Self> {
        Self::all().find(|outcome| outcome.info().letter == letter)
    }

    /// Whether it was shown byte for byte as sent.
    #[must_use]
    pub fn is_intact(self) -> bool {
        matches!(
            self,
            Self::IntactUnrepaired | Self::IntactRetransmission | Self::IntactParity
        )
    }

    /// Whether it was shown, with holes or without.
    #[must_use]
    pub fn is_shown(self) -> bool {
        self.is_intact() || self == Self::Concealed
    }

    /// Whether it was not shown since packets were missing.
    #[must_use]
    pub fn lacks_packets(self) -> bool {
        matches!(
            self,
            Self::LostUnknown | Self::LostSocket | Self::LostNetwork | Self::NotSent
        )
    }
}

/// Frames by outcome; `None` where their number is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcomes([Option<u64>; OUTCOMES.len()]);

impl Outcomes {
    /// Adds what was counted of another stream: what is unknown of one is
    /// unknown of both.
    pub fn add(&mut self, before: &Self) {
        for (own, before) in self.0.iter_mut().zip(before.0) {
            *own = own.zip(before).map(|(own, before)| own + before);
        }
    }
}

impl Index<Outcome> for Outcomes {
    type Output = Option<u64>;

    fn index(&self, outcome: Outcome) -> &Option<u64> {
        &self.0[outcome as usize]
    }
}

impl IndexMut<Outcome> for Outcomes {
    fn index_mut(&mut self, outcome: Outcome) -> &mut Option<u64> {
        &mut self.0[outcome as usize]
    }
}

impl FromIterator<(Outcome, u64)> for Outcomes {
    fn from_iter<T: IntoIterator<Item = (Outcome, u64)>>(counts: T) -> Self {
        let mut outcomes = Self::default();
        for (outcome, count) in counts {
            outcomes[outcome] = Some(count);
        }
        outcomes
    }
}

impl Serialize for Outcomes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(OUTCOMES.len()))?;
        for outcome in Outcome::all() {
            map.serialize_entry(outcome.key(), &self[outcome])?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_outcome_has_its_row_its_key_and_its_letter() {
        for (index, info) in OUTCOMES.iter().enumerate() {
            assert_eq!(info.outcome as usize, index);
            assert_eq!(Outcome::of_letter(info.letter), Some(info.outcome));
            assert!(info.explanation.ends_with('.'), "{}", info.key);
        }
        let keys: BTreeSet<_> = OUTCOMES.iter().map(|info| info.key).collect();
        assert_eq!(keys.len(), OUTCOMES.len());
    }

    #[test]
    fn unknown_and_known_are_unknown() {
        let mut outcomes: Outcomes = [(Outcome::Late, 2), (Outcome::Open, 0)]
            .into_iter()
            .collect();
        outcomes.add(&[(Outcome::Late, 3)].into_iter().collect());
        assert_eq!(outcomes, [(Outcome::Late, 5)].into_iter().collect());
        let json = serde_json::to_value(&outcomes).unwrap();
        assert_eq!(json["late"], 5);
        assert!(json["open"].is_null() && json["replaced"].is_null());
    }
}
