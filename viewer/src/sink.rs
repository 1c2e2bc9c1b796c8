//! Where frames go: the trait, and the sinks of one run together.

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

/// Takes frames, in the order in which they are to be seen.
pub trait Sink {
    /// Shows one frame.
    ///
    /// # Errors
    /// When the sink can show nothing more at all.
    fn show(&mut self, frame: &ReceivedFrame, status: &Status) -> anyhow::Result<Shown>;

    /// A frame that was to be shown [later](Shown::Later), and now is or is not.
    fn poll_settled(&mut self) -> Option<Settled> {
        None
    }

    /// Whether no frame is to be shown later.
    fn is_idle(&self) -> bool {
        true
    }

    /// Gives up the frames that were to be shown later.
    fn discard(&mut self) {}

    /// An image of all that is seen, where that is more than the last frame.
    fn image(&mut self, _: &Status) -> Option<XrgbImage> {
        None
    }

    /// Does what a sink has to do besides frames, and says whether to go on.
    ///
    /// # Errors
    /// When the sink can show nothing more at all.
    fn tend(&mut self, status: &Status) -> anyhow::Result<Flow>;

    /// How long it may go without being tended.
    fn patience(&self) -> Duration;

    /// What is odd about the frames that it decoded, the first time that it is
    /// asked for.
    fn take_remark(&mut self) -> Option<String> {
        None
    }

    /// Ends: what was begun is whole afterwards.
    fn finish(&mut self) -> anyhow::Result<()>;
}

/// What a sink may tell besides the picture.
pub struct Status<'a> {
    /// On this machine's monotonic clock.
    pub now: Duration,
    /// The figures of the stream.
    pub live: &'a Live,
    /// When the sender said bye, if it did and nothing came since.
    pub ended: Option<Duration>,
    /// Each tile by itself.
    pub tiles: &'a [TileNews],
}

/// What became of a frame that was to be shown later.
pub struct Settled {
    /// Which frame.
    pub id: FrameId,
    /// Its tile.
    pub tile: usize,
    /// What became of it.
    pub shown: Shown,
    /// The JPEG that was shown, with its holes filled.
    pub jpeg: Bytes,
}

/// What became of a frame in a sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// It is seen, or recorded.
    Yes,
    /// It is a picture, but the sink holds another one still.
    Withheld,
    /// It is no picture.
    Undecodable,
    /// That is told by [`Sink::poll_settled`].
    Later,
}

/// Whether to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// There may be more frames.
    Continue,
    /// Nobody looks any more: the window is closed, the pipe's reader is gone.
    Quit,
}

/// The longest that a sink without a window waits to see whether it is to end.
pub(crate) const TICK: Duration = Duration::from_millis(50);
