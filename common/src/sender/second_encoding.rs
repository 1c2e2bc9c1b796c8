//! The second encoding: the same frames at a lower quality, for viewers whose paths carry too few
//! of the first encoding. Decides who gets it.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::path_rate::MOST;
use crate::seq::FrameNumber;

/// Viewers that are sent one frame in this many, or fewer, count as thinned.
const THINNED: f64 = 1.25;

/// A viewer that is sent one frame in this many, or fewer, is worth a second encoding alone.
const ALONE: f64 = 3.0;

/// A viewer that has the second encoding alone gets the first again when its path carries one frame
/// in this many.
const AGAIN: f64 = 2.0;

/// How long viewers are thinned before they get the second encoding, and how long their paths carry
/// enough of the first before they get that again: longer than the rate of a path takes to settle.
const SETTLED: Duration = Duration::from_secs(2);

/// A viewer that is slower than the fastest of those that share it by more than this factor gets
/// fewer frames, and no coarser picture for all.
const SLOWER: f64 = 4.0;

/// Bytes sent per byte of JPEG, as an estimate.
const COST: f64 = 1.1;

/// Weight of the newest frame in the mean length.
const NEWEST: f64 = 1.0 / 16.0;

/// Upper bound on frames whose second encoding is awaited.
const MAX_AWAITED: usize = 16;

/// What is known of a destination.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Receives {
    pub(super) destination: usize,
    /// Bytes per second that its path carries; infinite if nothing is known to limit it.
    pub(super) rate: f64,
    /// How many frames there are for each one that it is sent.
    pub(super) distance: f64,
}

/// A frame whose second encoding is awaited.
#[derive(Debug)]
pub(super) struct Awaited {
    pub(super) number: FrameNumber,
    pub(super) captured: Duration,
    /// The destinations that get it, where they still do.
    pub(super) to: Vec<usize>,
}

/// Who gets the second encoding.
#[derive(Debug, Default)]
pub(super) struct SecondEncoding {
    /// The destinations that get it, and since when their paths have carried enough of the first
    /// encoding.
    members: BTreeMap<usize, Option<Duration>>,
    /// Since when there have been viewers for it.
    wanted: Option<Duration>,
    /// Mean length of a frame of the first encoding in bytes.
    len: f64,
    /// The newest frames, oldest first.
    awaited: VecDeque<Awaited>,
    /// Frames sent, by destination.
    sent: BTreeMap<usize, u64>,
}

impl SecondEncoding {
    /// Whether a destination gets the second encoding.
    pub(super) fn includes(&self, destination: usize) -> bool {
        self.members.contains_key(&destination)
    }

    /// The destinations that get it.
    pub(super) fn members(&self) -> impl Iterator<Item = usize> {
        self.members.keys().copied()
    }

    /// The number of frames of it that were sent to a destination.
    pub(super) fn sent(&self, destination: usize) -> u64 {
        self.sent.get(&destination).copied().unwrap_or(0)
    }

    /// Records the length of a frame of the first encoding.
    pub(super) fn record_first(&mut self, len: usize) {
        let len = len as f64;
        let before = if self.len > 0.0 { self.len } else { len };
        self.len = before + (len - before) * NEWEST;
    }

    /// Decides who gets it from now on, where frames are `interval` apart. Returns who does not get
    /// it any more.
    pub(super) fn update(
        &mut self,
        all: &[Receives],
        interval: Duration,
        now: Duration,
    ) -> Vec<usize> {
        let before: Vec<_> = self.members().collect();
        self.remove(all, interval, now);
        self.add(all, interval, now);
        let left = before.into_iter().filter(|member| !self.includes(*member));
        left.collect()
    }

    /// Bytes per second that the first encoding takes.
    fn needed(&self, interval: Duration) -> f64 {
        self.len * COST / interval.as_secs_f64().max(f64::EPSILON)
    }

