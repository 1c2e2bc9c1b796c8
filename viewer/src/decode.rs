//! JPEG to pixels; the one place that knows the decoder.
//!
//! The bytes come from the network: a header is believed only within
//! [`MAX_PIXELS`], and what the decoder doubts is not shown.

mod planes;

use std::fmt;

use framegram_common::frame::MAX_PIXELS;
use framegram_common::jpeg::{self, scan};
use framegram_common::receiver::ReceivedFrame;
use turbojpeg::{
    Colorspace, DecompressHeader, Decompressor, Image, PixelFormat, ScalingFactor, YuvImage,
};

pub use planes::{Planes, Sampling};

/// The most scans of a progressive JPEG: encoders use about ten, and each scan
/// costs a pass over the whole picture.
const MAX_SCANS: usize = 64;

/// The most pixels of all scans together: a few bytes are a scan, and what it
/// costs goes by the pixels. Of the largest picture 16 scans are taken, more than
/// any encoder makes; of 4K as many as of smaller ones.
const MAX_SCANNED: usize = 16 * MAX_PIXELS;

/// What libjpeg-turbo remarks on pictures that are whole all the same: padding
/// that some cameras leave before a marker. How many bytes stands before it.
const LEFT_OVER: &str = "extraneous bytes before marker";

/// Decodes JPEGs, one after another.
pub struct Decoder {
    inner: Decompressor,
    /// Memory for pictures that nobody looks at.
    checked: Picture,
}

/// How much smaller than coded a picture is decoded; cheaper than decoding it
/// whole and scaling it down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reduction {
    /// As coded.
    #[default]
    None,
    /// To half the width and height.
    Half,
    /// To a quarter.
    Quarter,
    /// To an eighth.
    Eighth,
}

/// Pixels as a window takes them: one word each, `0x00RRGGBB`, row by row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Picture {
    /// `width * height` words.
    pub pixels: Vec<u32>,
    /// In pixels.
    pub width: usize,
    /// In pixels.
    pub height: usize,
}

/// A JPEG that is not shown, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undecodable(String);

impl Decoder {
    /// # Errors
    /// When the decoder's own memory cannot be had.
    pub fn new() -> Result<Self, Undecodable> {
        Ok(Self {
            inner: decompressor()?,
            checked: Picture::default(),
        })
    }

    /// Width and height in pixels, from the header alone.
    ///
    /// # Errors
    /// When the bytes are no JPEG that would be decoded.
    pub fn size(&mut self, jpeg: &[u8]) -> Result<(usize, usize), Undecodable> {
        let outcome = self.header(jpeg);
        let header = self.fresh_after(outcome)?;
        Ok((header.width, header.height))
    }

    /// Looks for damage where nobody looks at the picture: what no checksum
    /// vouches for is decoded, and of all else the header is read.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn check(&mut self, frame: &ReceivedFrame) -> Result<(), Undecodable> {
        if frame.checked {
            return self.size(&frame.jpeg).map(drop);
        }
        // Every bit is read at any size.
        let mut picture = std::mem::take(&mut self.checked);
        let outcome = self.decode(&frame.jpeg, Reduction::Eighth, &mut picture);
        self.checked = picture;
        outcome
    }

    /// Decodes into `picture`, whose memory is used again. On an error its
    /// content is undefined.
    ///
    /// # Errors
    /// When the bytes are no JPEG, damaged, or larger than [`MAX_PIXELS`].
    pub fn decode(
        &mut self,
        jpeg: &[u8],
        reduction: Reduction,
        picture: &mut Picture,
    ) -> Result<(), Undecodable> {
        let outcome = self.try_decode(jpeg, reduction, picture);
        self.fresh_after(outcome)
    }

    /// Decodes without a detour through RGB; the memory of `planes` is used again.
    ///
    /// # Errors
    /// As [`decode`](Self::decode), and for the rare kinds of sampling and
    /// colour that [`Sampling`] does not have.
    pub fn decode_planes(&mut self, jpeg: &[u8], planes: &mut Planes) -> Result<(), Undecodable> {
        let outcome = self.try_decode_planes(jpeg, planes);
        self.fresh_after(outcome)
    }

    /// Decodes the luma alone into `luma`, whose memory is used again; width
    /// and height in pixels, which are also its row length and rows.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn decode_luma(
        &mut self,
        jpeg: &[u8],
        luma: &mut Vec<u8>,
    ) -> Result<(usize, usize), Undecodable> {
        let outcome = self.try_decode_luma(jpeg, luma);
        self.fresh_after(outcome)
    }

    fn try_decode_luma(
        &mut self,
        jpeg: &[u8],
        luma: &mut Vec<u8>,
    ) -> Result<(usize, usize), Undecodable> {
        let header = self.header(jpeg)?;
        self.inner.set_scaling_factor(ScalingFactor::ONE)?;
        luma.resize(header.width * header.height, 0);
        let image = Image {
            pixels: luma.as_mut_slice(),
            width: header.width,
            pitch: header.width,
            height: header.height,
            format: PixelFormat::GRAY,
        };
        whole(self.inner.decompress(jpeg, image), jpeg)?;
        Ok((header.width, header.height))
    }

    fn try_decode(
        &mut self,
        jpeg: &[u8],
        reduction: Reduction,
        picture: &mut Picture,
    ) -> Result<(), Undecodable> {
        let header = self.header(jpeg)?;
        let scaled = header.scaled(reduction.factor());
        self.inner.set_scaling_factor(reduction.factor())?;
        (picture.width, picture.height) = (scaled.width, scaled.height);
        picture.pixels.resize(scaled.width * scaled.height, 0);
        let image = Image {
            pixels: bytemuck::cast_slice_mut(&mut picture.pixels),
            width: scaled.width,
            pitch: scaled.width * WORD,
            height: scaled.height,
            format: WORD_FORMAT,
        };
        whole(self.inner.decompress(jpeg, image), jpeg)
    }

    fn try_decode_planes(&mut self, jpeg: &[u8], planes: &mut Planes) -> Result<(), Undecodable> {
        let header = self.header(jpeg)?;
        if !matches!(header.colorspace, Colorspace::YCbCr | Colorspace::Gray) {
            return Err(Undecodable(format!("colours are {:?}", header.colorspace)));
        }
        let sampling = Sampling::try_from(header.subsamp)?;
        let length = turbojpeg::yuv_pixels_len(header.width, 1, header.height, header.subsamp)?;
        self.inner.set_scaling_factor(ScalingFactor::ONE)?;
        planes.samples.resize(length, 0);
        (planes.width, planes.height) = (header.width, header.height);
        planes.sampling = sampling;
        let image = YuvImage {
            pixels: planes.samples.as_mut_slice(),
            width: header.width,
            align: 1,
            height: header.height,
            subsamp: header.subsamp,
        };
        whole(self.inner.decompress_to_yuv(jpeg, image), jpeg)
    }

    /// libjpeg-turbo can trip over the next picture after one it gave up: its
    /// marker reader keeps what it had begun.
    fn fresh_after<T>(&mut self, outcome: Result<T, Undecodable>) -> Result<T, Undecodable> {
        if outcome.is_err() {
            self.inner = decompressor()?;
        }
        outcome
    }

    fn header(&mut self, jpeg: &[u8]) -> Result<DecompressHeader, Undecodable> {
        let header = self.inner.read_header(jpeg)?;
        let pixels = header.width.checked_mul(header.height);
        if pixels.is_none_or(|pixels| pixels == 0 || pixels > MAX_PIXELS) {
            return Err(Undecodable(format!(
                "claims {}x{} pixels; at most {MAX_PIXELS} are decoded",
                header.width, header.height
            )));
        }
        let most = MAX_SCANS.min(MAX_SCANNED / (header.width * header.height));
        let scans = jpeg::scan_count(jpeg);
        if scans > most {
            return Err(Undecodable(format!(
                "{scans} scans of {}x{} pixels; at most {most} are decoded",
                header.width, header.height
            )));
        }
        if header.is_lossless {
            return Err(Undecodable("lossless JPEG".to_owned()));
        }
        Ok(header)
    }
}

