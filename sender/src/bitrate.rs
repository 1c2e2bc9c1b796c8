//! Limits the length of frames so that everything sent stays within a bit rate. It measures what
//! frames cost on the wire, and chooses the length of the next ones. Pure: counts in, a length out.
//!
//! The sender keeps to the rate in any case, by delaying datagrams. This makes such delays rare.

use std::collections::VecDeque;
use std::time::Duration;

use framegram_common::fec::Fec;
use framegram_common::sender::{CONTROL_RESERVE, Volume};

use crate::encode::MIN_FRAME_BYTES;

/// The period over which the rate is limited and costs are measured.
const WINDOW: Duration = Duration::from_secs(1);

/// A cost that was measured counts for so long, unless a higher one comes:
/// quality falls at once and rises late. Where the rate follows the path it rises at
/// once: what was lost before the path was known says nothing of what is.
const HOLD: Duration = Duration::from_secs(4);

/// Share of the rate that frames aim at, since source clocks jitter.
const USE: f64 = 0.97;

/// The length changes only if it grows by at least this factor.
const WORTHWHILE: f64 = 1.05;

/// Where the path comes to carry less than this share of what frames need, the frames that are
/// begun now fit already.
const SHARP: f64 = 0.8;

/// A frame that is more than this many times as long as it may be now was encoded before the path
/// came to carry less.
const OUTGROWN: usize = 2;

/// Frames in a row that are left out at most: as many as are being encoded then.
const MOST_OUTGROWN: u32 = 8;

/// The longest interval at which a frame is left out for the next one.
const SOON: Duration = Duration::from_millis(100);

/// Frames per second of a source that does not say, initially and at most: a pipe that is read as
/// fast as frames fit would make them ever smaller.
const UNKNOWN_FPS: f64 = 60.0;

/// Cost without parity, and before any was measured: headers and reports.
const FIRST_COST: f64 = 1.1;

/// Approximate parity sent before a viewer reports.
const FIRST_PARITY: f64 = 0.2;

/// Where the rate follows the path, a source may be this many times slower than it says, as a
/// camera in the dark is, and its frames that much longer. Still longer ones would take too long to
/// arrive.
const MOST_SLOWER: f64 = 2.0;

/// Frames that show that a source has become faster again.
const FASTER_AFTER: usize = 4;

/// Upper bound on remembered frames of one second, for sources without a frame rate limit.
const MAX_SAMPLES: usize = 1_024;

/// What is known when a frame is sent.
#[derive(Clone, Copy, Debug)]
struct FrameSample {
    at: Duration,
    /// How long the source took for it: the time since the one before, without that in which it
    /// was ready and waited.
    took: Duration,
    /// What was sent before.
    volume: Volume,
}

/// Sets the length of the next frame.
#[derive(Clone, Debug)]
pub struct BitrateControl {
    bytes_per_second: f64,
    interval: Option<Duration>,
    /// Each frame of the last second.
    samples: VecDeque<FrameSample>,
    /// Bytes sent per byte of JPEG, with the time of measurement, in descending order.
    costs: VecDeque<(Duration, f64)>,
    target: usize,
    /// Whether the rate follows the path.
    follows: bool,
    /// Frames in a row that were left out.
    outgrown: u32,
}

impl BitrateControl {
    /// For frames `interval` apart, if known, within `bitrate` bits per second, including parity
    /// according to `fec`.
    pub fn new(bitrate: u64, interval: Option<Duration>, fec: Fec, now: Duration) -> Self {
        let parity = match fec {
            Fec::Off => 0.0,
            Fec::Auto => FIRST_PARITY,
            Fec::Fixed(share) => share,
        };
        let mut control = Self {
            bytes_per_second: (bitrate / 8).saturating_sub(CONTROL_RESERVE) as f64,
            interval,
            samples: VecDeque::new(),
            costs: VecDeque::from([(now, FIRST_COST + parity)]),
            target: 0,
            follows: false,
            outgrown: 0,
        };
        control.target = control.fitting();
        control
    }

