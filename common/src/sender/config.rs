//! How a stream is sent, and why a frame is not sent.

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
    /// As fast as the path carries, according to the reports of a destination's viewer. Native
    /// format only.
    Auto {
        /// The first rate to the configured destinations in bits per second; `None`: nothing limits
        /// the rate until a limit of the path is seen. For viewers that connect it depends on their
        /// address ([`first_rate`](crate::rate::first_rate)).
        first: Option<u64>,
    },
}

/// How a stream is sent. Fields will be added: end a literal with `..Config::default()`.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// The format.
    pub format: Format,
    /// The largest datagram in bytes of UDP payload, [`MIN_DATAGRAM`](crate::wire::MIN_DATAGRAM) to
    /// [`MAX_DATAGRAM`](crate::wire::MAX_DATAGRAM). Destinations with a path MTU search
    /// ([`Sender::search_path_mtu`](super::Sender::search_path_mtu)) have their own limit.
    pub datagram: usize,
    /// The number of destinations that every frame goes to. They are numbered from 0.
    pub destinations: usize,
    /// The frame interval, if known.
    pub interval: Option<Duration>,
    /// Whether the datagrams of a frame are spread over time.
    pub pace: bool,
    /// The amount of parity.
    pub fec: Fec,
    /// Whether chunks are retransmitted on request.
    pub retransmit: bool,
    /// Upper bound on what goes to each destination in any second, in bits of UDP payload.
    /// Datagrams above it wait. At least one datagram always passes.
    pub bitrate: Option<u64>,
    /// The rate.
    pub rate: Rate,
    /// Whether a second encoding can be made, at a lower quality, for viewers whose paths carry too
    /// few of the frames.
    pub second_encoding: bool,
    /// Identifies the clock of this machine to viewers of this stream: a viewer with the same
    /// identity reads the same clock.
    pub clock_id: Option<u64>,
    /// The number of the first frame: 0, except in tests.
    pub first_frame: FrameNumber,
    /// Whether RTCP is multiplexed on the RTP destinations. Otherwise it has destinations of its
    /// own, numbered from [`Config::destinations`].
    pub rtcp_mux: bool,
    /// The wall clock minus the monotonic one, for RTCP.
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
            second_encoding: false,
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
    /// RTP cannot carry it.
    #[error("RTP cannot carry a frame: {0}")]
    Unsuitable(#[from] Unsuitable),
    /// It does not fit into one datagram.
    #[error("a frame of {got} bytes does not fit into one datagram of {datagram}")]
    Datagram {
        /// Its length.
        got: usize,
        /// The largest length that fits.
        datagram: usize,
    },
    /// Too many frames wait: the bit rate limit holds them back.
    #[error("too many frames wait to be sent")]
    Waiting,
}
