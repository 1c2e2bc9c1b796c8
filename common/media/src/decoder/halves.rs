//! The halves of a JPEG, decoded side by side to planes.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use framegram_common::jpeg::JpegHeader;
use framegram_common::jpeg::halves::halve;
use turbojpeg::ScalingFactor;

use super::is_plain;
use crate::choice::Choice;
use crate::error::Undecodable;
use crate::helper::{HalfWork, Helper};
use crate::libjpeg::{Decompressor, ImageHeader, plane_sizes};
use crate::limits::MAX_SCANS;
use crate::planes::Planes;
use crate::subsampling::Subsampling;

/// The thread that decodes lower halves.
pub(super) struct HalfDecoder {
    helper: Helper<Half, Half>,
    pub(super) choice: Choice,
    pub(super) clock: fn() -> Duration,
    /// Memory for the JPEGs of both halves.
    jpegs: [Vec<u8>; 2],
}

/// Half of a JPEG, and its part of each plane.
struct Half {
    jpeg: Vec<u8>,
    header: ImageHeader,
    planes: Vec<BytesMut>,
    /// Whether it was decoded, without a remark.
    is_done: bool,
}

impl HalfDecoder {
    pub(super) fn new(clock: fn() -> Duration) -> Result<(Self, HalfWork), Undecodable> {
        let mut inner = Decompressor::new(MAX_SCANS)?;
        let (helper, work) = Helper::new(move |mut half: Half| {
            half.decode(&mut inner);
            if !half.is_done
                && let Ok(fresh) = Decompressor::new(MAX_SCANS)
            {
                inner = fresh;
            }
            half
        });
        let second = Self {
            helper,
            choice: Choice::new("decodes"),
            clock,
            jpegs: Default::default(),
        };
        Ok((second, work))
    }

    /// Whether the next JPEG is for two threads.
    pub(super) fn is_next(&mut self, jpeg: &[u8]) -> bool {
        JpegHeader::parse(jpeg).is_ok_and(|header| {
            self.choice
                .next((header.width.into(), header.height.into()))
        })
    }

    /// Decodes the upper half by `inner` while the thread decodes the lower one. Returns whether
    /// both were decoded without a remark; otherwise the planes are undefined.
    pub(super) fn decode(
        &mut self,
        inner: &mut Decompressor,
        jpeg: &[u8],
        header: &ImageHeader,
        planes: &mut Planes,
    ) -> bool {
        let subsampling = Subsampling::of_jpeg(header.subsamp);
        let Some(subsampling) = subsampling.filter(|_| is_plain(header)) else {
            return false;
        };
        let Some(heights) = halve(jpeg, &mut self.jpegs) else {
            return false;
        };
        let headers = heights.map(|height| ImageHeader {
            height: height.into(),
            ..*header
        });
        let sizes = headers.each_ref().map(plane_sizes);
        let mut samples = std::mem::take(&mut planes.samples);
        samples.resize(sizes.iter().flatten().sum(), 0);
        // Each thread owns its parts; they lie next to each other in the same memory.
        let mut rest = BytesMut::from(Bytes::from(samples));
        let [mut upper, mut lower] = [Vec::new(), Vec::new()];
        for (above, below) in sizes[0].into_iter().zip(sizes[1]) {
            upper.push(rest.split_to(above));
            lower.push(rest.split_to(below));
        }
        let [jpeg, lower_jpeg] = self.jpegs.each_mut().map(std::mem::take);
        self.helper.give(Half {
            jpeg: lower_jpeg,
            header: headers[1],
            planes: lower,
            is_done: false,
        });
        let mut upper = Half {
            jpeg,
            header: headers[0],
            planes: upper,
            is_done: false,
        };
        upper.decode(inner);
        let Some(lower) = self.helper.take() else {
            return false;
        };
        let mut whole = BytesMut::new();
        for (above, below) in upper.planes.into_iter().zip(lower.planes) {
            whole.unsplit(above);
            whole.unsplit(below);
        }
        whole.unsplit(rest);
        planes.samples = whole.into();
        (planes.width, planes.height) = (header.width, header.height);
        planes.subsampling = subsampling;
        self.jpegs = [upper.jpeg, lower.jpeg];
        upper.is_done && lower.is_done
    }
}

impl Half {
    fn decode(&mut self, inner: &mut Decompressor) {
        let outcome = self.try_decode(inner);
        self.is_done = matches!(outcome, Ok(true));
    }

    /// Whether it was decoded, without a remark.
    fn try_decode(&mut self, inner: &mut Decompressor) -> Result<bool, Undecodable> {
        // The planes are as large as this header says.
        let (header, remark) = inner.read_header(&self.jpeg)?;
        if header != self.header || remark.is_some() {
            return Ok(false);
        }
        inner.set_factor(ScalingFactor::ONE)?;
        let planes = self.planes.iter_mut().map(BytesMut::as_mut);
        let remark = inner.decompress_planes(&self.jpeg, &header, planes)?;
        Ok(remark.is_none())
    }
}
