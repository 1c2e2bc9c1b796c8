//! How much a path carries: the one decision on rate and pacing, from the arrival
//! times of packets that the other side reports in the manner of RFC 8888
//! (<https://www.rfc-editor.org/rfc/rfc8888>).
//!
//! The packets of a frame leave as a train, a little faster than the rate. Four
//! things are read from their arrival:
//! - **standing queue**: the least delay of a frame's packets above the least
//!   delay of the path. A rate aims at a queue that is shorter the higher the
//!   rate is, so flows that share a queue come to share the rate, whatever their
//!   RTT.
//! - **gradient**: how fast the delay grows tells which part of the rate leaves
//!   the queue. One report is enough to come down.
//! - **dispersion**: a train that arrives as it was sent shows that the path
//!   carries more; one that is stretched shows how much. Both also hold for a
//!   stream that needs less than the path carries.
//! - **loss** counts only where a queue stands: random loss is no congestion.
//!
//! Where packets are lost again and again while a queue stands that this flow
//! does not fill, another flow does, and the rate follows the same law as that
//! one (`competition`).
//!
//! A path that starts without a first rate is open: it limits nothing until trains
//! show that it carries less than the stream may come to need (`open`).
//!
//! The numbers are those with which the cases of RFC 8867
//! (<https://www.rfc-editor.org/rfc/rfc8867>) pass; `tests/src/congestion.rs`
//! simulates them.

mod bucket;
mod competition;
mod cubic;
mod delay;
mod first;
mod history;
mod open;
mod used;
mod view;

use std::time::Duration;

use self::bucket::Bucket;
use self::competition::Competition;
use self::delay::BaseDelay;
pub use self::first::{first_rate, is_local};
use self::history::{History, Sent};
use self::open::OpenPath;
use self::used::UsedRate;
use self::view::View;
use crate::wire::native::{Channel, micros};

/// The longest queue that counts as near empty.
const NEAR_EMPTY: f64 = 0.04;

/// The minimum rate, in bytes per second: a small frame every tenth of a second.
const LEAST: f64 = 10_000.0;

/// How much faster than the rate a train is sent, which is how much more capacity it can reveal.
/// After [`SURE`] successive trains that found no queue, each further one allows the next to be
/// faster, up to a maximum.
const PACE: f64 = 1.25;
const SURE: u32 = 4;
const VERY_SURE: u32 = 12;
const HASTE: f64 = 0.1;
const MOST_PACE: f64 = 2.0;

/// Bytes of 16 datagrams, which are worth a wake-up.
const BURST: f64 = 16.0 * PACKET;

/// Seconds that a burst may take to pass the path.
const BURST_TIME: f64 = 0.005;

/// Bytes of a long packet.
const PACKET: f64 = 1_452.0;

/// The target queue in bytes. In seconds, it is this divided by the rate or, if more,
/// [`TARGET_ROOT`] divided by the root of the rate: at high rates, delays jitter by more than a
/// packet takes.
const TARGET: f64 = 900.0;
const TARGET_ROOT: f64 = 1.2;

/// The least and the largest amount that jitter adds to the target, in seconds.
const TREMBLING: (f64, f64) = (0.0015, 0.005);

/// The part of the rate that each second of queue takes away: for now, and permanently per round
/// trip.
const PROPORTIONAL: f64 = 2.5;
const INTEGRAL: f64 = 6.0;

/// Bounds of the queue that is reacted to, above and below the target, in seconds.
const MOST_ABOVE: f64 = 0.2;
const MOST_BELOW: f64 = 0.04;

/// How far the share moves per round trip towards the rate that leaves a queue; all the way if less
/// than [`SUDDEN`] of the rate leaves it.
const WEIGHT: f64 = 0.5;
const SUDDEN: f64 = 0.75;

/// A queue of this many seconds, or of four targets, is drained. Until then, the share does not
/// grow.
const OVERLOAD: f64 = 0.04;

