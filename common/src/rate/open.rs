//! A path that was never seen to queue limits nothing. Its trains are sent faster and
//! faster, and are watched for a limit.

use std::time::Duration;

use super::RateController;
use super::competition::Competition;
use super::history::{ENOUGH, Train};
use super::view::View;

/// Without a report for this long, the rate is halved, and again after each further
/// such time. Longer than on a path with a limit: a viewer that its system keeps
/// waiting says nothing of the path.
pub(super) const BREAKER: Duration = Duration::from_secs(2);

/// What a path carries counts as a limit if the stream, as of late, uses more than one
/// part in this many of it.
const NEEDED: f64 = 4.0;

/// A queue of this many seconds in front of this many trains in a row is a limit too:
/// trains of few packets do not show what the path carries.
const STANDING: f64 = 0.04;
const STANDS: u32 = 3;

/// How much faster than one that found no queue a train is sent, and the most bytes a
/// second.
const FASTER: f64 = 1.25;
const FASTEST: f64 = 1.25e9;

/// A train was not stretched if it took no longer to arrive than to be sent and this
/// part of that, or this many microseconds, whichever is more: network cards collect
/// packets before they tell of them.
const TOLERANCE: u64 = 8;
const COLLECTED: u64 = 500;

/// What is known of an open path.
#[derive(Debug, Default)]
pub(super) struct OpenPath {
    /// Bytes a second at which trains are sent, and what the path carries; 0 before
    /// anything is known.
    pace: f64,
    limit: f64,
    /// The number of the newest train that is complete.
    newest: Option<u64>,
    /// Trains in a row that found a standing queue.
    standing: u32,
}

impl OpenPath {
    /// Bytes a second at which trains are sent, if known.
    pub(super) fn pace(&self) -> Option<f64> {
        (self.pace > 0.0).then_some(self.pace)
    }

    /// Takes a train that is complete.
    fn take(&mut self, train: &Train, queue: f64) {
        if self.newest.is_some_and(|newest| newest >= train.number()) {
            return;
        }
        self.newest = Some(train.number());
        self.standing = if queue > STANDING {
            self.standing + 1
        } else {
            0
        };
        if let Some(limit) = train.limit() {
            (self.pace, self.limit) = (limit.min(FASTEST), limit);
        } else if train.bytes() >= ENOUGH && !train.is_interrupted() && !is_stretched(train) {
            let paced = train.paced();
            self.pace = self.pace.max(paced * FASTER).min(FASTEST);
            if paced > self.limit * FASTER {
                self.limit = 0.0;
            }
        }
    }

    /// Bytes a second that the path carries, if its trains have shown it.
    fn limit(&self) -> Option<f64> {
        (self.limit > 0.0).then_some(self.limit)
    }
}

impl RateController {
    /// Looks for a limit of an open path in what the newest trains show. From then on
    /// the rate follows the path.
    pub(super) fn look_for_limit(&mut self, view: &View, now: Duration) {
        let trains = &self.history.trains;
        if let Some(train) = trains.iter().rev().nth(1) {
            self.open.take(train, view.queue);
        }
        let needed = self.used.most(now) * NEEDED;
        let newest = trains.back().and_then(Train::limit);
        let limit = newest.or(self.open.limit()).filter(|limit| *limit < needed);
        let standing = view.carried.filter(|_| self.open.standing >= STANDS);
        if let Some(limit) = limit.or(standing) {
            self.share = limit.clamp(super::LEAST, self.most);
            self.rate = self.share;
            self.competition = Competition::new(now);
        }
    }
}

fn is_stretched(train: &Train) -> bool {
    let (sending, arriving) = (train.sending(), train.arriving().max(0) as u64);
    arriving > sending + (sending / TOLERANCE).max(COLLECTED)
}
