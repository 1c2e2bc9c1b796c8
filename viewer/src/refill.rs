//! Filling the holes of a frame where its JPEG cannot be filled as it is, since
//! the frame before is coded otherwise (another quality, say): by its pixels.

use std::ops::Range;

use anyhow::{Result, ensure};
use framegram_media::{Decoder, Planes};

use crate::conceal::Stale;

/// Of the JPEG that it becomes: so high that what arrived stays as it was, as
/// far as one can see.
const QUALITY: u8 = 95;

/// Decodes, fills and encodes; the memory is used again.
#[derive(Default)]
pub struct Refill {
    decoder: Option<Decoder>,
    picture: Planes,
    before: Planes,
    stale: Stale,
}

impl Refill {
    /// A JPEG whose stale units, numbered as in `jpeg`, show what `before` has
    /// there.
    ///
    /// # Errors
    /// Where one of the two does not decode, or they are of different size or
    /// sampling.
    pub fn fill(&mut self, jpeg: &[u8], stale: &[Range<u32>], before: &[u8]) -> Result<Vec<u8>> {
        let decoder = match &mut self.decoder {
            Some(decoder) => decoder,
            none => none.insert(Decoder::new()?),
        };
        decoder.decode_planes(jpeg, &mut self.picture)?;
        decoder.decode_planes(before, &mut self.before)?;
        ensure!(
            self.picture.is_like(&self.before),
            "another kind of picture"
        );
        self.stale.read(jpeg, stale);
        self.stale.fill_planes(&mut self.picture, &self.before);
        Ok(self.picture.to_jpeg(QUALITY)?)
    }
}

#[cfg(test)]
mod tests {
    use std::slice::from_ref;

    use framegram_media::{Reduction, Subsampling, XrgbImage};

    use super::*;
    use crate::fixture;

    fn of_quality(quality: u8, colour: [u8; 3]) -> Vec<u8> {
        let jpeg = fixture::jpeg(96, 64, Subsampling::Yuv420, |_, _| colour);
        let mut planes = Planes::default();
        let mut decoder = Decoder::new().unwrap();
        decoder.decode_planes(&jpeg, &mut planes).unwrap();
        planes.to_jpeg(quality).unwrap()
    }

    #[test]
    fn holes_show_the_frame_before_though_it_was_of_another_quality() {
        let (new, old) = (of_quality(90, [250, 0, 0]), of_quality(40, [0, 0, 250]));
        // The lower two rows of four, of six units of 16 pixels each.
        let stale = 12..24;
        let filled = framegram_common::slices::fill(&new, from_ref(&stale), &old);
        assert_eq!(filled, None);
        let filled = Refill::default()
            .fill(&new, from_ref(&stale), &old)
            .unwrap();
        let mut picture = XrgbImage::default();
        let mut decoder = Decoder::new().unwrap();
        decoder
            .decode(&filled, Reduction::None, &mut picture)
            .unwrap();
        for (at, word) in picture.pixels.iter().enumerate() {
            let [blue, _, red, _] = word.to_le_bytes();
            let row = at / 96;
            // Where they meet, the colours of one reach into the other.
            if (30..34).contains(&row) {
                continue;
            }
            let fresh = row < 32;
            assert!(if fresh {
                red > 200 && blue < 50
            } else {
                blue > 200 && red < 50
            });
        }
    }

    #[test]
    fn pictures_of_different_size_are_not_mixed() {
        let small = fixture::jpeg(48, 64, Subsampling::Yuv420, |_, _| [9; 3]);
        let new = of_quality(90, [1, 2, 3]);
        assert!(
            Refill::default()
                .fill(&new, from_ref(&(0..3)), &small)
                .is_err()
        );
    }
}
