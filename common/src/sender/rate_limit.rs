//! Limits the bytes to one destination in any second, however they are distributed over it.

use std::collections::VecDeque;
use std::time::Duration;

/// The period of the limit.
const WINDOW: Duration = Duration::from_secs(1);

/// Bytes within one such step are remembered as one sum, as if they had been sent at its end. So
/// there are at most a thousand sums, and the limit is never exceeded.
const STEP: Duration = Duration::from_millis(1);

/// What was sent to one destination within the last second.
#[derive(Clone, Debug)]
pub(super) struct RateLimit {
    most: u64,
    /// The end of each step, and the bytes sent in it.
    sent: VecDeque<(Duration, u64)>,
    sum: u64,
}

impl RateLimit {
    /// For at most this many bytes in any second.
    pub(super) fn new(most: u64) -> Self {
        Self {
            most,
            sent: VecDeque::new(),
            sum: 0,
        }
    }

    /// Changes the limit; what was already sent counts.
    pub(super) fn set(&mut self, most: u64) {
        self.most = most;
    }

    /// Records bytes of any kind that are sent now.
    pub(super) fn spend(&mut self, bytes: u64, now: Duration) {
        if bytes == 0 {
            return;
        }
        self.forget(now);
        // By the remainder of the step, not by counting steps: a 32-bit count overflows after seven
        // weeks of uptime.
        let into = Duration::from_nanos((now.as_nanos() % STEP.as_nanos()) as u64);
        let end = now - into + STEP;
        match self.sent.back_mut() {
            Some((last, sum)) if *last >= end => *sum += bytes,
            _ => self.sent.push_back((end, bytes)),
        }
        self.sum += bytes;
    }

    /// Bytes that may be sent, once old ones are forgotten: at least one `first` datagram of this
    /// length, since one always passes.
    pub(super) fn room(&self, first: u64) -> u64 {
        if self.sent.is_empty() {
            return self.most.max(first);
        }
        self.left()
    }

    /// Bytes that may be sent, once old ones are forgotten.
    pub(super) fn left(&self) -> u64 {
        self.most.saturating_sub(self.sum)
    }

    /// When this many bytes may be sent.
    pub(super) fn free_at(&self, bytes: u64) -> Duration {
        let mut sum = self.sum;
        let mut free = Duration::ZERO;
        for (end, sent) in &self.sent {
            if sum + bytes <= self.most {
                break;
            }
            sum -= sent;
            free = *end + WINDOW;
        }
        free
    }

    /// Forgets what was sent more than a second ago.
    pub(super) fn forget(&mut self, now: Duration) {
        while let Some((end, bytes)) = self.sent.front().copied() {
            if end + WINDOW > now {
                break;
            }
            self.sum -= bytes;
            self.sent.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;

    use super::*;

    const MOST: u64 = 100_000;
    const DAY: Duration = Duration::from_secs(86_400);

    #[test]
    fn no_second_holds_more_however_long_the_machine_has_been_up() {
        let uptimes = [
            Duration::ZERO,
            Duration::from_secs(1_000),
            49 * DAY,
            60 * DAY,
            30 * 365 * DAY,
            Duration::from_micros(u64::MAX) - DAY,
        ];
        for uptime in uptimes {
            holds_from(uptime);
        }
    }

    fn holds_from(uptime: Duration) {
        let mut rng = Rng::with_seed(3);
        let mut limit = RateLimit::new(MOST);
        let (mut now, mut log) = (uptime, Vec::new());
        for _ in 0..20_000 {
            now += Duration::from_micros(rng.u64(..3_000));
            let bytes = rng.u64(100..1_452);
            limit.forget(now);
            if bytes <= limit.room(bytes) {
                limit.spend(bytes, now);
                log.push((now, bytes));
            } else {
                let free = limit.free_at(bytes);
                assert!(free > now && free <= now + WINDOW + STEP);
                let mut then = limit.clone();
                then.forget(free);
                assert!(then.room(bytes) >= bytes);
            }
            assert!(limit.sent.len() <= 1_002);
        }
        let mut most = 0;
        for (at, (end, _)) in log.iter().enumerate() {
            let within = log[..=at].iter().rev();
            let within = within.take_while(|(sent, _)| *sent + WINDOW > *end);
            most = most.max(within.map(|(_, bytes)| bytes).sum::<u64>());
        }
        assert!(most <= MOST && most > MOST - 3_000, "{most}");
    }

    #[test]
    fn a_datagram_above_the_limit_may_be_sent_once_the_window_is_empty() {
        let mut limit = RateLimit::new(2_000);
        let second = Duration::from_secs(1);
        limit.spend(500, second);
        assert_eq!(limit.free_at(5_000), 2 * second + STEP);
        limit.forget(3 * second);
        // One datagram, not as many small ones as would fit the largest.
        assert_eq!(limit.room(5_000), 5_000);
        assert_eq!(limit.room(100), 2_000);
        // To send nothing leaves it so.
        limit.spend(0, 3 * second);
        assert_eq!(limit.room(5_000), 5_000);
    }

    #[test]
    fn a_lower_limit_counts_what_was_sent_before() {
        let second = Duration::from_secs(1);
        let mut limit = RateLimit::new(5_000);
        limit.spend(3_000, second);
        limit.set(3_500);
        assert_eq!(limit.left(), 500);
        limit.set(1_000);
        assert_eq!(limit.left(), 0);
        assert_eq!(limit.free_at(100), 2 * second + STEP);
    }
}
