//! A stream that is not native, whatever its format.

use std::net::SocketAddr;
use std::time::Duration;

use super::accounts::Accounts;
use super::raw::RawStream;
use super::rtp::RtpStream;
use crate::receiver::SILENCE;
use crate::stats::Statistics;

/// A stream that is not native.
#[derive(Debug)]
pub(super) enum Stream {
    Rtp(Box<RtpStream>),
    Raw(Box<RawStream>),
}

impl Stream {
    pub(super) fn accounts_mut(&mut self) -> &mut Accounts {
        match self {
            Self::Rtp(stream) => stream.accounts_mut(),
            Self::Raw(stream) => stream.accounts_mut(),
        }
    }

    pub(super) fn number(&self) -> u64 {
        self.accounts().stream()
    }

    /// Where it comes from.
    pub(super) fn from(&self) -> Option<SocketAddr> {
        self.accounts().from()
    }

    /// When its first datagram came, and the newest one.
    pub(super) fn span(&self) -> (Duration, Duration) {
        let accounts = self.accounts();
        (accounts.begun(), accounts.heard())
    }

    /// Whether nothing came of it for so long that what began since may be its
    /// successor.
    pub(super) fn is_quiet(&self, now: Duration) -> bool {
        let accounts = self.accounts();
        now.saturating_sub(accounts.heard()) >= accounts.quiet()
    }

    pub(super) fn accounts(&self) -> &Accounts {
        match self {
            Self::Rtp(stream) => stream.accounts(),
            Self::Raw(stream) => stream.accounts(),
        }
    }

    /// Whether something of it proves that it is one: a whole frame or, of RTP,
    /// two packets in sequence.
    pub(super) fn is_proven(&self) -> bool {
        match self {
            Self::Rtp(stream) => stream.is_proven(),
            Self::Raw(stream) => stream.accounts().has_frames(),
        }
    }

    pub(super) fn is_rtp(&self) -> bool {
        matches!(self, Self::Rtp(_))
    }

    /// Whether it is of bare JPEGs, and one of them has begun and not ended.
    pub(super) fn is_within_jpeg(&self) -> bool {
        matches!(self, Self::Raw(stream) if stream.is_within_jpeg())
    }

    /// Whether what comes under its number is another stream.
    pub(super) fn is_over(&self, now: Duration) -> bool {
        match self {
            Self::Rtp(stream) => stream.is_over(now),
            Self::Raw(_) => false,
        }
    }

    pub(super) fn is_living(&self, now: Duration) -> bool {
        let (heard, ended) = match self {
            Self::Rtp(stream) => (stream.accounts().heard(), stream.has_ended()),
            Self::Raw(stream) => (stream.accounts().heard(), false),
        };
        !ended && now.saturating_sub(heard) < SILENCE
    }

    /// Gives up what has had its time. Returns whether the stream ends by it.
    pub(super) fn handle_timeout(&mut self, now: Duration) -> bool {
        match self {
            Self::Rtp(stream) => stream.handle_timeout(now),
            Self::Raw(stream) => {
                stream.handle_timeout(now);
                false
            }
        }
    }

    /// Bytes of frames that are held.
    pub(super) fn held_bytes(&self) -> usize {
        match self {
            Self::Rtp(stream) => stream.held_bytes(),
            Self::Raw(stream) => stream.held_bytes(),
        }
    }

    /// Gives up the oldest frame that holds anything. Returns whether there is
    /// one.
    pub(super) fn shed(&mut self, now: Duration) -> bool {
        match self {
            Self::Rtp(stream) => stream.shed(now),
            Self::Raw(stream) => {
                let held = stream.is_within_jpeg();
                stream.end();
                held
            }
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Duration> {
        match self {
            Self::Rtp(stream) => stream.poll_timeout(),
            Self::Raw(stream) => stream.poll_timeout(),
        }
    }

    pub(super) fn end(&mut self) {
        match self {
            Self::Rtp(stream) => stream.end(),
            Self::Raw(stream) => stream.end(),
        }
    }

    pub(super) fn statistics(&self) -> Statistics {
        match self {
            Self::Rtp(stream) => stream.statistics(),
            Self::Raw(stream) => stream.statistics(),
        }
    }
}
