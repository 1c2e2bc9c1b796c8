//! One-way delay between two clocks that need not agree: only its changes are meaningful.

use std::time::Duration;

use crate::seq::PacketNumber;
use crate::time::SenderTime;

/// The least delay is taken over this window and the previous one: long enough for queues to empty
/// once, short enough for clock drift not to matter.
const WINDOW: Duration = Duration::from_secs(10);

/// The one-way delay of one stream's packets, in microseconds.
#[derive(Debug, Default)]
pub(super) struct OneWayDelay {
    /// The newest packet's send time, number and delay.
    newest: Option<((SenderTime, PacketNumber), i128)>,
    smoothed: f64,
    /// The newest packet's delay above the least.
    excess: f64,
    least: Option<(i128, i128)>,
    window_ends: Duration,
}

impl OneWayDelay {
    /// Records a packet. Returns how much later it arrived than one sent after it; zero if it is in
    /// order. Equal send times are ordered by packet number.
    pub(super) fn record(
        &mut self,
        sent: SenderTime,
        number: PacketNumber,
        arrival: Duration,
    ) -> Duration {
        let delay = sent.transit(arrival);
        let late = match self.newest {
            Some((newest, its)) if (sent, number) < newest => delay - its,
            _ => {
                self.newest = Some(((sent, number), delay));
                0
            }
        };
        let (before, now) = self.least.unwrap_or((delay, delay));
        if arrival >= self.window_ends {
            self.window_ends = arrival + WINDOW;
            self.least = Some((now, delay));
        } else {
            self.least = Some((before, now.min(delay)));
        }
        let above = (delay - self.floor().unwrap_or(delay)).max(0) as f64;
        self.excess = above;
        self.smoothed += (above - self.smoothed) / 16.0;
        Duration::from_micros(u64::try_from(late).unwrap_or(0))
    }

    /// The recent delay above the least: the sign of a queue that fills.
    pub(super) fn queueing(&self) -> Duration {
        Duration::from_micros(self.smoothed as u64)
    }

    /// An estimate of how long the newest packet waited in queues.
    pub(super) fn excess(&self) -> Duration {
        Duration::from_micros(self.excess as u64)
    }

    /// How much later a packet arrived than one as fast as the fastest would have.
    pub(super) fn above_least(&self, sent: SenderTime, arrival: Duration) -> Duration {
        let delay = sent.transit(arrival);
        let above = delay - self.floor().unwrap_or(delay);
        Duration::from_micros(u64::try_from(above).unwrap_or(0))
    }

    fn floor(&self) -> Option<i128> {
        self.least.map(|(before, now)| before.min(now))
    }
}
