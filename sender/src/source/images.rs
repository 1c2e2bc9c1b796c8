//! Stills: one, or a folder of them in name order.
//!
//! A JPEG is passed through once it is known to be complete. One with an EXIF orientation is turned
//! first.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail, ensure};
use framegram_media::limits::check_size;
use framegram_media::{Image, Vetter};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder};

use super::checked::{Wanted, check};
use super::exif::reader;
use super::ffmpeg::decode_still;
use super::row::{Row, natural};
use super::{Captured, Content, Request, Source, paced};
use crate::console::Console;

/// Default stills per second, as for FFmpeg's image sequences.
const DEFAULT_RATE: f64 = 25.0;

/// The largest file that is read: a JPEG of the largest picture at quality 100.
const MAX_FILE: u64 = 128 << 20;

/// The first bytes of a PNG.
const PNG_START: [u8; 8] = *b"\x89PNG\r\n\x1a\n";

/// Bytes of the length, type and checksum of a PNG chunk.
const CHUNK_AROUND: usize = 12;

/// The longest EXIF segment that is read, in bytes: as long as a JPEG segment can be.
const MAX_EXIF: usize = 64 << 10;

/// How a still's name ends.
const EXTENSIONS: [&str; 14] = [
    "jpg", "jpeg", "jpe", "jfif", "jif", "jps", "mpo", "png", "webp", "bmp", "tif", "tiff", "ppm",
    "pgm",
];

/// Whether the name says that a file of JPEG data is one still, not a sequence.
pub(crate) fn is_still(path: &Path) -> bool {
    let extension = path.extension().and_then(OsStr::to_str);
    extension.is_some_and(|extension| {
        EXTENSIONS
            .iter()
            .any(|known| known.eq_ignore_ascii_case(extension))
    })
}

/// Whether listings hide it. On foreign disks, macOS writes `._photo.jpg`, which is not a still,
/// next to `photo.jpg`.
fn is_hidden(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    name.as_encoded_bytes().starts_with(b".")
}

/// Stills as frames.
pub(super) struct Images {
    name: String,
    paths: Vec<PathBuf>,
    next: usize,
    rate: f64,
    number: u64,
    unreadable: u64,
    wanted: Wanted,
    console: Arc<Console>,
    /// A single unreadable still is an error, not skipped.
    alone: bool,
    /// All stills were read once: unreadable ones have been reported.
    again: bool,
}

impl Images {
    /// One still.
    pub(super) fn still(path: &Path, request: &Request) -> Self {
        Self {
            name: path.display().to_string(),
            paths: vec![path.into()],
            next: 0,
            rate: request.rate.unwrap_or(DEFAULT_RATE),
            number: 0,
            unreadable: 0,
            wanted: Wanted::of(request),
            console: Arc::clone(&request.console),
            alone: true,
            again: false,
        }
    }

    /// All stills in a folder, by name.
    ///
    /// # Errors
    /// If it cannot be read or has none.
    pub(super) fn folder(path: &Path, request: &Request) -> Result<Self> {
        let name = path.display().to_string();
        let mut paths = Vec::new();
        for entry in fs::read_dir(path).with_context(|| format!("cannot read {name}"))? {
            let path = entry.with_context(|| format!("cannot read {name}"))?.path();
            if is_still(&path) && !is_hidden(&path) && path.is_file() {
                paths.push(path);
            }
        }
        ensure!(
            !paths.is_empty(),
            "there are no stills in {name} (files named .jpg, .jpeg or .png)"
        );
        paths.sort_by_cached_key(|path| natural(path));
        Ok(Self {
            name,
            paths,
            alone: false,
            ..Self::still(path, request)
        })
    }

    /// The stills whose names match, in the order of the numbers in them.
    ///
    /// # Errors
    /// Where there are none.
    pub(super) fn row(row: &Row, request: &Request) -> Result<Self> {
        let name = row.path().display().to_string();
        let paths = row.files().with_context(|| format!("cannot read {name}"))?;
        ensure!(!paths.is_empty(), "no file matches {name}");
        Ok(Self {
            name,
            paths,
            alone: false,
            ..Self::still(row.path(), request)
        })
    }
}

