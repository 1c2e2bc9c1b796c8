//! The values that flags choose from.

use clap::ValueEnum;
use framegram_common::wire::Format;

/// The formats of datagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Wire {
    /// framegram's own: repairs loss, and counts it exactly
    Native,
    /// JPEG in RTP (RFC 2435), for GStreamer, FFmpeg and others
    Rtp,
    /// One JPEG per datagram and nothing else; frames are made to fit
    Raw,
}

/// Whether the rate follows the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RateControl {
    /// As the path carries, according to the viewer's reports
    Auto,
    /// Up to --bitrate, or without a limit
    Fixed,
}

/// What carries the packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Transport {
    /// A datagram for each packet: loss is repaired in time, or costs a frame
    Udp,
    /// One connection to each viewer: passes firewalls, and waits for what is lost
    Tcp,
}

impl Transport {
    /// Its name in a report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }
}

impl Wire {
    /// The protocol's format.
    pub fn format(self) -> Format {
        match self {
            Self::Native => Format::Native,
            Self::Rtp => Format::Rtp,
            Self::Raw => Format::Raw,
        }
    }
}
