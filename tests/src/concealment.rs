//! Picture quality if chunks are lost and not repaired: slices with holes filled,
//! compared with holding the last complete frame.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use fastrand::Rng;
use framegram_common::chunk::ChunkedFrame;
use framegram_common::jpeg::{self, JpegHeader};
use framegram_common::slices::{self, Fragments, Spliced};
use framegram_common::wire::DEFAULT_DATAGRAM;
use framegram_common::{Frame, FrameNumber};
use framegram_media::{Compressor, Decoder, Image as Original, Reduction, XrgbImage};
use framegram_send::console::Console;
use framegram_send::encode::{Encoder, Settings};
use framegram_send::source::{self, Content, Request, Source, Spec};
use framegram_send::stop::Stop;

use crate::program::footage;

/// Means over the frames of a clip.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quality {
    /// Share of frames of which every chunk arrived.
    pub complete: f64,
    /// Share of the picture that arrived and could be shown.
    pub fresh: f64,
    /// Similarity to the original in dB (peak signal-to-noise ratio over red,
    /// green and blue): of the frames as sent,
    pub sent: f64,
    /// of the received slices with holes filled from the frame shown before,
    pub filled: f64,
    /// and of the last complete frame.
    pub frozen: f64,
}

/// Sends up to `frames` frames of a clip, unscaled or scaled, over paths that
/// lose chunks with these probabilities. The first frame is never lost. Returns
/// one result per probability.
///
/// # Errors
/// If the clip cannot be read.
pub fn measure(
    clip: &Path,
    size: Option<(usize, usize)>,
    frames: usize,
    losses: &[f64],
    seed: u64,
) -> Result<Vec<Quality>> {
    let mut clip = Clip::open(clip, size)?;
    let mut encoder = Encoder::new(Settings {
        slices: Some(DEFAULT_DATAGRAM),
        ..Settings::default()
    })?;
    let mut views = Vec::new();
    for loss in losses {
        views.push(View::new(*loss, seed)?);
    }
    let mut decoder = Decoder::new()?;
    let mut sent = XrgbImage::default();
    for _ in 0..frames {
        let Some(original) = clip.picture()? else {
            break;
        };
        let jpeg = encoder.encode(&Content::Image(original.clone()))?.jpeg;
        decoder.decode(&jpeg, Reduction::None, &mut sent)?;
        for view in &mut views {
            view.take(&jpeg, &sent, &original)?;
        }
    }
    Ok(views.iter().map(View::means).collect())
}

/// A frame at both ends of a lossy path.
#[derive(Debug)]
pub struct Moment<'a> {
    /// The frame as sent.
    pub sent: &'a XrgbImage,
    /// The received slices, with holes filled from the frame shown before.
    pub filled: &'a XrgbImage,
    /// The last complete frame.
    pub frozen: &'a XrgbImage,
}

