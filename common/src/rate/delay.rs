//! The least delay of a path, between two clocks that need not agree.

use std::time::Duration;

/// The least delay is taken over this window and the previous one: long enough for queues to empty
/// once, short enough for clock drift not to matter.
const WINDOW: Duration = Duration::from_secs(10);

/// The recent least delay.
#[derive(Debug, Default)]
pub(super) struct BaseDelay {
    /// In the previous window, and in this one.
    least: Option<(i64, i64)>,
    ends: Duration,
}

impl BaseDelay {
    /// Records a packet's delay in microseconds. While the least is `held`, it does not grow.
    pub(super) fn record(&mut self, delay: i64, held: bool, now: Duration) {
        let (before, this) = self.least.unwrap_or((delay, delay));
        if held {
            self.ends = now + WINDOW;
        }
        if now >= self.ends {
            self.ends = now + WINDOW;
            self.least = Some((this, delay));
        } else {
            self.least = Some((before, this.min(delay)));
        }
    }

    /// Raises the least: the path takes this many microseconds longer than before.
    pub(super) fn raise(&mut self, by: i64) {
        let raise =
            |(before, this): (i64, i64)| (before.saturating_add(by), this.saturating_add(by));
        self.least = self.least.map(raise);
    }

    /// The least delay in microseconds.
    pub(super) fn least(&self) -> Option<i64> {
        self.least.map(|(before, this)| before.min(this))
    }

    /// The part of a delay above the least, in microseconds.
    pub(super) fn above(&self, delay: i64) -> i64 {
        let least = self.least();
        least.map_or(0, |least| delay.saturating_sub(least).max(0))
    }
}
