//! Whether the path has a token bucket: it passes a burst ahead of its rate, so
//! that what arrives shows nothing of the rate until the bucket is empty.

use std::collections::VecDeque;
use std::time::Duration;

use super::history::Train;

/// A train of which this many bytes passed ahead of the others shows a bucket:
/// four long packets.
const LEAST: f64 = 4.0 * super::PACKET;

/// How many such trains it takes, without one whose packets show no queue but
/// jitter; one of which twice as much did is enough.
const SURE: u32 = 2;

/// A path has no jitter where none of this many packets has overtaken the one before
/// it.
const EVEN: u32 = 32;

/// More than what was carried is tried this long after the bucket was empty, more and
/// more for this long, up to this many times as much: the queue that this makes before
/// it is seen is short.
const AFTER: Duration = Duration::from_millis(700);
const FOR: Duration = Duration::from_millis(300);
const MOST: f64 = 1.5;

/// The rate by what the path carries otherwise: frames rarely fill what they may
/// have.
const USE: f64 = 1.1;

/// By how much more the path carries where it was filled beyond what it was thought
/// to.
const MORE: f64 = 1.25;

/// How often the bucket must have been filled beyond what the path is thought to
/// carry, for it to carry more.
const FILLS: f64 = 2.0;

/// For how long a queue that was seen tells what the path carries.
const RECENT: Duration = Duration::from_secs(2);

/// A token bucket.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    seen: u32,
    /// Packets in a row that do not show jitter.
    even: u32,
    /// The number of the newest train that was taken.
    newest: Option<u64>,
    /// Bytes that it passes ahead of the rate.
    size: f64,
    /// Bytes a second that the path carries.
    carried: f64,
    /// Bytes beyond that since it was empty.
    beyond: f64,
    /// When it was empty.
    empty: Duration,
}

impl Bucket {
    /// Takes the newest trains, the last of which may still grow.
    pub(super) fn record(&mut self, trains: &VecDeque<Train>, now: Duration) {
        for (train, next) in trains.iter().zip(trains.iter().skip(1)) {
            if self.newest.is_none_or(|newest| newest < train.number()) {
                self.newest = Some(train.number());
                self.take(train, next, now);
            }
        }
        if let Some((last, carried)) = trains.back().and_then(|it| Some((it, it.carried()?))) {
            self.fall(last, carried, now);
        }
    }

    /// Takes a train that is followed by another one.
    fn take(&mut self, train: &Train, next: &Train, now: Duration) {
        if train.is_uneven {
            (self.seen, self.even) = (0, 0);
            return;
        }
        self.even = self.even.saturating_add(train.followed);
        let Some(carried) = train.carried() else {
            let took = next.sent.saturating_sub(train.sent);
            let passed = self.carried * took as f64 / 1e6;
            self.beyond = (self.beyond + train.bytes_to(next) as f64 - passed).max(0.0);
            if self.beyond > self.size * FILLS {
                self.carried *= MORE;
                self.beyond = 0.0;
            }
            return;
        };
        if let Some(ahead) = train.ahead().filter(|ahead| *ahead >= LEAST) {
            let more = 1 + u32::from(ahead >= 2.0 * LEAST);
            self.seen = (self.seen + more).min(SURE);
            self.size = self.size.max(ahead);
        }
        self.fall(train, carried, now);
    }

    /// The bucket is empty.
    fn fall(&mut self, train: &Train, carried: f64, now: Duration) {
        if train.is_uneven {
            return;
        }
        self.carried = carried;
        (self.beyond, self.empty) = (0.0, now);
    }

    fn is_there(&self) -> bool {
        self.seen >= SURE && self.even >= EVEN
    }

    /// What the path carries, in bytes a second, where it has a bucket.
    pub(super) fn carried(&self) -> Option<f64> {
        self.is_there().then_some(self.carried)
    }

    /// What the path carried when a queue was seen last, in bytes a second, if that was
    /// of late or it has a bucket.
    pub(super) fn full(&self, now: Duration) -> Option<f64> {
        let is_recent = self.carried > 0.0 && now.saturating_sub(self.empty) < RECENT;
        (is_recent || self.is_there()).then_some(self.carried)
    }

