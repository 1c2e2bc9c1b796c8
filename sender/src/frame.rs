//! A frame on its way from the source to the encoder.

use std::time::Duration;

use bytes::Bytes;
use framegram_media::Image;

/// A source's frame, in the form that needs the fewest conversions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Pixels, to be encoded.
    Image(Image),
    /// One complete JPEG, unchanged.
    Jpeg(Bytes),
}

/// One frame from a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured {
    /// The frame itself.
    pub content: Content,
    /// When it is due, relative to the source's first frame; `None` if it is due at once.
    pub media_time: Option<Duration>,
    /// When it was captured, on the machine's monotonic clock, if that is known better than by its
    /// delivery.
    pub taken: Option<Duration>,
}

impl Captured {
    /// A frame that is due at a media time, if it has one, and captured when it is delivered.
    pub fn at(media_time: Option<Duration>, content: Content) -> Self {
        Self {
            content,
            media_time,
            taken: None,
        }
    }
}
