//! What the encoder's tables are worth beside those of T.81, annex K:
//! `cargo bench --profile dev -p framegram-tests --bench encoder`. Takes the
//! project's clip and, where `FRAMEGRAM_FOOTAGE` names a folder, the videos in it.

use anyhow::{Context, Result};
use bytes::Bytes;
use framegram_common::wire::Format;
use framegram_media::Image;
use framegram_send::encode::Encoder;
use framegram_send::source::Content;
use framegram_tests::encoding::{Worth, encode, encode_standard, footage, frames, settings};
use framegram_tests::measure::{Cost, median_cost, milliseconds, print_table, timed};
use framegram_tests::standard_jpeg::standard_jpeg;

/// Frames of each clip, and how many lie between two of them.
const FRAMES: usize = 6;
const APART: usize = 14;

/// The quality where none is asked for.
const QUALITY: u8 = 80;

const QUALITIES: [u8; 4] = [20, 50, 80, 92];

/// Encodings whose time is measured.
const TIMED: usize = 40;

fn main() -> Result<()> {
    let mut clips = Vec::new();
    for clip in footage() {
        let name = clip.file_name().context("no file")?.to_string_lossy();
        clips.push((name.into_owned(), frames(&clip, FRAMES, APART)?));
    }
    println!("## Bytes of the encoder at quality {QUALITY}\n");
    each_clip(&clips)?;
    println!("## Bytes of the encoder at other qualities\n");
    each_quality(&clips)
}

fn each_clip(clips: &[(String, Vec<Image>)]) -> Result<()> {
    let mut rows = Vec::new();
    for (name, frames) in clips {
        let before = Worth::of(frames, &encode_standard(frames, QUALITY)?)?;
        let now = Worth::of(frames, &encode(frames, QUALITY, Format::Native)?)?;
        let rtp = Worth::of(frames, &encode(frames, QUALITY, Format::Rtp)?)?;
        let (own, other) = times(&frames[0])?;
        rows.push(vec![
            name.clone(),
            format!("{:.1}", before.bytes / 1e3),
            format!("{:.3}", now.bytes / before.bytes),
            format!("{:.3}", rtp.bytes / before.bytes),
            format!("{:.1}, {:.1}", before.ssimulacra2, now.ssimulacra2),
            format!("{:.1}, {:.1}", before.psnr, now.psnr),
            format!(
                "{}, {}",
                milliseconds(other.processor),
                milliseconds(own.processor)
            ),
        ]);
    }
    let head = [
        "clip",
        "KB with standard tables",
        "ratio",
        "ratio for RTP",
        "SSIMULACRA2",
        "PSNR of luma, dB",
        "ms",
    ];
    print_table(&head, &rows);
    Ok(())
}

fn each_quality(clips: &[(String, Vec<Image>)]) -> Result<()> {
    let mut rows = Vec::new();
    for quality in QUALITIES {
        let mut cells = vec![quality.to_string()];
        let mut means = [0.0; 4];
        let mut worst = f64::INFINITY;
        for (_, frames) in clips {
            let before = Worth::of(frames, &encode_standard(frames, quality)?)?;
            let now = Worth::of(frames, &encode(frames, quality, Format::Native)?)?;
            let rtp = encode(frames, quality, Format::Rtp)?;
            let rtp: usize = rtp.iter().map(Bytes::len).sum();
            let better = now.ssimulacra2 - before.ssimulacra2;
            worst = better.min(worst);
            let ratio_rtp = rtp as f64 / frames.len() as f64 / before.bytes;
            let figures = [
                now.bytes / before.bytes,
                ratio_rtp,
                better,
                now.psnr - before.psnr,
            ];
            for (mean, figure) in means.iter_mut().zip(figures) {
                *mean += figure / clips.len() as f64;
            }
        }
        let [ratio, rtp, better, psnr] = means;
        cells.push(format!("{ratio:.3}"));
        cells.push(format!("{rtp:.3}"));
        cells.push(format!("{better:+.2} ({worst:+.2})"));
        cells.push(format!("{psnr:+.2}"));
        rows.push(cells);
    }
    let head = [
        "quality",
        "ratio",
        "ratio for RTP",
        "SSIMULACRA2 (the worst clip)",
        "PSNR of luma, dB",
    ];
    print_table(&head, &rows);
    Ok(())
}

/// The time of one frame: this encoder's and TurboJPEG's.
fn times(frame: &Image) -> Result<(Cost, Cost)> {
    let mut encoder = Encoder::new(settings(QUALITY, Format::Native))?;
    let content = Content::Image(frame.clone());
    let (mut own, mut other) = (Vec::new(), Vec::new());
    for _ in 0..TIMED {
        let (encoded, cost) = timed(|| encoder.encode(&content));
        encoded?;
        own.push(cost);
        let (encoded, cost) = timed(|| standard_jpeg(frame, QUALITY));
        encoded?;
        other.push(cost);
    }
    Ok((median_cost(&own), median_cost(&other)))
}