/// A queue below this many seconds, or a fifth of the target, is empty. Each train that finds it
/// empty, and is stretched by no more than [`STRETCHED`], lets the next one probe this share of the
/// rate higher, up to a maximum.
const EMPTY: f64 = 0.002;
const STRETCHED: f64 = 1.1;
const PROBE: f64 = 0.04;
const MOST_PROBE: f64 = 0.5;

/// The share grows to no more than this many times what was sent of late: small
/// frames pass the token bucket of a path, and show nothing of larger ones.
const STEP_UP: f64 = 2.0;

/// Without a report for this long plus four round trips, the rate is halved, and again after each
/// further such time: the circuit breaker (<https://www.rfc-editor.org/rfc/rfc8083#section-4>).
const BREAKER: Duration = Duration::from_millis(500);

/// A packet that arrived, according to the other side's report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Its channel: media or repair.
    pub channel: Channel,
    /// Its number.
    pub number: u64,
    /// When it arrived, in microseconds of the other side's clock.
    pub at: u64,
}

/// The rate of one path, including parity and retransmissions. Inputs:
/// [`handle_sent`](Self::handle_sent), [`handle_arrivals`](Self::handle_arrivals). Outputs:
/// [`rate`](Self::rate), [`pace`](Self::pace), [`burst`](Self::burst).
#[derive(Debug)]
pub struct RateController {
    /// Bytes per second that may be sent while no queue is drained; infinite while the path is
    /// open.
    share: f64,
    /// The present rate.
    rate: f64,
    most: f64,
    history: History,
    base: BaseDelay,
    rtt: Duration,
    /// When the other side last reported.
    reported: Option<Duration>,
    /// The share before the queue that is being drained.
    draining: Option<f64>,
    /// When the newest train was sent, and how many in a row found no queue.
    newest: u64,
    empty: u32,
    competition: Competition,
    /// What was sent of late.
    used: UsedRate,
    bucket: Bucket,
    /// Bytes a second at which trains are known to find no queue; 0 where they found
    /// one.
    fast: f64,
    /// What the newest trains showed.
    found: Option<View>,
    open: OpenPath,
}

impl RateController {
    /// Starts with a rate in bytes per second, or with an open path. Never exceeds `most`.
    pub fn new(first: Option<f64>, most: f64, now: Duration) -> Self {
        let first = first.map_or(f64::INFINITY, |first| first.clamp(LEAST, most.max(LEAST)));
        Self {
            share: first,
            rate: first,
            most: most.max(LEAST),
            history: History::default(),
            base: BaseDelay::default(),
            rtt: Duration::ZERO,
            reported: None,
            draining: None,
            newest: 0,
            empty: 0,
            competition: Competition::new(now),
            used: UsedRate::default(),
            bucket: Bucket::default(),
            fast: 0.0,
            found: None,
            open: OpenPath::default(),
        }
    }

    /// Whether nothing limits the rate: no first rate was given, and no limit was seen.
    pub fn is_open(&self) -> bool {
        self.share.is_infinite()
    }

    /// Bytes per second that may be sent; `None` while the path is open.
    pub fn rate(&self, now: Duration) -> Option<f64> {
        let broken = self.broken(now);
        let rate = if self.is_open() {
            self.used.most(now)
        } else {
            self.rate
        };
        let is_limited = !self.is_open() || broken < 1.0;
        is_limited.then_some((rate.min(self.most) * broken).max(LEAST))
    }

    /// Bytes that were sent after the newest packet that is known to have arrived.
    pub fn backlog(&self) -> u64 {
        self.history.backlog()
    }

    /// Sets the maximum in bytes per second.
    pub fn set_most(&mut self, most: f64) {
        self.most = most.max(LEAST);
    }

