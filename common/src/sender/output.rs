//! What a sender asks of its surroundings, and tells them.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crate::seq::FrameNumber;

/// What [`Sender::poll_output`](super::Sender::poll_output) gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Datagrams for a destination are in the buffer.
    Transmit(Transmit),
    /// A datagram for somebody who is not served is in the buffer: an answer,
    /// which is to leave from the address that the question came to.
    Answer(SocketAddr),
    /// Something has happened.
    Event(Event),
    /// There is nothing until then, or until something is handed in.
    Timeout(Option<Duration>),
}

/// One or more datagrams for one destination, in the buffer that was polled
/// into: each `segment` bytes long, but the last, which may be shorter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// The destination, counted from 0.
    pub destination: usize,
    /// Bytes of each datagram but the last.
    pub segment: usize,
    /// The newest frame that a part of is among them; `None` for reports and
    /// JPEG headers.
    pub frame: Option<FrameNumber>,
}

/// What happened to a viewer that came by itself, or was found of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The viewer at an address is served from now on, as this destination; it
    /// may have been before, from another address.
    Admitted {
        /// The destination.
        destination: usize,
        /// Where its datagrams go.
        address: SocketAddr,
    },
    /// Nothing more goes to this destination.
    Left {
        /// The destination.
        destination: usize,
        /// Why.
        reason: LeaveReason,
    },
    /// There is no slot for the viewer at an address.
    Rejected {
        /// The address.
        address: SocketAddr,
    },
    /// It is known how large datagrams the path to a destination carries, or that it
    /// carries none as large as before.
    PathMtu {
        /// The destination.
        destination: usize,
        /// The largest datagram, in bytes of UDP payload.
        datagram: usize,
        /// What was told of it before.
        before: Option<usize>,
    },
}

/// Why a viewer is served no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaveReason {
    /// It said so.
    Bye,
    /// It has said nothing for [`SILENCE`](super::SILENCE).
    Silent,
    /// Another one has its slot: all were taken, and most of them by viewers of
    /// one address.
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
