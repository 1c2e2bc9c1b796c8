//! What a stream needs of its rate.

use std::time::Duration;

/// What was sent is summed up over this.
const WINDOW: Duration = Duration::from_millis(200);

/// How many such windows count: a short pause is forgotten.
const WINDOWS: usize = 5;

/// Bytes a second that were sent of late.
#[derive(Debug, Default)]
pub(super) struct UsedRate {
    began: Duration,
    bytes: u64,
    /// The newest windows' bytes, in turn.
    before: [u64; WINDOWS],
    next: usize,
}

impl UsedRate {
    /// Takes what is sent now.
    pub(super) fn record(&mut self, bytes: usize, now: Duration) {
        if now.saturating_sub(self.began) >= WINDOW {
            self.before[self.next % WINDOWS] = self.bytes;
            self.next = (self.next + 1) % WINDOWS;
            (self.began, self.bytes) = (now, 0);
        }
        self.bytes += bytes as u64;
    }

    /// The most of the newest windows, in bytes a second.
    pub(super) fn most(&self) -> f64 {
        let most = self.before.iter().max().copied().unwrap_or(0);
        most.max(self.bytes) as f64 / WINDOW.as_secs_f64()
    }
}
