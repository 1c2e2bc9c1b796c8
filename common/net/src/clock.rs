//! The clocks of this machine, and an identifier of the monotonic clock.

use std::ffi::OsString;
use std::fs;
use std::hash::Hasher;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::sync::LazyLock;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use siphasher::sip::SipHasher24;

/// The monotonic clock. All programs of one boot share it.
pub fn now() -> Duration {
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from)
}

/// The wall clock (time since 1970, UTC) minus the monotonic clock.
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
pub fn clock_id(stream: u64) -> Option<u64> {
    let clock = CLOCK.as_ref()?;
    let mut hasher = SipHasher24::new_with_key(&clock.boot.to_be_bytes());
    hasher.write_u64(stream);
    hasher.write(clock.namespace.as_bytes());
    Some(hasher.finish())
}

/// Reads the files that [`clock_id`] depends on, so that it opens none itself.
pub fn prepare_clock_id() {
    LazyLock::force(&CLOCK);
}

static CLOCK: LazyLock<Option<SystemClock>> = LazyLock::new(SystemClock::read);

/// The monotonic clock that this program uses.
struct SystemClock {
    boot: u128,
    /// Empty if the kernel has no time namespaces.
    namespace: OsString,
}

impl SystemClock {
    fn read() -> Option<Self> {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        let boot = u128::from_str_radix(&boot.trim().replace('-', ""), 16).ok()?;
        let namespace = match fs::read_link("/proc/self/ns/time") {
            Ok(namespace) => namespace.into_os_string(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => OsString::new(),
            Err(_) => return None,
        };
        Some(Self { boot, namespace })
    }
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
