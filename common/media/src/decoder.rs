//! Decodes JPEGs. All decoding goes through here, so that every sink accepts the same JPEGs.
//!
//! Like other players, it accepts most JPEGs that libjpeg-turbo warns about. It rejects a JPEG that
//! decodes with a warning only if more than one row of minimum coded units is missing at its end.
//! [`vet`](crate::vet) finds what is missing from a JPEG that no checksum covers.
//!
//! The bytes come from the network, so a header may claim at most [`MAX_PIXELS`].

mod colours;
mod halves;
mod plain;

use std::time::Duration;

use bytes::Bytes;
use framegram_common::jpeg::clean;
use turbojpeg::{Colorspace, PixelFormat, ScalingFactor, Subsamp};

use self::halves::HalfDecoder;
use self::plain::PlainDecompressor;
use crate::error::{CodecError, Undecodable};
use crate::helper::HalfWork;
use crate::image::Image;
use crate::libjpeg::{Decompressor, ImageHeader, Remark, plane_sizes};
use crate::limits::{MAX_PIXELS, MAX_SCANS, MAX_STILL_PIXELS, check_size};
use crate::planes::Planes;
use crate::subsampling::Subsampling;
use crate::vet::{Vetter, check_coverage, check_scans};
use crate::xrgb::{WORD_FORMAT, XrgbImage};

/// Decodes JPEGs, one after another.
pub struct Decoder {
    inner: Decompressor,
    /// For planes, from the first one on.
    plain: Option<PlainDecompressor>,
    vetter: Vetter,
    /// Most pixels that a header may claim.
    most: usize,
    /// The first warning of libjpeg-turbo, until [`take_remark`](Self::take_remark).
    remark: Remark,
    second: Option<Box<HalfDecoder>>,
}

/// How much smaller than coded an image is decoded. This is cheaper than decoding it whole and
/// scaling it down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reduction {
    /// Full size.
    #[default]
    None,
    /// Half the width and height.
    Half,
    /// A quarter of the width and height.
    Quarter,
    /// An eighth of the width and height.
    Eighth,
}

impl Decoder {
    /// A decoder for images of up to [`MAX_PIXELS`].
    ///
    /// # Errors
    /// If there is no memory for it.
    pub fn new() -> Result<Self, Undecodable> {
        Ok(Self {
            inner: Decompressor::new(MAX_SCANS)?,
            plain: None,
            vetter: Vetter::default(),
            most: MAX_PIXELS,
            remark: None,
            second: None,
        })
    }

    /// Lets a second thread decode the lower half of large JPEGs with restart
    /// markers to [planes](Self::decode_planes), where that is faster by `clock`; the
    /// planes are the same. The caller runs the work that is returned in that thread.
    ///
    /// # Errors
    /// When the second decoder's own memory cannot be had.
    pub fn second_thread(&mut self, clock: fn() -> Duration) -> Result<HalfWork, Undecodable> {
        let (second, work) = HalfDecoder::new(clock)?;
        self.second = Some(Box::new(second));
        Ok(work)
    }

    /// Width and height in pixels, from the header alone.
    ///
    /// # Errors
    /// If the bytes are not a JPEG that can be decoded.
    pub fn size(&mut self, jpeg: &[u8]) -> Result<(usize, usize), Undecodable> {
        self.run(jpeg, |_, header, _| {
            Ok(((header.width, header.height), None))
        })
    }

    /// Checks the next JPEG of a stream whose images nobody sees: its header can be decoded and its
    /// end is there ([`Vetter`]).
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn check(&mut self, jpeg: &[u8]) -> Result<(), Undecodable> {
        self.size(jpeg)?;
        self.vetter.vet(jpeg)
    }

    /// Returns libjpeg-turbo's first warning about the JPEGs so far, once.
    pub fn take_remark(&mut self) -> Option<String> {
        self.remark.take()
    }

