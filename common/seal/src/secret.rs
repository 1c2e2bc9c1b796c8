//! The secret that sender and viewer share: a key or a passphrase.

use argon2::{Algorithm, Argon2, Params, Version};
use ring::hkdf::{HKDF_SHA256, Prk, Salt};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::key_text::{KEY, KeyTextError, read_key};

/// Shortest passphrase in characters. An attacker with a recorded stream can try some hundred
/// thousand passphrases a second.
pub const MIN_PASSPHRASE: usize = 12;

/// Memory of Argon2id in KiB.
const MEMORY: u32 = 64 << 10;

/// Rounds of Argon2id.
const ROUNDS: u32 = 3;

/// The salt of passphrases. It is the same for all users, so that nobody has to transmit it. The
/// price: one dictionary serves against all who use passphrases.
const APPLICATION: &[u8] = b"framegram passphrase, version 1";

/// Bytes derived from a passphrase.
const STRETCHED: usize = 32;

/// Prefix of a key, so that no passphrase has the same secret.
const OF_KEY: u8 = 1;
const OF_PASSPHRASE: u8 = 2;

/// The secret that sender and viewer share. It is erased from memory when dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

/// Why a text is not a secret.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SecretError {
    /// It is not a key.
    #[error(transparent)]
    Key(#[from] KeyTextError),
    /// The passphrase is too short.
    #[error("a passphrase has at least {MIN_PASSPHRASE} characters, and this one has {0}")]
    Short(usize),
    /// There is no memory for Argon2id.
    #[error("the passphrase cannot be stretched: {0}")]
    Stretch(argon2::Error),
}

impl Secret {
    /// The secret of a key in the form that [`key_text`](crate::key_text) writes.
    ///
    /// # Errors
    /// If it is not a key.
    pub fn from_key(text: &str) -> Result<Self, SecretError> {
        let key = read_key(text)?;
        Ok(Self::of(OF_KEY, &key[..]))
    }

    /// The secret of a passphrase. Deriving it takes 64 MiB of memory and some tenths of a second,
    /// and costs an attacker as much for each guess.
    ///
    /// # Errors
    /// If it is shorter than [`MIN_PASSPHRASE`].
    pub fn from_passphrase(passphrase: &str) -> Result<Self, SecretError> {
        let length = passphrase.chars().count();
        if length < MIN_PASSPHRASE {
            return Err(SecretError::Short(length));
        }
        let mut stretched = Zeroizing::new([0; STRETCHED]);
        let params =
            Params::new(MEMORY, ROUNDS, 1, Some(STRETCHED)).map_err(SecretError::Stretch)?;
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase.as_bytes(), APPLICATION, &mut stretched[..])
            .map_err(SecretError::Stretch)?;
        Ok(Self::of(OF_PASSPHRASE, &stretched[..]))
    }

    fn of(kind: u8, bytes: &[u8]) -> Self {
        let mut secret = Zeroizing::new(Vec::with_capacity(1 + STRETCHED.max(KEY)));
        secret.push(kind);
        secret.extend_from_slice(bytes);
        Self(secret)
    }

    #[cfg(test)]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Extracts the secret of a start's keys
    /// (<https://www.rfc-editor.org/rfc/rfc5869#section-2.2>).
    pub(crate) fn extract(&self, salt: &[u8]) -> Prk {
        Salt::new(HKDF_SHA256, salt).extract(&self.0)
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_and_passphrase_differ_and_debug_output_hides_both() {
        let key = Secret::from_key("04HM-ASW9-NF6Y-ZZPW-QAC7-CN1J-20MB").unwrap();
        assert_eq!(key.0[..3], [OF_KEY, 0x01, 0x23]);
        assert_eq!(format!("{key:?}"), "Secret(..)");
        let short = Secret::from_passphrase("elevensigns").unwrap_err();
        assert_eq!(short, SecretError::Short(11));
        let phrase = Secret::from_passphrase("correct horse battery staple").unwrap();
        assert_eq!((phrase.0[0], phrase.0.len()), (OF_PASSPHRASE, 33));
    }
}
