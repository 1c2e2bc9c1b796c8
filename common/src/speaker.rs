//! The sender's state machine, whatever format is spoken.
//!
//! Inputs are `handle_*`, outputs `poll_*`, as for the [`Transmitter`], which
//! does the work for the native format.

mod plain;
mod queue;
mod rtp;

use std::time::Duration;

use bytes::Bytes;

use crate::frame::{FrameSizeError, Times};
use crate::statistics::Statistics;
use crate::transmitter::{self, FrameError, Transmit, Transmitter, Volume};
use crate::wire::Format;
use crate::wire::rtp_jpeg::Unsuitable;
use plain::Plain;

/// What a speaker is told before it starts.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// The format.
    pub format: Format,
    /// For all formats (datagram, destinations, interval, pace) and the native
    /// one.
    pub transmitter: transmitter::Config,
    /// Whether RTCP goes where RTP goes. Otherwise it goes to destinations of
    /// its own, numbered from [`transmitter::Config::destinations`] on.
    pub rtcp_mux: bool,
    /// What the wall clock is ahead of the monotonic one:
    /// [`os::wall_offset`](crate::os::wall_offset) but in tests.
    pub wall_offset: Duration,
}

/// Why a frame is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpeakError {
    /// It is too long, or empty.
    #[error(transparent)]
    Size(#[from] FrameSizeError),
    /// RTP does not carry it.
    #[error("RTP cannot carry a frame: {0}")]
    Unsuitable(#[from] Unsuitable),
    /// It does not fit into one datagram.
    #[error("a frame of {got} bytes does not fit into one datagram of {datagram}")]
    Datagram {
        /// Its length.
        got: usize,
        /// What fits.
        datagram: usize,
    },
    /// As many frames wait as may: the bit rate holds them back.
    #[error("{}", FrameError::Waiting)]
    Waiting,
}

impl From<FrameError> for SpeakError {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::Size(size) => Self::Size(size),
            FrameError::Waiting => Self::Waiting,
        }
    }
}

/// The sender's state machine for one stream.
#[derive(Debug)]
pub struct Speaker {
    inner: Inner,
}

#[derive(Debug)]
enum Inner {
    Native(Box<Transmitter>),
    Plain(Box<Plain>),
}

/// Calls the same method of either.
macro_rules! both {
    ($inner:expr, $speaker:ident => $call:expr) => {
        match $inner {
            Inner::Native($speaker) => $call,
            Inner::Plain($speaker) => $call,
        }
    };
}

impl Speaker {
    /// A speaker for the stream with this number, drawn at random.
    #[must_use]
    pub fn new(config: Config, stream: u64, now: Duration) -> Self {
        let inner = match config.format {
            Format::Native => {
                Inner::Native(Box::new(Transmitter::new(config.transmitter, stream, now)))
            }
            Format::Rtp | Format::Raw => Inner::Plain(Box::new(Plain::new(config, stream, now))),
        };
        Self { inner }
    }

    /// Takes a whole JPEG to be sent, with the time its picture was taken or
    /// all its times, and the quality it was encoded with, where that is known.
    ///
    /// # Errors
    /// Where the format cannot carry it, or [`transmitter::MAX_WAITING_FRAMES`]
    /// frames wait already: ask [`Speaker::is_held_back`] before. It is then
    /// counted as not sent.
    pub fn handle_frame(
        &mut self,
        jpeg: Bytes,
        times: impl Into<Times>,
        quality: Option<u8>,
        now: Duration,
    ) -> Result<(), SpeakError> {
        match &mut self.inner {
            Inner::Native(native) => {
                native.handle_frame(jpeg, times, quality, now)?;
                Ok(())
            }
            Inner::Plain(plain) => plain.handle_frame(&jpeg, times.into(), quality, now),
        }
    }

    /// Sends to this destination too, from now on. Only the native format has
    /// destinations that come and go.
    pub fn open_destination(&mut self, destination: usize, now: Duration) {
        if let Inner::Native(native) = &mut self.inner {
            native.open_destination(destination, now);
        }
    }

    /// The same for a viewer that was served at another destination before.
    pub fn move_to_destination(&mut self, destination: usize, now: Duration) {
        if let Inner::Native(native) = &mut self.inner {
            native.move_to_destination(destination, now);
        }
    }

    /// Sends nothing more to this destination.
    pub fn close_destination(&mut self, destination: usize) {
        if let Inner::Native(native) = &mut self.inner {
            native.close_destination(destination);
        }
    }

    /// Tells how many frames the source has delivered so far.
    pub fn handle_captured(&mut self, total: u64) {
        both!(&mut self.inner, speaker => speaker.handle_captured(total));
    }

    /// Counts frames that a newer one replaced before they were encoded.
    pub fn handle_replaced(&mut self, frames: u64) {
        both!(&mut self.inner, speaker => speaker.handle_replaced(frames));
    }

    /// Counts frames that could not be encoded.
    pub fn handle_not_sent(&mut self, frames: u64) {
        both!(&mut self.inner, speaker => speaker.handle_not_sent(frames));
    }

    /// Takes datagrams, of `segment` bytes each but the last, that were polled
    /// for a destination and that the local system refused to send.
    pub fn handle_refused(&mut self, destination: usize, datagrams: &[u8], segment: usize) {
        match &mut self.inner {
            Inner::Native(native) => native.handle_refused(destination, datagrams, segment),
            Inner::Plain(plain) => {
                plain.handle_refused(
                    datagrams.len().div_ceil(segment.max(1)) as u64,
                    datagrams.len() as u64,
                );
            }
        }
    }

    /// Takes a datagram that came back from a destination.
    pub fn handle_datagram(&mut self, destination: usize, datagram: &[u8], now: Duration) {
        match &mut self.inner {
            Inner::Native(native) => native.handle_datagram(destination, datagram, now),
            Inner::Plain(plain) => plain.handle_datagram(datagram),
        }
    }

    /// Sets the largest datagram from the next frame on.
    pub fn set_datagram(&mut self, bytes: usize) {
        both!(&mut self.inner, speaker => speaker.set_datagram(bytes));
    }

    /// The largest datagram, in bytes of UDP payload.
    #[must_use]
    pub fn datagram(&self) -> usize {
        both!(&self.inner, speaker => speaker.datagram())
    }

    /// Fills `out` with datagrams that are due.
    pub fn poll_transmit(&mut self, now: Duration, out: &mut Vec<u8>) -> Option<Transmit> {
        both!(&mut self.inner, speaker => speaker.poll_transmit(now, out))
    }

    /// When [`Speaker::poll_transmit`] may have something again.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        both!(&self.inner, speaker => speaker.poll_timeout())
    }

    /// Whether datagrams are due that the rate does not let leave.
    #[must_use]
    pub fn is_held_back(&self, now: Duration) -> bool {
        both!(&self.inner, speaker => speaker.is_held_back(now))
    }

    /// What was handed out so far.
    #[must_use]
    pub fn volume(&self) -> Volume {
        both!(&self.inner, speaker => speaker.volume())
    }

    /// Ends the stream: what is waiting is sent at once, and a farewell where
    /// the format has one.
    pub fn finish(&mut self, now: Duration) {
        both!(&mut self.inner, speaker => speaker.finish(now));
    }

    /// Whether everything has been handed out.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        both!(&self.inner, speaker => speaker.is_finished())
    }

    /// The counts so far.
    #[must_use]
    pub fn statistics(&self, now: Duration) -> Statistics {
        both!(&self.inner, speaker => speaker.statistics(now))
    }
}

#[cfg(test)]
mod tests;
