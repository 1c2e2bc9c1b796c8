//! Guesses what datagrams of an unknown format contain, so that an error can name it.

use std::fmt;

use super::rtp::{RtpPacket, is_control};
use crate::jpeg::markers::START;

/// The longest proprietary header that is searched for before a JPEG.
const MAX_OWN_HEADER: usize = 64;

/// Bytes of an MPEG-TS packet.
const TS_PACKET: usize = 188;

/// What a datagram looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Guess {
    /// RTP with another payload than JPEG.
    Rtp {
        /// Its payload type.
        payload_type: u8,
        /// The codec that the payload type, or the payload, indicates.
        codec: Option<&'static str>,
    },
    /// The reports that go with RTP.
    Rtcp,
    /// A protocol that begins by asking for an answer.
    Protocol(&'static str),
    /// A container of video, or a part of one.
    Container(&'static str),
    /// A JPEG as text, by base64.
    Base64,
    /// What Python's pickle makes.
    Pickle,
    /// MPEG-TS, whatever is in it.
    MpegTs,
    /// H.264 or H.265 without a container.
    AnnexB,
    /// An image of another format.
    Image(&'static str),
    /// A JPEG behind a header of this many bytes.
    Header(usize),
    /// Text.
    Text,
    /// Unknown.
    Unknown,
}

impl Guess {
    /// Guesses the content of a datagram.
    pub fn of(datagram: &[u8]) -> Self {
        let begin = datagram.get(..datagram.len().min(MAX_OWN_HEADER + START.len()));
        let header = begin.and_then(|start| memchr::memmem::find(start, &START));
        let magic = MAGIC.iter().find(|(magic, _)| datagram.starts_with(magic));
        match datagram {
            _ if is_pickle(datagram) => Self::Pickle,
            _ if header > Some(0) => Self::Header(header.unwrap_or(0)),
            _ if is_ts(datagram) => Self::MpegTs,
            _ if magic.is_some() => magic.map_or(Self::Unknown, |(_, guess)| *guess),
            _ if protocol(datagram).is_some() => {
                protocol(datagram).map_or(Self::Unknown, Self::Protocol)
            }
            [0, 0, 1, ..] | [0, 0, 0, 1, ..] => Self::AnnexB,
            [_, _, _, _, b'f', b't', b'y', b'p', ..] => Self::Container("MP4, HEIC or AVIF"),
            [_, _, _, _, b'm', b'o', b'o', b'f', ..] => Self::Container("MP4"),
            _ if is_control(datagram) => Self::Rtcp,
            [0x80..=0xbf, ..] => match RtpPacket::decode(datagram) {
                Ok(packet) => Self::Rtp {
                    payload_type: packet.payload_type,
                    codec: codec(packet.payload_type, packet.payload),
                },
                Err(_) => Self::Unknown,
            },
            _ if is_base64(datagram) => Self::Base64,
            [_, ..] if is_text(datagram) => Self::Text,
            _ => Self::Unknown,
        }
    }

    /// Whether a single datagram proves it: hardly anything begins like this by
    /// chance.
    pub fn is_certain(&self) -> bool {
        !matches!(
            self,
            Self::Rtp { .. } | Self::Rtcp | Self::AnnexB | Self::Text | Self::Unknown
        )
    }
}

/// How formats begin.
const MAGIC: [(&[u8], Guess); 20] = [
    (b"\x89PNG", Guess::Image("PNG")),
    (b"GIF8", Guess::Image("GIF")),
    (b"RIFF", Guess::Image("WebP or AVI")),
    (b"II*\0", Guess::Image("TIFF")),
    (b"MM\0*", Guess::Image("TIFF")),
    (b"\0\0\0\x0cjP  ", Guess::Image("JPEG 2000")),
    (b"\xff\x4f\xff\x51", Guess::Image("JPEG 2000")),
    (b"\xff\xd8\xff\xf7", Guess::Image("JPEG-LS")),
    (b"\0\0\0\x0cJXL ", Guess::Image("JPEG XL")),
    (b"\x1a\x45\xdf\xa3", Guess::Container("Matroska or WebM")),
    (b"FLV\x01", Guess::Container("FLV")),
    (b"OggS", Guess::Container("Ogg")),
    (b"nut/multimedia", Guess::Container("NUT")),
    (b"\0\0\x01\xba", Guess::Container("MPEG-PS")),
    (b"YUV4MPEG2 ", Guess::Container("Y4M")),
    (b"GET ", Guess::Protocol("an HTTP request")),
    (b"POST ", Guess::Protocol("an HTTP request")),
    (b"OPTIONS ", Guess::Protocol("an RTSP or HTTP request")),
    (b"ANNOUNCE ", Guess::Protocol("an RTSP request")),
    (b"DESCRIBE ", Guess::Protocol("an RTSP request")),
];

/// The protocols that begin with numbers.
fn protocol(datagram: &[u8]) -> Option<&'static str> {
    match datagram {
        // https://datatracker.ietf.org/doc/html/draft-sharabayko-srt-01#section-3.2
        [0x80, 0, 0, 0, _, _, _, _, rest @ ..]
            if matches!(rest.get(8..12), Some([0, 0, 0, 4 | 5])) && rest.len() >= 56 =>
        {
            Some("SRT")
        }
        // https://www.rfc-editor.org/rfc/rfc9000#section-17.2
        [0xc0..=0xff, 0, 0, 0, 1, ..] => Some("QUIC"),
        // https://www.rfc-editor.org/rfc/rfc8489#section-5
        [0 | 1, _, _, _, 0x21, 0x12, 0xa4, 0x42, ..] => Some("STUN, as WebRTC begins"),
        // https://www.rfc-editor.org/rfc/rfc6347#section-4.1
        [20..=23, 0xfe, 0xfd | 0xff, ..] => Some("DTLS, as WebRTC begins"),
        _ => None,
    }
}

/// Python's protocols 3 to 5: a frame of their own, or the first objects.
fn is_pickle(datagram: &[u8]) -> bool {
    matches!(
        datagram,
        [0x80, 4 | 5, 0x95, ..] | [0x80, 2 | 3, b'c' | b'C' | b'B' | b'}' | b']', ..]
    )
}

/// A JPEG begins like this as text, whatever stands before it.
fn is_base64(datagram: &[u8]) -> bool {
    let begin = &datagram[..datagram.len().min(MAX_OWN_HEADER)];
    is_text(datagram) && memchr::memmem::find(begin, b"/9j/").is_some()
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
            Self::Rtcp => write!(f, "RTCP without the RTP that it is about"),
            Self::Protocol(name) | Self::Container(name) => write!(f, "{name}"),
            Self::Base64 => write!(f, "JPEG as text (base64)"),
            Self::Pickle => write!(f, "a Python object (pickle)"),
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

/// Whether packets of MPEG-TS follow one another in it. Some senders cut them
/// anywhere, FFmpeg among them.
fn is_ts(datagram: &[u8]) -> bool {
    let begins_at = |begin: usize| {
        let starts = || datagram[begin..].iter().step_by(TS_PACKET);
        let is_complete = begin == 0 && datagram.len().is_multiple_of(TS_PACKET);
        let is_enough = is_complete || starts().count() >= 3;
        is_enough && starts().all(|byte| *byte == TS_SYNC)
    };
    (0..TS_PACKET.min(datagram.len())).any(begins_at)
}

/// The first byte of such a packet.
const TS_SYNC: u8 = 0x47;

fn is_text(datagram: &[u8]) -> bool {
    let is_printed = |it: char| !it.is_control() || matches!(it, '\t' | '\r' | '\n');
    std::str::from_utf8(datagram).is_ok_and(|text| text.chars().all(is_printed))
}

/// The codec of a payload type (<https://www.rfc-editor.org/rfc/rfc3551#section-6>), or for a
/// dynamic one the codec whose payloads begin like this.
fn codec(payload_type: u8, payload: &[u8]) -> Option<&'static str> {
    match payload_type {
        0 | 3..=18 => Some("audio"),
        26 => Some("encrypted (SRTP), or JPEG of a kind that RFC 2435 does not have"),
        31 => Some("H.261"),
        32 => Some("MPEG video"),
        33 => Some("MPEG-TS"),
        34 => Some("H.263"),
        96..=127 => match payload {
            [0, 0, 1, 0xb0 | 0xb6, ..] => Some("MPEG-4 video"),
            // https://www.rfc-editor.org/rfc/rfc7741#section-4.2
            [0x80 | 0x90, 0x80, ..] => Some("VP8"),
            // https://www.rfc-editor.org/rfc/rfc6184#section-5.2: only pictures that
            // no other needs have no importance.
            [unit @ (0x20..=0x7f | 1), ..] if matches!(unit & 0x1f, 1 | 5 | 7 | 8 | 28) => {
                Some("H.264")
            }
            [24 | 0x38 | 0x58 | 0x78, 0, len, unit, ..]
                if *len > 0 && matches!(unit & 0x1f, 1 | 5..=9) =>
            {
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
        let packet = RtpPacket {
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
        // As FFmpeg cuts them.
        let packets = packets.repeat(4);
        assert_eq!(Guess::of(&packets[100..1400]), Guess::MpegTs);
        assert_eq!(Guess::of(b"hello\n"), Guess::Text);
        assert_eq!(Guess::of("21 °C".as_bytes()), Guess::Text);
        assert_eq!(Guess::of(b"{\"image\": \"/9j/4AAQ"), Guess::Base64);
        assert_eq!(Guess::of(b"\x80\x04\x95\x10"), Guess::Pickle);
        assert_eq!(Guess::of(&[0x80, 200, 0, 6]), Guess::Rtcp);
        assert_eq!(
            rtp(96, &[0x90, 0x80, 0x80, 0]),
            "RTP of payload type 96, likely VP8"
        );
        assert_eq!(
            rtp(96, &[0x18, 0, 0x19, 0x67]),
            "RTP of payload type 96, likely H.264"
        );
        // Opus, VP9.
        for payload in [&[0x78, 0xb4, 1][..], &[8, 0xa2, 0x49]] {
            assert_eq!(rtp(96, payload), "RTP of payload type 96");
        }
        assert_eq!(Guess::of(b"\x89PNG\r\n"), Guess::Image("PNG"));
        for other in [&b""[..], &[0x80], &[7, 8, 9], &[0x47, 1, 2]] {
            assert_eq!(Guess::of(other), Guess::Unknown, "{other:?}");
        }
    }
}
