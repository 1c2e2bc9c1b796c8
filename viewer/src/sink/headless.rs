//! A sink without a window: counts frames.

use std::time::Duration;

use framegram_common::receiver::ReceivedFrame;
use framegram_media::Decoder;

use super::{Flow, Shown, Sink, Status, TICK};

/// Checks the header and the end of a frame, and decodes no pixel: a picture that was encoded can
/// be decoded.
pub struct Headless {
    decoder: Decoder,
}

impl Headless {
    /// Creates its decoder.
    ///
    /// # Errors
    /// When libjpeg-turbo has no memory.
    pub fn new() -> anyhow::Result<Self> {
        let decoder = Decoder::new()?;
        Ok(Self { decoder })
    }
}

impl Sink for Headless {
    fn take_remark(&mut self) -> Option<String> {
        self.decoder.take_remark()
    }

    fn show(&mut self, frame: &ReceivedFrame, _: &Status) -> anyhow::Result<Shown> {
        Ok(match self.decoder.check(&frame.jpeg) {
            Ok(()) => Shown::Yes,
            Err(_) => Shown::Undecodable,
        })
    }

    fn tend(&mut self, _: &Status) -> anyhow::Result<Flow> {
        Ok(Flow::Continue)
    }

    fn patience(&self) -> Duration {
        TICK
    }

    fn finish(&mut self) -> anyhow::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use framegram_media::Subsampling;

    use super::*;
    use crate::fixture::{frame, jpeg, quadrants};
    use crate::report::live::Live;

    #[test]
    fn distinguishes_pictures_from_other_bytes() {
        let mut sink = Headless::new().unwrap();
        let live = Live::default();
        let status = Status::at_start(&live);
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
