//! What was sent and is not reported yet, and what the newest trains show.

use std::collections::VecDeque;

use super::delay::BaseDelay;
use crate::wire::native::Channel;

/// Microseconds above the least delay from which on a packet has waited in a queue.
const QUEUED: i64 = 1_000;

/// Microseconds by which a packet must come before one that was sent earlier to have
/// overtaken it: receivers' clocks have steps.
const OVERTAKEN: u64 = 200;

/// Bytes in a row that show what a path carries.
pub(super) const ENOUGH: u64 = 3_000;

/// The most packets of a channel that may be unreported: 100 ms of a gigabit in
/// datagrams of 1,452 bytes, twice.
const MAX_UNREPORTED: usize = 16_384;

/// Upper bound on kept trains: half a second at 60 frames per second.
const MAX_TRAINS: usize = 32;

/// A stretch of packets that waited shows what the path carries if it took at least
/// this many microseconds, and no gap in it took more than this part: a program that
/// pauses makes one long gap, and what waited for it arrives at once.
const LASTING: u64 = 2_000;
const EVEN_GAPS: u64 = 4;

/// The shortest pause within a train that no pace explains, in microseconds.
const PAUSE: u64 = 20_000;

/// Upper bound on a clock's value in microseconds: 142 years.
const LATEST: u64 = 1 << 52;

/// A packet is lost when this many that were sent after it have arrived
/// (<https://www.rfc-editor.org/rfc/rfc9002#section-6.1.1>).
const REORDERED: u64 = 3;

/// A packet as it was sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    /// Its position among all packets.
    pub(super) order: u64,
    /// Total bytes up to and including this packet.
    pub(super) end: u64,
    /// When it was sent, in microseconds.
    pub(super) at: u64,
    pub(super) bytes: u64,
    /// The frame that it was sent with.
    pub(super) train: u64,
    /// The rate at that time, in bytes per second.
    pub(super) rate: f64,
    /// The pace at that time.
    pub(super) pace: f64,
    /// The share at that time.
    pub(super) share: f64,
}

/// Packets that were sent together, and what is known of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Train {
    number: u64,
    /// The rate when it was sent, in bytes per second.
    pub(super) rate: f64,
    /// The share at that time.
    pub(super) share: f64,
    /// When its first packet was sent, in microseconds.
    pub(super) sent: u64,
    /// The least transit time, between two clocks.
    pub(super) delay: i64,
    /// The stretch of its packets that waited, up to the last: from the last one of
    /// those that arrived first with it, as packets do that left in one call.
    queued: Option<[(Sent, u64); 2]>,
    /// Bytes of that stretch that arrived.
    arrived: u64,
    /// The longest time between two arrivals in it, in microseconds.
    widest: u64,
    /// The longest time between sending two of its packets, in microseconds.
    pause: u64,
    /// Packets that arrived behind the one that was sent before.
    pub(super) followed: u32,
    /// Whether one of its packets has overtaken the one before it, as in no queue.
    pub(super) is_uneven: bool,
    /// Of its packets that arrived, the one that was sent first, the one that was
    /// sent last, and when they arrived.
    first: (Sent, u64),
    last: (Sent, u64),
}

impl Train {
    /// The number of the frame.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Bytes from the first packet to the last, those lost between them included.
    pub(super) fn bytes(&self) -> u64 {
        self.last.0.end.saturating_sub(self.first.0.end)
    }

    /// Bytes from its first packet to that of another train.
    pub(super) fn bytes_to(&self, next: &Self) -> u64 {
        next.first.0.end.saturating_sub(self.first.0.end)
    }

    /// Time between the arrivals of the first packet and the last, in microseconds:
    /// where delays tremble, now and then less than nothing.
    pub(super) fn arriving(&self) -> i64 {
        (self.last.1 as i64).saturating_sub(self.first.1 as i64)
    }

