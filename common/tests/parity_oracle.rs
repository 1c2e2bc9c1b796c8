//! Parity against a slow, simple oracle, which only counts: a block can be completed when at least
//! as many of its packets have arrived as it has chunks, and the completed chunks may help
//! overlapping blocks.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use framegram_common::chunk::ChunkedFrame;
use framegram_common::fec::{Chunks, ParityBlock, Rebuilder};
use framegram_common::frame::Frame;
use framegram_common::receiver::{self, Output, Receiver, SinkOutcome};
use framegram_common::seq::{FrameNumber, PacketNumber};
use framegram_common::wire::native::{Chunk, Header, Packet, SenderReport};

/// Number of seeds per comparison.
const SEEDS: u64 = 4000;

/// Frames, blocks over them, and the packets that arrive, in order.
struct Case {
    frames: Vec<Arc<ChunkedFrame>>,
    jpegs: Vec<Bytes>,
    /// Each with the index of its first frame and the number of frames it spans.
    blocks: Vec<(ParityBlock, usize, usize)>,
    arrivals: Vec<Arrival>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Arrival {
    /// Frame and chunk.
    Chunk(usize, usize),
    /// ParityBlock and shard.
    Parity(usize, usize),
}

impl Case {
    fn new(seed: u64) -> Self {
        let rng = &mut Rng::with_seed(seed);
        let datagram = rng.usize(640..1_453);
        let most = [2_000, 8_000, 40_000][rng.usize(..3)];
        let jpegs: Vec<_> = (0..rng.usize(1..10))
            .map(|_| {
                let mut jpeg = vec![0; rng.usize(1..most)];
                rng.fill(&mut jpeg);
                Bytes::from(jpeg)
            })
            .collect();
        let frames: Vec<_> = (0..)
            .zip(&jpegs)
            .map(|(number, jpeg)| {
                let frame = Frame {
                    number: FrameNumber(number),
                    jpeg: jpeg.clone(),
                    captured: Duration::from_micros(number),
                };
                Arc::new(ChunkedFrame::new(frame, datagram, 0, Vec::new()).unwrap())
            })
            .collect();
        let blocks: Vec<_> = (0..rng.u16(..12))
            .map(|number| {
                let first = rng.usize(..frames.len());
                let span = rng.usize(1..=(frames.len() - first).min(5));
                let shards = rng.usize(1..=20);
                let block = ParityBlock::new(number, &frames[first..first + span], shards);
                (block.unwrap(), first, span)
            })
            .collect();
        let loss = rng.f64() * 0.6;
        let chunks = frames.iter().enumerate().flat_map(|(frame, chunked)| {
            (0..chunked.count()).map(move |at| Arrival::Chunk(frame, at))
        });
        let parity = blocks.iter().enumerate().flat_map(|(block, (code, ..))| {
            (0..code.shards()).map(move |at| Arrival::Parity(block, at))
        });
        let mut arrivals: Vec<_> = chunks.chain(parity).filter(|_| rng.f64() >= loss).collect();
        // Some arrive twice, and most are reordered.
        let again: Vec<_> = arrivals
            .iter()
            .filter(|_| rng.u8(..8) == 0)
            .copied()
            .collect();
        arrivals.extend(again);
        if rng.u8(..4) > 0 {
            rng.shuffle(&mut arrivals);
        }
        Self {
            frames,
            jpegs,
            blocks,
            arrivals,
        }
    }

    /// The frames that can be completed, according to the oracle.
    fn complete(&self) -> BTreeSet<usize> {
        let there: BTreeSet<_> = self.arrivals.iter().copied().collect();
        let mut have: Vec<usize> = vec![0; self.frames.len()];
        let mut parity: Vec<usize> = vec![0; self.blocks.len()];
        for arrival in there {
            match arrival {
                Arrival::Chunk(frame, _) => have[frame] += 1,
                Arrival::Parity(block, _) => parity[block] += 1,
            }
        }
        loop {
            let before = have.clone();
            for ((_, first, span), parity) in self.blocks.iter().zip(&parity) {
                let frames = *first..first + span;
                let chunks: usize = frames.clone().map(|frame| self.frames[frame].count()).sum();
                let there: usize = frames.clone().map(|frame| have[frame]).sum();
                if there + parity >= chunks {
                    frames.for_each(|frame| have[frame] = self.frames[frame].count());
                }
            }
            if have == before {
                let complete = |frame: &usize| have[*frame] == self.frames[*frame].count();
                return (0..self.frames.len()).filter(complete).collect();
            }
        }
    }
}

/// The received chunks, as parity protects them.
#[derive(Default)]
struct Store {
    bodies: BTreeMap<(u64, u16), Vec<u8>>,
}

impl Chunks for Store {
    fn missing(&self, frame: FrameNumber, count: u16) -> Option<usize> {
        let there = self
            .bodies
            .range((frame.0, 0)..=(frame.0, u16::MAX))
            .count();
        Some(usize::from(count) - there)
    }

