//! Upper bounds on the size of images. They bound the work that a header of a few bytes can cause.

pub use framegram_common::jpeg::scan::MAX_SCANS;
use thiserror::Error;

/// Largest width and height of an image that is sent, in pixels: twice that of 8K, and below the
/// limit of libjpeg (65,500).
pub const MAX_SIDE: usize = 16_384;

/// Most pixels of an image that is sent or shown: enough for 8K and for stills of 36 megapixels. At
/// 4 bytes a pixel, as in a window, this is 160 MB.
pub const MAX_PIXELS: usize = 40_000_000;

/// Most pixels of a still that is scaled down before it is sent: enough for a phone of 200
/// megapixels.
pub const MAX_STILL_PIXELS: usize = 220_000_000;

/// The size of an image that is not sent.
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

/// Checks that images of this size are sent.
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
