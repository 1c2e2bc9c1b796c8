//! What was sent and is not reported yet, and what the newest trains tell.

use std::collections::VecDeque;

use crate::wire::native::Channel;

/// The most packets of a channel that may be unreported: 100 ms of a gigabit in
/// datagrams of 1,452 bytes, twice.
const MAX_UNREPORTED: usize = 16_384;

/// The most trains that are kept: half a second of 60 frames a second.
const MAX_TRAINS: usize = 32;

/// No clock has run for longer, in microseconds: 142 years.
const LATEST: u64 = 1 << 52;

/// A packet is lost when this many that were sent after it have arrived
/// (<https://www.rfc-editor.org/rfc/rfc9002#section-6.1.1>).
const REORDERED: u64 = 3;

/// A packet as it was sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    /// Its place among all packets.
    pub(super) order: u64,
    /// Bytes of all packets up to this one.
    pub(super) end: u64,
    /// When, in microseconds.
    pub(super) at: u64,
    pub(super) bytes: u64,
    /// The frame that it was sent with.
    pub(super) train: u64,
    /// The rate by then, in bytes a second.
    pub(super) rate: f64,
    /// The pace by then.
    pub(super) pace: f64,
    /// The share by then.
    pub(super) share: f64,
}

/// What is known of the packets that were sent together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Train {
    number: u64,
    /// The rate when it was sent, in bytes a second.
    pub(super) rate: f64,
    /// The share by then.
    pub(super) share: f64,
    /// When its first packet was sent, in microseconds.
    pub(super) sent: u64,
    /// The least time from sending to arrival, between two clocks.
    pub(super) delay: i64,
    /// Of its packets that arrived, the one that was sent first, the one that was
    /// sent last, and when they arrived.
    first: (Sent, u64),
    last: (Sent, u64),
}

impl Train {
    /// Bytes from the first packet to the last, those lost between them included.
    pub(super) fn bytes(&self) -> u64 {
        self.last.0.end.saturating_sub(self.first.0.end)
    }

    /// Time between the arrivals of the first packet and the last, in microseconds:
    /// where delays tremble, now and then less than nothing.
    pub(super) fn arriving(&self) -> i64 {
        (self.last.1 as i64).saturating_sub(self.first.1 as i64)
    }

    /// Bytes a second in which it was sent.
    pub(super) fn paced(&self) -> f64 {
        self.bytes() as f64 * 1e6 / self.sending().max(1) as f64
    }

    /// The time that it took to be sent, in microseconds. Where it left in bursts,
    /// the one that it takes at the pace.
    pub(super) fn sending(&self) -> u64 {
        let paced = (self.bytes() as f64 / self.last.0.pace * 1e6) as u64;
        let sending = self.last.0.at.saturating_sub(self.first.0.at);
        if sending * 2 < paced { paced } else { sending }
    }
}

/// What a report says of one packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reported {
    pub(super) sent: Sent,
    /// From sending to arrival, between two clocks, in microseconds.
    pub(super) delay: i64,
}

/// The packets of one channel, by number.
#[derive(Debug, Default)]
struct Lane {
    first: u64,
    packets: VecDeque<Option<Sent>>,
}

/// What was sent and is not reported, and the newest trains.
#[derive(Debug, Default)]
pub(super) struct History {
    lanes: [Lane; 2],
    next: u64,
    /// Bytes of all that was sent.
    bytes: u64,
    highest: Option<Sent>,
    /// Bytes of the longest packet among the last: shorter ones take less time
    /// to pass a link, which is not to be taken for a shorter queue.
    longest: u64,
    pub(super) trains: VecDeque<Train>,
}

impl History {
    /// Takes a packet that is sent now.
    pub(super) fn record_sent(&mut self, channel: Channel, number: u64, sent: Sent) {
        let Some(lane) = self.lanes.get_mut(channel as usize) else {
            return;
        };
        if lane.first + lane.packets.len() as u64 != number {
            *lane = Lane {
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
    /// microseconds. One that was reported before, or never sent, tells nothing.
    pub(super) fn record_arrival(
        &mut self,
        channel: Channel,
        number: u64,
        at: u64,
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
        self.extend_train(sent, at, delay);
        Some(Reported { sent, delay })
    }

    fn extend_train(&mut self, sent: Sent, at: u64, delay: i64) {
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
                first: (sent, at),
                last: (sent, at),
            });
            return;
        };
        train.delay = train.delay.min(delay);
        if sent.order > train.last.0.order {
            train.last = (sent, at);
        } else if sent.order < train.first.0.order {
            train.first = (sent, at);
        }
    }

    /// Forgets packets that are lost. Returns when the newest of them was sent,
    /// in microseconds.
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

    /// Whether anything is sent that is not reported.
    pub(super) fn is_waiting(&self) -> bool {
        self.lanes.iter().any(|lane| !lane.packets.is_empty())
    }
}
