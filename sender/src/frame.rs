//! A frame on its way from the source to the encoder.

use std::time::Duration;

use bytes::Bytes;
use framegram_media::Image;

/// What a source delivers, in the form that costs the fewest conversions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Pixels, to be encoded.
    Image(Image),
    /// One whole JPEG as the source had it.
    Jpeg(Bytes),
}

/// One frame from a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured {
    /// The frame itself.
    pub content: Content,
    /// When it is due, since the source's first frame; `None` where it is due
    /// as soon as it is there.
    pub media_time: Option<Duration>,
    /// When it was taken, on the machine's monotonic clock, where that is
    /// known better than by its delivery.
    pub taken: Option<Duration>,
}
