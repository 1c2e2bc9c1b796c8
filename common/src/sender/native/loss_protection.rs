//! What a frame gets against loss: parity, time between its packets, and a
//! place among those that can be sent again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::pacer::{Item, Shards};
use super::paths::Paths;
use super::retransmit_buffer::{Asked, RetransmitBuffer, SentFrame};
use crate::chunk::ChunkedFrame;
use crate::fec::{Carry, ParityBlock, PathEstimate, Planner, max_shards};
use crate::sender::Config;
use crate::seq::FrameNumber;
use crate::wire::native::FrameNack;

/// Parity beyond what is sent at once, for answers to requests.
const SPARE_SHARDS: usize = 8;

/// The protection of one stream.
#[derive(Debug)]
pub(super) struct LossProtection {
    plan: Planner,
    /// Parity owed to each destination.
    owed: Vec<Carry>,
    pace: bool,
    requests: bool,
    paths: Paths,
    interval: Duration,
    /// Frames that wait for the parity over all of them, how many it will be,
    /// and when it is sent at the latest.
    window: Vec<Arc<ChunkedFrame>>,
    span: usize,
    closes: Duration,
    kept: RetransmitBuffer,
    blocks: u32,
}

impl LossProtection {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            plan: Planner::new(config.fec),
            owed: Vec::new(),
            pace: config.pace,
            requests: config.retransmit,
            // Frames are kept from the first one on, before any report.
            paths: Paths::new(Vec::new(), presumed(config.retransmit)),
            interval: config.interval.unwrap_or_default(),
            window: Vec::new(),
            span: 1,
            closes: Duration::ZERO,
            kept: RetransmitBuffer::default(),
            blocks: 0,
        }
    }

    /// Takes what is known of the ways to all viewers, by destination.
    pub(super) fn set_paths(&mut self, destinations: Vec<Option<Vec<PathEstimate>>>) {
        self.paths = Paths::new(destinations, presumed(self.requests));
    }

    /// Whether there is more than one viewer, or destination.
    pub(super) fn is_shared(&self) -> bool {
        self.paths.is_shared()
    }

    /// How long a frame's packets are spread over.
    pub(super) fn spread(&self) -> Duration {
        if self.pace {
            self.paths.spread(self.interval)
        } else {
            Duration::ZERO
        }
    }

    /// How long frames are kept: for the longest budget, no longer.
    pub(super) fn keeps(&self) -> Duration {
        if self.requests {
            self.paths.keep()
        } else {
            Duration::ZERO
        }
    }

    /// Takes a frame that is sent now, and gives the parity to send with it.
    pub(super) fn protect(&mut self, frame: &Arc<ChunkedFrame>, now: Duration) -> Option<Shards> {
        let chunks = frame.count();
        if self.window.is_empty() {
            let (spread, worst) = (self.paths.spread(self.interval), self.paths.worst());
            self.span = self.plan.span(chunks, self.interval, spread, &worst);
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
        let kept = SentFrame {
            frame: Arc::clone(frame),
            sent: now,
            spread: self.spread(),
            block: own.map(|(block, _)| Arc::clone(block)),
            shards_sent: own.map_or_else(BTreeMap::new, |(_, counts)| {
                let counts = counts.iter().enumerate();
                counts
                    .filter_map(|(to, count)| Some((to, (*count)?)))
                    .collect()
            }),
            again: BTreeMap::new(),
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
        let counts = self.parity(chunks, frames.len());
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

    /// How many packets of parity each destination gets over so many chunks:
    /// what its own viewers need. None for one that is closed.
    fn parity(&mut self, chunks: usize, frames: usize) -> Vec<Option<usize>> {
        let spread = self.spread();
        self.plan.begin_block();
        let destinations = self.paths.destinations().enumerate();
        let counts = destinations.map(|(at, paths)| {
            if self.owed.len() <= at {
                self.owed.resize_with(at + 1, Carry::default);
            }
            let paths = paths?;
            let owed = self.owed.get_mut(at)?;
            Some(self.plan.parity(chunks, frames, paths, spread, owed))
        });
        counts.collect()
    }

    /// Forgets what was sent again to a destination, and what it is owed:
    /// somebody else is there.
    pub(super) fn forget(&mut self, destination: usize) {
        self.kept.forget(destination);
        if let Some(owed) = self.owed.get_mut(destination) {
            *owed = Carry::default();
        }
    }

    /// The packets that answer a request for one frame.
    pub(super) fn answer(
        &mut self,
        number: FrameNumber,
        want: &FrameNack,
        asked: Asked,
    ) -> Vec<Item> {
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

/// The way to somebody who has not spoken.
fn presumed(requests: bool) -> PathEstimate {
    PathEstimate {
        requests,
        ..PathEstimate::default()
    }
}
