//! Sealed packets: the part that can be read without the key, and the conversion
//! of packets in the clear to packets ready for encryption, and back. Knows no
//! ciphers.
//!
//! ```text
//! +------------+-----------+----------+---------------+--------------------+---------+
//! | header: 20 | viewer: 8 | salt: 16 | handshake: 48 | encrypted body ... | tag: 16 |
//! +------------+-----------+----------+---------------+--------------------+---------+
//! ```
//!
//! The viewer is there if a viewer sends the packet, and is the front of its
//! body. The salt is there in the kinds by which somebody gets to know it: sender
//! report, sender bye, challenge, reject and accept have that of the sender's start,
//! connect has that of the viewer's. Connect and accept carry the two messages of a
//! handshake. All these are in the clear and authenticated, as the header is.

use super::{
    CRC, Channel, ENCRYPTED, HEADER, KIND, KIND_BITS, MAGIC, NUMBER, TAG, VERSION, VERSION_SHIFT,
    WireHeader,
};
use crate::seq::PacketSeq;

/// Bytes of a salt.
pub const SALT: usize = 16;

/// Bytes of a message of the handshake: a public key and a tag.
pub const HANDSHAKE: usize = 48;

/// Bytes of a viewer's number.
const VIEWER: usize = 8;

/// The most bytes of a sealed packet that are in the clear.
pub const MAX_CLEAR: usize = HEADER + VIEWER + SALT + HANDSHAKE;

/// The part of a sealed packet that can be read without the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The sender's stream number.
    pub stream: u32,
    /// Which of the sender's destinations.
    pub destination: u16,
    /// The numbering.
    pub channel: Channel,
    /// The packet's number in its channel.
    pub number: PacketSeq,
    /// The viewer that sent it; `None` for a sender's packets.
    pub viewer: Option<u64>,
    /// Whether it is a viewer's request for a stream of which it knows nothing yet.
    pub connects: bool,
    /// The number of the key; 0 for a packet in the clear.
    pub key: u32,
    /// The salt, if the kind carries one; zeros for a packet in the clear.
    pub salt: Option<[u8; SALT]>,
    /// The message of a handshake, if the kind carries one; zeros of a packet in the
    /// clear.
    pub handshake: Option<[u8; HANDSHAKE]>,
}

impl Envelope {
    /// The envelope of a packet in the clear that is to be sealed, as
    /// [`Packet::encode`](super::Packet::encode) makes it.
    pub fn of_clear(datagram: &[u8]) -> Option<Self> {
        let envelope = Self::of(datagram, 0)?;
        let kind = datagram[KIND] & KIND_BITS;
        Some(Self {
            key: 0,
            salt: SALTED_KINDS.contains(&kind).then_some([0; SALT]),
            handshake: HANDSHAKE_KINDS.contains(&kind).then_some([0; HANDSHAKE]),
            ..envelope
        })
    }

    /// The envelope of a sealed packet; `None` if it is no sealed packet of version 1.
    pub fn of_sealed(datagram: &[u8]) -> Option<Self> {
        let envelope = Self::of(datagram, ENCRYPTED)?;
        let kind = datagram[KIND] & KIND_BITS;
        let mut rest = datagram.get(envelope.front()..)?;
        let envelope = Self {
            salt: part(&mut rest, SALTED_KINDS.contains(&kind))?,
            handshake: part(&mut rest, HANDSHAKE_KINDS.contains(&kind))?,
            ..envelope
        };
        (datagram.len() >= envelope.clear() + TAG).then_some(envelope)
    }

    fn of(datagram: &[u8], encrypted: u8) -> Option<Self> {
        let head = datagram.get(..HEADER)?;
        let expected = VERSION << VERSION_SHIFT | encrypted;
        if head[0] != MAGIC || head[KIND] & !KIND_BITS != expected {
            return None;
        }
        let kind = head[KIND] & KIND_BITS;
        let (header, key) = WireHeader::decode(kind, head).ok()?;
        let header = header?;
        let viewer = if VIEWERS_KINDS.contains(&kind) {
            let viewer = datagram.get(HEADER..HEADER + VIEWER)?;
            Some(u64::from_be_bytes(viewer.try_into().ok()?))
        } else {
            None
        };
        Some(Self {
            stream: header.stream,
            destination: header.destination,
            channel: header.channel,
            number: header.number,
            viewer,
            connects: kind == CONNECT,
            key,
            salt: None,
            handshake: None,
        })
    }

    /// Bytes that are in the clear in the packet without salt and handshake too.
    fn front(&self) -> usize {
        HEADER + self.viewer.map_or(0, |_| VIEWER)
    }

