//! The benefit of restart slices when chunks are lost, and their cost: `cargo bench --bench slices
//! [clip ...]`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use bytes::Bytes;
use fastrand::Rng;
use framegram_common::jpeg::{self, JpegHeader};
use framegram_common::slices;
use framegram_common::wire::DEFAULT_DATAGRAM;
use framegram_media::{Decoder, Reduction, XrgbImage};
use framegram_send::encode::{Encoder, Settings};
use framegram_send::source::Content;
use framegram_tests::concealment::{self, Clip, lose, measure};
use framegram_tests::measure::{Cost, median_cost, milliseconds, print_table, timed};

/// Frames of each clip whose quality is measured.
const FRAMES: usize = 300;

/// Probabilities that a chunk is lost.
const LOSSES: [f64; 3] = [0.01, 0.05, 0.10];

const SEED: u64 = 1;

/// Frames whose cost is measured, and those before them that are not.
const COSTED: usize = 80;
const WARM_UP: usize = 10;

const SIZES: [(usize, usize); 2] = [(640, 360), (1920, 1080)];

fn main() -> Result<()> {
    let named = std::env::args_os().skip(1).map(PathBuf::from);
    let mut clips: Vec<_> = named.filter(|path| path.is_file()).collect();
    if clips.is_empty() {
        clips = concealment::clips();
    }
    worth(&clips)?;
    cost(&clips[0])
}

fn worth(clips: &[PathBuf]) -> Result<()> {
    println!("## Slices where chunks are lost and nothing repairs them\n");
    println!("Quality 80, up to {FRAMES} frames, seed {SEED}; PSNR against the original.\n");
    let mut rows = Vec::new();
    let cases = clips
        .iter()
        .flat_map(|clip| [(clip, None), (clip, Some(SIZES[1]))]);
    for (clip, size) in cases {
        let mut name = clip
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if let Some((width, height)) = size {
            name += &format!(", {width}x{height}");
        }
        for (loss, quality) in LOSSES
            .iter()
            .zip(measure(clip, size, FRAMES, &LOSSES, SEED)?)
        {
            rows.push(vec![
                name.clone(),
                format!("{:.0} %", loss * 100.0),
                format!("{:.0} %", quality.complete * 100.0),
                format!("{:.1} %", quality.fresh * 100.0),
                format!("{:.1} dB", quality.sent),
                format!("{:.1} dB", quality.filled),
                format!("{:.1} dB", quality.frozen),
            ]);
        }
    }
    print_table(
        &[
            "clip",
            "loss",
            "frames complete",
            "picture fresh",
            "as sent",
            "slices, holes filled",
            "last complete frame",
        ],
        &rows,
    );
    Ok(())
}

/// The cost of a frame without and with slices.
#[derive(Default)]
struct Costs {
    bytes: [usize; 2],
    encode: [Vec<Cost>; 2],
    decode: [Vec<Cost>; 2],
    find: Vec<Cost>,
    splice: Vec<Cost>,
    fill: Vec<Cost>,
}

fn cost(clip: &Path) -> Result<()> {
    println!("## What slices cost\n");
    println!("Quality 80; medians of processor time in milliseconds over {COSTED} frames.\n");
    let mut rows = Vec::new();
    for size in SIZES {
        let costs = costs(clip, size)?;
        let both = |of: &[Vec<Cost>; 2]| {
            let [without, with] =
                [&of[0], &of[1]].map(|costs| milliseconds(median_cost(costs).processor));
            format!("{without} / {with}")
        };
        let one = |of: &[Cost]| milliseconds(median_cost(of).processor);
        let [without, with] = costs.bytes.map(|bytes| bytes / COSTED);
        rows.push(vec![
            format!("{}x{}", size.0, size.1),
            format!(
                "{without} / {with} (+{:.1} %)",
                100.0 * (with as f64 / without as f64 - 1.0)
            ),
            both(&costs.encode),
            both(&costs.decode),
            one(&costs.find),
            one(&costs.splice),
            one(&costs.fill),
        ]);
    }
    print_table(
        &[
            "size",
            "bytes without / with",
            "encode without / with",
            "decode without / with",
            "find slices",
            "splice at 5 % loss",
            "fill",
        ],
        &rows,
    );
    Ok(())
}

fn costs(clip: &Path, size: (usize, usize)) -> Result<Costs> {
    let mut clip = Clip::open(clip, Some(size))?;
    let without = Settings::default();
    let with = Settings {
        slices: Some(DEFAULT_DATAGRAM),
        ..without
    };
    let mut encoders = [Encoder::new(without)?, Encoder::new(with)?];
    let mut decoder = Decoder::new()?;
    let mut picture = XrgbImage::default();
    let mut rng = Rng::with_seed(SEED);
    let mut last = Bytes::new();
    let mut costs = Costs::default();
    for index in 0..WARM_UP + COSTED {
        let content = Content::Image(clip.picture()?.context("the clip is too short")?);
        let counts = index >= WARM_UP;
        for (which, encoder) in encoders.iter_mut().enumerate() {
            let (encoded, encode) = timed(|| encoder.encode(&content));
            let jpeg = encoded?.jpeg;
            let (decoded, decode) = timed(|| decoder.decode(&jpeg, Reduction::None, &mut picture));
            decoded?;
            if counts {
                costs.bytes[which] += jpeg.len();
                costs.encode[which].push(encode);
                costs.decode[which].push(decode);
            }
            if which == 0 {
                continue;
            }
            let (found, find) = timed(|| -> Result<_> {
                let header = JpegHeader::parse(&jpeg)?;
                Ok((jpeg::tables(&jpeg)?, jpeg::slice_starts(&jpeg, header.len)))
            });
            found?;
            let lossy = lose(&jpeg, 0.05, &mut rng)?;
            if let Some(lossy) = lossy.filter(|_| counts) {
                let (spliced, splice) = timed(|| lossy.splice());
                let spliced = spliced.context("nothing arrived")?;
                let (_, fill) = timed(|| slices::fill(&spliced.jpeg, &spliced.stale, &last));
                costs.find.push(find);
                costs.splice.push(splice);
                costs.fill.push(fill);
            }
            last = jpeg;
        }
    }
    Ok(costs)
}
