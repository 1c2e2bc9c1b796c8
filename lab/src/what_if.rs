//! Predicts the result of a traced stream with other settings.
//!
//! Runs the real [`Sender`](framegram_common::Sender) and
//! [`Receiver`](framegram_common::Receiver) in virtual time, with frames of the
//! traced sizes and times, over a path that behaves like the traced one. The
//! assumptions:
//!
//! - A chunk sent at the same time as in the trace has the same outcome.
//! - At least [`LEAST_RUN`] consecutive datagrams lost over at least
//!   [`LEAST_OUTAGE`] are an outage. It takes everything sent during it, and
//!   nothing sent before or after.
//! - All other packets, including parity and retransmissions, are lost by a
//!   two-state chain with the given seed. It has the share of loss around that
//!   time and the trace's mean run length. Each packet takes as long as one of
//!   the datagrams just before it.
//! - Feedback is lost and delayed in the same way.
//! - The path does not depend on what is sent: queues never fill up.
//!
//! The content of frames is not known, so only complete frames count.

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

/// Minimum number of consecutive lost datagrams in an outage; fewer are chance.
pub const LEAST_RUN: usize = 3;

/// Minimum duration of an outage: longer than one step of the pacer.
pub const LEAST_OUTAGE: Duration = Duration::from_millis(2);

/// The settings to try.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Setting {
    /// Parity.
    pub fec: Fec,
    /// RTT of retransmissions; `None` without retransmission.
    pub rtt: Option<Duration>,
    /// Playout delay.
    pub latency: Duration,
    /// Whether the datagrams of a frame are spread over time.
    pub pace: bool,
}

/// The predicted result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prediction {
    /// Frames sent.
    pub frames: u64,
    /// Frames that were complete in time.
    pub complete: u64,
    /// UDP payload sent, in bytes.
    pub bytes: u64,
    /// JPEG bytes of the frames.
    pub jpeg: u64,
}

impl Prediction {
    /// Bytes sent per byte of JPEG.
    pub fn overhead(&self) -> f64 {
        self.bytes as f64 / self.jpeg.max(1) as f64
    }
}

#[cfg(test)]
mod tests;