    fn original(&self, frame: FrameNumber, index: u16, out: &mut Vec<u8>) -> bool {
        let body = self.bodies.get(&(frame.0, index));
        out.extend_from_slice(body.map_or(&[][..], Vec::as_slice));
        body.is_some()
    }
}

#[test]
fn the_rebuilder_completes_exactly_the_frames_that_an_oracle_counts() {
    for seed in 0..SEEDS {
        let case = Case::new(seed);
        let mut store = Store::default();
        let mut rebuilder = Rebuilder::default();
        for arrival in &case.arrivals {
            match *arrival {
                Arrival::Chunk(frame, index) => {
                    let mut body = Vec::new();
                    case.frames[frame].chunk(index).encode_original(&mut body);
                    store.bodies.insert((frame as u64, index as u16), body);
                }
                Arrival::Parity(block, shard) => {
                    let (block, first, _) = &case.blocks[block];
                    let first = FrameNumber(*first as u64);
                    assert!(rebuilder.add(first, &block.packet(shard)), "seed {seed}");
                }
            }
            // Repeated as long as it achieves anything, since blocks overlap.
            let frames = || (0..case.frames.len() as u64).map(FrameNumber);
            while let Some(bodies) = frames().find_map(|frame| rebuilder.rebuild(frame, &store)) {
                for one in bodies {
                    let size = Some(case.frames[one.frame.0 as usize].size());
                    let place = (one.frame.seq(), one.index, one.count);
                    let chunk = Chunk::decode_original(place, size, &one.original).unwrap();
                    let mut body = Vec::new();
                    chunk.encode_original(&mut body);
                    store.bodies.insert((one.frame.0, one.index), body);
                }
            }
        }
        let complete: BTreeSet<_> = (0..case.frames.len())
            .filter(|frame| {
                let count = case.frames[*frame].count();
                store.missing(FrameNumber(*frame as u64), count as u16) == Some(0)
            })
            .collect();
        assert_eq!(complete, case.complete(), "seed {seed}");
        for ((frame, index), body) in &store.bodies {
            let mut sent = Vec::new();
            let chunk = case.frames[*frame as usize].chunk((*index).into());
            chunk.encode_original(&mut sent);
            assert_eq!(*body, sent, "seed {seed}: frame {frame}, chunk {index}");
        }
    }
}

#[test]
fn the_receiver_shows_exactly_the_frames_that_an_oracle_counts() {
    for seed in 0..SEEDS {
        let case = Case::new(seed);
        let now = Duration::from_secs(100);
        let config = receiver::Config {
            strict: true,
            ..receiver::Config::default()
        };
        let mut receiver = Receiver::new(config, 1, (1, 2), now);
        let mut numbers = [0; 3];
        let mut take = |receiver: &mut Receiver, packet: &Packet<'_>| {
            let number = &mut numbers[packet.channel() as usize];
            let header = Header {
                stream: 7,
                destination: 0,
                channel: packet.channel(),
                number: PacketNumber(*number),
                sent: now.as_micros() as u64,
            };
            *number += 1;
            let mut datagram = Vec::new();
            packet.encode(&header, &mut datagram);
            receiver.handle_datagram(SocketAddr::from(([192, 0, 2, 1], 4)), &datagram, now);
        };
        let totals = SenderReport {
            frames_sent: case.frames.len() as u64,
            control: 1,
            started: now.as_micros() as u64,
            kept: 60_000,
            ..SenderReport::default()
        };
        take(&mut receiver, &Packet::SenderReport(totals));
        for arrival in &case.arrivals {
            let packet = match *arrival {
                Arrival::Chunk(frame, index) => Packet::Chunk(case.frames[frame].chunk(index)),
                Arrival::Parity(block, shard) => Packet::Parity(case.blocks[block].0.packet(shard)),
            };
            take(&mut receiver, &packet);
        }
        receiver.handle_timeout(now + Duration::from_secs(1));
        let mut shown = BTreeSet::new();
        while let Output::Frame(frame) = receiver.poll_output(now) {
            let number = frame.id.number.0 as usize;
            assert_eq!(
                frame.jpeg, case.jpegs[number],
                "seed {seed}: frame {number}"
            );
            shown.insert(number);
            receiver.handle_outcome(frame.id, SinkOutcome::Shown { at: now });
        }
        assert_eq!(shown, case.complete(), "seed {seed}");
        let statistics = receiver.statistics();
        assert_eq!(statistics.frames.intact, Some(shown.len() as u64));
        assert_eq!(statistics.packets.malformed, Some(0), "seed {seed}");
    }
}