    /// Takes what the path carries from now on, in bits a second. Returns whether that is so much
    /// less that the target has changed.
    pub fn set_rate(&mut self, bitrate: u64) -> bool {
        self.follows = true;
        self.bytes_per_second = (bitrate / 8).saturating_sub(CONTROL_RESERVE) as f64;
        let fitting = self.fitting();
        let is_sharp = (fitting as f64) < self.target as f64 * SHARP;
        if is_sharp {
            self.target = fitting;
        }
        is_sharp
    }

    /// Upper bound on the bytes of the next frame.
    pub fn target(&self) -> usize {
        self.target.max(MIN_FRAME_BYTES)
    }

    /// Whether an encoded frame of this many bytes is left out: a newer one that fits comes soon.
    pub fn outgrows(&mut self, bytes: usize) -> bool {
        let comes_soon = self.interval.is_some_and(|interval| interval <= SOON);
        let is_long = bytes > self.target() * OUTGROWN;
        let outgrows = comes_soon && is_long && self.outgrown < MOST_OUTGROWN;
        self.outgrown = if outgrows { self.outgrown + 1 } else { 0 };
        outgrows
    }

    /// Whether even the shortest frames are too long for the rate.
    pub fn is_too_low(&self) -> bool {
        self.target < MIN_FRAME_BYTES
    }

    /// Records a frame that has waited this long since it was encoded, and what was sent before it.
    pub fn observe(&mut self, volume: Volume, waited: Duration, now: Duration) {
        let before = self.samples.back().map_or(now, |before| before.at);
        self.samples.push_back(FrameSample {
            at: now,
            took: now.saturating_sub(before).saturating_sub(waited),
            volume,
        });
        while self.samples.len() > MAX_SAMPLES
            || self
                .samples
                .get(1)
                .is_some_and(|second| second.at + WINDOW <= now)
        {
            self.samples.pop_front();
        }
        self.measure(now);
        let fitting = self.fitting();
        if fitting < self.target || fitting as f64 >= self.target as f64 * WORTHWHILE {
            self.target = fitting;
        }
    }

    fn measure(&mut self, now: Duration) {
        let (Some(first), Some(last)) = (self.samples.front(), self.samples.back()) else {
            return;
        };
        let (before, after) = (first.volume, last.volume);
        let jpeg = after.jpeg.saturating_sub(before.jpeg);
        if now.saturating_sub(first.at) < WINDOW || jpeg == 0 {
            return;
        }
        let cost = (after.sent.saturating_sub(before.sent) as f64 / jpeg as f64).max(1.0);
        while self.costs.back().is_some_and(|(_, lower)| *lower <= cost) {
            self.costs.pop_back();
        }
        self.costs.push_back((now, cost));
        let hold = if self.follows { Duration::ZERO } else { HOLD };
        while self.costs.len() > 1 && self.costs[0].0 + hold <= now {
            self.costs.pop_front();
        }
    }

    fn fitting(&self) -> usize {
        let cost = self.costs.front().map_or(FIRST_COST, |(_, cost)| *cost);
        (self.bytes_per_second * USE / self.frames_a_second() / cost) as usize
    }

    /// The most frames that begin within any second.
    fn frames_a_second(&self) -> f64 {
        let fps = self.interval.map_or_else(
            || self.measured_fps(),
            |interval| 1.0 / interval.as_secs_f64(),
        );
        // Intervals are rounded, so 30.000001 counts as 30.
        let fps = (fps - 0.01).ceil().max(1.0);
        if self.follows && self.interval.is_some() {
            fps.min(self.source_fps().max(fps / MOST_SLOWER))
        } else {
            fps
        }
    }

