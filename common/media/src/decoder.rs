//! JPEG to pixels.
//!
//! The bytes come from the network: a header is believed only within
//! [`MAX_PIXELS`], and what the decoder doubts is not shown.

use framegram_common::jpeg::{self, scan};
use turbojpeg::{
    Colorspace, DecompressHeader, Decompressor, Image, PixelFormat, ScalingFactor, YuvImage,
};

use crate::error::Undecodable;
use crate::limits::{MAX_PIXELS, MAX_SCANNED_PIXELS, MAX_SCANS};
use crate::planes::Planes;
use crate::subsampling::Subsampling;
use crate::xrgb::{WORD, WORD_FORMAT, XrgbImage};

/// What libjpeg-turbo remarks on pictures that are whole all the same: padding
/// that some cameras leave before a marker. How many bytes stands before it.
const LEFT_OVER: &str = "extraneous bytes before marker";

/// Decodes JPEGs, one after another.
pub struct Decoder {
    inner: Decompressor,
    /// Memory for pictures that nobody looks at.
    checked: XrgbImage,
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

impl Decoder {
    /// # Errors
    /// When the decoder's own memory cannot be had.
    pub fn new() -> Result<Self, Undecodable> {
        Ok(Self {
            inner: decompressor()?,
            checked: XrgbImage::default(),
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

    /// Looks for damage where nobody looks at the image: a JPEG that is `vouched`
    /// for by a checksum has its header read, any other is decoded.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn check(&mut self, jpeg: &[u8], vouched: bool) -> Result<(), Undecodable> {
        if vouched {
            return self.size(jpeg).map(drop);
        }
        // Every bit is read at any size.
        let mut picture = std::mem::take(&mut self.checked);
        let outcome = self.decode(jpeg, Reduction::Eighth, &mut picture);
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
        picture: &mut XrgbImage,
    ) -> Result<(), Undecodable> {
        let outcome = self.try_decode(jpeg, reduction, picture);
        self.fresh_after(outcome)
    }

    /// Decodes at full size into fresh memory.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn decode_whole(&mut self, jpeg: &[u8]) -> Result<XrgbImage, Undecodable> {
        let mut image = XrgbImage::default();
        self.decode(jpeg, Reduction::None, &mut image)?;
        Ok(image)
    }

    /// Decodes without a detour through RGB; the memory of `planes` is used again.
    ///
    /// # Errors
    /// As [`decode`](Self::decode), and for rare kinds of colour and those of
    /// sampling that [`Subsampling`] does not have.
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
        picture: &mut XrgbImage,
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
        let Some(subsampling) = Subsampling::of_jpeg(header.subsamp) else {
            return Err(Undecodable(format!(
                "chroma is sampled as {:?}",
                header.subsamp
            )));
        };
        let length = turbojpeg::yuv_pixels_len(header.width, 1, header.height, header.subsamp)?;
        self.inner.set_scaling_factor(ScalingFactor::ONE)?;
        planes.samples.resize(length, 0);
        (planes.width, planes.height) = (header.width, header.height);
        planes.subsampling = subsampling;
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
        let most = MAX_SCANS.min(MAX_SCANNED_PIXELS / (header.width * header.height));
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
    #[must_use]
    pub fn of_unit(self, side: usize) -> usize {
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

#[cfg(test)]
mod tests;
