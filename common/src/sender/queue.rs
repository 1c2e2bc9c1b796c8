//! Datagrams that wait until they are due, the same for all destinations.

use std::collections::VecDeque;
use std::time::Duration;

use super::Transmit;
use super::native::{MAX_WAITING_FRAMES, RateLimit};
use crate::frame::MAX_FRAME_BYTES;

/// The most datagrams in one batch, and the most bytes: what a system takes in
/// one call.
const MAX_BATCH: (usize, usize) = (64, 65_000);

/// Datagrams due within one such step leave together.
const STEP: Duration = Duration::from_micros(500);

/// The most bytes that wait before a frame is refused.
const MAX_WAITING_BYTES: usize = 4 * MAX_FRAME_BYTES;

/// The queue of one stream. It holds [`MAX_WAITING_FRAMES`] frames: without a
/// rate a new frame makes whatever is left of the one before leave at once, with
/// one they may wait.
#[derive(Debug)]
pub(super) struct Queue {
    limit: Option<RateLimit>,
    /// Each with when it is due, and whether a frame begins with it.
    waiting: VecDeque<(Duration, bool, Vec<u8>)>,
    /// The frames among these of which nothing has left, and all bytes.
    waiting_frames: usize,
    waiting_bytes: usize,
    /// Frames whose first datagram has left.
    begun: u64,
    batch: Vec<u8>,
    segment: usize,
    /// The destination that the batch goes to next.
    next: usize,
    bytes: u64,
    datagrams: u64,
}

impl Queue {
    /// At most `bitrate` bits a second go to each destination.
    pub(super) fn new(bitrate: Option<u64>) -> Self {
        Self {
            limit: bitrate.map(RateLimit::new),
            waiting: VecDeque::new(),
            waiting_frames: 0,
            waiting_bytes: 0,
            begun: 0,
            batch: Vec::new(),
            segment: 0,
            next: 0,
            bytes: 0,
            datagrams: 0,
        }
    }

    /// Whether so much waits that no frame is taken.
    pub(super) fn is_full(&self) -> bool {
        self.waiting_frames >= MAX_WAITING_FRAMES || self.waiting_bytes >= MAX_WAITING_BYTES
    }

    /// Puts the datagrams of a frame in, spread over `spread`.
    pub(super) fn push_frame(&mut self, datagrams: Vec<Vec<u8>>, now: Duration, spread: Duration) {
        self.hurry(now);
        let count = datagrams.len() as f64;
        for (index, datagram) in datagrams.into_iter().enumerate() {
            let offset = spread.mul_f64(index as f64 / count);
            let steps = (offset.as_micros() / STEP.as_micros()) as u32;
            self.waiting_frames += usize::from(index == 0);
            self.waiting_bytes += datagram.len();
            self.waiting
                .push_back((now + STEP * steps, index == 0, datagram));
        }
    }

    /// Makes everything due at once.
    pub(super) fn hurry(&mut self, now: Duration) {
        for (due, ..) in &mut self.waiting {
            *due = now.min(*due);
        }
    }

    /// Fills `out` with datagrams that are due for one of so many destinations.
    pub(super) fn poll(
        &mut self,
        now: Duration,
        destinations: usize,
        out: &mut Vec<u8>,
    ) -> Option<Transmit> {
        if destinations == 0 {
            // There is nobody to send it to.
            self.waiting.clear();
            (self.waiting_frames, self.waiting_bytes) = (0, 0);
        }
        if self.next >= destinations {
            self.batch.clear();
        }
        if self.batch.is_empty() {
            self.gather(now);
            self.next = 0;
        }
        if self.batch.is_empty() {
            return None;
        }
        out.extend_from_slice(&self.batch);
        let destination = self.next;
        self.next += 1;
        self.bytes += self.batch.len() as u64;
        self.datagrams += self.batch.len().div_ceil(self.segment) as u64;
        Some(Transmit {
            destination,
            segment: self.segment,
        })
    }

    /// Counts what was sent to each destination besides.
    pub(super) fn spend(&mut self, bytes: usize, now: Duration) {
        if let Some(limit) = &mut self.limit {
            limit.spend(bytes as u64, now);
        }
    }

    /// When the next datagram may leave.
    pub(super) fn due(&self) -> Option<Duration> {
        let (due, _, datagram) = self.waiting.front()?;
        let limit = self.limit.as_ref();
        let free = limit.map_or(Duration::ZERO, |limit| limit.free_at(datagram.len() as u64));
        Some(free.max(*due))
    }

    /// Whether only the rate holds back what is due.
    pub(super) fn is_held_back(&self, now: Duration) -> bool {
        let due = self.waiting.front().is_some_and(|(due, ..)| *due <= now);
        due && self.due() > Some(now)
    }

    /// Frames that have begun to leave.
    pub(super) fn begun(&self) -> u64 {
        self.begun
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Datagrams handed out, and their bytes.
    pub(super) fn handed_out(&self) -> (u64, u64) {
        (self.datagrams, self.bytes)
    }

    /// Datagrams of one length, but the last may be shorter.
    fn gather(&mut self, now: Duration) {
        let mut count = 0;
        let mut shorter = false;
        let first = self.waiting.front().map_or(0, |(.., first)| first.len());
        let room = self.limit.as_mut().map_or(usize::MAX, |limit| {
            limit.forget(now);
            usize::try_from(limit.room(first as u64)).unwrap_or(usize::MAX)
        });
        while let Some((due, begins, datagram)) = self.waiting.front() {
            let len = datagram.len();
            let fits = count == 0
                || (!shorter
                    && len <= self.segment
                    && count < MAX_BATCH.0
                    && self.batch.len() + len <= MAX_BATCH.1);
            if *due > now || !fits || self.batch.len() + len > room {
                break;
            }
            if count == 0 {
                self.segment = len.max(1);
            }
            shorter = len < self.segment;
            count += 1;
            self.begun += u64::from(*begins);
            self.waiting_frames -= usize::from(*begins);
            self.waiting_bytes -= len;
            self.batch.extend_from_slice(datagram);
            self.waiting.pop_front();
        }
        self.spend(self.batch.len(), now);
    }
}