    /// Bytes per second at which the packets of a frame are sent; `None` before anything is known.
    pub fn pace(&self, now: Duration) -> Option<f64> {
        if self.is_open() {
            return self.open.pace();
        }
        self.rate(now).map(|rate| self.pace_at(rate))
    }

    fn pace_at(&self, rate: f64) -> f64 {
        if let Some(pace) = self.open.pace().filter(|_| self.is_open()) {
            return pace;
        }
        (rate * self.haste())
            .max(self.fast)
            .min(self.most * MOST_PACE)
    }

    /// How much faster than the rate a train is sent.
    fn haste(&self) -> f64 {
        let more = HASTE * f64::from(self.empty.saturating_sub(SURE));
        (PACE + more).min(MOST_PACE)
    }

    /// Bytes sent at once, so that not every datagram needs a wake-up: what the pace sends in 1 ms,
    /// or 16 datagrams if they take no more than a few ms.
    pub fn burst(pace: f64) -> f64 {
        (pace * 0.001).max(BURST.min(pace * BURST_TIME))
    }

    /// The time from sending a packet to the report of its arrival.
    pub fn rtt(&self) -> Option<Duration> {
        self.reported.map(|_| self.rtt)
    }

    /// The rate at which the newest trains arrived, in bytes per second: what the path carries, as
    /// far as they reveal it.
    pub fn capacity(&self) -> Option<f64> {
        self.found.and_then(|found| found.carried)
    }

    /// Bytes a second that the path carries in the long run, where it is known to be
    /// filled now and then.
    pub fn full(&self, now: Duration) -> Option<f64> {
        self.bucket.full(now)
    }

    /// How long a packet waits in the queue of the path.
    pub fn queue(&self) -> Option<Duration> {
        let found = self.found?;
        Duration::try_from_secs_f64(found.queue).ok()
    }

    /// The least recent delay in microseconds, from this side's clock to that of the other.
    pub fn least_delay(&self) -> Option<i64> {
        self.base.least()
    }

    /// Whether another flow fills the queue until packets are lost.
    pub fn is_competing(&self) -> bool {
        self.competition.is_on()
    }

    /// Records a media or repair packet that is sent in the train of a frame. Packets of a channel
    /// are numbered without gaps.
    pub fn handle_sent(
        &mut self,
        channel: Channel,
        number: u64,
        bytes: usize,
        train: u64,
        now: Duration,
    ) {
        let sent = Sent {
            order: 0,
            end: 0,
            at: micros(now),
            bytes: bytes as u64,
            train,
            rate: self.rate,
            pace: self.pace_at(self.rate),
            share: self.share,
        };
        self.used.record(train, bytes, now);
        self.history.record_sent(channel, number, sent);
    }

    /// Evaluates a report: packets that arrived, in order of arrival.
    pub fn handle_arrivals(&mut self, arrivals: &[Arrival], now: Duration) {
        let mut newest = None;
        for arrival in arrivals {
            let Arrival {
                channel,
                number,
                at,
            } = *arrival;
            let Some(reported) = self.history.record_arrival(channel, number, at, &self.base)
            else {
                continue;
            };
            let held = self.competition.is_on();
            self.base.record(reported.delay, held, now);
            newest = Some(reported.sent.at);
        }
        let Some(newest) = newest else {
            return;
        };
        self.close_breaker(now);
        let rtt = now.saturating_sub(Duration::from_micros(newest));
        self.rtt = match self.reported {
            None => rtt,
            Some(_) => (self.rtt * 7 + rtt) / 8,
        };
        self.reported = Some(now);
        let lost = self.history.forget_lost();
        self.bucket.record(&self.history.trains, now);
        let Some(view) = self.view() else {
            return;
        };
        self.found = Some(view);
        if self.is_open() {
            self.look_for_limit(&view, now);
            return;
        }
        self.competition
            .record(lost, view.queue, (self.share, self.rtt), now);
        match self.competition.rate(view.queue, self.rtt, now) {
            Some((share, rate)) => {
                // A bucket that this flow empties itself is no other flow.
                let most = self.bucket.most(now).unwrap_or(f64::MAX);
                (self.share, self.rate) = (share.min(most), rate.min(most));
                self.draining = None;
            }
            None => self.follow(&view, now),
        }
        self.share = self.share.clamp(LEAST, self.most);
        self.rate = self.rate.clamp(LEAST, self.most);
    }