    /// Bytes of the stretch of packets that waited, and microseconds between the
    /// arrivals of its ends: the path was never idle between these, nor passed any of
    /// them ahead of its rate, as a token bucket does.
    pub(super) fn queued(&self) -> Option<(u64, u64)> {
        let [first, last] = self.queued?;
        let bytes = last.0.end.saturating_sub(first.0.end);
        let arriving = last.1.saturating_sub(first.1);
        (bytes >= ENOUGH && arriving > 0).then_some((bytes, arriving))
    }

    /// Bytes a second of that stretch that arrived: what a full queue has no room for
    /// is not carried.
    pub(super) fn carried(&self) -> Option<f64> {
        let (_, arriving) = self.queued()?;
        Some(self.arrived as f64 * 1e6 / arriving as f64)
    }

    /// Bytes a second that the path carries, if its packets came out of a queue that
    /// drains steadily.
    pub(super) fn limit(&self) -> Option<f64> {
        let (_, arriving) = self.queued()?;
        let is_steady = arriving >= LASTING && self.widest * EVEN_GAPS <= arriving;
        self.carried().filter(|_| is_steady && !self.is_uneven)
    }

    /// The delay that it found: the least of its packets'; or behind a token bucket,
    /// where the first packets show no queue, the time beyond the one that its bytes
    /// take at these bytes a second, which the path carries.
    pub(super) fn found(&self, carried: Option<f64>) -> i64 {
        let Some(carried) = carried.filter(|_| self.queued.is_some()) else {
            return self.delay;
        };
        let needed = self.bytes() as f64 * 1e6 / carried;
        let took = (self.last.1 as i64).saturating_sub(self.first.0.at as i64);
        self.delay.max(took.saturating_sub(needed as i64))
    }

    /// Bytes that passed before that stretch, beyond what the path carries meanwhile.
    pub(super) fn ahead(&self) -> Option<f64> {
        let (bytes, arriving) = self.queued()?;
        let [begin, _] = self.queued?;
        let passed = begin.0.end.saturating_sub(self.first.0.end) as f64;
        let took = (begin.1 as f64) - (self.first.1 as f64);
        Some(passed - took * bytes as f64 / arriving as f64)
    }

    /// Takes a packet in the order of sending; `waited` tells whether it was in a
    /// queue.
    fn extend_queued(&mut self, sent: Sent, at: u64, waited: bool) {
        self.followed += 1;
        match self.queued {
            Some([first, last]) if waited && first.1 != at => {
                self.queued = Some([first, (sent, at)]);
                self.arrived += sent.bytes;
                self.widest = self.widest.max(at.saturating_sub(last.1));
            }
            _ => {
                self.queued = waited.then_some([(sent, at); 2]);
                (self.arrived, self.widest) = (0, 0);
            }
        }
    }

    /// Whether most of the time that sending took was one pause, as of a sender that waits for the
    /// processor. It tells nothing of a pace.
    pub(super) fn is_interrupted(&self) -> bool {
        self.pause >= PAUSE && self.pause * 2 > self.last.0.at.saturating_sub(self.first.0.at)
    }

    /// Bytes a second in which it was sent.
    pub(super) fn paced(&self) -> f64 {
        self.bytes() as f64 * 1e6 / self.sending().max(1) as f64
    }

    /// The time that sending took, in microseconds. If it was sent in bursts, the time at the pace.
    pub(super) fn sending(&self) -> u64 {
        let paced = (self.bytes() as f64 / self.last.0.pace * 1e6) as u64;
        let sending = self.last.0.at.saturating_sub(self.first.0.at);
        if sending * 2 < paced { paced } else { sending }
    }
}

/// A reported packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reported {
    pub(super) sent: Sent,
    /// Transit time between two clocks, in microseconds.
    pub(super) delay: i64,
}

/// The packets of one channel, by number.
#[derive(Debug, Default)]
struct LaneHistory {
    first: u64,
    packets: VecDeque<Option<Sent>>,
}

/// What was sent and is not reported, and the newest trains.
#[derive(Debug, Default)]
pub(super) struct History {
    lanes: [LaneHistory; 2],
    next: u64,
    /// Total bytes sent.
    bytes: u64,
    highest: Option<Sent>,
    /// Bytes of the longest recent packet. Shorter packets pass a link faster, which must not be
    /// taken for a shorter queue.
    longest: u64,
    pub(super) trains: VecDeque<Train>,
}

