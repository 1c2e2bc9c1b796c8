//! Turns the chunks and parity of a stream into frames, complete or concealed.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;

use super::NativeSession;
use crate::fec::Chunks;
use crate::jpeg::JpegHeader;
use crate::reassembly::{Assembly, CompleteFrame, Insert, Origin, Reassembly};
use crate::receiver::playout::Ready;
use crate::seq::FrameNumber;
use crate::time::SenderTime;
use crate::wire::native::{Chunk, Header, Parity};

impl NativeSession {
    pub(super) fn handle_chunk(
        &mut self,
        header: &Header,
        chunk: &Chunk<'_>,
        origin: Origin,
        now: Duration,
    ) -> bool {
        let number = self.extend(chunk);
        if !self.insert(number, chunk, (origin, header.sent), now) {
            return false;
        }
        let base = (origin == Origin::Sent)
            .then(|| header.number.0.checked_sub(chunk.index.into()))
            .flatten();
        let sent = SenderTime::from_micros(header.sent);
        self.counters.frames.record_chunk(number, base, sent, now);
        self.rebuild(number, header.sent, now)
    }

    /// Inserts a chunk. Returns whether it fits the others of its frame.
    fn insert(
        &mut self,
        number: FrameNumber,
        chunk: &Chunk<'_>,
        (origin, sent): (Origin, u64),
        now: Duration,
    ) -> bool {
        if self.counters.frames.is_settled(number) {
            return true;
        }
        let new = self.reassembly.get(number).is_none();
        let inserted = self.reassembly.insert(number, chunk, (origin, sent), now);
        if new && inserted != Insert::Forgotten {
            self.begin(number, chunk, origin, now);
        }
        if let Some(header) = chunk.header
            && inserted != Insert::Mismatch
            && let Some(captured) = self.reassembly.get(number).and_then(Assembly::captured)
        {
            let captured = SenderTime::from_micros(captured);
            let frames = &mut self.counters.frames;
            frames.record_header(number, header.len, captured);
        }
        let in_vain = matches!(
            inserted,
            Insert::Duplicate | Insert::LateOriginal(_) | Insert::Mismatch | Insert::Forgotten
        );
        if origin != Origin::Sent && !in_vain {
            self.counters.frames.record_repaired(number, origin);
        }
        match inserted {
            Insert::Accepted(reached) => self.nack.record_progress(number, reached, now),
            Insert::Duplicate | Insert::Forgotten => {}
            Insert::LateOriginal(repaired) => self.counters.frames.record_belated(number, repaired),
            Insert::Complete(frame) => self.handle_complete(frame, now),
            Insert::CompleteLate => self.counters.frames.complete_late(number, now),
            Insert::Corrupt => {
                self.deadlines.remove(number);
                self.counters.frames.record_broken(number);
            }
            Insert::Mismatch => return false,
        }
        true
    }

    /// Handles the first chunk of a frame.
    fn begin(&mut self, number: FrameNumber, chunk: &Chunk<'_>, origin: Origin, now: Duration) {
        let next = self.counters.frames_sent();
        let joining = self.counters.frames.first().is_none() && !self.counters.is_from_start();
        if origin == Origin::Sent {
            self.deadlines.record_begin(number, now);
        }
        self.counters.begin_frame(number, chunk.count, now);
        if !joining {
            self.await_frames(next, number.0, now);
        }
        let wait = self.wait(now + self.spread(), now);
        if self.is_ordered {
            // Older frames are not sent any more.
            self.deadlines.limit_before(number, now);
        }
        if origin == Origin::Sent {
            self.deadlines.insert_begun(number, wait);
            self.handle_live_frame(number, chunk, now);
        } else {
            self.deadlines.insert(number, wait, now);
        }
        if self.playout.is_past(number) {
            self.give_up(number, now);
        }
    }

    pub(super) fn handle_parity(&mut self, parity: &Parity<'_>, sent: u64, now: Duration) -> bool {
        let first = parity
            .first
            .extend(FrameNumber(self.counters.frames_sent()));
        let last = FrameNumber(first.0 + parity.counts.len() as u64 - 1);
        let of_use = self
            .deadlines
            .iter()
            .any(|(number, _)| (first..=last).contains(&number));
        let ahead = last.0 >= self.counters.frames_sent();
        if !of_use && !ahead {
            return true;
        }
        if self.counters.frames.first().is_some() || self.counters.is_from_start() {
            self.await_frames(self.counters.frames_sent(), last.0 + 1, now);
        }
        // Parity is sent after all its chunks.
        for (number, count) in (first.0..).map(FrameNumber).zip(&parity.counts) {
            let reached = usize::from(*count) + usize::from(parity.index) + 1;
            self.nack.record_progress(number, reached, now);
        }
        self.rebuilder.add(first, parity) && self.rebuild(first, sent, now)
    }

