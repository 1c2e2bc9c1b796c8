//! What only the machine can tell: its monotonic clock and whether another
//! program runs on the same boot of it. The one file that may ask.

use std::hash::Hasher;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use siphasher::sip::SipHasher24;

/// The machine's monotonic clock: the same for every program of one boot.
#[must_use]
pub fn now() -> Duration {
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from)
}

/// What the wall clock (time since 1970, UTC) is ahead of the monotonic one.
#[must_use]
pub fn wall_offset() -> Duration {
    let wall = clock_gettime(ClockId::CLOCK_REALTIME).map_or(Duration::ZERO, Duration::from);
    wall.saturating_sub(now())
}

/// An unpredictable 64-bit number, for naming streams and viewers.
///
/// # Panics
/// Where the system has no source of random numbers.
#[must_use]
pub fn random_u64() -> u64 {
    getrandom::u64().expect("the system has no random numbers")
}

/// A number that two programs agree on exactly when they read one monotonic
/// clock (they run on the same boot of the same machine, and in one time
/// namespace of it) and talk about the same `stream`; it does not reveal the
/// machine's own identity. `None` where the system does not tell.
#[must_use]
pub fn boot_mark(stream: u64) -> Option<u64> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let key = u128::from_str_radix(&boot.trim().replace('-', ""), 16).ok()?;
    let mut hasher = SipHasher24::new_with_key(&key.to_be_bytes());
    hasher.write_u64(stream);
    match std::fs::read_link("/proc/self/ns/time") {
        Ok(namespace) => hasher.write(namespace.as_os_str().as_bytes()),
        // A kernel without time namespaces.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(_) => return None,
    }
    Some(hasher.finish())
}
