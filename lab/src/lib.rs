//! The laboratory: what measures the protocol and is no part of it. The
//! protocol crate does not know it.
//!
//! - [`impair`]: what a network does to datagrams, in virtual time or in front
//!   of a socket, with a log of it.
//! - [`check`]: whether a report says what was done on purpose.
//! - [`trace`]: when which datagrams arrived, as a file.
//! - [`what_if`]: a trace replayed with other settings; [`replay`] prints it.
//! - [`timecode`]: a frame's number and time as a bar code in its corner;
//!   [`analyze`] reads them from a recording.
//! - [`tun`]: an impaired path below IP, between two hosts.
//! - [`thresholds`]: figures that fail a run.

pub mod analyze;
pub mod args;
pub mod check;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod impair;
pub mod replay;
pub mod thresholds;
pub mod timecode;
pub mod trace;
pub mod tun;
pub mod what_if;
