//! The handshake of a viewer that connects: Noise NNpsk0 (<https://noiseprotocol.org/noise.html>).
//! Both sides agree on a secret that later cannot be derived from the key and a recording.
//!
//! The viewer's message is part of its connect, the sender's part of its accept.

use framegram_common::wire::native::{HANDSHAKE, SALT};
use ring::hkdf::{HKDF_SHA256, Prk, Salt};
use snow::params::{CipherChoice, DHChoice, HashChoice, NoiseParams};
use snow::resolvers::{CryptoResolver, DefaultResolver};
use snow::types::{Cipher, Dh, Hash, Random};
use snow::{Builder, HandshakeState};
use zeroize::Zeroizing;

use crate::keys::{StartKeys, expand};
use crate::secret::Secret;

/// Curve, cipher and hash of the handshake. They are not negotiated.
const PROTOCOL: &str = "Noise_NNpsk0_25519_ChaChaPoly_SHA256";

/// Context of the pre-shared key.
const PSK_LABEL: &[u8] = b"framegram 1 handshake";

/// Prefix of the prologue. The viewer's number follows.
const PROLOGUE: &[u8] = b"framegram 1";

/// Context of private keys.
const EPHEMERAL_LABEL: &[u8] = b"framegram 1 ephemeral";

/// Bytes of a private key, of a hash and of a shared key.
const KEY: usize = 32;

/// Prefix of the secret of a handshake, so that no key or passphrase has the same secret.
const OF_HANDSHAKE: u8 = 3;

/// A side of the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HandshakeSide {
    Sender,
    Viewer,
}

/// The pre-shared key. Whoever has it can take part.
pub(crate) struct Psk(Zeroizing<[u8; KEY]>);

impl Psk {
    pub(crate) fn new(secret: &Secret) -> Self {
        let mut psk = Zeroizing::new([0; KEY]);
        let expanded = expand(&secret.extract(&[]), &[PSK_LABEL], &mut psk[..]);
        expanded.expect("HKDF can expand to 32 bytes");
        Self(psk)
    }

    #[cfg(test)]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0[..]
    }
}

impl std::fmt::Debug for Psk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Psk(..)")
    }
}

/// Private keys, each for one handshake. Each is derived from a seed that is replaced at once, so
/// that nothing left in memory reveals a key that was used.
pub(crate) struct Ephemerals(Zeroizing<[u8; KEY]>);

impl Ephemerals {
    pub(crate) fn new(seed: [u8; KEY]) -> Self {
        Self(Zeroizing::new(seed))
    }

    pub(crate) fn draw(&mut self) -> Option<Zeroizing<[u8; KEY]>> {
        let mut bytes = Zeroizing::new([0; 2 * KEY]);
        let prk = Prk::new_less_safe(HKDF_SHA256, &self.0[..]);
        expand(&prk, &[EPHEMERAL_LABEL], &mut bytes[..])?;
        let (drawn, next) = bytes.split_at(KEY);
        self.0.copy_from_slice(next);
        let mut ephemeral = Zeroizing::new([0; KEY]);
        ephemeral.copy_from_slice(drawn);
        Some(ephemeral)
    }
}

impl std::fmt::Debug for Ephemerals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ephemerals(..)")
    }
}

/// The result of a handshake.
pub(crate) struct Agreed {
    /// The byte 3 and the two keys of Noise's split, the viewer's first.
    secret: Zeroizing<Vec<u8>>,
    hash: Vec<u8>,
}

impl Agreed {
    fn of(mut state: HandshakeState) -> Option<Self> {
        if !state.is_handshake_finished() {
            return None;
        }
        let (viewers, senders) = state.dangerously_get_raw_split();
        let (viewers, senders) = (Zeroizing::new(viewers), Zeroizing::new(senders));
        let mut secret = Zeroizing::new(Vec::with_capacity(1 + 2 * KEY));
        secret.push(OF_HANDSHAKE);
        secret.extend_from_slice(&viewers[..]);
        secret.extend_from_slice(&senders[..]);
        Some(Self {
            secret,
            hash: state.get_handshake_hash().to_vec(),
        })
    }

    /// The keys of the session with a start of this salt.
    pub(crate) fn keys(&self, salt: [u8; SALT]) -> StartKeys {
        let extracted = Salt::new(HKDF_SHA256, &self.hash).extract(&self.secret);
        StartKeys::agreed(extracted, &self.hash, salt)
    }

    #[cfg(test)]
    pub(crate) fn hash(&self) -> &[u8] {
        &self.hash
    }

    #[cfg(test)]
    pub(crate) fn secret(&self) -> &[u8] {
        &self.secret
    }
}

/// The viewer's side of a handshake, until a session results.
pub(crate) struct Asking {
    ephemeral: Zeroizing<[u8; KEY]>,
    message: [u8; HANDSHAKE],
}

impl Asking {
    pub(crate) fn new(psk: &Psk, viewer: u64, ephemeral: Zeroizing<[u8; KEY]>) -> Option<Self> {
        let (_, message) = Self::begin(psk, viewer, &ephemeral)?;
        Some(Self { ephemeral, message })
    }

    fn begin(
        psk: &Psk,
        viewer: u64,
        ephemeral: &[u8; KEY],
    ) -> Option<(HandshakeState, [u8; HANDSHAKE])> {
        let mut state = state(psk, viewer, ephemeral, HandshakeSide::Viewer)?;
        let message = write(&mut state)?;
        Some((state, message))
    }