    /// The frames that the source makes in a second, where nothing holds them back; as far as is
    /// known, without bound.
    fn source_fps(&self) -> f64 {
        let took = || self.samples.iter().skip(1).map(|sample| sample.took);
        let all: Duration = took().sum();
        if all * 2 < WINDOW {
            return f64::INFINITY;
        }
        let fps = |count: usize, took: Duration| count as f64 / took.as_secs_f64().max(1e-3);
        let newest: Duration = took().rev().take(FASTER_AFTER).sum();
        fps(took().count(), all).max(fps(FASTER_AFTER, newest))
    }

    fn measured_fps(&self) -> f64 {
        let span = match (self.samples.front(), self.samples.back()) {
            (Some(first), Some(last)) => last.at.saturating_sub(first.at),
            _ => Duration::ZERO,
        };
        if span < WINDOW {
            return UNKNOWN_FPS;
        }
        let fps = (self.samples.len() - 1) as f64 / span.as_secs_f64();
        fps.min(UNKNOWN_FPS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Duration = Duration::from_nanos(33_333_333);
    const RATE: u64 = 4_000_000;

    /// A stream of frames with a length of `natural` bytes that cost `cost` times their length.
    /// Returns what was sent in each second, and the targets.
    fn play(
        interval: Option<Duration>,
        fec: Fec,
        frames: u32,
        natural: impl Fn(u32) -> f64,
        cost: impl Fn(u32) -> f64,
    ) -> (Vec<f64>, Vec<usize>) {
        let start = Duration::from_secs(50);
        let mut control = BitrateControl::new(RATE, interval, fec, start);
        let mut volume = Volume::default();
        let (mut sent, mut targets) = (Vec::new(), Vec::new());
        for frame in 0..frames {
            control.observe(volume, Duration::ZERO, start + FRAME * frame);
            targets.push(control.target());
            let jpeg = natural(frame).min(control.target() as f64 * 0.9);
            volume.jpeg += jpeg as u64;
            volume.sent += (jpeg * cost(frame)) as u64;
            sent.push(jpeg * cost(frame));
        }
        let seconds = sent.windows(30).map(|second| second.iter().sum::<f64>());
        (seconds.map(|bytes| bytes * 8.0).collect(), targets)
    }

    fn changes(targets: &[usize]) -> usize {
        targets.windows(2).filter(|pair| pair[0] != pair[1]).count()
    }

    #[test]
    fn fills_the_rate_and_settles_where_nothing_changes() {
        for interval in [Some(FRAME), None] {
            let (seconds, targets) = play(interval, Fec::Auto, 600, |_| 1e6, |_| 1.12);
            assert!(seconds.iter().all(|bits| *bits <= RATE as f64));
            let settled = &seconds[200..];
            assert!(settled.iter().all(|bits| *bits >= 0.8 * RATE as f64));
            assert!(changes(&targets) <= 4, "{}", changes(&targets));
            assert_eq!(changes(&targets[200..]), 0);
        }
    }

    #[test]
    fn content_changes_do_not_change_the_target() {
        let natural = |frame: u32| [3_000.0, 1e6][(frame / 100 % 2) as usize];
        let (seconds, targets) = play(Some(FRAME), Fec::Auto, 1_000, natural, |_| 1.15);
        assert!(seconds.iter().all(|bits| *bits <= RATE as f64));
        assert!(changes(&targets) <= 2, "{}", changes(&targets));
    }

    #[test]
    fn the_target_falls_at_once_and_rises_late_with_the_cost_of_repair() {
        let cost = |frame: u32| {
            if (300..600).contains(&frame) {
                1.6
            } else {
                1.1
            }
        };
        let (seconds, targets) = play(Some(FRAME), Fec::Off, 1_200, |_| 1e6, cost);
        let over = seconds.iter().filter(|bits| **bits > RATE as f64).count();
        // In the second before the change is noticed, the sender's limit applies.
        assert!(over <= 32, "{over}");
        assert!(seconds[345..].iter().all(|bits| *bits <= RATE as f64));
        assert!(targets[335] < targets[290]);
        assert_eq!(targets[599], targets[600 + 60]);
        assert!(targets[600 + 160] > targets[599]);
    }

    #[test]
    fn jittering_costs_seldom_change_the_length() {
        let cost = |frame: u32| 1.2 + 0.1 * f64::from(frame * 7 % 11) / 11.0;
        let (_, targets) = play(Some(FRAME), Fec::Auto, 1_200, |_| 1e6, cost);
        assert!(
            changes(&targets[200..]) <= 5,
            "{}",
            changes(&targets[200..])
        );
    }

    #[test]
    fn where_a_path_comes_to_carry_far_less_the_next_frame_fits_already() {
        let mut control = BitrateControl::new(RATE, Some(FRAME), Fec::Auto, Duration::ZERO);
        let before = control.target();
        assert!(
            !control.set_rate(RATE * 9 / 10),
            "a frame's observation does"
        );
        assert_eq!(control.target(), before);
        assert!(control.set_rate(RATE / 2));
        assert!(control.target() < before * 51 / 100);
    }

    #[test]
    fn of_frames_that_were_encoded_for_a_faster_path_only_some_are_left_out() {
        let new = |interval| BitrateControl::new(RATE, interval, Fec::Auto, Duration::ZERO);
        let mut control = new(Some(FRAME));
        let long = control.target() * 3;
        assert!(!control.outgrows(control.target() * 2));
        let left_out = (0..20).take_while(|_| control.outgrows(long)).count();
        assert_eq!(left_out, MOST_OUTGROWN as usize);
        // One that goes out begins the count again.
        assert!(control.outgrows(long));
        // The next one of a slow source, or of one that does not say, may be long in coming.
        assert!(!new(None).outgrows(long));
        assert!(!new(Some(SOON * 2)).outgrows(usize::MAX));
    }

    /// Frames `every` so often, of which each waits `waited`, after others at the told interval.
    fn target_at(every: Duration, waited: Duration, frames: u32) -> f64 {
        let mut control = BitrateControl::new(RATE, Some(FRAME), Fec::Off, Duration::ZERO);
        control.set_rate(RATE);
        let (mut now, mut volume) = (Duration::ZERO, Volume::default());
        let mut play = |control: &mut BitrateControl, every, waited, frames| {
            for _ in 0..frames {
                now += every;
                control.observe(volume, waited, now);
                let len = control.target() as u64;
                volume.jpeg += len;
                volume.sent += len * 11 / 10;
            }
            control.target() as f64
        };
        let told = play(&mut control, FRAME, Duration::ZERO, 90);
        play(&mut control, every, waited, frames) / told
    }

    #[test]
    fn frames_of_a_source_that_is_slower_than_it_says_may_be_longer() {
        let zero = Duration::ZERO;
        let near = |ratio: f64, wanted: f64| (ratio / wanted - 1.0).abs() < WORTHWHILE - 1.0;
        assert!(near(target_at(FRAME * 3 / 2, zero, 90), 1.5));
        assert!(near(target_at(FRAME * 10, zero, 90), MOST_SLOWER));
        // A hiccup is no rate, and frames that the path holds back say nothing of the source.
        assert!(near(target_at(FRAME * 2, zero, 1), 1.0));
        assert!(near(target_at(FRAME * 2, FRAME, 90), 1.0));
        assert!(near(target_at(FRAME * 2, FRAME * 9, 90), 1.0));
    }

    #[test]
    fn says_when_no_frame_can_be_short_enough() {
        let control = BitrateControl::new(64_000, Some(FRAME), Fec::Auto, Duration::ZERO);
        assert!(control.is_too_low());
        assert_eq!(control.target(), MIN_FRAME_BYTES);
        let slow = Duration::from_secs(3);
        let control = BitrateControl::new(64_000, Some(slow), Fec::Auto, Duration::ZERO);
        assert!(!control.is_too_low());
        assert!(control.target() < 8_000);
    }
}
