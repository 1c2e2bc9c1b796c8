//! The framegram protocol: encoded frames in, datagrams out, and back again.
//!
//! This crate knows no clock, thread, socket, file, pixel or window. Time, datagrams and random
//! numbers are arguments. Time is a [`Duration`](std::time::Duration) on a monotonic clock.
//!
//! A [`Sender`] turns encoded frames into datagrams, a [`Receiver`] turns datagrams into frames.
//! Both are state machines: input goes into `handle_*`. After each input, call `poll_output` until
//! it returns the time of the next call.
//!
//! A viewer over a socket; `random` returns a random number, for example from the crate `getrandom`:
//!
//! ```no_run
//! use std::net::UdpSocket;
//! use std::time::{Duration, Instant};
//!
//! use framegram_common::{Receiver, ReceiverConfig, ReceiverEvent, ReceiverOutput, SinkOutcome};
//!
//! # fn random() -> u64 { 0 }
//! # fn main() -> std::io::Result<()> {
//! let socket = UdpSocket::bind("0.0.0.0:5005")?;
//! let clock = Instant::now();
//! let (config, secret) = (ReceiverConfig::default(), (random(), random()));
//! let mut receiver = Receiver::new(config, random(), secret, clock.elapsed());
//! let mut buffer = [0; 65_536];
//! loop {
//!     let now = clock.elapsed();
//!     receiver.handle_timeout(now);
//!     let due = loop {
//!         match receiver.poll_output(now) {
//!             ReceiverOutput::Frame(frame) => {
//!                 println!("frame {}: {} bytes", frame.id.number.0, frame.jpeg.len());
//!                 receiver.handle_outcome(frame.id, SinkOutcome::Shown { at: now });
//!             }
//!             // A report that is lost is followed by another.
//!             ReceiverOutput::Transmit(it) => drop(socket.send_to(&it.datagram, it.to)),
//!             ReceiverOutput::Event(ReceiverEvent::Ended { .. }) => return Ok(()),
//!             ReceiverOutput::Event(_) | ReceiverOutput::Record(_) => {}
//!             ReceiverOutput::Timeout(due) => break due,
//!         }
//!     };
//!     let wait = due.map_or(Duration::from_secs(1), |due| due.saturating_sub(now));
//!     socket.set_read_timeout(Some(wait.max(Duration::from_micros(1))))?;
//!     if let Ok((len, from)) = socket.recv_from(&mut buffer) {
//!         receiver.handle_datagram(from, &buffer[..len], clock.elapsed());
//!     }
//! }
//! # }
//! ```
//!
//! What the program does with a frame is up to it: `jpeg` is a complete JPEG, and
//! [`stale`](receiver::ReceivedFrame::stale) lists the areas that did not arrive. It passes the
//! outcome of each frame back. [`Receiver::statistics`] has the figures, also by outcome.
//!
//! Further inputs are optional: [`Receiver::connect`] requests the stream of a sender that listens,
//! [`Receiver::handle_socket_drops`] distinguishes datagrams dropped by this machine from those lost
//! on the network, [`Receiver::handle_rtcp_datagram`] takes RTCP from the next port. The crate
//! `framegram-seal` encrypts; it stands between socket and state machine.
//!
//! The examples `send` and `view` are complete programs. Both sides in virtual time, over a link
//! that loses every tenth datagram:
//!
//! ```
//! use std::net::SocketAddr;
//! use std::time::Duration;
//!
//! use bytes::Bytes;
//! use framegram_common::{
//!     Receiver, ReceiverConfig, ReceiverOutput, Sender, SenderConfig, SenderOutput, SinkOutcome,
//! };
//!
//! let from = SocketAddr::from(([192, 0, 2, 1], 5005));
//! // A program draws the numbers of stream and viewer and the secret at random.
//! let mut sender = Sender::new(SenderConfig::default(), 1, Duration::ZERO);
//! let mut receiver = Receiver::new(ReceiverConfig::default(), 2, (3, 4), Duration::ZERO);
//! let (mut out, mut sent, mut shown) = (Vec::new(), 0, 0);
//! for tick in 0..2_000 {
//!     let now = Duration::from_millis(tick);
//!     if tick % 33 == 0 && tick / 33 < 50 {
//!         let jpeg = Bytes::from(vec![0; 20_000]);
//!         sender.handle_frame(jpeg, now, None, now)?;
//!     }
//!     loop {
//!         match sender.poll_output(now, &mut out) {
//!             SenderOutput::Transmit(transmit) => {
//!                 for datagram in out.chunks(transmit.segment) {
//!                     sent += 1;
//!                     if sent % 10 != 0 {
//!                         receiver.handle_datagram(from, datagram, now);
//!                     }
//!                 }
//!             }
//!             SenderOutput::Timeout(_) => break,
//!             other => unreachable!("nobody connects: {other:?}"),
//!         }
//!     }
//!     receiver.handle_timeout(now);
//!     loop {
//!         match receiver.poll_output(now) {
//!             ReceiverOutput::Frame(frame) => {
//!                 shown += 1;
//!                 receiver.handle_outcome(frame.id, SinkOutcome::Shown { at: now });
//!             }
//!             ReceiverOutput::Transmit(it) => sender.handle_datagram(0, &it.datagram, now),
//!             ReceiverOutput::Event(_) | ReceiverOutput::Record(_) => {}
//!             ReceiverOutput::Timeout(_) => break,
//!         }
//!     }
//! }
//! assert_eq!(shown, 50);
//! # Ok::<(), framegram_common::FrameError>(())
//! ```

#![deny(missing_docs)]

pub mod chunk;
pub mod fec;
pub mod frame;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod jpeg;
mod nack;
pub mod prefix;
pub mod rate;
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
