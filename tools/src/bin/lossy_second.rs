//! Draws the README's picture of a lossy second. Each column is a moment. The upper row shows what
//! was sent, the middle row a viewer that shows complete frames only, and the lower row what slices
//! show of the same packets. Nothing is repaired. `lossy_second FILE.jpg`

use std::io::BufWriter;
use std::path::PathBuf;

use anyhow::{Context, Result};
use framegram_media::XrgbImage;
use framegram_tests::concealment::watch;
use framegram_tests::program::media;
use image::codecs::jpeg::JpegEncoder;
use image::imageops::{FilterType, replace, resize};
use image::{Rgb, RgbImage};

/// The share of lost datagrams.
const LOSS: f64 = 0.2;

const SEED: u64 = 5;

/// The clip has thirty frames per second. These frames of its second second are drawn.
const MOMENTS: [usize; 4] = [37, 44, 51, 58];

/// Each picture's size, and the gap between two.
const SIZE: (u32, u32) = (320, 180);
const GAP: u32 = 4;

/// Quality of the JPEG.
const QUALITY: u8 = 80;

fn main() -> Result<()> {
    let file = std::env::args()
        .nth(1)
        .context("usage: lossy_second FILE.jpg")?;
    let (columns, rows) = (MOMENTS.len() as u32, 3);
    let (width, height) = (SIZE.0 + GAP, SIZE.1 + GAP);
    let paper = Rgb([255, 255, 255]);
    let mut sheet = RgbImage::from_pixel(columns * width - GAP, rows * height - GAP, paper);
    let clip = PathBuf::from(media("clip.mp4"));
    let frames = MOMENTS.iter().max().map_or(0, |last| last + 1);
    let quality = watch(&clip, frames, LOSS, SEED, &mut |number, moment| {
        let Some(column) = MOMENTS.iter().position(|at| *at == number) else {
            return;
        };
        for (row, picture) in [moment.sent, moment.frozen, moment.filled]
            .into_iter()
            .enumerate()
        {
            let small = resize(&rgb(picture), SIZE.0, SIZE.1, FilterType::Triangle);
            let (x, y) = (column as u32 * width, row as u32 * height);
            replace(&mut sheet, &small, x.into(), y.into());
        }
    })?;
    println!(
        "{:.0} % of the frames complete, {:.1} % of the picture fresh; likeness in dB: \
         as sent {:.1}, filled {:.1}, frozen {:.1}",
        quality.complete * 100.0,
        quality.fresh * 100.0,
        quality.sent,
        quality.filled,
        quality.frozen
    );
    let out = std::fs::File::create(&file).with_context(|| format!("cannot write {file}"))?;
    JpegEncoder::new_with_quality(BufWriter::new(out), QUALITY)
        .encode_image(&sheet)
        .with_context(|| format!("cannot write {file}"))
}

fn rgb(picture: &XrgbImage) -> RgbImage {
    RgbImage::from_fn(picture.width as u32, picture.height as u32, |x, y| {
        let [blue, green, red, _] =
            picture.pixels[y as usize * picture.width + x as usize].to_le_bytes();
        Rgb([red, green, blue])
    })
}
