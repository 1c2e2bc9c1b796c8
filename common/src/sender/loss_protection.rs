//! Protects frames against loss: adds parity, and keeps frames for retransmission.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::packet::{QueuedPacket, Shards};
use super::plan::Plan;
use super::retransmit_buffer::{Asked, RetransmitBuffer, SentFrame};
use crate::chunk::ChunkedFrame;
use crate::fec::{Carry, Fec, ParityBlock, Planner, max_shards};
use crate::seq::FrameNumber;
use crate::wire::native::FrameNack;

/// Parity made in addition to what is sent at once, for answers to NACKs.
const SPARE_SHARDS: usize = 8;

/// The protection of one stream.
#[derive(Debug)]
pub(super) struct LossProtection {
    planner: Planner,
    /// Fractions of parity carried over between blocks, by destination.
    carries: Vec<Carry>,
    interval: Duration,
    /// Frames that wait for their common parity, the number of frames in the block, and when the
    /// parity is sent at the latest.
    window: Vec<Arc<ChunkedFrame>>,
    span: usize,
    closes: Duration,
    buffer: RetransmitBuffer,
    blocks: u16,
}

impl LossProtection {
    pub(super) fn new(fec: Fec, interval: Duration) -> Self {
        Self {
            planner: Planner::new(fec),
            carries: Vec::new(),
            interval,
            window: Vec::new(),
            span: 1,
            closes: Duration::ZERO,
            buffer: RetransmitBuffer::default(),
            blocks: 0,
        }
    }

    /// A protection without frames, which continues the block numbers of this one.
    pub(super) fn successor(&self, fec: Fec) -> Self {
        Self {
            blocks: self.blocks,
            ..Self::new(fec, self.interval)
        }
    }

    /// The interval of the frames.
    pub(super) fn interval(&self) -> Duration {
        self.interval
    }

    /// Sets the interval of the frames, which determines how many of them share parity.
    pub(super) fn set_interval(&mut self, interval: Duration) {
        self.interval = interval;
    }

    /// Adds a frame that is sent now `to` these destinations. Returns the parity to send with it.
    pub(super) fn protect(
        &mut self,
        frame: &Arc<ChunkedFrame>,
        plan: &Plan,
        to: &dyn Fn(usize) -> bool,
        now: Duration,
    ) -> Option<Shards> {
        if self.window.is_empty() {
            let chunks = frame.count();
            let (worst, spread) = plan.worst(to);
            self.span = self.planner.span(chunks, self.interval, spread, &worst);
            self.closes = now + self.interval * self.span as u32;
        }
        self.window.push(Arc::clone(frame));
        let is_only = self.window.len() == 1 && self.span == 1;
        let shards = if self.window.len() >= self.span {
            self.close_window(plan, to)
        } else {
            None
        };
        let own = shards.as_ref().filter(|_| is_only);
        let sent = SentFrame {
            frame: Arc::clone(frame),
            sent: now,
            spreads: (0..plan.destinations.len())
                .map(|at| plan.spread_to(at))
                .collect(),
            block: own.map(|(block, _)| Arc::clone(block)),
            shards_sent: own.map_or_else(BTreeMap::new, |(_, counts)| {
                let counts = counts.iter().enumerate();
                counts
                    .filter_map(|(to, count)| Some((to, (*count)?)))
                    .collect()
            }),
            retransmitted: BTreeMap::new(),
        };
        self.buffer.push(sent, plan.keep);
        shards
    }

    /// When the parity over the frames so far is sent, even if no more have been added.
    pub(super) fn closes(&self) -> Option<Duration> {
        (!self.window.is_empty()).then_some(self.closes)
    }

    /// The parity over the frames so far, for these destinations.
    pub(super) fn close_window(
        &mut self,
        plan: &Plan,
        to: &dyn Fn(usize) -> bool,
    ) -> Option<Shards> {
        let frames = std::mem::take(&mut self.window);
        if frames.is_empty() {
            return None;
        }
        let chunks = frames.iter().map(|frame| frame.count()).sum();
        let most = max_shards(chunks);
        let counts = self.parity(chunks, frames.len(), plan, to);
        let counts: Vec<_> = counts
            .into_iter()
            .map(|count| count.map(|count| count.min(most)))
            .collect();
        let parity = counts.iter().flatten().copied().max().unwrap_or(0);
        if parity == 0 {
            return None;
        }
        let shards = (parity + SPARE_SHARDS).next_power_of_two().min(most);
        let block = Arc::new(ParityBlock::new(self.next_block(), &frames, shards)?);
        Some((block, counts))
    }

    /// The number of parity packets for each destination over this many chunks, according to its
    /// own viewers. `None` for a closed destination.
    fn parity(
        &mut self,
        chunks: usize,
        frames: usize,
        plan: &Plan,
        to: &dyn Fn(usize) -> bool,
    ) -> Vec<Option<usize>> {
        self.planner.begin_block();
        let destinations = plan.destinations.iter().enumerate();
        let counts = destinations.map(|(at, paths)| {
            if self.carries.len() <= at {
                self.carries.resize_with(at + 1, Carry::default);
            }
            let (paths, carry) = (paths.as_ref()?, self.carries.get_mut(at)?);
            if !to(at) {
                return Some(0);
            }
            let spread = plan.spread_to(at);
            let planner = &mut self.planner;
            Some(planner.parity(chunks, frames, paths, spread, carry))
        });
        counts.collect()
    }

    /// Forgets retransmissions to a destination and its carried-over parity: it has a new viewer.
    pub(super) fn forget(&mut self, destination: usize) {
        self.buffer.forget(destination);
        if let Some(carry) = self.carries.get_mut(destination) {
            *carry = Carry::default();
        }
    }

    /// The packets that answer the NACK of one frame.
    pub(super) fn answer(
        &mut self,
        number: FrameNumber,
        nack: &FrameNack,
        asked: Asked,
    ) -> Vec<QueuedPacket> {
        let blocks = &mut self.blocks;
        self.buffer.answer(number, nack, asked, || {
            *blocks = blocks.wrapping_add(1);
            *blocks
        })
    }

    fn next_block(&mut self) -> u16 {
        self.blocks = self.blocks.wrapping_add(1);
        self.blocks
    }
}
