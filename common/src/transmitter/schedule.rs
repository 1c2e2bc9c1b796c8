//! What is to be sent, and when.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::tables::TableSet;
use crate::chunk::ChunkedFrame;
use crate::repair::{Block, answer_gap};
use crate::seq::FrameNumber;
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
    Resent(Arc<ChunkedFrame>, usize),
    Parity(Arc<Block>, usize),
    Tables(Arc<TableSet>),
}

impl Item {
    pub(super) fn new(content: Content, to: Option<usize>) -> Self {
        let len = HEADER
            + match &content {
                Content::Chunk(frame, index) | Content::Resent(frame, index) => {
                    CHUNK_BODY + frame.chunk(*index).data.len()
                }
                Content::Parity(block, _) => block.packet_len(),
                Content::Tables(set) => set.packet_len(),
            };
        Self { content, to, len }
    }

    /// A chunk that is sent again to one destination.
    pub(super) fn resent(frame: &Arc<ChunkedFrame>, index: usize, to: usize) -> Self {
        Self::new(Content::Resent(Arc::clone(frame), index), Some(to))
    }

    /// A parity shard for all destinations.
    pub(super) fn parity(block: &Arc<Block>, index: usize) -> Self {
        Self::new(Content::Parity(Arc::clone(block), index), None)
    }

    /// Bytes of the datagram.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The frame that it is the first chunk of, sent for the first time.
    pub(super) fn begins(&self) -> Option<FrameNumber> {
        match &self.content {
            Content::Chunk(frame, 0) => Some(frame.number()),
            _ => None,
        }
    }

    /// The frame that it is a chunk of.
    pub(super) fn frame(&self) -> Option<FrameNumber> {
        match &self.content {
            Content::Chunk(frame, _) | Content::Resent(frame, _) => Some(frame.number()),
            Content::Parity(..) | Content::Tables(_) => None,
        }
    }

    pub(super) fn packet(&self) -> Packet<'_> {
        match &self.content {
            Content::Chunk(frame, index) => Packet::Chunk(frame.chunk(*index)),
            Content::Resent(frame, index) => Packet::Resent(frame.chunk(*index)),
            Content::Parity(block, index) => Packet::Parity(block.packet(*index)),
            Content::Tables(set) => Packet::Tables(set.packet()),
        }
    }
}

/// The most packets that wait as answers to requests.
const MAX_ANSWERS: usize = 4096;

/// The queues of one stream. The main one is bounded by what puts into it: a
/// new frame makes whatever is left of the one before leave at once.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    waiting: VecDeque<(Duration, Item)>,
    answers: VecDeque<(Duration, Item)>,
    batch: Vec<Item>,
    /// The destination that the batch goes to next.
    next: usize,
}

impl Schedule {
    /// Puts one packet behind all that is waiting.
    pub(super) fn push(&mut self, item: Item, due: Duration) {
        self.waiting.push_back((due, item));
    }

    /// Puts the chunks of a frame and the parity behind them in, evenly spread
    /// over `spread`; what is waiting is due at once, so that the tail of one
    /// frame never delays the next.
    pub(super) fn push_frame(
        &mut self,
        frame: &Arc<ChunkedFrame>,
        parity: Option<(&Arc<Block>, usize)>,
        now: Duration,
        spread: Duration,
    ) {
        self.hurry(now);
        let chunks = (0..frame.count())
            .map(|index| Item::new(Content::Chunk(Arc::clone(frame), index), None));
        let parity = parity
            .into_iter()
            .flat_map(|(block, shards)| (0..shards).map(|index| Item::parity(block, index)));
        let items: Vec<_> = chunks.chain(parity).collect();
        let count = items.len() as f64;
        for (at, item) in items.into_iter().enumerate() {
            let offset = spread.mul_f64(at as f64 / count);
            self.waiting.push_back((now + round_down(offset), item));
        }
    }

    /// Puts the answer to a request in, a little spread, so that one burst of
    /// loss does not take all of it.
    pub(super) fn push_answer(&mut self, items: Vec<Item>, now: Duration) {
        let gap = answer_gap(items.len());
        let start = self.answers.back().map_or(now, |(due, _)| now.max(*due));
        for (at, item) in items.into_iter().enumerate() {
            if self.answers.len() < MAX_ANSWERS {
                self.answers.push_back((start + gap * at as u32, item));
            }
        }
    }

    /// Makes everything due at once.
    pub(super) fn hurry(&mut self, now: Duration) {
        for (due, _) in &mut self.waiting {
            *due = now.min(*due);
        }
    }

    /// Forgets what is waiting: there is nobody to send it to.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
        self.answers.clear();
        self.batch.clear();
    }

    /// Packets that are due together, and the destination that they go to, one
    /// of those that are open: of equal length, but the last may be shorter,
    /// and no more than `room` bytes. Where none is open, they go nowhere.
    pub(super) fn poll(
        &mut self,
        now: Duration,
        destinations: usize,
        is_open: impl Fn(usize) -> bool,
        room: u64,
    ) -> Option<(&[Item], usize)> {
        loop {
            if self.batch.is_empty() {
                self.gather(now, room);
                self.next = self.batch.first()?.to.unwrap_or(0);
            }
            let only = self.batch.first().and_then(|item| item.to);
            let end = only.map_or(destinations, |only| only + 1);
            if let Some(destination) = (self.next..end).find(|&index| is_open(index)) {
                self.next = destination + 1;
                return Some((&self.batch, destination));
            }
            self.batch.clear();
        }
    }

    /// Drops what waits for this destination alone.
    pub(super) fn forget(&mut self, destination: usize) {
        self.answers
            .retain(|(_, item)| item.to != Some(destination));
    }

    /// When the next packet is due and, by its length, `free` to be sent.
    pub(super) fn due(&self, free: impl Fn(usize) -> Duration) -> Option<Duration> {
        let fronts = [self.answers.front(), self.waiting.front()];
        let fronts = fronts.into_iter().flatten();
        fronts.map(|(due, item)| free(item.len).max(*due)).min()
    }

    /// The first chunk that waits to be sent for the first time, by its frame
    /// and index.
    pub(super) fn first_chunk(&self) -> Option<(FrameNumber, usize)> {
        self.waiting
            .iter()
            .find_map(|(_, item)| match &item.content {
                Content::Chunk(frame, index) => Some((frame.number(), *index)),
                _ => None,
            })
    }

    /// Whether nothing is waiting.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.answers.is_empty()
    }

    /// Fills the batch: answers first, since they are for what is older.
    fn gather(&mut self, now: Duration, room: u64) {
        let mut room = room;
        for queue in [&mut self.answers, &mut self.waiting] {
            while let Some((due, item)) = queue.front() {
                let len = item.len as u64;
                if *due > now || len > room || !joins(&self.batch, item) {
                    break;
                }
                room -= len;
                self.batch.extend(queue.pop_front().map(|(_, item)| item));
            }
            if !self.batch.is_empty() {
                return;
            }
        }
    }
}

/// Whether a packet can leave in one call with those of the batch: to the same
/// destination, as long as they are, or shorter and then the last one.
fn joins(batch: &[Item], item: &Item) -> bool {
    let (Some(first), Some(last)) = (batch.first(), batch.last()) else {
        return true;
    };
    last.len == first.len
        && item.len <= first.len
        && item.to == first.to
        && batch.len() < MAX_BATCH
        && (batch.len() + 1) * first.len <= MAX_BATCH_BYTES
}

fn round_down(offset: Duration) -> Duration {
    STEP * (offset.as_micros() / STEP.as_micros()) as u32
}
