//! The outcomes of frames: the single table that everything reads which counts,
//! draws or explains them.

use std::ops::{Index, IndexMut};

use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};

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

/// Defines the outcomes by their rows of the table: the name, the key, the letter, the legend,
/// whether it is a loss, and the explanation.
macro_rules! outcomes {
    ($( $name:ident $key:literal $letter:literal $legend:literal loss: $is_loss:literal
        $explanation:literal )*) => {
        /// How a frame ended.
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        pub enum Outcome { $( #[doc = $explanation] $name, )* }

        /// All outcomes, in their order.
        pub const OUTCOMES: [OutcomeInfo; [$( $key, )*].len()] = [$( OutcomeInfo {
            outcome: Outcome::$name,
            key: $key,
            letter: $letter,
            legend: $legend,
            is_loss: $is_loss,
            explanation: $explanation,
        }, )*];
    };
}

outcomes! {
    IntactUnrepaired "intact_unrepaired" '.' "intact" loss: false
        "Shown byte for byte as sent; nothing had to be repaired."
    IntactRetransmission "intact_retransmission" 'r' "intact after retransmission" loss: false
        "Shown byte for byte as sent, after retransmission and without parity."
    IntactParity "intact_parity" 'p' "intact after parity" loss: false
        "Shown byte for byte as sent, after parity rebuilt chunks."
    Concealed "concealed" 'c' "concealed" loss: false
        "Shown; missing slices were filled from the frame before."
    Skipped "skipped" 's' "skipped" loss: false
        "Complete and in time, but a newer frame was shown."
    Undecodable "undecodable" 'u' "undecodable" loss: true
        "Complete, but not a JPEG that can be decoded."
    Late "late" 'l' "late" loss: true
        "Not shown; it was complete only after its deadline."
    Corrupt "corrupt" 'x' "corrupt" loss: true
        "Not shown; all of it arrived, but its checksum is wrong."
    LostUnknown "lost_unknown" 'm' "lost, cause unknown" loss: true
        "Not shown; packets are missing for several causes or an unknown one."
    LostSocket "lost_socket" 'b' "lost in the socket buffer" loss: true
        "Not shown; the missing packets were dropped in the viewer's socket buffer."
    LostNetwork "lost_network" 'n' "lost on the network" loss: true
        "Not shown; the missing packets were lost on the network or arrived corrupt."
    NotSent "not_sent" 'k' "not sent" loss: true
        "It could not be encoded or sent, or the sender's operating system rejected every packet \
         that is missing."
    BeforeJoining "before_joining" '-' "sent before joining" loss: false
        "Sent before the viewer's first packet."
    TailUnknown "tail_unknown" '?' "not known, at the end" loss: false
        "Announced, but after the last packet that the viewer knows of; whether it was lost is \
         unknown."
    Open "open" 'o' "not settled" loss: false
        "Still awaited, or waiting to be shown; 0 once a stream has ended."
    Replaced "replaced" '~' "replaced at the source" loss: false
        "The sender left it out for a newer frame: before encoding, or because its path came to \
         carry less. A sender that waits for viewers leaves out every frame while nobody watches."
}

impl Outcome {
    /// The row of the outcome.
    pub fn info(self) -> &'static OutcomeInfo {
        &OUTCOMES[self as usize]
    }

    /// Name in reports.
    pub fn key(self) -> &'static str {
        self.info().key
    }

    /// All outcomes, in their order.
    pub fn all() -> impl DoubleEndedIterator<Item = Self> + Clone {
        OUTCOMES.iter().map(|info| info.outcome)
    }

    /// The outcome with this letter.
    pub fn of_letter(letter: char) -> Option<Self> {
        Self::all().find(|outcome| outcome.info().letter == letter)
    }

    /// Whether the frame was shown byte for byte as sent.
    pub fn is_intact(self) -> bool {
        matches!(
            self,
            Self::IntactUnrepaired | Self::IntactRetransmission | Self::IntactParity
        )
    }

    /// Whether the frame was shown, complete or concealed.
    pub fn is_shown(self) -> bool {
        self.is_intact() || self == Self::Concealed
    }

    /// Whether missing packets kept the frame from being shown.
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
    /// is, and if a sender reports counts whose sum no integer holds.
    pub fn add(&mut self, before: &Self) {
        for (own, before) in self.0.iter_mut().zip(before.0) {
            let parts = own.zip(before);
            *own = parts.and_then(|(own, before)| own.checked_add(before));
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
