//! What was sent when, and what became of it.

use std::time::Duration;

use super::{LEAST_OUTAGE, LEAST_RUN};

/// A datagram that came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heard {
    pub(super) number: u64,
    pub(super) sent: u64,
    /// Arrival on one clock less sending on the other, in microseconds;
    /// [`DAMAGED`] where it came to nothing.
    transit: i64,
}

/// A datagram that was sent, whether or not it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    /// When, in microseconds of the sender's clock; estimated for what was
    /// lost.
    pub(super) sent: u64,
    /// Microseconds on the way above the least; [`LOST`] where it was lost.
    late: u32,
}

const DAMAGED: i64 = i64::MAX;
const LOST: u32 = u32::MAX;

impl Heard {
    pub(super) fn new(number: u64, sent: u64, transit: Option<i64>) -> Self {
        Self {
            number,
            sent,
            transit: transit.unwrap_or(DAMAGED),
        }
    }

    fn transit(&self) -> Option<i64> {
        (self.transit != DAMAGED).then_some(self.transit)
    }
}

impl Slot {
    pub(super) fn lost(sent: u64) -> Self {
        Self { sent, late: LOST }
    }

    /// How much later than the least it came; `None` where it was lost.
    pub(super) fn late(&self) -> Option<Duration> {
        (self.late != LOST).then(|| Duration::from_micros(self.late.into()))
    }

    pub(super) fn is_lost(&self) -> bool {
        self.late == LOST
    }
}

/// The least time on the way, moment by moment: clocks drift.
#[derive(Debug)]
pub(super) struct Floor {
    first: u64,
    /// The least transit in each window.
    windows: Vec<i64>,
}

impl Floor {
    /// Of what was heard, sent from `first` to `last`.
    pub(super) fn new<'a>(heard: impl Iterator<Item = &'a Heard>, first: u64, last: u64) -> Self {
        let count = (last.saturating_sub(first) / WINDOW).min(MAX_WINDOWS) as usize + 1;
        let mut floor = Self {
            first,
            windows: vec![i64::MAX; count],
        };
        for heard in heard {
            if let Some(transit) = heard.transit() {
                let at = floor.window(heard.sent);
                floor.windows[at] = floor.windows[at].min(transit);
            }
        }
        floor
    }

    pub(super) fn slot(&self, heard: &Heard) -> Slot {
        let Some(transit) = heard.transit() else {
            return Slot::lost(heard.sent);
        };
        let at = self.window(heard.sent);
        let near = &self.windows[at.saturating_sub(1)..(at + 2).min(self.windows.len())];
        let least = near.iter().copied().min().unwrap_or(transit).min(transit);
        let late = transit.wrapping_sub(least) as u64;
        Slot {
            sent: heard.sent,
            late: late.min(MAX_LATE) as u32,
        }
    }

    fn window(&self, sent: u64) -> usize {
        let at = sent.saturating_sub(self.first) / WINDOW;
        (at as usize).min(self.windows.len() - 1)
    }
}

/// All that was sent, of all channels, in the order of sending.
#[derive(Debug, Default)]
pub(super) struct Merged {
    slots: Vec<Slot>,
    /// How many before each slot were lost, but not in an outage.
    lost: Vec<u32>,
    /// First and last moment of each time that the path was out.
    outages: Vec<(u64, u64)>,
    total: u64,
    runs: u64,
    /// Runs that are no outage, and the slots in them.
    chance: (u64, u64),
}

impl Merged {
    pub(super) fn new(channels: [&[Slot]; 3]) -> Self {
        let mut slots = channels.concat();
        slots.sort_by_key(|slot| slot.sent);
        let mut merged = Self::default();
        let mut at = 0;
        for run in slots.chunk_by(|a, b| a.is_lost() == b.is_lost()) {
            let (first, last) = (run[0].sent, run[run.len() - 1].sent);
            let lost = run[0].is_lost();
            let out = lost
                && run.len() >= LEAST_RUN
                && u128::from(last - first) >= LEAST_OUTAGE.as_micros();
            if out {
                merged.outages.push((first, last));
            } else if lost {
                merged.chance.0 += 1;
                merged.chance.1 += run.len() as u64;
            }
            merged.runs += u64::from(lost);
            merged.total += u64::from(lost) * run.len() as u64;
            for _ in run {
                merged.lost.push(at);
                at += u32::from(lost && !out);
            }
        }
        merged.lost.push(at);
        merged.slots = slots;
        merged
    }

    /// Datagrams sent, and lost.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.slots.len() as u64, self.total)
    }

    /// The mean length of a run of lost datagrams.
    pub(super) fn mean_run(&self) -> f64 {
        self.total as f64 / self.runs.max(1) as f64
    }

    /// The mean length of such a run that is no outage.
    pub(super) fn chance_run(&self) -> f64 {
        let (runs, lost) = self.chance;
        lost as f64 / runs.max(1) as f64
    }

    /// The share lost by chance around a time.
    pub(super) fn share(&self, at: u64) -> f64 {
        let middle = self.slots.partition_point(|slot| slot.sent < at);
        let from = middle.saturating_sub(NEIGHBOURS);
        let to = (middle + NEIGHBOURS).min(self.slots.len());
        let lost = self.lost[to] - self.lost[from];
        f64::from(lost) / (to - from).max(1) as f64
    }

    /// Whether the path was out.
    pub(super) fn is_out(&self, at: u64) -> bool {
        let next = self.outages.partition_point(|(_, last)| *last < at);
        self.outages
            .get(next)
            .is_some_and(|(first, _)| *first <= at)
    }

    /// How late one of the last datagrams that came was, of those sent until
    /// then; `draw` chooses among so many.
    pub(super) fn late(&self, at: u64, draw: impl FnOnce(usize) -> usize) -> Duration {
        let until = self.slots.partition_point(|slot| slot.sent <= at);
        let near = self.slots[..until].iter().rev().take(NEIGHBOURS);
        let mut lates = [Duration::ZERO; CHOICE];
        let came = near.filter_map(Slot::late).zip(&mut lates);
        let count = came.map(|(late, place)| *place = late).count();
        lates[draw(count.max(1)) % CHOICE]
    }
}

/// The least transit is taken over three windows of so many microseconds: long
/// enough for a queue to have been empty once, short enough for clocks not to
/// drift.
const WINDOW: u64 = 5_000_000;

/// A day of windows.
const MAX_WINDOWS: u64 = 24 * 3600 / 5;

/// Nothing is later than this, in microseconds: beyond it everything is given
/// up anyway.
const MAX_LATE: u64 = 60_000_000;

/// So many datagrams before and behind tell how much is lost.
const NEIGHBOURS: usize = 100;

/// What is sent besides takes as long as one of so many before it.
const CHOICE: usize = 8;
