//! When each packet was sent, and whether it arrived.

use std::time::Duration;

use super::{LEAST_OUTAGE, LEAST_RUN};

/// A packet that arrived.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReceivedPacket {
    pub(super) number: u64,
    pub(super) sent: u64,
    /// Arrival time minus send time, on different clocks, in microseconds.
    pub(super) transit: i64,
}

/// A datagram that was sent, whether or not it arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PacketSlot {
    /// Send time in microseconds of the sender's clock; estimated for lost ones.
    pub(super) sent: u64,
    /// Delay beyond the minimum, in microseconds; [`LOST`] if it was lost.
    late: u32,
}

const LOST: u32 = u32::MAX;

impl PacketSlot {
    pub(super) fn lost(sent: u64) -> Self {
        Self { sent, late: LOST }
    }

    /// Delay beyond the minimum; `None` if it was lost.
    pub(super) fn late(&self) -> Option<Duration> {
        (self.late != LOST).then(|| Duration::from_micros(self.late.into()))
    }

    pub(super) fn is_lost(&self) -> bool {
        self.late == LOST
    }
}

/// The minimum transit time over time, because clocks drift.
#[derive(Debug)]
pub(super) struct Floor {
    first: u64,
    /// Minimum transit time in each window.
    windows: Vec<i64>,
}

impl Floor {
    /// Computes it from the packets that were sent from `first` to `last`.
    pub(super) fn new<'a>(
        received: impl Iterator<Item = &'a ReceivedPacket>,
        first: u64,
        last: u64,
    ) -> Self {
        let count = (last.saturating_sub(first) / WINDOW).min(MAX_WINDOWS) as usize + 1;
        let mut floor = Self {
            first,
            windows: vec![i64::MAX; count],
        };
        for received in received {
            let at = floor.window(received.sent);
            floor.windows[at] = floor.windows[at].min(received.transit);
        }
        floor
    }

    pub(super) fn slot(&self, received: &ReceivedPacket) -> PacketSlot {
        let transit = received.transit;
        let at = self.window(received.sent);
        let near = &self.windows[at.saturating_sub(1)..(at + 2).min(self.windows.len())];
        let least = near.iter().copied().min().unwrap_or(transit).min(transit);
        let late = transit.wrapping_sub(least) as u64;
        PacketSlot {
            sent: received.sent,
            late: late.min(MAX_LATE) as u32,
        }
    }

    fn window(&self, sent: u64) -> usize {
        let at = sent.saturating_sub(self.first) / WINDOW;
        (at as usize).min(self.windows.len() - 1)
    }
}

/// All chunks in sending order, and their losses.
#[derive(Debug, Default)]
pub(super) struct LossTimeline {
    slots: Vec<PacketSlot>,
    /// For each slot, the number of earlier ones that were lost: outside outages,
    /// and in total.
    lost: Vec<[u32; 2]>,
    /// First and last lost packet of each outage.
    outages: Vec<(u64, u64)>,
    total: u64,
    runs: u64,
    /// Number of runs outside outages, and of their slots.
    chance: (u64, u64),
}

impl LossTimeline {
    pub(super) fn new(media: &[PacketSlot]) -> Self {
        let mut slots = media.to_vec();
        slots.sort_by_key(|slot| slot.sent);
        let mut losses = Self::default();
        let mut before = [0; 2];
        for run in slots.chunk_by(|a, b| a.is_lost() == b.is_lost()) {
            let (first, last) = (run[0].sent, run[run.len() - 1].sent);
            let lost = run[0].is_lost();
            let out = lost
                && run.len() >= LEAST_RUN
                && u128::from(last - first) >= LEAST_OUTAGE.as_micros();
            if out {
                losses.outages.push((first, last));
            } else if lost {
                losses.chance.0 += 1;
                losses.chance.1 += run.len() as u64;
            }
            losses.runs += u64::from(lost);
            losses.total += u64::from(lost) * run.len() as u64;
            for _ in run {
                losses.lost.push(before);
                before[0] += u32::from(lost && !out);
                before[1] += u32::from(lost);
            }
        }
        losses.lost.push(before);
        losses.slots = slots;
        losses
    }

    /// Mean length of a run of lost datagrams.
    pub(super) fn mean_run(&self) -> f64 {
        self.total as f64 / self.runs.max(1) as f64
    }

    /// Share of loss around a time, and mean run length. Both exclude outages if
    /// a neighbouring packet shows that there was none at that time.
    pub(super) fn odds(&self, at: u64) -> (f64, f64) {
        let middle = self.slots.partition_point(|slot| slot.sent < at);
        let beside = [middle.checked_sub(1), Some(middle)].into_iter().flatten();
        let mut beside = beside.filter_map(|at| self.slots.get(at));
        let seen = beside.any(|slot| slot.sent.abs_diff(at) <= SEEN);
        let from = middle.saturating_sub(NEIGHBOURS);
        let to = (middle + NEIGHBOURS).min(self.slots.len());
        let which = usize::from(!seen);
        let lost = self.lost[to][which] - self.lost[from][which];
        let share = f64::from(lost) / (to - from).max(1) as f64;
        let (runs, all) = self.chance;
        let run = if seen {
            all as f64 / runs.max(1) as f64
        } else {
            self.mean_run()
        };
        (share, run)
    }

    /// Whether there was an outage.
    pub(super) fn is_out(&self, at: u64) -> bool {
        let next = self.outages.partition_point(|(_, last)| *last < at);
        self.outages
            .get(next)
            .is_some_and(|(first, _)| *first <= at)
    }

    /// Delay of one of the last datagrams that were sent before `at` and arrived.
    /// `draw` chooses among a number of them.
    pub(super) fn late(&self, at: u64, draw: impl FnOnce(usize) -> usize) -> Duration {
        let until = self.slots.partition_point(|slot| slot.sent <= at);
        let near = self.slots[..until].iter().rev().take(NEIGHBOURS);
        let mut lates = [Duration::ZERO; CHOICE];
        let came = near.filter_map(PacketSlot::late).zip(&mut lates);
        let count = came.map(|(late, place)| *place = late).count();
        lates[draw(count.max(1)) % CHOICE]
    }
}

/// Length of a window in microseconds. The minimum is taken over three windows:
/// long enough for the queue to be empty once, short enough for clocks not to
/// drift.
const WINDOW: u64 = 5_000_000;

/// Upper bound on windows: a day.
const MAX_WINDOWS: u64 = 24 * 3600 / 5;

/// Upper bound on delays in microseconds. Later datagrams have been given up
/// anyway.
const MAX_LATE: u64 = 60_000_000;

/// A datagram shows whether there was an outage this many microseconds before and
/// after it: less than the shortest outage.
const SEEN: u64 = 1_000;

/// Number of packets before and after over which the share of loss is taken.
const NEIGHBOURS: usize = 100;

/// Number of preceding packets among which a delay is chosen.
const CHOICE: usize = 8;
