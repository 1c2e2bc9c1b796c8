//! Stamps from pictures as they were shown.

use std::time::Duration;

use framegram_common::stats::Stamps;
use framegram_lab::timecode::{self, Reader, Tally};
use framegram_media::{Decoder, Undecodable};

/// Reads the stamps of pictures, one after another, and keeps count.
pub struct StampReader {
    decoder: Decoder,
    luma: Vec<u8>,
    reader: Reader,
    tally: Tally,
}

impl StampReader {
    /// For pictures that are seen now, on this machine's clock.
    ///
    /// # Errors
    /// When the decoder's own memory cannot be had.
    pub fn new() -> Result<Self, Undecodable> {
        Self::on(timecode::clock())
    }

    /// For pictures of which it is not known when they were seen.
    ///
    /// # Errors
    /// When the decoder's own memory cannot be had.
    pub fn without_clock() -> Result<Self, Undecodable> {
        Self::on(None)
    }

    fn on(clock: Option<u16>) -> Result<Self, Undecodable> {
        Ok(Self {
            decoder: Decoder::new()?,
            luma: Vec::new(),
            reader: Reader::default(),
            tally: Tally::new(clock),
        })
    }

    /// Reads a JPEG that was seen at `now`. One that cannot be decoded counts
    /// as a picture without a stamp.
    pub fn read_jpeg(&mut self, jpeg: &[u8], now: Duration) {
        let size = self.decoder.decode_luma(jpeg, &mut self.luma);
        let stamp = size
            .ok()
            .and_then(|(width, height)| self.reader.read(&self.luma, width, width, height));
        self.tally.note(stamp, now);
    }

    /// Reads a plane of luma without padding that was seen at `now`.
    pub fn read_luma(&mut self, luma: &[u8], width: usize, height: usize, now: Duration) {
        let stamp = self.reader.read(luma, width, width, height);
        self.tally.note(stamp, now);
    }

    /// The figures so far.
    #[must_use]
    pub fn figures(&self) -> Stamps {
        self.tally.figures()
    }
}

#[cfg(test)]
mod tests {
    use framegram_lab::timecode::Stamp;
    use framegram_media::Subsampling;

    use super::*;
    use crate::fixture::{jpeg, quadrants};

    /// A picture with a stamp in it.
    pub(crate) fn stamped(number: u64, captured: Duration) -> Vec<u8> {
        let stamp = Stamp::new(number, captured, timecode::clock().unwrap(), 1);
        let mut luma = vec![120; 160 * 120];
        assert!(stamp.draw_luma(&mut luma, 160, 160, 120));
        jpeg(160, 120, Subsampling::Yuv420, |x, y| [luma[y * 160 + x]; 3])
    }

    #[test]
    fn counts_frames_and_what_is_no_picture() {
        let millis = Duration::from_millis;
        let mut live = StampReader::new().unwrap();
        let mut later = StampReader::without_clock().unwrap();
        for reader in [&mut live, &mut later] {
            for (number, seen) in [(0, 5_030), (1, 5_070), (1, 5_110), (4, 5_190)] {
                let picture = stamped(number, millis(5_000 + 40 * number));
                reader.read_jpeg(&picture, millis(seen));
            }
            reader.read_jpeg(b"GIF89a", millis(5_200));
            reader.read_jpeg(&quadrants(160, 120), millis(5_210));
            let figures = reader.figures();
            assert_eq!((figures.pictures, figures.unread), (6, 2));
            assert_eq!((figures.shown, figures.lost, figures.repeated), (3, 2, 1));
        }
        let delay = live.figures().delay_ms.unwrap();
        assert!((delay.max - 30.0).abs() < 0.1, "{delay:?}");
        assert_eq!(later.figures().delay_ms, None);
    }
}
