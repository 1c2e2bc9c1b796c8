//! The output of a sender.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crate::seq::FrameNumber;

/// The next output of [`Sender::poll_output`](super::Sender::poll_output).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Datagrams for a destination are in the buffer.
    Transmit(Transmit),
    /// The buffer has a datagram for an address that is not served: an answer. Send it from the
    /// address that the request was sent to.
    Answer(SocketAddr),
    /// Something has happened.
    Event(Event),
    /// Nothing more until this time, or until more input.
    Timeout(Option<Duration>),
}

/// One or more datagrams for one destination, in the buffer that was passed in. Each has `segment`
/// bytes, except the last, which may be shorter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// The destination, counted from 0.
    pub destination: usize,
    /// Bytes of each datagram except the last.
    pub segment: usize,
    /// The newest frame that they belong to; `None` for reports and JPEG headers.
    pub frame: Option<FrameNumber>,
}

/// An event about a viewer that connected, or about a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The viewer at an address is now served as this destination. It may have been served before,
    /// at another address.
    Admitted {
        /// The destination.
        destination: usize,
        /// The address of its datagrams.
        address: SocketAddr,
    },
    /// This destination is closed.
    Left {
        /// The destination.
        destination: usize,
        /// The reason.
        reason: LeaveReason,
    },
    /// There is no slot for the viewer at an address.
    Rejected {
        /// The address.
        address: SocketAddr,
    },
    /// The path MTU of a destination was found, or has become smaller.
    PathMtu {
        /// The destination.
        destination: usize,
        /// The largest datagram, in bytes of UDP payload.
        datagram: usize,
        /// The previous such size.
        before: Option<usize>,
    },
}

/// Why a viewer is no longer served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaveReason {
    /// It said bye.
    Bye,
    /// It has been silent for [`SILENCE`](super::SILENCE).
    Silent,
    /// Another viewer has its slot: all were taken, most of them by viewers of one address.
    Displaced,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Admitted {
                destination,
                address,
            } => write!(f, "the viewer at {address} is destination {destination}"),
            Self::Left {
                destination,
                reason,
            } => {
                let reason = match reason {
                    LeaveReason::Bye => "left",
                    LeaveReason::Silent => "fell silent",
                    LeaveReason::Displaced => "was displaced",
                };
                write!(f, "the viewer of destination {destination} {reason}")
            }
            Self::Rejected { address } => write!(f, "no place is left for the viewer at {address}"),
            Self::PathMtu {
                destination,
                datagram,
                ..
            } => write!(
                f,
                "the path to destination {destination} carries datagrams of {datagram} bytes"
            ),
        }
    }
}
