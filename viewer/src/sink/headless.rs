//! A sink without a window: counts frames.

use framegram_common::receiver::ReceivedFrame;

use super::{Shown, Sink, Status};
use crate::decoding::DecodingThread;

/// Checks the header and the end of a frame, and decodes no pixel: a picture that was encoded can
/// be decoded.
pub struct Headless {
    decoding: DecodingThread,
}

impl Headless {
    /// Frames are checked in the decoding thread.
    pub fn new(decoding: DecodingThread) -> Self {
        Self { decoding }
    }
}

impl Sink for Headless {
    fn show(&mut self, frame: &ReceivedFrame, _: &Status) -> anyhow::Result<Shown> {
        Ok(match self.decoding.check(frame.tile, &frame.jpeg) {
            Ok(()) => Shown::Yes,
            Err(_) => Shown::Undecodable,
        })
    }
}

#[cfg(test)]
mod tests {
    use framegram_media::Subsampling;

    use super::*;
    use crate::fixture::{at_start, decoding, frame, jpeg, quadrants};
    use crate::report::live::Live;

    #[test]
    fn distinguishes_pictures_from_other_bytes() {
        let mut sink = Headless::new(decoding());
        let live = Live::default();
        let status = at_start(&live);
        let mut show = |bytes: &[u8]| sink.show(&frame(0, bytes), &status).unwrap();
        assert_eq!(show(&quadrants(32, 32)), Shown::Yes);
        assert_eq!(show(b"GIF89a"), Shown::Undecodable);
        assert_eq!(show(&quadrants(16, 16)), Shown::Yes);
        let mut early = jpeg(160, 120, Subsampling::Yuv420, |x, y| {
            [(x * 31 + y * 17) as u8, (x * y) as u8, 128]
        });
        early.truncate(early.len() / 2);
        assert_eq!(show(&early), Shown::Undecodable);
    }
}
