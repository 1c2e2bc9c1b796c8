//! Encodes the chunks of a block as Reed-Solomon parity.

use std::sync::Arc;

use reed_solomon_simd::ReedSolomonEncoder;

use crate::chunk::ChunkedFrame;
use crate::wire::native::{MAX_CHUNKS, PARITY_BODY, Parity, SHARD_BODY};

/// Largest number of parity shards of a code over `chunks` chunks: twice what the
/// worst path needs. Whatever a parity packet claims, the bound keeps the cost of
/// decoding proportional to the data protected.
#[must_use]
pub fn max_shards(chunks: usize) -> usize {
    (4 * chunks + 64).min(MAX_CHUNKS)
}

/// One or more consecutive frames with parity over all their chunks.
#[derive(Debug)]
pub struct ParityBlock {
    number: u16,
    frames: Vec<Arc<ChunkedFrame>>,
    shards: usize,
    size: usize,
    parity: Vec<u8>,
}

impl ParityBlock {
    /// Makes `shards` parity shards over consecutive frames. Returns `None` if
    /// there is nothing to protect or a limit of the code is exceeded.
    #[must_use]
    pub fn new(number: u16, frames: &[Arc<ChunkedFrame>], shards: usize) -> Option<Self> {
        let size = frames
            .iter()
            .map(|frame| SHARD_BODY + frame.size())
            .max()?
            .next_multiple_of(2);
        let chunks = frames.iter().map(|frame| frame.count()).sum::<usize>();
        if chunks > MAX_CHUNKS || shards == 0 || shards > max_shards(chunks) {
            return None;
        }
        let mut encoder = ReedSolomonEncoder::new(chunks, shards, size).ok()?;
        let mut original = Vec::with_capacity(size);
        for frame in frames {
            for index in 0..frame.count() {
                original.clear();
                frame.chunk(index).encode_original(&mut original);
                original.resize(size, 0);
                encoder.add_original_shard(&original).ok()?;
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

    /// Number of parity shards.
    #[must_use]
    pub fn shards(&self) -> usize {
        self.shards
    }

    /// Returns the packet with the parity shard at `index`, below
    /// [`ParityBlock::shards`].
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

    /// Length of the body of each parity packet, in bytes.
    #[must_use]
    pub fn packet_len(&self) -> usize {
        PARITY_BODY + 2 * self.frames.len() + self.size
    }
}
