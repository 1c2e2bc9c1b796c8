//! Chunks and parity in any order, genuine or forged.

use std::collections::BTreeMap;

use super::input::Input;
use crate::fec::{Chunks, Rebuilder};
use crate::seq::{FrameNumber, FrameSeq};
use crate::wire::native::Parity;

/// The most chunks of a frame.
const MAX_COUNT: usize = 12;

#[derive(Default)]
struct Store(BTreeMap<(u64, u16), Vec<u8>>);

impl Chunks for Store {
    fn missing(&self, frame: FrameNumber, count: u16) -> Option<usize> {
        let there = self.0.range((frame.0, 0)..(frame.0, count)).count();
        // The chunks that are present decide whether a frame is known to have another number of
        // chunks.
        let beyond = self.0.range((frame.0, count)..=(frame.0, u16::MAX));
        (beyond.count() == 0).then_some(usize::from(count) - there)
    }

    fn original(&self, frame: FrameNumber, index: u16, out: &mut Vec<u8>) -> bool {
        let body = self.0.get(&(frame.0, index));
        out.extend_from_slice(body.map_or(&[][..], Vec::as_slice));
        body.is_some()
    }
}

pub(super) fn run(bytes: &[u8]) {
    let mut input = Input(bytes);
    let mut store = Store::default();
    let mut rebuilder = Rebuilder::default();
    while !input.is_empty() {
        let frame = FrameNumber(input.below(10) as u64);
        match input.u8() % 4 {
            0 => {
                let len = usize::from(input.u8());
                let index = input.below(MAX_COUNT) as u16;
                store.0.insert((frame.0, index), input.bytes(len).to_vec());
            }
            1 | 2 => {
                let counts = (0..=input.below(4)).map(|_| input.below(MAX_COUNT) as u16 + 1);
                let counts = counts.collect();
                let shards = input.u16().max(1);
                let size = 18 + 2 * input.below(40);
                let mut shard = input.bytes(size).to_vec();
                shard.resize(size, 0);
                let parity = Parity {
                    block: input.u8().into(),
                    first: FrameSeq::new(frame.0 as u32),
                    counts,
                    shards,
                    index: u16::from(input.u8()) % shards,
                    shard: &shard,
                };
                rebuilder.add(frame, &parity);
            }
            _ if input.u8() == 0 => rebuilder.forget_before(frame),
            _ => {}
        }
        let _ = rebuilder.short_of(frame, &store);
        while let Some(bodies) = rebuilder.rebuild(frame, &store) {
            assert!(!bodies.is_empty(), "work for nothing");
            for one in bodies {
                let before = store.0.insert((one.frame.0, one.index), one.original);
                assert_eq!(before, None, "rebuilt what was there");
            }
        }
    }
}
