//! A picture on its way from a source to the encoder.

use bytes::Bytes;
use framegram_media::limits::MAX_PIXELS;
use thiserror::Error;

/// The widest and highest picture that is taken, in pixels: twice 8K, and
/// within what a JPEG can say (65,500).
pub const MAX_SIDE: usize = 16_384;

/// Pixels, 8 bits a component, rows without padding, top row first. The bytes
/// are shared, never copied, when it is cloned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    width: usize,
    height: usize,
    pixels: Pixels,
}

/// How the pixels of a [`Picture`] lie in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pixels {
    /// Blue, green, red of each pixel, `3 * width` bytes a row.
    Bgr(Bytes),
    /// Whole planes of luma, then blue and red difference, as a JPEG holds
    /// them: BT.601, all values from 0 to 255 used.
    Yuv(Sampling, Bytes),
}

/// How many chroma samples there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sampling {
    /// 4:2:0: half the width and half the height, rounded up.
    Half,
    /// 4:2:2: half the width, rounded up.
    HalfWidth,
    /// 4:4:4: as many as luma.
    Full,
    /// 4:0:0: none, a grey picture.
    Grey,
}

/// Why bytes do not make a picture.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum NotAPicture {
    /// A side is zero, or the picture is larger than is taken.
    #[error(
        "a picture of {width}x{height} pixels cannot be sent: 1x1 to {MAX_SIDE} a side and {MAX_PIXELS} in all are possible"
    )]
    Size {
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
    },
    /// Fewer or more bytes than the size asks for.
    #[error("a picture of {expected} bytes came with {got}")]
    Length {
        /// Bytes that the size asks for.
        expected: usize,
        /// Bytes that were given.
        got: usize,
    },
}

impl Picture {
    /// A picture of packed blue, green and red.
    ///
    /// # Errors
    /// Where `pixels` is not `3 * width * height` bytes, or the size is out of range.
    pub fn bgr(width: usize, height: usize, pixels: Bytes) -> Result<Self, NotAPicture> {
        check_size(width, height)?;
        check_length(3 * width * height, pixels.len())?;
        Ok(Self {
            width,
            height,
            pixels: Pixels::Bgr(pixels),
        })
    }

    /// A picture of planes, one after the other in `planes`.
    ///
    /// # Errors
    /// Where `planes` has another length than [`Sampling::bytes`] says, or the
    /// size is out of range.
    pub fn yuv(
        width: usize,
        height: usize,
        sampling: Sampling,
        planes: Bytes,
    ) -> Result<Self, NotAPicture> {
        check_size(width, height)?;
        check_length(sampling.bytes(width, height), planes.len())?;
        Ok(Self {
            width,
            height,
            pixels: Pixels::Yuv(sampling, planes),
        })
    }

    /// Width in pixels.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels.
    #[must_use]
    pub fn height(&self) -> usize {
        self.height
    }

    /// The same in 4:2:0, where it is 4:4:4 or grey; `None` for others.
    #[must_use]
    pub fn halved(&self) -> Option<Self> {
        let Pixels::Yuv(sampling @ (Sampling::Full | Sampling::Grey), planes) = &self.pixels else {
            return None;
        };
        let (width, height) = (self.width, self.height);
        let mut halved = Vec::with_capacity(Sampling::Half.bytes(width, height));
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
        halved.resize(Sampling::Half.bytes(width, height), NO_COLOUR);
        Some(Self {
            width,
            height,
            pixels: Pixels::Yuv(Sampling::Half, halved.into()),
        })
    }

    /// The pixels themselves.
    #[must_use]
    pub fn pixels(&self) -> &Pixels {
        &self.pixels
    }
}

impl Sampling {
    /// Width and height of each of the two chroma planes, if there are any.
    #[must_use]
    pub fn chroma(self, width: usize, height: usize) -> Option<(usize, usize)> {
        match self {
            Self::Half => Some((width.div_ceil(2), height.div_ceil(2))),
            Self::HalfWidth => Some((width.div_ceil(2), height)),
            Self::Full => Some((width, height)),
            Self::Grey => None,
        }
    }

