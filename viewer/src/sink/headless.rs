//! No window: frames are counted.

use std::time::Duration;

use framegram_common::receiver::ReceivedFrame;

use super::{Flow, Shown, Sink, Status, TICK};
use crate::decode::Decoder;

/// Looks at the header of every frame and at no pixel: the wire's checksum
/// says that the bytes are those that were sent, so a picture that could be
/// encoded can be decoded.
pub struct Headless {
    decoder: Decoder,
}

impl Headless {
    /// # Errors
    /// When the decoder's own memory cannot be had.
    pub fn new() -> anyhow::Result<Self> {
        let decoder = Decoder::new()?;
        Ok(Self { decoder })
    }
}

impl Sink for Headless {
    fn show(&mut self, frame: &ReceivedFrame, _: &Status) -> anyhow::Result<Shown> {
        Ok(match self.decoder.size(&frame.jpeg) {
            Ok(_) => Shown::Yes,
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
    use super::*;
    use crate::fixture::{frame, quadrants};
    use crate::report::live::Live;

    #[test]
    fn tells_pictures_from_other_bytes() {
        let mut sink = Headless::new().unwrap();
        let live = Live::default();
        let status = Status {
            now: Duration::ZERO,
            live: &live,
            ended: None,
        };
        let mut show = |bytes: &[u8]| sink.show(&frame(0, bytes), &status).unwrap();
        assert_eq!(show(&quadrants(32, 32)), Shown::Yes);
        assert_eq!(show(b"GIF89a"), Shown::Undecodable);
        assert_eq!(show(&quadrants(16, 16)), Shown::Yes);
    }
}
