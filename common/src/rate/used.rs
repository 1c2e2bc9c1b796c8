//! The part of its rate that a stream uses.

use std::time::Duration;

/// Bytes are summed over this time.
const WINDOW: Duration = Duration::from_millis(200);

/// Number of such windows that count, so that a short pause is forgotten.
const WINDOWS: usize = 5;

/// Recently sent bytes per second.
#[derive(Debug, Default)]
pub(super) struct UsedRate {
    began: Duration,
    bytes: u64,
    /// The bytes of the newest windows, as a ring.
    before: [u64; WINDOWS],
    next: usize,
}

impl UsedRate {
    /// Records bytes that are sent now.
    pub(super) fn record(&mut self, bytes: usize, now: Duration) {
        if now.saturating_sub(self.began) >= WINDOW {
            self.before[self.next % WINDOWS] = self.bytes;
            self.next = (self.next + 1) % WINDOWS;
            (self.began, self.bytes) = (now, 0);
        }
        self.bytes += bytes as u64;
    }

    /// The largest of the newest windows, in bytes per second.
    pub(super) fn most(&self) -> f64 {
        let most = self.before.iter().max().copied().unwrap_or(0);
        most.max(self.bytes) as f64 / WINDOW.as_secs_f64()
    }
}
