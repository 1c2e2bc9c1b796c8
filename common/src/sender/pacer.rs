//! When which packet leaves: the packets of a frame are spread over time, and
//! held back where the rate limit has no room for them.

use std::collections::VecDeque;
use std::time::Duration;

use super::destination::Destination;
use super::packet::{QueuedPacket, To};
use super::plan::Pace;
use crate::fec::retransmit_gap;
use crate::frame::MAX_FRAME_BYTES;
use crate::seq::FrameNumber;

/// The most datagrams in one batch: what a system takes in one call
/// (`UDP_MAX_SEGMENTS` of older Linux kernels).
const MAX_BATCH: usize = 64;

/// The most bytes in one batch: no call takes more than a datagram can hold.
const MAX_BATCH_BYTES: usize = 65_000;

/// Datagrams due within one such step leave together: fewer calls, and bursts
/// of a few datagrams only.
const STEP: Duration = Duration::from_micros(500);

/// The longest that a frame waits for the one before it to leave at its pace.
const BEHIND: Duration = Duration::from_millis(20);

/// The most frames that wait, some datagram of each still to be sent: what a
/// rate holds back for longer than these take is worth nothing by then.
pub const MAX_WAITING_FRAMES: usize = 16;

/// The most bytes that wait before a frame is refused: some of the longest
/// frames, as much as is kept of what was sent.
const MAX_WAITING_BYTES: usize = 4 * MAX_FRAME_BYTES;

/// The most packets that wait as answers to the NACKs of one destination.
const MAX_ANSWERS: usize = 4096;

/// Where packets may go now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room<'a> {
    /// All destinations.
    pub(super) destinations: &'a [Destination],
    /// Whether repair must keep to its share of the rate: several are served,
    /// and what one of them needs is not to hold up what all wait for.
    pub(super) is_shared: bool,
}

impl Room<'_> {
    /// Bytes for one destination: at least a `first` datagram of this many.
    fn at(self, destination: usize, first: u64) -> u64 {
        let to = self.destinations.get(destination);
        to.map_or(u64::MAX, |to| to.room(first))
    }

    /// The same for all destinations.
    fn everywhere(self, first: u64) -> u64 {
        let rooms = self.destinations.iter().map(|to| to.room(first));
        rooms.min().unwrap_or(u64::MAX)
    }

    /// When this many bytes may be sent to one destination.
    fn free_at(self, destination: usize, bytes: usize) -> Duration {
        let to = self.destinations.get(destination);
        to.map_or(Duration::ZERO, |to| to.free_at(bytes))
    }

    /// The same for all destinations.
    fn free_everywhere(self, bytes: usize) -> Duration {
        let free = self.destinations.iter().map(|to| to.free_at(bytes));
        free.max().unwrap_or_default()
    }
}

/// The queues of one stream. The main one holds [`MAX_WAITING_FRAMES`] frames:
/// without a rate limit a new frame makes whatever is left of the one before
/// leave at once, with one they may wait.
#[derive(Debug, Default)]
pub(super) struct Pacer {
    waiting: VecDeque<(Duration, QueuedPacket)>,
    /// The frames among these that are not sent to their end, and all bytes.
    frames: usize,
    bytes: usize,
    /// Answers to NACKs, by destination.
    answers: Vec<VecDeque<(Duration, QueuedPacket)>>,
    /// When a path has carried what is paced by it.
    free_at: Duration,
    batch: Vec<QueuedPacket>,
    /// The destination that the batch goes to next.
    next: usize,
}

impl Pacer {
    /// Whether so much waits that no frame is taken.
    pub(super) fn is_full(&self) -> bool {
        self.frames >= MAX_WAITING_FRAMES || self.bytes >= MAX_WAITING_BYTES
    }

    /// Puts one packet behind all that is waiting.
    pub(super) fn push(&mut self, packet: QueuedPacket, due: Duration) {
        self.frames += usize::from(packet.ends());
        self.bytes += packet.len();
        self.waiting.push_back((due, packet));
    }

