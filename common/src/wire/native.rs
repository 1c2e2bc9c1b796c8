//! The native format, version 1.
//!
//! Every datagram is one packet: a header of 36 bytes, then a body that its
//! kind defines. Numbers are big-endian, times are microseconds on the clock
//! of whoever sent the packet.
//!
//! ```text
//!  0        1        2        3        4        5        6        7
//! +--------+--------+--------+--------+--------+--------+--------+--------+
//! | 'F' 46 | version|  kind  | flags  |  key   | check  |   destination   |
//! +--------+--------+--------+--------+--------+--------+--------+--------+
//! |                                stream                                 |
//! +--------+--------+--------+--------+--------+--------+--------+--------+
//! |                             packet number                             |
//! +--------+--------+--------+--------+--------+--------+--------+--------+
//! |                               send time                               |
//! +--------+--------+--------+--------+--------+--------+--------+--------+
//! |             CRC-32C               |  body ...
//! +--------+--------+--------+--------+
//! ```
//!
//! - The first byte is none that RTP or RTCP (128 to 191) or a bare JPEG (255)
//!   begins with, so one port tells them apart.
//! - `flags` is 0; a receiver ignores flags that it does not know.
//! - `key` is 0 for a packet that is not encrypted, the only kind that is sent
//!   today. With a key the body is followed by an authentication tag of 16
//!   bytes, the header is associated data, and the CRC is 0, since the tag
//!   takes its place. (key, direction, destination, channel, number) never
//!   repeats within a stream and is the nonce.
//! - `check` is the low byte of the CRC-32C of the header without `check` and
//!   without the CRC itself: where the body is damaged it says whether the
//!   packet number can still be believed.
//! - `destination` counts the places a sender sends to, from 0. A viewer
//!   answers with the destination that it was addressed as. 65535 is nobody's:
//!   of the handshake, before there is one.
//! - `stream` is drawn at random when a sender starts: a restart is a new
//!   stream. Identity is the stream, never the address; another address of a
//!   stream proves itself first. 0 is nobody's: a challenge and a refusal name
//!   no stream to those who are not served.
//! - `packet number` counts from 0 per destination and per channel of a
//!   sender, and per viewer and channel of a viewer. The kind says the channel.
//! - The CRC-32C is over everything but itself.
//!
//! A body may grow at its end within version 1: a receiver ignores bytes
//! behind the fields that it knows, except in the kinds that end in data.
//! Vectors for other implementations are in `common/vectors/native-v1.txt`.

mod control;
mod damage;
mod fields;
mod media;

pub use control::{
    Challenge, Connect, GAP_LEN, Leave, MAX_GAPS, MAX_WANTS, PathChallenge, PathResponse,
    REQUEST_BODY, Refusal, Reply, Report, Request, Totals, WANT_LEN, Want,
};
pub use media::{
    CHUNK_BODY, Chunk, MAX_BLOCK_FRAMES, MAX_CHUNKS, MAX_TABLES_PARTS, PARITY_BODY, Parity,
    SliceStart, TABLES_BODY, Tables,
};

use std::ops::Range;
use std::time::Duration;

use super::WireError;
use crate::seq::PacketNumber;
use fields::{Reader, put_u16, put_u64};

/// The first byte of every native datagram.
pub const MAGIC: u8 = b'F';

/// The version that is spoken here.
pub const VERSION: u8 = 1;

/// Bytes before the body.
pub const HEADER: usize = 36;

/// Bytes that the authentication tag of an encrypted packet takes.
pub const TAG: usize = 16;

/// The destination of what is said to those who are not served.
pub const NO_DESTINATION: u16 = u16::MAX;

/// What a packet is for; each counts its own numbers, so that what repairs
/// never looks like a loss of what it repairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// Chunks, each sent once.
    Media,
    /// Parity, and chunks sent again.
    Repair,
    /// Everything about the stream.
    Control,
}

impl Channel {
    /// All channels, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Media, Self::Repair, Self::Control];

