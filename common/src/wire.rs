//! Formats of datagrams: one file each. No other module knows the layout of a datagram; the rest of
//! the crate handles packets.

pub mod guess;
pub mod native;
pub mod raw;
pub mod rtp;
pub mod rtp_jpeg;
pub mod sdp;

use thiserror::Error;

/// The largest UDP payload that IPv4 can carry, in bytes.
pub const MAX_DATAGRAM: usize = 65_507;

/// The largest UDP payload that an Ethernet path carries unfragmented over IPv6 (and so over IPv4):
/// 1,500 less 40 (IPv6) and 8 (UDP).
pub const DEFAULT_DATAGRAM: usize = 1_452;

/// The smallest datagram size that can be set. With chunks this small, the longest frame still has
/// no more than [`native::MAX_CHUNKS`].
pub const MIN_DATAGRAM: usize = 640;

/// The formats of datagrams.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize,
)]
pub enum Format {
    /// framegram's own format.
    #[default]
    Native,
    /// JPEG in RTP, and its RTCP.
    Rtp,
    /// JPEG without a header.
    Raw,
}

impl Format {
    /// Detects the format from a datagram's first bytes. `None` if no format begins like that: the
    /// middle of a bare JPEG, or an unknown format.
    pub fn of(datagram: &[u8]) -> Option<Self> {
        match datagram {
            [native::MAGIC, ..] => Some(Self::Native),
            [0x80..=0xbf, ..] => Some(Self::Rtp),
            [0xff, 0xd8, ..] => Some(Self::Raw),
            _ => None,
        }
    }

    /// Its name in reports and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Rtp => "rtp",
            Self::Raw => "raw",
        }
    }
}

/// Why a datagram is not a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WireError {
    /// The first byte belongs to no known format.
    #[error("first byte {0:#04x} belongs to no known format")]
    UnknownFormat(u8),
    /// A native packet of an unsupported version.
    #[error("native version {got}, expected {}", native::VERSION)]
    Version {
        /// The version found.
        got: u8,
    },
    /// A kind that version 1 does not define.
    #[error("unknown kind {0}")]
    Kind(u8),
    /// The packet is encrypted, and there is no key.
    #[error("encrypted with key {0}, and no key is set")]
    Encrypted(u32),
    /// The datagram ends before its fields do.
    #[error("{what} takes {expected} bytes, got {got}")]
    Short {
        /// Which part.
        what: &'static str,
        /// The least number of bytes that it takes.
        expected: usize,
        /// The number of bytes present.
        got: usize,
    },
    /// A field has a value out of range.
    #[error("{field} is {got}, which is out of range")]
    Range {
        /// Which field.
        field: &'static str,
        /// Its value.
        got: u64,
    },
    /// The checksum does not match: the datagram was corrupted on the way.
    #[error("checksum {got:#010x}, expected {expected:#010x}")]
    Checksum {
        /// The checksum in the datagram.
        got: u32,
        /// The checksum of its bytes.
        expected: u32,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_known_by_its_first_bytes() {
        for (datagram, format) in [
            (&b"F\x01"[..], Some(Format::Native)),
            (&[0x80, 26], Some(Format::Rtp)),
            (&[0xbf, 200], Some(Format::Rtp)),
            (&[0xff, 0xd8, 0xff], Some(Format::Raw)),
            (&[0xff, 0xd9], None),
            (&[0xc0, 0], None),
            (&[], None),
        ] {
            assert_eq!(Format::of(datagram), format, "{datagram:02x?}");
        }
        let names = [Format::Native, Format::Rtp, Format::Raw].map(Format::name);
        assert_eq!(names, ["native", "rtp", "raw"]);
    }
}