    /// Rebuilds what parity can of the blocks that cover a frame, and of those that overlap rebuilt
    /// chunks. Returns whether the parity was valid.
    fn rebuild(&mut self, frame: FrameNumber, sent: u64, now: Duration) -> bool {
        if self.rebuilder.is_empty() {
            return true;
        }
        let mut touched = BTreeSet::from([frame]);
        while let Some(frame) = touched.first().copied() {
            let Some(rebuilt) = self
                .rebuilder
                .rebuild(frame, &ArrivedChunks(&self.reassembly))
            else {
                touched.remove(&frame);
                continue;
            };
            for one in rebuilt {
                let number = one.frame;
                // The first chunk carries the header, so it goes first.
                let size = self.reassembly.get(number).map(Assembly::size);
                let place = (number.seq(), one.index, one.count);
                let chunk = Chunk::decode_original(place, size, &one.original).ok();
                let origin = (Origin::Parity, sent);
                if !chunk.is_some_and(|chunk| self.insert(number, &chunk, origin, now)) {
                    return false;
                }
                touched.insert(number);
            }
        }
        true
    }

    fn handle_complete(&mut self, frame: CompleteFrame, now: Duration) {
        self.has_frames = true;
        self.arrivals.record_complete();
        self.deadlines.remove(frame.number);
        self.counters.record_complete(frame.jpeg.len());
        if let Ok(header) = JpegHeader::parse(&frame.jpeg) {
            self.size = Some((header.width, header.height));
        }
        self.counters.frames.complete(frame.number, now);
        let number = frame.number;
        let ready = Ready {
            number,
            jpeg: frame.jpeg,
            stale: Vec::new(),
            stale_share: 0.0,
            checked: true,
            captured: self.in_full(SenderTime::from_micros(frame.captured)),
            completed: now,
        };
        if !self.playout.insert(ready) {
            self.counters.frames.complete_late(number, now);
        }
    }

    /// Gives a frame up, or shows what arrived of it.
    pub(super) fn give_up(&mut self, number: FrameNumber, now: Duration) {
        self.deadlines.remove(number);
        let Some(assembly) = self.reassembly.give_up(number) else {
            return;
        };
        if !self.config.strict
            && !self.playout.is_past(number)
            && let Some(spliced) = self.headers.conceal(number, assembly)
        {
            // If the header is lost, the send time stands in: frames are sent as soon as they are
            // encoded.
            let captured = assembly.captured().unwrap_or(assembly.sent());
            let captured = SenderTime::from_micros(captured);
            let stale_share = 1.0 - spliced.fresh;
            self.counters.frames.record_stale(number, stale_share);
            self.playout.insert(Ready {
                number,
                jpeg: Bytes::from(spliced.jpeg),
                stale: spliced.stale,
                stale_share,
                checked: true,
                captured: self.in_full(captured),
                completed: now,
            });
            return;
        }
        self.counters.frames.give_up(number);
    }

    /// Releases the frames that wait for no older one.
    pub(super) fn release(&mut self) {
        let awaited = self.deadlines.first();
        if let Some(settled) = awaited.or(self.playout.newest()) {
            self.rebuilder.forget_before(settled);
            self.nack.forget_before(settled);
        }
        self.playout.release(awaited);
    }
}

/// The chunks that arrived, for the rebuilder.
pub(super) struct ArrivedChunks<'a>(pub(super) &'a Reassembly);

impl Chunks for ArrivedChunks<'_> {
    fn missing(&self, frame: FrameNumber, count: u16) -> Option<usize> {
        match self.0.get(frame) {
            None => Some(count.into()),
            Some(assembly) if assembly.count() != usize::from(count) => None,
            Some(assembly) if assembly.frame().is_empty() => Some(count.into()),
            Some(assembly) => Some(assembly.missing()),
        }
    }

    fn original(&self, frame: FrameNumber, index: u16, out: &mut Vec<u8>) -> bool {
        let chunk = self
            .0
            .get(frame)
            .and_then(|assembly| assembly.chunk(frame, index));
        chunk.is_some_and(|chunk| {
            chunk.encode_original(out);
            true
        })
    }
}
