//! The cost of parity relative to encoding the JPEG that it protects, in processor time of the same
//! run.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use framegram_common::chunk::ChunkedFrame;
use framegram_common::fec::{Chunks, ParityBlock, Rebuilder};
use framegram_common::wire::DEFAULT_DATAGRAM;
use framegram_common::{Frame, FrameNumber};
use framegram_send::encode::{Encoder, Settings};
use framegram_send::source::{Content, Pattern};
use framegram_tests::measure::{median_cost, milliseconds, print_table, timed};

/// Frames of about 150 and about 200 chunks.
const SIZES: [(usize, usize); 2] = [(1600, 900), (1920, 1080)];

/// Parity for one fifth of the chunks.
const SHARE: f64 = 0.2;

/// How often each piece of work is measured.
const TURNS: usize = 60;

fn main() -> Result<()> {
    let mut rows = Vec::new();
    for (width, height) in SIZES {
        rows.push(measure(width, height)?);
    }
    println!("## Parity of 20 %, beside the frame's JPEG encoding (median processor time)\n");
    print_table(
        &[
            "picture",
            "chunks",
            "JPEG encoding",
            "parity made",
            "worst repair",
            "nothing missing",
        ],
        &rows,
    );
    Ok(())
}

fn measure(width: usize, height: usize) -> Result<Vec<String>> {
    let mut encoder = Encoder::new(Settings::default())?;
    let pattern = Pattern::new(width, height, 30.0)?;
    let (mut encodings, mut makings, mut repairs, mut idle) = (vec![], vec![], vec![], vec![]);
    let mut count = 0;
    // One of each kind, as a viewer has one for the complete stream.
    let mut rebuilders = [Rebuilder::default(), Rebuilder::default()];
    for turn in 0..TURNS {
        let content = Content::Image(pattern.picture(turn as u64)?);
        let (encoded, cost) = timed(|| encoder.encode(&content));
        encodings.push(cost);
        let number = FrameNumber(turn as u64);
        let frame = Frame {
            number,
            jpeg: encoded?.jpeg,
            captured: Duration::ZERO,
        };
        let frame = Arc::new(ChunkedFrame::new(frame, DEFAULT_DATAGRAM, 0, vec![])?);
        count = frame.count();
        let parity = (count as f64 * SHARE) as usize;
        // More shards are made than are sent at once, for answers to NACKs.
        let shards = (parity + 8).next_power_of_two();
        let (block, cost) = timed(|| ParityBlock::new(turn as u16, &[Arc::clone(&frame)], shards));
        makings.push(cost);
        let block = block.context("a block of one frame")?;
        // The worst case: as much is missing as parity can restore.
        let kinds = [(parity, &mut repairs), (0, &mut idle)];
        for ((missing, costs), rebuilder) in kinds.into_iter().zip(&mut rebuilders) {
            let there = Arrived {
                frame: &frame,
                missing,
            };
            for index in 0..parity {
                ensure!(
                    rebuilder.add(number, &block.packet(index)),
                    "parity agrees with itself"
                );
            }
            let (rebuilt, cost) = timed(|| rebuilder.rebuild(number, &there));
            costs.push(cost);
            ensure!(
                rebuilt.map_or(0, |bodies| bodies.len()) == missing,
                "all is rebuilt"
            );
        }
    }
    let encoding = median_cost(&encodings).processor;
    let beside = |costs: &[_]| {
        let cost = median_cost(costs).processor;
        let share = cost.as_secs_f64() * 100.0 / encoding.as_secs_f64();
        format!("{} ms, {share:.1} %", milliseconds(cost))
    };
    Ok(vec![
        format!("{width}x{height}"),
        count.to_string(),
        format!("{} ms", milliseconds(encoding)),
        beside(&makings),
        beside(&repairs),
        beside(&idle),
    ])
}

/// A frame whose first chunks are missing.
struct Arrived<'a> {
    frame: &'a ChunkedFrame,
    missing: usize,
}

impl Chunks for Arrived<'_> {
    fn missing(&self, _: FrameNumber, _: u16) -> Option<usize> {
        Some(self.missing)
    }

    fn original(&self, _: FrameNumber, index: u16, out: &mut Vec<u8>) -> bool {
        let there = usize::from(index) >= self.missing;
        if there {
            self.frame.chunk(index.into()).encode_original(out);
        }
        there
    }
}
