//! Collects the packets and frames of one stream in a trace.

use std::collections::BTreeMap;
use std::ops::Range;

use framegram_common::stats;

use super::slots::ReceivedPacket;
use crate::trace::{ChunkPlace, Datagram, DatagramContent, Disposition, PacketBody, TracedCounts};

/// One stream while its trace is read.
#[derive(Debug, Default)]
pub(super) struct StreamIndex {
    pub(super) received: [Vec<ReceivedPacket>; 3],
    /// By frame number: a chunk that arrived when first sent, and the packet
    /// number of the frame's first chunk.
    pub(super) frames: BTreeMap<u64, (ChunkPlace, u64)>,
    pub(super) counts: Option<TracedCounts>,
    /// Whether the stream ended with a bye.
    pub(super) ended: bool,
    /// The first sender report: where the viewer joined, if it joined late.
    joined: Option<TracedCounts>,
    /// Whether the viewer settled the first frame.
    first_settled: bool,
    pub(super) rtt: Option<u64>,
    /// Frames with a known outcome, and those shown complete.
    pub(super) settled: (u64, u64),
}

impl StreamIndex {
    pub(super) fn len(&self) -> usize {
        self.received.iter().map(Vec::len).sum()
    }

    /// Takes a datagram. Returns false if there are too many.
    pub(super) fn take(&mut self, datagram: &Datagram) -> bool {
        let DatagramContent::Native { number, sent, body } = datagram.content else {
            return true;
        };
        if self.len() >= MAX_HEARD || self.frames.len() >= MAX_FRAMES {
            return false;
        }
        if number > MAX_NUMBER || datagram.disposition != Disposition::Received {
            return true;
        }
        let transit = datagram.arrival.wrapping_sub(sent) as i64;
        self.received[body.channel() as usize].push(ReceivedPacket {
            number,
            sent,
            transit,
        });
        match body {
            PacketBody::Chunk(place) if place.frame <= MAX_NUMBER => {
                if let Some(base) = number.checked_sub(place.index.into()) {
                    self.frames.insert(place.frame, (place, base));
                }
            }
            PacketBody::SenderReport(counts) | PacketBody::SenderBye(counts)
                if is_nonsense(&counts) => {}
            PacketBody::SenderReport(counts) | PacketBody::SenderBye(counts) => {
                self.joined.get_or_insert(counts);
                let newest = self.counts.get_or_insert(counts);
                if counts.packets[2] >= newest.packets[2] {
                    *newest = counts;
                }
                self.ended |= matches!(body, PacketBody::SenderBye(_));
            }
            PacketBody::Echo { rtt } if rtt > MAX_RTT => {}
            PacketBody::Echo { rtt } => {
                self.rtt = Some(self.rtt.map_or(rtt, |least| least.min(rtt)));
            }
            PacketBody::Chunk(_)
            | PacketBody::Retransmission(_)
            | PacketBody::Parity
            | PacketBody::Tables
            | PacketBody::Proof => {}
        }
        true
    }

    /// Takes the outcome of a frame.
    pub(super) fn settle(&mut self, number: u64, outcome: stats::Outcome) {
        self.settled.0 += 1;
        self.settled.1 += u64::from(outcome.is_intact());
        self.first_settled |= number == 0 && outcome != stats::Outcome::BeforeJoining;
    }

    /// Whether the viewer was listening when the stream began.
    pub(super) fn is_from_start(&self) -> bool {
        let zero =
            |received: &Vec<ReceivedPacket>| received.iter().any(|received| received.number == 0);
        self.first_settled || self.received.iter().any(zero)
    }

    /// Whether this chunk arrived. The packets must be sorted.
    pub(super) fn has_come(&self, number: u64) -> bool {
        let found = self.received[0].binary_search_by_key(&number, |received| received.number);
        found.is_ok()
    }

    /// Range of packet numbers of a channel since the viewer joined, as the
    /// report counts them.
    pub(super) fn numbers(&self, channel: usize) -> Range<u64> {
        let received = &self.received[channel];
        let of = |counts: &TracedCounts| counts.packets[channel];
        let (first, joined) = (
            received.first().map(|received| received.number),
            self.joined.as_ref().map(of),
        );
        let start = match (self.is_from_start(), first, joined) {
            (true, ..) => 0,
            (false, Some(first), Some(joined)) => first.min(joined),
            (false, first, joined) => first.or(joined).unwrap_or(0),
        };
        let next = received.last().map_or(0, |received| received.number + 1);
        start..next.max(self.counts.as_ref().map_or(0, of)).max(start)
    }
}

/// Whether the counts are implausible.
fn is_nonsense(counts: &TracedCounts) -> bool {
    let [media, repair, control] = counts.packets;
    let all = [media, repair, control, counts.frames_sent];
    all.into_iter().any(|count| count > MAX_NUMBER)
}

/// Upper bound on datagrams of a trace: ten minutes of a fast stream, hours of
/// others.
const MAX_HEARD: usize = 4_000_000;

/// Upper bound on frames: nine hours at 30 frames per second.
pub(super) const MAX_FRAMES: usize = 1_000_000;

/// Upper bound on plausible counts. Above it, sums could overflow.
const MAX_NUMBER: u64 = 1 << 48;

/// Upper bound on an RTT in microseconds. A longer one is a clock error.
const MAX_RTT: u64 = 10_000_000;
