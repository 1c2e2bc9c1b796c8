//! Decides when packets are sent: spreads the packets of a frame over time, and holds packets back
//! if the rate limit has no room.

use std::collections::VecDeque;
use std::time::Duration;

use super::destination::DestinationState;
use super::packet::{QueuedPacket, To};
use super::plan::Pace;
use crate::fec::retransmit_gap;
use crate::frame::MAX_FRAME_BYTES;
use crate::seq::FrameNumber;

/// Upper bound on the datagrams of a batch: what a system call takes (`UDP_MAX_SEGMENTS` of older
/// Linux kernels).
const MAX_BATCH: usize = 64;

/// Upper bound on the bytes of a batch: no call takes more than a datagram can hold.
const MAX_BATCH_BYTES: usize = 65_000;

/// Datagrams of a frame that leave together where nobody reports: as many as are worth a wake-up.
const BURST_DATAGRAMS: usize = 16;

/// Upper bound on the bytes of such a burst, unless it is a single datagram: what 1 Gbit/s carries
/// in 1 ms.
const MAX_BURST_BYTES: usize = 125_000;

/// Datagrams due within one such step are sent together: fewer calls, and bursts of only a few
/// datagrams.
const STEP: Duration = Duration::from_micros(500);

/// The longest that a frame waits for the previous one to be sent at its pace.
const BEHIND: Duration = Duration::from_millis(20);

/// Upper bound on waiting frames, including partly sent ones. Frames that the rate limit holds back
/// for longer are worthless when they arrive.
pub const MAX_WAITING_FRAMES: usize = 16;

/// Upper bound on waiting bytes before a frame is refused: a few of the longest frames, as many as
/// are kept for retransmission.
const MAX_WAITING_BYTES: usize = 4 * MAX_FRAME_BYTES;

/// Upper bound on packets that wait as answers to the NACKs of one destination.
const MAX_ANSWERS: usize = 4096;

/// The room for packets now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room<'a> {
    /// All destinations.
    pub(super) destinations: &'a [DestinationState],
    /// Whether repair must keep to its share of the rate. If several viewers are served, the repair
    /// for one of them must not delay what all wait for.
    pub(super) is_shared: bool,
}

impl Room<'_> {
    /// Bytes for one destination: at least one `first` datagram of this length.
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

/// How the packets of a frame are spread.
#[derive(Clone, Copy, Debug)]
pub(super) struct FrameSpread {
    /// From the first packet to the time after the last.
    pub(super) time: Duration,
    /// Whether they leave in bursts. Where a viewer reports loss, single packets survive bursts of
    /// loss better.
    pub(super) in_bursts: bool,
}

/// The queues of one stream. The main one holds up to [`MAX_WAITING_FRAMES`] frames. Without a rate
/// limit, a new frame makes the rest of the previous one due at once; with one, they may wait.
#[derive(Debug, Default)]
pub(super) struct Pacer {
    waiting: Queue,
    lanes: Vec<Lane>,
    batch: Vec<QueuedPacket>,
    /// The next destination of the batch.
    next: usize,
}

/// Packets in sending order, and when each is due.
#[derive(Debug, Default)]
struct Queue {
    packets: VecDeque<(Duration, QueuedPacket)>,
    /// Number of frames that are not completely sent, and the sum of bytes.
    frames: usize,
    bytes: usize,
}

/// The queues for one destination only.
#[derive(Debug, Default)]
struct Lane {
    /// Answers to NACKs.
    answers: VecDeque<(Duration, QueuedPacket)>,
    /// Frames that are sent at the pace of its path.
    paced: Queue,
    /// When the path has carried them.
    free_at: Duration,
}

impl Queue {
    fn push(&mut self, packet: QueuedPacket, due: Duration) {
        self.frames += usize::from(packet.ends());
        self.bytes += packet.len();
        self.packets.push_back((due, packet));
    }

    fn is_full(&self) -> bool {
        self.frames >= MAX_WAITING_FRAMES || self.bytes >= MAX_WAITING_BYTES
    }

    /// Makes everything due at once.
    fn flush(&mut self, now: Duration) {
        for (due, _) in &mut self.packets {
            *due = now.min(*due);
        }
    }

    /// Moves packets that are sent together into the batch.
    fn fill(&mut self, batch: &mut Vec<QueuedPacket>, now: Duration, room: u64) {
        fill(batch, &mut self.packets, now, room);
        self.frames -= batch.iter().filter(|packet| packet.ends()).count();
        self.bytes -= batch.iter().map(QueuedPacket::len).sum::<usize>();
    }
}

