//! JPEG to pixels; the one file that knows the decoder.
//!
//! The bytes come from the network: a header is believed only within
//! [`MAX_PIXELS`], and what the decoder doubts is not shown.

use std::fmt;

use turbojpeg::{
    Colorspace, DecompressHeader, Decompressor, Image, PixelFormat, ScalingFactor, Subsamp,
    YuvImage,
};

/// The largest picture that is decoded, in pixels: 8K. It bounds what a header
/// of a few bytes may make this program allocate (132 MB for the pixels).
pub const MAX_PIXELS: usize = 7680 * 4320;

/// The most scans of a progressive JPEG: encoders use about ten, and each scan
/// costs a pass over the whole picture.
const MAX_SCANS: u32 = 64;

/// What libjpeg-turbo remarks on pictures that are whole all the same: padding
/// that some cameras leave before a marker.
const HARMLESS: &str = "extraneous bytes before marker";

/// Decodes JPEGs, one after another.
pub struct Decoder {
    inner: Decompressor,
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

/// Luma and chroma of a picture, as the JPEG holds them (full range, BT.601).
#[derive(Clone, Debug, Default)]
pub struct Planes {
    /// The planes one after another, each plane's rows without a gap between
    /// them, but padded to whole chroma samples.
    samples: Vec<u8>,
    /// Width of the picture in pixels.
    pub width: usize,
    /// Height of the picture in pixels.
    pub height: usize,
    /// How chroma is sampled.
    pub sampling: Sampling,
}

/// How one plane lies in memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plane {
    /// Samples from row to row.
    pub(crate) pitch: usize,
    /// Rows with their padding.
    pub(crate) rows: usize,
    /// Samples a row without padding.
    width: usize,
    /// Rows without padding.
    height: usize,
    /// Pixels across and down that one sample stands for.
    pub(crate) step: (usize, usize),
}

/// How many luma samples stand for one of chroma.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sampling {
    /// 4:2:0
    #[default]
    Quarter,
    /// 4:2:2
    HalfAcross,
    /// 4:4:4
    Full,
    /// 4:1:1
    QuarterAcross,
    /// No chroma.
    Grey,
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
        whole(self.inner.decompress(jpeg, image))?;
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
        whole(self.inner.decompress(jpeg, image))
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
        whole(self.inner.decompress_to_yuv(
            jpeg,
            YuvImage {
                pixels: planes.samples.as_mut_slice(),
                width: header.width,
                align: 1,
                height: header.height,
                subsamp: header.subsamp,
            },
        ))
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

impl Planes {
    /// Whether another picture has the same size and sampling.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        let kind = |planes: &Self| (planes.width, planes.height, planes.sampling);
        kind(self) == kind(other)
    }

    /// A JPEG of this picture.
    ///
    /// # Errors
    /// Where there is none.
    pub fn to_jpeg(&self, quality: i32) -> anyhow::Result<Vec<u8>> {
        let mut compressor = turbojpeg::Compressor::new()?;
        compressor.set_quality(quality)?;
        let image = YuvImage {
            pixels: self.samples.as_slice(),
            width: self.width,
            align: 1,
            height: self.height,
            subsamp: self.sampling.into(),
        };
        Ok(compressor.compress_yuv_to_vec(image)?)
    }

    /// The rows of all planes in turn (luma, then both of chroma), without padding.
    pub fn rows(&self) -> impl Iterator<Item = &[u8]> {
        self.planes().flat_map(|(samples, plane)| {
            let rows = samples.chunks_exact(plane.pitch).take(plane.height);
            rows.map(move |row| &row[..plane.width])
        })
    }

    /// The samples of each plane with their padding, and how they are laid out.
    pub(crate) fn planes(&self) -> impl Iterator<Item = (&[u8], Plane)> {
        let mut rest = self.samples.as_slice();
        self.layout().map_while(move |plane| {
            let samples = rest.split_off(..plane.pitch * plane.rows)?;
            Some((samples, plane))
        })
    }

    /// The same, to be written to.
    pub(crate) fn planes_mut(&mut self) -> impl Iterator<Item = (&mut [u8], Plane)> {
        let layout = self.layout();
        let mut rest = self.samples.as_mut_slice();
        layout.map_while(move |plane| {
            let samples = rest.split_off_mut(..plane.pitch * plane.rows)?;
            Some((samples, plane))
        })
    }

    fn layout(&self) -> impl Iterator<Item = Plane> + use<> {
        let (across, down) = self.sampling.step();
        let chroma = (self.width.div_ceil(across), self.height.div_ceil(down));
        let padded = (chroma.0 * across, chroma.1 * down);
        let planes = if self.sampling == Sampling::Grey {
            1
        } else {
            3
        };
        let luma = Plane {
            pitch: padded.0,
            rows: padded.1,
            width: self.width,
            height: self.height,
            step: (1, 1),
        };
        let chroma = Plane {
            pitch: chroma.0,
            rows: chroma.1,
            width: chroma.0,
            height: chroma.1,
            step: (across, down),
        };
        [luma, chroma, chroma].into_iter().take(planes)
    }
}

