//! How much chroma there is.

use turbojpeg::Subsamp;

/// How many luma samples share one of chroma, as libjpeg and Y4M name it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Subsampling {
    /// 4:2:0: two columns and two rows share one.
    #[default]
    Yuv420,
    /// 4:2:2: two columns share one.
    Yuv422,
    /// 4:4:4: each has its own.
    Yuv444,
    /// 4:1:1: four columns share one.
    Yuv411,
    /// There is no chroma.
    Gray,
}

impl Subsampling {
    /// Luma samples across and down for one of chroma.
    #[must_use]
    pub(crate) fn step(self) -> (usize, usize) {
        match self {
            Self::Yuv420 => (2, 2),
            Self::Yuv422 => (2, 1),
            Self::Yuv411 => (4, 1),
            Self::Yuv444 | Self::Gray => (1, 1),
        }
    }

    /// That of a JPEG; `None` for the rare kinds that are not here.
    pub(crate) fn of_jpeg(subsamp: Subsamp) -> Option<Self> {
        match subsamp {
            Subsamp::Sub2x2 => Some(Self::Yuv420),
            Subsamp::Sub2x1 => Some(Self::Yuv422),
            Subsamp::None => Some(Self::Yuv444),
            Subsamp::Sub4x1 => Some(Self::Yuv411),
            Subsamp::Gray => Some(Self::Gray),
            _ => None,
        }
    }

    pub(crate) fn to_jpeg(self) -> Subsamp {
        match self {
            Self::Yuv420 => Subsamp::Sub2x2,
            Self::Yuv422 => Subsamp::Sub2x1,
            Self::Yuv444 => Subsamp::None,
            Self::Yuv411 => Subsamp::Sub4x1,
            Self::Gray => Subsamp::Gray,
        }
    }
}
