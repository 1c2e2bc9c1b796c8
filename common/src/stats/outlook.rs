//! What the receiver knows about frames that are not settled yet.

use crate::seq::FrameNumber;

/// State of the frames in transit, for the counters.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outlook {
    /// First frame that is still awaited.
    pub(crate) awaited: Option<FrameNumber>,
    /// Clock offset in microseconds: what to add to the sender's time to get the
    /// viewer's.
    pub(crate) offset_micros: Option<i64>,
    /// Whether the sender's bye arrived.
    pub(crate) bye: bool,
}
