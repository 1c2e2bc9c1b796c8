//! What is to be sent, and when.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::tables::TableSet;
use crate::chunk::ChunkedFrame;
use crate::wire::native::{CHUNK_BODY, HEADER, Packet};

/// The most datagrams in one batch: what a system takes in one call
/// (`UDP_MAX_SEGMENTS` of older Linux kernels).
const MAX_BATCH: usize = 64;

/// The most bytes in one batch: no call takes more than a datagram can hold.
const MAX_BATCH_BYTES: usize = 65_000;

/// Datagrams due within one such step leave together: fewer calls, and bursts
/// of a few datagrams only.
const STEP: Duration = Duration::from_micros(500);

/// A packet to be sent, to one destination or to all.
#[derive(Clone, Debug)]
pub(super) struct Item {
    content: Content,
    to: Option<usize>,
    len: usize,
}

#[derive(Clone, Debug)]
pub(super) enum Content {
    Chunk(Arc<ChunkedFrame>, usize),
    Tables(Arc<TableSet>),
}

impl Item {
    pub(super) fn new(content: Content, to: Option<usize>) -> Self {
        let len = HEADER
            + match &content {
                Content::Chunk(frame, index) => CHUNK_BODY + frame.chunk(*index).data.len(),
                Content::Tables(set) => set.packet_len(),
            };
        Self { content, to, len }
    }

    /// Bytes of the datagram.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn packet(&self) -> Packet<'_> {
        match &self.content {
            Content::Chunk(frame, index) => Packet::Chunk(frame.chunk(*index)),
            Content::Tables(set) => Packet::Tables(set.packet()),
        }
    }
}

/// The queue of one stream. Its length is bounded by what puts into it: a new
/// frame makes whatever is left of the one before leave at once.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    waiting: VecDeque<(Duration, Item)>,
    batch: Vec<Item>,
    /// The destination that the batch goes to next.
    next: usize,
}

impl Schedule {
    /// Puts one packet behind all that is waiting.
    pub(super) fn push(&mut self, item: Item, due: Duration) {
        self.waiting.push_back((due, item));
    }

    /// Puts the chunks of a frame in, spread over `spread`; what is waiting is
    /// due at once, so that the tail of one frame never delays the next.
    pub(super) fn push_frame(
        &mut self,
        frame: &Arc<ChunkedFrame>,
        now: Duration,
        spread: Duration,
    ) {
        self.hurry(now);
        let count = frame.count();
        for index in 0..count {
            let offset = spread.mul_f64(index as f64 / count as f64);
            let item = Item::new(Content::Chunk(Arc::clone(frame), index), None);
            self.waiting.push_back((now + round_down(offset), item));
        }
    }

    /// Makes everything due at once.
    pub(super) fn hurry(&mut self, now: Duration) {
        for (due, _) in &mut self.waiting {
            *due = now.min(*due);
        }
    }

    /// Packets that are due together, and the destination they go to: of equal
    /// length, but the last may be shorter.
    pub(super) fn poll(&mut self, now: Duration, destinations: usize) -> Option<(&[Item], usize)> {
        let only = self.batch.first().and_then(|item| item.to);
        if self.next >= only.map_or(destinations, |only| only + 1) {
            self.batch.clear();
        }
        if self.batch.is_empty() {
            self.gather(now);
            self.next = self.batch.first()?.to.unwrap_or(0);
        }
        let destination = self.next;
        self.next += 1;
        Some((&self.batch, destination))
    }

    /// When the next packet is due.
    pub(super) fn due(&self) -> Option<Duration> {
        self.waiting.front().map(|(due, _)| *due)
    }

    /// Whether nothing is waiting.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    fn gather(&mut self, now: Duration) {
        while let Some((due, item)) = self.waiting.front() {
            let fits = match (self.batch.first(), self.batch.last()) {
                (Some(first), Some(last)) => {
                    last.len == first.len
                        && item.len <= first.len
                        && item.to == first.to
                        && self.batch.len() < MAX_BATCH
                        && (self.batch.len() + 1) * first.len <= MAX_BATCH_BYTES
                }
                _ => true,
            };
            if *due > now || !fits {
                return;
            }
            self.batch
                .extend(self.waiting.pop_front().map(|(_, item)| item));
        }
    }
}

fn round_down(offset: Duration) -> Duration {
    STEP * (offset.as_micros() / STEP.as_micros()) as u32
}
