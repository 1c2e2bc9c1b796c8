//! The viewer's socket: a buffer with room for so much while the viewer does
//! not look, and a count of what the buffer had no room for.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

/// The socket of a viewer that stalls at times.
#[derive(Debug)]
pub(super) struct Socket {
    stalls: Vec<Range<Duration>>,
    room: usize,
    waiting: VecDeque<Queued>,
    waiting_intact: usize,
    dropped: u64,
}

/// A datagram that reached the system.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) datagram: Vec<u8>,
    pub(super) arrival: Duration,
    /// How many had been dropped by then.
    pub(super) dropped: u64,
    /// Whether there was no room for it.
    pub(super) no_room: bool,
}

impl Socket {
    /// With room for this many datagrams, and a viewer that stalls then.
    pub(super) fn new(stalls: Vec<Range<Duration>>, room: usize) -> Self {
        Self {
            stalls,
            room,
            waiting: VecDeque::new(),
            waiting_intact: 0,
            dropped: 0,
        }
    }

    /// Until when the viewer does not look.
    pub(super) fn stalled_until(&self, now: Duration) -> Option<Duration> {
        let stall = self.stalls.iter().find(|stall| stall.contains(&now))?;
        Some(stall.end)
    }

    /// Queues a datagram, if there is room.
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

    /// When the first that waits reached the system.
    pub(super) fn first(&self) -> Option<Duration> {
        self.waiting.front().map(|queued| queued.arrival)
    }

    /// What reached the system next, once the viewer looks.
    pub(super) fn take(&mut self, now: Duration) -> Option<Queued> {
        if self.stalled_until(now).is_some() {
            return None;
        }
        let queued = self.waiting.pop_front()?;
        self.waiting_intact -= usize::from(!queued.no_room);
        Some(queued)
    }

    /// How many were dropped by now.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }
}
