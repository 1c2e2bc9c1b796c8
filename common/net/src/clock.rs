//! The clocks of this machine, and an identifier of the monotonic clock.

use std::hash::Hasher;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use siphasher::sip::SipHasher24;

/// The monotonic clock. All programs of one boot share it.
#[must_use]
pub fn now() -> Duration {
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from)
}

/// The wall clock (time since 1970, UTC) minus the monotonic clock.
#[must_use]
pub fn wall_offset() -> Duration {
    wall().saturating_sub(now())
}

/// The wall clock: time since 1970, UTC.
pub(crate) fn wall() -> Duration {
    clock_gettime(ClockId::CLOCK_REALTIME).map_or(Duration::ZERO, Duration::from)
}

/// A number that is equal in two programs if and only if they use the same
/// monotonic clock (same machine, same boot, same time namespace) and pass the
/// same `stream`. It does not reveal the machine's identity. `None` if the system
/// does not tell.
#[must_use]
pub fn clock_id(stream: u64) -> Option<u64> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let key = u128::from_str_radix(&boot.trim().replace('-', ""), 16).ok()?;
    let mut hasher = SipHasher24::new_with_key(&key.to_be_bytes());
    hasher.write_u64(stream);
    match std::fs::read_link("/proc/self/ns/time") {
        Ok(namespace) => hasher.write(namespace.as_os_str().as_bytes()),
        // The kernel has no time namespaces.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(_) => return None,
    }
    Some(hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_of_one_boot_agree_on_a_stream_and_on_no_other() {
        let id = clock_id(7);
        assert!(id.is_some());
        assert_eq!(clock_id(7), id);
        assert_ne!(clock_id(8), id);
    }
}
