//! Whether another flow fills the queue until packets are lost, and what to send
//! beside it: what such a flow would (<https://www.rfc-editor.org/rfc/rfc9438>).

use std::time::Duration;

use super::NEAR_EMPTY;
use super::cubic::Cubic;

/// Losses where a queue stands that are so far apart are those of a flow that
/// fills the queue again and again; sooner it may be this flow's own overload.
const APART: (Duration, Duration) = (Duration::from_millis(1_500), Duration::from_secs(15));

/// A queue that has stood for so long when packets are lost, or for twice as long
/// while this flow sends less and less, is not this flow's; one that has been near
/// empty for so long is nobody's.
const LONG: Duration = Duration::from_secs(2);

/// Where the queue stands again for some time soon after this flow stopped to
/// compete, the other one was there all the time.
const SOON: Duration = Duration::from_secs(10);
const AGAIN: Duration = Duration::from_millis(700);

/// Whether the other flow is still there shows when this one steps back: for how
/// long, and to which part of its rate. Several that are alone with each other
/// must do so together: at one loss of so many, by lot.
const TEST_ONE_OF: u64 = 3;
const TEST_FOR: Duration = Duration::from_millis(1_500);
const TEST: f64 = 0.3;

/// The queue in seconds that shows that it is not.
const EMPTY: f64 = 0.01;

#[derive(Debug)]
pub(super) struct Competition {
    cubic: Option<Cubic>,
    /// When the queue was last near empty and this flow's share by then, and when
    /// it was not.
    empty: (Duration, f64),
    full: Duration,
    /// When packets were last lost where a queue stood.
    lost: Duration,
    /// Packets that were sent before this are of a loss that was answered, in
    /// microseconds.
    answered: u64,
    is_lost: bool,
    /// Until when this flow steps back.
    tested: Duration,
    /// When it was over, and the law by then.
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

    /// Takes a report: when the newest packet that is lost was sent, and the
    /// queue in seconds.
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

    /// Share and rate in bytes a second, beside a flow that fills the queue.
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
