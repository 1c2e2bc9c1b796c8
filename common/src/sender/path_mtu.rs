//! The largest datagram that a path carries, found by the datagrams themselves
//! (<https://www.rfc-editor.org/rfc/rfc8899>).
//!
//! Viewers report the longest datagram that came of late. Sizes are tried by padding
//! sender reports: one that is lost costs nothing that was needed. Sizes are of UDP
//! payload in bytes.
//!
//! That a path carries less than before is told by comparing loss by size: not one of
//! many large datagrams came, while smaller ones did. Random loss takes both.

use std::collections::VecDeque;
use std::time::Duration;

use crate::wire::{DEFAULT_DATAGRAM, MIN_DATAGRAM};

/// Carried by every path of IPv6, whose smallest MTU is 1,280
/// (<https://www.rfc-editor.org/rfc/rfc8899#section-5.1.2>, `BASE_PLPMTU`).
pub const BASE_DATAGRAM: usize = 1_232;

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

/// Large datagrams of which none came while smaller ones did, in two reports or more:
/// where each second one is lost by chance, all of these are once in a million times.
const ALL_LOST: usize = 20;

/// The most datagrams that are remembered as sent.
const MAX_SENT: usize = 4_096;

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
    search_at: Duration,
    /// When datagrams were sent, and their sizes.
    sent: VecDeque<(Duration, usize)>,
    lost: Lost,
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
        let ceiling = ceiling.max(MIN_DATAGRAM);
        Self {
            ceiling,
            size: DEFAULT_DATAGRAM.min(ceiling),
            too_large: ceiling + 1,
            probe: None,
            search_at: now,
            sent: VecDeque::new(),
            lost: Lost::default(),
        }
    }

    /// The search from its beginning: somebody else is there.
    pub(super) fn anew(&self, now: Duration) -> Self {
        Self::new(self.ceiling, now)
    }

    /// The largest datagram that is sent there.
    pub(super) fn size(&self) -> usize {
        self.size
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
        if self.probe.is_none() && now >= self.search_at {
            self.probe = self.next_size().map(|size| Probe {
                size,
                sent: 0,
                due: now,
            });
            if self.probe.is_none() {
                (self.search_at, self.too_large) = (now + RAISE_AFTER, self.ceiling + 1);
            }
        }
        let probe = self.probe.as_mut().filter(|probe| probe.due <= now)?;
        if probe.sent == MAX_PROBES {
            self.too_large = probe.size;
            self.probe = None;
            return self.poll_probe(now);
        }
        probe.sent += 1;
        probe.due = now + PROBE_EVERY;
        Some(probe.size)
    }

    /// When [`PathMtu::poll_probe`] may have something.
    pub(super) fn due(&self) -> Duration {
        self.probe.map_or(self.search_at, |probe| probe.due)
    }

    /// Takes what the viewers report. Returns whether the size changes.
    pub(super) fn handle_report(&mut self, heard: Heard, now: Duration) -> bool {
        let before = self.size;
        let proved = |probe: &Probe| probe.sent > 0 && heard.longest >= probe.size;
        if let Some(probe) = self.probe.filter(proved) {
            self.size = probe.size;
            self.probe = None;
        }
        self.compare(heard, now);
        self.size != before
    }

    /// Compares what came, by size, with what was sent in the time that the report
    /// tells of.
    fn compare(&mut self, heard: Heard, now: Duration) {
        let until = now.saturating_sub(heard.rtt);
        let from = until.saturating_sub(REPORTED);
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
        // Where nothing comes at all, size is not the reason.
        if heard.longest == 0 || lost.count == before {
            return;
        }
        lost.reports += 1;
        self.lost = lost;
        if lost.count >= ALL_LOST && lost.reports > 1 && self.size > MIN_DATAGRAM {
            self.too_large = self.size;
            self.size = match self.size {
                size if size > BASE_DATAGRAM => BASE_DATAGRAM,
                _ => MIN_DATAGRAM,
            };
            (self.probe, self.search_at) = (None, now + PROBE_EVERY);
            self.lost = Lost::default();
            self.sent.clear();
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
                        |(at, _): &&(Duration, usize)| *at <= left && *at + 150 * MS > left;
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
            for _ in 0..600 {
                path.run(100 * MS);
                assert_eq!(path.mtu.size(), 1_452, "seed {seed} at {:?}", path.now);
            }
        }
    }

    #[test]
    fn a_path_that_silently_carries_less_is_noticed_within_a_second() {
        for seed in 0..20 {
            let mut path = Path::new(1_452, 1_452, 0.0, seed);
            path.run(3_000 * MS + (seed as u32) * 13 * MS);
            path.carries = 1_300;
            path.run(900 * MS);
            let size = path.mtu.size();
            assert!(size <= 1_300, "seed {seed}: {size}");
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
}
