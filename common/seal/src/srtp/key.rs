//! The key of a stream of SRTP, as session descriptions tell it
//! (<https://www.rfc-editor.org/rfc/rfc4568>).

use base64ct::{Base64, Base64Unpadded, Encoding};
use framegram_common::wire::native::SALT;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::keys::Length;
use crate::secret::Secret;

/// What seals packets of RTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SrtpSuite {
    /// AES in counter mode, a tag of 80 bits: that which all programs have.
    AesCm128HmacSha1_80,
    /// The same with a tag of 32 bits, of 80 for RTCP.
    AesCm128HmacSha1_32,
    /// AES-GCM (<https://www.rfc-editor.org/rfc/rfc7714>).
    AeadAes128Gcm,
}

impl SrtpSuite {
    /// All of them.
    pub const ALL: [Self; 3] = [
        Self::AesCm128HmacSha1_80,
        Self::AesCm128HmacSha1_32,
        Self::AeadAes128Gcm,
    ];

    /// Its registered name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AesCm128HmacSha1_80 => "AES_CM_128_HMAC_SHA1_80",
            Self::AesCm128HmacSha1_32 => "AES_CM_128_HMAC_SHA1_32",
            Self::AeadAes128Gcm => "AEAD_AES_128_GCM",
        }
    }

    fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.name() == name)
    }

    /// Bytes of a master key and its salt.
    fn master_len(self) -> usize {
        match self {
            Self::AesCm128HmacSha1_80 | Self::AesCm128HmacSha1_32 => KEY + 14,
            Self::AeadAes128Gcm => KEY + 12,
        }
    }

    /// Bytes that a packet of RTP grows by.
    pub(super) fn overhead(self) -> usize {
        match self {
            Self::AesCm128HmacSha1_80 => 10,
            Self::AesCm128HmacSha1_32 => 4,
            Self::AeadAes128Gcm => 16,
        }
    }

    /// Bytes of a packet of RTCP from its index on.
    pub(super) fn control_trailer(self) -> usize {
        match self {
            Self::AesCm128HmacSha1_80 | Self::AesCm128HmacSha1_32 => 4 + 10,
            Self::AeadAes128Gcm => 4,
        }
    }
}

/// Bytes of a master key.
const KEY: usize = 16;

/// What begins the context of a key that follows from a secret.
const LABEL: &[u8] = b"framegram srtp 1";

/// The longest attribute that is read.
const MAX_ATTRIBUTE: usize = 1_024;

/// A master key with its salt. It is erased from memory when it is dropped.
#[derive(Clone)]
pub struct SrtpKey {
    suite: SrtpSuite,
    master: Zeroizing<Vec<u8>>,
}

/// Why an attribute `a=crypto` cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CryptoError {
    /// It does not read as RFC 4568 has it.
    #[error("a=crypto is not as RFC 4568 has it: TAG SUITE inline:KEY")]
    Form,
    /// Another cipher.
    #[error(
        "the cipher suite {0} is not supported: have the sender use AES_CM_128_HMAC_SHA1_80, \
         AES_CM_128_HMAC_SHA1_32 or AEAD_AES_128_GCM"
    )]
    Suite(String),
    /// The key has another length than the suite takes.
    #[error("the key of {0} has {1} bytes in base64, and this has another length")]
    Length(&'static str, usize),
    /// Several keys, or a key with a number.
    #[error("keys with a number (MKI) are not supported: have the sender use one key without")]
    Numbered,
    /// Something else that changes how packets are sealed.
    #[error("the session parameter {0} is not supported: have the sender leave it out")]
    Parameter(String),
}

impl SrtpKey {
    /// That which follows from a secret and 128 bits that are drawn at each start: SRTP
    /// numbers packets from the same number at each start, and no key may seal two
    /// packets of one number. `None` only if the key cannot be derived.
    #[must_use]
    pub fn derive(secret: &Secret, salt: &[u8; SALT], suite: SrtpSuite) -> Option<Self> {
        let length = suite.master_len();
        let mut master = Zeroizing::new(vec![0; length]);
        let extracted = secret.extract(salt);
        let info = [LABEL, suite.name().as_bytes()];
        let expanded = extracted.expand(&info, Length(length)).ok()?;
        expanded.fill(&mut master).ok()?;
        Some(Self { suite, master })
    }

    /// That of an attribute `a=crypto`, given what is behind the colon.
    ///
    /// # Errors
    /// Where it is of no suite that is known, or asks for something else that is not.
    pub fn of_attribute(value: &str) -> Result<Self, CryptoError> {
        if value.len() > MAX_ATTRIBUTE {
            return Err(CryptoError::Form);
        }
        let mut words = value.split_ascii_whitespace();
        let tag = words.next().ok_or(CryptoError::Form)?;
        if tag.is_empty() || tag.bytes().any(|byte| !byte.is_ascii_digit()) {
            return Err(CryptoError::Form);
        }
        let name = words.next().ok_or(CryptoError::Form)?;
        let suite = SrtpSuite::of_name(name).ok_or_else(|| CryptoError::Suite(plain(name)))?;
        let keys = words.next().ok_or(CryptoError::Form)?;
        // What begins with a dash may be left aside.
        if let Some(parameter) = words.find(|word| !word.starts_with('-')) {
            return Err(CryptoError::Parameter(plain(parameter)));
        }
        let key = keys.strip_prefix("inline:").ok_or(CryptoError::Form)?;
        if key.contains(';') {
            return Err(CryptoError::Numbered);
        }
        let mut fields = key.split('|');
        let text = fields.next().unwrap_or_default();
        // The lifetime is a limit for the sender; a key's number has a colon.
        if fields.any(|field| field.contains(':')) {
            return Err(CryptoError::Numbered);
        }
        let length = || CryptoError::Length(suite.name(), suite.master_len());
        let master = Base64Unpadded::decode_vec(text.trim_end_matches('='));
        let master = Zeroizing::new(master.map_err(|_| length())?);
        if master.len() != suite.master_len() {
            return Err(length());
        }
        Ok(Self { suite, master })
    }

    /// The attribute for it, without `a=crypto:`.
    #[must_use]
    pub fn attribute(&self) -> Zeroizing<String> {
        let key = Zeroizing::new(Base64::encode_string(&self.master));
        Zeroizing::new(format!("1 {} inline:{}", self.suite.name(), *key))
    }

    /// What packets are sealed with.
    #[must_use]
    pub fn suite(&self) -> SrtpSuite {
        self.suite
    }

    /// The key and its salt.
    pub(super) fn parts(&self) -> (&[u8], &[u8]) {
        self.master.split_at(KEY)
    }
}

impl std::fmt::Debug for SrtpKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SrtpKey")
            .field("suite", &self.suite)
            .finish_non_exhaustive()
    }
}

/// A word of a file as it may be shown: short, and nothing but what can be read.
fn plain(word: &str) -> String {
    let shown = word.chars().filter(char::is_ascii_graphic);
    shown.take(MAX_SHOWN).collect()
}

/// The longest word that is shown of a file.
const MAX_SHOWN: usize = 40;
