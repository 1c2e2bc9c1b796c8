//! Images between a source and the encoder.

mod turn;

use bytes::Bytes;

pub use self::turn::Turn;
use crate::error::ImageError;
use crate::limits::check_size;
use crate::subsampling::Subsampling;

/// Pixels of 8 bits a component, rows without padding, top row first. Clones share the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    width: usize,
    height: usize,
    /// Aspect ratio of a pixel, width and height.
    aspect: (u32, u32),
    pixels: Pixels,
}

/// The pixels of an [`Image`] in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pixels {
    /// Packed blue, green, red: `3 * width` bytes a row.
    Bgr(Bytes),
    /// Planes of luma, blue difference and red difference as in a JPEG: BT.601, full range.
    Yuv(Subsampling, Bytes),
}

impl Image {
    /// An image of packed blue, green and red.
    ///
    /// # Errors
    /// If `pixels` does not have `3 * width * height` bytes, or the size is out of range.
    pub fn bgr(width: usize, height: usize, pixels: Bytes) -> Result<Self, ImageError> {
        check_size(width, height)?;
        check_length(3 * width * height, pixels.len())?;
        Ok(Self {
            width,
            height,
            aspect: SQUARE,
            pixels: Pixels::Bgr(pixels),
        })
    }

    /// An image of planes, one after another.
    ///
    /// # Errors
    /// If `planes` does not have the length [`Subsampling::bytes`], or the size is out of range.
    pub fn yuv(
        width: usize,
        height: usize,
        sampling: Subsampling,
        planes: Bytes,
    ) -> Result<Self, ImageError> {
        check_size(width, height)?;
        check_length(sampling.bytes(width, height), planes.len())?;
        Ok(Self {
            width,
            height,
            aspect: SQUARE,
            pixels: Pixels::Yuv(sampling, planes),
        })
    }

    /// Width in pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Converts 4:4:4 or gray to 4:2:0; `None` for others.
    pub fn halved(&self) -> Option<Self> {
        let Pixels::Yuv(sampling @ (Subsampling::Yuv444 | Subsampling::Gray), planes) =
            &self.pixels
        else {
            return None;
        };
        let (width, height) = (self.width, self.height);
        let mut halved = Vec::with_capacity(Subsampling::Yuv420.bytes(width, height));
        halved.extend_from_slice(&planes[..width * height]);
        for (plane, ..) in sampling.split(width, height, planes).skip(1) {
            for rows in plane.chunks(2 * width) {
                let (upper, lower) = rows.split_at(width);
                let lower = if lower.is_empty() { upper } else { lower };
                halved.extend(upper.chunks(2).zip(lower.chunks(2)).map(|(upper, lower)| {
                    let sum: u16 = upper
                        .iter()
                        .chain(lower)
                        .map(|value| u16::from(*value))
                        .sum();
                    let count = 2 * upper.len() as u16;
                    ((sum + count / 2) / count) as u8
                }));
            }
        }
        halved.resize(Subsampling::Yuv420.bytes(width, height), NO_COLOUR);
        Some(Self {
            width,
            height,
            aspect: self.aspect,
            pixels: Pixels::Yuv(Subsampling::Yuv420, halved.into()),
        })
    }

    /// Converts 4:1:1, which some decoders lack, to 4:2:2. Returns others unchanged.
    pub fn widened(self) -> Self {
        let Pixels::Yuv(Subsampling::Yuv411, planes) = &self.pixels else {
            return self;
        };
        let (luma, chroma) = planes.split_at(self.width * self.height);
        let columns = self.width.div_ceil(2);
        let mut widened = luma.to_vec();
        for row in chroma.chunks_exact(self.width.div_ceil(4)) {
            let samples = row.iter().flat_map(|sample| [*sample; 2]);
            widened.extend(samples.take(columns));
        }
        Self {
            pixels: Pixels::Yuv(Subsampling::Yuv422, widened.into()),
            ..self
        }
    }

    /// Sets the aspect ratio of a pixel. An invalid one counts as square.
    pub fn with_aspect(mut self, (across, down): (i32, i32)) -> Self {
        let side = |side: i32| u32::try_from(side).ok().filter(|side| *side > 0);
        self.aspect = side(across).zip(side(down)).unwrap_or(SQUARE);
        self
    }

    /// Width and height in square pixels, with the same height, as FFmpeg scales. Returns the size
    /// unchanged if the result would be too large.
    pub fn square_size(&self) -> (usize, usize) {
        let (across, down) = self.aspect;
        let width = self.width as f64 * f64::from(across) / f64::from(down);
        let size = ((width.round() as usize).max(1), self.height);
        match check_size(size.0, size.1) {
            Ok(()) => size,
            Err(_) => (self.width, self.height),
        }
    }

    /// The pixels.
    pub fn pixels(&self) -> &Pixels {
        &self.pixels
    }
}

/// Square pixels.
const SQUARE: (u32, u32) = (1, 1);

/// Chroma of gray.
pub(crate) const NO_COLOUR: u8 = 128;

fn check_length(expected: usize, got: usize) -> Result<(), ImageError> {
    if expected == got {
        Ok(())
    } else {
        Err(ImageError::Length { expected, got })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_chroma_of_4_4_4_and_gray() {
        let mut planes: Vec<u8> = (0..15).collect();
        planes.extend([10, 20, 30, 40, 50, 10, 20, 30, 40, 50, 0, 4, 8, 12, 16]);
        planes.extend([7; 15]);
        let full = Image::yuv(5, 3, Subsampling::Yuv444, planes.clone().into()).unwrap();
        let halved = full.halved().unwrap();
        let mut expected = planes[..15].to_vec();
        expected.extend([15, 35, 50, 2, 10, 16]);
        expected.extend([7; 6]);
        assert_eq!(
            halved.pixels(),
            &Pixels::Yuv(Subsampling::Yuv420, expected.into())
        );
        assert_eq!(halved.halved(), None);

        let gray = Image::yuv(5, 3, Subsampling::Gray, planes[..15].to_vec().into()).unwrap();
        let mut expected = planes[..15].to_vec();
        expected.extend([128; 12]);
        let halved = gray.halved().unwrap();
        assert_eq!(
            halved.pixels(),
            &Pixels::Yuv(Subsampling::Yuv420, expected.into())
        );
    }

    #[test]
    fn converts_chroma_of_four_columns_to_chroma_of_two() {
        let planes = vec![0, 0, 0, 0, 0, 0, 1, 2, 3, 4];
        let image = Image::yuv(6, 1, Subsampling::Yuv411, planes.into()).unwrap();
        let expected = vec![0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 3, 4];
        let expected = Pixels::Yuv(Subsampling::Yuv422, expected.into());
        assert_eq!(image.widened().pixels(), &expected);
    }

    #[test]
    fn the_width_in_square_pixels_follows_the_aspect_ratio() {
        let image = |aspect| {
            let planes = vec![0; 720 * 576];
            let image = Image::yuv(720, 576, Subsampling::Gray, planes.into());
            image.unwrap().with_aspect(aspect).square_size()
        };
        assert_eq!(image((64, 45)), (1024, 576));
        assert_eq!(image((8, 9)), (640, 576));
        for none in [(1, 1), (0, 1), (-1, 3), (0, 0), (i32::MAX, 1)] {
            assert_eq!(image(none), (720, 576), "{none:?}");
        }
    }

    #[test]
    fn refuses_bytes_of_a_wrong_length() {
        let length = Image::bgr(2, 2, Bytes::from_static(&[0; 11]));
        assert_eq!(
            length,
            Err(ImageError::Length {
                expected: 12,
                got: 11
            })
        );
    }
}
