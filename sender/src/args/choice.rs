//! What a flag lets one choose from.

use clap::ValueEnum;
use framegram_common::wire::Format;

/// The formats of datagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Wire {
    /// framegram's own.
    Native,
    /// JPEG in RTP.
    Rtp,
    /// One JPEG a datagram.
    Raw,
}

impl Wire {
    /// As the protocol calls it.
    #[must_use]
    pub fn format(self) -> Format {
        match self {
            Self::Native => Format::Native,
            Self::Rtp => Format::Rtp,
            Self::Raw => Format::Raw,
        }
    }
}

/// Whether pictures are encoded in restart slices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Slices {
    /// Of at most half a chunk.
    On,
    /// The picture is one piece.
    Off,
}

/// Whether something is done where it helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// Where it helps.
    Auto,
    /// Never.
    Off,
}
