//! The sender's state machine: frames in, timed datagrams out, feedback in.
//!
//! Inputs are `handle_*`, outputs `poll_*`. After every input, drain
//! [`Sender::poll_transmit`], and call it again at [`Sender::poll_timeout`].

pub mod acceptor;
mod native;
mod plain;
mod queue;
mod rtp;

use std::time::Duration;

use bytes::Bytes;

use crate::fec::Fec;
use crate::frame::{FrameSizeError, Times};
use crate::seq::FrameNumber;
use crate::stats::Statistics;
use crate::wire::rtp_jpeg::Unsuitable;
use crate::wire::{DEFAULT_DATAGRAM, Format};
use native::NativeSender;
pub use native::{CONTROL_RESERVE, MAX_WAITING_FRAMES, Volume};
use plain::Plain;

/// How a stream is sent.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// The format.
    pub format: Format,
    /// The largest datagram in bytes of UDP payload,
    /// [`MIN_DATAGRAM`](crate::wire::MIN_DATAGRAM) to
    /// [`MAX_DATAGRAM`](crate::wire::MAX_DATAGRAM).
    pub datagram: usize,
    /// How many destinations every frame goes to from the start; others can be
    /// opened behind them.
    pub destinations: usize,
    /// Time from frame to frame, where it is known.
    pub interval: Option<Duration>,
    /// Whether the datagrams of a frame are spread over time.
    pub pace: bool,
    /// How much parity is sent.
    pub fec: Fec,
    /// Whether chunks are sent again on request.
    pub retransmit: bool,
    /// The most that goes to each destination in any one second, in bits of
    /// UDP payload: what is more waits. At least a datagram goes in any case.
    pub bitrate: Option<u64>,
    /// Identifies the clock that `now` is read from, for this stream; `None` where
    /// it is not known.
    pub clock_id: Option<u64>,
    /// The number of the first frame: 0 but in tests.
    pub first_frame: FrameNumber,
    /// Whether RTCP goes where RTP goes. Otherwise it goes to destinations of
    /// its own, numbered from [`Config::destinations`] on.
    pub rtcp_mux: bool,
    /// The wall clock (time since 1970, UTC) less the clock that `now` is read
    /// from, for RTCP.
    pub wall_offset: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            format: Format::Native,
            datagram: DEFAULT_DATAGRAM,
            destinations: 1,
            interval: None,
            pace: true,
            fec: Fec::Auto,
            retransmit: true,
            bitrate: None,
            clock_id: None,
            first_frame: FrameNumber(0),
            rtcp_mux: false,
            wall_offset: Duration::ZERO,
        }
    }
}

/// One or more datagrams for one destination, in the buffer that was polled
/// into: each `segment` bytes long, but the last, which may be shorter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// The destination, counted from 0.
    pub destination: usize,
    /// Bytes of each datagram but the last.
    pub segment: usize,
}

/// Why a frame is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
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
    #[error("as many frames wait to be sent as may")]
    Waiting,
}

/// The sender's state machine for one stream.
#[derive(Debug)]
pub struct Sender {
    inner: Inner,
}

#[derive(Debug)]
enum Inner {
    Native(Box<NativeSender>),
    Plain(Box<Plain>),
}

/// Calls the same method of either.
macro_rules! both {
    ($inner:expr, $sender:ident => $call:expr) => {
        match $inner {
            Inner::Native($sender) => $call,
            Inner::Plain($sender) => $call,
        }
    };
}

impl Sender {
    /// A sender for the stream with this number, drawn at random.
    #[must_use]
    pub fn new(config: Config, stream: u64, now: Duration) -> Self {
        let inner = match config.format {
            Format::Native => Inner::Native(Box::new(NativeSender::new(config, stream, now))),
            Format::Rtp | Format::Raw => Inner::Plain(Box::new(Plain::new(config, stream, now))),
        };
        Self { inner }
    }

    /// Takes a whole JPEG to be sent, with the time its picture was taken or
    /// all its times, and the quality it was encoded with, where that is known.
    /// Returns its number.
    ///
    /// # Errors
    /// Where the format cannot carry it, or [`MAX_WAITING_FRAMES`] frames wait
    /// already: ask [`Sender::is_held_back`] before. It is then
    /// counted as not sent.
    pub fn handle_frame(
        &mut self,
        jpeg: Bytes,
        times: impl Into<Times>,
        quality: Option<u8>,
        now: Duration,
    ) -> Result<FrameNumber, FrameError> {
        match &mut self.inner {
            Inner::Native(native) => native.handle_frame(jpeg, times, quality, now),
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
        both!(&mut self.inner, sender => sender.handle_captured(total));
    }

    /// Counts frames that a newer one replaced before they were encoded.
    pub fn handle_replaced(&mut self, frames: u64) {
        both!(&mut self.inner, sender => sender.handle_replaced(frames));
    }

    /// Counts frames that could not be encoded.
    pub fn handle_not_sent(&mut self, frames: u64) {
        both!(&mut self.inner, sender => sender.handle_not_sent(frames));
    }

    /// Takes datagrams, of `segment` bytes each but the last, that were polled
    /// for a destination and that the local system refused to send.
    pub fn handle_send_error(&mut self, destination: usize, datagrams: &[u8], segment: usize) {
        match &mut self.inner {
            Inner::Native(native) => native.handle_send_error(destination, datagrams, segment),
            Inner::Plain(plain) => {
                plain.handle_send_error(
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
        both!(&mut self.inner, sender => sender.set_datagram(bytes));
    }

    /// The largest datagram, in bytes of UDP payload.
    #[must_use]
    pub fn datagram(&self) -> usize {
        both!(&self.inner, sender => sender.datagram())
    }

    /// Fills `out` with datagrams that are due.
    pub fn poll_transmit(&mut self, now: Duration, out: &mut Vec<u8>) -> Option<Transmit> {
        both!(&mut self.inner, sender => sender.poll_transmit(now, out))
    }

    /// When [`Sender::poll_transmit`] may have something again.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        both!(&self.inner, sender => sender.poll_timeout())
    }

    /// Whether datagrams are due that the rate does not let leave.
    #[must_use]
    pub fn is_held_back(&self, now: Duration) -> bool {
        both!(&self.inner, sender => sender.is_held_back(now))
    }

    /// What was handed out so far.
    #[must_use]
    pub fn volume(&self) -> Volume {
        both!(&self.inner, sender => sender.volume())
    }

    /// Ends the stream: what is waiting is sent at once, and a farewell where
    /// the format has one.
    pub fn finish(&mut self, now: Duration) {
        both!(&mut self.inner, sender => sender.finish(now));
    }

    /// Whether everything has been handed out.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        both!(&self.inner, sender => sender.is_finished())
    }

    /// The counts so far.
    #[must_use]
    pub fn statistics(&self, now: Duration) -> Statistics {
        both!(&self.inner, sender => sender.statistics(now))
    }
}

#[cfg(test)]
mod tests;
