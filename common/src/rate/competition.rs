//! Detects another flow that fills the queue until packets are lost, and computes the rate beside
//! it: that of such a flow (<https://www.rfc-editor.org/rfc/rfc9438>).

use std::time::Duration;

use super::NEAR_EMPTY;
use super::cubic::Cubic;

/// If losses with a standing queue are this far apart, another flow fills the queue repeatedly.
/// Sooner ones may be this flow's own overload.
const APART: (Duration, Duration) = (Duration::from_millis(1_500), Duration::from_secs(15));

/// A queue that has stood for this long when packets are lost, or for twice as long while this
/// flow's rate falls, is not this flow's. A queue that has been near empty for this long is
/// nobody's.
const LONG: Duration = Duration::from_secs(2);

/// If the queue stands again soon after this flow stopped competing, the other flow was there all
/// the time.
const SOON: Duration = Duration::from_secs(10);
const AGAIN: Duration = Duration::from_millis(700);

/// Whether the other flow is still there is tested by stepping back: for this time, and to this
/// part of the rate. Several flows that compete only with each other must step back together, so
/// the test follows one loss in this many, chosen at random.
const TEST_ONE_OF: u64 = 3;
const TEST_FOR: Duration = Duration::from_millis(1_500);
const TEST: f64 = 0.3;

/// Upper bound on the queue, in seconds, that shows that the other flow is gone.
const EMPTY: f64 = 0.01;

#[derive(Debug)]
pub(super) struct Competition {
    cubic: Option<Cubic>,
    /// When the queue was last near empty, with this flow's share at that time, and when it last
    /// was not.
    empty: (Duration, f64),
    full: Duration,
    /// When packets were last lost with a standing queue.
    lost: Duration,
    /// Packets sent before this time belong to a loss that was already answered, in microseconds.
    answered: u64,
    is_lost: bool,
    /// The end of the present step back.
    tested: Duration,
    /// When competition ended, and the window at that time.
    over: Option<(Duration, Cubic)>,
}

impl Competition {
    pub(super) fn new(now: Duration) -> Self {
        Self {
            cubic: None,
            empty: (now, 0.0),
            full: now,
            lost: Duration::ZERO,
            answered: 0,
            is_lost: false,
            tested: now,
            over: None,
        }
    }

    pub(super) fn is_on(&self) -> bool {
        self.cubic.is_some()
    }

    /// Records a report: when the newest lost packet was sent, and the queue in seconds.
    pub(super) fn record(
        &mut self,
        lost: Option<u64>,
        queue: f64,
        (share, rtt): (f64, Duration),
        now: Duration,
    ) {
        if queue < NEAR_EMPTY {
            self.empty = (now, share);
        } else {
            self.full = now;
        }
        self.is_lost = queue > NEAR_EMPTY && lost.is_some_and(|lost| lost > self.answered);
        let mut again = false;
        if self.is_lost {
            self.answered = now.as_micros() as u64;
            let since = now.saturating_sub(self.lost);
            again = since > APART.0 && since < APART.1;
            if since > APART.0 {
                self.lost = now;
            }
        }
        let stood = now.saturating_sub(self.empty.0);
        let starved = stood > LONG * 2 && share < self.empty.1 / 2.0;
        if self.cubic.is_none() && (again || starved || self.is_lost && stood > LONG) {
            self.cubic = Some(Cubic::new(share.max(self.empty.1 / 2.0), rtt, now));
            self.tested = now;
        }
        if let Some((over, cubic)) = self.over.take_if(|_| self.cubic.is_none())
            && now.saturating_sub(over) < SOON
        {
            if now.saturating_sub(self.empty.0) > AGAIN {
                (self.cubic, self.tested) = (Some(cubic), now);
            } else {
                self.over = Some((over, cubic));
            }
        }
        if now.saturating_sub(self.full) > LONG {
            self.end(now);
        }
    }

    fn end(&mut self, now: Duration) {
        if let Some(cubic) = self.cubic.take() {
            self.over = Some((now, cubic));
        }
    }

    /// Share and rate in bytes per second, beside a flow that fills the queue.
    pub(super) fn rate(&mut self, queue: f64, rtt: Duration, now: Duration) -> Option<(f64, f64)> {
        let cubic = self.cubic.as_mut()?;
        if self.is_lost {
            cubic.record_loss(now);
            if self.answered.is_multiple_of(TEST_ONE_OF) {
                self.tested = now + TEST_FOR;
            }
        }
        let share = cubic.rate(rtt, now);
        if now >= self.tested {
            return Some((share, share));
        }
        if queue < EMPTY {
            self.end(now);
        }
        Some((share, share * TEST))
    }
}