    /// Puts the packets of a frame in, evenly spread over `spread`; what is
    /// waiting is due at once, so that the tail of one frame never delays the
    /// next.
    pub(super) fn push_frame(
        &mut self,
        packets: Vec<QueuedPacket>,
        now: Duration,
        spread: Duration,
    ) {
        self.flush(now);
        let count = packets.len() as f64;
        for (at, packet) in packets.into_iter().enumerate() {
            let offset = spread.mul_f64(at as f64 / count);
            self.push(packet, now + round_down(offset));
        }
    }

    /// Puts the packets of a frame in, to leave in bursts behind what is waiting.
    pub(super) fn push_paced(&mut self, packets: Vec<QueuedPacket>, pace: Pace, now: Duration) {
        let (mut due, mut burst) = (self.free_at.max(now), 0.0);
        for packet in packets {
            let bytes = packet.len() as f64;
            if burst > 0.0 && burst + bytes > pace.burst {
                due += Duration::from_secs_f64(burst / pace.rate);
                burst = 0.0;
            }
            burst += bytes;
            self.push(packet, due);
        }
        self.free_at = due + Duration::from_secs_f64(burst / pace.rate);
    }

    /// Puts the answer to a NACK in, a little spread, so that one burst of loss
    /// does not take all of it; between what is left of those before, so that
    /// each takes no longer than the viewer reckons with.
    pub(super) fn push_answer(
        &mut self,
        packets: Vec<QueuedPacket>,
        destination: usize,
        now: Duration,
    ) {
        if self.answers.len() <= destination {
            self.answers.resize_with(destination + 1, VecDeque::new);
        }
        let Some(answers) = self.answers.get_mut(destination) else {
            return;
        };
        let gap = retransmit_gap(packets.len());
        for (at, packet) in packets.into_iter().enumerate() {
            if answers.len() < MAX_ANSWERS {
                let due = now + gap * at as u32;
                let place = answers.partition_point(|(before, _)| *before <= due);
                answers.insert(place, (due, packet));
            }
        }
    }

    /// Makes everything due at once.
    pub(super) fn flush(&mut self, now: Duration) {
        for (due, _) in &mut self.waiting {
            *due = now.min(*due);
        }
    }

    /// Drops what is waiting: there is nobody to send it to.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Packets that are due together, and the destination that they go to, one
    /// of those that are open: of equal length, but the last may be shorter,
    /// and no more than there is room for. Where none is open, they go nowhere;
    /// nor does parity for which a destination's share is used up.
    pub(super) fn poll(
        &mut self,
        now: Duration,
        room: Room<'_>,
    ) -> Option<(&[QueuedPacket], usize)> {
        loop {
            if self.batch.is_empty() {
                self.gather(now, room);
                self.next = 0;
            }
            let first = self.batch.first()?;
            let bytes: u64 = self.batch.iter().map(|packet| packet.len() as u64).sum();
            let is_answer = matches!(first.to(), To::One(_));
            let limited = first.is_repair() && !is_answer && room.is_shared;
            let destinations = room.destinations.iter().enumerate().skip(self.next);
            let found = destinations.map(|(index, to)| {
                let fits = || bytes <= to.room(bytes).min(to.repair_room());
                let goes = to.is_open() && first.to().includes(index) && (!limited || fits());
                goes.then_some(index)
            });
            if let Some(destination) = found.flatten().next() {
                self.next = destination + 1;
                return Some((&self.batch, destination));
            }
            self.batch.clear();
        }
    }

    /// Bytes that wait as answers to this destination.
    pub(super) fn answers_waiting(&self, destination: usize) -> u64 {
        let answers = self.answers.get(destination).into_iter().flatten();
        answers.map(|(_, packet)| packet.len() as u64).sum()
    }

    /// Drops what waits for this destination only.
    pub(super) fn forget(&mut self, destination: usize) {
        if let Some(answers) = self.answers.get_mut(destination) {
            answers.clear();
        }
    }

    /// When the next packet is due and there is room for it.
    pub(super) fn due(&self, room: Room<'_>) -> Option<Duration> {
        let answers = self.answers.iter().enumerate();
        let answers = answers.filter_map(|(to, answers)| {
            let (due, packet) = answers.front()?;
            Some(room.free_at(to, packet.len()).max(*due))
        });
        answers.chain(self.media_due(room)).min()
    }

