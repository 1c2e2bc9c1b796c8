//! The key of an SRTP stream, as in session descriptions
//! (<https://www.rfc-editor.org/rfc/rfc4568>).

use base64ct::{Base64, Base64Unpadded, Encoding};
use framegram_common::wire::native::SALT;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::keys::Length;
use crate::secret::Secret;

/// Ciphers of SRTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SrtpSuite {
    /// AES in counter mode with a tag of 80 bits. All programs support it.
    AesCm128HmacSha1_80,
    /// The same with a tag of 32 bits for RTP and 80 for RTCP.
    AesCm128HmacSha1_32,
    /// AES-GCM (<https://www.rfc-editor.org/rfc/rfc7714>).
    AeadAes128Gcm,
}

impl SrtpSuite {
    /// All suites.
    pub const ALL: [Self; 3] = [
        Self::AesCm128HmacSha1_80,
        Self::AesCm128HmacSha1_32,
        Self::AeadAes128Gcm,
    ];

    /// Its registered name.
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

    /// Bytes of a master key with its salt.
    fn master_len(self) -> usize {
        match self {
            Self::AesCm128HmacSha1_80 | Self::AesCm128HmacSha1_32 => KEY + 14,
            Self::AeadAes128Gcm => KEY + 12,
        }
    }

    /// Bytes that sealing adds to a packet of RTP.
    pub(super) fn overhead(self) -> usize {
        match self {
            Self::AesCm128HmacSha1_80 => 10,
            Self::AesCm128HmacSha1_32 => 4,
            Self::AeadAes128Gcm => 16,
        }
    }

    /// Bytes that sealing adds to a packet of RTCP, which begin with its index.
    pub(super) fn control_trailer(self) -> usize {
        match self {
            Self::AesCm128HmacSha1_80 | Self::AesCm128HmacSha1_32 => 4 + 10,
            Self::AeadAes128Gcm => 4,
        }
    }
}

/// Bytes of a master key.
const KEY: usize = 16;

/// Prefix of the context of a key derived from a secret.
const LABEL: &[u8] = b"framegram srtp 1";

/// Longest attribute that is read.
const MAX_ATTRIBUTE: usize = 1_024;

/// A master key with its salt. It is erased from memory when dropped.
#[derive(Clone)]
pub struct SrtpKey {
    suite: SrtpSuite,
    master: Zeroizing<Vec<u8>>,
}

/// Why an `a=crypto` attribute cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CryptoError {
    /// It is not in the format of RFC 4568.
    #[error("a=crypto does not have the form TAG SUITE inline:KEY (RFC 4568)")]
    Form,
    /// The cipher suite is not supported.
    #[error(
        "the cipher suite {0} is not supported: have the sender use AES_CM_128_HMAC_SHA1_80, \
         AES_CM_128_HMAC_SHA1_32 or AEAD_AES_128_GCM"
    )]
    Suite(String),
    /// The key has the wrong length for its suite.
    #[error("a key of {0} has {1} bytes in base64, and this one has another length")]
    Length(&'static str, usize),
    /// There are several keys, or a key with a number.
    #[error("keys with a number (MKI) are not supported: have the sender use one key without")]
    Numbered,
    /// A session parameter changes how packets are sealed.
    #[error("the session parameter {0} is not supported: have the sender leave it out")]
    Parameter(String),
}

impl SrtpKey {
    /// Derives a key from a secret and 128 bits that must be drawn at random at each start. SRTP
    /// begins with the same packet number at each start, and no key may seal two packets of one
    /// number. `None` only if the key cannot be derived.
    pub fn derive(secret: &Secret, salt: &[u8; SALT], suite: SrtpSuite) -> Option<Self> {
        let length = suite.master_len();
        let mut master = Zeroizing::new(vec![0; length]);
        let extracted = secret.extract(salt);
        let info = [LABEL, suite.name().as_bytes()];
        let expanded = extracted.expand(&info, Length(length)).ok()?;
        expanded.fill(&mut master).ok()?;
        Some(Self { suite, master })
    }

    /// Parses an `a=crypto` attribute, from after the colon.
    ///
    /// # Errors
    /// If its format is wrong, or it asks for something that is not supported.
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
        // Parameters that begin with a dash may be ignored.
        if let Some(parameter) = words.find(|word| !word.starts_with('-')) {
            return Err(CryptoError::Parameter(plain(parameter)));
        }
        let key = keys.strip_prefix("inline:").ok_or(CryptoError::Form)?;
        if key.contains(';') {
            return Err(CryptoError::Numbered);
        }
        let mut fields = key.split('|');
        let text = fields.next().unwrap_or_default();
        // The lifetime limits only the sender; a key with a number has a colon.
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

    /// The attribute, without `a=crypto:`.
    pub fn attribute(&self) -> Zeroizing<String> {
        let key = Zeroizing::new(Base64::encode_string(&self.master));
        Zeroizing::new(format!("1 {} inline:{}", self.suite.name(), *key))
    }

    /// The cipher.
    pub fn suite(&self) -> SrtpSuite {
        self.suite
    }

    /// The master key and its salt.
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

/// Shortens a word from a file and removes what is not printable.
fn plain(word: &str) -> String {
    let shown = word.chars().filter(char::is_ascii_graphic);
    shown.take(MAX_SHOWN).collect()
}

/// Most characters shown of a word from a file.
const MAX_SHOWN: usize = 40;