    /// Bytes of the sealed packet in the clear: its associated data.
    pub fn clear(&self) -> usize {
        self.front() + self.salt.map_or(0, |_| SALT) + self.handshake.map_or(0, |_| HANDSHAKE)
    }

    /// Where the body to encrypt begins in the packet in the clear.
    pub fn body(&self) -> usize {
        self.front()
    }

    /// Appends a packet in the clear, whose envelope this was, as the sealed one
    /// before its body is encrypted: with this number, key, salt and handshake.
    pub fn write(&self, datagram: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        let front = self.front().min(datagram.len());
        out.extend_from_slice(&datagram[..front]);
        let head = &mut out[start..];
        head[KIND] |= ENCRYPTED;
        head[NUMBER].copy_from_slice(&self.number.0.to_be_bytes());
        head[CRC].copy_from_slice(&self.key.to_be_bytes());
        if let Some(salt) = &self.salt {
            out.extend_from_slice(salt);
        }
        if let Some(handshake) = &self.handshake {
            out.extend_from_slice(handshake);
        }
        out.extend_from_slice(&datagram[front..]);
    }
}

/// Cuts the first `N` bytes off, if they are there to be: `Some(None)` if they are
/// not, `None` if there are fewer.
fn part<const N: usize>(rest: &mut &[u8], is_there: bool) -> Option<Option<[u8; N]>> {
    if !is_there {
        return Some(None);
    }
    let (part, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(Some(*part))
}

/// Whether a datagram says of itself that it is a sealed packet.
pub fn is_sealed(datagram: &[u8]) -> bool {
    Envelope::of_sealed(datagram).is_some()
}

/// Turns a packet whose body is decrypted, without its salt and handshake, into one
/// in the clear, but for its CRC: its tag was checked
/// ([`Integrity::Tag`](super::Integrity)).
pub fn restore(datagram: &mut [u8]) {
    if let Some(kind) = datagram.get_mut(KIND) {
        *kind &= !ENCRYPTED;
    }
}

/// The kinds that a viewer sends. Each body begins with the viewer's number.
const VIEWERS_KINDS: [u8; 6] = [8, 9, CONNECT, 13, 14, 16];

/// The kinds that carry a salt.
const SALTED_KINDS: [u8; 6] = [5, 6, CONNECT, 11, 12, ACCEPT];

/// The kinds that carry a message of a handshake.
const HANDSHAKE_KINDS: [u8; 2] = [CONNECT, ACCEPT];

const CONNECT: u8 = 10;

const ACCEPT: u8 = 17;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::native::{Integrity, Packet};

    /// A packet of every kind, in the clear.
    fn vectors() -> impl Iterator<Item = Vec<u8>> {
        let lines = include_str!("../../../vectors/native-v1.txt").lines();
        let lines = lines.filter(|line| !line.starts_with('#'));
        lines.map(|line| {
            let hex = line.split_once(' ').unwrap().1;
            let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
            (0..hex.len()).step_by(2).map(byte).collect()
        })
    }

    #[test]
    fn every_kind_finds_its_way_into_an_envelope_and_back() {
        let mut kinds = 0;
        for clear in vectors() {
            let (_, packet) = Packet::decode(&clear).unwrap();
            assert_eq!(Envelope::of_sealed(&clear), None);
            let envelope = Envelope::of_clear(&clear).unwrap();
            assert_eq!(envelope.viewer, packet.viewer(), "{packet:?}");
            assert_eq!(envelope.channel, packet.channel());
            let envelope = Envelope {
                key: 9,
                number: PacketSeq(7),
                salt: envelope.salt.map(|_| [3; SALT]),
                handshake: envelope.handshake.map(|_| [4; HANDSHAKE]),
                ..envelope
            };
            let mut sealed = Vec::new();
            envelope.write(&clear, &mut sealed);
            sealed.extend_from_slice(&[0; TAG]);
            assert_eq!(Envelope::of_sealed(&sealed), Some(envelope));
            assert_eq!(Envelope::of_clear(&sealed), None);
            assert!(envelope.clear() <= MAX_CLEAR);
            let short = envelope.clear() + TAG - 1;
            assert!(is_sealed(&sealed) && !is_sealed(&sealed[..short]));
            sealed.truncate(sealed.len() - TAG);
            sealed.drain(envelope.body()..envelope.clear());
            restore(&mut sealed);
            assert!(Packet::decode(&sealed).is_err(), "its CRC means nothing");
            let (header, opened) = Packet::decode_by(&sealed, Integrity::Tag).unwrap();
            assert_eq!((header.number, opened), (PacketSeq(7), packet));
            kinds |= 1_u32 << (clear[KIND] & KIND_BITS);
        }
        assert_eq!(kinds, (1 << 18) - 2, "each of the 17 kinds has a vector");
    }
}
