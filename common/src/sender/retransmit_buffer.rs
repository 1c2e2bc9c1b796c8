//! Keeps recent frames for retransmission.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::packet::{QueuedPacket, To};
use crate::chunk::ChunkedFrame;
use crate::fec::{MAX_EXTRA, ParityBlock};
use crate::seq::FrameNumber;
use crate::wire::native::FrameNack;

/// Upper bound on the bytes of kept frames.
const MAX_KEPT_BYTES: usize = 64 << 20;

/// Upper bound on kept frames, however small they are and however long a viewer claims to wait.
const MAX_KEPT_FRAMES: usize = 1024;

/// Upper bound on retransmissions of a chunk.
const MAX_RETRANSMISSIONS: u8 = 4;

/// Upper bound on packets in answer to one NACK.
const MAX_ANSWER: usize = 1024;

/// A NACK that arrives less than this percentage of an RTT after a packet was sent is not about
/// that transmission. RTTs vary, so there is a margin.
const SOONEST: u32 = 75;

/// Parity that is made for a frame when the first NACK requests extra packets.
const SHARDS_ON_DEMAND: usize = 32;

/// The frames that may still be requested.
#[derive(Debug, Default)]
pub(super) struct RetransmitBuffer {
    frames: VecDeque<SentFrame>,
    bytes: usize,
}

/// A frame, and when and how it was sent.
#[derive(Debug)]
pub(super) struct SentFrame {
    pub(super) frame: Arc<ChunkedFrame>,
    pub(super) sent: Duration,
    /// Time from the first packet to the last, by destination.
    pub(super) spreads: Vec<Duration>,
    /// Parity over this frame only, and the first unsent shard for each destination that got any.
    pub(super) block: Option<Arc<ParityBlock>>,
    pub(super) shards_sent: BTreeMap<usize, usize>,
    /// How often each chunk was retransmitted to each destination, and when it last was.
    pub(super) retransmitted: BTreeMap<(usize, u16), (u8, Duration)>,
}

/// What an answer depends on, besides the NACK.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) destination: usize,
    pub(super) now: Duration,
    /// The shortest time in which a loss can be detected and requested.
    pub(super) rtt: Duration,
    /// How long the requesting viewer waits for a frame.
    pub(super) playout_delay: Duration,
    /// The first chunk that waits to be sent, by frame and index.
    pub(super) unsent: Option<(FrameNumber, usize)>,
}

impl RetransmitBuffer {
    /// Keeps a frame that is being sent, and drops those older than `keep`.
    pub(super) fn push(&mut self, frame: SentFrame, keep: Duration) {
        let now = frame.sent;
        self.bytes += frame.frame.len();
        self.frames.push_back(frame);
        while let Some(oldest) = self.frames.front() {
            let old = now.saturating_sub(oldest.sent) > keep + oldest.longest_spread();
            if !old && self.bytes <= MAX_KEPT_BYTES && self.frames.len() <= MAX_KEPT_FRAMES {
                return;
            }
            self.bytes -= oldest.frame.len();
            self.frames.pop_front();
        }
    }

    /// Forgets retransmissions to a destination: it has a new viewer.
    pub(super) fn forget(&mut self, destination: usize) {
        for kept in &mut self.frames {
            kept.shards_sent.remove(&destination);
            kept.retransmitted.retain(|(to, _), _| *to != destination);
        }
    }

    /// The packets that answer the NACK of one frame. `block_number` provides the numbers of
    /// blocks.
    pub(super) fn answer(
        &mut self,
        number: FrameNumber,
        want: &FrameNack,
        asked: Asked,
        block_number: impl FnOnce() -> u16,
    ) -> Vec<QueuedPacket> {
        let at = self
            .frames
            .iter()
            .position(|kept| kept.frame.number() == number);
        let Some(kept) = at.and_then(|at| self.frames.get_mut(at)) else {
            return Vec::new();
        };
        kept.answer(want, asked, block_number)
    }
}

impl SentFrame {
    fn answer(
        &mut self,
        want: &FrameNack,
        asked: Asked,
        block_number: impl FnOnce() -> u16,
    ) -> Vec<QueuedPacket> {
        // It would arrive too late.
        if asked.now.saturating_sub(self.sent)
            > asked.playout_delay + self.spread(asked.destination)
        {
            return Vec::new();
        }
        let count = self.frame.count();
        let all = [(0, count.min(usize::from(u16::MAX)) as u16)];
        let gaps: &[(u16, u16)] = if want.gaps.is_empty() {
            &all
        } else {
            &want.gaps
        };
        let named = gaps.iter().flat_map(|(first, many)| {
            let first = usize::from(*first);
            first..(first + usize::from(*many)).min(count)
        });
        let mut packets = Vec::new();
        for index in named.take(MAX_ANSWER) {
            let before = self.retransmitted.get(&(asked.destination, index as u16));
            let (times, last) = before
                .copied()
                .unwrap_or((0, self.sent_at(index, asked.destination)));
            // It was sent too recently to be missed, or not at all yet.
            let sent = asked
                .unsent
                .is_none_or(|unsent| (self.frame.number(), index) < unsent);
            let since = asked.now.saturating_sub(last);
            if !sent || times >= MAX_RETRANSMISSIONS || since < asked.rtt * SOONEST / 100 {
                continue;
            }
            self.retransmitted
                .insert((asked.destination, index as u16), (times + 1, asked.now));
            packets.push(QueuedPacket::retransmission(
                &self.frame,
                index,
                asked.destination,
            ));
        }
        let extra = if packets.is_empty() {
            0
        } else {
            usize::from(want.extra).min(MAX_EXTRA)
        };
        packets.extend(self.extra(extra, asked.destination, block_number));
        packets
    }

    /// Up to `extra` parity packets that were not sent before.
    fn extra(
        &mut self,
        extra: usize,
        to: usize,
        block_number: impl FnOnce() -> u16,
    ) -> Vec<QueuedPacket> {
        if extra > 0 && self.block.is_none() {
            let block =
                ParityBlock::new(block_number(), &[Arc::clone(&self.frame)], SHARDS_ON_DEMAND);
            self.block = block.map(Arc::new);
        }
        let Some(block) = &self.block else {
            return Vec::new();
        };
        let sent = self.shards_sent.entry(to).or_default();
        let shards = *sent..block.shards().min(*sent + extra);
        *sent = shards.end.max(*sent);
        shards
            .map(|index| QueuedPacket::parity(block, index, To::One(to)))
            .collect()
    }

    fn sent_at(&self, index: usize, destination: usize) -> Duration {
        let spread = self.spread(destination);
        self.sent + spread.mul_f64(index as f64 / self.frame.count() as f64)
    }

    fn spread(&self, destination: usize) -> Duration {
        let spread = self.spreads.get(destination).copied();
        spread.unwrap_or_else(|| self.longest_spread())
    }

    fn longest_spread(&self) -> Duration {
        self.spreads.iter().copied().max().unwrap_or_default()
    }
}
