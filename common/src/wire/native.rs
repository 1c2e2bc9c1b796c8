//! The native format, version 1.
//!
//! Every datagram is one packet: a header of 20 bytes, then a body that its
//! kind defines. Numbers are big-endian. Times are microseconds on the clock
//! of the side that sent the packet.
//!
//! ```text
//!  0        1        2        3        4        5        6        7
//! +--------+--------+--------+--------+--------+--------+--------+--------+
//! | 'F' 46 |v|k|kind|   destination   |              stream               |
//! +--------+--------+--------+--------+--------+--------+--------+--------+
//! |           packet number           |             send time             |
//! +--------+--------+--------+--------+--------+--------+--------+--------+
//! |             CRC-32C               |  body ...
//! +--------+--------+--------+--------+
//! ```
//!
//! - The first byte differs from those of RTP and RTCP (128 to 191) and of a bare
//!   JPEG (255), so one port serves all three.
//! - `v`: two bits, the version, 1. `k`: one bit, whether the packet is
//!   encrypted. `kind`: five bits.
//! - `destination` numbers the destinations of a sender, from 0. A viewer answers
//!   with the number by which it was addressed. 65535 means none: handshake
//!   packets carry it until a number is assigned.
//! - `stream` is drawn at random when a sender starts, so a restart is a new
//!   stream. It identifies a stream; the address does not. A new address must
//!   be proved before the stream moves there. 0 means none: a challenge and a
//!   reject do not reveal the stream to viewers that are not served.
//! - `packet number` counts from 0 per destination and per channel of a
//!   sender, and per viewer and channel of a viewer. The kind says the channel.
//!   The wire carries its low 32 bits.
//! - `send time`: its low 32 bits. Whoever receives it extends both to the value
//!   nearest to the one expected, as
//!   <https://www.rfc-editor.org/rfc/rfc9000#appendix-A.3> does.
//! - The CRC-32C is over everything but itself. With a key the number of the key
//!   stands in its place, an authentication tag of 16 bytes follows the body, and
//!   the header is associated data. No key seals two packets of one number.
//!
//! A body may grow at its end within version 1: a receiver ignores bytes
//! after the fields that it knows, except in the kinds that end in data.
//! `docs/wire.md` describes every packet; vectors for other implementations are
//! in `common/vectors/native-v1.txt`.

mod arrivals;
mod control;
mod fields;
mod media;
mod sealed;

pub use arrivals::{ArrivalReport, Arrived, MAX_ARRIVALS};
pub use control::{
    Accept, Challenge, Connect, Echo, FRAME_NACK_LEN, FrameNack, GAP_LEN, MAX_GAPS,
    MAX_NACK_FRAMES, NACK_BODY, Nack, PathChallenge, PathResponse, ReceiverBye, ReceiverReport,
    Reject, SenderReport,
};
pub use media::{
    CHUNK_BODY, Chunk, FRAME_HEADER, FRAME_HEADER_EVERY, FrameHeader, MAX_BLOCK_FRAMES, MAX_CHUNKS,
    MAX_TABLES_PARTS, PARITY_BODY, Parity, SHARD_BODY, TABLES_BODY, Tables,
};
pub use sealed::{Envelope, HANDSHAKE, MAX_CLEAR, SALT, is_sealed, restore};

use std::ops::Range;
use std::time::Duration;

use super::WireError;
use crate::seq::{PacketNumber, PacketSeq, extend};
use fields::{Reader, put_u16, put_u32};

/// The first byte of every native datagram.
pub const MAGIC: u8 = b'F';

/// The version of the format.
pub const VERSION: u8 = 1;

/// Bytes before the body.
pub const HEADER: usize = 20;

/// Bytes of the authentication tag of an encrypted packet.
pub const TAG: usize = 16;

/// The destination number in packets to viewers that are not served.
pub const NO_DESTINATION: u16 = u16::MAX;

