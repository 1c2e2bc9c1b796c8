//! What goes out of a [`Receiver`](super::Receiver), and comes back of it.

use std::fmt;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;

use crate::seq::FrameNumber;
use crate::stats::FrameRecord;
use crate::time::SenderTime;

/// What a receiver has for its user, in the order in which it is to be used.
#[derive(Debug)]
pub enum Output {
    /// A frame to be shown. Its outcome goes to
    /// [`Receiver::handle_outcome`](super::Receiver::handle_outcome).
    Frame(ReceivedFrame),
    /// Something that a person may want to know at once.
    Event(Event),
    /// A frame whose outcome is final: in the order of numbers within a native
    /// stream, each frame once.
    Record(FrameRecord),
    /// A datagram to be sent.
    Transmit(Transmit),
    /// Nothing more for now: wait for a datagram or until this time, then call
    /// [`Receiver::handle_timeout`](super::Receiver::handle_timeout).
    Timeout(Option<Duration>),
}

/// A datagram to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Where it goes.
    pub to: SocketAddr,
    /// The port that it leaves from.
    pub port: Port,
    /// Its bytes.
    pub datagram: Vec<u8>,
}

/// A port of the receiver's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Port {
    /// The one of the streams.
    #[default]
    Media,
    /// The next one, where RTCP comes that is not multiplexed
    /// (<https://www.rfc-editor.org/rfc/rfc3550#section-11>).
    Rtcp,
}

/// Names a frame among all frames of a receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FrameId {
    /// Counts the streams that were followed: one that comes back has another.
    pub session: u64,
    /// The stream's number.
    pub stream: u64,
    /// The frame's number in it.
    pub number: FrameNumber,
}

/// A frame to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedFrame {
    /// Which frame.
    pub id: FrameId,
    /// Where it is shown: 0 unless all streams are.
    pub tile: usize,
    /// One whole JPEG: byte for byte as it was sent, unless areas are stale.
    pub jpeg: Bytes,
    /// The minimum coded units that did not arrive and are neutral, in the order
    /// of the scan: ascending, neighbours merged. Empty for an intact frame.
    pub stale: Vec<Range<u32>>,
    /// Whether a checksum of the format proves that this is what was sent.
    /// Without one, only a decoder finds what is missing.
    pub checked: bool,
    /// When it was captured. Bare JPEG does not say: its times count from the first
    /// datagram. Those of RTP count from a random origin.
    pub captured: SenderTime,
    /// When its last chunk arrived.
    pub completed: Duration,
}

/// What a sink did with a frame that it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SinkOutcome {
    /// It was shown (or recorded) at this time.
    Shown {
        /// When.
        at: Duration,
    },
    /// It was not shown for a newer one.
    Skipped,
    /// It is not a JPEG that can be decoded.
    Undecodable,
}

/// What a native datagram was to the stream that is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A new packet of it.
    Received,
    /// One that came before.
    Duplicate,
    /// A corrupt one, from the stream's address.
    Corrupt,
    /// Of another stream, from an address that is not proved to be the sender's,
    /// or of the handshake.
    Foreign,
    /// Nothing that the stream can contain.
    Malformed,
    /// Not known yet: it belongs to a stream from that address, if that is
    /// followed next.
    Open,
}

/// Something that a person may want to know at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A stream is followed from now on.
    Followed {
        /// Where it is shown.
        tile: usize,
        /// Its number.
        stream: u64,
        /// Where it comes from.
        from: SocketAddr,
        /// Whether another one was followed there before.
        again: bool,
    },
    /// Another stream arrives, and is not followed.
    Other {
        /// Its number.
        stream: u64,
        /// Where it comes from.
        from: SocketAddr,
    },
    /// The followed stream ended, and what was on the way had its time.
    Ended {
        /// Where it was shown.
        tile: usize,
        /// Its number.
        stream: u64,
    },
    /// The sender that was asked for its stream serves as many viewers as it may.
    Rejected {
        /// How many these are.
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
