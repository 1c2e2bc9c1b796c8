//! Times on the other side's clock.
//!
//! Each side has its own monotonic clock, and their offset is unknown at first.
//! Local times (`now`) are a [`Duration`] since an origin that the program
//! chooses. Times on the sender's clock are a [`SenderTime`], so that the two
//! cannot be confused.

use std::time::Duration;

/// A time on the sender's monotonic clock, in whole microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SenderTime(u64);

impl SenderTime {
    /// A time given in microseconds after the origin of the sender's clock, as on
    /// the wire.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the origin of the sender's clock.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Time since `earlier`; zero if `earlier` is later.
    pub const fn saturating_sub(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// Microseconds from this time to a local one. The value includes the clock
    /// offset, so only differences between such values are meaningful.
    pub const fn transit(self, local: Duration) -> i128 {
        local.as_micros() as i128 - self.0 as i128
    }
}

impl std::ops::Add<Duration> for SenderTime {
    type Output = Self;

    fn add(self, passed: Duration) -> Self {
        let passed = u64::try_from(passed.as_micros()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(passed))
    }
}
