//! Simulates the traced path for other datagrams.

use std::time::Duration;

use fastrand::Rng;

use super::TracedStream;
use super::slots::PacketSlot;

/// One run over the path. Datagrams must be sent in order of time.
#[derive(Debug)]
pub(super) struct Path<'a> {
    stream: &'a TracedStream,
    rng: Rng,
    /// When the last datagram was sent, and whether it was lost.
    last: (u64, bool),
}

impl<'a> Path<'a> {
    pub(super) fn new(stream: &'a TracedStream, seed: u64) -> Self {
        Self {
            stream,
            rng: Rng::with_seed(seed),
            last: (0, false),
        }
    }

    /// Returns the delay beyond the minimum of a datagram sent at `at`; `None` if
    /// it is lost. `chunk` identifies a chunk that is sent for the first time:
    /// position of its frame, and index in it.
    pub(super) fn send(&mut self, chunk: Option<(usize, usize)>, at: u64) -> Option<Duration> {
        let slot = chunk.and_then(|(frame, index)| self.chunk(frame, index));
        let losses = &self.stream.losses;
        let late = match slot {
            Some(slot) if slot.sent.abs_diff(at) <= NEAR => slot.late(),
            _ if losses.is_out(at) => None,
            Some(slot) if !losses.is_out(slot.sent) => slot.late(),
            _ if self.draw(at) => None,
            _ => Some(self.late(at)),
        };
        self.last = (at, late.is_none());
        late
    }

    /// [`Path::send`] for feedback.
    pub(super) fn send_back(&mut self, at: u64) -> Option<Duration> {
        let losses = &self.stream.losses;
        let lost = losses.is_out(at) || self.rng.f64() < losses.odds(at).0;
        (!lost).then(|| self.late(at))
    }

    fn chunk(&self, frame: usize, index: usize) -> Option<PacketSlot> {
        let first = self.stream.frames.get(frame)?.first;
        self.stream.media.get(first + index).copied()
    }

    fn late(&mut self, at: u64) -> Duration {
        let rng = &mut self.rng;
        self.stream.losses.late(at, |count| rng.usize(..count))
    }

    /// Decides whether a datagram that is not in the trace is lost.
    fn draw(&mut self, at: u64) -> bool {
        let losses = &self.stream.losses;
        let (share, run) = losses.odds(at);
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

/// Times that differ by less, in microseconds, are the same: a sender's threads
/// wake no more precisely.
const NEAR: u64 = 2_000;

/// After this many microseconds, a random loss no longer affects the next packet.
const MEMORY: u64 = 10_000;

/// Minimum share of packets that arrive, to avoid division by zero.
const LEAST_SHARE: f64 = 0.01;
