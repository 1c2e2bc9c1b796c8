//! The way that the traced stream went, for others to go.

use std::time::Duration;

use fastrand::Rng;

use super::Journey;
use super::slots::Slot;

/// The path, once. Whatever is sent on it is to be sent in the order of time.
#[derive(Debug)]
pub(super) struct Path<'a> {
    journey: &'a Journey,
    rng: Rng,
    /// When the last datagram was sent, and whether it was lost.
    last: (u64, bool),
}

impl<'a> Path<'a> {
    pub(super) fn new(journey: &'a Journey, seed: u64) -> Self {
        Self {
            journey,
            rng: Rng::with_seed(seed),
            last: (0, false),
        }
    }

    /// How much longer than the least a datagram takes that is sent at `at`;
    /// `None` if it is lost. `chunk` is what it carries, if that is sent for the
    /// first time: its frame, counted from the first, and its index there.
    pub(super) fn send(&mut self, chunk: Option<(usize, usize)>, at: u64) -> Option<Duration> {
        let slot = chunk.and_then(|(frame, index)| self.chunk(frame, index));
        let course = &self.journey.course;
        let late = match slot {
            Some(slot) if slot.sent.abs_diff(at) <= NEAR => slot.late(),
            _ if course.is_out(at) => None,
            Some(slot) if !course.is_out(slot.sent) => slot.late(),
            _ if self.draw(at) => None,
            _ => Some(self.late(at)),
        };
        self.last = (at, late.is_none());
        late
    }

    /// The same for what is sent back.
    pub(super) fn send_back(&mut self, at: u64) -> Option<Duration> {
        let course = &self.journey.course;
        let lost = course.is_out(at) || self.rng.f64() < course.odds(at).0;
        (!lost).then(|| self.late(at))
    }

    fn chunk(&self, frame: usize, index: usize) -> Option<Slot> {
        let first = self.journey.frames.get(frame)?.first;
        self.journey.media.get(first + index).copied()
    }

    fn late(&mut self, at: u64) -> Duration {
        let rng = &mut self.rng;
        self.journey.course.late(at, |count| rng.usize(..count))
    }

    /// Whether a datagram is lost of which the trace knows nothing.
    fn draw(&mut self, at: u64) -> bool {
        let course = &self.journey.course;
        let (share, run) = course.odds(at);
        let run = run.max(1.0 / (1.0 - share).max(LEAST_SHARE));
        let (last, lost) = self.last;
        let chance = match at.saturating_sub(last) {
            away if away > MEMORY => share,
            _ if lost => 1.0 - 1.0 / run,
            _ => share / (run * (1.0 - share).max(LEAST_SHARE)),
        };
        self.rng.f64() < chance
    }
}

/// What is sent within this many microseconds of something is sent at the same
/// time: a sender's threads wake no more exactly.
const NEAR: u64 = 2_000;

/// After this many microseconds a path has forgotten a loss by chance.
const MEMORY: u64 = 10_000;

/// Keeps divisions by what arrives away from zero.
const LEAST_SHARE: f64 = 0.01;
