//! Where frames go: the trait, and the sinks of one run together.

pub mod headless;
pub mod recording;
pub mod snapshot;
pub mod window;
pub(crate) use window::wall;

use std::time::Duration;

use framegram_common::receiver::ReceivedFrame;

use crate::report::live::Live;

/// Takes frames, in the order in which they are to be seen.
pub trait Sink {
    /// Shows one frame.
    ///
    /// # Errors
    /// When the sink can show nothing more at all.
    fn show(&mut self, frame: &ReceivedFrame, status: &Status) -> anyhow::Result<Shown>;

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
    ///
    /// # Errors
    /// When that was not possible; what is there then is not whole.
    fn finish(&mut self) -> anyhow::Result<()>;
}

/// What a sink may tell besides the picture.
pub struct Status<'a> {
    /// On this machine's monotonic clock.
    pub now: Duration,
    /// The figures of the stream.
    pub live: &'a Live,
    /// When the sender said farewell, if it did and nothing came since.
    pub ended: Option<Duration>,
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