    /// The request.
    pub(crate) fn message(&self) -> [u8; HANDSHAKE] {
        self.message
    }

    /// Takes the sender's answer; `None` if it answers another request. There may be several
    /// answers, since a restarted sender does not know its first one.
    pub(crate) fn finish(
        &self,
        psk: &Psk,
        viewer: u64,
        answer: &[u8; HANDSHAKE],
    ) -> Option<Agreed> {
        let (mut state, _) = Self::begin(psk, viewer, &self.ephemeral)?;
        read(&mut state, answer)?;
        Agreed::of(state)
    }
}

impl std::fmt::Debug for Asking {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Asking(..)")
    }
}

/// Whether a request was made with the pre-shared key. Takes only hashes.
pub(crate) fn is_authentic(psk: &Psk, viewer: u64, message: &[u8; HANDSHAKE]) -> bool {
    let state = state(psk, viewer, &[0; KEY], HandshakeSide::Sender);
    state.is_some_and(|mut state| read(&mut state, message).is_some())
}

/// Answers a request. Returns the answer and what both sides have agreed on.
pub(crate) fn answer(
    psk: &Psk,
    viewer: u64,
    message: &[u8; HANDSHAKE],
    ephemeral: &[u8; KEY],
) -> Option<([u8; HANDSHAKE], Agreed)> {
    let mut state = state(psk, viewer, ephemeral, HandshakeSide::Sender)?;
    read(&mut state, message)?;
    let answer = write(&mut state)?;
    Some((answer, Agreed::of(state)?))
}

fn state(
    psk: &Psk,
    viewer: u64,
    ephemeral: &[u8; KEY],
    side: HandshakeSide,
) -> Option<HandshakeState> {
    let params: NoiseParams = PROTOCOL.parse().ok()?;
    let resolver = Box::new(GivenKey(Zeroizing::new(*ephemeral)));
    let prologue = [PROLOGUE, &viewer.to_be_bytes()].concat();
    let builder = Builder::with_resolver(params, resolver);
    let builder = builder.psk(0, &psk.0).ok()?.prologue(&prologue).ok()?;
    let state = match side {
        HandshakeSide::Viewer => builder.build_initiator(),
        HandshakeSide::Sender => builder.build_responder(),
    };
    state.ok()
}

fn write(state: &mut HandshakeState) -> Option<[u8; HANDSHAKE]> {
    let mut message = [0; HANDSHAKE];
    let len = state.write_message(&[], &mut message).ok()?;
    (len == HANDSHAKE).then_some(message)
}

fn read(state: &mut HandshakeState, message: &[u8; HANDSHAKE]) -> Option<()> {
    let len = state.read_message(message, &mut [0; HANDSHAKE]).ok()?;
    (len == 0).then_some(())
}

/// The library's ciphers with a given private key.
struct GivenKey(Zeroizing<[u8; KEY]>);

impl CryptoResolver for GivenKey {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(Box::new(Self(self.0.clone())))
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        DefaultResolver.resolve_dh(choice)
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        DefaultResolver.resolve_hash(choice)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        DefaultResolver.resolve_cipher(choice)
    }
}

impl Random for GivenKey {
    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), snow::Error> {
        if dest.len() != KEY {
            return Err(snow::Error::Rng);
        }
        dest.copy_from_slice(&self.0[..]);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key_text;

    fn psk(low: u64) -> Psk {
        Psk::new(&Secret::from_key(&key_text((1, low))).unwrap())
    }

    #[test]
    fn only_the_two_sides_agree() {
        let mut drawn = Ephemerals::new([5; KEY]);
        let asking = Asking::new(&psk(2), 7, drawn.draw().unwrap()).unwrap();
        let message = asking.message();
        assert!(is_authentic(&psk(2), 7, &message));
        assert!(!is_authentic(&psk(3), 7, &message));
        assert!(!is_authentic(&psk(2), 8, &message));
        let ephemeral = drawn.draw().unwrap();
        let (reply, ours) = answer(&psk(2), 7, &message, &ephemeral).unwrap();
        let theirs = asking.finish(&psk(2), 7, &reply).unwrap();
        assert_eq!(ours.secret(), theirs.secret());
        assert_eq!(ours.hash(), theirs.hash());
        for bit in 0..HANDSHAKE * 8 {
            let (mut asked, mut changed) = (message, reply);
            asked[bit / 8] ^= 1 << (bit % 8);
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(answer(&psk(2), 7, &asked, &ephemeral).is_none());
            assert!(asking.finish(&psk(2), 7, &changed).is_none());
        }
        assert!(answer(&psk(3), 7, &message, &ephemeral).is_none());
        // The sender may answer twice, as after a restart.
        let (again, others) = answer(&psk(2), 7, &message, &drawn.draw().unwrap()).unwrap();
        assert_ne!(others.secret(), ours.secret());
        let theirs = asking.finish(&psk(2), 7, &again).unwrap();
        assert_eq!(others.secret(), theirs.secret());
    }

    #[test]
    fn private_keys_differ() {
        let mut drawn = Ephemerals::new([5; KEY]);
        let keys: std::collections::BTreeSet<_> =
            (0..100).map(|_| *drawn.draw().unwrap()).collect();
        assert_eq!(keys.len(), 100);
    }
}
