//! The code over the chunks of a block: which bytes, and their parity.

use std::sync::Arc;

use reed_solomon_simd::ReedSolomonEncoder;

use crate::chunk::ChunkedFrame;
use crate::wire::native::{CHUNK_BODY, MAX_CHUNKS, Parity};

/// The most shards that a code over this many chunks is made with: twice what the
/// worst path asks for, and so few that what a code takes to compute is of the
/// order of what it protects, whatever a parity packet claims.
#[must_use]
pub fn max_shards(chunks: usize) -> usize {
    (4 * chunks + 64).min(MAX_CHUNKS)
}

/// One or more frames in a row with parity over all their chunks.
#[derive(Debug)]
pub struct ParityBlock {
    number: u32,
    frames: Vec<Arc<ChunkedFrame>>,
    shards: usize,
    size: usize,
    parity: Vec<u8>,
}

impl ParityBlock {
    /// Makes `shards` parity shards over the frames, which follow each other.
    /// `None` where there is nothing to protect, or more than a block takes.
    #[must_use]
    pub fn new(number: u32, frames: &[Arc<ChunkedFrame>], shards: usize) -> Option<Self> {
        let size = frames
            .iter()
            .map(|frame| CHUNK_BODY + frame.size())
            .max()?
            .next_multiple_of(2);
        let chunks = frames.iter().map(|frame| frame.count()).sum::<usize>();
        if chunks > MAX_CHUNKS || shards == 0 || shards > max_shards(chunks) {
            return None;
        }
        let mut encoder = ReedSolomonEncoder::new(chunks, shards, size).ok()?;
        let mut body = Vec::with_capacity(size);
        for frame in frames {
            for index in 0..frame.count() {
                body.clear();
                frame.chunk(index).encode(&mut body);
                body.resize(size, 0);
                encoder.add_original_shard(&body).ok()?;
            }
        }
        let mut parity = Vec::with_capacity(shards * size);
        for shard in encoder.encode().ok()?.recovery_iter() {
            parity.extend_from_slice(shard);
        }
        Some(Self {
            number,
            frames: frames.to_vec(),
            shards,
            size,
            parity,
        })
    }

    /// How many parity shards there are.
    #[must_use]
    pub fn shards(&self) -> usize {
        self.shards
    }

    /// The packet with the parity shard at `index`, below [`ParityBlock::shards`].
    #[must_use]
    pub fn packet(&self, index: usize) -> Parity<'_> {
        Parity {
            block: self.number,
            first: self.frames[0].number().seq(),
            counts: self
                .frames
                .iter()
                .map(|frame| frame.count() as u16)
                .collect(),
            shards: self.shards as u16,
            index: index as u16,
            shard: &self.parity[index * self.size..][..self.size],
        }
    }

    /// Bytes of such a packet's body.
    #[must_use]
    pub fn packet_len(&self) -> usize {
        crate::wire::native::PARITY_BODY + 2 * self.frames.len() + self.size
    }
}