impl Sampling {
    /// Luma samples across and down for one of chroma.
    fn step(self) -> (usize, usize) {
        match self {
            Self::Quarter => (2, 2),
            Self::HalfAcross => (2, 1),
            Self::QuarterAcross => (4, 1),
            Self::Full | Self::Grey => (1, 1),
        }
    }
}

impl From<Sampling> for Subsamp {
    fn from(sampling: Sampling) -> Self {
        match sampling {
            Sampling::Quarter => Self::Sub2x2,
            Sampling::HalfAcross => Self::Sub2x1,
            Sampling::Full => Self::None,
            Sampling::QuarterAcross => Self::Sub4x1,
            Sampling::Grey => Self::Gray,
        }
    }
}

impl TryFrom<Subsamp> for Sampling {
    type Error = Undecodable;

    fn try_from(subsamp: Subsamp) -> Result<Self, Undecodable> {
        match subsamp {
            Subsamp::Sub2x2 => Ok(Self::Quarter),
            Subsamp::Sub2x1 => Ok(Self::HalfAcross),
            Subsamp::None => Ok(Self::Full),
            Subsamp::Sub4x1 => Ok(Self::QuarterAcross),
            Subsamp::Gray => Ok(Self::Grey),
            other => Err(Undecodable(format!("chroma is sampled as {other:?}"))),
        }
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
    inner.set_scan_limit(MAX_SCANS)?;
    Ok(inner)
}

/// The decoder reports doubts as errors, after it has decoded what it could.
fn whole(outcome: turbojpeg::Result<()>) -> Result<(), Undecodable> {
    match outcome {
        Err(turbojpeg::Error::TurboJpegError(remark)) if remark.contains(HARMLESS) => Ok(()),
        other => Ok(other?),
    }
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
mod tests {
    use super::*;
    use crate::fixture::{jpeg, quadrants};

    #[test]
    fn decodes_red_green_and_blue_to_the_words_of_a_window() {
        let mut picture = Picture::default();
        Decoder::new()
            .unwrap()
            .decode(&quadrants(64, 48), Reduction::None, &mut picture)
            .unwrap();
        assert_eq!((picture.width, picture.height), (64, 48));
        let at = |x: usize, y: usize| picture.pixels[y * 64 + x] & 0x00ff_ffff;
        for (seen, expected) in [
            (at(8, 8), 0xff_0000),
            (at(56, 8), 0x00_ff00),
            (at(8, 40), 0x00_00ff),
            (at(56, 40), 0xff_ffff),
        ] {
            for shift in [0, 8, 16] {
                let (a, b) = ((seen >> shift) & 255, (expected >> shift) & 255_u32);
                assert!(a.abs_diff(b) < 8, "{seen:06x} is not {expected:06x}");
            }
        }
    }

    #[test]
    fn decodes_smaller_where_less_is_shown() {
        assert_eq!(
            Reduction::towards((1920, 1080), (1920, 1080)),
            Reduction::None
        );
        assert_eq!(
            Reduction::towards((1920, 1080), (961, 540)),
            Reduction::None
        );
        assert_eq!(
            Reduction::towards((1920, 1080), (960, 540)),
            Reduction::Half
        );
        assert_eq!(
            Reduction::towards((1920, 1080), (100, 56)),
            Reduction::Eighth
        );
        let mut picture = Picture::default();
        Decoder::new()
            .unwrap()
            .decode(&quadrants(63, 49), Reduction::Half, &mut picture)
            .unwrap();
        assert_eq!((picture.width, picture.height), (32, 25));
        assert_eq!(picture.pixels.len(), 32 * 25);
    }

    #[test]
    fn uses_the_memory_of_a_larger_picture_again() {
        let mut decoder = Decoder::new().unwrap();
        let mut picture = Picture::default();
        decoder
            .decode(&quadrants(64, 64), Reduction::None, &mut picture)
            .unwrap();
        let memory = picture.pixels.as_ptr();
        decoder
            .decode(&quadrants(32, 32), Reduction::None, &mut picture)
            .unwrap();
        assert_eq!(picture.pixels.len(), 32 * 32);
        assert_eq!(picture.pixels.as_ptr(), memory);
    }

    #[test]
    fn refuses_a_header_that_claims_gigabytes() {
        let mut bytes = quadrants(64, 48);
        let sof = bytes.windows(2).position(|w| w == [0xff, 0xc0]).unwrap();
        bytes[sof + 5..sof + 9].copy_from_slice(&[0xff, 0xdc, 0xff, 0xdc]);
        let mut decoder = Decoder::new().unwrap();
        let mut picture = Picture::default();
        let error = decoder
            .decode(&bytes, Reduction::None, &mut picture)
            .unwrap_err();
        assert!(error.to_string().contains("65500x65500"), "{error}");
        assert_eq!(picture.pixels.capacity(), 0);
        assert!(decoder.size(&bytes).is_err());
        assert!(
            decoder
                .decode_planes(&bytes, &mut Planes::default())
                .is_err()
        );
    }

    #[test]
    fn refuses_what_is_cut_short_or_no_jpeg() {
        let bytes = quadrants(64, 48);
        let mut decoder = Decoder::new().unwrap();
        let mut picture = Picture::default();
        for broken in [
            &bytes[..bytes.len() * 3 / 4],
            b"not a jpeg",
            b"",
            &[0xff, 0xd8],
        ] {
            let outcome = decoder.decode(broken, Reduction::None, &mut picture);
            assert!(outcome.is_err(), "{} bytes were taken", broken.len());
            decoder
                .decode(&bytes, Reduction::None, &mut picture)
                .expect("a good picture after a broken one");
        }
    }

    /// Some UVC cameras pad the scan before the end marker.
    #[test]
    fn takes_a_camera_s_padding_before_the_end_marker() {
        let mut bytes = quadrants(64, 48);
        let end = bytes.len() - 2;
        bytes.splice(end..end, [0x00, 0x00, 0x00]);
        Decoder::new()
            .unwrap()
            .decode(&bytes, Reduction::None, &mut Picture::default())
            .unwrap();
    }

    #[test]
    fn gives_planes_without_padding_at_odd_sizes() {
        let mut decoder = Decoder::new().unwrap();
        let mut planes = Planes::default();
        for (subsamp, sampling, chroma) in [
            (Subsamp::Sub2x2, Sampling::Quarter, (32, 24)),
            (Subsamp::Sub2x1, Sampling::HalfAcross, (32, 47)),
            (Subsamp::Sub4x1, Sampling::QuarterAcross, (16, 47)),
            (Subsamp::None, Sampling::Full, (63, 47)),
            (Subsamp::Gray, Sampling::Grey, (0, 0)),
        ] {
            decoder
                .decode_planes(&jpeg(63, 47, subsamp, |_, _| [200, 200, 200]), &mut planes)
                .unwrap();
            assert_eq!(planes.sampling, sampling);
            let rows: Vec<&[u8]> = planes.rows().collect();
            assert_eq!(rows.len(), 47 + 2 * chroma.1);
            let bytes: usize = rows.iter().map(|row| row.len()).sum();
            assert_eq!(bytes, 63 * 47 + 2 * chroma.0 * chroma.1);
            assert!(
                rows[..47]
                    .iter()
                    .all(|row| row.iter().all(|&y| y.abs_diff(200) < 4))
            );
            assert!(
                rows[47..]
                    .iter()
                    .all(|row| row.iter().all(|&c| c.abs_diff(128) < 4))
            );
        }
    }

    #[test]
    fn refuses_planes_of_rare_sampling() {
        let tall = jpeg(64, 64, Subsamp::Sub1x2, |_, _| [9, 9, 9]);
        let mut decoder = Decoder::new().unwrap();
        assert!(
            decoder
                .decode_planes(&tall, &mut Planes::default())
                .is_err()
        );
        assert!(decoder.size(&tall).is_ok());
    }
}