/// One of a sender's numberings. Repair has its own, so that gaps in its numbers never look like
/// lost media.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// Chunks, each sent once.
    Media,
    /// Parity and retransmissions.
    Repair,
    /// Everything else about the stream.
    Control,
}

impl Channel {
    /// All channels, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Media, Self::Repair, Self::Control];

    /// Its name in logs and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Media => "media",
            Self::Repair => "repair",
            Self::Control => "control",
        }
    }
}

/// The fields that all packets carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The sender's stream number.
    pub stream: u32,
    /// Which of the sender's destinations.
    pub destination: u16,
    /// The channel that `number` counts in; on the wire, the kind implies it.
    pub channel: Channel,
    /// The packet's number in its channel.
    pub number: PacketNumber,
    /// When it was sent, in microseconds.
    pub sent: u64,
}

/// A header as on the wire: number and time are truncated to their low bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WireHeader {
    /// The sender's stream number.
    pub stream: u32,
    /// Which of the sender's destinations.
    pub destination: u16,
    /// The channel that `number` counts in; on the wire, the kind implies it.
    pub channel: Channel,
    /// The packet's number in its channel.
    pub number: PacketSeq,
    /// When it was sent, in microseconds.
    pub sent: u32,
}

/// The expected next packet of a stream. Numbers and times on the wire are extended to the values
/// closest to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// The packet number, by channel.
    pub numbers: [u64; 3],
    /// The send time in microseconds.
    pub sent: u64,
}

impl WireHeader {
    /// Extends a header on the wire to full numbers.
    pub fn extend(self, expected: &Expected) -> Header {
        let number = PacketNumber(expected.numbers[self.channel as usize]);
        Header {
            stream: self.stream,
            destination: self.destination,
            channel: self.channel,
            number: self.number.extend(number),
            sent: extend_micros(self.sent, expected.sent),
        }
    }
}

impl From<&Header> for WireHeader {
    fn from(header: &Header) -> Self {
        Self {
            stream: header.stream,
            destination: header.destination,
            channel: header.channel,
            number: header.number.seq(),
            sent: header.sent as u32,
        }
    }
}

/// The time in microseconds with these low bits that is closest to `near`.
pub fn extend_micros(low: u32, near: u64) -> u64 {
    extend(low.into(), u32::BITS, near)
}

