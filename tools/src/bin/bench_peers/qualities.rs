//! The qualities at which framegram's JPEGs compare with those of GStreamer.

use anyhow::{Context, Result};
use framegram_common::wire::Format;
use framegram_media::{Image, Subsampling};
use framegram_tests::encoding::{Worth, encode, encode_standard};

use crate::clips::{Clip, Coding, Equal, QUALITY, decoded};

/// Frames that are compared, and how many lie between two of them.
const FRAMES: usize = 3;
const APART: usize = 10;

/// The qualities among which is searched.
const LEAST: u8 = 40;
const MOST: u8 = 95;

/// How much lower the score of SSIMULACRA2 may be.
const TOLERANCE: f64 = 0.5;

/// Clips with framegram's quality. One that is encoded is there twice, for both qualities.
pub(crate) fn compared(clips: Vec<Clip>) -> Result<Vec<Clip>> {
    let mut all = Vec::new();
    for clip in clips {
        if clip.coding == Coding::MotionJpeg {
            all.push(clip);
            continue;
        }
        let qualities = Qualities::of(&clip)?;
        let both = [
            (Equal::Bytes, qualities.bytes),
            (Equal::Similarity, qualities.similarity),
        ];
        all.extend(both.map(|(equal, quality)| Clip {
            equal,
            quality,
            ..clip.clone()
        }));
    }
    Ok(all)
}

/// framegram's quality for GStreamer's quality 80.
struct Qualities {
    /// For JPEGs that are as similar to the original, within [`TOLERANCE`].
    similarity: u8,
    /// For JPEGs that are as large.
    bytes: u8,
}

impl Qualities {
    /// Compares JPEGs of the first frames of a clip.
    fn of(clip: &Clip) -> Result<Self> {
        let full = frames(clip, "-pix_fmt yuvj420p -f rawvideo")?;
        // GStreamer encodes samples of limited range as they are, which takes fewer bytes. What it
        // makes of them counts as if its viewer expanded them.
        let limited = frames(clip, "-pix_fmt yuv420p -f rawvideo")?;
        let theirs = Worth::of_limited(&full, &encode_standard(&limited, QUALITY)?)?;
        let (score, size) = (theirs.ssimulacra2, theirs.bytes);
        let worth = |quality| Worth::of(&full, &encode(&full, quality, Format::Native)?);
        let (similarity, own) = least(score - TOLERANCE, |it| Ok(worth(it)?.ssimulacra2))?;
        let (bytes, own_size) = closest(size, |quality| Ok(worth(quality)?.bytes))?;
        eprintln!(
            "{}: SSIMULACRA2 {own:.1} at quality {similarity} and {:.1} KB at {bytes}, \
             beside {score:.1} and {:.1} KB of GStreamer",
            clip.name,
            own_size / 1e3,
            size / 1e3,
        );
        Ok(Self { similarity, bytes })
    }
}

/// Some of the first frames.
fn frames(clip: &Clip, format: &str) -> Result<Vec<Image>> {
    let bytes = decoded(clip, (FRAMES - 1) * APART + 1, format)?;
    let (width, height) = clip.size;
    let pictures = bytes.chunks_exact(clip.raw_bytes()).step_by(APART);
    pictures
        .map(|planes| {
            let image = Image::yuv(width, height, Subsampling::Yuv420, planes.to_vec().into());
            image.context("the clip's size")
        })
        .collect()
}

/// The lowest quality whose figure, which grows with it, is at least `wanted`, and the figure.
fn least(wanted: f64, figure: impl Fn(u8) -> Result<f64>) -> Result<(u8, f64)> {
    let (mut low, mut high) = (LEAST, MOST);
    while low < high {
        let middle = low.midpoint(high);
        if figure(middle)? < wanted {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok((low, figure(low)?))
}

/// The quality whose figure is closest to `wanted`, and the figure.
fn closest(wanted: f64, figure: impl Fn(u8) -> Result<f64>) -> Result<(u8, f64)> {
    let (above, figure_above) = least(wanted, &figure)?;
    let figure_below = figure(above - 1)?;
    Ok(if figure_above - wanted <= wanted - figure_below {
        (above, figure_above)
    } else {
        (above - 1, figure_below)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closest_quality_is_found_between_the_bounds() {
        let figure = |quality| Ok(f64::from(quality) * 2.0);
        let closest = |wanted| closest(wanted, figure).ok();
        assert_eq!(closest(150.9), Some((75, 150.0)));
        assert_eq!(closest(151.1), Some((76, 152.0)));
        assert_eq!(closest(0.0), Some((LEAST - 1, 78.0)));
        assert_eq!(closest(1_000.0), Some((MOST, 190.0)));
        let least = |wanted| least(wanted, figure).ok();
        assert_eq!(least(151.1), Some((76, 152.0)));
        assert_eq!(least(150.9), Some((76, 152.0)));
    }
}
