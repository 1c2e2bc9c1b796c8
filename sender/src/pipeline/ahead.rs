//! Frames of a file that were read before they are due: a thread that is woken for each of them costs
//! more than sending a short one.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

use framegram_cli::locks::{lock, unpoisoned};

use crate::encode::Encoded;
use crate::source::Content;

/// Upper bound on waiting frames.
const MAX_FRAMES: usize = 8;

/// No frame is added to others of this many bytes.
const MAX_BYTES: usize = 4 << 20;

/// The reading thread goes on when no more frames than this are left: what it reads then is in time.
const FEW: usize = 2;

/// More frames than [`FEW`] take no longer than this from the first to the last.
const MAX_TIME: Duration = Duration::from_millis(400);

/// A frame that waits for its time.
pub(super) struct Early {
    /// As it is sent.
    pub(super) encoded: Encoded,
    /// As the source gave it.
    pub(super) content: Content,
    pub(super) due: Duration,
}

/// The frames that wait, between the thread that reads them and the one that sends them.
#[derive(Default)]
pub(super) struct Ahead {
    state: Mutex<EarlyFrames>,
    /// There is room, or no more are taken.
    emptied: Condvar,
}

#[derive(Default)]
struct EarlyFrames {
    frames: VecDeque<Early>,
    bytes: usize,
    is_closed: bool,
    /// The reading thread waits until no more than this many are left.
    until: Option<usize>,
}

impl EarlyFrames {
    /// How many frames may be left when the next one is added, if not all that wait.
    fn most_left(&self) -> Option<usize> {
        let (first, last) = self.frames.front().zip(self.frames.back())?;
        let is_long = last.due.saturating_sub(first.due) >= MAX_TIME;
        if self.bytes >= MAX_BYTES {
            Some(0)
        } else if self.frames.len() >= MAX_FRAMES || is_long {
            Some(FEW)
        } else {
            None
        }
    }
}

impl Ahead {
    /// Appends a frame, once there is room. Returns whether it is the only one that waits; `None`
    /// if no more are taken.
    pub(super) fn push(&self, frame: Early) -> Option<bool> {
        let mut state = lock(&self.state);
        if let Some(left) = state.most_left() {
            state = self.wait_for(left, state);
        }
        if state.is_closed {
            return None;
        }
        state.bytes += frame.encoded.jpeg.len();
        state.frames.push_back(frame);
        Some(state.frames.len() == 1)
    }

    /// Waits until all were taken, or no more are.
    pub(super) fn wait_until_empty(&self) {
        let state = lock(&self.state);
        drop(self.wait_for(0, state));
    }

    fn wait_for<'a>(
        &self,
        left: usize,
        mut state: MutexGuard<'a, EarlyFrames>,
    ) -> MutexGuard<'a, EarlyFrames> {
        while state.frames.len() > left && !state.is_closed {
            state.until = Some(left);
            state = unpoisoned(self.emptied.wait(state));
        }
        state.until = None;
        state
    }

    /// What the first frame is like.
    pub(super) fn first<T>(&self, like: impl FnOnce(&Early) -> T) -> Option<T> {
        lock(&self.state).frames.front().map(like)
    }

    /// Takes the first frame.
    pub(super) fn take(&self) -> Option<Early> {
        let mut state = lock(&self.state);
        let first = state.frames.pop_front()?;
        state.bytes -= first.encoded.jpeg.len();
        let left = state.frames.len();
        let is_awaited = state.until.is_some_and(|until| left <= until);
        drop(state);
        if is_awaited {
            self.emptied.notify_one();
        }
        Some(first)
    }

    /// Drops what waits, and takes no more.
    pub(super) fn close(&self) {
        let mut state = lock(&self.state);
        state.frames.clear();
        (state.bytes, state.is_closed) = (0, true);
        drop(state);
        self.emptied.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use bytes::Bytes;

    use super::*;
    use crate::encode::FrameOrigin;

    const MS: Duration = Duration::from_millis(1);

    fn early(len: usize, due: Duration) -> Early {
        let jpeg = Bytes::from(vec![0; len]);
        let encoded = Encoded {
            jpeg: jpeg.clone(),
            width: 1,
            height: 1,
            quality: None,
            origin: FrameOrigin::PassedThrough,
            has_timecode: false,
            quality_lowered: false,
            scaled_down: false,
            remark: None,
            encodings: 0,
        };
        Early {
            encoded,
            content: Content::Jpeg(jpeg),
            due,
        }
    }

    fn waits(ahead: &Ahead) -> bool {
        let state = lock(&ahead.state);
        state
            .most_left()
            .is_some_and(|left| state.frames.len() > left)
    }

    /// How many frames are read before one is sent.
    fn read_ahead(len: usize, interval: Duration) -> usize {
        let ahead = Ahead::default();
        let mut read = 0;
        while !waits(&ahead) {
            let is_only = ahead.push(early(len, interval * read as u32));
            assert_eq!(is_only, Some(read == 0));
            read += 1;
        }
        read
    }

    #[test]
    fn number_bytes_and_time_are_bounded() {
        assert_eq!(read_ahead(1_000, 33 * MS), MAX_FRAMES);
        assert_eq!(read_ahead(1 << 20, 33 * MS), 4);
        assert_eq!(read_ahead(MAX_BYTES, 33 * MS), 1);
        assert_eq!(read_ahead(1_000, 200 * MS), 3);
        assert_eq!(read_ahead(1_000, 5_000 * MS), 3);
    }

    #[test]
    fn every_frame_is_taken_in_order_and_the_reader_waits_for_the_last() {
        const FRAMES: u32 = 1_000;
        let ahead = Ahead::default();
        thread::scope(|scope| {
            let reader = scope.spawn(|| {
                for number in 0..FRAMES {
                    ahead.push(early(1_000, MS * number)).unwrap();
                    assert!(lock(&ahead.state).frames.len() <= MAX_FRAMES);
                }
                ahead.wait_until_empty();
                assert!(lock(&ahead.state).frames.is_empty());
            });
            for number in 0..FRAMES {
                while ahead.first(|_| ()).is_none() {
                    thread::yield_now();
                }
                assert_eq!(ahead.first(|first| first.due), Some(MS * number));
                assert_eq!(ahead.take().unwrap().due, MS * number);
            }
            reader.join().unwrap();
        });
        assert!(ahead.take().is_none());
        assert_eq!(lock(&ahead.state).bytes, 0);
    }

    #[test]
    fn closing_ends_every_wait_and_drops_the_frames() {
        let ahead = Ahead::default();
        thread::scope(|scope| {
            let reader = scope.spawn(|| while ahead.push(early(1, MS)).is_some() {});
            while !waits(&ahead) {
                thread::yield_now();
            }
            ahead.close();
            reader.join().unwrap();
        });
        ahead.wait_until_empty();
        assert!(ahead.take().is_none());
    }
}
