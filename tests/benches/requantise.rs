//! A camera's JPEG in fewer bytes: requantised, and decoded and re-encoded, beside each other:
//! `cargo bench --profile dev -p framegram-tests --bench requantise`. Takes the project's clip and,
//! where `FRAMEGRAM_FOOTAGE` names a folder, the videos in it.

use anyhow::{Context, Result};
use bytes::Bytes;
use framegram_media::{Compressor, Decoder, HuffmanTables, Image, requantise};
use framegram_tests::encoding::{Worth, encode_standard, footage, frames};
use framegram_tests::measure::{median_cost, milliseconds, print_table, timed};

/// Frames of each clip, and how many lie between two of them.
const FRAMES: usize = 4;
const APART: usize = 20;

/// Qualities of the camera, and the lower one that is wanted.
const CASES: [(u8, u8); 4] = [(90, 80), (95, 80), (95, 70), (95, 50)];

/// Minimum coded units from restart to restart.
const INTERVAL: u16 = 12;

/// Runs whose time is measured.
const TIMED: usize = 30;

fn main() -> Result<()> {
    let mut rows = Vec::new();
    for clip in footage() {
        let name = clip.file_name().context("no file")?.to_string_lossy();
        let frames = frames(&clip, FRAMES, APART)?;
        for (camera, wanted) in CASES {
            rows.push(row(&name, &frames, camera, wanted)?);
        }
    }
    let head = [
        "clip",
        "from, to quality",
        "KB of the camera",
        "KB re-encoded, requantised",
        "SSIMULACRA2",
        "bytes at equal SSIMULACRA2",
        "ms",
        "ratio of time",
    ];
    print_table(&head, &rows);
    Ok(())
}

/// Both ways to a smaller JPEG.
struct Ways {
    decoder: Decoder,
    compressor: Compressor,
    huffman: HuffmanTables,
}

impl Ways {
    fn new() -> Result<Self> {
        let mut compressor = Compressor::new()?;
        compressor.set_restart_interval(INTERVAL);
        Ok(Self {
            decoder: Decoder::new()?,
            compressor,
            huffman: HuffmanTables::default(),
        })
    }

    fn reencode(&mut self, jpeg: &[u8], quality: u8) -> Result<Bytes> {
        let image = self.decoder.decode_image(jpeg)?;
        Ok(self.compressor.compress(&image, quality)?)
    }

    fn requantise(&self, jpeg: &[u8], quality: u8) -> Result<Bytes> {
        let smaller = requantise(jpeg, quality, &self.huffman, INTERVAL);
        Ok(smaller.context("a baseline JPEG")?.into())
    }
}

fn row(name: &str, frames: &[Image], camera: u8, wanted: u8) -> Result<Vec<String>> {
    let mut ways = Ways::new()?;
    let sources = encode_standard(frames, camera)?;
    let requantised = sources.iter().map(|jpeg| ways.requantise(jpeg, wanted));
    let requantised = Worth::of(frames, &requantised.collect::<Result<Vec<_>>>()?)?;
    // Re-encoded at qualities around it, for the bytes at which it looks the same.
    let (mut before, mut equal, mut reencoded) = (None::<Worth>, None, None);
    for quality in (wanted.saturating_sub(16)..=camera).step_by(4) {
        let jpegs = sources.iter().map(|jpeg| ways.reencode(jpeg, quality));
        let worth = Worth::of(frames, &jpegs.collect::<Result<Vec<_>>>()?)?;
        if let Some(less) = before
            && (less.ssimulacra2..worth.ssimulacra2).contains(&requantised.ssimulacra2)
        {
            let span = worth.ssimulacra2 - less.ssimulacra2;
            let part = (requantised.ssimulacra2 - less.ssimulacra2) / span;
            equal = Some(requantised.bytes / (less.bytes + part * (worth.bytes - less.bytes)));
        }
        if quality == wanted {
            reencoded = Some(worth);
        }
        before = Some(worth);
    }
    let reencoded = reencoded.context("the wanted quality is among them")?;
    let source = sources.first().context("a frame")?;
    let (mut slow, mut fast) = (Vec::new(), Vec::new());
    for _ in 0..TIMED {
        let (made, cost) = timed(|| ways.reencode(source, wanted));
        made?;
        slow.push(cost);
        let (made, cost) = timed(|| ways.requantise(source, wanted));
        made?;
        fast.push(cost);
    }
    let [slow, fast] = [slow, fast].map(|costs| median_cost(&costs).processor);
    let kilobytes: usize = sources.iter().map(Bytes::len).sum();
    Ok(vec![
        name.to_owned(),
        format!("{camera}, {wanted}"),
        format!("{:.1}", kilobytes as f64 / frames.len() as f64 / 1e3),
        format!(
            "{:.1}, {:.1}",
            reencoded.bytes / 1e3,
            requantised.bytes / 1e3
        ),
        format!(
            "{:.1}, {:.1}",
            reencoded.ssimulacra2, requantised.ssimulacra2
        ),
        equal.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.3}")),
        format!("{}, {}", milliseconds(slow), milliseconds(fast)),
        format!("{:.2}", fast.as_secs_f64() / slow.as_secs_f64()),
    ])
}