/// Like [`measure`] for an unscaled clip and one probability. Calls `see` for
/// every frame.
///
/// # Errors
/// Those of [`measure`].
pub fn watch(
    clip: &Path,
    frames: usize,
    loss: f64,
    seed: u64,
    see: &mut dyn FnMut(usize, Moment<'_>),
) -> Result<Quality> {
    let mut clip = Clip::open(clip, None)?;
    let mut encoder = Encoder::new(Settings {
        slices: Some(DEFAULT_DATAGRAM),
        ..Settings::default()
    })?;
    let (mut view, mut decoder) = (View::new(loss, seed)?, Decoder::new()?);
    let mut sent = XrgbImage::default();
    for number in 0..frames {
        let Some(original) = clip.picture()? else {
            break;
        };
        let jpeg = encoder.encode(&Content::Image(original.clone()))?.jpeg;
        decoder.decode(&jpeg, Reduction::None, &mut sent)?;
        view.take(&jpeg, &sent, &original)?;
        see(
            number,
            Moment {
                sent: &sent,
                filled: &view.shown,
                frozen: &view.frozen,
            },
        );
    }
    Ok(view.means())
}

/// The clips to measure.
pub fn clips() -> Vec<PathBuf> {
    footage().into_iter().map(PathBuf::from).collect()
}

/// The pictures of a video file, in red, green and blue.
pub struct Clip {
    source: Box<dyn Source>,
    scaler: Option<Encoder>,
}

impl Clip {
    /// Opens a video file. If there is a size, pictures are scaled to it.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub fn open(file: &Path, size: Option<(usize, usize)>) -> Result<Self> {
        let request = Request {
            size: None,
            rate: None,
            pass_through: false,
            keep_broken: false,
            stop: Stop::new(),
            console: Arc::new(Console::new(true)),
        };
        let scaler = size.map(|size| {
            Encoder::new(Settings {
                quality: Some(100),
                size: Some(size),
                ..Settings::default()
            })
        });
        Ok(Self {
            source: source::open(&Spec::Path(file.to_owned()), &request)?,
            scaler: scaler.transpose()?,
        })
    }

    /// The next picture; `None` at the end.
    ///
    /// # Errors
    /// If the file is damaged or not a video.
    pub fn picture(&mut self) -> Result<Option<Original>> {
        let Some(captured) = self.source.next()? else {
            return Ok(None);
        };
        let content = captured.content;
        match (&mut self.scaler, content) {
            (None, Content::Image(picture)) => Ok(Some(picture)),
            (Some(scaler), content) => {
                let jpeg = scaler.encode(&content)?.jpeg;
                let decoded = Decoder::new()?.decode_whole(&jpeg)?;
                let bytes = decoded
                    .pixels
                    .iter()
                    .flat_map(|word| word.to_le_bytes().into_iter().take(3));
                let bytes: Vec<u8> = bytes.collect();
                Ok(Some(Original::bgr(
                    decoded.width,
                    decoded.height,
                    bytes.into(),
                )?))
            }
            (None, Content::Jpeg(_)) => bail!("not a video of pictures"),
        }
    }
}

/// Cuts a frame into chunks and loses some of them; `None` if all arrive.
///
/// # Errors
/// If `jpeg` is not a JPEG.
pub fn lose(jpeg: &Bytes, loss: f64, rng: &mut Rng) -> Result<Option<Lossy>> {
    let header = JpegHeader::parse(jpeg)?;
    let starts = jpeg::slice_starts(jpeg, header.len);
    let frame = Frame {
        number: FrameNumber(0),
        jpeg: jpeg.clone(),
        captured: Duration::ZERO,
    };
    let chunked = ChunkedFrame::new(frame, DEFAULT_DATAGRAM, 1, starts)?;
    let mut lossy = Lossy {
        header: jpeg::tables(jpeg)?.context("the header is too long")?,
        frame: vec![0; jpeg.len()],
        present: Vec::new(),
        starts: Vec::new(),
    };
    for index in 0..chunked.count() {
        if rng.f64() < loss {
            continue;
        }
        let chunk = chunked.chunk(index);
        let start = index * chunked.size();
        let end = start + chunk.data.len();
        lossy.frame[start..end].copy_from_slice(chunk.data);
        match lossy.present.last_mut() {
            Some(last) if last.end == start => last.end = end,
            _ => lossy.present.push(start..end),
        }
        let begun = chunk.slice_start();
        lossy
            .starts
            .extend(begun.map(|(slice, behind)| (slice, start + behind)));
    }
    let complete = lossy.present.len() == 1 && lossy.present[0] == (0..jpeg.len());
    Ok((!complete).then_some(lossy))
}

/// The received part of a frame.
#[derive(Debug)]
pub struct Lossy {
    header: Vec<u8>,
    frame: Vec<u8>,
    present: Vec<std::ops::Range<usize>>,
    starts: Vec<(u16, usize)>,
}

