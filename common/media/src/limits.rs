//! The largest images that are taken. Each bounds what a header of a few bytes
//! can cost.

use thiserror::Error;

/// The widest and highest image that is sent, in pixels: twice 8K, and within
/// what a JPEG can say (65,500).
pub const MAX_SIDE: usize = 16_384;

/// The most pixels of an image that is sent or shown: 8K, and stills of 36
/// megapixels. As words of a window they take 160 MB.
pub const MAX_PIXELS: usize = 40_000_000;

/// The most pixels of a still that is sent smaller than it is: those of a phone with
/// 200 megapixels.
pub const MAX_STILL_PIXELS: usize = 220_000_000;

/// The most scans of a progressive JPEG: encoders use about ten, and each scan
/// costs a pass over the whole image.
pub const MAX_SCANS: usize = 64;

/// The most pixels of all scans of a JPEG: a scan of a few bytes costs as much
/// as the image has pixels. The largest image may have 16 scans, more than any
/// encoder makes; 4K may have as many as smaller ones.
pub const MAX_SCANNED_PIXELS: usize = 16 * MAX_PIXELS;

/// An image of a size that is not sent.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error(
    "an image of {width}x{height} pixels cannot be sent: 1x1 to {MAX_SIDE} a side and {MAX_PIXELS} in all are possible"
)]
pub struct SizeError {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
}

/// Whether images of this size are sent at all.
///
/// # Errors
/// Where they are not.
pub fn check_size(width: usize, height: usize) -> Result<(), SizeError> {
    let sides = 1..=MAX_SIDE;
    if sides.contains(&width) && sides.contains(&height) && width * height <= MAX_PIXELS {
        Ok(())
    } else {
        Err(SizeError { width, height })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_sizes_that_are_empty_or_too_large() {
        for (width, height) in [(0, 1), (1, 0), (MAX_SIDE + 1, 1), (16_000, 16_000)] {
            assert!(check_size(width, height).is_err(), "{width}x{height}");
        }
        check_size(MAX_SIDE, 1).unwrap();
    }
}
