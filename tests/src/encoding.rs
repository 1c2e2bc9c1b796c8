//! JPEGs of a clip's frames with the encoder's own tables and with those of T.81, annex K, and what
//! they are worth.

use std::path::{Path, PathBuf};

use anyhow::Result;
use bytes::Bytes;
use framegram_common::wire::Format;
use framegram_media::{Decoder, Image, Planes, SourcePlane, ToJpeg};
use framegram_send::encode::{Encoder, Settings};
use framegram_send::source::Content;

use crate::concealment::{Clip, clips};
use crate::program::media;
use crate::similarity::{psnr, ssimulacra2};
use crate::standard_jpeg::standard_jpeg;

/// What JPEGs are worth: means over frames.
#[derive(Clone, Copy, Debug, Default)]
pub struct Worth {
    /// Bytes.
    pub bytes: f64,
    /// See [`ssimulacra2`].
    pub ssimulacra2: f64,
    /// See [`psnr`].
    pub psnr: f64,
}

impl Worth {
    /// Of JPEGs beside the frames that they were made of.
    ///
    /// # Errors
    /// If a JPEG cannot be decoded or compared.
    pub fn of(frames: &[Image], jpegs: &[Bytes]) -> Result<Self> {
        Self::of_decoded(frames, jpegs, |_| {})
    }

    /// Of JPEGs whose samples have limited range, which is expanded, beside frames of full range.
    ///
    /// # Errors
    /// If a JPEG cannot be decoded or compared.
    pub fn of_limited(frames: &[Image], jpegs: &[Bytes]) -> Result<Self> {
        Self::of_decoded(frames, jpegs, expand)
    }

    fn of_decoded(frames: &[Image], jpegs: &[Bytes], change: impl Fn(&mut Planes)) -> Result<Self> {
        let mut decoder = Decoder::new()?;
        let mut planes = Planes::default();
        let mut sum = Self::default();
        for (frame, jpeg) in frames.iter().zip(jpegs) {
            decoder.decode_planes(jpeg, &mut planes)?;
            change(&mut planes);
            sum.bytes += jpeg.len() as f64;
            sum.ssimulacra2 += ssimulacra2(frame, &planes)?;
            sum.psnr += psnr(frame, &planes);
        }
        let count = frames.len() as f64;
        Ok(Self {
            bytes: sum.bytes / count,
            ssimulacra2: sum.ssimulacra2 / count,
            psnr: sum.psnr / count,
        })
    }
}

/// Expands planes to full range.
fn expand(planes: &mut Planes) {
    let limited = planes.clone();
    let from: Vec<_> = limited
        .planes()
        .map(|(samples, plane)| SourcePlane {
            samples,
            pitch: plane.pitch,
        })
        .collect();
    let size = (planes.width, planes.height);
    let mut full = vec![0; planes.subsampling.bytes(size.0, size.1)];
    ToJpeg::new(false, None).copy(&from, planes.subsampling, size, &mut full);
    let split = planes.subsampling.split(size.0, size.1, &full);
    for ((to, plane), (from, width, _)) in planes.planes_mut().zip(split) {
        let rows = to
            .chunks_exact_mut(plane.pitch)
            .zip(from.chunks_exact(width));
        rows.for_each(|(to, from)| to[..width].copy_from_slice(from));
    }
}

/// The encoder's settings for this quality.
pub fn settings(quality: u8, format: Format) -> Settings {
    Settings {
        quality: Some(quality),
        format,
        ..Settings::default()
    }
}

/// JPEGs of frames in turn. The first frame, which has none before it to make Huffman tables from,
/// is encoded twice.
///
/// # Errors
/// If a frame cannot be encoded.
pub fn encode(frames: &[Image], quality: u8, format: Format) -> Result<Vec<Bytes>> {
    let mut encoder = Encoder::new(settings(quality, format))?;
    let mut jpegs = Vec::new();
    for frame in frames.iter().take(1).chain(frames) {
        jpegs.push(encoder.encode(&Content::Image(frame.clone()))?.jpeg);
    }
    Ok(jpegs.split_off(1))
}

/// JPEGs of frames by TurboJPEG, with the tables of T.81.
///
/// # Errors
/// If a frame cannot be encoded.
pub fn encode_standard(frames: &[Image], quality: u8) -> Result<Vec<Bytes>> {
    let jpegs = frames.iter().map(|frame| standard_jpeg(frame, quality));
    jpegs.collect()
}

/// The project's clip and, if `FRAMEGRAM_FOOTAGE` names a folder, the videos in it.
pub fn footage() -> Vec<PathBuf> {
    let mut clips = clips();
    let own = PathBuf::from(media("clip.mp4"));
    if !clips.contains(&own) {
        clips.insert(0, own);
    }
    clips
}

/// Up to `count` frames of a clip, each `apart` frames from the next.
///
/// # Errors
/// If the clip cannot be read.
pub fn frames(clip: &Path, count: usize, apart: usize) -> Result<Vec<Image>> {
    let mut source = Clip::open(clip, None)?;
    let mut frames = Vec::new();
    for number in 0..count * apart {
        let Some(frame) = source.picture()? else {
            break;
        };
        if number % apart == 0 {
            frames.push(frame);
        }
    }
    Ok(frames)
}
