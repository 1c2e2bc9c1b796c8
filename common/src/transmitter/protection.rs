//! What a frame gets against loss: parity, time between its packets, and a
//! place among those that can be sent again.

use std::sync::Arc;
use std::time::Duration;

use super::Config;
use super::kept::{Asked, Kept, KeptFrame};
use super::schedule::Item;
use crate::chunk::ChunkedFrame;
use crate::repair::{Block, ParityPlan, Path, max_shards};
use crate::seq::FrameNumber;
use crate::wire::native::Want;

/// Parity beyond what is sent at once, for answers to requests.
const SPARE_SHARDS: usize = 8;

/// The protection of one stream.
#[derive(Debug)]
pub(super) struct Protection {
    plan: ParityPlan,
    pace: bool,
    path: Path,
    interval: Duration,
    /// Frames that wait for the parity over all of them, how many it will be,
    /// and when it is sent at the latest.
    window: Vec<Arc<ChunkedFrame>>,
    span: usize,
    closes: Duration,
    kept: Kept,
    blocks: u32,
}

/// What is sent of a block: so many of its shards.
pub(super) type Shards = (Arc<Block>, usize);

impl Protection {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            plan: ParityPlan::new(config.fec),
            pace: config.pace,
            // Frames are kept from the first one on, before any report.
            path: Path {
                requests: config.retransmit,
                ..Path::default()
            },
            interval: config.interval.unwrap_or_default(),
            window: Vec::new(),
            span: 1,
            closes: Duration::ZERO,
            kept: Kept::default(),
            blocks: 0,
        }
    }

    /// Takes what is known of the worst path.
    pub(super) fn set_path(&mut self, path: Path) {
        self.path = path;
    }

    /// How long a frame's packets are spread over.
    pub(super) fn spread(&self) -> Duration {
        if self.pace {
            self.path.spread(self.interval)
        } else {
            Duration::ZERO
        }
    }

    /// How long frames are kept: for the budget, no longer.
    pub(super) fn keeps(&self) -> Duration {
        if self.path.requests {
            self.path.budget
        } else {
            Duration::ZERO
        }
    }

    /// Takes a frame that is sent now, and gives the parity to send with it.
    pub(super) fn protect(&mut self, frame: &Arc<ChunkedFrame>, now: Duration) -> Option<Shards> {
        let chunks = frame.count();
        if self.window.is_empty() {
            self.span = self.plan.span(chunks, self.interval, &self.path);
            self.closes = now + self.interval * self.span as u32;
        }
        self.window.push(Arc::clone(frame));
        let alone = self.window.len() == 1 && self.span == 1;
        let shards = if self.window.len() >= self.span {
            self.close_window()
        } else {
            None
        };
        let own = shards.as_ref().filter(|_| alone);
        let kept = KeptFrame {
            frame: Arc::clone(frame),
            sent: now,
            spread: self.spread(),
            block: own.map(|(block, _)| Arc::clone(block)),
            shards_sent: own.map_or(0, |(_, count)| *count),
            again: std::collections::BTreeMap::new(),
        };
        self.kept.push(kept, self.keeps());
        shards
    }

    /// When the parity over the frames so far is sent, whether or not others
    /// have come.
    pub(super) fn closes(&self) -> Option<Duration> {
        (!self.window.is_empty()).then_some(self.closes)
    }

    /// The parity over the frames so far.
    pub(super) fn close_window(&mut self) -> Option<Shards> {
        let frames = std::mem::take(&mut self.window);
        let chunks = frames.iter().map(|frame| frame.count()).sum();
        let most = max_shards(chunks);
        let parity = self
            .plan
            .parity(chunks, frames.len(), &self.path, self.spread())
            .min(most);
        if parity == 0 {
            return None;
        }
        let shards = (parity + SPARE_SHARDS).next_power_of_two().min(most);
        let block = Arc::new(Block::new(self.next_block(), &frames, shards)?);
        Some((block, parity))
    }

    /// The packets that answer a request for one frame.
    pub(super) fn answer(&mut self, number: FrameNumber, want: &Want, asked: Asked) -> Vec<Item> {
        let blocks = &mut self.blocks;
        self.kept.answer(number, want, asked, || {
            *blocks = blocks.wrapping_add(1);
            *blocks
        })
    }

    fn next_block(&mut self) -> u32 {
        self.blocks = self.blocks.wrapping_add(1);
        self.blocks
    }
}