    /// Whether a packet is due, whether or not there is room for it.
    pub(super) fn is_due(&self, now: Duration) -> bool {
        let answers = self.answers.iter().filter_map(VecDeque::front);
        let mut fronts = answers.chain(self.waiting.front());
        fronts.any(|(due, _)| *due <= now)
    }

    /// Whether what is paced by a path takes so long that a frame would wait for it.
    pub(super) fn is_behind(&self, now: Duration) -> bool {
        self.free_at > now + BEHIND
    }

    /// Whether only the rate limit holds back what all wait for.
    pub(super) fn is_held_back(&self, now: Duration, room: Room<'_>) -> bool {
        let due = self.waiting.front().is_some_and(|(due, _)| *due <= now);
        due && self.media_due(room).is_some_and(|free| free > now)
    }

    /// The first chunk that waits to be sent for the first time, by its frame
    /// and index.
    pub(super) fn first_chunk(&self) -> Option<(FrameNumber, usize)> {
        self.waiting.iter().find_map(|(_, packet)| packet.chunk())
    }

    /// Whether nothing is waiting.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.answers.iter().all(VecDeque::is_empty)
    }

    /// When the next packet of what all wait for is due and there is room for
    /// it.
    fn media_due(&self, room: Room<'_>) -> Option<Duration> {
        let (due, packet) = self.waiting.front()?;
        if packet.is_repair() && room.is_shared {
            return Some(*due);
        }
        Some(room.free_everywhere(packet.len()).max(*due))
    }

    /// Fills the batch: answers first, since they are for what is older; of
    /// these the one that waits longest. Answers that there is no room for do
    /// not hold up what goes to others.
    fn gather(&mut self, now: Duration, room: Room<'_>) {
        let answers = self.answers.iter().enumerate();
        let due = answers.filter_map(|(to, answers)| {
            let (due, packet) = answers.front()?;
            let len = packet.len() as u64;
            let fits = len <= room.at(to, len);
            (*due <= now && fits).then_some((*due, to, len))
        });
        if let Some((_, to, len)) = due.min() {
            let room = room.at(to, len);
            if let Some(answers) = self.answers.get_mut(to) {
                fill(&mut self.batch, answers, now, room);
            }
            return;
        }
        let Some((_, first)) = self.waiting.front() else {
            return;
        };
        let room = if first.is_repair() && room.is_shared {
            // Each destination has it or not.
            u64::MAX
        } else {
            room.everywhere(first.len() as u64)
        };
        fill(&mut self.batch, &mut self.waiting, now, room);
        self.frames -= self.batch.iter().filter(|packet| packet.ends()).count();
        self.bytes -= self.batch.iter().map(QueuedPacket::len).sum::<usize>();
    }
}

/// Moves packets that leave together from a queue into the batch.
fn fill(
    batch: &mut Vec<QueuedPacket>,
    queue: &mut VecDeque<(Duration, QueuedPacket)>,
    now: Duration,
    room: u64,
) {
    let mut room = room;
    while let Some((due, packet)) = queue.front() {
        let len = packet.len() as u64;
        if *due > now || len > room || !joins(batch, packet) {
            return;
        }
        room -= len;
        batch.extend(queue.pop_front().map(|(_, packet)| packet));
    }
}

/// Whether a packet can leave in one call with those of the batch: to the same
/// destination, as long as they are, or shorter and then the last one.
fn joins(batch: &[QueuedPacket], packet: &QueuedPacket) -> bool {
    let (Some(first), Some(last)) = (batch.first(), batch.last()) else {
        return true;
    };
    last.len() == first.len()
        && packet.len() <= first.len()
        && packet.to() == first.to()
        && packet.is_repair() == first.is_repair()
        && batch.len() < MAX_BATCH
        && (batch.len() + 1) * first.len() <= MAX_BATCH_BYTES
}

fn round_down(offset: Duration) -> Duration {
    STEP * (offset.as_micros() / STEP.as_micros()) as u32
}

#[cfg(test)]
mod tests;
