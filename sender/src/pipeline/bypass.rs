//! The way of frames that need no encoder, past the encoders, whose threads need not be woken: JPEGs
//! that are passed through, and what was encoded early.

use std::sync::Arc;
use std::time::Duration;

use framegram_common::frame::Times;
use framegram_net::{Waker, clock};

use super::ahead::{Ahead, Early};
use super::{CapturedFrame, EncodedFrame, PipelineCounts};
use crate::encode::{Encoded, FrameOrigin, PassThrough};
use crate::queue::{FrameSlot, Ordered, Put, PutResult};

/// The way past the encoders. The source thread puts frames that are due into their place in the
/// order; those of a file it reads ahead, and the transmit loop does so once they are due.
pub(super) struct Bypass {
    pub(super) passing: PassThrough,
    pub(super) captured: Arc<FrameSlot<CapturedFrame>>,
    pub(super) encoded: Arc<Ordered<EncodedFrame>>,
    pub(super) counts: Arc<PipelineCounts>,
    pub(super) waker: Waker,
    pub(super) ahead: Ahead,
}

impl Bypass {
    /// Passes on a frame that is due, without waiting. Returns whether it did: otherwise an encoder
    /// has to shorten it, or older frames wait for one.
    pub(super) fn pass(&self, frame: Encoded, captured: Duration) -> bool {
        let Some(place) = self.place(&frame) else {
            return false;
        };
        self.put(place, frame, captured);
        self.waker.wake();
        true
    }

    fn place(&self, frame: &Encoded) -> Option<u64> {
        let is_own = frame.origin == FrameOrigin::PassedThrough;
        let fits = !is_own || self.passing.fits(frame.jpeg.len());
        let claim = || self.captured.claim(|place| self.encoded.has_room(place));
        fits.then(claim).flatten()
    }

    fn put(&self, place: u64, encoded: Encoded, captured: Duration) {
        let times = Times {
            captured,
            encoded: Some(clock::now()),
        };
        let encoded = Ok(encoded);
        self.encoded.put(place, EncodedFrame { encoded, times });
    }

    /// Whether anybody waits for frames.
    pub(super) fn is_wanted(&self) -> bool {
        !self.captured.is_idle()
    }

    /// Adds a frame that is read before it is due, once there is room. Returns whether more are
    /// taken.
    pub(super) fn push(&self, frame: Early) -> bool {
        let is_only = self.ahead.push(frame);
        if is_only == Some(true) {
            self.waker.wake();
        }
        is_only.is_some()
    }