    /// Bytes of all planes of a picture.
    #[must_use]
    pub fn bytes(self, width: usize, height: usize) -> usize {
        let (chroma_width, chroma_height) = self.chroma(width, height).unwrap_or((0, 0));
        width * height + 2 * chroma_width * chroma_height
    }

    /// The planes in `planes` with their width and height.
    ///
    /// # Panics
    /// Where `planes` is shorter than [`bytes`](Self::bytes).
    pub fn split(
        self,
        width: usize,
        height: usize,
        planes: &[u8],
    ) -> impl Iterator<Item = (&[u8], usize, usize)> {
        let (luma, rest) = planes.split_at(width * height);
        let chroma = self.chroma(width, height).map(|(width, height)| {
            let (blue, red) = rest.split_at(width * height);
            [
                (blue, width, height),
                (&red[..width * height], width, height),
            ]
        });
        std::iter::once((luma, width, height)).chain(chroma.into_iter().flatten())
    }
}

/// Chroma of grey.
const NO_COLOUR: u8 = 128;

/// Whether pictures of this size are taken at all.
///
/// # Errors
/// Where they are not.
pub fn check_size(width: usize, height: usize) -> Result<(), NotAPicture> {
    let sides = 1..=MAX_SIDE;
    if sides.contains(&width) && sides.contains(&height) && width * height <= MAX_PIXELS {
        Ok(())
    } else {
        Err(NotAPicture::Size { width, height })
    }
}

fn check_length(expected: usize, got: usize) -> Result<(), NotAPicture> {
    if expected == got {
        Ok(())
    } else {
        Err(NotAPicture::Length { expected, got })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_chroma_up_for_odd_sizes() {
        assert_eq!(Sampling::Half.bytes(5, 3), 15 + 2 * 3 * 2);
        assert_eq!(Sampling::HalfWidth.bytes(5, 3), 15 + 2 * 3 * 3);
        assert_eq!(Sampling::Full.bytes(5, 3), 45);
        assert_eq!(Sampling::Grey.bytes(5, 3), 15);
        let planes = [0_u8; 27];
        let sizes: Vec<_> = Sampling::Half
            .split(5, 3, &planes)
            .map(|(plane, width, height)| (plane.len(), width, height))
            .collect();
        assert_eq!(sizes, [(15, 5, 3), (6, 3, 2), (6, 3, 2)]);
    }

    #[test]
    fn halves_chroma_of_whole_and_grey_pictures() {
        let mut planes: Vec<u8> = (0..15).collect();
        planes.extend([10, 20, 30, 40, 50, 10, 20, 30, 40, 50, 0, 4, 8, 12, 16]);
        planes.extend([7; 15]);
        let full = Picture::yuv(5, 3, Sampling::Full, planes.clone().into()).unwrap();
        let halved = full.halved().unwrap();
        let mut expected = planes[..15].to_vec();
        expected.extend([15, 35, 50, 2, 10, 16]);
        expected.extend([7; 6]);
        assert_eq!(
            halved.pixels(),
            &Pixels::Yuv(Sampling::Half, expected.into())
        );
        assert_eq!(halved.halved(), None);

        let grey = Picture::yuv(5, 3, Sampling::Grey, planes[..15].to_vec().into()).unwrap();
        let mut expected = planes[..15].to_vec();
        expected.extend([128; 12]);
        let halved = grey.halved().unwrap();
        assert_eq!(
            halved.pixels(),
            &Pixels::Yuv(Sampling::Half, expected.into())
        );
    }

    #[test]
    fn refuses_bytes_that_are_no_picture() {
        let length = Picture::bgr(2, 2, Bytes::from_static(&[0; 11]));
        assert_eq!(
            length,
            Err(NotAPicture::Length {
                expected: 12,
                got: 11
            })
        );
        for (width, height) in [(0, 1), (1, 0), (MAX_SIDE + 1, 1), (16_000, 16_000)] {
            assert!(check_size(width, height).is_err(), "{width}x{height}");
        }
    }
}
