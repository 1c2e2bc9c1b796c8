//! Encodes the chunks of a block as Reed-Solomon parity.

use std::sync::{Arc, OnceLock};

use reed_solomon_simd::ReedSolomonEncoder;

use crate::chunk::ChunkedFrame;
use crate::wire::native::{MAX_CHUNKS, PARITY_BODY, Parity, SHARD_BODY};

/// Largest number of parity shards of a code over `chunks` chunks: twice what the
/// worst path needs. Whatever a parity packet claims, the bound keeps the cost of
/// decoding proportional to the data protected.
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
    pub fn shards(&self) -> usize {
        self.shards
    }

    /// Returns the packet with the parity shard at `index`, below
    /// [`ParityBlock::shards`].
    ///
    /// # Panics
    /// If there is no such shard.
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
    pub fn packet_len(&self) -> usize {
        PARITY_BODY + 2 * self.frames.len() + self.size
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;

    use super::*;
    use crate::fec::{Chunks, Rebuilder};
    use crate::frame::Frame;
    use crate::seq::FrameNumber;
    use crate::wire::MIN_DATAGRAM;

    fn frame(number: u64, len: usize) -> Arc<ChunkedFrame> {
        let frame = Frame {
            number: FrameNumber(number),
            jpeg: Bytes::from_iter((0..len).map(|at| (at * 7) as u8)),
            captured: Duration::ZERO,
        };
        Arc::new(ChunkedFrame::new(frame, MIN_DATAGRAM, 0, Vec::new()).unwrap())
    }

    /// Frames of which some first chunks are missing.
    struct Arrived<'a> {
        frames: &'a [Arc<ChunkedFrame>],
        missing: u16,
    }

    impl Chunks for Arrived<'_> {
        fn missing(&self, frame: FrameNumber, count: u16) -> Option<usize> {
            let is_first = frame == self.frames[0].number();
            Some(usize::from(if is_first {
                self.missing.min(count)
            } else {
                0
            }))
        }

        fn original(&self, frame: FrameNumber, index: u16, out: &mut Vec<u8>) -> bool {
            let of = self.frames.iter().find(|it| it.number() == frame).unwrap();
            let is_there = of.number() != self.frames[0].number() || index >= self.missing;
            if is_there {
                of.chunk(index.into()).encode_original(out);
            }
            is_there
        }
    }

    #[test]
    fn shards_are_bounded_by_the_chunks() {
        assert_eq!([0, 1, 100].map(max_shards), [64, 68, 464]);
        assert_eq!(max_shards(MAX_CHUNKS), MAX_CHUNKS);
        let one = [frame(3, 1)];
        let is_made = |frames: &[_], shards| ParityBlock::new(1, frames, shards).is_some();
        assert!(is_made(&one, 1) && is_made(&one, 68));
        assert!(!is_made(&one, 0) && !is_made(&one, 69) && !is_made(&[], 1));
        let long = frame(3, 100_000);
        let most = MAX_CHUNKS / long.count();
        let mut frames = vec![Arc::clone(&long); most];
        frames.extend((long.count() * most..MAX_CHUNKS).map(|_| frame(4, 1)));
        assert!(is_made(&frames, 1));
        frames.push(frame(4, 1));
        assert!(!is_made(&frames, 1));
    }

    #[test]
    fn a_packet_is_as_long_as_was_planned_and_any_shards_rebuild_as_many_chunks() {
        let frames = [frame(3, 5_000), frame(4, 999), frame(5, 1)];
        let block = ParityBlock::new(7, &frames, 5).unwrap();
        assert_eq!(block.shards(), 5);
        let mut rebuilder = Rebuilder::default();
        for index in [4, 0, 2] {
            let packet = block.packet(index);
            assert_eq!((packet.block, packet.shards), (7, 5));
            assert_eq!(
                (packet.index, packet.first),
                (index as u16, frames[0].number().seq())
            );
            let counts = frames.each_ref().map(|frame| frame.count() as u16);
            assert_eq!(packet.counts, counts);
            let size = SHARD_BODY + frames[0].size();
            assert!(packet.shard.len().is_multiple_of(2));
            assert!((size..size + 2).contains(&packet.shard.len()));
            let body = PARITY_BODY + 2 * counts.len() + packet.shard.len();
            assert_eq!(block.packet_len(), body);
            assert!(rebuilder.add(FrameNumber(3), &packet));
        }
        let arrived = Arrived {
            frames: &frames,
            missing: 3,
        };
        let rebuilt = rebuilder.rebuild(FrameNumber(3), &arrived).unwrap();
        assert_eq!(rebuilt.len(), 3);
        for one in rebuilt {
            let mut original = Vec::new();
            frames[0]
                .chunk(one.index.into())
                .encode_original(&mut original);
            assert!(one.original.starts_with(&original));
        }
    }
}