    /// Decodes into `image` and reuses its memory. After an error its content is undefined.
    ///
    /// # Errors
    /// If the bytes are not a JPEG, end early, or claim more than [`MAX_PIXELS`].
    pub fn decode(
        &mut self,
        jpeg: &[u8],
        reduction: Reduction,
        image: &mut XrgbImage,
    ) -> Result<(), Undecodable> {
        let factor = reduction.factor();
        self.run(jpeg, |inner, header, jpeg| {
            image.width = factor.scale(header.width);
            image.height = factor.scale(header.height);
            image.pixels.resize(image.width * image.height, 0);
            let pixels = bytemuck::cast_slice_mut(&mut image.pixels);
            let remark = decompress(inner, header, jpeg, factor, pixels, WORD_FORMAT)?;
            Ok(((), remark))
        })
    }

    /// Decodes at full size into new memory.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn decode_whole(&mut self, jpeg: &[u8]) -> Result<XrgbImage, Undecodable> {
        let mut image = XrgbImage::default();
        self.decode(jpeg, Reduction::None, &mut image)?;
        Ok(image)
    }

    /// Decodes to planes, without a conversion to RGB where possible, and reuses the memory of
    /// `planes`. Subsampling and colours that [`Subsampling`] lacks become 4:4:4.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn decode_planes(&mut self, jpeg: &[u8], planes: &mut Planes) -> Result<(), Undecodable> {
        let Some(mut second) = self.second.take() else {
            return self.decode_planes_alone(jpeg, planes);
        };
        let begun = (second.clock)();
        let two = second.is_next(jpeg);
        let is_done = two && self.decode_halves(jpeg, planes, &mut second);
        let decoded = match is_done {
            true => Ok(()),
            false => self.decode_planes_alone(jpeg, planes),
        };
        let took = (second.clock)().saturating_sub(begun);
        match two && !is_done {
            true => second.choice.refuse(),
            false => second.choice.record(two, took),
        }
        self.second = Some(second);
        decoded
    }

    fn decode_planes_alone(&mut self, jpeg: &[u8], planes: &mut Planes) -> Result<(), Undecodable> {
        let plain = self.plain.take().or_else(PlainDecompressor::new);
        if let Some(mut plain) = plain
            && plain.decode(jpeg, self.most, planes)
        {
            // After it gave up on an image, its state could spoil the next one.
            self.plain = Some(plain);
            return Ok(());
        }
        self.run(jpeg, |inner, header, jpeg| {
            let remark = decompress_planes(inner, header, jpeg, planes)?;
            Ok(((), remark))
        })
    }

    /// Whether both halves were decoded without a remark.
    fn decode_halves(
        &mut self,
        jpeg: &[u8],
        planes: &mut Planes,
        second: &mut HalfDecoder,
    ) -> bool {
        let Ok((header, None)) = self.header(jpeg) else {
            return false;
        };
        let is_done = second.decode(&mut self.inner, jpeg, &header, planes);
        // As in `once`.
        if !is_done && let Ok(fresh) = Decompressor::new(MAX_SCANS) {
            self.inner = fresh;
        }
        is_done
    }

    /// Decodes to an image to be encoded, in planes.
    ///
    /// # Errors
    /// As [`decode`](Self::decode), and for sizes that are not sent.
    pub fn decode_image(&mut self, jpeg: &[u8]) -> Result<Image, CodecError> {
        let mut planes = Planes::default();
        self.decode_planes(jpeg, &mut planes)?;
        check_size(planes.width, planes.height)?;
        Ok(planes.into_image()?)
    }

    /// Decodes a still of up to [`MAX_STILL_PIXELS`], reduced until it can be sent and, if
    /// possible, not below the size `wanted`.
    ///
    /// # Errors
    /// As [`decode`](Self::decode), and if an eighth of its width and height is still too large.
    pub fn decode_large(
        &mut self,
        jpeg: &[u8],
        wanted: (usize, usize),
    ) -> Result<Image, CodecError> {
        self.most = MAX_STILL_PIXELS;
        let decoded = self.run(jpeg, |inner, header, jpeg| {
            let coded = (header.width, header.height);
            let reduction = Reduction::towards(coded, wanted).sendable(coded);
            let factor = reduction.factor();
            let (width, height) = (factor.scale(coded.0), factor.scale(coded.1));
            let mut pixels = vec![0; 3 * width * height];
            let remark = decompress(inner, header, jpeg, factor, &mut pixels, PixelFormat::BGR)?;
            Ok(((width, height, pixels), remark))
        });
        self.most = MAX_PIXELS;
        let (width, height, pixels) = decoded?;
        Ok(Image::bgr(width, height, pixels.into())?)
    }

    /// Decodes only the luma into `luma`, without padding between rows, and reuses its memory.
    /// Returns width and height in pixels.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn decode_luma(
        &mut self,
        jpeg: &[u8],
        luma: &mut Vec<u8>,
    ) -> Result<(usize, usize), Undecodable> {
        self.run(jpeg, |inner, header, jpeg| {
            luma.resize(header.width * header.height, 0);
            let format = PixelFormat::GRAY;
            let remark = decompress(inner, header, jpeg, ScalingFactor::ONE, luma, format)?;
            Ok(((header.width, header.height), remark))
        })
    }

    /// Runs `decode`. If libjpeg-turbo warns, runs it again on the JPEG that [`clean`] makes.
    fn run<T>(
        &mut self,
        jpeg: &[u8],
        mut decode: impl FnMut(
            &mut Decompressor,
            &ImageHeader,
            &[u8],
        ) -> Result<(T, Remark), Undecodable>,
    ) -> Result<T, Undecodable> {
        let mut outcome = self.once(jpeg, &mut decode);
        if let Ok((value, None)) = outcome {
            return Ok(value);
        }
        let cleaned = clean(&Bytes::copy_from_slice(jpeg)).ok();
        let cleaned = cleaned.filter(|cleaned| cleaned != jpeg);
        let jpeg = match &cleaned {
            Some(cleaned) => {
                outcome = self.once(cleaned, &mut decode);
                cleaned
            }
            None => jpeg,
        };
        let (value, remark) = outcome?;
        if let Some(remark) = remark {
            check_coverage(jpeg)?;
            self.remark.get_or_insert(remark);
        }
        Ok(value)
    }

    fn once<T>(
        &mut self,
        jpeg: &[u8],
        decode: &mut impl FnMut(
            &mut Decompressor,
            &ImageHeader,
            &[u8],
        ) -> Result<(T, Remark), Undecodable>,
    ) -> Result<(T, Remark), Undecodable> {
        let outcome = self.header(jpeg).and_then(|(header, remark)| {
            let (value, later) = decode(&mut self.inner, &header, jpeg)?;
            Ok((value, remark.or(later)))
        });
        // After it gave up on an image, libjpeg-turbo's marker reader keeps state that can spoil
        // the next one. And it reports an error that follows a warning as a warning.
        if !matches!(outcome, Ok((_, None))) {
            self.inner = Decompressor::new(MAX_SCANS)?;
        }
        outcome
    }

    fn header(&mut self, jpeg: &[u8]) -> Result<(ImageHeader, Remark), Undecodable> {
        let (mut header, mut remark) = self.inner.read_header(jpeg)?;
        if remark.is_some() {
            // Only a new handle, without the state of the image before, shows whether this header
            // was read.
            self.inner = Decompressor::new(MAX_SCANS)?;
            (header, remark) = self.inner.read_header(jpeg)?;
        }
        let pixels = header.width.checked_mul(header.height);
        if pixels.is_none_or(|pixels| pixels == 0 || pixels > self.most) {
            return Err(Undecodable(format!(
                "its header claims {}x{} pixels, and the limit is {}",
                header.width, header.height, self.most
            )));
        }
        check_scans(jpeg, header.width, header.height)?;
        if header.is_lossless {
            return Err(Undecodable("lossless JPEG".to_owned()));
        }
        Ok((header, remark))
    }
}

