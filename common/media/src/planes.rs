//! Decoded JPEGs as planes of luma and chroma.

use bytes::Bytes;

use crate::compressor::Compressor;
use crate::error::{CodecError, ImageError};
use crate::image::Image;
use crate::subsampling::Subsampling;

/// Luma and chroma of an image as a JPEG stores them: full range, BT.601.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Planes {
    /// One plane after another. The rows of each are padded to whole chroma samples and have no gap
    /// between them.
    pub(crate) samples: Vec<u8>,
    /// Width of the image in pixels.
    pub width: usize,
    /// Height of the image in pixels.
    pub height: usize,
    /// How chroma is sampled.
    pub subsampling: Subsampling,
}

/// The layout of one plane in memory.
#[derive(Clone, Copy, Debug)]
pub struct Plane {
    /// Samples from one row to the next.
    pub pitch: usize,
    /// Rows, including padding.
    pub rows: usize,
    /// Samples in a row, without padding.
    width: usize,
    /// Rows without padding.
    height: usize,
    /// Pixels that one sample covers, across and down.
    pub step: (usize, usize),
}

impl Planes {
    /// Whether `other` has the same size and subsampling.
    pub fn is_like(&self, other: &Self) -> bool {
        let kind = |planes: &Self| (planes.width, planes.height, planes.subsampling);
        kind(self) == kind(other)
    }

    /// Removes the padding, so that the image can be encoded.
    ///
    /// # Errors
    /// If images of this size are not sent.
    pub(crate) fn into_image(self) -> Result<Image, ImageError> {
        Ok(self.unpadded()?.widened())
    }

    fn unpadded(self) -> Result<Image, ImageError> {
        let (width, height, subsampling) = (self.width, self.height, self.subsampling);
        let mut samples = self.samples;
        let padded = subsampling.padded((width, height));
        if padded != (width, height) {
            crop(&mut samples, padded, (width, height));
        }
        Image::yuv(width, height, subsampling, samples.into())
    }

    /// Encodes this image as a JPEG of `quality` 1 to 100.
    ///
    /// # Errors
    /// Where its size is not one that is sent, or libjpeg-turbo has no memory.
    pub fn to_jpeg(&self, quality: u8) -> Result<Bytes, CodecError> {
        let image = self.clone().unpadded()?;
        Compressor::new()?.compress(&image, quality)
    }

    /// The rows of luma, then of both chroma planes, without padding.
    pub fn rows(&self) -> impl Iterator<Item = &[u8]> {
        self.planes().flat_map(|(samples, plane)| {
            let rows = samples.chunks_exact(plane.pitch).take(plane.height);
            rows.map(move |row| &row[..plane.width])
        })
    }

    /// The samples of each plane, including padding, with their layout.
    pub fn planes(&self) -> impl Iterator<Item = (&[u8], Plane)> {
        let mut rest = self.samples.as_slice();
        self.layout().map_while(move |plane| {
            let samples = rest.split_off(..plane.pitch * plane.rows)?;
            Some((samples, plane))
        })
    }

    /// As [`planes`](Self::planes), mutable.
    pub fn planes_mut(&mut self) -> impl Iterator<Item = (&mut [u8], Plane)> {
        let layout = self.layout();
        let mut rest = self.samples.as_mut_slice();
        layout.map_while(move |plane| {
            let samples = rest.split_off_mut(..plane.pitch * plane.rows)?;
            Some((samples, plane))
        })
    }

    /// The samples of all planes, if there is no padding between them.
    pub fn packed(&self) -> Option<&[u8]> {
        let size = (self.width, self.height);
        let is_packed = self.subsampling.padded(size) == size
            && self.samples.len() == self.subsampling.bytes(size.0, size.1);
        is_packed.then_some(self.samples.as_slice())
    }

    /// Takes the samples of all planes in exchange for `memory`, which the next image uses. Only
    /// possible if there is no padding.
    ///
    /// # Errors
    /// Returns `memory` if there is padding.
    pub fn take_packed(&mut self, memory: Vec<u8>) -> Result<Vec<u8>, Vec<u8>> {
        match self.packed() {
            Some(_) => Ok(std::mem::replace(&mut self.samples, memory)),
            None => Err(memory),
        }
    }

    fn layout(&self) -> impl Iterator<Item = Plane> + use<> {
        let step = self.subsampling.step();
        let padded = self.subsampling.padded((self.width, self.height));
        let chroma = (padded.0 / step.0, padded.1 / step.1);
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
            step,
        };
        [luma, chroma, chroma]
            .into_iter()
            .take(self.subsampling.planes())
    }
}

/// Removes the padding column and row of the luma plane, with which `planes` begins.
fn crop(planes: &mut Vec<u8>, from_size: (usize, usize), size: (usize, usize)) {
    for y in 0..size.1 {
        planes.copy_within(y * from_size.0..y * from_size.0 + size.0, y * size.0);
    }
    planes.drain(size.0 * size.1..from_size.0 * from_size.1);
}