impl History {
    /// Records a packet that is sent now.
    pub(super) fn record_sent(&mut self, channel: Channel, number: u64, sent: Sent) {
        let Some(lane) = self.lanes.get_mut(channel as usize) else {
            return;
        };
        if lane.first + lane.packets.len() as u64 != number {
            *lane = LaneHistory {
                first: number,
                packets: VecDeque::new(),
            };
        }
        let order = self.next;
        self.next += 1;
        self.bytes += sent.bytes;
        let end = self.bytes;
        lane.packets.push_back(Some(Sent { order, end, ..sent }));
        if lane.packets.len() > MAX_UNREPORTED {
            lane.packets.pop_front();
            lane.first += 1;
        }
    }

    /// Takes a packet that arrived at a time of the other side's clock, in
    /// microseconds, where the path has this least delay. One that was reported
    /// before, or never sent, tells nothing.
    pub(super) fn record_arrival(
        &mut self,
        channel: Channel,
        number: u64,
        at: u64,
        base: &BaseDelay,
    ) -> Option<Reported> {
        let lane = self.lanes.get_mut(channel as usize)?;
        let index = usize::try_from(number.checked_sub(lane.first)?).ok()?;
        if at > LATEST {
            return None;
        }
        let sent = lane.packets.get_mut(index)?.take()?;
        let delay = (at as i64).wrapping_sub(sent.at as i64);
        if self
            .highest
            .is_none_or(|highest| highest.order < sent.order)
        {
            self.highest = Some(sent);
        }
        self.longest = sent.bytes.max(self.longest - self.longest / 64);
        if sent.bytes * 4 < self.longest * 3 {
            return None;
        }
        self.extend_train(sent, at, delay, base.above(delay) > QUEUED);
        Some(Reported { sent, delay })
    }

    fn extend_train(&mut self, sent: Sent, at: u64, delay: i64, waited: bool) {
        let known = self.trains.iter_mut().rev();
        let known = known.take(2).find(|train| train.number == sent.train);
        let Some(train) = known else {
            if self
                .trains
                .back()
                .is_some_and(|last| last.number > sent.train)
            {
                return;
            }
            if self.trains.len() >= MAX_TRAINS {
                self.trains.pop_front();
            }
            self.trains.push_back(Train {
                number: sent.train,
                rate: sent.rate,
                share: sent.share,
                sent: sent.at,
                delay,
                arrived: 0,
                widest: 0,
                pause: 0,
                followed: 0,
                is_uneven: false,
                queued: waited.then_some([(sent, at); 2]),
                first: (sent, at),
                last: (sent, at),
            });
            return;
        };
        train.delay = train.delay.min(delay);
        if sent.order > train.last.0.order {
            train.extend_queued(sent, at, waited);
            train.pause = train.pause.max(sent.at.saturating_sub(train.last.0.at));
            train.last = (sent, at);
            return;
        }
        train.is_uneven |= at > train.last.1.saturating_add(OVERTAKEN);
        if sent.order < train.first.0.order {
            train.first = (sent, at);
        }
    }

    /// Forgets lost packets. Returns when the newest of them was sent, in microseconds.
    pub(super) fn forget_lost(&mut self) -> Option<u64> {
        let highest = self.highest?;
        let mut newest = None;
        for lane in &mut self.lanes {
            while let Some(front) = lane.packets.front() {
                if let Some(sent) = front {
                    if sent.order + REORDERED > highest.order {
                        break;
                    }
                    newest = newest.max(Some(sent.at));
                }
                lane.packets.pop_front();
                lane.first += 1;
            }
        }
        newest
    }

    /// Bytes that were sent after the newest packet that arrived.
    pub(super) fn backlog(&self) -> u64 {
        let arrived = self.highest.map_or(0, |highest| highest.end);
        self.bytes.saturating_sub(arrived)
    }

    /// Whether any sent packet is unreported.
    pub(super) fn is_waiting(&self) -> bool {
        self.lanes.iter().any(|lane| !lane.packets.is_empty())
    }
}
