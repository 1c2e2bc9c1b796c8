//! The largest datagram that a path carries, found by the datagrams themselves
//! (<https://www.rfc-editor.org/rfc/rfc8899>).
//!
//! Viewers report the longest datagram that came of late. Sizes are tried by padding
//! additional sender reports: one that is lost costs nothing that was needed. Sizes are
//! of UDP payload in bytes.
//!
//! That a path carries less than before is told by comparing loss by size: not one of
//! many large datagrams came, while smaller ones did. Random loss takes both.

use std::collections::VecDeque;
use std::time::Duration;

use crate::stats::PathMtuFigures;
use crate::wire::{MAX_DATAGRAM, MIN_DATAGRAM};

/// The size to begin with: every path of IPv6 carries it, encrypted or not, since the
/// smallest MTU is 1,280 (<https://www.rfc-editor.org/rfc/rfc8899#section-5.1.2>,
/// `BASE_PLPMTU`).
pub const BASE_DATAGRAM: usize = 1_200;

/// A size is tried so often before it counts as too large
/// (<https://www.rfc-editor.org/rfc/rfc8899#section-5.1.2>, `MAX_PROBES`).
const MAX_PROBES: u32 = 3;

/// Time from one probe to the next of its size, beyond the RTT: a report is sent in
/// this time, and tells of the time before it.
const PROBE_EVERY: Duration = Duration::from_millis(500);

/// The search ends when it could gain no more than this.
const LEAST_GAIN: usize = 16;

/// A search begins anew after this time
/// (<https://www.rfc-editor.org/rfc/rfc8899#section-5.1.1>, `PMTU_RAISE_TIMER`).
const RAISE_AFTER: Duration = Duration::from_secs(600);

/// A report tells at least of what arrived in this time before it.
const REPORTED: Duration = Duration::from_millis(100);

/// A path carries less than was thought where, in so many reports in a row, none of so
/// many large datagrams came and smaller ones did. Where each second one is lost by
/// chance, the first is met once in a million times, where each tenth is, the second:
/// few are sent where a frame is one of the largest.
const ALL_LOST: [(u32, usize); 2] = [(2, 20), (3, 6)];

/// The most datagrams that are remembered as sent.
const MAX_SENT: usize = 4_096;

/// The most times that the wait before the next search is doubled, of a path that
/// carries less again and again.
const MAX_DOUBLINGS: u32 = 10;

/// What the viewers of a destination report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Heard {
    /// The longest datagram that came lately, of the viewer for which that is the
    /// least.
    pub(super) longest: usize,
    /// The longest RTT.
    pub(super) rtt: Duration,
}

/// The search on the path to one destination.
#[derive(Debug)]
pub(super) struct PathMtu {
    /// What the interface carries.
    ceiling: usize,
    /// The largest datagram that is sent.
    size: usize,
    /// The least size that is known to be too large, or one above the ceiling.
    too_large: usize,
    probe: Option<Probe>,
    /// When the next search begins.
    search_at: Duration,
    /// The last search has ended, and the size has not fallen since.
    is_settled: bool,
    /// When datagrams were sent, and their sizes.
    sent: VecDeque<(Duration, usize)>,
    lost: Lost,
    /// Something small is to be sent: no large datagram came, and nothing tells whether
    /// anything does.
    asks: bool,
    /// The size that was told last.
    told: Option<usize>,
    /// The least size that did not pass, unless it did later.
    refused: Option<usize>,
    probes: u64,
    black_holes: u32,
}

/// Datagrams of which none came, though smaller ones did.
#[derive(Clone, Copy, Debug, Default)]
struct Lost {
    count: usize,
    /// The size of the smallest of them.
    least: usize,
    /// In how many reports in a row.
    reports: u32,
}

/// A size that is tried.
#[derive(Clone, Copy, Debug)]
struct Probe {
    size: usize,
    sent: u32,
    /// When it is due again.
    due: Duration,
}

impl PathMtu {
    /// A path of which nothing is known but what the interface carries.
    pub(super) fn new(ceiling: usize, now: Duration) -> Self {
        let ceiling = ceiling.clamp(MIN_DATAGRAM, MAX_DATAGRAM);
        Self {
            ceiling,
            size: BASE_DATAGRAM.min(ceiling),
            too_large: ceiling + 1,
            probe: None,
            search_at: now,
            is_settled: false,
            sent: VecDeque::new(),
            lost: Lost::default(),
            asks: false,
            told: None,
            refused: None,
            probes: 0,
            black_holes: 0,
        }
    }

    /// The search from its beginning: somebody else is there.
    pub(super) fn restarted(&self, now: Duration) -> Self {
        Self::new(self.ceiling, now)
    }

