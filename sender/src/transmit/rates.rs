//! The length of frames follows the bit rate limit and what the paths carry.

use framegram_common::frame::MAX_FRAME_BYTES;
use framegram_net::clock;

use super::TransmitLoop;
use crate::bitrate::BitrateControl;
use crate::pipeline::{EncodedFrame, Pipeline};

impl TransmitLoop<'_> {
    /// Upper bound on the bytes of the next frame, if a bit rate sets it.
    pub(crate) fn frame_bytes(&self) -> Option<usize> {
        self.bitrate.as_ref().map(BitrateControl::target)
    }

    /// Adopts what the paths carry. Where that falls, the frames that are begun now fit already.
    pub(super) fn follow_paths(&mut self, pipeline: &Pipeline) {
        let now = clock::now();
        let limit = self.sender.rate(now);
        let was_limited = std::mem::replace(&mut self.is_limited, limit.is_some());
        let (interval, fec) = (self.session.interval, self.fec);
        let new = |rate| BitrateControl::new(rate, interval, fec, now);
        if let Some(rate) = limit {
            let bitrate = self.bitrate.get_or_insert_with(|| new(rate));
            if bitrate.set_rate(rate) || !was_limited {
                pipeline.set_frame_bytes(bitrate.target());
            }
        } else if was_limited {
            self.bitrate = self.most_bitrate.map(new);
            pipeline.set_frame_bytes(self.frame_bytes().unwrap_or(MAX_FRAME_BYTES));
        }
    }

    /// Limits the next frames to what the rate leaves, by what the frames so far took of it. This
    /// one is sent now.
    pub(super) fn follow_bitrate(&mut self, pipeline: &Pipeline, frame: &EncodedFrame) {
        let now = clock::now();
        let waited = now.saturating_sub(frame.times.encoded.unwrap_or(now));
        self.follow_paths(pipeline);
        if let Some(bitrate) = &mut self.bitrate {
            bitrate.observe(self.sender.volume(), waited, now);
            pipeline.set_frame_bytes(bitrate.target());
        }
        self.follow_second(pipeline, waited, now);
    }

    /// Whether a frame is left out for the next one, since its path came to carry less.
    pub(super) fn is_outgrown(&mut self, frame: &EncodedFrame) -> bool {
        let len = frame.encoded.as_ref().map_or(0, |it| it.jpeg.len());
        let limit = self.bitrate.as_mut().filter(|_| self.is_limited);
        limit.is_some_and(|limit| limit.outgrows(len))
    }
}
