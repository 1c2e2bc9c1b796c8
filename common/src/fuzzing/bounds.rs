//! The bounds of a run, and the names of those who take part.

use std::net::SocketAddr;
use std::time::Duration;

/// Upper bound on the operations of one list. Longer lists find nothing more.
pub(super) const MAX_OPERATIONS: usize = 300;

/// Upper bound on outputs without time advancing. A machine with more never comes to rest.
pub(super) const MAX_TURNS: usize = 5_000;

/// Statistics are taken after every this many operations, and after the last one: they cost more
/// than the operations themselves.
pub(super) const STATISTICS_EVERY: usize = 16;

/// The limit of senders that have one, in bits per second: little more than the control reserve, so
/// that frames wait.
pub(super) const BITRATE: u64 = 12_000;

pub(super) const START: Duration = Duration::from_secs(100);
pub(super) const STREAM: u64 = 7;
pub(super) const VIEWER: u64 = 9;

pub(super) fn address(host: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, host], 5_000))
}
