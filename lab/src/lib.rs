//! The laboratory: tools that measure the protocol without being part of it. The
//! protocol crate does not know them.
//!
//! - [`impair`]: simulates an impaired network, in virtual time or in front of
//!   a socket, and logs what it does.
//! - [`check`]: compares a report with such logs.
//! - [`trace`]: records which datagrams arrived when.
//! - [`what_if`]: replays a trace with other settings; [`replay`] prints the
//!   result.
//! - [`timecode`]: number and time of a frame as a bar code in its corner;
//!   [`analyze`] reads them from a recording.
//! - [`thresholds`]: conditions that make a run fail.

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
pub mod what_if;
