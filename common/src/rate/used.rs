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
    /// Those before that no later one exceeds: when they ended, and their bytes a second, which
    /// fall from one to the next.
    before: VecDeque<(Duration, f64)>,
}

impl UsedRate {
    /// Takes what is sent now in a train.
    pub(super) fn record(&mut self, train: u64, bytes: usize, now: Duration) {
        if train != self.train && self.bytes > 0 {
            let took = now.saturating_sub(self.began);
            let rate = self.rate(took);
            while self
                .before
                .back()
                .is_some_and(|(_, before)| *before <= rate)
            {
                self.before.pop_back();
            }
            while let Some((at, _)) = self.before.front()
                && (self.before.len() >= MAX_TRAINS || is_past(*at, now))
            {
                self.before.pop_front();
            }
            self.before.push_back((now, rate));
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
        // It is asked for each packet.
        let mut recent = self.before.iter().filter(|(at, _)| !is_past(*at, now));
        let took = now.saturating_sub(self.began);
        let newest = self.rate(took.max(self.interval.unwrap_or(INTERVAL)));
        recent.next().map_or(newest, |(_, rate)| newest.max(*rate))
    }
}

/// Whether a train that ended then counts no more.
fn is_past(at: Duration, now: Duration) -> bool {
    now.saturating_sub(at) >= REMEMBERED
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_is_that_of_all_trains_of_the_last_ten_seconds() {
        let mut random = fastrand::Rng::with_seed(1);
        let (mut used, mut all) = (UsedRate::default(), Vec::new());
        let mut now = Duration::from_secs(5);
        used.record(0, 1_000, now);
        for train in 1..2_000 {
            let (began, bytes, interval) = (used.began, used.bytes, used.interval);
            now += Duration::from_millis(random.u64(20..60));
            used.record(train, random.usize(100..50_000), now);
            let least = interval.unwrap_or(INTERVAL).min(INTERVAL) / 2;
            all.push((now, bytes as f64 / (now - began).max(least).as_secs_f64()));
            let counted = all.iter().filter(|(at, _)| now - *at < REMEMBERED);
            let most = counted.map(|(_, rate)| *rate).fold(0.0, f64::max);
            let newest = used.rate(used.interval.unwrap());
            assert_eq!(used.most(now), newest.max(most));
        }
        assert!(used.before.len() < 100);
    }
}
