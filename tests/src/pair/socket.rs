//! The viewer's socket: a bounded buffer for datagrams while the viewer does not
//! read, and a count of drops.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

/// The socket of a viewer that sometimes stalls.
#[derive(Debug)]
pub(super) struct Socket {
    stalls: Vec<Range<Duration>>,
    room: usize,
    waiting: VecDeque<Queued>,
    waiting_intact: usize,
    dropped: u64,
}

/// A datagram that reached the socket.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) datagram: Vec<u8>,
    pub(super) arrival: Duration,
    /// Number of datagrams dropped by then.
    pub(super) dropped: u64,
    /// Whether it was dropped for lack of room.
    pub(super) no_room: bool,
}

impl Socket {
    /// A socket with room for `room` datagrams. The viewer does not read during
    /// `stalls`.
    pub(super) fn new(stalls: Vec<Range<Duration>>, room: usize) -> Self {
        Self {
            stalls,
            room,
            waiting: VecDeque::new(),
            waiting_intact: 0,
            dropped: 0,
        }
    }

    /// When the current stall ends.
    pub(super) fn stalled_until(&self, now: Duration) -> Option<Duration> {
        let stall = self.stalls.iter().find(|stall| stall.contains(&now))?;
        Some(stall.end)
    }

    /// Queues a datagram if there is room.
    pub(super) fn put(&mut self, datagram: Vec<u8>, now: Duration) {
        let no_room = self.stalled_until(now).is_some() && self.waiting_intact >= self.room;
        self.dropped += u64::from(no_room);
        self.waiting_intact += usize::from(!no_room);
        self.waiting.push_back(Queued {
            datagram,
            arrival: now,
            dropped: self.dropped,
            no_room,
        });
    }

    /// Arrival of the oldest queued datagram.
    pub(super) fn first(&self) -> Option<Duration> {
        self.waiting.front().map(|queued| queued.arrival)
    }

    /// Takes the next datagram, unless the viewer stalls.
    pub(super) fn take(&mut self, now: Duration) -> Option<Queued> {
        if self.stalled_until(now).is_some() {
            return None;
        }
        let queued = self.waiting.pop_front()?;
        self.waiting_intact -= usize::from(!queued.no_room);
        Some(queued)
    }

    /// Number of datagrams dropped so far.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }
}
