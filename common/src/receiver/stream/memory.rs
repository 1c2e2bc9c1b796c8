//! What a stream holds of memory, and how it lets go of it.

use std::time::Duration;

use super::Stream;

impl Stream {
    /// Whether a frame of it was handed out.
    pub(in crate::receiver) fn has_frames(&self) -> bool {
        self.delivery.handed_out().is_some()
    }

    /// Bytes of frames and of parity that it holds.
    pub(in crate::receiver) fn held_bytes(&self) -> usize {
        let parts = [
            self.reassembly.held_bytes(),
            self.rebuilder.held_bytes(),
            self.delivery.held_bytes(),
        ];
        parts.into_iter().sum()
    }

    /// Lets go of what is the least loss: frames that are closed, parity, the
    /// oldest frame that is incomplete. Returns whether there was anything.
    pub(in crate::receiver) fn shed(&mut self, now: Duration) -> bool {
        if self.reassembly.release_oldest() || self.rebuilder.forget_oldest() {
            return true;
        }
        let open = self.reassembly.open().map(|(number, _)| number).next();
        if let Some(number) = open {
            // Not even what arrived of it is shown: that would be one more copy.
            self.awaiting.remove(number);
            self.reassembly.give_up(number);
            self.counters.frames.give_up(number);
            self.reassembly.release_oldest();
            self.hand_out();
            return true;
        }
        let Some(awaited) = self.awaiting.first() else {
            return false;
        };
        self.give_up(awaited, now);
        self.hand_out();
        true
    }
}
