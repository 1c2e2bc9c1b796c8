//! Time on the way, on two clocks that need not agree: only its changes mean
//! something.

use std::time::Duration;

use crate::seq::PacketNumber;

/// The least transit is taken over this, and the time before: long enough for
/// a queue to have been empty once, short enough for clocks not to drift.
const WINDOW: Duration = Duration::from_secs(10);

/// The transit of one stream's packets, in microseconds.
#[derive(Debug, Default)]
pub(super) struct Transit {
    /// When the newest packet was sent, its number, and its transit.
    newest: Option<((u64, u64), i128)>,
    smoothed: f64,
    /// The transit of the newest packet above the least.
    excess: f64,
    least: Option<(i128, i128)>,
    window_ends: Duration,
}

impl Transit {
    /// Takes a packet with this number sent at `sent` microseconds of the
    /// sender's clock. Returns by how much it was later than the newest one
    /// sent before it arrived; of those that left at once, by their numbers.
    pub(super) fn note(&mut self, sent: u64, number: PacketNumber, arrival: Duration) -> Duration {
        let transit = arrival.as_micros() as i128 - i128::from(sent);
        let late = match self.newest {
            Some((newest, its)) if (sent, number.0) < newest => transit - its,
            _ => {
                self.newest = Some(((sent, number.0), transit));
                0
            }
        };
        let (before, now) = self.least.unwrap_or((transit, transit));
        if arrival >= self.window_ends {
            self.window_ends = arrival + WINDOW;
            self.least = Some((now, transit));
        } else {
            self.least = Some((before, now.min(transit)));
        }
        let above = (transit - self.floor().unwrap_or(transit)).max(0) as f64;
        self.excess = above;
        self.smoothed += (above - self.smoothed) / 16.0;
        Duration::from_micros(u64::try_from(late).unwrap_or(0))
    }

    /// The transit of late above the least: a queue that fills.
    pub(super) fn queueing(&self) -> Duration {
        Duration::from_micros(self.smoothed as u64)
    }

    /// What the newest packet waited for in queues, as far as one can tell.
    pub(super) fn excess(&self) -> Duration {
        Duration::from_micros(self.excess as u64)
    }

    fn floor(&self) -> Option<i128> {
        self.least.map(|(before, now)| before.min(now))
    }
}
