//! The part of its rate that a stream uses.

use std::collections::VecDeque;
use std::time::Duration;

/// For how long a train counts.
const REMEMBERED: Duration = Duration::from_secs(10);

/// The most trains that count.
const MAX_TRAINS: usize = 1_024;

/// Time from train to train before it is known: 30 frames a second.
const INTERVAL: Duration = Duration::from_micros(33_333);

/// Bytes a second that were sent of late, train by train.
#[derive(Debug, Default)]
pub(super) struct UsedRate {
    /// The newest train: its number, when it began, its bytes so far.
    train: u64,
    began: Duration,
    bytes: u64,
    interval: Option<Duration>,
    /// Those before: when they ended, and their bytes a second.
    before: VecDeque<(Duration, f64)>,
}

impl UsedRate {
    /// Takes what is sent now in a train.
    pub(super) fn record(&mut self, train: u64, bytes: usize, now: Duration) {
        if train != self.train && self.bytes > 0 {
            let took = now.saturating_sub(self.began);
            if self.before.len() >= MAX_TRAINS {
                self.before.pop_front();
            }
            self.before.push_back((now, self.rate(took)));
            self.interval = Some(took);
            self.bytes = 0;
        }
        if self.bytes == 0 {
            (self.train, self.began) = (train, now);
        }
        self.bytes += bytes as u64;
    }

    /// The newest train's bytes a second, were the next one to begin after this.
    fn rate(&self, took: Duration) -> f64 {
        // Trains that were held back follow each other closely.
        let least = self.interval.unwrap_or(INTERVAL).min(INTERVAL) / 2;
        self.bytes as f64 / took.max(least).as_secs_f64()
    }

    /// The most of the newest trains, in bytes a second.
    pub(super) fn most(&self, now: Duration) -> f64 {
        let recent = self.before.iter().rev();
        let recent = recent.take_while(|(at, _)| now.saturating_sub(*at) < REMEMBERED);
        let took = now.saturating_sub(self.began);
        let newest = self.rate(took.max(self.interval.unwrap_or(INTERVAL)));
        recent.map(|(_, rate)| *rate).fold(newest, f64::max)
    }
}