impl Pacer {
    /// Whether so much waits for all destinations that no frame is accepted.
    pub(super) fn is_full(&self) -> bool {
        self.waiting.is_full()
    }

    /// Appends a packet to the main queue.
    pub(super) fn push(&mut self, packet: QueuedPacket, due: Duration) {
        self.waiting.push(packet, due);
    }

    /// Appends the packets of a frame, evenly spread. Packets that still wait become due at once, so
    /// that the tail of one frame never delays the next.
    pub(super) fn push_frame(
        &mut self,
        packets: Vec<QueuedPacket>,
        now: Duration,
        spread: FrameSpread,
    ) {
        self.waiting.flush(now);
        let count = packets.len() as f64;
        let most = if spread.in_bursts { BURST_DATAGRAMS } else { 1 };
        let (mut due, mut datagrams, mut bytes) = (now, 0, 0);
        for (at, packet) in packets.into_iter().enumerate() {
            if datagrams == most || bytes + packet.len() > MAX_BURST_BYTES {
                due = now + round_down(spread.time.mul_f64(at as f64 / count));
                (datagrams, bytes) = (0, 0);
            }
            datagrams += 1;
            bytes += packet.len();
            self.push(packet, due);
        }
    }

    /// Appends the packets of a frame for one destination. They are sent in bursts, after what
    /// already waits there.
    pub(super) fn push_paced(
        &mut self,
        packets: Vec<QueuedPacket>,
        destination: usize,
        pace: Pace,
        now: Duration,
    ) {
        let lane = self.lane(destination);
        let (mut due, mut burst) = (lane.free_at.max(now), 0.0);
        for packet in packets {
            let bytes = packet.len() as f64;
            if burst > 0.0 && burst + bytes > pace.burst {
                due += Duration::from_secs_f64(burst / pace.rate);
                burst = 0.0;
            }
            burst += bytes;
            lane.paced.push(packet, due);
        }
        lane.free_at = due + Duration::from_secs_f64(burst / pace.rate);
    }

    /// Inserts the answer to a NACK, spread a little, so that one loss burst does not take all of
    /// it. It is interleaved with what is left of earlier answers, so that each takes no longer
    /// than the viewer expects.
    pub(super) fn push_answer(
        &mut self,
        packets: Vec<QueuedPacket>,
        destination: usize,
        now: Duration,
    ) {
        let answers = &mut self.lane(destination).answers;
        let gap = retransmit_gap(packets.len());
        for (at, packet) in packets.into_iter().enumerate() {
            if answers.len() < MAX_ANSWERS {
                let due = now + gap * at as u32;
                let place = answers.partition_point(|(before, _)| *before <= due);
                answers.insert(place, (due, packet));
            }
        }
    }

    fn lane(&mut self, destination: usize) -> &mut Lane {
        if self.lanes.len() <= destination {
            self.lanes.resize_with(destination + 1, Lane::default);
        }
        &mut self.lanes[destination]
    }

    /// Makes everything due at once.
    pub(super) fn flush(&mut self, now: Duration) {
        self.waiting.flush(now);
        for lane in &mut self.lanes {
            lane.paced.flush(now);
        }
    }

    /// Drops the waiting packets: there is no viewer.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Returns packets that are due together, and their destination, one of the open ones. All have
    /// the same length except the last, which may be shorter, and there is room for all of them.
    /// Drops packets if no destination is open, and parity for which a destination's share is used
    /// up.
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

    /// Bytes that wait as answers for this destination.
    pub(super) fn answers_waiting(&self, destination: usize) -> u64 {
        let lane = self.lanes.get(destination).into_iter();
        let answers = lane.flat_map(|lane| &lane.answers);
        answers.map(|(_, packet)| packet.len() as u64).sum()
    }

    /// Drops what waits for this destination only.
    pub(super) fn forget(&mut self, destination: usize) {
        if let Some(lane) = self.lanes.get_mut(destination) {
            *lane = Lane::default();
        }
    }

    /// When the next packet is due and has room.
    pub(super) fn due(&self, room: Room<'_>) -> Option<Duration> {
        let lanes = self.lanes.iter().enumerate();
        let lanes = lanes.flat_map(|(to, lane)| {
            let fronts = [lane.answers.front(), lane.paced.packets.front()];
            let fronts = fronts.into_iter().flatten();
            fronts.map(move |(due, packet)| room.free_at(to, packet.len()).max(*due))
        });
        lanes.chain(self.media_due(room)).min()
    }

