//! Whole frames in order: each at once, unless an older one is still waited
//! for, and never an older one after a newer one.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::reassembly::WholeFrame;
use crate::seq::FrameNumber;

/// The whole frames of one stream that have not been handed out.
#[derive(Debug, Default)]
pub(super) struct Order {
    waiting: BTreeMap<FrameNumber, (WholeFrame, Duration)>,
    handed_out: Option<FrameNumber>,
}

impl Order {
    /// Takes a frame that is whole since `now`. Gives it back where a newer
    /// one was handed out before.
    pub(super) fn push(&mut self, frame: WholeFrame, now: Duration) -> Option<WholeFrame> {
        if self.handed_out.is_some_and(|newest| frame.number <= newest) {
            return Some(frame);
        }
        self.waiting.insert(frame.number, (frame, now));
        None
    }

    /// The oldest frame with the time it became whole, if it is older than
    /// `awaited`, the oldest frame that is still waited for.
    pub(super) fn pop(&mut self, awaited: Option<FrameNumber>) -> Option<(WholeFrame, Duration)> {
        let oldest = self.waiting.first_entry()?;
        if awaited.is_some_and(|awaited| awaited < *oldest.key()) {
            return None;
        }
        self.handed_out = Some(*oldest.key());
        Some(oldest.remove())
    }

    /// The newest frame that was handed out.
    pub(super) fn handed_out(&self) -> Option<FrameNumber> {
        self.handed_out
    }
}
