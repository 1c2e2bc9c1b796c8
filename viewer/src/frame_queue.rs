//! The queue of frames between the network thread and the sinks.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

use framegram_cli::locks::{lock, unpoisoned};
use framegram_common::receiver::{FrameId, ReceivedFrame};

/// Upper bound on frames that wait for a sink that needs every one: a few seconds, for a disk or a
/// reader that stalls for a moment.
pub const MAX_FRAMES: usize = 128;

/// Upper bound on their bytes: 128 frames of a good 1080p stream.
pub const MAX_BYTES: usize = 64 << 20;

/// Waiting frames. If there are too many, it drops the oldest.
pub struct FrameQueue {
    keep: Keep,
    state: Mutex<State>,
    changed: Condvar,
}

/// Which frames wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Only the newest of each tile, within [`MAX_BYTES`]: for a window.
    Newest,
    /// All, within [`MAX_FRAMES`] and [`MAX_BYTES`]: for a recording.
    All,
}

#[derive(Default)]
struct State {
    frames: VecDeque<ReceivedFrame>,
    bytes: usize,
    woken: bool,
    /// Whether the taker waits. Otherwise, a frame costs no system call.
    is_awaited: bool,
}

impl State {
    /// The frame to drop for the newest one: an older one of its tile, otherwise the largest.
    fn excess(&self, keep: Keep) -> Option<usize> {
        let newest = self.frames.len().checked_sub(1)?;
        let tile = self.frames.back()?.tile;
        let mut before = self.frames.range(..newest);
        let older = before.position(|frame| frame.tile == tile);
        let is_large = newest > 0 && self.bytes > MAX_BYTES;
        let largest = || {
            let all = self.frames.range(..newest).enumerate();
            all.max_by_key(|(_, frame)| frame.jpeg.len())
                .map(|(index, _)| index)
        };
        match keep {
            Keep::All => (is_large || self.frames.len() > MAX_FRAMES).then_some(0),
            Keep::Newest if is_large => older.or_else(largest),
            Keep::Newest => older,
        }
    }
}

impl FrameQueue {
    /// An empty queue.
    pub fn new(keep: Keep) -> Self {
        Self {
            keep,
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Adds a frame. Returns the frames that it displaced.
    #[must_use]
    pub fn put(&self, frame: ReceivedFrame) -> Vec<FrameId> {
        let mut state = lock(&self.state);
        let mut skipped = Vec::new();
        state.bytes += frame.jpeg.len();
        state.frames.push_back(frame);
        while let Some(index) = state.excess(self.keep) {
            if let Some(frame) = state.frames.remove(index) {
                state.bytes -= frame.jpeg.len();
                skipped.push(frame.id);
            }
        }
        self.notify(state);
        skipped
    }

    /// Takes all waiting frames, oldest first. Waits for one for at most `patience`, or until
    /// [`wake`](Self::wake).
    #[must_use]
    pub fn take(&self, patience: Duration) -> VecDeque<ReceivedFrame> {
        let idle = |state: &mut State| state.frames.is_empty() && !state.woken;
        let mut state = lock(&self.state);
        if idle(&mut state) {
            state.is_awaited = true;
            let waited = self.changed.wait_timeout_while(state, patience, idle);
            state = unpoisoned(waited).0;
            state.is_awaited = false;
        }
        state.woken = false;
        state.bytes = 0;
        std::mem::take(&mut state.frames)
    }

    /// Ends the current or the next wait.
    pub fn wake(&self) {
        let mut state = lock(&self.state);
        state.woken = true;
        self.notify(state);
    }

    fn notify(&self, state: MutexGuard<'_, State>) {
        let is_awaited = state.is_awaited;
        drop(state);
        if is_awaited {
            self.changed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use framegram_common::{FrameNumber, SenderTime};

    use super::*;

    fn frame(number: u64, bytes: usize) -> ReceivedFrame {
        ReceivedFrame {
            id: id(number),
            jpeg: Bytes::from(vec![0; bytes]),
            tile: 0,
            stale: Vec::new(),
            checked: true,
            captured: SenderTime::default(),
            completed: Duration::ZERO,
        }
    }

    fn id(number: u64) -> FrameId {
        FrameId {
            session: 1,
            stream: 1,
            number: FrameNumber(number),
        }
    }

    fn taken(pending: &FrameQueue) -> Vec<u64> {
        let frames = pending.take(Duration::ZERO);
        frames.iter().map(|frame| frame.id.number.0).collect()
    }

    #[test]
    fn a_display_gets_the_newest_frame_and_the_dropped_ones_are_returned() {
        let pending = FrameQueue::new(Keep::Newest);
        assert_eq!(pending.put(frame(1, 9)), []);
        assert_eq!(pending.put(frame(2, 9)), [id(1)]);
        assert_eq!(pending.put(frame(3, 9)), [id(2)]);
        assert_eq!(taken(&pending), [3]);
        assert_eq!(taken(&pending), [0; 0]);
    }

    #[test]
    fn every_tile_has_its_newest_and_the_largest_goes_where_they_are_too_large() {
        let pending = FrameQueue::new(Keep::Newest);
        let of = |tile: usize, number: u64, bytes: usize| ReceivedFrame {
            tile,
            ..frame(number, bytes)
        };
        assert_eq!(pending.put(of(0, 1, 9)), []);
        assert_eq!(pending.put(of(1, 2, MAX_BYTES - 100)), []);
        assert_eq!(pending.put(of(0, 3, 9)), [id(1)]);
        assert_eq!(pending.put(of(2, 4, 100)), [id(2)]);
        assert_eq!(taken(&pending), [3, 4]);
    }

    #[test]
    fn a_file_gets_all_up_to_the_bounds() {
        let pending = FrameQueue::new(Keep::All);
        let most = MAX_FRAMES as u64;
        for number in 0..most {
            assert_eq!(pending.put(frame(number, 9)), []);
        }
        assert_eq!(pending.put(frame(most, 9)), [id(0)]);
        assert_eq!(taken(&pending), (1..=most).collect::<Vec<_>>());

        let third = MAX_BYTES / 3;
        for number in 0..3 {
            assert_eq!(pending.put(frame(number, third)), []);
        }
        assert_eq!(pending.put(frame(3, 2 * third)), [id(0), id(1)]);
        assert_eq!(taken(&pending), [2, 3]);
        assert_eq!(pending.put(frame(4, MAX_BYTES + 1)), []);
        assert_eq!(taken(&pending), [4]);
    }

    #[test]
    fn a_frame_or_a_wake_ends_the_wait() {
        let pending = FrameQueue::new(Keep::Newest);
        std::thread::scope(|scope| {
            scope.spawn(|| assert_eq!(pending.put(frame(7, 1)), []));
            assert_eq!(pending.take(Duration::from_secs(60)).len(), 1);
            scope.spawn(|| pending.wake());
            assert!(pending.take(Duration::from_secs(60)).is_empty());
        });
    }
}