impl Reduction {
    /// The strongest reduction of a picture that still has at least the pixels
    /// of `shown`, both as width and height.
    #[must_use]
    pub fn towards(coded: (usize, usize), shown: (usize, usize)) -> Self {
        [Self::Eighth, Self::Quarter, Self::Half]
            .into_iter()
            .find(|reduction| {
                let factor = reduction.factor();
                factor.scale(coded.0) >= shown.0 && factor.scale(coded.1) >= shown.1
            })
            .unwrap_or(Self::None)
    }

    /// What is left of a side of a minimum coded unit, a multiple of 8 pixels.
    pub(crate) fn of_unit(self, side: usize) -> usize {
        self.factor().scale(side)
    }

    fn factor(self) -> ScalingFactor {
        match self {
            Self::None => ScalingFactor::ONE,
            Self::Half => ScalingFactor::ONE_HALF,
            Self::Quarter => ScalingFactor::ONE_QUARTER,
            Self::Eighth => ScalingFactor::ONE_EIGHTH,
        }
    }
}

impl Undecodable {
    /// Something is missing that a decoder does not remark.
    pub(crate) fn damaged() -> Self {
        Self("its coded data are damaged".to_owned())
    }
}

impl fmt::Display for Undecodable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a picture that can be decoded: {}", self.0)
    }
}

impl std::error::Error for Undecodable {}

impl From<turbojpeg::Error> for Undecodable {
    fn from(error: turbojpeg::Error) -> Self {
        Self(error.to_string())
    }
}

fn decompressor() -> Result<Decompressor, Undecodable> {
    let mut inner = Decompressor::new()?;
    inner.set_scan_limit(MAX_SCANS as u32)?;
    Ok(inner)
}

/// The decoder reports doubts as errors, after it has decoded what it could.
fn whole(outcome: turbojpeg::Result<()>, jpeg: &[u8]) -> Result<(), Undecodable> {
    match outcome {
        Err(turbojpeg::Error::TurboJpegError(remark)) if is_padding(&remark, jpeg) => Ok(()),
        other => Ok(other?),
    }
}

/// Whether the remark is of padding.
fn is_padding(remark: &str, jpeg: &[u8]) -> bool {
    let Some((before, _)) = remark.split_once(LEFT_OVER) else {
        return false;
    };
    let count = before.split_whitespace().next_back();
    let Some(count) = count.and_then(|count| count.parse::<usize>().ok()) else {
        return false;
    };
    let end = jpeg.windows(2).rposition(|pair| pair == jpeg::END);
    let left_over = end.and_then(|end| jpeg.get(end.checked_sub(count)?..end));
    left_over.is_some_and(scan::is_padding)
}

/// Bytes of one pixel.
const WORD: usize = size_of::<u32>();

/// The order of bytes that makes `0x00RRGGBB` of a word.
const WORD_FORMAT: PixelFormat = if cfg!(target_endian = "little") {
    PixelFormat::BGRX
} else {
    PixelFormat::XRGB
};

#[cfg(test)]
mod tests;
