//! Encodes the chunks of a block as Reed-Solomon parity.

use std::sync::{Arc, OnceLock};

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

/// One or more consecutive frames with parity over all their chunks. The parity is computed when
/// the first packet of it is due, so the chunks do not wait for it.
#[derive(Debug)]
pub struct ParityBlock {
    number: u16,
    frames: Vec<Arc<ChunkedFrame>>,
    shards: usize,
    size: usize,
    parity: OnceLock<Vec<u8>>,
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
        ReedSolomonEncoder::supports(chunks, shards).then_some(())?;
        Some(Self {
            number,
            frames: frames.to_vec(),
            shards,
            size,
            parity: OnceLock::new(),
        })
    }

    /// All shards, one after another; `None` if the code is not one that was checked.
    fn encode(&self) -> Option<Vec<u8>> {
        let chunks = self.frames.iter().map(|frame| frame.count()).sum();
        let mut encoder = ReedSolomonEncoder::new(chunks, self.shards, self.size).ok()?;
        let mut original = Vec::with_capacity(self.size);
        for frame in &self.frames {
            for index in 0..frame.count() {
                original.clear();
                frame.chunk(index).encode_original(&mut original);
                original.resize(self.size, 0);
                encoder.add_original_shard(&original).ok()?;
            }
        }
        let mut parity = Vec::with_capacity(self.shards * self.size);
        for shard in encoder.encode().ok()?.recovery_iter() {
            parity.extend_from_slice(shard);
        }
        Some(parity)
    }

    /// Number of parity shards.
    #[must_use]
    pub fn shards(&self) -> usize {
        self.shards
    }

    /// Returns the packet with the parity shard at `index`, below
    /// [`ParityBlock::shards`].
    ///
    /// # Panics
    /// If there is no such shard.
    #[must_use]
    pub fn packet(&self, index: usize) -> Parity<'_> {
        let parity = self.parity.get_or_init(|| {
            let parity = self.encode();
            parity.expect("a new block is one that the code supports")
        });
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
            shard: &parity[index * self.size..][..self.size],
        }
    }

    /// Length of the body of each parity packet, in bytes.
    #[must_use]
    pub fn packet_len(&self) -> usize {
        PARITY_BODY + 2 * self.frames.len() + self.size
    }
}
