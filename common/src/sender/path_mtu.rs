//! Finds the largest datagram that a path carries, by sending datagrams
//! (<https://www.rfc-editor.org/rfc/rfc8899>).
//!
//! Viewers report the longest datagram that arrived recently. Probes are additional, padded sender
//! reports: losing one costs nothing. Sizes are bytes of UDP payload.
//!
//! A path that carries less than before is detected by loss that depends on the size: none of many
//! large datagrams arrived, while smaller ones did. Random loss affects both.

use std::collections::VecDeque;
use std::time::Duration;

use crate::stats::PathMtuFigures;
use crate::wire::{MAX_DATAGRAM, MIN_DATAGRAM};

/// The initial size: every IPv6 path carries it, encrypted or not, since the smallest MTU is 1,280
/// (<https://www.rfc-editor.org/rfc/rfc8899#section-5.1.2>, `BASE_PLPMTU`).
pub const BASE_DATAGRAM: usize = 1_200;

/// Number of probes of a size before it counts as too large
/// (<https://www.rfc-editor.org/rfc/rfc8899#section-5.1.2>, `MAX_PROBES`).
const MAX_PROBES: u32 = 3;

/// Time between probes of the same size, in addition to the RTT: a report is sent in this time, and
/// covers the time before it.
const PROBE_EVERY: Duration = Duration::from_millis(500);

/// The search ends when it could gain no more than this.
const LEAST_GAIN: usize = 16;

/// Time from the end of a search to the next one
/// (<https://www.rfc-editor.org/rfc/rfc8899#section-5.1.1>, `PMTU_RAISE_TIMER`).
const RAISE_AFTER: Duration = Duration::from_secs(600);

/// A report covers at least what arrived in this time before it.
const REPORTED: Duration = Duration::from_millis(100);

/// Number of reports in a row, and of large datagrams in them, after which a path is taken to carry
/// less: none of the large ones arrived, and smaller ones did. By chance, the first pair occurs
/// once in a million times at 50 % random loss. The second does so at 10 %; it serves streams whose
/// frames are a few large datagrams.
const ALL_LOST: [(u32, usize); 2] = [(2, 20), (3, 6)];

/// Upper bound on remembered sent datagrams.
const MAX_SENT: usize = 4_096;

/// Upper bound on doublings of the wait before the next search, for a path whose MTU keeps falling.
const MAX_DOUBLINGS: u32 = 10;

/// What the viewers of a destination report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Heard {
    /// The longest datagram that arrived recently, at the viewer for which it is smallest.
    pub(super) longest: usize,
    /// The longest RTT.
    pub(super) rtt: Duration,
}

/// The search on the path to one destination.
#[derive(Debug)]
pub(super) struct PathMtu {
    /// The largest datagram of the interface.
    ceiling: usize,
    /// The present size of large datagrams.
    size: usize,
    /// The smallest size known to be too large, or one above the ceiling.
    too_large: usize,
    probe: Option<Probe>,
    /// When the next search begins.
    search_at: Duration,
    /// The last search has ended, and the size has not fallen since.
    is_settled: bool,
    /// When datagrams were sent, and their sizes.
    sent: VecDeque<(Duration, usize)>,
    lost: Lost,
    /// A small datagram must be sent: no large one arrived, and nothing shows whether any does.
    asks: bool,
    /// The size last returned.
    told: Option<usize>,
    /// The smallest size that failed, unless it passed later.
    refused: Option<usize>,
    probes: u64,
    black_holes: u32,
}

/// Datagrams of which none arrived, although smaller ones did.
#[derive(Clone, Copy, Debug, Default)]
struct Lost {
    count: usize,
    /// The size of the smallest of them.
    least: usize,
    /// The number of reports in a row.
    reports: u32,
}

/// A size that is probed.
#[derive(Clone, Copy, Debug)]
struct Probe {
    size: usize,
    sent: u32,
    /// When it is next due.
    due: Duration,
}

impl PathMtu {
    /// A path of which only the interface's MTU is known.
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

    /// The search from its beginning, for a new viewer.
    pub(super) fn restarted(&self, now: Duration) -> Self {
        Self::new(self.ceiling, now)
    }

    /// The largest datagram of the interface.
    pub(super) fn ceiling(&self) -> usize {
        self.ceiling
    }

    /// The present size of large datagrams.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// The size that was found or to which it fell, and the one returned before. Each is returned
    /// once.
    pub(super) fn poll_found(&mut self) -> Option<(usize, Option<usize>)> {
        let fell = self.told.is_some_and(|told| self.size < told);
        if self.told == Some(self.size) || !(fell || self.is_settled) {
            return None;
        }
        Some((self.size, self.told.replace(self.size)))
    }

    /// What is known, for the report.
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

    /// Records a sent datagram.
    pub(super) fn record_sent(&mut self, len: usize, now: Duration) {
        if len <= self.size {
            self.sent.push_back((now, len));
            if self.sent.len() > MAX_SENT {
                self.sent.pop_front();
            }
        }
    }

    /// The size to which the next report is padded, if a probe is due.
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

    /// Suspends probing for a while.
    pub(super) fn postpone(&mut self, now: Duration) {
        self.asks = false;
        let due = match &mut self.probe {
            Some(probe) => &mut probe.due,
            None => &mut self.search_at,
        };
        *due = (*due).max(now + PROBE_EVERY);
    }

    /// When [`PathMtu::poll_probe`] is due, or a report without padding.
    pub(super) fn due(&self) -> Duration {
        let probe = self.probe.map_or(self.search_at, |probe| probe.due);
        if self.asks { Duration::ZERO } else { probe }
    }

    /// Evaluates the viewers' reports. Returns whether the size changes.
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

    /// Records that the system rejected a datagram, or reported that one is too large for the path.
    /// Returns whether the size changes.
    pub(super) fn handle_too_large(&mut self, len: usize, now: Duration) -> bool {
        match self.probe {
            Some(probe) if probe.sent > 0 => {
                self.refuse(probe.size);
                self.search(now);
                false
            }
            // It was sent before the size fell.
            _ if len > self.size => false,
            _ => self.fall(now),
        }
    }

    /// Compares what arrived, by size, with what was sent in the time that the report covers.
    fn compare(&mut self, heard: Heard, now: Duration) {
        let until = now.saturating_sub(heard.rtt);
        let from = until.saturating_sub(REPORTED);
        // If nothing arrives at all, nothing points to the size as the reason.
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
            // They arrive, except for random loss.
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

    /// Falls back to datagrams that nearly every path carries, or every path. Returns whether they
    /// are smaller.
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

    /// Starts to probe the next size, if there is one.
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

    /// The next size to probe: first the interface's MTU, then halfway between the largest that
    /// passes and the smallest that does not.
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
mod tests;
