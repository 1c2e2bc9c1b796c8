//! What is to be sent, and when.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::jpeg_headers::HeaderPart;
use crate::chunk::ChunkedFrame;
use crate::fec::{ParityBlock, retransmit_gap};
use crate::frame::MAX_FRAME_BYTES;
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

/// The most frames that wait, some chunk of each still to be sent: what a rate
/// holds back for longer than these take is worth nothing by then.
pub const MAX_WAITING_FRAMES: usize = 16;

/// The most bytes that wait before a frame is refused: some of the longest
/// frames, as much as is kept of what was sent.
const MAX_WAITING_BYTES: usize = 4 * MAX_FRAME_BYTES;

/// A packet to be sent.
#[derive(Clone, Debug)]
pub(super) struct Item {
    content: Content,
    to: To,
    len: usize,
}

/// Whom a packet is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum To {
    /// All destinations that are open.
    All,
    /// These of them.
    Those(Arc<[usize]>),
    /// One that asked for it.
    One(usize),
}

impl To {
    fn includes(&self, destination: usize) -> bool {
        match self {
            Self::All => true,
            Self::Those(those) => those.contains(&destination),
            Self::One(one) => *one == destination,
        }
    }
}

/// How much may be sent now, in bytes.
pub(super) trait Rooms {
    /// How many destinations there are.
    fn destinations(&self) -> usize;
    /// Whether anybody is served there.
    fn is_open(&self, destination: usize) -> bool;
    /// Of any kind, to one destination; a `first` datagram of so many at least.
    fn room(&self, destination: usize, first: u64) -> u64;
    /// Of repair, to one destination.
    fn repair(&self, destination: usize) -> u64;
    /// Whether repair must keep to a share: several are served, and what one of
    /// them needs is not to hold up what all wait for.
    fn is_shared(&self) -> bool;
    /// When so many bytes may be sent to a destination.
    fn free_at(&self, destination: usize, bytes: usize) -> Duration;

    /// When so many bytes may be sent to all destinations.
    fn all_free_at(&self, bytes: usize) -> Duration {
        let free = (0..self.destinations()).map(|to| self.free_at(to, bytes));
        free.max().unwrap_or_default()
    }
}

#[derive(Clone, Debug)]
pub(super) enum Content {
    Chunk(Arc<ChunkedFrame>, usize),
    Retransmission(Arc<ChunkedFrame>, usize),
    Parity(Arc<ParityBlock>, usize),
    Tables(HeaderPart),
}

impl Item {
    pub(super) fn new(content: Content, to: To) -> Self {
        let len = HEADER
            + match &content {
                Content::Chunk(frame, index) | Content::Retransmission(frame, index) => {
                    CHUNK_BODY + frame.chunk(*index).data.len()
                }
                Content::Parity(block, _) => block.packet_len(),
                Content::Tables(part) => part.packet_len(),
            };
        Self { content, to, len }
    }

    /// A chunk that is sent again to one destination.
    pub(super) fn resent(frame: &Arc<ChunkedFrame>, index: usize, to: usize) -> Self {
        Self::new(
            Content::Retransmission(Arc::clone(frame), index),
            To::One(to),
        )
    }

    /// A parity shard.
    pub(super) fn parity(block: &Arc<ParityBlock>, index: usize, to: To) -> Self {
        Self::new(Content::Parity(Arc::clone(block), index), to)
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

    /// Whether it is the last chunk of a frame, sent for the first time.
    fn ends(&self) -> bool {
        match &self.content {
            Content::Chunk(frame, index) => index + 1 == frame.count(),
            _ => false,
        }
    }

    /// Whether it repairs what was sent before.
    fn is_repair(&self) -> bool {
        match &self.content {
            Content::Retransmission(..) | Content::Parity(..) => true,
            Content::Chunk(..) | Content::Tables(_) => false,
        }
    }

    /// The frame that it is a chunk of.
    pub(super) fn frame(&self) -> Option<FrameNumber> {
        match &self.content {
            Content::Chunk(frame, _) | Content::Retransmission(frame, _) => Some(frame.number()),
            Content::Parity(..) | Content::Tables(_) => None,
        }
    }

    pub(super) fn packet(&self) -> Packet<'_> {
        match &self.content {
            Content::Chunk(frame, index) => Packet::Chunk(frame.chunk(*index)),
            Content::Retransmission(frame, index) => Packet::Retransmission(frame.chunk(*index)),
            Content::Parity(block, index) => Packet::Parity(block.packet(*index)),
            Content::Tables(part) => Packet::Tables(part.packet()),
        }
    }
}

