//! What would have become of a traced stream with other settings.
//!
//! The real [`Sender`](framegram_common::Sender) and
//! [`Receiver`](framegram_common::Receiver) are run in virtual time, with frames of the
//! sizes and times of the trace, over a path that does what the traced one
//! did. What is assumed of it:
//!
//! - A chunk that is sent when it was sent in the trace meets what it met there.
//! - Where at least [`LEAST_RUN`] datagrams in a row were lost over
//!   [`LEAST_OUTAGE`] or longer, the path was out: whatever is sent meanwhile
//!   is lost, whatever is sent before or after is not lost by it.
//! - Everything else, parity and retransmissions too, is lost by a chain of two
//!   states, drawn with the seed, with the share of loss around that time and
//!   the trace's mean length of runs; it takes as long on the way as one of
//!   the datagrams just before it.
//! - What goes back fares like that too.
//! - The path does not mind what is sent: a queue that would have filled is
//!   not known.
//!
//! Contents are not known either, so only whole frames count.

mod drive;
mod layout;
mod path;
mod replay;
mod slots;
mod stream_index;
mod traced_stream;

use std::time::Duration;

pub use replay::replay;
pub use traced_stream::{Completeness, TracedStream, TracedStreamError};

use framegram_common::fec::Fec;

/// The fewest datagrams lost in a row that can be an outage: fewer are chance.
pub const LEAST_RUN: usize = 3;

/// The shortest outage: longer than one step of the pacer.
pub const LEAST_OUTAGE: Duration = Duration::from_millis(2);

/// What is tried.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Setting {
    /// Parity.
    pub fec: Fec,
    /// The round trip of requests; `None` without them.
    pub requests: Option<Duration>,
    /// How long an incomplete frame is waited for.
    pub latency: Duration,
    /// Whether a frame's datagrams are spread.
    pub pace: bool,
}

/// What comes of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prediction {
    /// Frames sent.
    pub frames: u64,
    /// Of these, whole in time.
    pub whole: u64,
    /// UDP payload sent.
    pub bytes: u64,
    /// Bytes of the JPEGs.
    pub jpeg: u64,
}

impl Prediction {
    /// Bytes sent for each byte of JPEG.
    #[must_use]
    pub fn overhead(&self) -> f64 {
        self.bytes as f64 / self.jpeg.max(1) as f64
    }
}

#[cfg(test)]
mod tests;
