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
//! one ([`competition`]).
//!
//! The numbers are those with which the cases of RFC 8867
//! (<https://www.rfc-editor.org/rfc/rfc8867>) pass; `tests/src/congestion.rs`
//! simulates them.

mod competition;
mod cubic;
mod delay;
mod history;

use std::time::Duration;

use self::competition::Competition;
use self::delay::BaseDelay;
use self::history::{History, Sent, Train};
use crate::wire::native::{Channel, micros};

/// The longest queue that is near empty.
const NEAR_EMPTY: f64 = 0.04;

/// No rate is lower, in bytes a second: a small frame each tenth of a second.
const LEAST: f64 = 10_000.0;

/// How much faster than the rate a train leaves: by as much a path can be seen
/// to carry more.
const PACE: f64 = 1.25;

/// Bytes of 16 datagrams: what a wake-up is worth.
const BURST: f64 = 16.0 * PACKET;

/// Seconds that a burst may take to pass the path.
const BURST_TIME: f64 = 0.005;

/// Bytes of a long packet.
const PACKET: f64 = 1_452.0;

/// The queue that is aimed at, in bytes: in seconds it is this by the rate, or
/// [`TARGET_ROOT`] by its root where that is more, since at high rates delays
/// tremble by more than a packet takes.
const TARGET: f64 = 900.0;
const TARGET_ROOT: f64 = 1.2;

/// The least and the most that the trembling of delays adds to the target, in
/// seconds.
const TREMBLING: (f64, f64) = (0.0015, 0.005);

/// How much of the rate each second of queue takes away for now, and for good
/// each round trip.
const PROPORTIONAL: f64 = 2.5;
const INTEGRAL: f64 = 6.0;

/// Bounds of the queue that is answered, above and below the target, in seconds.
const MOST_ABOVE: f64 = 0.2;
const MOST_BELOW: f64 = 0.04;

/// How far the share moves towards what leaves a queue, each round trip; all the
/// way where less than [`SUDDEN`] of the rate leaves it.
const WEIGHT: f64 = 0.5;
const SUDDEN: f64 = 0.75;

/// A queue of this many seconds, or of four targets, is drained: until then the
/// share does not grow.
const OVERLOAD: f64 = 0.04;

/// A queue of this many seconds, or of a fifth of the target, is empty. Each train that finds it so, and is
/// not stretched by more than [`STRETCHED`], lets the next one probe higher by
/// this share of the rate, up to a most.
const EMPTY: f64 = 0.002;
const STRETCHED: f64 = 1.1;
const PROBE: f64 = 0.04;
const MOST_PROBE: f64 = 0.25;

/// The gradient is taken over this, in microseconds.
const GRADIENT_OVER: u64 = 100_000;

/// Growth of the delay in microseconds from one train to the next that counts at
/// once.
const SUDDEN_DELAY: i64 = 10_000;

/// Bytes in a row that show what a path carries.
const ENOUGH: u64 = 3_000;

/// Without any report for this long and four round trips the rate is halved, and
/// again each time: the circuit breaker
/// (<https://www.rfc-editor.org/rfc/rfc8083#section-4>).
const BREAKER: Duration = Duration::from_millis(500);

/// A packet that arrived, as the other side reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Its channel: media or repair.
    pub channel: Channel,
    /// Its number.
    pub number: u64,
    /// When it arrived, in microseconds of the other side's clock.
    pub at: u64,
}

/// The rate of one path, parity and retransmissions included. In:
/// [`handle_sent`](Self::handle_sent), [`handle_arrivals`](Self::handle_arrivals).
/// Out: [`rate`](Self::rate), [`pace`](Self::pace), [`burst`](Self::burst).
#[derive(Debug)]
pub struct RateController {
    /// Bytes a second that may be sent where no queue is to be drained; infinite
    /// before anything is known.
    share: f64,
    /// What is sent for now.
    rate: f64,
    most: f64,
    history: History,
    base: BaseDelay,
    rtt: Duration,
    /// When the other side last reported.
    reported: Option<Duration>,
    /// The share before a queue that is drained.
    draining: Option<f64>,
    /// When the newest train was sent, and how many in a row found no queue.
    newest: u64,
    empty: u32,
    competition: Competition,
}

