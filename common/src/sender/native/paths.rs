//! What is known of the ways to all viewers. What one of them claims of its own
//! way decides what it gets itself; of what all share it decides only within
//! bounds.

use std::time::Duration;

use crate::fec::PathEstimate;

/// Where several viewers share a schedule, one that waits for less is planned
/// for as if it waited for this: it leaves time to spread a frame's packets.
const LEAST_SHARED_BUDGET: Duration = Duration::from_millis(20);

/// The ways to the viewers that are present, by destination; none where a
/// destination is closed. One without any report has the way that is presumed.
#[derive(Clone, Debug, Default)]
pub(super) struct Paths {
    destinations: Vec<Option<Vec<PathEstimate>>>,
    presumed: PathEstimate,
}

impl Paths {
    /// These, by destination; `presumed` where nothing is known.
    pub(super) fn new(
        destinations: Vec<Option<Vec<PathEstimate>>>,
        presumed: PathEstimate,
    ) -> Self {
        let mut paths = Self {
            destinations,
            presumed,
        };
        for viewers in paths.destinations.iter_mut().flatten() {
            if viewers.is_empty() {
                viewers.push(presumed);
            }
        }
        paths
    }

    /// The ways to the viewers of each destination.
    pub(super) fn destinations(&self) -> impl Iterator<Item = Option<&[PathEstimate]>> {
        self.destinations.iter().map(Option::as_deref)
    }

    /// Whether there is more than one viewer, or destination.
    pub(super) fn is_shared(&self) -> bool {
        self.all().nth(1).is_some()
    }

    /// How long frames are kept: for as long as anybody waits, no longer.
    pub(super) fn keep(&self) -> Duration {
        let budgets = self.all().map(|path| path.budget);
        budgets.max().unwrap_or(self.presumed.budget)
    }

    /// How long the packets of a frame may be spread over: no longer than is
    /// good for any.
    pub(super) fn spread(&self, interval: Duration) -> Duration {
        let floor = self.floor();
        let spread = |path: &PathEstimate| with_floor(*path, floor).spread(interval);
        let least = self.all().map(spread).min();
        least.unwrap_or_else(|| self.presumed.spread(interval))
    }

    /// The way that decides over how many frames parity is taken: as bad as the
    /// worst, and in time for all.
    pub(super) fn worst(&self) -> PathEstimate {
        let floor = self.floor();
        let loss = |path: &&PathEstimate| path.loss.map_or(0.0, |loss| loss.loss());
        let worst = self.all().max_by(|a, b| loss(a).total_cmp(&loss(b)));
        let least = self.all().map(|path| path.budget.max(floor)).min();
        PathEstimate {
            budget: least.unwrap_or(self.presumed.budget),
            ..*worst.unwrap_or(&self.presumed)
        }
    }

    fn all(&self) -> impl Iterator<Item = &PathEstimate> {
        self.destinations.iter().flatten().flatten()
    }

    /// No budget counts for less where it is shared, unless all are.
    fn floor(&self) -> Duration {
        LEAST_SHARED_BUDGET.min(self.keep())
    }
}

fn with_floor(path: PathEstimate, floor: Duration) -> PathEstimate {
    PathEstimate {
        budget: path.budget.max(floor),
        ..path
    }
}