impl Lossy {
    /// The JPEG that a viewer reconstructs.
    pub fn splice(&self) -> Option<Spliced> {
        slices::splice(&Fragments {
            header: &self.header,
            frame: &self.frame,
            present: &self.present,
            starts: &self.starts,
        })
    }
}

/// A viewer behind a path that loses chunks.
struct View {
    loss: f64,
    rng: Rng,
    decoder: Decoder,
    /// The last frame shown, with holes filled, as JPEG and as pixels.
    last: Bytes,
    shown: XrgbImage,
    spare: XrgbImage,
    /// The last complete frame.
    frozen: XrgbImage,
    frames: usize,
    sums: Quality,
}

impl View {
    fn new(loss: f64, seed: u64) -> Result<Self> {
        Ok(Self {
            loss,
            rng: Rng::with_seed(seed),
            decoder: Decoder::new()?,
            last: Bytes::new(),
            shown: XrgbImage::default(),
            spare: XrgbImage::default(),
            frozen: XrgbImage::default(),
            frames: 0,
            sums: Quality::default(),
        })
    }

    fn take(&mut self, jpeg: &Bytes, sent: &XrgbImage, original: &Original) -> Result<()> {
        let loss = if self.frames == 0 { 0.0 } else { self.loss };
        self.frames += 1;
        match lose(jpeg, loss, &mut self.rng)? {
            None => {
                self.last = jpeg.clone();
                self.shown.clone_from(sent);
                self.frozen.clone_from(sent);
                self.sums.complete += 1.0;
                self.sums.fresh += 1.0;
            }
            Some(lossy) => {
                if let Some(spliced) = lossy.splice() {
                    self.show(spliced)?;
                }
            }
        }
        self.sums.sent += likeness(sent, original)?;
        self.sums.filled += likeness(&self.shown, original)?;
        self.sums.frozen += likeness(&self.frozen, original)?;
        Ok(())
    }

    /// Shows a reconstructed frame as the viewer does.
    fn show(&mut self, spliced: Spliced) -> Result<()> {
        self.sums.fresh += spliced.fresh;
        let filled = slices::fill(&spliced.jpeg, &spliced.stale, &self.last);
        self.last = Bytes::from(filled.unwrap_or(spliced.jpeg));
        self.decoder
            .decode(&self.last, Reduction::None, &mut self.spare)?;
        std::mem::swap(&mut self.spare, &mut self.shown);
        Ok(())
    }

    fn means(&self) -> Quality {
        let mean = |sum: f64| sum / self.frames.max(1) as f64;
        Quality {
            complete: mean(self.sums.complete),
            fresh: mean(self.sums.fresh),
            sent: mean(self.sums.sent),
            filled: mean(self.sums.filled),
            frozen: mean(self.sums.frozen),
        }
    }
}

/// Peak signal-to-noise ratio in dB, at most [`ALIKE`].
fn likeness(picture: &XrgbImage, original: &Original) -> Result<f64> {
    // Converts the original to RGB by way of a JPEG of the best quality.
    let jpeg = Compressor::new()?.compress(original, 100)?;
    let mut shown = XrgbImage::default();
    Decoder::new()?.decode(&jpeg, Reduction::None, &mut shown)?;
    let size = (shown.width, shown.height);
    ensure!(size == (picture.width, picture.height), "sizes differ");
    let mut squares = 0_u64;
    for (word, original) in picture.pixels.iter().zip(&shown.pixels) {
        for shift in [0, 8, 16] {
            let [seen, sample] = [word, original].map(|word| (word >> shift) as u8);
            squares += u64::from(seen.abs_diff(sample)).pow(2);
        }
    }
    let mean = squares as f64 / (3 * shown.pixels.len()) as f64;
    Ok((10.0 * (255.0 * 255.0 / mean).log10()).min(ALIKE))
}

/// Value for identical pictures, in dB.
const ALIKE: f64 = 99.0;