/// The most packets that wait as answers to the requests of one destination.
const MAX_ANSWERS: usize = 4096;

/// What is sent of a block: its shards, and how many of them to each
/// destination; none to one that is closed.
pub(super) type Shards = (Arc<ParityBlock>, Vec<Option<usize>>);

/// The queues of one stream. The main one holds [`MAX_WAITING_FRAMES`] frames:
/// without a rate a new frame makes whatever is left of the one before leave at
/// once, with one they may wait.
#[derive(Debug, Default)]
pub(super) struct Pacer {
    waiting: VecDeque<(Duration, Item)>,
    /// The frames among these that are not sent to their end, and all bytes.
    frames: usize,
    bytes: usize,
    /// Answers to requests, by destination.
    answers: Vec<VecDeque<(Duration, Item)>>,
    batch: Vec<Item>,
    /// The destination that the batch goes to next.
    next: usize,
}

impl Pacer {
    /// Whether so much waits that no frame is taken.
    pub(super) fn is_full(&self) -> bool {
        self.frames >= MAX_WAITING_FRAMES || self.bytes >= MAX_WAITING_BYTES
    }

    /// Puts one packet behind all that is waiting.
    pub(super) fn push(&mut self, item: Item, due: Duration) {
        self.frames += usize::from(item.ends());
        self.bytes += item.len;
        self.waiting.push_back((due, item));
    }

    /// Puts the chunks of a frame and the parity behind them in, evenly spread
    /// over `spread`; what is waiting is due at once, so that the tail of one
    /// frame never delays the next.
    pub(super) fn push_frame(
        &mut self,
        frame: &Arc<ChunkedFrame>,
        parity: Option<&Shards>,
        now: Duration,
        spread: Duration,
    ) {
        self.hurry(now);
        let chunks = (0..frame.count())
            .map(|index| Item::new(Content::Chunk(Arc::clone(frame), index), To::All));
        let parity = parity.into_iter().flat_map(parity_items);
        let items: Vec<_> = chunks.chain(parity).collect();
        let count = items.len() as f64;
        for (at, item) in items.into_iter().enumerate() {
            let offset = spread.mul_f64(at as f64 / count);
            self.push(item, now + round_down(offset));
        }
    }

    /// Puts parity behind all that is waiting.
    pub(super) fn push_parity(&mut self, shards: &Shards, now: Duration) {
        for item in parity_items(shards) {
            self.push(item, now);
        }
    }

