//! A camera's JPEG in fewer bytes: requantised, and decoded and re-encoded, beside each other:
//! `cargo bench --profile dev -p framegram-tests --bench requantise`. Takes the project's clip and,
//! where `FRAMEGRAM_FOOTAGE` names a folder, the videos in it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use bytes::Bytes;
use framegram_media::{Compressor, Decoder, HuffmanTables, Image, Planes, requantise};
use framegram_tests::concealment::{Clip, clips};
use framegram_tests::measure::{median_cost, milliseconds, print_table, timed};
use framegram_tests::program::media;
use framegram_tests::similarity::ssimulacra2;
use framegram_tests::standard_jpeg::standard_jpeg;

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
    let mut clips = clips();
    let own = PathBuf::from(media("clip.mp4"));
    if !clips.contains(&own) {
        clips.insert(0, own);
    }
    let mut rows = Vec::new();
    for clip in &clips {
        let name = clip.file_name().context("no file")?.to_string_lossy();
        let frames = frames(clip)?;
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

fn frames(clip: &Path) -> Result<Vec<Image>> {
    let mut source = Clip::open(clip, None)?;
    let mut frames = Vec::new();
    for number in 0..FRAMES * APART {
        let Some(frame) = source.picture()? else {
            break;
        };
        if number % APART == 0 {
            frames.push(frame);
        }
    }
    Ok(frames)
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

/// Mean bytes and SSIMULACRA2.
fn figures(frames: &[Image], jpegs: &[Bytes]) -> Result<(f64, f64)> {
    let (mut decoder, mut planes) = (Decoder::new()?, Planes::default());
    let (mut bytes, mut similarity) = (0.0, 0.0);
    for (frame, jpeg) in frames.iter().zip(jpegs) {
        decoder.decode_planes(jpeg, &mut planes)?;
        bytes += jpeg.len() as f64;
        similarity += ssimulacra2(frame, &planes)?;
    }
    let count = frames.len() as f64;
    Ok((bytes / count, similarity / count))
}

fn row(name: &str, frames: &[Image], camera: u8, wanted: u8) -> Result<Vec<String>> {
    let mut ways = Ways::new()?;
    let sources = frames.iter().map(|frame| standard_jpeg(frame, camera));
    let sources = sources.collect::<Result<Vec<_>>>()?;
    let requantised = sources.iter().map(|jpeg| ways.requantise(jpeg, wanted));
    let requantised = figures(frames, &requantised.collect::<Result<Vec<_>>>()?)?;
    // Re-encoded at qualities around it, for the bytes at which it looks the same.
    let (mut before, mut equal, mut reencoded) = (None::<(f64, f64)>, None, None);
    for quality in (wanted.saturating_sub(16)..=camera).step_by(4) {
        let jpegs = sources.iter().map(|jpeg| ways.reencode(jpeg, quality));
        let (bytes, looks) = figures(frames, &jpegs.collect::<Result<Vec<_>>>()?)?;
        if let Some((less, worse)) = before
            && (worse..looks).contains(&requantised.1)
        {
            let part = (requantised.1 - worse) / (looks - worse);
            equal = Some(requantised.0 / (less + part * (bytes - less)));
        }
        if quality == wanted {
            reencoded = Some((bytes, looks));
        }
        before = Some((bytes, looks));
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
        format!("{:.1}, {:.1}", reencoded.0 / 1e3, requantised.0 / 1e3),
        format!("{:.1}, {:.1}", reencoded.1, requantised.1),
        equal.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.3}")),
        format!("{}, {}", milliseconds(slow), milliseconds(fast)),
        format!("{:.2}", fast.as_secs_f64() / slow.as_secs_f64()),
    ])
}
