//! The framegram protocol: encoded frames in, datagrams out, and back again.
//!
//! This crate knows no thread, pixel or window; no clock but in [`os`], and no
//! socket but in `udp`. Time comes in as a [`Duration`](std::time::Duration) on
//! the machine's monotonic clock, datagrams go in and out as bytes.

pub mod caller;
pub mod chunk;
pub mod fec;
pub mod frame;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod gallery;
pub mod jpeg;
pub mod ledger;
pub mod listener;
pub mod mdns;
pub mod os;
pub mod prefix;
pub mod reassembly;
pub mod receiver;
pub mod report;
pub mod sender;
pub mod seq;
pub mod slices;
pub mod statistics;
pub mod timeline;
pub mod udp;
pub mod wire;

pub use frame::Frame;
pub use listener::Listener;
pub use receiver::Receiver;
pub use sender::Sender;
pub use seq::{FrameNumber, PacketNumber};
pub use statistics::Statistics;
