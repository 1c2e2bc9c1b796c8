//! How a stream is sent, and why a frame is not.

use std::time::Duration;

use super::acceptor::AcceptorConfig;
use crate::fec::Fec;
use crate::frame::FrameSizeError;
use crate::seq::FrameNumber;
use crate::wire::native::Integrity;
use crate::wire::rtp_jpeg::Unsuitable;
use crate::wire::{DEFAULT_DATAGRAM, Format};

/// How fast a stream is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rate {
    /// As fast as frames are handed in.
    #[default]
    Fixed,
    /// As fast as the path carries, by what the viewer of a destination reports:
    /// native format only.
    Auto {
        /// The rate at first in bits a second; `None`: what the first frames show
        /// to pass.
        first: Option<u64>,
    },
}

/// How a stream is sent. More settings will come: a literal ends with
/// `..Config::default()`.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// The format.
    pub format: Format,
    /// The largest datagram in bytes of UDP payload,
    /// [`MIN_DATAGRAM`](crate::wire::MIN_DATAGRAM) to
    /// [`MAX_DATAGRAM`](crate::wire::MAX_DATAGRAM). Where the path to a destination is
    /// searched ([`Sender::search_path_mtu`](super::Sender::search_path_mtu)), what it
    /// carries counts instead.
    pub datagram: usize,
    /// How many destinations every frame goes to. They are numbered from 0.
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
    /// How fast it is sent.
    pub rate: Rate,
    /// Identifies the clock that this machine reads, for the stream: a viewer with
    /// the same identity reads the same clock.
    pub clock_id: Option<u64>,
    /// The number of the first frame: 0 but in tests.
    pub first_frame: FrameNumber,
    /// Whether RTCP goes where RTP goes. Otherwise it goes to destinations of
    /// its own, numbered from [`Config::destinations`] on.
    pub rtcp_mux: bool,
    /// What the wall clock is ahead of the monotonic one, which RTCP tells.
    pub wall_offset: Duration,
    /// How the integrity of what native viewers send is known.
    pub integrity: Integrity,
    /// Whether viewers are admitted that come by themselves, with the native
    /// format: they become destinations, numbered behind the others.
    pub acceptor: Option<AcceptorConfig>,
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
            rate: Rate::Fixed,
            clock_id: None,
            first_frame: FrameNumber(0),
            rtcp_mux: false,
            wall_offset: Duration::ZERO,
            integrity: Integrity::Checksum,
            acceptor: None,
        }
    }
}

/// Why a frame is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
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
