//! The framegram protocol: encoded frames in, datagrams out, and back again.
//!
//! This crate knows no clock, thread, socket, file, pixel or window. Time comes
//! in as a [`Duration`](std::time::Duration) on a monotonic clock, datagrams go
//! in and out as bytes, random numbers come in as arguments.
//!
//! A [`Sender`] takes encoded frames and gives datagrams; a [`Receiver`] takes
//! datagrams and gives frames. Both are state machines: inputs are `handle_*`,
//! outputs `poll_*`. Here a link joins them that loses every tenth datagram:
//!
//! ```
//! use std::net::SocketAddr;
//! use std::time::Duration;
//!
//! use bytes::Bytes;
//! use framegram_common::receiver::{self, Output, Receiver, SinkOutcome};
//! use framegram_common::sender::{self, Sender};
//!
//! let from = SocketAddr::from(([192, 0, 2, 1], 5005));
//! // A program draws the numbers of stream and viewer at random.
//! let mut sender = Sender::new(sender::Config::default(), 1, Duration::ZERO);
//! let mut receiver = Receiver::new(receiver::Config::default(), 2, (1, 2), Duration::ZERO);
//! let (mut out, mut sent, mut shown) = (Vec::new(), 0, 0);
//! for tick in 0..2_000 {
//!     let now = Duration::from_millis(tick);
//!     if tick % 33 == 0 && tick / 33 < 50 {
//!         let jpeg = Bytes::from(vec![0; 20_000]);
//!         sender.handle_frame(jpeg, now, None, now)?;
//!     }
//!     loop {
//!         match sender.poll_output(now, &mut out) {
//!             sender::Output::Transmit(transmit) => {
//!                 for datagram in out.chunks(transmit.segment) {
//!                     sent += 1;
//!                     if sent % 10 != 0 {
//!                         receiver.handle_datagram(from, datagram, now);
//!                     }
//!                 }
//!             }
//!             sender::Output::Timeout(_) => break,
//!             other => unreachable!("nobody connects: {other:?}"),
//!         }
//!     }
//!     receiver.handle_timeout(now);
//!     loop {
//!         match receiver.poll_output(now) {
//!             Output::Frame(frame) => {
//!                 shown += 1;
//!                 receiver.handle_outcome(frame.id, SinkOutcome::Shown { at: now });
//!             }
//!             Output::Transmit(transmit) => sender.handle_datagram(0, &transmit.datagram, now),
//!             Output::Event(_) | Output::Record(_) => {}
//!             Output::Timeout(_) => break,
//!         }
//!     }
//! }
//! assert_eq!(shown, 50);
//! # Ok::<(), sender::FrameError>(())
//! ```
//!
//! The examples `send` and `view` do the same over `std::net::UdpSocket`.

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
pub mod time;
pub mod wire;

pub use frame::Frame;
pub use receiver::{
    Config as ReceiverConfig, Event as ReceiverEvent, Output as ReceiverOutput, Receiver,
    SinkOutcome,
};
pub use sender::{
    Config as SenderConfig, Event as SenderEvent, FrameError, Output as SenderOutput, Sender,
};
pub use seq::{FrameNumber, PacketNumber};
pub use stats::Statistics;
pub use time::SenderTime;
