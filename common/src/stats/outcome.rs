//! What is known of one frame at the end of its way.

use std::time::Duration;

use serde::Serialize;

use crate::seq::FrameNumber;

/// What became of a frame. The names are those of the fields of
/// [`Outcomes`](crate::stats::Outcomes), which says what they mean; frames that
/// were never encoded or numbered have no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Shown whole, nothing repaired.
    IntactUnrepaired,
    /// Shown whole after repair by request.
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
    /// What it lacked was damaged.
    Corrupt,
    /// What it lacked was lost for several reasons, or for one of several.
    Mixed,
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
}

impl Outcome {
    /// All outcomes, from the best to the least known.
    pub const ALL: [Self; 15] = [
        Self::IntactUnrepaired,
        Self::IntactRetransmission,
        Self::IntactParity,
        Self::Concealed,
        Self::Skipped,
        Self::Undecodable,
        Self::Late,
        Self::Corrupt,
        Self::Mixed,
        Self::LostSocket,
        Self::LostNetwork,
        Self::NotSent,
        Self::BeforeJoining,
        Self::TailUnknown,
        Self::Open,
    ];

    /// Its name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::IntactUnrepaired => "intact_unrepaired",
            Self::IntactRetransmission => "intact_retransmission",
            Self::IntactParity => "intact_parity",
            Self::Concealed => "concealed",
            Self::Skipped => "skipped",
            Self::Undecodable => "undecodable",
            Self::Late => "late",
            Self::Corrupt => "corrupt",
            Self::Mixed => "lost_unknown",
            Self::LostSocket => "lost_socket",
            Self::LostNetwork => "lost_network",
            Self::NotSent => "not_sent",
            Self::BeforeJoining => "before_joining",
            Self::TailUnknown => "tail_unknown",
            Self::Open => "open",
        }
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
}

/// One frame, when its outcome is settled.
///
/// `captured` and `sent` are on the sender's clock, the other times on the
/// viewer's; `offset_micros` joins them.
#[derive(Clone, Debug, PartialEq)]
pub struct FrameRecord {
    /// The stream that it is of.
    pub stream: u64,
    /// Its number in the stream.
    pub number: FrameNumber,
    /// What became of it.
    pub outcome: Outcome,
    /// When the picture was taken; on the sender's clock.
    pub captured: Option<Duration>,
    /// When the first of its datagrams that arrived left; on the sender's
    /// clock.
    pub sent: Option<Duration>,
    /// When the first of it arrived.
    pub first_chunk: Option<Duration>,
    /// When the last of it arrived, repeated or redundant chunks included.
    pub last_chunk: Option<Duration>,
    /// When it was whole, in time or not.
    pub complete: Option<Duration>,
    /// When it was shown.
    pub shown: Option<Duration>,
    /// How many chunks it has; unknown where nothing of it arrived.
    pub chunks: Option<u32>,
    /// How many of them did not arrive as they were sent first.
    pub chunks_lost: Option<u32>,
    /// How many parity rebuilt.
    pub chunks_by_parity: u32,
    /// How many came because they were asked for.
    pub chunks_by_retransmission: u32,
    /// Length of its JPEG in bytes; unknown where nothing of it arrived.
    pub bytes: Option<u32>,
    /// The share of the picture that had not arrived, 0 to 1: more than 0 for
    /// a frame with holes only.
    pub stale: f64,
    /// What is to be added to the sender's time to have the viewer's, in
    /// microseconds, as it was estimated when the frame was settled; 0 where
    /// both run on one clock.
    pub offset_micros: Option<i64>,
}

impl FrameRecord {
    /// A frame of which nothing is known yet.
    pub(crate) fn unknown(stream: u64, number: FrameNumber, outcome: Outcome) -> Self {
        Self {
            stream,
            number,
            outcome,
            captured: None,
            sent: None,
            first_chunk: None,
            last_chunk: None,
            complete: None,
            shown: None,
            chunks: None,
            chunks_lost: None,
            chunks_by_parity: 0,
            chunks_by_retransmission: 0,
            bytes: None,
            stale: 0.0,
            offset_micros: None,
        }
    }
}
