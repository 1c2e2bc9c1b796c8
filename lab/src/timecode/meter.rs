//! Reads the timecodes of a series of frames.

use std::time::Duration;

use framegram_common::stats::TimecodeCounts;
use framegram_media::{Decoder, Undecodable};

use super::{TimecodeReader, TimecodeTally};

/// Reads and counts the timecodes of frames.
pub struct TimecodeMeter {
    decoder: Decoder,
    luma: Vec<u8>,
    reader: TimecodeReader,
    tally: TimecodeTally,
}

impl TimecodeMeter {
    /// For timecodes whose capture times are on this clock, if the ages of frames count.
    ///
    /// # Errors
    /// If there is no memory for a decoder.
    pub fn new(clock: Option<u16>) -> Result<Self, Undecodable> {
        Ok(Self {
            decoder: Decoder::new()?,
            luma: Vec::new(),
            reader: TimecodeReader::default(),
            tally: TimecodeTally::new(clock),
        })
    }

    /// Reads a JPEG seen at `now`. If it cannot be decoded, it counts as an image
    /// without a timecode.
    pub fn read_jpeg(&mut self, jpeg: &[u8], now: Duration) {
        let size = self.decoder.decode_luma(jpeg, &mut self.luma);
        let timecode = size
            .ok()
            .and_then(|(width, height)| self.reader.read(&self.luma, width, width, height));
        self.tally.record(timecode, now);
    }

    /// Reads a luma plane without padding, seen at `now`.
    pub fn read_luma(&mut self, luma: &[u8], width: usize, height: usize, now: Duration) {
        let timecode = self.reader.read(luma, width, width, height);
        self.tally.record(timecode, now);
    }

    /// The figures so far.
    pub fn figures(&self) -> TimecodeCounts {
        self.tally.figures()
    }
}

#[cfg(test)]
pub(crate) mod tests;