    /// What the interface carries.
    pub(super) fn ceiling(&self) -> usize {
        self.ceiling
    }

    /// The largest datagram that is sent there.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// The size that was found, or to which it fell, and the one that was told before;
    /// once for each.
    pub(super) fn poll_found(&mut self) -> Option<(usize, Option<usize>)> {
        let fell = self.told.is_some_and(|told| self.size < told);
        if self.told == Some(self.size) || !(fell || self.is_settled) {
            return None;
        }
        Some((self.size, self.told.replace(self.size)))
    }

    /// What is known, for a person.
    pub(super) fn figures(&self) -> PathMtuFigures {
        PathMtuFigures {
            datagram: self.size,
            ceiling: self.ceiling,
            too_large: self.refused.filter(|refused| *refused > self.size),
            probes: self.probes,
            black_holes: self.black_holes,
            ..PathMtuFigures::default()
        }
    }

    /// Takes that a datagram was sent.
    pub(super) fn record_sent(&mut self, len: usize, now: Duration) {
        if len <= self.size {
            self.sent.push_back((now, len));
            if self.sent.len() > MAX_SENT {
                self.sent.pop_front();
            }
        }
    }

    /// The size to which the next report is to be padded, if one is to be tried.
    pub(super) fn poll_probe(&mut self, now: Duration) -> Option<usize> {
        self.asks = false;
        if self.probe.is_none() && now >= self.search_at {
            self.search(now);
        }
        let probe = self.probe.as_mut().filter(|probe| probe.due <= now)?;
        if probe.sent == MAX_PROBES {
            let size = probe.size;
            self.refuse(size);
            self.search(now);
            return self.poll_probe(now);
        }
        probe.sent += 1;
        probe.due = now + PROBE_EVERY;
        self.probes += 1;
        Some(probe.size)
    }

    /// Tries nothing for a while.
    pub(super) fn postpone(&mut self, now: Duration) {
        self.asks = false;
        let due = match &mut self.probe {
            Some(probe) => &mut probe.due,
            None => &mut self.search_at,
        };
        *due = (*due).max(now + PROBE_EVERY);
    }

    /// When [`PathMtu::poll_probe`] may have something, or a report is to leave as it
    /// is.
    pub(super) fn due(&self) -> Duration {
        let probe = self.probe.map_or(self.search_at, |probe| probe.due);
        if self.asks { Duration::ZERO } else { probe }
    }

    /// Takes what the viewers report. Returns whether the size changes.
    pub(super) fn handle_report(&mut self, heard: Heard, now: Duration) -> bool {
        let before = self.size;
        let proved = |probe: &Probe| probe.sent > 0 && heard.longest >= probe.size;
        if let Some(probe) = self.probe.filter(proved) {
            self.size = probe.size;
            self.search(now);
        }
        self.compare(heard, now);
        self.size != before
    }

    /// Takes that the system refused a datagram, or told that one is too large for the
    /// path. Returns whether the size changes.
    pub(super) fn handle_too_large(&mut self, len: usize, now: Duration) -> bool {
        match self.probe {
            Some(probe) if probe.sent > 0 => {
                self.refuse(probe.size);
                self.search(now);
                false
            }
            // One that was sent before the size fell.
            _ if len > self.size => false,
            _ => self.fall(now),
        }
    }

    /// Compares what came, by size, with what was sent in the time that the report
    /// tells of.
    fn compare(&mut self, heard: Heard, now: Duration) {
        let until = now.saturating_sub(heard.rtt);
        let from = until.saturating_sub(REPORTED);
        // Where nothing comes at all, size is not the reason, as far as is known.
        if heard.longest == 0 {
            let older = self.sent.partition_point(|(at, _)| *at <= from);
            self.sent.drain(..older);
            self.asks = self.sent.front().is_some_and(|(at, _)| *at <= until);
            return;
        }
        let mut lost = Lost {
            least: usize::MAX,
            ..self.lost
        };
        if self.lost.count > 0 {
            lost.least = self.lost.least;
        }
        let before = lost.count;
        while let Some((at, len)) = self.sent.front().copied()
            && at <= until
        {
            self.sent.pop_front();
            if at > from && len > heard.longest {
                lost.count += 1;
                lost.least = lost.least.min(len);
            }
        }
        if lost.count > 0 && heard.longest >= lost.least {
            // They come, but for those lost by chance.
            self.lost = Lost::default();
            return;
        }
        self.asks = lost.count > before;
        if !self.asks {
            return;
        }
        lost.reports += 1;
        self.lost = lost;
        let is_met = |(reports, count)| lost.reports >= reports && lost.count >= count;
        if ALL_LOST.into_iter().any(is_met) {
            self.fall(now);
        }
    }