/// Defines the packets by their kinds, their bodies and the channels that count them.
macro_rules! packets {
    ($of:lifetime: $( $(#[$doc:meta])* $kind:literal => $name:ident($body:ty) on $channel:ident, )*) => {
        /// A decoded packet.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Packet<$of> { $( $(#[$doc])* $name($body), )* }

        impl<$of> Packet<$of> {
            /// The kind on the wire.
            fn kind(&self) -> u8 {
                match self { $( Self::$name(_) => $kind, )* }
            }

            fn encode_body(&self, out: &mut Vec<u8>) {
                match self { $( Self::$name(body) => body.encode(out), )* }
            }

            fn decode_body(kind: u8, body: &$of [u8]) -> Result<Self, WireError> {
                Ok(match kind {
                    $( $kind => Self::$name(<$body>::decode(body)?), )*
                    _ => return Err(WireError::Kind(kind)),
                })
            }
        }

        impl Channel {
            /// The channel of a packet kind; `None` if the kind is unknown.
            fn of_kind(kind: u8) -> Option<Self> {
                match kind { $( $kind => Some(Self::$channel), )* _ => None }
            }
        }
    };
}

packets! { 'a:
    /// A chunk of a frame.
    1 => Chunk(Chunk<'a>) on Media,
    /// A chunk sent again on request.
    2 => Retransmission(Chunk<'a>) on Repair,
    /// A parity shard, which rebuilds lost chunks.
    3 => Parity(Parity<'a>) on Repair,
    /// The JPEG header that a set of frames shares.
    4 => Tables(Tables<'a>) on Control,
    /// The sender's own counts.
    5 => SenderReport(SenderReport) on Control,
    /// The last report: the stream has ended.
    6 => SenderBye(SenderReport) on Control,
    /// The sender's answer to a receiver report: the times of the exchange.
    7 => Echo(Echo) on Control,
    /// The viewer's counts.
    8 => ReceiverReport(ReceiverReport) on Control,
    /// A request for retransmissions.
    9 => Nack(Nack) on Control,
    /// A viewer requests the stream.
    10 => Connect(Connect) on Control,
    /// A sender asks a viewer to prove its address.
    11 => Challenge(Challenge) on Control,
    /// A sender rejects a viewer.
    12 => Reject(Reject) on Control,
    /// A viewer ends its stream.
    13 => ReceiverBye(ReceiverBye) on Control,
    /// A viewer asks an address of the sender to prove itself.
    14 => PathChallenge(PathChallenge) on Control,
    /// The sender's answer to that.
    15 => PathResponse(PathResponse) on Control,
    /// When the viewer's packets arrived.
    16 => ArrivalReport(ArrivalReport) on Control,
    /// A sender serves a viewer.
    17 => Accept(Accept) on Control,
}

/// The microseconds of a time, as on the wire.
pub fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

impl Packet<'_> {
    /// The channel that the packet is counted in.
    pub fn channel(&self) -> Channel {
        Channel::of_kind(self.kind()).unwrap_or(Channel::Control)
    }

    /// Whether it is one that a sender sends, rather than a viewer.
    pub fn is_from_sender(&self) -> bool {
        self.viewer().is_none()
    }

    /// Whether a sender answers by it whoever asks for its stream: it is no part of
    /// one.
    pub fn is_answer(&self) -> bool {
        matches!(
            self,
            Packet::Challenge(_) | Packet::Reject(_) | Packet::Accept(_)
        )
    }

    /// The viewer that sent it, or `None` for what a sender sends.
    pub fn viewer(&self) -> Option<u64> {
        match self {
            Packet::ReceiverReport(report) => Some(report.viewer),
            Packet::Nack(nack) => Some(nack.viewer),
            Packet::Connect(connect) => Some(connect.viewer),
            Packet::ReceiverBye(bye) => Some(bye.viewer),
            Packet::PathChallenge(challenge) => Some(challenge.viewer),
            Packet::ArrivalReport(report) => Some(report.viewer),
            Packet::Chunk(_)
            | Packet::Retransmission(_)
            | Packet::Parity(_)
            | Packet::Tables(_)
            | Packet::SenderReport(_)
            | Packet::SenderBye(_)
            | Packet::Echo(_)
            | Packet::Challenge(_)
            | Packet::Reject(_)
            | Packet::PathResponse(_)
            | Packet::Accept(_) => None,
        }
    }

    /// Appends the packet as one datagram. The header's channel must be that of the packet's kind.
    pub fn encode(&self, header: impl Into<WireHeader>, out: &mut Vec<u8>) {
        self.encode_padded(header, 0, out);
    }

    /// Like [`encode`](Self::encode), padded with zeros to `len` bytes: for kinds that do not end
    /// in data.
    pub fn encode_padded(&self, header: impl Into<WireHeader>, len: usize, out: &mut Vec<u8>) {
        let header = header.into();
        debug_assert_eq!(header.channel, self.channel());
        let start = out.len();
        out.extend_from_slice(&[MAGIC, VERSION << VERSION_SHIFT | self.kind()]);
        put_u16(out, header.destination);
        put_u32(out, header.stream);
        put_u32(out, header.number.0);
        put_u32(out, header.sent);
        put_u32(out, 0);
        self.encode_body(out);
        out.resize(out.len().max(start + len), 0);
        let datagram = &mut out[start..];
        let crc = checksum(datagram, datagram[KIND]);
        datagram[CRC].copy_from_slice(&crc.to_be_bytes());
    }

    /// Decodes one datagram.
    ///
    /// # Errors
    /// If it is not a complete, uncorrupted native packet of version 1 whose fields are in their
    /// ranges.
    pub fn decode(datagram: &[u8]) -> Result<(WireHeader, Packet<'_>), WireError> {
        Self::decode_by(datagram, Integrity::Checksum)
    }

    /// The same for a packet whose integrity may be known already.
    ///
    /// # Errors
    /// Those of [`decode`](Self::decode).
    pub fn decode_by(
        datagram: &[u8],
        integrity: Integrity,
    ) -> Result<(WireHeader, Packet<'_>), WireError> {
        let mut reader = Reader::new("header", datagram);
        let head = reader.take(HEADER)?;
        if head[0] != MAGIC {
            return Err(WireError::UnknownFormat(head[0]));
        }
        let (version, kind) = (head[KIND] >> VERSION_SHIFT, head[KIND] & KIND_BITS);
        let (header, got) = WireHeader::decode(kind, head)?;
        if integrity == Integrity::Checksum {
            check(datagram, head[KIND], got)?;
        }
        if version != VERSION {
            return Err(WireError::Version { got: version });
        }
        let header = header.ok_or(WireError::Kind(kind))?;
        Ok((header, Packet::decode_body(kind, reader.rest())?))
    }
}

impl WireHeader {
    /// Decodes the first bytes of a datagram: the header, if its kind is known, and the checksum.
    fn decode(kind: u8, head: &[u8]) -> Result<(Option<Self>, u32), WireError> {
        let mut reader = Reader::new("header", head);
        reader.take(DESTINATION)?;
        let destination = reader.u16()?;
        let stream = reader.u32()?;
        let number = PacketSeq(reader.u32()?);
        let sent = reader.u32()?;
        let crc = reader.u32()?;
        let header = Channel::of_kind(kind).map(|channel| Self {
            stream,
            destination,
            channel,
            number,
            sent,
        });
        Ok((header, crc))
    }
}

/// How it is known that a packet is what was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Integrity {
    /// By its CRC.
    #[default]
    Checksum,
    /// By its tag, with which it was opened: its CRC means nothing.
    Tag,
}

/// Checks the CRC of a datagram whose second byte is `kind`.
fn check(datagram: &[u8], kind: u8, got: u32) -> Result<(), WireError> {
    let expected = checksum(datagram, kind & !ENCRYPTED);
    if kind & ENCRYPTED != 0 && got != expected {
        return Err(WireError::Encrypted(got));
    }
    // A packet in the clear whose key bit flipped on the way is corrupt.
    if got != expected || kind & ENCRYPTED != 0 {
        let expected = checksum(datagram, kind);
        return Err(WireError::Checksum { got, expected });
    }
    Ok(())
}

/// Makes the checksum of a datagram true, whatever it holds. Returns whether there
/// is room for it.
pub fn sign(datagram: &mut [u8]) -> bool {
    if datagram.len() < HEADER {
        return false;
    }
    let crc = checksum(datagram, datagram[KIND]);
    datagram[CRC].copy_from_slice(&crc.to_be_bytes());
    true
}

/// The checksum of a datagram whose second byte is `kind`.
fn checksum(datagram: &[u8], kind: u8) -> u32 {
    let crc = crc32c::crc32c(&[datagram[0], kind]);
    let crc = crc32c::crc32c_append(crc, &datagram[DESTINATION..CRC.start]);
    crc32c::crc32c_append(crc, &datagram[CRC.end..])
}

const KIND: usize = 1;
const DESTINATION: usize = 2;
const NUMBER: Range<usize> = 8..12;
const CRC: Range<usize> = 16..20;

/// The bits of the second byte: version, encryption, kind.
const VERSION_SHIFT: u8 = 6;
const ENCRYPTED: u8 = 1 << 5;
const KIND_BITS: u8 = ENCRYPTED - 1;

#[cfg(test)]
mod tests;