    fn remove(&mut self, all: &[Receives], interval: Duration, now: Duration) {
        let needed = self.needed(interval);
        let is_alone = self.members.len() == 1;
        self.members.retain(|member, since| {
            let Some(seen) = all.iter().find(|seen| seen.destination == *member) else {
                return false;
            };
            let is_enough = seen.rate >= needed / if is_alone { AGAIN } else { 1.0 };
            *since = is_enough.then(|| since.unwrap_or(now));
            since.is_none_or(|since| now.saturating_sub(since) < SETTLED)
        });
        // Somebody must get the first encoding.
        if self.members.len() >= all.len() {
            self.members.clear();
        }
    }

    fn add(&mut self, all: &[Receives], interval: Duration, now: Duration) {
        let needed = self.needed(interval);
        let thinned = all.iter().filter(|seen| {
            seen.distance >= THINNED && seen.rate < needed && !self.includes(seen.destination)
        });
        let thinned: Vec<_> = thinned.collect();
        let is_worth_it = !self.members.is_empty()
            || thinned.len() > 1
            || thinned.iter().any(|seen| seen.distance >= ALONE);
        let is_worth_it = is_worth_it && self.members.len() + thinned.len() < all.len();
        if thinned.is_empty() || !is_worth_it {
            self.wanted = None;
            return;
        }
        if now.saturating_sub(*self.wanted.get_or_insert(now)) >= SETTLED {
            self.wanted = None;
            let new = thinned.iter().map(|seen| (seen.destination, None));
            self.members.extend(new);
        }
    }

    /// The rate to make it for: that of the slowest of its viewers, unless it is much slower than the
    /// fastest with a limit; and the slowest one.
    pub(super) fn rate(&self, all: &[Receives]) -> Option<Receives> {
        let members = || all.iter().filter(|seen| self.includes(seen.destination));
        let slowest = members().min_by(|a, b| a.rate.total_cmp(&b.rate))?;
        let limits = members()
            .map(|seen| seen.rate)
            .filter(|rate| rate.is_finite());
        let fastest = limits.fold(0.0, f64::max);
        Some(Receives {
            rate: slowest.rate.max(fastest / SLOWER).min(MOST),
            ..*slowest
        })
    }

    /// Awaits the second encoding of a frame for these destinations. Returns the oldest frame if too
    /// many are awaited.
    pub(super) fn expect(
        &mut self,
        number: FrameNumber,
        captured: Duration,
        to: Vec<usize>,
    ) -> Option<Awaited> {
        self.awaited.push_back(Awaited {
            number,
            captured,
            to,
        });
        let is_full = self.awaited.len() > MAX_AWAITED;
        is_full.then(|| self.awaited.pop_front()).flatten()
    }

    /// The next awaited frame that was captured by this time.
    pub(super) fn take(&mut self, captured: Duration) -> Option<Awaited> {
        let first = self.awaited.front()?;
        (first.captured <= captured)
            .then(|| self.awaited.pop_front())
            .flatten()
    }

    /// Awaits no more frames for a destination. Returns how many were awaited.
    pub(super) fn withdraw(&mut self, destination: usize) -> usize {
        let awaited = self.awaited.iter_mut().map(|awaited| {
            let before = awaited.to.len();
            awaited.to.retain(|to| *to != destination);
            before - awaited.to.len()
        });
        awaited.sum()
    }

    /// Records a frame that was sent to a destination.
    pub(super) fn record_sent(&mut self, destination: usize) {
        *self.sent.entry(destination).or_default() += 1;
    }

