//! Keys: the secret that sender and viewer share, and the encryption of packets with keys derived
//! from it.
//!
//! [`SenderSeal`] and [`ViewerSeal`] stand between socket and state machine of one side. They seal
//! each packet that leaves and open, or refuse, each packet that arrives. The state machines do not
//! know about keys. `docs/wire.md` describes the format, `docs/security.md` what it protects.
//! [`Srtp`] does the same for JPEG in RTP.
//!
//! Knows no socket, clock, thread or file: time and random numbers are arguments.

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

/// Bytes that sealing adds to a packet of a frame.
pub const OVERHEAD: usize = TAG;

/// Bytes that sealing adds to a report of a sender.
pub const REPORT_OVERHEAD: usize = SALT + TAG;

/// Bytes of the random seed of a side's private keys.
pub const SEED: usize = 32;

/// Why a datagram is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// It is not sealed.
    #[error("it is not sealed")]
    Clear,
    /// It is sealed with another key, or was changed on the way.
    #[error("it is not authentic")]
    Unauthentic,
    /// It is authentic, and was taken before or is too old for the replay window.
    #[error("it was taken before")]
    Replayed,
    /// No report of its stream has brought the salt yet, or no handshake has agreed on its keys.
    #[error("its keys are not known yet")]
    Early,
}

/// Counts of refused datagrams, by reason.
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
    /// Counts a refusal.
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
