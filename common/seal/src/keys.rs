//! Keys of packets: one for each start, direction, destination or viewer, channel and turn.

use std::fmt;
use std::time::Duration;

use framegram_common::wire::native::{Channel, MAX_CLEAR, SALT, TAG};
use ring::aead::{
    AES_128_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey,
};
use ring::hkdf::{KeyType, Prk};
use zeroize::Zeroizing;

use crate::secret::Secret;

/// Most packet numbers that one key serves. It is far below the limits of both ciphers
/// (<https://www.rfc-editor.org/rfc/rfc9001#section-6.6>), and small enough that the low 32 bits of
/// a number identify it.
pub(crate) const NUMBERS_OF_A_KEY: u64 = 1 << 28;

/// Longest time that a key is used.
pub(crate) const KEY_LIFETIME: Duration = Duration::from_secs(3_600);

/// Ciphers of sealed packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    /// The faster one if the processor has instructions for it.
    Aes128Gcm,
    /// The faster one otherwise.
    ChaCha20Poly1305,
}

impl Suite {
    /// All suites.
    pub const ALL: [Self; 2] = [Self::Aes128Gcm, Self::ChaCha20Poly1305];

    /// The faster suite on this processor.
    pub fn best() -> Self {
        if has_aes() {
            Self::Aes128Gcm
        } else {
            Self::ChaCha20Poly1305
        }
    }

    /// Its name in logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Aes128Gcm => "AES-128-GCM",
            Self::ChaCha20Poly1305 => "ChaCha20-Poly1305",
        }
    }

    fn algorithm(self) -> &'static Algorithm {
        match self {
            Self::Aes128Gcm => &AES_128_GCM,
            Self::ChaCha20Poly1305 => &CHACHA20_POLY1305,
        }
    }
}

#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
fn has_aes() -> bool {
    std::is_x86_feature_detected!("aes") && std::is_x86_feature_detected!("pclmulqdq")
}

#[cfg(target_arch = "aarch64")]
fn has_aes() -> bool {
    std::arch::is_aarch64_feature_detected!("aes")
}

#[cfg(not(any(target_arch = "x86", target_arch = "x86_64", target_arch = "aarch64")))]
fn has_aes() -> bool {
    false
}

/// The number of a key on the wire. The top bit says that a handshake has agreed on the key, the
/// next five are the session tag, two the suite, and the lower 24 count the turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyNumber {
    pub(crate) session: Option<SessionTag>,
    pub(crate) suite: Suite,
    pub(crate) turn: u32,
}

impl KeyNumber {
    pub(crate) fn to_wire(self) -> u32 {
        let suite = match self.suite {
            Suite::Aes128Gcm => 1,
            Suite::ChaCha20Poly1305 => 2,
        };
        let session = self.session.map_or(0, |tag| tag.0);
        session | suite << TURN_BITS | self.turn & LAST_TURN
    }

    pub(crate) fn of_wire(number: u32) -> Option<Self> {
        let session = SessionTag::of_wire(number);
        if session.is_none() && number & SessionTag::BITS != 0 {
            return None;
        }
        let suite = match number >> TURN_BITS & 3 {
            1 => Suite::Aes128Gcm,
            2 => Suite::ChaCha20Poly1305,
            _ => return None,
        };
        let turn = number & LAST_TURN;
        Some(Self {
            session,
            suite,
            turn,
        })
    }
}

/// Distinguishes the few sessions that a viewer has at a time. Two may have the same tag; then a
/// packet is tried with both. Holds the bits in their place on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SessionTag(u32);

impl SessionTag {
    /// Bits of the tag.
    const BITS: u32 = 0x1f << (TURN_BITS + 2);

    /// The bit that says that there is a tag.
    const AGREED: u32 = 1 << (u32::BITS - 1);

    /// The tag of a session, from the hash of its handshake.
    fn of_hash(hash: &[u8]) -> Self {
        let last = hash.last().copied().unwrap_or_default();
        Self(Self::AGREED | u32::from(last) << (TURN_BITS + 2) & Self::BITS)
    }

    /// The tag in the number of a key, if a handshake has agreed on it.
    pub(crate) fn of_wire(number: u32) -> Option<Self> {
        (number & Self::AGREED != 0).then_some(Self(number & (Self::AGREED | Self::BITS)))
    }
}

const TURN_BITS: u32 = 24;

/// The last turn of a start. At one turn an hour it comes after 1,900 years.
pub(crate) const LAST_TURN: u32 = (1 << TURN_BITS) - 1;

/// Who sends the packets, and to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PacketOrigin {
    /// The sender, to this destination.
    Sender { destination: u16 },
    /// A viewer of the stream.
    Viewer { viewer: u64 },
    /// A viewer that asks for a stream.
    Connecting { viewer: u64 },
}

/// The secret from which the keys of one start, or of one session, are derived.
pub(crate) struct StartKeys {
    salt: [u8; SALT],
    extracted: Prk,
    session: Option<SessionTag>,
}

impl StartKeys {
    pub(crate) fn new(secret: &Secret, salt: [u8; SALT]) -> Self {
        let extracted = secret.extract(&salt);
        Self {
            salt,
            extracted,
            session: None,
        }
    }

