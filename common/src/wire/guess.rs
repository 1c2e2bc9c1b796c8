//! What datagrams that are of no known format look like, so that a person can be
//! told what arrives.

use std::fmt;

use super::rtp::Packet;
use crate::jpeg::markers::START;

/// The longest header of somebody's own that is looked for before a JPEG.
const MAX_OWN_HEADER: usize = 64;

/// Bytes of a packet of MPEG-TS.
const TS_PACKET: usize = 188;

/// What a datagram looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Guess {
    /// RTP of another kind than JPEG.
    Rtp {
        /// Its payload type.
        payload_type: u8,
        /// What that, or the payload, says of the codec.
        codec: Option<&'static str>,
    },
    /// MPEG-TS, whatever is in it.
    MpegTs,
    /// H.264 or H.265 without a container.
    AnnexB,
    /// An image of another format.
    Image(&'static str),
    /// A JPEG behind a header of this many bytes.
    Header(usize),
    /// Something to be read.
    Text,
    /// Nothing that is known.
    Unknown,
}

impl Guess {
    /// What a datagram looks like.
    #[must_use]
    pub fn of(datagram: &[u8]) -> Self {
        let header = datagram.get(..datagram.len().min(MAX_OWN_HEADER + START.len()));
        let header = header.and_then(|start| memchr::memmem::find(start, &START));
        match datagram {
            _ if header > Some(0) => Self::Header(header.unwrap_or(0)),
            [0x47, ..] if datagram.chunks(TS_PACKET).all(is_ts) => Self::MpegTs,
            [0, 0, 1, ..] | [0, 0, 0, 1, ..] => Self::AnnexB,
            [0x89, b'P', b'N', b'G', ..] => Self::Image("PNG"),
            [b'G', b'I', b'F', b'8', ..] => Self::Image("GIF"),
            [b'R', b'I', b'F', b'F', ..] => Self::Image("WebP or AVI"),
            [0x80..=0xbf, ..] => match Packet::decode(datagram) {
                Ok(packet) => Self::Rtp {
                    payload_type: packet.payload_type,
                    codec: codec(packet.payload_type, packet.payload),
                },
                Err(_) => Self::Unknown,
            },
            [_, ..] if datagram.iter().all(|byte| is_text(*byte)) => Self::Text,
            _ => Self::Unknown,
        }
    }
}

impl fmt::Display for Guess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rtp {
                payload_type,
                codec,
            } => {
                write!(f, "RTP of payload type {payload_type}")?;
                codec.map_or(Ok(()), |codec| write!(f, ", likely {codec}"))
            }
            Self::MpegTs => write!(f, "MPEG-TS"),
            Self::AnnexB => write!(f, "H.264 or H.265 without RTP"),
            Self::Image(kind) => write!(f, "{kind}"),
            Self::Header(1) => write!(f, "JPEG behind a header of 1 byte"),
            Self::Header(bytes) => write!(f, "JPEG behind a header of {bytes} bytes"),
            Self::Text => write!(f, "text"),
            Self::Unknown => write!(f, "nothing that is known"),
        }
    }
}

fn is_ts(packet: &[u8]) -> bool {
    packet.len() == TS_PACKET && packet[0] == 0x47
}

fn is_text(byte: u8) -> bool {
    matches!(byte, b' '..=b'~' | b'\t' | b'\r' | b'\n')
}

/// The codec of a payload type (<https://www.rfc-editor.org/rfc/rfc3551#section-6>),
/// or what a payload of a dynamic one begins like.
fn codec(payload_type: u8, payload: &[u8]) -> Option<&'static str> {
    match payload_type {
        0 | 3..=18 => Some("audio"),
        26 => Some("encrypted (SRTP), or JPEG of a kind that RFC 2435 does not have"),
        31 => Some("H.261"),
        32 => Some("MPEG video"),
        33 => Some("MPEG-TS"),
        34 => Some("H.263"),
        96..=127 => match payload {
            // https://www.rfc-editor.org/rfc/rfc6184#section-5.2
            [unit @ 0..=0x7f, ..] if matches!(unit & 0x1f, 1 | 5 | 7 | 8 | 24 | 28) => {
                Some("H.264")
            }
            // https://www.rfc-editor.org/rfc/rfc7798#section-4.4
            [unit @ 0..=0x7f, 1..=7, ..] if matches!(unit >> 1, 0..=21 | 32..=40 | 48 | 49) => {
                Some("H.265")
            }
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rtp(payload_type: u8, payload: &[u8]) -> String {
        let mut datagram = Vec::new();
        let packet = Packet {
            sequence: 1,
            timestamp: 2,
            source: 3,
            marker: false,
            payload_type,
            payload,
        };
        packet.encode(&mut datagram);
        Guess::of(&datagram).to_string()
    }

    #[test]
    fn says_what_scripts_and_players_send() {
        assert_eq!(
            rtp(96, &[0x7c, 0x85, 9]),
            "RTP of payload type 96, likely H.264"
        );
        assert_eq!(
            rtp(97, &[0x62, 0x01, 9]),
            "RTP of payload type 97, likely H.265"
        );
        assert_eq!(rtp(33, &[0x47]), "RTP of payload type 33, likely MPEG-TS");
        assert_eq!(rtp(99, &[0xff]), "RTP of payload type 99");
        let mut packets = vec![0; 2 * TS_PACKET];
        (packets[0], packets[TS_PACKET]) = (0x47, 0x47);
        assert_eq!(Guess::of(&packets), Guess::MpegTs);
        assert_eq!(Guess::of(&[5, 0xff, 0xd8, 0xff, 0xe0]), Guess::Header(1));
        assert_eq!(Guess::of(&[0, 0, 0, 1, 0x67]), Guess::AnnexB);
        assert_eq!(Guess::of(b"hello\n"), Guess::Text);
        assert_eq!(Guess::of(b"\x89PNG\r\n"), Guess::Image("PNG"));
        for other in [&b""[..], &[0x80], &[7, 8, 9], &[0x47, 1, 2]] {
            assert_eq!(Guess::of(other), Guess::Unknown, "{other:?}");
        }
    }
}
