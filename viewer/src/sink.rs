//! Where frames go: the trait, and the sinks of a run.

pub mod headless;
pub mod recording;
pub mod recordings;
pub mod snapshot;
pub(crate) mod tiles;
pub mod window;
pub(crate) use window::wall;

use std::time::Duration;

use bytes::Bytes;
use framegram_common::receiver::{FrameId, ReceivedFrame};
use framegram_media::XrgbImage;

use crate::report::live::Live;
use crate::shared::TileNews;

/// Takes frames, in display order.
pub trait Sink {
    /// Shows a frame.
    ///
    /// # Errors
    /// If the sink cannot show any more frames.
    fn show(&mut self, frame: &ReceivedFrame, status: &Status) -> anyhow::Result<Shown>;

    /// The outcome of a frame that was to be shown [later](Shown::Later).
    fn poll_settled(&mut self) -> Option<Settled> {
        None
    }

    /// Whether no frame is still to be shown later.
    fn is_idle(&self) -> bool {
        true
    }

    /// Gives up the frames that were to be shown later.
    fn discard(&mut self) {}

    /// An image of the complete display, if that is more than the last frame.
    fn image(&mut self, _: &Status) -> Option<XrgbImage> {
        None
    }

    /// Handles events other than frames. Returns whether to continue.
    ///
    /// # Errors
    /// If the sink cannot show any more frames.
    fn tend(&mut self, _: &Status) -> anyhow::Result<Flow> {
        Ok(Flow::Continue)
    }

    /// The longest time between two calls of [`tend`](Self::tend).
    fn patience(&self) -> Duration {
        TICK
    }

    /// The anomaly of frames that the sink decodes in threads of its own, once.
    fn take_remark(&mut self) -> Option<String> {
        None
    }

    /// Ends the sink and completes its files.
    ///
    /// # Errors
    /// If a file cannot be completed.
    fn finish(&mut self) -> anyhow::Result<()> {
        Ok(())
    }
}

/// What a sink may display besides the picture.
pub struct Status<'a> {
    /// On this machine's monotonic clock.
    pub now: Duration,
    /// The figures of the stream.
    pub live: &'a Live,
    /// When the sender said bye, unless something arrived since.
    pub ended: Option<Duration>,
    /// Each tile separately.
    pub tiles: &'a [TileNews],
}

/// The outcome of a frame that was to be shown later.
pub struct Settled {
    /// Which frame.
    pub id: FrameId,
    /// Its tile.
    pub tile: usize,
    /// Its outcome.
    pub shown: Shown,
    /// The JPEG that was shown, with its holes filled.
    pub jpeg: Bytes,
}

/// The outcome of a frame in a sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// It was shown or recorded.
    Yes,
    /// It can be decoded, but the display is frozen on another frame.
    Withheld,
    /// It cannot be decoded.
    Undecodable,
    /// [`Sink::poll_settled`] will report it.
    Later,
}

/// Whether to continue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// There may be more frames.
    Continue,
    /// The window is closed, or the pipe's reader is gone.
    Quit,
}

/// The longest wait of a sink without a window before it checks whether to end.
const TICK: Duration = Duration::from_millis(50);
