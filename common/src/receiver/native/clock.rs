//! The sender's clock as seen from the viewer's.
//!
//! A report that the sender answers yields the four timestamps of NTP
//! (<https://www.rfc-editor.org/rfc/rfc5905#section-8>). They give two bounds of the offset, which
//! is what is added to the sender's time. The lower bound is the report's departure minus its
//! arrival. The upper bound is the reply's arrival minus its departure. Both hold however the round
//! trip divides between the two directions, so the exchanges with the least delay count
//! (<https://www.rfc-editor.org/rfc/rfc5905#section-10>). The drift relates bounds of different
//! times to each other. Every pair of bounds limits the drift, as a slope.

use std::collections::VecDeque;
use std::time::Duration;

use crate::time::SenderTime;

/// An exchange: departure and arrival of a report, then of the reply to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exchange {
    pub(super) report_sent: Duration,
    pub(super) report_received: SenderTime,
    pub(super) reply_sent: SenderTime,
    pub(super) reply_received: Duration,
}

impl Exchange {
    /// The time that both directions took together.
    pub(super) fn round_trip(&self) -> Duration {
        let away = self.reply_received.saturating_sub(self.report_sent);
        away.saturating_sub(self.reply_sent.saturating_sub(self.report_received))
    }
}

/// What is known of the sender's clock at some time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Estimate {
    /// Added to the sender's time, in microseconds.
    pub(super) offset: i64,
    /// The largest error of the offset, in either direction, in microseconds.
    pub(super) uncertainty: f64,
    /// Growth of the offset, in microseconds per microsecond.
    pub(super) drift: f64,
    /// The largest error of the drift, in either direction.
    pub(super) drift_uncertainty: f64,
}

/// The newest exchanges, and the line that they agree on.
#[derive(Debug, Default)]
pub(super) struct Clock {
    /// The other offsets are relative to this one, so that they are small.
    base: i128,
    exchanges: VecDeque<Bounds>,
    line: Option<Line>,
}

/// Bounds of the offset minus the base, each at a sender's time.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    least: Bound,
    most: Bound,
}

#[derive(Clone, Copy, Debug)]
struct Bound {
    at: SenderTime,
    offset: f64,
}

/// A closed interval.
#[derive(Clone, Copy, Debug)]
struct Range {
    least: f64,
    most: f64,
}

/// The offset minus the base, as a line that starts at a sender's time.
#[derive(Clone, Copy, Debug)]
struct Line {
    at: SenderTime,
    offset: Range,
    drift: Range,
}

impl Clock {
    /// Records an exchange. Ignores one that no clock can have made.
    pub(super) fn record(&mut self, exchange: Exchange) {
        let Exchange {
            report_sent,
            report_received,
            reply_sent,
            reply_received,
        } = exchange;
        let least = report_received.transit(report_sent);
        let most = reply_sent.transit(reply_received);
        if reply_sent < report_received || most < least {
            return;
        }
        if self.exchanges.is_empty() {
            self.base = most;
        }
        let bound = |at, offset: i128, resolution| Bound {
            at,
            offset: (offset - self.base) as f64 + resolution,
        };
        let bounds = Bounds {
            least: bound(report_received, least, -RESOLUTION),
            most: bound(reply_sent, most, RESOLUTION),
        };
        if self.exchanges.len() == MAX_EXCHANGES {
            self.exchanges.pop_front();
        }
        self.exchanges.push_back(bounds);
        // If no drift explains them all, a clock was stopped or set. Older exchanges describe
        // another clock.
        self.line = loop {
            match self.line_at(reply_sent) {
                None if self.exchanges.len() > 1 => self.exchanges.pop_front(),
                line => break line,
            };
        };
    }

    /// The estimate at a sender's time.
    pub(super) fn at(&self, time: SenderTime) -> Option<Estimate> {
        let Line { at, offset, drift } = self.line?;
        let since = since(at, time);
        let grown = offset.middle() + drift.middle() * since;
        Some(Estimate {
            offset: i64::try_from(self.base.saturating_add(grown.round() as i128)).ok()?,
            uncertainty: offset.half() + drift.half() * since.abs() + RESOLUTION / 2.0,
            drift: drift.middle(),
            drift_uncertainty: drift.half(),
        })
    }

    /// Whether the exchanges prove that the two clocks are not the same one, which has no offset.
    pub(super) fn excludes_one_clock(&self, time: SenderTime) -> bool {
        let apart = |estimate: &Estimate| {
            (estimate.offset as f64).abs() > estimate.uncertainty + ARRIVALS_OFF
        };
        self.exchanges.len() >= FEWEST && self.at(time).as_ref().is_some_and(apart)
    }

    /// What the exchanges say together at the time of the newest; `None` if they contradict one
    /// another.
    fn line_at(&self, at: SenderTime) -> Option<Line> {
        let drift = self.drift().filter(Range::is_true)?;
        let mut offset = Range {
            least: f64::NEG_INFINITY,
            most: f64::INFINITY,
        };
        for Bounds { least, most } in &self.exchanges {
            let grown = |bound: &Bound| {
                let since = since(bound.at, at);
                [drift.least, drift.most].map(|drift| bound.offset + drift * since)
            };
            let ([a, b], [c, d]) = (grown(least), grown(most));
            offset.least = offset.least.max(a.min(b));
            offset.most = offset.most.min(c.max(d));
        }
        offset.is_true().then_some(Line { at, offset, drift })
    }

    /// The slopes of all lines that fit the bounds.
    fn drift(&self) -> Option<Range> {
        let mut drift = Range {
            least: -MAX_DRIFT,
            most: MAX_DRIFT,
        };
        for Bounds { most, .. } in &self.exchanges {
            for Bounds { least, .. } in &self.exchanges {
                let between = since(least.at, most.at);
                let slope = (most.offset - least.offset) / between;
                if between > 0.0 {
                    drift.most = drift.most.min(slope + WANDER);
                } else if between < 0.0 {
                    drift.least = drift.least.max(slope - WANDER);
                } else if most.offset < least.offset {
                    return None;
                }
            }
        }
        Some(drift)
    }
}

impl Range {
    fn is_true(&self) -> bool {
        self.least <= self.most
    }

    fn middle(&self) -> f64 {
        f64::midpoint(self.least, self.most)
    }

    fn half(&self) -> f64 {
        (self.most - self.least) / 2.0
    }
}

fn since(earlier: SenderTime, later: SenderTime) -> f64 {
    (i128::from(later.as_micros()) - i128::from(earlier.as_micros())) as f64
}

/// Exchanges that are kept: a minute at one every 900 ms. In that time a crystal's temperature, and
/// so the drift, hardly changes.
const MAX_EXCHANGES: usize = 64;

/// The largest drift between two clocks. NTP allows either clock half of it as a frequency error
/// (<https://www.rfc-editor.org/rfc/rfc5905#appendix-A.1.1>).
const MAX_DRIFT: f64 = 1_000e-6;

/// How much the drift may change from one minute to the next: what NTP allows a clock
/// (<https://www.rfc-editor.org/rfc/rfc5905#section-7.2>).
const WANDER: f64 = 15e-6;

/// Exchanges that must agree before the two ends count as having different clocks.
const FEWEST: usize = 3;

/// The largest error of an arrival time, in microseconds. The system takes it from the realtime
/// clock, and a busy machine may be held up between reading the two clocks.
const ARRIVALS_OFF: f64 = 5_000.0;

/// Times on the wire are truncated to a microsecond.
const RESOLUTION: f64 = 1.0;

#[cfg(test)]
mod tests;
