//! The playout queue: hands out each frame at once, unless it must wait for an older one, and never
//! an older frame after a newer one.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;

use super::{FrameId, ReceivedFrame};
use crate::reassembly::{MAX_FRAMES, MAX_HELD_BYTES};
use crate::seq::FrameNumber;
use crate::time::SenderTime;

/// Upper bound on frames with an open outcome: more than any sink queues.
const MAX_OPEN: usize = 1024;

/// Upper bound on frames that wait for an older one. Above it, or with too many bytes, the older
/// one is given up early.
const MAX_WAITING: usize = MAX_FRAMES;

/// A frame that can be shown.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) number: FrameNumber,
    pub(super) jpeg: Bytes,
    /// What is missing, in minimum coded units.
    pub(super) stale: Vec<Range<u32>>,
    /// The stale share of the image.
    pub(super) stale_share: f64,
    /// Whether a checksum proves its content.
    pub(super) checked: bool,
    pub(super) captured: SenderTime,
    pub(super) completed: Duration,
}

/// The frames of one session that are to be shown.
#[derive(Debug)]
pub(super) struct Playout {
    session: u64,
    stream: u64,
    waiting: BTreeMap<FrameNumber, Ready>,
    newest: Option<FrameNumber>,
    out: VecDeque<Ready>,
    /// Frames handed out whose outcome is open, with the stale share of each.
    open: BTreeMap<FrameNumber, f64>,
}

impl Playout {
    pub(super) fn new(stream: u64) -> Self {
        Self {
            session: 0,
            stream,
            waiting: BTreeMap::new(),
            newest: None,
            out: VecDeque::new(),
            open: BTreeMap::new(),
        }
    }

    /// Sets the session number, which the session's frames carry from now on.
    pub(super) fn set_session(&mut self, session: u64) {
        self.session = session;
    }

    pub(super) fn session(&self) -> u64 {
        self.session
    }

    /// Inserts a frame. Returns whether it is in time, that is, no newer one was released.
    pub(super) fn insert(&mut self, frame: Ready) -> bool {
        if self.is_past(frame.number) {
            return false;
        }
        self.waiting.insert(frame.number, frame);
        true
    }

    /// Whether more frames wait than may: the oldest one that is waited for must be given up.
    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() > MAX_WAITING
            || self.waiting.len() > 1 && self.held_bytes() > MAX_HELD_BYTES
    }

    /// Bytes of the waiting frames.
    pub(super) fn held_bytes(&self) -> usize {
        self.waiting.values().map(|frame| frame.jpeg.len()).sum()
    }

    /// Whether this frame or a newer one was released.
    pub(super) fn is_past(&self, number: FrameNumber) -> bool {
        self.newest.is_some_and(|newest| number <= newest)
    }

    /// The newest frame that was released.
    pub(super) fn newest(&self) -> Option<FrameNumber> {
        self.newest
    }

    /// Releases the frames older than `awaited`, the oldest one that is still waited for.
    pub(super) fn release(&mut self, awaited: Option<FrameNumber>) {
        while let Some(oldest) = self.waiting.first_entry() {
            if awaited.is_some_and(|awaited| awaited < *oldest.key()) {
                return;
            }
            let frame = oldest.remove();
            self.newest = Some(frame.number);
            self.open.insert(frame.number, frame.stale_share);
            if self.open.len() > MAX_OPEN {
                self.open.pop_first();
            }
            self.out.push_back(frame);
        }
    }

    /// The next frame.
    pub(super) fn poll(&mut self, tile: usize) -> Option<ReceivedFrame> {
        let frame = self.out.pop_front()?;
        Some(ReceivedFrame {
            id: FrameId {
                session: self.session,
                stream: self.stream,
                number: frame.number,
            },
            tile,
            jpeg: frame.jpeg,
            stale: frame.stale,
            checked: frame.checked,
            captured: frame.captured,
            completed: frame.completed,
        })
    }

    /// Closes a frame with an open outcome. Returns its stale share.
    pub(super) fn close(&mut self, number: FrameNumber) -> Option<f64> {
        self.open.remove(&number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(number: u64) -> Ready {
        Ready {
            number: FrameNumber(number),
            jpeg: Bytes::from_static(b"a frame"),
            stale: Vec::new(),
            stale_share: 0.0,
            checked: true,
            captured: SenderTime::default(),
            completed: Duration::ZERO,
        }
    }

    fn numbers(playout: &mut Playout) -> Vec<u64> {
        let frames = std::iter::from_fn(|| playout.poll(0));
        frames.map(|frame| frame.id.number.0).collect()
    }

    #[test]
    fn frames_wait_for_an_older_one_and_are_never_shown_after_a_newer_one() {
        let mut playout = Playout::new(7);
        assert!(playout.insert(frame(3)) && playout.insert(frame(1)));
        playout.release(Some(FrameNumber(2)));
        assert_eq!(numbers(&mut playout), [1]);
        playout.release(None);
        assert_eq!(numbers(&mut playout), [3]);
        assert!(!playout.insert(frame(2)) && !playout.insert(frame(3)));
    }

    #[test]
    fn each_frame_has_one_outcome_and_the_oldest_open_ones_are_forgotten() {
        let mut playout = Playout::new(7);
        for number in 0..=MAX_OPEN as u64 {
            playout.insert(frame(number));
            playout.release(None);
        }
        assert_eq!(playout.close(FrameNumber(0)), None);
        assert_eq!(playout.close(FrameNumber(1)), Some(0.0));
        assert_eq!(playout.close(FrameNumber(1)), None);
    }

    #[test]
    fn too_many_frames_that_wait_for_an_older_one_are_reported() {
        let mut playout = Playout::new(7);
        for number in 1..=MAX_WAITING as u64 {
            playout.insert(frame(number));
            playout.release(Some(FrameNumber(0)));
        }
        assert!(!playout.is_full());
        playout.insert(frame(0));
        assert!(playout.is_full());
    }
}
