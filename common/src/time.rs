//! The clock of the other side.
//!
//! Each side has a monotonic clock of its own, and the two have nothing in common
//! before their offset is known. What this side calls `now` is a [`Duration`]
//! since an origin that its program chooses; a time of the sender's clock is a
//! [`SenderTime`], so that none is taken for the other.

use std::time::Duration;

/// A time on the sender's monotonic clock, in whole microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SenderTime(u64);

impl SenderTime {
    /// This many microseconds after the origin of the sender's clock, as the wire
    /// carries them.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the origin of the sender's clock.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// The time that passed since an earlier one; zero if it is not earlier.
    #[must_use]
    pub const fn saturating_sub(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// From this time to a local one, in microseconds. It contains the offset
    /// between the clocks: only differences of it mean something.
    #[must_use]
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