    /// Goes on with datagrams that nearly every path carries, or every one. Returns
    /// whether they are smaller.
    fn fall(&mut self, now: Duration) -> bool {
        if self.size <= MIN_DATAGRAM {
            return false;
        }
        self.refuse(self.size);
        self.size = match self.size {
            size if size > BASE_DATAGRAM => BASE_DATAGRAM,
            _ => MIN_DATAGRAM,
        };
        (self.probe, self.is_settled, self.asks) = (None, false, false);
        self.search_at = now + PROBE_EVERY * (1 << self.black_holes.min(MAX_DOUBLINGS));
        self.black_holes = self.black_holes.saturating_add(1);
        self.lost = Lost::default();
        self.sent.clear();
        true
    }

    fn refuse(&mut self, size: usize) {
        self.too_large = size;
        self.refused = Some(size);
    }

    /// Begins to try the next size, if there is one.
    fn search(&mut self, now: Duration) {
        let next = self.next_size();
        self.probe = next.map(|size| Probe {
            size,
            sent: 0,
            due: now,
        });
        self.is_settled = self.probe.is_none();
        if self.is_settled {
            (self.search_at, self.too_large) = (now + RAISE_AFTER, self.ceiling + 1);
        }
    }

    /// The next size to be tried: what the interface carries, and then halfway
    /// between what passes and what does not.
    fn next_size(&self) -> Option<usize> {
        let gain = self.too_large.saturating_sub(self.size + 1);
        let is_first = self.too_large > self.ceiling;
        match gain {
            0 => None,
            _ if is_first => Some(self.ceiling),
            gain if gain > LEAST_GAIN => Some(self.size + gain / 2),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;

    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const RTT: Duration = Duration::from_millis(20);

    /// A sender of frames on a path that carries so much and loses so many.
    struct Path {
        mtu: PathMtu,
        carries: usize,
        loss: f64,
        rng: Rng,
        now: Duration,
        /// When datagrams came, and their sizes.
        came: VecDeque<(Duration, usize)>,
    }

    impl Path {
        fn new(ceiling: usize, carries: usize, loss: f64, seed: u64) -> Self {
            Self {
                mtu: PathMtu::new(ceiling, Duration::ZERO),
                carries,
                loss,
                rng: Rng::with_seed(seed),
                now: Duration::ZERO,
                came: VecDeque::new(),
            }
        }

        fn send(&mut self, len: usize) {
            if len <= self.carries && self.rng.f64() >= self.loss {
                self.came.push_back((self.now + RTT / 2, len));
            }
        }

        /// Frames of 30 KB at 30 a second, for so long.
        fn run(&mut self, time: Duration) {
            let end = self.now + time;
            while self.now < end {
                let millis = self.now.as_millis();
                if millis.is_multiple_of(33) {
                    let size = self.mtu.size();
                    for len in std::iter::repeat_n(size, 30_000 / size).chain([30_000 % size]) {
                        self.mtu.record_sent(len, self.now);
                        self.send(len);
                    }
                    self.send(120);
                }
                if self.mtu.due() <= self.now
                    && let Some(len) = self.mtu.poll_probe(self.now)
                {
                    self.send(len);
                }
                let left = self.now.saturating_sub(RTT / 2);
                if millis.is_multiple_of(200) && self.rng.f64() >= self.loss {
                    let recent =
                        |(at, _): &&(Duration, usize)| *at <= left && *at + 200 * MS > left;
                    let came = self.came.iter().filter(recent).map(|(_, len)| *len);
                    let heard = Heard {
                        longest: came.max().unwrap_or(0),
                        rtt: RTT,
                    };
                    self.mtu.handle_report(heard, self.now);
                    let old = |(at, _): &(Duration, usize)| *at + 500 * MS < left;
                    while self.came.front().is_some_and(old) {
                        self.came.pop_front();
                    }
                }
                self.now += MS;
            }
        }
    }

    #[test]
    fn what_the_interface_carries_is_found_where_the_path_carries_it() {
        for (ceiling, carries) in [(65_507, 65_507), (8_952, 8_952), (1_472, 1_472)] {
            let mut path = Path::new(ceiling, carries, 0.0, 1);
            path.run(Duration::from_secs(2));
            assert_eq!(path.mtu.size(), ceiling);
            assert_eq!(path.mtu.poll_found(), Some((ceiling, None)));
            assert_eq!(path.mtu.poll_found(), None);
            let figures = path.mtu.figures();
            assert_eq!((figures.probes, figures.too_large), (1, None));
        }
    }

    #[test]
    fn what_is_between_is_found_and_nothing_that_is_too_large_stays() {
        for carries in [1_352, 1_372, 1_452, 1_472, 4_000, 8_000] {
            let mut path = Path::new(8_952, carries, 0.05, carries as u64);
            path.run(Duration::from_secs(120));
            let found = path.mtu.size();
            assert!(
                found <= carries && found + LEAST_GAIN >= carries,
                "{found} of {carries}"
            );
        }
    }

    #[test]
    fn random_loss_is_no_path_that_carries_less() {
        for seed in 0..20 {
            let mut path = Path::new(1_452, 1_452, 0.2, seed);
            path.run(Duration::from_secs(5));
            for _ in 0..600 {
                path.run(100 * MS);
                let holes = path.mtu.figures().black_holes;
                assert_eq!(holes, 0, "seed {seed} at {:?}", path.now);
            }
        }
    }

    #[test]
    fn a_path_that_silently_carries_less_is_noticed_within_a_second() {
        for seed in 0..20 {
            let mut path = Path::new(1_452, 1_452, 0.0, seed);
            path.run(3_000 * MS + (seed as u32) * 13 * MS);
            path.carries = 1_300;
            let _ = path.mtu.poll_found();
            path.run(900 * MS);
            let size = path.mtu.size();
            assert!(size <= 1_300, "seed {seed}: {size}");
            let told = path.mtu.poll_found();
            assert_eq!(told, Some((BASE_DATAGRAM, Some(1_452))), "seed {seed}");
            path.run(Duration::from_secs(60));
            let size = path.mtu.size();
            assert!((1_284..=1_300).contains(&size), "seed {seed}: {size}");
            // And again when it carries more.
            path.carries = 1_452;
            path.run(RAISE_AFTER + Duration::from_secs(60));
            assert_eq!(path.mtu.size(), 1_452);
        }
    }

    #[test]
    fn an_outage_is_no_path_that_carries_less() {
        let mut path = Path::new(1_452, 1_452, 0.0, 1);
        path.run(Duration::from_secs(2));
        path.carries = 0;
        path.run(Duration::from_secs(5));
        path.carries = 1_452;
        path.run(Duration::from_secs(2));
        assert_eq!(path.mtu.size(), 1_452);
    }

    #[test]
    fn a_path_with_few_frames_that_carries_less_is_noticed_too() {
        let mut path = Path::new(65_507, 65_507, 0.0, 1);
        path.run(Duration::from_secs(2));
        assert_eq!(path.mtu.size(), 65_507);
        path.carries = 9_000;
        path.run(1_000 * MS);
        assert_eq!(path.mtu.size(), BASE_DATAGRAM);
    }

    #[test]
    fn what_the_system_refuses_is_not_sent_again() {
        let mut mtu = PathMtu::new(9_000, Duration::ZERO);
        assert_eq!(mtu.poll_probe(MS), Some(9_000));
        assert!(!mtu.handle_too_large(9_000, MS));
        let next = mtu.poll_probe(MS).expect("another size");
        assert!((BASE_DATAGRAM..9_000).contains(&next), "{next}");
        let heard = Heard {
            longest: next,
            rtt: RTT,
        };
        assert!(mtu.handle_report(heard, 2 * MS));
        // One without the probe that is under way is about the datagrams in use.
        mtu.probe = None;
        mtu.search_at = Duration::MAX;
        assert!(mtu.handle_too_large(next, 3 * MS));
        assert_eq!(mtu.size(), BASE_DATAGRAM);
        assert!(!mtu.handle_too_large(next, 4 * MS));
        assert!(mtu.handle_too_large(BASE_DATAGRAM, 4 * MS));
        assert_eq!(mtu.size(), MIN_DATAGRAM);
        assert!(!mtu.handle_too_large(MIN_DATAGRAM, 5 * MS));
        assert_eq!(mtu.figures().black_holes, 2);
    }

    #[test]
    fn the_next_search_waits_longer_each_time_that_a_path_carries_less() {
        let mut mtu = PathMtu::new(1_452, Duration::ZERO);
        let mut waits = Vec::new();
        for _ in 0..15 {
            mtu.size = 1_452;
            mtu.fall(MS);
            waits.push(mtu.due() - MS);
        }
        assert_eq!(waits[..3], [PROBE_EVERY, 2 * PROBE_EVERY, 4 * PROBE_EVERY]);
        assert_eq!(waits[14], PROBE_EVERY * (1 << MAX_DOUBLINGS));
    }
}
