//! Chroma subsampling.

use turbojpeg::Subsamp;

/// How many luma samples share a chroma sample; names as in libjpeg and Y4M.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Subsampling {
    /// 4:2:0: two columns and two rows share a sample.
    #[default]
    Yuv420,
    /// 4:2:2: two columns share a sample.
    Yuv422,
    /// 4:4:4: every pixel has its own sample.
    Yuv444,
    /// 4:1:1: four columns share a sample.
    Yuv411,
    /// No chroma.
    Gray,
}

impl Subsampling {
    /// Width and height of each chroma plane of an image, if there is chroma.
    pub fn chroma(self, width: usize, height: usize) -> Option<(usize, usize)> {
        let (across, down) = self.step();
        (self != Self::Gray).then(|| (width.div_ceil(across), height.div_ceil(down)))
    }

    /// Bytes of all planes of an image without padding.
    pub fn bytes(self, width: usize, height: usize) -> usize {
        let (chroma_width, chroma_height) = self.chroma(width, height).unwrap_or((0, 0));
        width * height + 2 * chroma_width * chroma_height
    }

    /// The same, padded as libjpeg-turbo writes them.
    pub(crate) fn padded_bytes(self, width: usize, height: usize) -> usize {
        let (width, height) = self.padded((width, height));
        self.bytes(width, height)
    }

    /// The number of planes.
    pub(crate) fn planes(self) -> usize {
        if self == Self::Gray { 1 } else { 3 }
    }

    /// Splits `planes` into planes, each with its width and height.
    ///
    /// # Panics
    /// If `planes` is shorter than [`bytes`](Self::bytes).
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

    /// The size of a luma plane in libjpeg-turbo. It is padded to whole chroma samples.
    pub(crate) fn padded(self, (width, height): (usize, usize)) -> (usize, usize) {
        let (across, down) = self.step();
        (
            width.next_multiple_of(across),
            height.next_multiple_of(down),
        )
    }

    /// Luma samples across and down that share a chroma sample.
    pub(crate) fn step(self) -> (usize, usize) {
        match self {
            Self::Yuv420 => (2, 2),
            Self::Yuv422 => (2, 1),
            Self::Yuv411 => (4, 1),
            Self::Yuv444 | Self::Gray => (1, 1),
        }
    }

    /// The subsampling of a JPEG; `None` for the rare kinds that have no variant.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_chroma_up_at_odd_sizes() {
        assert_eq!(Subsampling::Yuv420.bytes(5, 3), 15 + 2 * 3 * 2);
        assert_eq!(Subsampling::Yuv422.bytes(5, 3), 15 + 2 * 3 * 3);
        assert_eq!(Subsampling::Yuv411.bytes(5, 3), 15 + 2 * 2 * 3);
        assert_eq!(Subsampling::Yuv444.bytes(5, 3), 45);
        assert_eq!(Subsampling::Gray.bytes(5, 3), 15);
        let planes = [0_u8; 27];
        let sizes: Vec<_> = Subsampling::Yuv420
            .split(5, 3, &planes)
            .map(|(plane, width, height)| (plane.len(), width, height))
            .collect();
        assert_eq!(sizes, [(15, 5, 3), (6, 3, 2), (6, 3, 2)]);
    }
}
