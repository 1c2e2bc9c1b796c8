//! Images in the pixel format of a window.

use turbojpeg::{Compressor, Image, PixelFormat};

use crate::error::CodecError;
use crate::subsampling::Subsampling;

/// An image in the pixel format of a window: one word a pixel, `0xXXRRGGBB`, row by row. The upper
/// byte is ignored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct XrgbImage {
    /// `width * height` words.
    pub pixels: Vec<u32>,
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
}

impl XrgbImage {
    /// Encodes this image as a JPEG of `quality` 1 to 100.
    ///
    /// # Errors
    /// If libjpeg-turbo refuses it, for example an image without pixels.
    pub fn to_jpeg(&self, quality: u8, subsampling: Subsampling) -> Result<Vec<u8>, CodecError> {
        let mut compressor = Compressor::new()?;
        compressor.set_quality(i32::from(quality))?;
        compressor.set_subsamp(subsampling.to_jpeg())?;
        let image = Image {
            pixels: bytemuck::cast_slice(&self.pixels),
            width: self.width,
            pitch: self.width * WORD,
            height: self.height,
            format: WORD_FORMAT,
        };
        Ok(compressor.compress_to_vec(image)?)
    }
}

/// Bytes of one pixel.
pub(crate) const WORD: usize = size_of::<u32>();

/// The byte order of the word `0x00RRGGBB`.
pub(crate) const WORD_FORMAT: PixelFormat = if cfg!(target_endian = "little") {
    PixelFormat::BGRX
} else {
    PixelFormat::XRGB
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decoder::{Decoder, Reduction};

    #[test]
    fn keeps_its_colours_in_a_jpeg() {
        let image = XrgbImage {
            pixels: vec![0x00C8_5A28; 33 * 19],
            width: 33,
            height: 19,
        };
        let mut decoder = Decoder::new().unwrap();
        let mut decoded = XrgbImage::default();
        for subsampling in [Subsampling::Yuv420, Subsampling::Yuv444] {
            let jpeg = image.to_jpeg(92, subsampling).unwrap();
            decoder
                .decode(&jpeg, Reduction::None, &mut decoded)
                .unwrap();
            assert_eq!((decoded.width, decoded.height), (33, 19));
            for word in &decoded.pixels {
                let bytes = word.to_be_bytes().into_iter().skip(1);
                for (got, expected) in bytes.zip([0xC8, 0x5A, 0x28_u8]) {
                    assert!(got.abs_diff(expected) < 4, "{word:06x}");
                }
            }
        }
        assert!(XrgbImage::default().to_jpeg(92, Subsampling::Gray).is_err());
    }
}
