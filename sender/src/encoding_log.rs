//! How frames were encoded: counts for the report, and notices, one of each kind.

use framegram_cli::numbers::or_none;
use framegram_common::stats::Statistics;
use framegram_lab::timecode::MIN_SIZE;
use log::debug;

use crate::console::Console;
use crate::encode::{Encoded, FrameOrigin};

/// The counts of a stream, and the notices printed.
#[derive(Debug, Default)]
pub(crate) struct EncodingLog {
    /// The limit as notices describe it, and whether frames get a timecode.
    limit: &'static str,
    timecode: bool,
    size: Option<(usize, usize)>,
    quality: Option<u8>,
    quality_lowered: u64,
    scaled_down: u64,
    passed_through: u64,
    reencoded: u64,
    said_odd: bool,
    said_decoded: bool,
    said_too_small: bool,
}

impl EncodingLog {
    pub(crate) fn new(limit: &'static str, timecode: bool) -> Self {
        Self {
            limit,
            timecode,
            ..Self::default()
        }
    }

    /// Counts a frame that is sent. Returns its size if it differs from that of the previous frame.
    pub(crate) fn record(
        &mut self,
        encoded: &Encoded,
        console: &Console,
    ) -> Option<(usize, usize)> {
        let size = (encoded.width, encoded.height);
        if self.size != Some(size) || self.quality != encoded.quality {
            self.quality = encoded.quality;
            debug!(
                "frames of {}x{}, quality {}, {}",
                size.0,
                size.1,
                or_none(encoded.quality),
                match encoded.origin {
                    FrameOrigin::Pixels => "encoded",
                    FrameOrigin::PassedThrough => "passed through",
                    FrameOrigin::Reencoded { .. } => "re-encoded",
                }
            );
        }
        if encoded.origin == (FrameOrigin::Reencoded { unsupported: true }) {
            if self.reencoded == 0 {
                console.say("the format cannot carry the JPEGs of the source: they are re-encoded");
            }
            self.reencoded += 1;
        }
        if let Some(remark) = &encoded.remark
            && !std::mem::replace(&mut self.said_odd, true)
        {
            console.say(&format!(
                "JPEGs of the source decode with a warning ({remark}); they are sent nevertheless"
            ));
        }
        self.passed_through += u64::from(encoded.origin == FrameOrigin::PassedThrough);
        let why = self.limit;
        if encoded.quality_lowered {
            if self.quality_lowered == 0 {
                let quality = encoded.quality.unwrap_or(0);
                console.say(&format!(
                    "frames are too long{why}: their quality is lowered as needed (first to {quality})"
                ));
            }
            self.quality_lowered += 1;
        }
        if encoded.scaled_down {
            if self.scaled_down == 0 {
                console.say(&format!(
                    "frames are too long{why} at the lowest quality: they are scaled down as needed (first to {}x{})",
                    size.0, size.1
                ));
            }
            self.scaled_down += 1;
        }
        if self.timecode {
            self.record_timecode(encoded, console);
        }
        (self.size.replace(size) != Some(size)).then_some(size)
    }

    fn record_timecode(&mut self, encoded: &Encoded, console: &Console) {
        let was_jpeg = matches!(encoded.origin, FrameOrigin::Reencoded { .. });
        if was_jpeg && !std::mem::replace(&mut self.said_decoded, true) {
            console.say("JPEGs of the source are re-encoded for --timecode");
        }
        if !encoded.has_timecode && !std::mem::replace(&mut self.said_too_small, true) {
            console.say(&format!(
                "frames of {}x{} are too small for a timecode and are sent without: it needs {}x{}",
                encoded.width, encoded.height, MIN_SIZE.0, MIN_SIZE.1
            ));
        }
    }

    /// Fills in the counts.
    pub(crate) fn fill(&self, statistics: &mut Statistics) {
        let (width, height) = self.size.unzip();
        let stream = &mut statistics.stream;
        stream.width = width.and_then(|width| u32::try_from(width).ok());
        stream.height = height.and_then(|height| u32::try_from(height).ok());
        let frames = &mut statistics.frames;
        frames.quality_lowered = Some(self.quality_lowered);
        frames.scaled_down = Some(self.scaled_down);
        frames.passed_through = Some(self.passed_through);
        frames.reencoded = Some(self.reencoded);
    }
}
