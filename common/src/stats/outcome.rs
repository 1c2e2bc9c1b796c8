//! The outcomes of frames: the single table that everything reads which counts,
//! draws or explains them.

use std::ops::{Index, IndexMut};

use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};

/// How a frame ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Outcome {
    /// Shown complete, without repair.
    IntactUnrepaired,
    /// Shown complete after a retransmission.
    IntactRetransmission,
    /// Shown complete after parity rebuilt chunks.
    IntactParity,
    /// Shown with missing slices filled from the frame before.
    Concealed,
    /// Complete, but a newer frame was shown.
    Skipped,
    /// Complete, but the decoder rejected it.
    Undecodable,
    /// Complete, but after its deadline.
    Late,
    /// Complete, but with a wrong checksum.
    Corrupt,
    /// Incomplete, for several causes or an unknown one.
    LostUnknown,
    /// Incomplete: packets were dropped in the viewer's socket buffer.
    LostSocket,
    /// Incomplete: packets were lost on the network.
    LostNetwork,
    /// Never sent.
    NotSent,
    /// Sent before the viewer joined.
    BeforeJoining,
    /// Announced by the sender; nothing else is known.
    TailUnknown,
    /// Not settled when the viewer stopped.
    Open,
    /// Left out by the sender for a newer frame. It never had a number.
    Replaced,
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct OutcomeInfo {
    /// The outcome.
    pub outcome: Outcome,
    /// Name in reports and CSS class in the HTML report.
    pub key: &'static str,
    /// Letter in the timeline.
    pub letter: char,
    /// Short label for legends and tables.
    pub legend: &'static str,
    /// Whether the frame should have been shown and was not.
    pub is_loss: bool,
    /// One sentence that explains the outcome.
    pub explanation: &'static str,
}

/// All outcomes, in their order.
pub const OUTCOMES: [OutcomeInfo; 16] = [
    OutcomeInfo {
        outcome: Outcome::IntactUnrepaired,
        key: "intact_unrepaired",
        letter: '.',
        legend: "intact",
        is_loss: false,
        explanation: "Shown byte for byte as sent; nothing had to be repaired.",
    },
    OutcomeInfo {
        outcome: Outcome::IntactRetransmission,
        key: "intact_retransmission",
        letter: 'r',
        legend: "intact after retransmission",
        is_loss: false,
        explanation: "Shown byte for byte as sent, after retransmission and without parity.",
    },
    OutcomeInfo {
        outcome: Outcome::IntactParity,
        key: "intact_parity",
        letter: 'p',
        legend: "intact after parity",
        is_loss: false,
        explanation: "Shown byte for byte as sent, after parity rebuilt chunks.",
    },
    OutcomeInfo {
        outcome: Outcome::Concealed,
        key: "concealed",
        letter: 'c',
        legend: "concealed",
        is_loss: false,
        explanation: "Shown; missing slices were filled from the frame before.",
    },
    OutcomeInfo {
        outcome: Outcome::Skipped,
        key: "skipped",
        letter: 's',
        legend: "skipped",
        is_loss: false,
        explanation: "Complete and in time, but a newer frame was shown.",
    },
    OutcomeInfo {
        outcome: Outcome::Undecodable,
        key: "undecodable",
        letter: 'u',
        legend: "undecodable",
        is_loss: true,
        explanation: "Complete, but not a JPEG that can be decoded.",
    },
    OutcomeInfo {
        outcome: Outcome::Late,
        key: "late",
        letter: 'l',
        legend: "late",
        is_loss: true,
        explanation: "Not shown; it was complete only after its deadline.",
    },
    OutcomeInfo {
        outcome: Outcome::Corrupt,
        key: "corrupt",
        letter: 'x',
        legend: "corrupt",
        is_loss: true,
        explanation: "Not shown; all of it arrived, but its checksum is wrong.",
    },
    OutcomeInfo {
        outcome: Outcome::LostUnknown,
        key: "lost_unknown",
        letter: 'm',
        legend: "lost, cause unknown",
        is_loss: true,
        explanation: "Not shown; packets are missing for several causes or an unknown one.",
    },
    OutcomeInfo {
        outcome: Outcome::LostSocket,
        key: "lost_socket",
        letter: 'b',
        legend: "lost in the socket buffer",
        is_loss: true,
        explanation: "Not shown; the missing packets were dropped in the viewer's socket \
                      buffer.",
    },
    OutcomeInfo {
        outcome: Outcome::LostNetwork,
        key: "lost_network",
        letter: 'n',
        legend: "lost on the network",
        is_loss: true,
        explanation: "Not shown; the missing packets were lost on the network or arrived \
                      corrupt.",
    },
    OutcomeInfo {
        outcome: Outcome::NotSent,
        key: "not_sent",
        letter: 'k',
        legend: "not sent",
        is_loss: true,
        explanation: "It could not be encoded or sent, or the sender's operating system \
                      rejected every packet that is missing.",
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
        explanation: "Announced, but after the last packet that the viewer knows of; whether \
                      it was lost is unknown.",
    },
    OutcomeInfo {
        outcome: Outcome::Open,
        key: "open",
        letter: 'o',
        legend: "not settled",
        is_loss: false,
        explanation: "Still awaited, or waiting to be shown; 0 once a stream has ended.",
    },
    OutcomeInfo {
        outcome: Outcome::Replaced,
        key: "replaced",
        letter: '~',
        legend: "replaced at the source",
        is_loss: false,
        explanation: "The sender left it out for a newer frame: before encoding, or because \
                      its path came to carry less. A sender that waits for viewers leaves out \
                      every frame while nobody watches.",
    },
];

impl Outcome {
    /// The row of the outcome.
    #[must_use]
    pub fn info(self) -> &'static OutcomeInfo {
        &OUTCOMES[self as usize]
    }

    /// Name in reports.
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

    /// Whether the frame was shown byte for byte as sent.
    #[must_use]
    pub fn is_intact(self) -> bool {
        matches!(
            self,
            Self::IntactUnrepaired | Self::IntactRetransmission | Self::IntactParity
        )
    }

    /// Whether the frame was shown, complete or concealed.
    #[must_use]
    pub fn is_shown(self) -> bool {
        self.is_intact() || self == Self::Concealed
    }

    /// Whether missing packets kept the frame from being shown.
    #[must_use]
    pub fn lacks_packets(self) -> bool {
        matches!(
            self,
            Self::LostUnknown | Self::LostSocket | Self::LostNetwork | Self::NotSent
        )
    }
}

/// Frame counts by outcome; `None` if a count is unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcomes([Option<u64>; OUTCOMES.len()]);

impl Outcomes {
    /// Adds the counts of another stream. A sum is unknown if one of its parts
    /// is.
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