    /// Adapts share and rate to what the trains show.
    fn follow(&mut self, view: &View, now: Duration) {
        let View { share, queue, .. } = *view;
        let trembling = view.trembling.clamp(TREMBLING.0, TREMBLING.1);
        let target = (TARGET / share).max(TARGET_ROOT / share.sqrt());
        let target = target.max(trembling);
        let mut next = share;
        if queue > target {
            let left = (view.rate * view.passed).min(share * 1.05);
            let weight = if view.passed < SUDDEN { 1.0 } else { WEIGHT };
            next += (left - share) * weight;
        }
        let mut slower = 0.0;
        if let Some(before) = self.draining {
            // Packets take longer to pass a slower link, with or without a queue.
            slower = (PACKET / self.share - PACKET / before).max(0.0);
        } else if queue > OVERLOAD.max(4.0 * target) {
            self.draining = Some(self.share);
        }
        let error = (target + slower - queue).clamp(-MOST_ABOVE, MOST_BELOW);
        if self.draining.is_some() {
            next = next.min(share);
            if -error <= target {
                self.base.raise((slower * 1e6) as i64);
                self.draining = None;
            }
        } else {
            next *= 1.0 + INTEGRAL * error;
        }
        // Packets that were sent more slowly than the share reveal nothing beyond it.
        next = next.max((share * self.probe(view, target)).min(view.paced));
        let is_stretched = view.stretch > STRETCHED && (!view.is_noisy || queue > target);
        if let Some(carried) = view.carried.filter(|_| is_stretched) {
            next = next.min(carried * 1.05);
        }
        // What the path has not carried yet is tried in steps.
        let most = self.used.most(now) * STEP_UP;
        next = next.min(most.max(share));
        next = next.min(self.bucket.most(now).unwrap_or(f64::MAX));
        if is_stretched || queue > target {
            self.fast = 0.0;
        }
        self.share = next;
        self.rate = next * (1.0 + PROPORTIONAL * error);
    }

    /// The least factor by which the share may grow.
    fn probe(&mut self, view: &View, target: f64) -> f64 {
        let is_stretched = view.stretch > STRETCHED && !view.is_noisy;
        let is_empty = view.queue < EMPTY.max(target / 5.0).min(target) && !is_stretched;
        if view.sent > self.newest {
            self.newest = view.sent;
            self.empty = if is_empty { self.empty + 1 } else { 0 };
            if self.empty > VERY_SURE && view.paced.is_finite() {
                self.fast = (self.fast.max(view.paced) * PACE).min(self.most);
            }
        }
        if !is_empty {
            return 0.0;
        }
        1.0 + (PROBE * f64::from(self.empty)).min(MOST_PROBE)
    }

    /// What remains of the rate while no report arrives.
    fn broken(&self, now: Duration) -> f64 {
        let Some(reported) = self.reported.filter(|_| self.history.is_waiting()) else {
            return 1.0;
        };
        let after = if self.is_open() {
            open::BREAKER
        } else {
            BREAKER + self.rtt * 4
        };
        let silent = now.saturating_sub(reported);
        // This runs for every packet.
        if silent < after {
            return 1.0;
        }
        let times = silent.as_secs_f64() / after.as_secs_f64();
        0.5_f64.powf(times.floor())
    }

    /// Continues from what remains of the rate.
    fn close_breaker(&mut self, now: Duration) {
        let broken = self.broken(now);
        self.share *= broken;
        self.rate *= broken;
    }
}

#[cfg(test)]
mod tests;
