//! Rotation and mirroring of images.

use super::{Image, Pixels};
use crate::error::ImageError;
use crate::subsampling::Subsampling;

/// A rotation by quarters with mirroring: first the transposition, then the mirroring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// Columns become rows.
    pub transpose: bool,
    /// Swap left and right.
    pub mirror_x: bool,
    /// Swap top and bottom.
    pub mirror_y: bool,
}

impl Image {
    /// Returns the image turned.
    ///
    /// # Errors
    /// If images of the new size are not sent.
    pub fn turned(&self, turn: Turn) -> Result<Self, ImageError> {
        let (width, height) = (self.width, self.height);
        let size = match turn.transpose {
            true => (height, width),
            false => (width, height),
        };
        match &self.pixels {
            Pixels::Bgr(pixels) => {
                let turned = turn.plane::<3>(pixels, width, height);
                Self::bgr(size.0, size.1, turned.into())
            }
            Pixels::Yuv(subsampling, planes) => {
                // In the turned image, rows would share chroma samples.
                let shared = turn.transpose
                    && matches!(subsampling, Subsampling::Yuv422 | Subsampling::Yuv411);
                let mut turned = Vec::with_capacity(planes.len());
                for (index, (plane, own_width, own_height)) in
                    subsampling.split(width, height, planes).enumerate()
                {
                    if shared && index > 0 {
                        let whole = widened(plane, own_width, width);
                        turned.extend(turn.plane::<1>(&whole, width, own_height));
                    } else {
                        turned.extend(turn.plane::<1>(plane, own_width, own_height));
                    }
                }
                let subsampling = if shared {
                    Subsampling::Yuv444
                } else {
                    *subsampling
                };
                Self::yuv(size.0, size.1, subsampling, turned.into())
            }
        }
    }
}

impl Turn {
    /// Turns a plane of `N` bytes a pixel.
    fn plane<const N: usize>(self, plane: &[u8], width: usize, height: usize) -> Vec<u8> {
        let pixels = plane.as_chunks::<N>().0;
        let (columns, rows) = match self.transpose {
            true => (height, width),
            false => (width, height),
        };
        let mut turned = Vec::with_capacity(plane.len());
        for y in 0..rows {
            let y = if self.mirror_y { rows - 1 - y } else { y };
            for x in 0..columns {
                let x = if self.mirror_x { columns - 1 - x } else { x };
                let (x, y) = if self.transpose { (y, x) } else { (x, y) };
                turned.extend_from_slice(&pixels[y * width + x]);
            }
        }
        turned
    }
}

/// Repeats samples to make rows of width `to`.
fn widened(plane: &[u8], from: usize, to: usize) -> Vec<u8> {
    let rows = plane.chunks_exact(from);
    rows.flat_map(|row| (0..to).map(move |x| row[x * from / to]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turned(transpose: bool, mirror_x: bool, mirror_y: bool) -> Vec<u8> {
        let image = Image::yuv(3, 2, Subsampling::Gray, vec![1, 2, 3, 4, 5, 6].into()).unwrap();
        let turn = Turn {
            transpose,
            mirror_x,
            mirror_y,
        };
        let turned = image.turned(turn).unwrap();
        let size = if transpose { (2, 3) } else { (3, 2) };
        assert_eq!((turned.width(), turned.height()), size);
        let Pixels::Yuv(_, planes) = turned.pixels() else {
            panic!("planes stay planes");
        };
        planes.to_vec()
    }

    #[test]
    fn turns_and_mirrors() {
        assert_eq!(turned(false, true, false), [3, 2, 1, 6, 5, 4]);
        assert_eq!(turned(false, true, true), [6, 5, 4, 3, 2, 1]);
        // A quarter clockwise, then counterclockwise.
        assert_eq!(turned(true, true, false), [4, 1, 5, 2, 6, 3]);
        assert_eq!(turned(true, false, true), [3, 6, 2, 5, 1, 4]);
    }

    #[test]
    fn chroma_goes_with_its_pixels() {
        let mut planes = vec![0; 12];
        planes.extend([1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16]);
        let image = Image::yuv(4, 3, Subsampling::Yuv422, planes.into()).unwrap();
        let clockwise = Turn {
            transpose: true,
            mirror_x: true,
            mirror_y: false,
        };
        let turned = image.turned(clockwise).unwrap();
        let Pixels::Yuv(Subsampling::Yuv444, planes) = turned.pixels() else {
            panic!("{turned:?}");
        };
        assert_eq!(planes[12..24], [5, 3, 1, 5, 3, 1, 6, 4, 2, 6, 4, 2]);
    }
}
