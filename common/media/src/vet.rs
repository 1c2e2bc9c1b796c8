//! Finds missing data in a JPEG without decoding it to pixels.

use framegram_common::jpeg::scan::{self, most_scans};
use framegram_common::jpeg::{JpegHeader, Process, scan_count, slice_starts};

use crate::error::Undecodable;

/// Complete frames in a row that make a stream steady.
const PROOF: u32 = 16;

/// In a steady stream, one frame in this many is read to its end, at first and later: the longer it
/// is steady, the less often.
const SAMPLE: u32 = 8;
const LATE_SAMPLE: u32 = 32;
const LATER: u32 = 4;

/// A frame is also read if it is shorter than the mean by more than one part in `SHORTER + 1`: that
/// much may be missing.
const SHORTER: usize = 15;

/// End of image. A device that breaks off does not write it.
const END: [u8; 2] = [0xff, 0xd9];

/// Checks that nothing is missing from a JPEG. `vouched`: a checksum proves that it arrived as
/// sent. Then the source made whatever is odd about it, and only its end is checked. Otherwise its
/// coded data must be complete and valid.
///
/// # Errors
/// If something is missing.
pub fn vet(jpeg: &[u8], vouched: bool) -> Result<(), Undecodable> {
    if vouched {
        check_coverage(jpeg)
    } else if scan::may_be_complete(jpeg) {
        Ok(())
    } else {
        Err(Undecodable("its coded data are corrupt".into()))
    }
}

/// Checks the ends of a stream's frames: of all until the stream is steady, then of a sample and of
/// those that look unlike the others.
#[derive(Clone, Copy, Debug, Default)]
pub struct Vetter {
    /// Complete frames in a row.
    steady: u32,
    /// Moving average of their length in bytes.
    mean: usize,
}

impl Vetter {
    /// Checks the next frame.
    ///
    /// # Errors
    /// If more than one row of blocks is missing at its end.
    pub fn vet(&mut self, jpeg: &[u8]) -> Result<(), Undecodable> {
        let is_usual = self.steady >= PROOF
            && !self.steady.is_multiple_of(sample(self.steady))
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

/// One in how many frames is read, in a stream that has been steady for `steady` of them.
fn sample(steady: u32) -> u32 {
    let sample = (steady / LATER).clamp(SAMPLE, LATE_SAMPLE);
    sample.next_power_of_two()
}

fn has_all_restarts(jpeg: &[u8]) -> bool {
    JpegHeader::parse(jpeg).is_ok_and(|header| {
        !header.has_slices() || slice_starts(jpeg, header.len).len() == header.slice_count()
    })
}

pub(crate) fn check_coverage(jpeg: &[u8]) -> Result<(), Undecodable> {
    match scan::missing_rows(jpeg) {
        Some(..=1) => Ok(()),
        Some(missing_rows) => Err(Undecodable(format!(
            "it ends early, and {missing_rows} rows of blocks are missing"
        ))),
        None => {
            if let Ok(header) = JpegHeader::parse(jpeg) {
                // For these processes, missing data cannot be found.
                if is_unread(&header) {
                    return Ok(());
                }
                check_scans(jpeg, header.width.into(), header.height.into())?;
            }
            Err(Undecodable("its headers are not valid".into()))
        }
    }
}

/// Checks that a JPEG of this size has no more scans than are decoded.
pub(crate) fn check_scans(jpeg: &[u8], width: usize, height: usize) -> Result<(), Undecodable> {
    let (scans, most) = (scan_count(jpeg), most_scans(width, height));
    if scans > most {
        return Err(Undecodable(format!(
            "it has {scans} scans of {width}x{height} pixels, and the limit is {most}"
        )));
    }
    Ok(())
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
        // The longest one that is rejected, with the end marker that a device adds.
        let cut = |percent: usize| [&whole[..whole.len() * percent / 100], &END].concat();
        let mut cuts = (50..100).rev().map(cut);
        let cut = cuts.find(|cut| check_coverage(cut).is_err()).unwrap();
        assert!(vetter.vet(&cut).is_err());
    }

    #[test]
    fn in_a_steady_stream_some_jpegs_are_read() {
        let whole = jpeg(2);
        // As long as the others, with the end marker, but without half of the coded data.
        let mut cut = whole.to_vec();
        let len = cut.len();
        cut[len / 2..len - 2].fill(0);
        cut[len / 2..len / 2 + 2].copy_from_slice(&END);
        for (steady, within) in [(30, 8), (64, 16), (1_000, 32)] {
            let mut vetter = Vetter::default();
            for _ in 0..steady {
                vetter.vet(&whole).unwrap();
            }
            let first = (0..within).find(|_| vetter.vet(&cut).is_err());
            assert!(first.is_some(), "{steady}");
            assert!(vetter.vet(&cut).is_err(), "the stream is steady no more");
        }
    }
}
