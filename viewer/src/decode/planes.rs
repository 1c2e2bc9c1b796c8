//! Pictures as the JPEG holds them: luma and chroma, each in a plane of its own.

use turbojpeg::{Subsamp, YuvImage};

use super::Undecodable;

/// Luma and chroma of a picture, as the JPEG holds them (full range, BT.601).
#[derive(Clone, Debug, Default)]
pub struct Planes {
    /// The planes one after another, each plane's rows without a gap between
    /// them, but padded to whole chroma samples.
    pub(super) samples: Vec<u8>,
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
