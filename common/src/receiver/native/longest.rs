//! The longest recent datagram, which tells the sender what the path carries.

use std::time::Duration;

/// Length of each of the two windows.
const WINDOW: Duration = Duration::from_millis(100);

/// The longest datagrams in this window and the one before, in bytes.
#[derive(Debug, Default)]
pub(super) struct Longest {
    ends: Duration,
    windows: [usize; 2],
    ever: usize,
}

impl Longest {
    /// Records a datagram. Returns whether it is the longest recent one.
    pub(super) fn record(&mut self, len: usize, now: Duration) -> bool {
        let before = self.at(now);
        self.windows[1] = self.windows[1].max(len);
        self.ever = self.ever.max(len);
        len > before
    }

    /// The longest of all time.
    pub(super) fn ever(&self) -> usize {
        self.ever
    }

    /// The longest recent one.
    pub(super) fn at(&mut self, now: Duration) -> usize {
        if now >= self.ends {
            let is_next = now.saturating_sub(self.ends) < WINDOW;
            self.windows = [if is_next { self.windows[1] } else { 0 }, 0];
            self.ends = now + WINDOW;
        }
        self.windows.into_iter().max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_counts_as_recent_for_one_to_two_windows() {
        let (mut longest, ms) = (Longest::default(), Duration::from_millis);
        assert!(longest.record(1_000, ms(500)));
        assert!(!longest.record(1_000, ms(550)) && !longest.record(900, ms(599)));
        assert_eq!(longest.at(ms(600)), 1_000);
        assert!(longest.record(1_400, ms(650)));
        assert_eq!(longest.at(ms(799)), 1_400);
        assert_eq!(longest.at(ms(899)), 0);
        assert_eq!(longest.ever(), 1_400);
    }
}