/// What the newest trains show.
#[derive(Clone, Copy, Debug)]
struct View {
    /// Share and rate when they were sent, in bytes a second.
    share: f64,
    rate: f64,
    /// When the newest was sent, in microseconds.
    sent: u64,
    /// The queue that stands, in seconds.
    queue: f64,
    /// How much the delay differs from train to train, in seconds.
    trembling: f64,
    /// The part of the rate that leaves the queue.
    passed: f64,
    /// How much longer they took to arrive than to be sent.
    stretch: f64,
    /// Bytes a second in which they were sent, where that can be told.
    paced: f64,
    /// Bytes a second in which they arrived, where there are enough.
    carried: Option<f64>,
}

impl RateController {
    /// Begins with a rate in bytes a second, or with what the first trains show
    /// to pass. Never exceeds the `most`.
    #[must_use]
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
        }
    }

    /// Bytes a second that may be sent; `None` before anything is known.
    #[must_use]
    pub fn rate(&self, now: Duration) -> Option<f64> {
        let rate = self.rate.min(self.most) * self.broken(now);
        self.rate.is_finite().then_some(rate.max(LEAST))
    }

    /// Sets the most bytes a second.
    pub fn set_most(&mut self, most: f64) {
        self.most = most.max(LEAST);
    }

    /// Bytes a second at which the packets of a frame leave; `None` before
    /// anything is known.
    #[must_use]
    pub fn pace(&self, now: Duration) -> Option<f64> {
        self.rate(now).map(|rate| rate * PACE)
    }

    /// Bytes that leave at once, so that nobody wakes up for each datagram: what
    /// the pace brings in 1 ms, or 16 datagrams where that takes no more than a
    /// few.
    #[must_use]
    pub fn burst(pace: f64) -> f64 {
        (pace * 0.001).max(BURST.min(pace * BURST_TIME))
    }

    /// The round trip, from sending a packet to the report of its arrival.
    #[must_use]
    pub fn rtt(&self) -> Option<Duration> {
        self.reported.map(|_| self.rtt)
    }

    /// Whether another flow fills the queue until packets are lost.
    #[must_use]
    pub fn is_competing(&self) -> bool {
        self.competition.is_on()
    }

    /// A packet of media or repair leaves, in the train of a frame. Packets of a
    /// channel are numbered without a gap.
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
            at: micros(now),
            bytes: bytes as u64,
            train,
            rate: self.rate,
            share: self.share,
        };
        self.history.record_sent(channel, number, sent);
    }

    /// Takes a report: packets that arrived, in the order of their arrival.
    pub fn handle_arrivals(&mut self, arrivals: &[Arrival], now: Duration) {
        let mut newest = None;
        for arrival in arrivals {
            let Arrival {
                channel,
                number,
                at,
            } = *arrival;
            let Some(reported) = self.history.record_arrival(channel, number, at) else {
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
        let Some(view) = self.view() else {
            return;
        };
        self.competition
            .record(lost, view.queue, (self.share, self.rtt), now);
        match self.competition.rate(view.queue, self.rtt, now) {
            Some((share, rate)) => {
                (self.share, self.rate) = (share, rate);
                self.draining = None;
            }
            None => self.follow(&view),
        }
        self.share = self.share.clamp(LEAST, self.most);
        self.rate = self.rate.clamp(LEAST, self.most);
    }

    /// Moves share and rate by what the trains show.
    fn follow(&mut self, view: &View) {
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
            // Packets take longer to pass a slower link, queue or not.
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
        // Packets that left more slowly than the share show nothing beyond it.
        next = next.max((share * self.probe(view, target)).min(view.paced));
        if let Some(carried) = view.carried.filter(|_| view.stretch > STRETCHED) {
            next = next.min(carried * 1.05);
        }
        self.share = next;
        self.rate = next * (1.0 + PROPORTIONAL * error);
    }

    /// How much higher than before the share may be at least.
    fn probe(&mut self, view: &View, target: f64) -> f64 {
        let is_empty = view.queue < EMPTY.max(target / 5.0).min(target) && view.stretch < STRETCHED;
        if view.sent > self.newest {
            self.newest = view.sent;
            self.empty = if is_empty { self.empty + 1 } else { 0 };
        }
        if !is_empty {
            return 0.0;
        }
        1.0 + (PROBE * f64::from(self.empty)).min(MOST_PROBE)
    }

    /// What the newest trains show; `None` before they show anything.
    fn view(&mut self) -> Option<View> {
        let trains = &self.history.trains;
        let seconds = |micros: i64| micros as f64 / 1e6;
        let last = trains.back()?;
        let before = trains.iter().rev().nth(1).unwrap_or(last);
        let newest = |train: &&Train| last.sent.saturating_sub(train.sent) <= GRADIENT_OVER;
        let newest = || trains.iter().rev().take_while(newest);
        let passed_since = |first: &Train| {
            let sending = seconds((last.sent - first.sent) as i64);
            let arriving = sending + seconds(last.delay.saturating_sub(first.delay));
            if sending > 0.0 {
                (sending / arriving.max(1e-4)).min(2.0)
            } else {
                1.0
            }
        };
        let mut passed = newest().last().map_or(1.0, passed_since);
        if last.delay.saturating_sub(before.delay) > SUDDEN_DELAY {
            let sudden = passed_since(before);
            passed = if sudden < SUDDEN {
                passed.min(sudden)
            } else {
                passed
            };
        }
        let sums = newest().map(|train| (train.pairs, train.sending(PACE)));
        let (bytes, sending, arriving) = sums.fold((0, 0, 0), |sum, (pairs, sending)| {
            (sum.0 + pairs.bytes, sum.1 + sending, sum.2 + pairs.arriving)
        });
        let carried = bytes as f64 * 1e6 / arriving.max(1) as f64;
        if self.share.is_infinite() {
            if bytes < ENOUGH {
                return None;
            }
            self.share = carried.min(self.most);
        }
        let pairs = trains.iter().zip(trains.iter().skip(1));
        let trembling: u64 = pairs.map(|(a, b)| b.delay.abs_diff(a.delay)).sum();
        if last.rate.is_infinite() {
            // What was sent before anything was known says nothing of a share.
            passed = 1.0;
        }
        let known = |rate: f64| if rate.is_finite() { rate } else { self.share };
        Some(View {
            share: known(last.share),
            rate: known(last.rate),
            sent: last.sent,
            queue: seconds((self.base.above(last.delay) + self.base.above(before.delay)) / 2),
            trembling: trembling as f64 / 1e6 / trains.len() as f64,
            passed,
            stretch: if sending > 0 {
                arriving as f64 / sending as f64
            } else {
                1.0
            },
            paced: if bytes > 0 && sending > 0 {
                bytes as f64 * 1e6 / sending as f64
            } else {
                f64::INFINITY
            },
            carried: (bytes > 0).then_some(carried),
        })
    }

    /// What is left of the rate while no report comes.
    fn broken(&self, now: Duration) -> f64 {
        let Some(reported) = self.reported.filter(|_| self.history.is_waiting()) else {
            return 1.0;
        };
        let after = BREAKER + self.rtt * 4;
        let silent = now.saturating_sub(reported).as_secs_f64() / after.as_secs_f64();
        0.5_f64.powf(silent.floor())
    }

    /// Goes on from what is left of the rate.
    fn close_breaker(&mut self, now: Duration) {
        let broken = self.broken(now);
        self.share *= broken;
        self.rate *= broken;
    }
}

#[cfg(test)]
mod tests;
