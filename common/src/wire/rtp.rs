//! RTP packets and RTCP: <https://www.rfc-editor.org/rfc/rfc3550>. Does not know the payloads.

mod control;

pub use control::{Block, Control, SenderInfo, encode_bye, encode_receiver, encode_sender};

use rtp_types::{RtpPacketBuilder, RtpParseError};
use thiserror::Error;

/// Bytes of the header of an RTP packet as encoded here.
pub const HEADER: usize = 12;

/// Ticks per second of the RTP clock of JPEG and most other video
/// (<https://www.rfc-editor.org/rfc/rfc2435#section-3>).
pub const CLOCK: u32 = 90_000;

/// The payload type of JPEG
/// (<https://www.rfc-editor.org/rfc/rfc3551#section-6>).
pub const JPEG: u8 = 26;

/// Payload types that a session description defines.
pub const DYNAMIC: std::ops::RangeInclusive<u8> = 96..=127;

/// One RTP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtpPacket<'a> {
    /// The low 16 bits of its number.
    pub sequence: u16,
    /// Its time on the sender's clock, in ticks from an arbitrary origin.
    pub timestamp: u32,
    /// The stream number (SSRC).
    pub source: u32,
    /// For video: whether it is the last of its frame.
    pub marker: bool,
    /// The payload type.
    pub payload_type: u8,
    /// The payload.
    pub payload: &'a [u8],
}

/// Why a datagram is neither RTP nor RTCP.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RtpError {
    /// Not an RTP packet.
    #[error("not an RTP packet: {0}")]
    Packet(#[from] RtpParseError),
    /// Not an RTCP packet.
    #[error("not an RTCP packet: {0}")]
    Control(#[from] rtcp_types::RtcpParseError),
}

impl<'a> RtpPacket<'a> {
    /// Decodes a datagram, without extensions and padding.
    ///
    /// # Errors
    /// If it is not RTP of version 2, or shorter than it claims.
    pub fn decode(datagram: &'a [u8]) -> Result<Self, RtpError> {
        let packet = rtp_types::RtpPacket::parse(datagram)?;
        let end = datagram.len() - usize::from(packet.padding().unwrap_or(0));
        Ok(Self {
            sequence: packet.sequence_number(),
            timestamp: packet.timestamp(),
            source: packet.ssrc(),
            marker: packet.marker_bit(),
            payload_type: packet.payload_type(),
            payload: datagram
                .get(packet.payload_offset()..end)
                .unwrap_or_default(),
        })
    }

    /// Appends the packet to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        RtpPacketBuilder::<&[u8], &[u8]>::new()
            .marker_bit(self.marker)
            .payload_type(self.payload_type & 0x7f)
            .sequence_number(self.sequence)
            .timestamp(self.timestamp)
            .ssrc(self.source)
            .payload(self.payload)
            .write_into_vec_unchecked(out);
    }
}

/// Whether a datagram of version 2 is RTCP and not RTP
/// (<https://www.rfc-editor.org/rfc/rfc5761#section-4>).
pub fn is_control(datagram: &[u8]) -> bool {
    matches!(datagram, [0x80..=0xbf, 192..=223, ..])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn leaves_padding_and_extensions_out() {
        let mut datagram = vec![0xb1, 0x9a, 0, 7, 0, 0, 0, 9, 0, 0, 0, 5];
        datagram.extend([0, 0, 0, 1]);
        datagram.extend([0xbe, 0xde, 0, 1, 1, 2, 3, 4]);
        datagram.extend([b'x', b'y', 0, 2]);
        let packet = RtpPacket::decode(&datagram).unwrap();
        assert_eq!(packet.payload, b"xy");
        assert!(packet.marker);
        assert_eq!(
            (packet.payload_type, packet.sequence, packet.source),
            (26, 7, 5)
        );
    }

    #[test]
    fn distinguishes_rtcp_from_rtp() {
        assert!(is_control(&[0x80, 200]) && is_control(&[0x81, 203, 0]));
        assert!(!is_control(&[0x80, 26]) && !is_control(&[0x80, 26 | 0x80]));
        assert!(!is_control(&[0xff, 200]) && !is_control(&[0x80]));
    }

    proptest! {
        #[test]
        fn comes_back_as_it_went(
            sequence: u16, timestamp: u32, source: u32, marker: bool, payload_type in 0_u8..128,
            payload in prop::collection::vec(any::<u8>(), 0..64),
        ) {
            let packet = RtpPacket { sequence, timestamp, source, marker, payload_type, payload: &payload };
            let mut out = Vec::new();
            packet.encode(&mut out);
            prop_assert_eq!(out.len(), HEADER + payload.len());
            prop_assert_eq!(RtpPacket::decode(&out).unwrap(), packet);
        }

        #[test]
        fn any_bytes_are_a_packet_or_an_error(mut bytes in prop::collection::vec(any::<u8>(), 0..96)) {
            if let Some(first) = bytes.first_mut() {
                *first = *first & 0x3f | 0x80;
            }
            if let Ok(packet) = RtpPacket::decode(&bytes) {
                prop_assert!(packet.payload.len() + HEADER <= bytes.len());
            }
        }
    }
}