    /// Puts the answer to a request in, a little spread, so that one burst of
    /// loss does not take all of it; between what is left of those before, so
    /// that each takes no longer than the viewer reckons with.
    pub(super) fn push_answer(&mut self, items: Vec<Item>, destination: usize, now: Duration) {
        if self.answers.len() <= destination {
            self.answers.resize_with(destination + 1, VecDeque::new);
        }
        let Some(answers) = self.answers.get_mut(destination) else {
            return;
        };
        let gap = retransmit_gap(items.len());
        for (at, item) in items.into_iter().enumerate() {
            if answers.len() < MAX_ANSWERS {
                let due = now + gap * at as u32;
                let place = answers.partition_point(|(before, _)| *before <= due);
                answers.insert(place, (due, item));
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
        *self = Self::default();
    }

    /// Packets that are due together, and the destination that they go to, one
    /// of those that are open: of equal length, but the last may be shorter,
    /// and no more than there is room for. Where none is open, they go nowhere;
    /// nor does parity for which a destination's share is used up.
    pub(super) fn poll(&mut self, now: Duration, rooms: &impl Rooms) -> Option<(&[Item], usize)> {
        loop {
            if self.batch.is_empty() {
                self.gather(now, rooms);
                self.next = 0;
            }
            let first = self.batch.first()?;
            let bytes = self.batch.iter().map(|item| item.len as u64).sum::<u64>();
            let is_answer = matches!(first.to, To::One(_));
            let limited = first.is_repair() && !is_answer && rooms.is_shared();
            let found = (self.next..rooms.destinations()).find(|&index| {
                let fits = || bytes <= rooms.room(index, bytes).min(rooms.repair(index));
                rooms.is_open(index) && first.to.includes(index) && (!limited || fits())
            });
            if let Some(destination) = found {
                self.next = destination + 1;
                return Some((&self.batch, destination));
            }
            self.batch.clear();
        }
    }

    /// Bytes that wait as answers to this destination.
    pub(super) fn answers_waiting(&self, destination: usize) -> u64 {
        let answers = self.answers.get(destination).into_iter().flatten();
        answers.map(|(_, item)| item.len as u64).sum()
    }

    /// Drops what waits for this destination alone.
    pub(super) fn forget(&mut self, destination: usize) {
        if let Some(answers) = self.answers.get_mut(destination) {
            answers.clear();
        }
    }

    /// When the next packet is due and there is room for it.
    pub(super) fn due(&self, rooms: &impl Rooms) -> Option<Duration> {
        let answers = self.answers.iter().enumerate();
        let answers = answers.filter_map(|(to, answers)| {
            let (due, item) = answers.front()?;
            Some(rooms.free_at(to, item.len).max(*due))
        });
        answers.chain(self.media_due(rooms)).min()
    }

    /// When the next packet of what all wait for is due and there is room for
    /// it.
    pub(super) fn media_due(&self, rooms: &impl Rooms) -> Option<Duration> {
        let (due, item) = self.waiting.front()?;
        if item.is_repair() && rooms.is_shared() {
            return Some(*due);
        }
        Some(rooms.all_free_at(item.len).max(*due))
    }

    /// Whether a packet is due, whether or not there is room for it.
    pub(super) fn is_due(&self, now: Duration) -> bool {
        let answers = self.answers.iter().filter_map(VecDeque::front);
        let mut fronts = answers.chain(self.waiting.front());
        fronts.any(|(due, _)| *due <= now)
    }

    /// Whether a packet of what all wait for is due.
    pub(super) fn is_media_due(&self, now: Duration) -> bool {
        self.waiting.front().is_some_and(|(due, _)| *due <= now)
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
        self.waiting.is_empty() && self.answers.iter().all(VecDeque::is_empty)
    }

    /// Fills the batch: answers first, since they are for what is older; of
    /// these the one that waits longest. Answers that there is no room for do
    /// not hold up what goes to others.
    fn gather(&mut self, now: Duration, rooms: &impl Rooms) {
        let answers = self.answers.iter().enumerate();
        let due = answers.filter_map(|(to, answers)| {
            let (due, item) = answers.front()?;
            let len = item.len as u64;
            let fits = len <= rooms.room(to, len);
            (*due <= now && fits).then_some((*due, to, len))
        });
        if let Some((_, to, len)) = due.min() {
            let room = rooms.room(to, len);
            if let Some(answers) = self.answers.get_mut(to) {
                fill(&mut self.batch, answers, now, room);
            }
            return;
        }
        let Some((_, first)) = self.waiting.front() else {
            return;
        };
        let room = if first.is_repair() && rooms.is_shared() {
            // Each destination has it or not.
            u64::MAX
        } else {
            let first = first.len as u64;
            let rooms = (0..rooms.destinations()).map(|to| rooms.room(to, first));
            rooms.min().unwrap_or(u64::MAX)
        };
        fill(&mut self.batch, &mut self.waiting, now, room);
        self.frames -= self.batch.iter().filter(|item| item.ends()).count();
        self.bytes -= self.batch.iter().map(Item::len).sum::<usize>();
    }
}

/// The parity shards of a block, each for the destinations that get so many.
fn parity_items((block, counts): &Shards) -> Vec<Item> {
    let most = counts.iter().flatten().copied().max().unwrap_or(0);
    let mut last = To::All;
    let items = (0..most).map(|index| {
        let gets = |count: &Option<usize>| count.is_none_or(|count| count > index);
        let to = if counts.iter().all(gets) {
            To::All
        } else {
            let all = counts.iter().enumerate();
            let those = all.filter(|(_, count)| count.is_some_and(|count| count > index));
            To::Those(those.map(|(to, _)| to).collect())
        };
        if to != last {
            last = to;
        }
        Item::parity(block, index, last.clone())
    });
    items.collect()
}

/// Moves packets that leave together from a queue into the batch.
fn fill(batch: &mut Vec<Item>, queue: &mut VecDeque<(Duration, Item)>, now: Duration, room: u64) {
    let mut room = room;
    while let Some((due, item)) = queue.front() {
        let len = item.len as u64;
        if *due > now || len > room || !joins(batch, item) {
            return;
        }
        room -= len;
        batch.extend(queue.pop_front().map(|(_, item)| item));
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
        && item.is_repair() == first.is_repair()
        && batch.len() < MAX_BATCH
        && (batch.len() + 1) * first.len <= MAX_BATCH_BYTES
}

fn round_down(offset: Duration) -> Duration {
    STEP * (offset.as_micros() / STEP.as_micros()) as u32
}
