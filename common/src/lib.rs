//! The framegram protocol: encoded frames in, datagrams out, and back again.
//!
//! This crate knows no thread, pixel or window; no clock but in [`os`], and no
//! socket but in `udp`. Time comes in as a [`Duration`](std::time::Duration) on
//! the machine's monotonic clock, datagrams go in and out as bytes.

pub mod frame;
pub mod os;
pub mod seq;
pub mod statistics;
pub mod udp;
pub mod wire;

pub use frame::Frame;
pub use seq::{FrameNumber, PacketNumber};
pub use statistics::Statistics;
