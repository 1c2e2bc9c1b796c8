//! What the receiver knows of the frames that are still under way.

use crate::seq::FrameNumber;

/// The state of the frames under way, for the counters.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outlook {
    /// The first frame that is still waited for.
    pub(crate) awaited: Option<FrameNumber>,
    /// What is to be added to the sender's time to have this side's, in
    /// microseconds.
    pub(crate) offset_micros: Option<i64>,
    /// Whether the sender said that nothing follows.
    pub(crate) bye: bool,
}
