//! Rebuilds missing chunks from parity.

use std::collections::BTreeMap;

use reed_solomon_simd::Error;
use reed_solomon_simd::rate::RateDecoder;

use super::code::max_shards;
use super::decoder::{Code, ParityDecoder};
use crate::seq::FrameNumber;
use crate::wire::native::{MAX_BLOCK_FRAMES, Parity};

/// Upper bound on blocks whose parity is kept: more than any playout delay spans.
const MAX_BLOCKS: usize = 64;

/// Upper bound on the bytes of parity kept.
const MAX_PARITY_BYTES: usize = 32 << 20;

/// Upper bound on attempts to rebuild one frame. Valid parity needs one,
/// overlapping blocks two. Forged parity must not cause unlimited work.
const MAX_REBUILDS: u8 = 4;

/// Upper bound on frames whose rebuild attempts are remembered.
const MAX_REMEMBERED: usize = MAX_BLOCKS * MAX_BLOCK_FRAMES;

/// Parity of blocks whose frames may still be completed.
#[derive(Debug, Default)]
pub struct Rebuilder {
    /// By first frame and number.
    blocks: BTreeMap<(FrameNumber, u16), Pending>,
    bytes: usize,
    /// Rebuild attempts by frame.
    rebuilt: BTreeMap<FrameNumber, u8>,
    decoder: ParityDecoder,
}

#[derive(Debug)]
struct Pending {
    first: FrameNumber,
    counts: Vec<u16>,
    shards: usize,
    size: usize,
    parity: BTreeMap<u16, Vec<u8>>,
}

/// The received chunks, as the rebuilder needs them.
pub trait Chunks {
    /// Number of missing chunks of a frame with `count` chunks; `None` if the
    /// frame is known to have a different number.
    fn missing(&self, frame: FrameNumber, count: u16) -> Option<usize>;

    /// Appends what parity protects of a chunk, if the chunk arrived and is still held.
    fn original(&self, frame: FrameNumber, index: u16, out: &mut Vec<u8>) -> bool;
}

/// A chunk that was rebuilt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rebuilt {
    /// Its frame.
    pub frame: FrameNumber,
    /// Its index in the frame.
    pub index: u16,
    /// How many chunks the frame has.
    pub count: u16,
    /// What parity protects of it, with padding.
    pub original: Vec<u8>,
}

impl Rebuilder {
    /// Keeps a parity packet of the block that begins with `first`. Returns false
    /// if it contradicts earlier packets of its block or has more shards than the
    /// code allows.
    pub fn add(&mut self, first: FrameNumber, parity: &Parity<'_>) -> bool {
        if usize::from(parity.shards) > max_shards(parity.chunks()) {
            return false;
        }
        let block = self
            .blocks
            .entry((first, parity.block))
            .or_insert_with(|| Pending {
                first,
                counts: parity.counts.clone(),
                shards: usize::from(parity.shards),
                size: parity.shard.len(),
                parity: BTreeMap::new(),
            });
        let agrees = block.counts == parity.counts
            && block.shards == usize::from(parity.shards)
            && block.size == parity.shard.len();
        if !agrees {
            return false;
        }
        // A block never needs more parity than it has chunks.
        if block.parity.len() >= parity.chunks() {
            return true;
        }
        if block
            .parity
            .insert(parity.index, parity.shard.to_vec())
            .is_none()
        {
            self.bytes += parity.shard.len();
        }
        while self.blocks.len() > MAX_BLOCKS || self.bytes > MAX_PARITY_BYTES {
            if !self.forget_oldest() {
                break;
            }
        }
        true
    }

    /// Bytes of parity kept.
    pub fn held_bytes(&self) -> usize {
        self.bytes
    }

    /// Drops the parity of the oldest block. Returns false if there is none.
    pub fn forget_oldest(&mut self) -> bool {
        let Some((_, oldest)) = self.blocks.pop_first() else {
            return false;
        };
        self.bytes -= oldest.bytes();
        true
    }

    /// Whether any parity is kept.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Number of further packets that complete the frame, by the block that needs
    /// the fewest; `None` if no parity covers the frame.
    pub fn short_of(&self, frame: FrameNumber, chunks: &impl Chunks) -> Option<usize> {
        let covering = self.blocks.values().filter(|block| block.covers(frame));
        let short =
            |block: &Pending| Some(block.missing(chunks)?.saturating_sub(block.parity.len()));
        covering.filter_map(short).min()
    }

