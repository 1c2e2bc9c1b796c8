//! The output of a [`Receiver`](super::Receiver), and the outcomes that are returned to it.

use std::fmt;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;

use crate::seq::FrameNumber;
use crate::stats::FrameRecord;
use crate::time::SenderTime;

/// Output for the receiver's user, in the order in which to use it.
#[derive(Debug)]
pub enum Output {
    /// A frame to show. Pass its outcome to
    /// [`Receiver::handle_outcome`](super::Receiver::handle_outcome).
    Frame(ReceivedFrame),
    /// Something to tell a person at once.
    Event(Event),
    /// A frame whose outcome is final. Within a native stream, frames come in the order of their
    /// numbers, each once.
    Record(FrameRecord),
    /// A datagram to send.
    Transmit(Transmit),
    /// Nothing more for now. Wait for a datagram or until this time, then call
    /// [`Receiver::handle_timeout`](super::Receiver::handle_timeout).
    Timeout(Option<Duration>),
}

/// A datagram to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Its destination.
    pub to: SocketAddr,
    /// The port to send it from.
    pub port: Port,
    /// Its bytes.
    pub datagram: Vec<u8>,
}

/// A port of the receiver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Port {
    /// The media port.
    #[default]
    Media,
    /// The next port, where RTCP arrives that is not multiplexed
    /// (<https://www.rfc-editor.org/rfc/rfc3550#section-11>).
    Rtcp,
}

/// Identifies a frame among all frames of a receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FrameId {
    /// Counts the followed streams: one that returns has a new number.
    pub session: u64,
    /// The stream's number.
    pub stream: u64,
    /// The frame's number in it.
    pub number: FrameNumber,
}

/// A frame to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedFrame {
    /// Which frame.
    pub id: FrameId,
    /// The tile to show it in; always 0 if one stream is followed at a time.
    pub tile: usize,
    /// A complete JPEG: byte for byte as it was sent, unless areas are stale.
    pub jpeg: Bytes,
    /// The minimum coded units that did not arrive and are filled with grey, in scan order:
    /// ascending, neighbours merged. Empty for an intact frame.
    pub stale: Vec<Range<u32>>,
    /// Whether a checksum of the format proves that the JPEG is what was sent. Without one, only a
    /// decoder detects damage.
    pub checked: bool,
    /// When it was captured. Bare JPEG carries no times: its times count from the first datagram.
    /// Those of RTP count from a random origin.
    pub captured: SenderTime,
    /// When its last chunk arrived.
    pub completed: Duration,
}

/// What a sink did with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SinkOutcome {
    /// It was shown (or recorded) at this time.
    Shown {
        /// When.
        at: Duration,
    },
    /// A newer one was shown instead.
    Skipped,
    /// It is no JPEG that can be decoded.
    Undecodable,
}

/// What a native datagram is to the followed stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A new packet of it.
    Received,
    /// A packet that had arrived before.
    Duplicate,
    /// A corrupt datagram from the stream's address.
    Corrupt,
    /// A packet of another stream, of the handshake, or from an address that is not proved to be
    /// the sender's.
    Foreign,
    /// A packet that the stream cannot contain.
    Malformed,
    /// Not decided yet: a packet of a stream from that address, if that is followed next.
    Open,
}

/// Something to tell a person at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A stream is now followed.
    Followed {
        /// The tile that shows it.
        tile: usize,
        /// Its number.
        stream: u64,
        /// Where it comes from.
        from: SocketAddr,
        /// Whether another one was followed there before.
        again: bool,
    },
    /// Another stream arrives and is not followed.
    Other {
        /// Its number.
        stream: u64,
        /// Where it comes from.
        from: SocketAddr,
    },
    /// The followed stream has ended, and frames on the way are settled.
    Ended {
        /// The tile that showed it.
        tile: usize,
        /// Its number.
        stream: u64,
    },
    /// The connected sender already serves as many viewers as it may.
    Rejected {
        /// The number of viewers that it serves.
        viewers: u16,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Followed {
                tile, stream, from, ..
            } => write!(f, "stream {stream:016x} from {from} is in tile {tile}"),
            Self::Other { stream, from } => write!(f, "stream {stream:016x} arrives from {from}"),
            Self::Ended { tile, stream } => write!(f, "stream {stream:016x} in tile {tile} ended"),
            Self::Rejected { viewers } => write!(f, "the sender serves {viewers} viewers already"),
        }
    }
}