    /// Forgets a destination: it has a new viewer, or none.
    pub(super) fn forget(&mut self, destination: usize) {
        self.members.remove(&destination);
        self.sent.remove(&destination);
        self.withdraw(destination);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const INTERVAL: Duration = Duration::from_millis(40);

    /// Frames of 40,000 bytes, 25 a second: with what goes with them, 1.1 MB/s.
    fn started() -> SecondEncoding {
        let mut second = SecondEncoding::default();
        second.record_first(40_000);
        second
    }

    fn seen(destination: usize, rate: f64) -> Receives {
        Receives {
            destination,
            rate,
            distance: (1.1e6 / rate).max(1.0),
        }
    }

    /// Who gets it after each second.
    fn play(second: &mut SecondEncoding, all: &[Receives], from: u32, to: u32) -> Vec<Vec<usize>> {
        let each = (from..to).map(|at| {
            second.update(all, INTERVAL, SECOND * at);
            second.members().collect()
        });
        each.collect()
    }

    #[test]
    fn two_thinned_viewers_share_it_once_their_paths_are_known() {
        let mut second = started();
        let all = [seen(0, 9e6), seen(1, 0.6e6), seen(2, 0.8e6)];
        let members = play(&mut second, &all, 0, 4);
        assert_eq!(members, [vec![], vec![], vec![1, 2], vec![1, 2]]);
        let rate = second.rate(&all).unwrap();
        assert_eq!((rate.destination, rate.rate), (1, 0.6e6));
        // A much slower one gets fewer frames, not all of them a coarser picture.
        let all = [seen(0, 9e6), seen(1, 0.1e6), seen(2, 0.8e6)];
        assert_eq!(second.rate(&all).unwrap().rate, 0.2e6);
    }

    #[test]
    fn one_viewer_gets_it_only_if_it_would_get_less_than_a_third_of_the_frames() {
        let mut second = started();
        let half = [seen(0, 9e6), seen(1, 0.5e6)];
        assert!(play(&mut second, &half, 0, 9).concat().is_empty());
        let third = [seen(0, 9e6), seen(1, 0.3e6)];
        assert_eq!(play(&mut second, &third, 9, 12).concat(), [1]);
        // It keeps it until its path carries half of the first encoding.
        let more = [seen(0, 9e6), seen(1, 0.5e6)];
        assert_eq!(play(&mut second, &more, 12, 16), vec![vec![1]; 4]);
        let enough = [seen(0, 9e6), seen(1, 0.6e6)];
        assert_eq!(play(&mut second, &enough, 16, 18), vec![vec![1]; 2]);
        assert!(play(&mut second, &enough, 18, 19).concat().is_empty());
    }

    #[test]
    fn a_path_that_is_slow_for_a_moment_changes_nothing() {
        let mut second = started();
        let (slow, fast) = ([seen(0, 9e6), seen(1, 0.1e6)], [seen(0, 9e6), seen(1, 9e6)]);
        for at in 0..20 {
            let all = if at % 2 == 0 { &slow } else { &fast };
            assert!(play(&mut second, all, at, at + 1).concat().is_empty());
        }
    }

    #[test]
    fn a_path_without_a_limit_counts_as_one_that_carries_the_first_encoding() {
        let mut second = started();
        let open = |destination| seen(destination, f64::INFINITY);
        let all = [open(0), seen(1, 0.3e6)];
        assert_eq!(play(&mut second, &all, 0, 3).concat(), [1]);
        assert_eq!(second.rate(&all).unwrap().rate, 0.3e6);
        // The path of a viewer that has started again is open at first.
        let all = [open(0), open(1)];
        assert_eq!(second.rate(&all).unwrap().rate, MOST);
        assert_eq!(play(&mut second, &all, 3, 6), [vec![1], vec![1], vec![]]);
    }

    #[test]
    fn somebody_gets_the_first_encoding() {
        let mut second = started();
        let all = [seen(0, 0.2e6), seen(1, 0.2e6)];
        assert!(play(&mut second, &all, 0, 9).concat().is_empty());
    }

    #[test]
    fn who_is_gone_gets_nothing_and_no_more_frames_are_awaited_than_may_be() {
        let mut second = started();
        let all = [seen(0, 9e6), seen(1, 0.6e6), seen(2, 0.8e6)];
        play(&mut second, &all, 0, 4);
        for number in 0..MAX_AWAITED as u64 {
            let captured = INTERVAL * number as u32;
            assert!(
                second
                    .expect(FrameNumber(number), captured, vec![1, 2])
                    .is_none()
            );
        }
        let oldest = second.expect(FrameNumber(99), SECOND, vec![1]).unwrap();
        assert_eq!(oldest.number, FrameNumber(0));
        second.forget(1);
        assert_eq!(second.members().collect::<Vec<_>>(), [2]);
        let next = second.take(SECOND).unwrap();
        assert_eq!((next.number, next.to), (FrameNumber(1), vec![2]));
        assert!(second.take(Duration::ZERO).is_none());
        assert_eq!(play(&mut second, &all[..2], 4, 5), [Vec::<usize>::new()]);
    }
}
