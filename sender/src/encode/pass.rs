//! A source's own JPEGs that are sent unchanged, which needs no encoder.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use framegram_cli::locks::lock;
use framegram_common::jpeg::{JpegError, JpegHeader};
use framegram_common::wire::Format;
use framegram_common::wire::rtp_jpeg::Picture as Carried;

use super::fit::Fit;
use super::{Encoded, FrameOrigin, Settings};
use crate::frame::Content;

/// Passes JPEGs through for the encoders of a stream, in any thread.
#[derive(Clone, Debug)]
pub struct PassThrough {
    settings: Settings,
    fit: Arc<Mutex<Fit>>,
}

impl PassThrough {
    pub(super) fn new(settings: Settings, fit: Arc<Mutex<Fit>>) -> Self {
        Self { settings, fit }
    }

    /// The frame as it is sent, if it is a JPEG that an encoder would pass through now.
    pub fn pass(&self, content: &Content) -> Option<Encoded> {
        let Content::Jpeg(jpeg) = content else {
            return None;
        };
        let own = OwnJpeg::parse(jpeg, &self.settings).ok()?;
        let passes = own.may_pass(&self.settings) && self.fits(jpeg.len());
        passes.then(|| own.passed(jpeg))
    }

    /// Whether a JPEG of this many bytes is short enough now.
    pub fn fits(&self, len: usize) -> bool {
        lock(&self.fit).surely_passes(len)
    }
}

/// What decides whether a source's own JPEG is passed through.
pub(super) struct OwnJpeg {
    /// Width and height in pixels, of the JPEG and as sent.
    size: (usize, usize),
    pub(super) size_asked: (usize, usize),
    /// Whether the wire format carries it, and every viewer decodes it.
    pub(super) is_carried: bool,
}

impl OwnJpeg {
    /// # Errors
    /// If it is no JPEG.
    pub(super) fn parse(jpeg: &[u8], settings: &Settings) -> Result<Self, JpegError> {
        let header = JpegHeader::parse(jpeg)?;
        let size = (header.width.into(), header.height.into());
        let is_carried =
            header.is_video() && (settings.format != Format::Rtp || Carried::of(jpeg).is_ok());
        Ok(Self {
            size,
            size_asked: settings.size.unwrap_or(size),
            is_carried,
        })
    }

    /// Whether the size that is asked for is its own.
    pub(super) fn keeps_size(&self) -> bool {
        self.size == self.size_asked
    }

    /// Whether it is passed through if it is short enough.
    pub(super) fn may_pass(&self, settings: &Settings) -> bool {
        settings.pass_through() && self.keeps_size() && self.is_carried
    }

    /// The JPEG, passed through.
    pub(super) fn passed(&self, jpeg: &Bytes) -> Encoded {
        let (width, height) = self.size;
        Encoded {
            jpeg: jpeg.clone(),
            width,
            height,
            quality: None,
            origin: FrameOrigin::PassedThrough,
            has_timecode: false,
            quality_lowered: false,
            scaled_down: false,
            remark: None,
            encodings: 0,
        }
    }
}
