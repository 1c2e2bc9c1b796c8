//! The framegram protocol: encoded frames in, datagrams out, and back again.
//!
//! This crate knows no clock, thread, socket, file, pixel or window. Time comes
//! in as a [`Duration`](std::time::Duration) on a monotonic clock, datagrams go
//! in and out as bytes, random numbers come in as arguments.

#![deny(missing_docs)]

pub mod chunk;
pub mod fec;
pub mod frame;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod jpeg;
mod nack;
pub mod prefix;
pub mod reassembly;
pub mod receiver;
pub mod sender;
pub mod seq;
pub mod slices;
pub mod stats;
pub mod wire;

pub use frame::Frame;
pub use receiver::Receiver;
pub use sender::Sender;
pub use seq::{FrameNumber, PacketNumber};
pub use stats::Statistics;
