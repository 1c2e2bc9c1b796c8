//! The memory that a session holds, and how it is released.

use std::time::Duration;

use super::NativeSession;

impl NativeSession {
    /// Bytes of frames and of parity that it holds.
    pub(in crate::receiver) fn held_bytes(&self) -> usize {
        let parts = [
            self.reassembly.held_bytes(),
            self.rebuilder.held_bytes(),
            self.playout.held_bytes(),
        ];
        parts.into_iter().sum()
    }

    /// Releases what costs least: closed frames, then parity, then the oldest incomplete frame.
    /// Returns whether there was anything to release.
    pub(in crate::receiver) fn shed(&mut self, now: Duration) -> bool {
        if self.reassembly.release_oldest() || self.rebuilder.forget_oldest() {
            return true;
        }
        let open = self.reassembly.open().map(|(number, _)| number).next();
        if let Some(number) = open {
            // The rest of it is not shown either: that would take another copy.
            self.deadlines.remove(number);
            self.reassembly.give_up(number);
            self.counters.frames.give_up(number);
            self.reassembly.release_oldest();
            self.release();
            return true;
        }
        let Some(awaited) = self.deadlines.first() else {
            return false;
        };
        self.give_up(awaited, now);
        self.release();
        true
    }
}