    /// Rebuilds the missing chunks of one block that covers the frame, in the order of the code, if
    /// enough of the block arrived. Drops blocks that are of no more use.
    pub fn rebuild(&mut self, frame: FrameNumber, chunks: &impl Chunks) -> Option<Vec<Rebuilt>> {
        let covering = self.blocks.iter().filter(|(_, block)| block.covers(frame));
        let ready = covering.filter_map(|(number, block)| {
            let useless = match block.missing(chunks) {
                None | Some(0) => true,
                Some(missing) if missing <= block.parity.len() => false,
                Some(_) => return None,
            };
            Some((*number, useless))
        });
        for (number, useless) in ready.collect::<Vec<_>>() {
            let Some(block) = self.blocks.remove(&number) else {
                continue;
            };
            self.bytes -= block.bytes();
            if !useless
                && self.record_rebuild(&block, chunks)
                && let Some(rebuilt) = block.decode(&mut self.decoder, chunks)
            {
                return Some(rebuilt);
            }
        }
        None
    }

    /// Drops blocks that cover only frames before `frame`.
    pub fn forget_before(&mut self, frame: FrameNumber) {
        while let Some(oldest) = self.rebuilt.first_entry()
            && *oldest.key() < frame
        {
            oldest.remove();
        }
        let bytes = &mut self.bytes;
        self.blocks.retain(|_, block| {
            let keep = block.first.0 + block.counts.len() as u64 > frame.0;
            *bytes -= if keep { 0 } else { block.bytes() };
            keep
        });
    }

    /// Records an attempt to rebuild the incomplete frames of a block. Returns
    /// false if one of them has used up its attempts.
    fn record_rebuild(&mut self, block: &Pending, chunks: &impl Chunks) -> bool {
        let incomplete = |(frame, count): &_| chunks.missing(*frame, *count) != Some(0);
        for (frame, _) in block.frames().filter(incomplete) {
            let times = self.rebuilt.entry(frame).or_insert(0);
            if *times >= MAX_REBUILDS {
                return false;
            }
            *times += 1;
        }
        while self.rebuilt.len() > MAX_REMEMBERED {
            self.rebuilt.pop_first();
        }
        true
    }
}

impl Pending {
    fn covers(&self, frame: FrameNumber) -> bool {
        (self.first.0..self.first.0 + self.counts.len() as u64).contains(&frame.0)
    }

    fn frames(&self) -> impl Iterator<Item = (FrameNumber, u16)> {
        (self.first.0..)
            .map(FrameNumber)
            .zip(self.counts.iter().copied())
    }

    fn missing(&self, chunks: &impl Chunks) -> Option<usize> {
        self.frames()
            .map(|(frame, count)| chunks.missing(frame, count))
            .sum()
    }

    fn bytes(&self) -> usize {
        self.parity.len() * self.size
    }

    /// The block's chunks in the order of the code, as frame, index and count.
    fn places(&self) -> impl Iterator<Item = (FrameNumber, u16, u16)> {
        self.frames()
            .flat_map(|(frame, count)| (0..count).map(move |index| (frame, index, count)))
    }

    fn decode(&self, decoder: &mut ParityDecoder, chunks: &impl Chunks) -> Option<Vec<Rebuilt>> {
        let code = (self.places().count(), self.shards, self.size);
        let fill = |code: &mut Code| self.fill(code, chunks);
        let restored = decoder.decode(code, fill, |restored| {
            let places = self.places().enumerate();
            let rebuilt = places.filter_map(|(at, (frame, index, count))| {
                Some(Rebuilt {
                    frame,
                    index,
                    count,
                    original: restored(at)?,
                })
            });
            rebuilt.collect()
        });
        restored.ok()
    }

    /// Adds the chunks and the parity that arrived to the code.
    fn fill(&self, code: &mut Code, chunks: &impl Chunks) -> Result<(), Error> {
        let mut original = Vec::with_capacity(self.size);
        for (at, (frame, index, _)) in self.places().enumerate() {
            original.clear();
            if chunks.original(frame, index, &mut original) {
                // A chunk longer than the code's size makes decoding fail.
                original.resize(self.size.max(original.len()), 0);
                code.add_original_shard(at, &original)?;
            }
        }
        for (index, shard) in &self.parity {
            code.add_recovery_shard(usize::from(*index), shard)?;
        }
        Ok(())
    }
}