    /// Whether a packet is due, with or without room for it.
    pub(super) fn is_due(&self, now: Duration) -> bool {
        let lanes = self.lanes.iter();
        let lanes = lanes.flat_map(|lane| [lane.answers.front(), lane.paced.packets.front()]);
        let mut fronts = lanes.flatten().chain(self.waiting.packets.front());
        fronts.any(|(due, _)| *due <= now)
    }

    /// Whether a frame for this destination only would wait for earlier ones there: the path takes
    /// too long to carry them, or the rate limit holds them back.
    pub(super) fn is_behind(&self, destination: usize, now: Duration, room: Room<'_>) -> bool {
        let Some(lane) = self.lanes.get(destination) else {
            return false;
        };
        let due = lane.paced.packets.front().filter(|(due, _)| *due <= now);
        let held = due.is_some_and(|(_, packet)| room.free_at(destination, packet.len()) > now);
        held || lane.free_at > now + BEHIND || lane.paced.is_full()
    }

    /// Whether so much waits for a destination only that no frame is accepted for it.
    pub(super) fn is_lane_full(&self, destination: usize) -> bool {
        let lane = self.lanes.get(destination);
        lane.is_some_and(|lane| lane.paced.is_full())
    }

    /// Whether only the rate limit holds back what all destinations wait for.
    pub(super) fn is_held_back(&self, now: Duration, room: Room<'_>) -> bool {
        let due = self.waiting.packets.front();
        let due = due.is_some_and(|(due, _)| *due <= now);
        due && self.media_due(room).is_some_and(|free| free > now)
    }

    /// The first chunk that waits to be sent to a destination for the first time, by frame and
    /// index.
    pub(super) fn first_chunk(&self, destination: usize) -> Option<(FrameNumber, usize)> {
        let lane = self.lanes.get(destination).into_iter();
        let paced = lane.flat_map(|lane| &lane.paced.packets);
        let all = self.waiting.packets.iter().chain(paced);
        let mut packets = all.filter(|(_, packet)| packet.to().includes(destination));
        packets.find_map(|(_, packet)| packet.chunk())
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        let empty = |lane: &Lane| lane.answers.is_empty() && lane.paced.packets.is_empty();
        self.waiting.packets.is_empty() && self.lanes.iter().all(empty)
    }

    /// When the next packet for all destinations is due and has room.
    fn media_due(&self, room: Room<'_>) -> Option<Duration> {
        let (due, packet) = self.waiting.packets.front()?;
        if packet.is_repair() && room.is_shared {
            return Some(*due);
        }
        Some(room.free_everywhere(packet.len()).max(*due))
    }

    /// Fills the batch. Answers go first, since they are for older frames. Of these and of the
    /// lanes, the longest-waiting one goes first. Packets without room do not delay other
    /// destinations.
    fn gather(&mut self, now: Duration, room: Room<'_>) {
        if let Some((_, to, room)) = self.first(now, room, |lane| &lane.answers) {
            if let Some(lane) = self.lanes.get_mut(to) {
                fill(&mut self.batch, &mut lane.answers, now, room);
            }
            return;
        }
        let waiting = self.waiting.packets.front();
        if let Some((due, to, room)) = self.first(now, room, |lane| &lane.paced.packets)
            && waiting.is_none_or(|(before, _)| due < *before)
        {
            if let Some(lane) = self.lanes.get_mut(to) {
                lane.paced.fill(&mut self.batch, now, room);
            }
            return;
        }
        if let Some((_, first)) = waiting {
            let room = if first.is_repair() && room.is_shared {
                // Each destination already has it or not.
                u64::MAX
            } else {
                room.everywhere(first.len() as u64)
            };
            self.waiting.fill(&mut self.batch, now, room);
        }
        if self.batch.is_empty()
            && let Some((_, to, room)) = self.first(now, room, |lane| &lane.paced.packets)
            && let Some(lane) = self.lanes.get_mut(to)
        {
            lane.paced.fill(&mut self.batch, now, room);
        }
    }

    /// The lane whose front is due first, when it is due, and the number of bytes that have room.
    fn first(
        &self,
        now: Duration,
        room: Room<'_>,
        queue: fn(&Lane) -> &VecDeque<(Duration, QueuedPacket)>,
    ) -> Option<(Duration, usize, u64)> {
        let lanes = self.lanes.iter().enumerate();
        let due = lanes.filter_map(|(to, lane)| {
            let (due, packet) = queue(lane).front()?;
            let len = packet.len() as u64;
            let room = room.at(to, len);
            (*due <= now && len <= room).then_some((*due, to, room))
        });
        due.min()
    }
}

/// Moves packets that are sent together from a queue into the batch.
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

/// Whether a packet can be sent in one call with those of the batch: to the same destination, and
/// with the same length, or shorter as the last one.
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
