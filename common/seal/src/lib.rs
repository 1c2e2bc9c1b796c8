//! Keys: a secret that sender and viewer share, and the packets that are sealed
//! with what follows from it.
//!
//! [`SenderSeal`] and [`ViewerSeal`] stand between the socket and the state
//! machine of one side: each packet that leaves is sealed there, and each that
//! arrives is opened there, or refused. Nothing behind them knows of a key.
//! `docs/wire.md` describes the format, `docs/security.md` what it protects.
//! [`Srtp`] does the same for JPEG in RTP.
//!
//! Knows no socket, clock, thread or file: time and random numbers come in as
//! arguments.

mod connecting;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod guests;
mod handshake;
mod incoming;
mod key_text;
mod keys;
mod outgoing;
mod secret;
mod sender;
mod session;
mod srtp;
mod trials;
mod viewer;
mod window;

pub use key_text::{KeyTextError, key_text};
pub use keys::Suite;
pub use secret::{MIN_PASSPHRASE, Secret, SecretError};
pub use sender::SenderSeal;
pub use srtp::{CryptoError, Srtp, SrtpKey, SrtpSuite};
pub use viewer::ViewerSeal;

use framegram_common::wire::native::{SALT, TAG};
use thiserror::Error;

/// Bytes that a sealed packet of a frame is longer than the same in the clear.
pub const OVERHEAD: usize = TAG;

/// Bytes that a sealed report of a sender is longer.
pub const REPORT_OVERHEAD: usize = SALT + TAG;

/// Bytes of the random number that private keys of handshakes follow from.
pub const SEED: usize = 32;

/// Why a datagram is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// It is not sealed.
    #[error("it is not sealed")]
    Clear,
    /// It is sealed, but not with this key, or was changed on the way.
    #[error("it is not authentic")]
    Unauthentic,
    /// It is authentic, and was taken before or is too old to tell.
    #[error("it was taken before")]
    Replayed,
    /// No report of its stream has told the salt of it yet, or its keys are not
    /// agreed on.
    #[error("its keys are not known yet")]
    Early,
}

/// How many datagrams were refused, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// Not sealed.
    pub clear: u64,
    /// Not authentic.
    pub unauthentic: u64,
    /// Taken before.
    pub replayed: u64,
    /// Arrived before their keys were known.
    pub early: u64,
}

impl Refused {
    /// Counts what is refused.
    fn record<T>(&mut self, opened: Result<T, Refusal>) -> Result<T, Refusal> {
        opened.inspect_err(|refusal| {
            let count = match refusal {
                Refusal::Clear => &mut self.clear,
                Refusal::Unauthentic => &mut self.unauthentic,
                Refusal::Replayed => &mut self.replayed,
                Refusal::Early => &mut self.early,
            };
            *count += 1;
        })
    }
}

#[cfg(test)]
mod tests;