    /// Passes on the frames that were read ahead and are due. Returns when the next one is; `None`
    /// also if one waits for an encoder, which wakes the transmit loop.
    pub(super) fn release(&self, now: Duration) -> Option<Duration> {
        loop {
            let (due, place) = self.ahead.first(|first| {
                let is_due = first.due <= now;
                let place = is_due.then(|| self.place(&first.encoded));
                (first.due, place)
            })?;
            let Some(place) = place else {
                return Some(due);
            };
            if place.is_none() && !self.captured.has_room() {
                return None;
            }
            let first = self.ahead.take()?;
            if let Some(place) = place {
                self.counts.record(PutResult::Queued);
                self.put(place, first.encoded, due);
                continue;
            }
            let frame = CapturedFrame {
                content: first.content,
                captured: due,
            };
            self.counts.record(self.captured.put(frame, Put::InTurn));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::encode::{Encoder, Limiter, Settings};
    use crate::source::{Content, Pattern};

    const MS: Duration = Duration::from_millis(1);

    fn bypass() -> (Bypass, Limiter, Content) {
        let mut encoder = Encoder::new(Settings::default()).unwrap();
        let picture = Pattern::new(64, 48, 30.0).unwrap().picture(1).unwrap();
        let jpeg = encoder.encode(&Content::Image(picture)).unwrap().jpeg;
        let bypass = Bypass {
            passing: encoder.pass_through(),
            captured: Arc::new(FrameSlot::new()),
            encoded: Arc::new(Ordered::new(1)),
            counts: Arc::default(),
            waker: Waker::new().unwrap(),
            ahead: Ahead::default(),
        };
        (bypass, encoder.limiter(), Content::Jpeg(jpeg))
    }

    /// Reads frames ahead that are due at these times.
    fn read(bypass: &Bypass, content: &Content, due: impl IntoIterator<Item = u32>) {
        for due in due {
            let frame = Early {
                encoded: bypass.passing.pass(content).unwrap(),
                content: content.clone(),
                due: MS * due,
            };
            assert!(bypass.push(frame));
        }
    }

    /// Takes what is ready: when it was captured, in milliseconds.
    fn taken(bypass: &Bypass) -> Vec<u128> {
        let frames = std::iter::from_fn(|| bypass.encoded.take());
        let captured = frames.map(|frame| frame.times.captured.as_millis());
        captured.collect()
    }

    #[test]
    fn frames_that_were_read_ahead_leave_when_they_are_due() {
        let (bypass, _, content) = bypass();
        assert_eq!(bypass.release(MS), None);
        read(&bypass, &content, [10, 20, 30]);
        assert_eq!(bypass.release(5 * MS), Some(10 * MS));
        assert!(taken(&bypass).is_empty());
        assert_eq!(bypass.release(21 * MS), Some(30 * MS));
        assert_eq!(taken(&bypass), [10, 20]);
        assert_eq!(bypass.counts.captured.load(Ordering::Relaxed), 2);
        assert_eq!(bypass.release(30 * MS), None);
        assert_eq!(taken(&bypass), [30]);
    }

    #[test]
    fn what_an_encoder_has_to_shorten_takes_its_place_among_the_others() {
        let (bypass, limiter, content) = bypass();
        read(&bypass, &content, [10, 20, 30]);
        assert_eq!(bypass.release(10 * MS), Some(20 * MS));
        limiter.set(bypass.passing.pass(&content).unwrap().jpeg.len() - 1);
        assert!(bypass.passing.pass(&content).is_none());
        assert_eq!(bypass.release(20 * MS), Some(30 * MS));
        // No encoder has taken it yet.
        assert_eq!(bypass.release(30 * MS), None);
        let (place, frame) = bypass.captured.take().unwrap();
        assert_eq!((place, frame.captured), (1, 20 * MS));
        assert_eq!(bypass.release(30 * MS), None);
        assert_eq!(bypass.captured.take().unwrap().0, 2);
        assert_eq!(taken(&bypass), [10]);
        assert!(bypass.ahead.take().is_none());
    }

    #[test]
    fn while_nobody_watches_the_newest_frame_waits() {
        let (bypass, _, content) = bypass();
        bypass.captured.set_idle(true);
        read(&bypass, &content, [10, 20, 30]);
        assert_eq!(bypass.release(25 * MS), Some(30 * MS));
        let count = |of: &std::sync::atomic::AtomicU64| of.load(Ordering::Relaxed);
        let counts = &bypass.counts;
        assert_eq!((count(&counts.captured), count(&counts.replaced)), (2, 1));
        bypass.captured.set_idle(false);
        assert_eq!(bypass.captured.take().unwrap().1.captured, 20 * MS);
    }

    #[test]
    fn frames_that_are_not_taken_wait_within_bounds() {
        let (bypass, _, content) = bypass();
        read(&bypass, &content, 1..=8);
        bypass.release(20 * MS);
        // Two are ready, one waits for an encoder, and the others for that one.
        assert_eq!(bypass.ahead.first(|first| first.due), Some(4 * MS));
        assert_eq!(taken(&bypass), [1, 2]);
        let newer = bypass.passing.pass(&content).unwrap();
        assert!(!bypass.pass(newer, 9 * MS), "an older one waits");
    }
}
