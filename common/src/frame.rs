//! One encoded picture on its way through the protocol.

use std::time::Duration;

use bytes::Bytes;

use crate::seq::FrameNumber;

/// The longest encoded frame in bytes. 4K frames at the highest quality stay below it, and it
/// bounds what one frame may cost a receiver.
pub const MAX_FRAME_BYTES: usize = 16 << 20;

/// A frame that cannot be sent, with its length in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a frame has 1 to {MAX_FRAME_BYTES} bytes, not {0}")]
pub struct FrameSizeError(pub usize);

/// When a picture was captured and encoded, on the sender's monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// The capture time.
    pub captured: Duration,
    /// The end of encoding, if known.
    pub encoded: Option<Duration>,
}

impl From<Duration> for Times {
    /// Only the capture time is known.
    fn from(captured: Duration) -> Self {
        Self {
            captured,
            encoded: None,
        }
    }
}

/// An encoded frame. The bytes are shared, never copied, when it is cloned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its place in the stream. Frames that were captured and never sent have
    /// no number.
    pub number: FrameNumber,
    /// One complete JPEG, from start of image to end of image.
    pub jpeg: Bytes,
    /// The capture time, on the sender's monotonic clock.
    pub captured: Duration,
}