    /// The most bytes a second that may be sent, where the path has a bucket.
    pub(super) fn most(&self, now: Duration) -> Option<f64> {
        let tried = now.saturating_sub(self.empty + AFTER).as_secs_f64() / FOR.as_secs_f64();
        let more = USE + (MOST - USE) * tried.min(1.0);
        self.carried().map(|carried| carried * more)
    }
}

#[cfg(test)]
mod tests {
    use super::super::delay::BaseDelay;
    use super::super::history::{History, Sent};
    use super::*;
    use crate::wire::native::Channel;

    const PACKETS: u64 = 12;
    const BYTES: u64 = 1_400;
    const INTERVAL: u64 = 33_333;

    /// A path with a token bucket, and what is recorded of trains over it.
    #[derive(Default)]
    struct Scene {
        history: History,
        base: BaseDelay,
        bucket: Bucket,
        /// When the bucket is full again, in microseconds.
        full_at: f64,
        packets: u64,
        trains: u64,
    }

    impl Scene {
        /// Trains that leave at once and pass a bucket of this size, at these bytes
        /// a second, with this jitter in microseconds.
        fn play(&mut self, size: f64, carried: f64, jitter: u64, trains: u64) {
            let mut rng = fastrand::Rng::with_seed(1);
            for train in self.trains..self.trains + trains {
                let sent_at = 1_000_000 + train * INTERVAL;
                let now = Duration::from_micros(sent_at + INTERVAL);
                let mut arrivals = Vec::new();
                for _ in 0..PACKETS {
                    let sent = Sent {
                        order: 0,
                        end: 0,
                        at: sent_at,
                        bytes: BYTES,
                        train,
                        rate: 1e6,
                        pace: 1e9,
                        share: 1e6,
                    };
                    self.history.record_sent(Channel::Media, self.packets, sent);
                    self.full_at = self.full_at.max(sent_at as f64) + BYTES as f64 / carried * 1e6;
                    let passed = (self.full_at - size / carried * 1e6).max(sent_at as f64);
                    arrivals.push((passed as u64 + 5_000 + rng.u64(..=jitter), self.packets));
                    self.packets += 1;
                }
                arrivals.sort_unstable();
                for (at, number) in arrivals {
                    let channel = Channel::Media;
                    let reported = self.history.record_arrival(channel, number, at, &self.base);
                    self.base.record(reported.unwrap().delay, false, now);
                }
                self.bucket.record(&self.history.trains, now);
            }
            self.trains += trains;
        }
    }

    fn played(size: f64, carried: f64, jitter: u64, trains: u64) -> Bucket {
        let mut scene = Scene::default();
        scene.play(size, carried, jitter, trains);
        scene.bucket
    }

    #[test]
    fn a_bucket_is_told_from_a_path_without_by_what_passes_ahead() {
        // 16,800 bytes a train of a path that carries 15,000 in the time.
        let bucket = played(12_000.0, 450_000.0, 0, 20);
        let carried = bucket.carried().unwrap();
        assert!((carried / 450_000.0 - 1.0).abs() < 0.02, "{carried}");
        let none = played(0.0, 450_000.0, 0, 20);
        assert_eq!(none.carried(), None);
        assert!((none.carried / 450_000.0 - 1.0).abs() < 0.02, "{none:?}");
    }

    #[test]
    fn jitter_is_no_bucket() {
        for jitter in [2_000, 10_000, 40_000] {
            for carried in [450_000.0, 125e6] {
                let bucket = played(0.0, carried, jitter, 200);
                assert_eq!(bucket.carried(), None, "{jitter}");
            }
        }
    }

    #[test]
    fn more_is_tried_once_no_queue_is_seen_and_found_once_the_bucket_was_filled() {
        let mut scene = Scene::default();
        scene.play(12_000.0, 450_000.0, 0, 20);
        let (bucket, before) = (&scene.bucket, scene.bucket.carried);
        let most = |after| bucket.most(bucket.empty + after).unwrap() / before;
        assert!((most(Duration::ZERO) - USE).abs() < 1e-9);
        assert!((most(AFTER + FOR * 3) - MOST).abs() < 1e-9);
        // The trains fit what it carries now.
        scene.full_at = 0.0;
        scene.play(12_000.0, 1e6, 0, 5);
        assert!((scene.bucket.carried / before - 1.0).abs() < 0.02);
        scene.play(12_000.0, 1e6, 0, 30);
        assert!((scene.bucket.carried / before - MORE).abs() < 0.02);
    }
}