/// Decompresses any JPEG to packed pixels.
fn decompress(
    inner: &mut Decompressor,
    header: &ImageHeader,
    jpeg: &[u8],
    factor: ScalingFactor,
    pixels: &mut [u8],
    format: PixelFormat,
) -> Result<Remark, Undecodable> {
    inner.set_factor(factor)?;
    if !matches!(header.colorspace, Colorspace::CMYK | Colorspace::YCCK) {
        return match header.precision {
            8 => inner.decompress(jpeg, header, pixels, format),
            _ => inner.decompress_deep(jpeg, header, pixels, format),
        };
    }
    let mut inks = vec![0; inner.packed_len(header, PixelFormat::CMYK)];
    let remark = match header.precision {
        8 => inner.decompress(jpeg, header, &mut inks, PixelFormat::CMYK),
        _ => inner.decompress_deep(jpeg, header, &mut inks, PixelFormat::CMYK),
    }?;
    colours::print(&inks, colours::is_inverted(jpeg), pixels, format);
    Ok(remark)
}

/// Whether its samples are those of planes.
fn is_plain(header: &ImageHeader) -> bool {
    matches!(header.colorspace, Colorspace::YCbCr | Colorspace::Gray) && header.precision == 8
}

fn decompress_planes(
    inner: &mut Decompressor,
    header: &ImageHeader,
    jpeg: &[u8],
    planes: &mut Planes,
) -> Result<Remark, Undecodable> {
    (planes.width, planes.height) = (header.width, header.height);
    if !is_plain(header) || header.subsamp == Subsamp::Unknown {
        let mut pixels = vec![0; 3 * header.width * header.height];
        let format = PixelFormat::RGB;
        let remark = decompress(inner, header, jpeg, ScalingFactor::ONE, &mut pixels, format)?;
        planes.subsampling = Subsampling::Yuv444;
        colours::to_planes(&pixels, &mut planes.samples);
        return Ok(remark);
    }
    inner.set_factor(ScalingFactor::ONE)?;
    let sizes = plane_sizes(header);
    planes.samples.resize(sizes.iter().sum(), 0);
    let mut rest = planes.samples.as_mut_slice();
    let parts = sizes.map(|size| rest.split_off_mut(..size).unwrap_or_default());
    let remark = inner.decompress_planes(jpeg, header, parts)?;
    planes.subsampling = match Subsampling::of_jpeg(header.subsamp) {
        Some(subsampling) => subsampling,
        None => {
            // Rows share chroma samples and columns do not.
            let rows = if header.subsamp == Subsamp::Sub1x2 {
                2
            } else {
                4
            };
            colours::repeat_rows(&mut planes.samples, (header.width, header.height), rows);
            Subsampling::Yuv444
        }
    };
    Ok(remark)
}

impl Reduction {
    /// Returns the strongest reduction that leaves at least the width and height `shown`.
    pub fn towards(coded: (usize, usize), shown: (usize, usize)) -> Self {
        [Self::Eighth, Self::Quarter, Self::Half]
            .into_iter()
            .find(|reduction| {
                let factor = reduction.factor();
                factor.scale(coded.0) >= shown.0 && factor.scale(coded.1) >= shown.1
            })
            .unwrap_or(Self::None)
    }

    /// Returns the weakest reduction, at least this one, that makes an image of this size small
    /// enough to be sent; an eighth if none does.
    fn sendable(self, coded: (usize, usize)) -> Self {
        let fits = |reduction: &Self| {
            let factor = reduction.factor();
            check_size(factor.scale(coded.0), factor.scale(coded.1)).is_ok()
        };
        [Self::None, Self::Half, Self::Quarter]
            .into_iter()
            .filter(|reduction| *reduction >= self)
            .find(fits)
            .unwrap_or(Self::Eighth)
    }

    /// Scales the side of a minimum coded unit, a multiple of 8 pixels.
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

#[cfg(test)]
mod tests;
