//! What is missing of a JPEG, pixels aside.

use framegram_common::jpeg::scan::{self, Coverage};
use framegram_common::jpeg::{JpegHeader, Process, slice_starts};

use crate::error::Undecodable;

/// Complete frames in a row after which a stream is taken as steady.
const PROOF: u32 = 16;

/// Of a steady stream one in this many is read to its end: that takes as long as
/// half of decoding it.
const SAMPLE: u32 = 8;

/// One that is shorter than the others by more than one part in this many and one
/// more is read too: that much of it may be missing.
const SHORTER: usize = 15;

/// An end of image, which a device that breaks off does not write.
const END: [u8; 2] = [0xff, 0xd9];

/// Looks for what is missing of a JPEG. `vouched`: a checksum says that it is as
/// it was sent; then it owes to its source what is odd, and is looked at for its
/// end. Others have to be such as an encoder makes.
///
/// # Errors
/// Where something is missing.
pub fn vet(jpeg: &[u8], vouched: bool) -> Result<(), Undecodable> {
    if vouched {
        check_coverage(jpeg)
    } else if scan::may_be_complete(jpeg) {
        Ok(())
    } else {
        Err(Undecodable("its coded data are damaged".into()))
    }
}

/// Looks at the frames of one stream for their end: at all of them until it is
/// steady, then at those that look unlike the others, and at some.
#[derive(Clone, Copy, Debug, Default)]
pub struct Vetter {
    /// Complete frames in a row.
    steady: u32,
    /// Their mean length in bytes, of late.
    mean: usize,
}

impl Vetter {
    /// Looks at the next frame.
    ///
    /// # Errors
    /// Where more than a row of blocks is missing at its end.
    pub fn vet(&mut self, jpeg: &[u8]) -> Result<(), Undecodable> {
        let is_usual = self.steady >= PROOF
            && !self.steady.is_multiple_of(SAMPLE)
            && (SHORTER + 1) * jpeg.len() >= SHORTER * self.mean
            && jpeg.ends_with(&END)
            && has_all_restarts(jpeg);
        if !is_usual && let Err(error) = check_coverage(jpeg) {
            self.steady = 0;
            return Err(error);
        }
        self.mean = match self.steady {
            0 => jpeg.len(),
            _ => (7 * self.mean + jpeg.len()) / 8,
        };
        self.steady = self.steady.wrapping_add(1).max(1);
        Ok(())
    }
}

fn has_all_restarts(jpeg: &[u8]) -> bool {
    JpegHeader::parse(jpeg).is_ok_and(|header| {
        !header.has_slices() || slice_starts(jpeg, header.len).len() == header.slice_count()
    })
}

pub(crate) fn check_coverage(jpeg: &[u8]) -> Result<(), Undecodable> {
    match Coverage::of(jpeg) {
        Some(coverage) if coverage.is_complete() => Ok(()),
        Some(Coverage { missing_rows, .. }) => Err(Undecodable(format!(
            "it ends early: {missing_rows} rows of blocks are missing"
        ))),
        // What of these is missing cannot be told.
        None if JpegHeader::parse(jpeg).is_ok_and(|header| is_unread(&header)) => Ok(()),
        None => Err(Undecodable("its headers make no sense".into())),
    }
}

fn is_unread(header: &JpegHeader) -> bool {
    matches!(header.process, Process::Lossless | Process::Other)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{Compressor, Image};

    fn jpeg(seed: u8) -> Bytes {
        let pixels: Vec<u8> = (0..3 * 96 * 96_usize)
            .map(|at| (at * (at / 300 + 7)) as u8 ^ seed)
            .collect();
        let image = Image::bgr(96, 96, pixels.into()).unwrap();
        Compressor::new().unwrap().compress(&image, 80).unwrap()
    }

    #[test]
    fn every_jpeg_is_decoded_to_its_end_until_the_stream_is_steady_or_changes() {
        let whole = jpeg(1);
        let short = [&whole[..whole.len() / 2], &END].concat();
        let mut vetter = Vetter::default();
        for _ in 0..100 {
            vetter.vet(&whole).unwrap();
            assert!(vetter.vet(&short).is_err());
        }
        for _ in 0..100 {
            vetter.vet(&whole).unwrap();
        }
        assert!(vetter.vet(&short).is_err());
        for _ in 0..100 {
            vetter.vet(&whole).unwrap();
        }
        // The longest that lacks too much, with an end that a device supplies.
        let cut = |percent: usize| [&whole[..whole.len() * percent / 100], &END].concat();
        let mut cuts = (50..100).rev().map(cut);
        let cut = cuts.find(|cut| check_coverage(cut).is_err()).unwrap();
        assert!(vetter.vet(&cut).is_err());
    }

    #[test]
    fn in_a_steady_stream_every_eighth_jpeg_is_read() {
        let whole = jpeg(2);
        // As long as the others, and the end is none of coded data.
        let mut cut = whole.to_vec();
        let len = cut.len();
        cut[len / 2..len - 2].fill(0);
        cut[len / 2..len / 2 + 2].copy_from_slice(&END);
        let mut vetter = Vetter::default();
        for _ in 0..64 {
            vetter.vet(&whole).unwrap();
        }
        let found = (0..8).filter(|_| vetter.vet(&cut).is_err()).count();
        assert!(found >= 1);
    }
}
