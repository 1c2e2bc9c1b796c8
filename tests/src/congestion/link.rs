//! A link with a tail-drop queue.

use std::collections::VecDeque;

use super::{MS, Nanos, Packet, SECOND};

/// A packet that left the queue.
#[derive(Clone, Copy, Debug)]
pub struct Passed {
    /// When it left.
    pub at: Nanos,
    /// Its flow.
    pub flow: usize,
    /// Bytes including all headers.
    pub bytes: u64,
    /// Time in the queue.
    pub waited: Nanos,
}

/// One direction of the bottleneck.
#[derive(Debug)]
pub struct Link {
    /// Rates in bits per second, each with the time from which it applies.
    rates: Vec<(Nanos, u64)>,
    /// The time in which a full queue drains.
    depth: Nanos,
    /// Share of the packets that are lost after the queue.
    pub loss: f64,
    /// The greatest additional delay of a packet after the queue.
    pub jitter: Nanos,
    queue: VecDeque<(Nanos, Packet)>,
    queued: u64,
    serving: Option<Packet>,
    /// The packets that left the queue.
    pub log: Vec<Passed>,
    /// When the queue was full and dropped a packet, and the flow of that packet.
    pub dropped: Vec<(Nanos, usize)>,
}

impl Link {
    /// A link with these rates in Mbit/s, each from a second on.
    pub fn new(rates: &[(u64, f64)]) -> Self {
        let rates = rates
            .iter()
            .map(|(at, rate)| (at * SECOND, (rate * 1e6) as u64));
        Self {
            rates: rates.collect(),
            depth: 300 * MS,
            loss: 0.0,
            jitter: 0,
            queue: VecDeque::new(),
            queued: 0,
            serving: None,
            log: Vec::new(),
            dropped: Vec::new(),
        }
    }

    /// The rate at a time, in bits per second.
    pub fn rate(&self, now: Nanos) -> u64 {
        let mut rates = self.rates.iter().rev();
        rates
            .find(|(at, _)| *at <= now)
            .map_or(0, |(_, rate)| *rate)
    }

    /// Takes a packet. Returns when it will have been served, if the link was idle.
    pub(super) fn put(&mut self, packet: Packet, now: Nanos) -> Option<Nanos> {
        if self.serving.is_none() {
            return Some(self.serve(packet, now, now));
        }
        let room = u128::from(self.rate(now)) * u128::from(self.depth) / 8 / u128::from(SECOND);
        if u128::from(self.queued + packet.bytes) > room {
            self.dropped.push((now, packet.flow));
            return None;
        }
        self.queued += packet.bytes;
        self.queue.push_back((now, packet));
        None
    }

    fn serve(&mut self, packet: Packet, entered: Nanos, now: Nanos) -> Nanos {
        let takes = packet.bytes * 8 * SECOND / self.rate(now).max(1);
        self.log.push(Passed {
            at: now,
            flow: packet.flow,
            bytes: packet.bytes,
            waited: now - entered,
        });
        self.serving = Some(packet);
        now + takes
    }

    /// The packet that has just been served, and when the next one will be.
    pub(super) fn served(&mut self, now: Nanos) -> (Option<Packet>, Option<Nanos>) {
        let packet = self.serving.take();
        let next = self.queue.pop_front().map(|(entered, next)| {
            self.queued -= next.bytes;
            self.serve(next, entered, now)
        });
        (packet, next)
    }
}