    /// The keys that the handshake with this hash has agreed on, with a start of this salt.
    pub(crate) fn agreed(extracted: Prk, hash: &[u8], salt: [u8; SALT]) -> Self {
        Self {
            salt,
            extracted,
            session: Some(SessionTag::of_hash(hash)),
        }
    }

    pub(crate) fn salt(&self) -> [u8; SALT] {
        self.salt
    }

    /// Derives the key of a channel. `None` only if the cipher cannot be set up.
    pub(crate) fn derive(
        &self,
        origin: PacketOrigin,
        channel: Channel,
        number: KeyNumber,
    ) -> Option<PacketKey> {
        if number.session != self.session {
            return None;
        }
        let algorithm = number.suite.algorithm();
        let bytes = self.expand(origin, channel, number)?;
        let (key, mask) = bytes.split_at(algorithm.key_len());
        Some(PacketKey {
            key: LessSafeKey::new(UnboundKey::new(algorithm, key).ok()?),
            mask: mask.try_into().ok()?,
        })
    }

    /// Derives the bytes of a key and its mask
    /// (<https://www.rfc-editor.org/rfc/rfc5869#section-2.3>).
    pub(crate) fn expand(
        &self,
        origin: PacketOrigin,
        channel: Channel,
        number: KeyNumber,
    ) -> Option<Zeroizing<Vec<u8>>> {
        let (kind, id) = match origin {
            PacketOrigin::Sender { destination } => (0, u64::from(destination)),
            PacketOrigin::Viewer { viewer } => (1, viewer),
            PacketOrigin::Connecting { viewer } => (2, viewer),
        };
        let (key, context) = (number.to_wire().to_be_bytes(), [kind, channel as u8]);
        let id = id.to_be_bytes();
        let info = [LABEL, &key, &context, &id];
        let length = number.suite.algorithm().key_len() + NONCE_LEN;
        let mut bytes = Zeroizing::new(vec![0; length]);
        expand(&self.extracted, &info, &mut bytes)?;
        Some(bytes)
    }

    /// The tag of the session, if a handshake has agreed on these keys.
    pub(crate) fn session(&self) -> Option<SessionTag> {
        self.session
    }

    /// The number of the key for a turn.
    pub(crate) fn number(&self, suite: Suite, turn: u32) -> KeyNumber {
        KeyNumber {
            session: self.session,
            suite,
            turn,
        }
    }
}

/// Fills `bytes` from a key and a context.
pub(crate) fn expand(prk: &Prk, info: &[&[u8]], bytes: &mut [u8]) -> Option<()> {
    let expanded = prk.expand(info, Length(bytes.len())).ok()?;
    expanded.fill(bytes).ok()
}

impl fmt::Debug for StartKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StartKeys(..)")
    }
}

/// Prefix of the context of every key.
const LABEL: &[u8] = b"framegram 1";

/// A number of bytes to derive.
pub(crate) struct Length(pub(crate) usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// The key of one channel for one turn.
pub(crate) struct PacketKey {
    key: LessSafeKey,
    /// The nonce is this XOR the packet number
    /// (<https://www.rfc-editor.org/rfc/rfc9001#section-5.3>).
    mask: [u8; NONCE_LEN],
}

impl PacketKey {
    fn nonce(&self, number: u32) -> Nonce {
        let mut nonce = self.mask;
        let low = nonce.iter_mut().rev().zip(number.to_le_bytes());
        low.for_each(|(byte, of_number)| *byte ^= of_number);
        Nonce::assume_unique_for_key(nonce)
    }

    /// Encrypts the packet in `out` from `start` on, except for its first `clear` bytes, and
    /// appends the tag.
    pub(crate) fn seal(&self, number: u32, clear: usize, start: usize, out: &mut Vec<u8>) -> bool {
        let Some((head, body)) = out[start..].split_at_mut_checked(clear) else {
            return false;
        };
        let sealed =
            self.key
                .seal_in_place_separate_tag(self.nonce(number), Aad::from(&*head), body);
        let tag = sealed.ok();
        tag.inspect(|tag| out.extend_from_slice(tag.as_ref()))
            .is_some()
    }

    /// Decrypts a packet whose first `clear` bytes are not encrypted, and moves its body to `to`.
    /// Returns the length of the packet without tag, salt and handshake. On failure the datagram
    /// has undefined content.
    pub(crate) fn open(
        &self,
        number: u32,
        clear: usize,
        to: usize,
        datagram: &mut [u8],
    ) -> Option<usize> {
        let mut head = [0; MAX_CLEAR];
        let head = head.get_mut(..clear)?;
        let from = datagram.get(..clear)?;
        if to > clear || datagram.len() < clear + TAG {
            return None;
        }
        head.copy_from_slice(from);
        let opened = self.key.open_within(
            self.nonce(number),
            Aad::from(&*head),
            &mut datagram[to..],
            clear - to..,
        );
        opened.ok().map(|body| to + body.len())
    }
}

impl fmt::Debug for PacketKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PacketKey(..)")
    }
}
