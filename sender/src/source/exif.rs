//! Which way up an image is held.

use std::io::Cursor;

use anyhow::Result;
use framegram_media::Turn;
use framegram_media::limits::MAX_PIXELS;
use image::metadata::Orientation;
use image::{ImageDecoder, ImageReader, Limits};

/// How an image comes upright that is held another way (EXIF, tag 0x0112).
pub(super) fn turn(bytes: &[u8]) -> Option<Turn> {
    let (transpose, mirror_x, mirror_y) = match orientation(bytes) {
        Orientation::NoTransforms => return None,
        Orientation::FlipHorizontal => (false, true, false),
        Orientation::Rotate180 => (false, true, true),
        Orientation::FlipVertical => (false, false, true),
        Orientation::Rotate90FlipH => (true, false, false),
        Orientation::Rotate90 => (true, true, false),
        Orientation::Rotate270FlipH => (true, true, true),
        Orientation::Rotate270 => (true, false, true),
    };
    Some(Turn {
        transpose,
        mirror_x,
        mirror_y,
    })
}

fn orientation(bytes: &[u8]) -> Orientation {
    reader(bytes)
        .ok()
        .and_then(|reader| reader.into_decoder().ok())
        .and_then(|mut decoder| decoder.orientation().ok())
        .unwrap_or(Orientation::NoTransforms)
}

/// Reads an image within the limits of what is sent.
///
/// # Errors
/// Those of reading.
pub(super) fn reader(bytes: &[u8]) -> Result<ImageReader<Cursor<&[u8]>>> {
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(u16::MAX.into());
    limits.max_image_height = Some(u16::MAX.into());
    // 16 bits of four components a pixel, twice.
    limits.max_alloc = Some(16 * MAX_PIXELS as u64);
    reader.limits(limits);
    Ok(reader)
}
