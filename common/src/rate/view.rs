//! What the newest trains of packets show of a path.

use super::history::Train;
use super::{RateController, SUDDEN};

/// If a delay differs from its neighbours by more than this on average, in seconds, the path has
/// jitter, like wireless ones. Then the queue is the least delay of several successive trains, as
/// in CoDel (<https://www.rfc-editor.org/rfc/rfc8289#section-3.2>).
const NOISY: f64 = 0.004;

/// Delays above this, in seconds, are caused by a queue, not by jitter.
const MOST_NOISE: f64 = 0.06;

/// The period of the gradient, in microseconds.
const GRADIENT_OVER: u64 = 100_000;

/// Growth of the delay from one train to the next, in microseconds, that counts at once.
const SUDDEN_DELAY: i64 = 10_000;

/// What the newest trains show.
#[derive(Clone, Copy, Debug)]
pub(super) struct View {
    /// Share and rate when they were sent, in bytes per second; infinite while the path is open.
    pub(super) share: f64,
    pub(super) rate: f64,
    /// When the newest was sent, in microseconds.
    pub(super) sent: u64,
    /// The standing queue, in seconds.
    pub(super) queue: f64,
    /// The mean difference of the delay between trains, in seconds.
    pub(super) trembling: f64,
    /// Whether a single train says nothing about the queue.
    pub(super) is_noisy: bool,
    /// The part of the rate that leaves the queue.
    pub(super) passed: f64,
    /// How much longer they took to arrive than to be sent.
    pub(super) stretch: f64,
    /// The rate at which the fastest of them was sent, in bytes per second, if it can be
    /// determined.
    pub(super) paced: f64,
    /// The rate at which they arrived, in bytes per second, if there are enough bytes.
    pub(super) carried: Option<f64>,
}

impl RateController {
    /// What the newest trains show; `None` before they show anything.
    pub(super) fn view(&self) -> Option<View> {
        let trains = &self.history.trains;
        let seconds = |micros: i64| micros as f64 / 1e6;
        let last = trains.back()?;
        let before = trains.iter().rev().nth(1).unwrap_or(last);
        let newest = |train: &&Train| last.sent.saturating_sub(train.sent) <= GRADIENT_OVER;
        let newest = || trains.iter().rev().take_while(newest);
        let bucket = self.bucket.carried();
        let passed_since = |first: &Train| {
            let sending = seconds((last.sent - first.sent) as i64);
            let arriving =
                sending + seconds(last.found(bucket).saturating_sub(first.found(bucket)));
            if sending > 0.0 {
                (sending / arriving.max(1e-4)).min(2.0)
            } else {
                1.0
            }
        };
        let mut passed = newest().last().map_or(1.0, passed_since);
        if last.found(bucket).saturating_sub(before.found(bucket)) > SUDDEN_DELAY {
            let sudden = passed_since(before);
            passed = if sudden < SUDDEN {
                passed.min(sudden)
            } else {
                passed
            };
        }
        let (bytes, sending, arriving) = newest().fold((0, 0, 0), |sum, train| {
            let (bytes, sending, arriving) = sum;
            (
                bytes + train.bytes(),
                sending + train.sending(),
                arriving + train.arriving(),
            )
        });
        let arriving = arriving.max(0) as u64;
        let carried = bytes as f64 * 1e6 / arriving.max(1) as f64;
        let carried = bucket.map_or(carried, |bucket| bucket.min(carried));
        let pairs = trains.iter().zip(trains.iter().skip(1));
        let trembling: u64 = pairs.map(|(a, b)| b.delay.abs_diff(a.delay)).sum();
        let trembling = trembling as f64 / 1e6 / trains.len() as f64;
        let is_noisy = self.is_noisy();
        let least = newest()
            .map(|train| self.base.above(train.found(bucket)))
            .min();
        let least = least.filter(|_| is_noisy);
        let two = (self.base.above(last.found(bucket)) + self.base.above(before.found(bucket))) / 2;
        if last.rate.is_infinite() {
            // What was sent while the path was open says nothing about a share.
            passed = 1.0;
        }
        let known = |rate: f64| if rate.is_finite() { rate } else { self.share };
        Some(View {
            share: known(last.share),
            rate: known(last.rate),
            sent: last.sent,
            queue: seconds(least.unwrap_or(two)),
            trembling,
            is_noisy,
            passed,
            stretch: if sending > 0 {
                arriving as f64 / sending as f64
            } else {
                1.0
            },
            paced: if bytes > 0 && sending > 0 {
                newest().map(Train::paced).fold(0.0, f64::max)
            } else {
                f64::INFINITY
            },
            carried: (bytes > 0).then_some(carried),
        })
    }

    /// Whether delays differ between trains in a way that no queue causes: queues grow and shrink
    /// smoothly.
    fn is_noisy(&self) -> bool {
        let trains = &self.history.trains;
        let above = |train: &Train| self.base.above(train.delay);
        let longest = trains.iter().map(above).max().unwrap_or(0);
        let (second, third) = (trains.iter().skip(1), trains.iter().skip(2));
        let triples = trains.iter().zip(second).zip(third);
        let noise = triples.map(|((a, b), c)| (above(a) + above(c)).abs_diff(2 * above(b)) / 2);
        let noise = noise.fold(0, u64::saturating_add) / trains.len().max(1) as u64;
        noise as f64 / 1e6 > NOISY && longest as f64 / 1e6 < MOST_NOISE
    }
}