impl Source for Images {
    fn next(&mut self) -> Result<Option<Captured>> {
        while let Some(path) = self.paths.get(self.next) {
            self.next += 1;
            match read_still(path, self.wanted) {
                Ok(content) => {
                    let media_time = paced::media_time(self.number, self.rate);
                    self.number += 1;
                    return Ok(Some(Captured::at(Some(media_time), content)));
                }
                Err(error) if self.alone => return Err(error),
                Err(error) => {
                    self.unreadable += 1;
                    if !self.again {
                        self.console.say(&format!("still skipped: {error:#}"));
                    }
                }
            }
        }
        if self.number == 0 {
            bail!("no still in {} can be read", self.name);
        }
        Ok(None)
    }

    fn rewind(&mut self) -> Result<bool> {
        (self.next, self.again) = (0, true);
        Ok(true)
    }

    fn is_checked(&self) -> bool {
        true
    }

    fn unreadable(&self) -> u64 {
        self.unreadable
    }

    fn frame_rate(&self) -> Option<f64> {
        Some(self.rate)
    }
}

fn read_still(path: &Path, wanted: Wanted) -> Result<Content> {
    let name = path.display();
    let len = path.metadata().map_or(0, |metadata| metadata.len());
    ensure!(len <= MAX_FILE, "{name} is larger than {MAX_FILE} bytes");
    let bytes = fs::read(path).with_context(|| format!("cannot read {name}"))?;
    decode(bytes, wanted).with_context(|| format!("{name} cannot be read as a still"))
}

fn decode(bytes: Vec<u8>, wanted: Wanted) -> Result<Content> {
    if bytes.starts_with(&[0xFF, 0xD8]) {
        return check(&bytes.into(), wanted, &mut Vetter::default());
    }
    if !bytes.starts_with(&PNG_START) {
        // Browsers save WebP images under the name that a page gives.
        return match decode_still(bytes)? {
            Content::Jpeg(jpeg) => check(&jpeg, wanted, &mut Vetter::default()),
            image => Ok(image),
        };
    }
    let bytes = essential(&bytes);
    // Such an error names itself as its own cause.
    let told = |error: image::ImageError| anyhow!("{error}");
    let mut decoder = reader(&bytes)?.into_decoder().map_err(told)?;
    let (width, height) = decoder.dimensions();
    let (width, height) = (width as usize, height as usize);
    let scale = match wanted.scale((width, height))? {
        None => 1,
        Some(_) => [2, 4, 8]
            .into_iter()
            .find(|scale| check_size(width / scale, height / scale).is_ok())
            .context("it is far longer than wide")?,
    };
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut image = DynamicImage::from_decoder(decoder).map_err(told)?;
    if scale > 1 {
        image = image.thumbnail_exact((width / scale) as u32, (height / scale) as u32);
    }
    image.apply_orientation(orientation);
    let image = flatten(image);
    let (width, height) = (image.width() as usize, image.height() as usize);
    let mut pixels = image.into_raw();
    for pixel in pixels.chunks_exact_mut(3) {
        pixel.swap(0, 2);
    }
    Ok(Content::Image(Image::bgr(width, height, pixels.into())?))
}

/// The PNG chunks that the pixels need, and the orientation. A decoder would also unpack others,
/// such as colour profiles and texts, which may be many times as large as the file.
fn essential(png: &[u8]) -> Vec<u8> {
    let (start, mut rest) = png.split_at(PNG_START.len());
    let mut kept = start.to_vec();
    while let Some((head, _)) = rest.split_first_chunk::<8>() {
        let [a, b, c, d, kind @ ..] = *head;
        let data = u32::from_be_bytes([a, b, c, d]) as usize;
        let len = data.saturating_add(CHUNK_AROUND).min(rest.len());
        let (chunk, behind) = rest.split_at(len);
        let is_exif = kind == *b"eXIf" && data <= MAX_EXIF;
        if kind[0].is_ascii_uppercase() || kind == *b"tRNS" || is_exif {
            kept.extend_from_slice(chunk);
        }
        rest = behind;
    }
    kept
}

/// What is transparent becomes black, not what happens to lie beneath.
fn flatten(image: DynamicImage) -> image::RgbImage {
    if !image.color().has_alpha() {
        return image.into_rgb8();
    }
    let rgba = image.into_rgba8();
    image::RgbImage::from_fn(rgba.width(), rgba.height(), |x, y| {
        let [red, green, blue, alpha] = rgba.get_pixel(x, y).0;
        let over_black = |value: u8| (u16::from(value) * u16::from(alpha) / 255) as u8;
        image::Rgb([red, green, blue].map(over_black))
    })
}

#[cfg(test)]
mod tests;