    /// Its name in logs and reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Media => "media",
            Self::Repair => "repair",
            Self::Control => "control",
        }
    }
}

/// What all packets carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The sender's stream number.
    pub stream: u64,
    /// Which of the sender's destinations.
    pub destination: u16,
    /// What the packet is for: its place on the wire is in the kind.
    pub channel: Channel,
    /// The packet's number in its channel.
    pub number: PacketNumber,
    /// When it was sent, in microseconds.
    pub sent: u64,
}

/// A decoded packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// A part of a frame.
    Chunk(Chunk<'a>),
    /// A part of a frame, sent again on request.
    Resent(Chunk<'a>),
    /// What rebuilds missing chunks.
    Parity(Parity<'a>),
    /// The JPEG header that a set of frames shares.
    Tables(Tables<'a>),
    /// The sender's own counts.
    Totals(Totals),
    /// The last counts: nothing follows.
    Farewell(Totals),
    /// The sender's answer to a report: the times of the exchange.
    Reply(Reply),
    /// The viewer's counts.
    Report(Report),
    /// What the viewer misses.
    Request(Request),
    /// A viewer asks to be sent the stream.
    Connect(Connect),
    /// A sender asks a viewer to prove its address.
    Challenge(Challenge),
    /// A sender does not serve a viewer.
    Refusal(Refusal),
    /// A viewer wants no more.
    Leave(Leave),
    /// A viewer asks an address of the stream to prove itself.
    PathChallenge(PathChallenge),
    /// The sender's answer to that.
    PathResponse(PathResponse),
}

/// Microseconds of a time, as the wire carries it.
#[must_use]
pub fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

impl Packet<'_> {
    /// The channel that the packet is counted in.
    #[must_use]
    pub fn channel(&self) -> Channel {
        self.kind().channel()
    }

    /// Whether it is one that a sender sends, rather than a viewer.
    #[must_use]
    pub fn is_from_sender(&self) -> bool {
        match self {
            Packet::Chunk(_)
            | Packet::Resent(_)
            | Packet::Parity(_)
            | Packet::Tables(_)
            | Packet::Totals(_)
            | Packet::Farewell(_)
            | Packet::Reply(_)
            | Packet::Challenge(_)
            | Packet::Refusal(_)
            | Packet::PathResponse(_) => true,
            Packet::Report(_)
            | Packet::Request(_)
            | Packet::Connect(_)
            | Packet::Leave(_)
            | Packet::PathChallenge(_) => false,
        }
    }

    /// The viewer that sent it, or `None` for what a sender sends.
    #[must_use]
    pub fn viewer(&self) -> Option<u64> {
        match self {
            Packet::Report(report) => Some(report.viewer),
            Packet::Request(request) => Some(request.viewer),
            Packet::Connect(connect) => Some(connect.viewer),
            Packet::Leave(leave) => Some(leave.viewer),
            Packet::PathChallenge(challenge) => Some(challenge.viewer),
            Packet::Chunk(_)
            | Packet::Resent(_)
            | Packet::Parity(_)
            | Packet::Tables(_)
            | Packet::Totals(_)
            | Packet::Farewell(_)
            | Packet::Reply(_)
            | Packet::Challenge(_)
            | Packet::Refusal(_)
            | Packet::PathResponse(_) => None,
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Packet::Chunk(_) => Kind::Chunk,
            Packet::Resent(_) => Kind::Resent,
            Packet::Parity(_) => Kind::Parity,
            Packet::Tables(_) => Kind::Tables,
            Packet::Totals(_) => Kind::Totals,
            Packet::Farewell(_) => Kind::Farewell,
            Packet::Reply(_) => Kind::Reply,
            Packet::Report(_) => Kind::Report,
            Packet::Request(_) => Kind::Request,
            Packet::Connect(_) => Kind::Connect,
            Packet::Challenge(_) => Kind::Challenge,
            Packet::Refusal(_) => Kind::Refusal,
            Packet::Leave(_) => Kind::Leave,
            Packet::PathChallenge(_) => Kind::PathChallenge,
            Packet::PathResponse(_) => Kind::PathResponse,
        }
    }

    /// Appends the packet as one datagram. The header's channel is the one
    /// that the packet's kind is counted in.
    pub fn encode(&self, header: &Header, out: &mut Vec<u8>) {
        debug_assert_eq!(header.channel, self.channel());
        let start = out.len();
        out.extend_from_slice(&[MAGIC, VERSION, self.kind() as u8, 0, 0, 0]);
        put_u16(out, header.destination);
        put_u64(out, header.stream);
        put_u64(out, header.number.0);
        put_u64(out, header.sent);
        out.extend_from_slice(&[0; 4]);
        match self {
            Packet::Chunk(chunk) | Packet::Resent(chunk) => chunk.encode(out),
            Packet::Parity(parity) => parity.encode(out),
            Packet::Tables(tables) => tables.encode(out),
            Packet::Totals(totals) | Packet::Farewell(totals) => totals.encode(out),
            Packet::Reply(reply) => reply.encode(out),
            Packet::Report(report) => report.encode(out),
            Packet::Request(request) => request.encode(out),
            Packet::Connect(connect) => connect.encode(out),
            Packet::Challenge(challenge) => challenge.encode(out),
            Packet::Refusal(refusal) => refusal.encode(out),
            Packet::Leave(leave) => leave.encode(out),
            Packet::PathChallenge(challenge) => challenge.encode(out),
            Packet::PathResponse(response) => response.encode(out),
        }
        let datagram = &mut out[start..];
        datagram[CHECK] = header_check(datagram);
        let crc = checksum(datagram);
        datagram[CRC].copy_from_slice(&crc.to_be_bytes());
    }

    /// Takes one datagram apart.
    ///
    /// # Errors
    /// Where it is not a whole, undamaged native packet of version 1 whose
    /// fields are in their ranges.
    pub fn decode(datagram: &[u8]) -> Result<(Header, Packet<'_>), WireError> {
        let mut reader = Reader::new("header", datagram);
        let head = reader.take(HEADER)?;
        if head[0] != MAGIC && !(head[0] ^ MAGIC).is_power_of_two() {
            return Err(WireError::UnknownFormat(head[0]));
        }
        let kind = Kind::from_wire(head[KIND]);
        let (header, got) = Header::decode(head)?;
        let expected = checksum(datagram);
        if head[0] != MAGIC {
            let claimed = damage::repaired_header(datagram);
            return Err(match claimed {
                None => WireError::UnknownFormat(head[0]),
                Some(_) => WireError::Checksum {
                    got,
                    expected,
                    claimed,
                },
            });
        }
        let key = head[KEY];
        if key != 0 && got == 0 {
            return Err(WireError::Encrypted(key));
        }
        if got != expected {
            let believable = head[CHECK] == header_check(head);
            let claimed = if believable {
                header
            } else {
                damage::repaired_header(datagram)
            };
            return Err(WireError::Checksum {
                got,
                expected,
                claimed,
            });
        }
        if head[1] != VERSION {
            return Err(WireError::Version { got: head[1] });
        }
        let (Some(kind), Some(header)) = (kind, header) else {
            return Err(WireError::Kind(head[KIND]));
        };
        Ok((header, Packet::decode_body(kind, reader.rest())?))
    }

    fn decode_body(kind: Kind, body: &[u8]) -> Result<Packet<'_>, WireError> {
        Ok(match kind {
            Kind::Chunk => Packet::Chunk(Chunk::decode(body)?),
            Kind::Resent => Packet::Resent(Chunk::decode(body)?),
            Kind::Parity => Packet::Parity(Parity::decode(body)?),
            Kind::Tables => Packet::Tables(Tables::decode(body)?),
            Kind::Totals => Packet::Totals(Totals::decode(body)?),
            Kind::Farewell => Packet::Farewell(Totals::decode(body)?),
            Kind::Reply => Packet::Reply(Reply::decode(body)?),
            Kind::Report => Packet::Report(Report::decode(body)?),
            Kind::Request => Packet::Request(Request::decode(body)?),
            Kind::Connect => Packet::Connect(Connect::decode(body)?),
            Kind::Challenge => Packet::Challenge(Challenge::decode(body)?),
            Kind::Refusal => Packet::Refusal(Refusal::decode(body)?),
            Kind::Leave => Packet::Leave(Leave::decode(body)?),
            Kind::PathChallenge => Packet::PathChallenge(PathChallenge::decode(body)?),
            Kind::PathResponse => Packet::PathResponse(PathResponse::decode(body)?),
        })
    }
}

impl Header {
    /// Takes the first bytes of a datagram apart: the header, where its kind is
    /// one that is known, and the checksum.
    fn decode(head: &[u8]) -> Result<(Option<Self>, u32), WireError> {
        let kind = head.get(KIND).and_then(|kind| Kind::from_wire(*kind));
        let mut reader = Reader::new("header", head);
        reader.take(DESTINATION)?;
        let destination = reader.u16()?;
        let stream = reader.u64()?;
        let number = PacketNumber(reader.u64()?);
        let sent = reader.u64()?;
        let crc = reader.u32()?;
        let header = kind.map(|kind| Self {
            stream,
            destination,
            channel: kind.channel(),
            number,
            sent,
        });
        Ok((header, crc))
    }
}

/// The third byte.
#[derive(Clone, Copy)]
enum Kind {
    Chunk = 1,
    Resent = 2,
    Parity = 3,
    Tables = 4,
    Totals = 5,
    Farewell = 6,
    Reply = 7,
    Report = 8,
    Request = 9,
    Connect = 10,
    Challenge = 11,
    Refusal = 12,
    Leave = 13,
    PathChallenge = 14,
    PathResponse = 15,
}

impl Kind {
    fn from_wire(byte: u8) -> Option<Self> {
        use Kind::{
            Challenge, Chunk, Connect, Farewell, Leave, Parity, PathChallenge, PathResponse,
            Refusal, Reply, Report, Request, Resent, Tables, Totals,
        };
        [
            Chunk,
            Resent,
            Parity,
            Tables,
            Totals,
            Farewell,
            Reply,
            Report,
            Request,
            Connect,
            Challenge,
            Refusal,
            Leave,
            PathChallenge,
            PathResponse,
        ]
        .into_iter()
        .find(|kind| *kind as u8 == byte)
    }

    fn channel(self) -> Channel {
        match self {
            Kind::Chunk => Channel::Media,
            Kind::Resent | Kind::Parity => Channel::Repair,
            Kind::Tables
            | Kind::Totals
            | Kind::Farewell
            | Kind::Reply
            | Kind::Report
            | Kind::Request
            | Kind::Connect
            | Kind::Challenge
            | Kind::Refusal
            | Kind::Leave
            | Kind::PathChallenge
            | Kind::PathResponse => Channel::Control,
        }
    }
}

/// Makes the checksums of a datagram true, whatever it holds. Returns whether
/// there is room for them.
#[cfg(any(test, fuzzing))]
pub(crate) fn sign(datagram: &mut [u8]) -> bool {
    if datagram.len() < HEADER {
        return false;
    }
    datagram[CHECK] = header_check(datagram);
    let crc = checksum(datagram);
    datagram[CRC].copy_from_slice(&crc.to_be_bytes());
    true
}

fn checksum(datagram: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&datagram[..CRC.start]), &datagram[CRC.end..])
}

fn header_check(head: &[u8]) -> u8 {
    let crc = crc32c::crc32c(&head[..CHECK]);
    crc32c::crc32c_append(crc, &head[CHECK + 1..CRC.start]) as u8
}

const KIND: usize = 2;
const KEY: usize = 4;
const CHECK: usize = 5;
const DESTINATION: usize = 6;
const CRC: Range<usize> = 32..36;

#[cfg(test)]
mod tests;
