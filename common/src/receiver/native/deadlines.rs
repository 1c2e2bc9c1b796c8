//! The frames that are waited for, each with its playout deadline, and when the next frame is
//! overdue.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::seq::FrameNumber;

/// Upper bound on the frames that are waited for at once: more than arrive within any sensible
/// playout delay.
const MAX_FRAMES: usize = 256;

/// A frame is overdue when it is late by this, or by an eighth of the frame interval if that is
/// longer.
const MIN_OVERDUE: Duration = Duration::from_millis(4);

/// After this many overdue frames in a row, the source counts as pausing.
const MAX_OVERDUE: u64 = 3;

/// How long a frame is waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    /// When its last packet was expected.
    pub(super) all_due: Duration,
    /// When it is given up.
    pub(super) until: Duration,
    /// Whether the frame is known to be sent. A frame that is merely overdue is requested, but its
    /// source may be slow, so it is not given up.
    pub(super) sent: bool,
}

/// The frames of one stream that are waited for, whether or not a chunk of them has arrived.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    frames: BTreeMap<FrameNumber, Deadline>,
    /// The newest frame that began to arrive, and when.
    newest: Option<(FrameNumber, Duration)>,
    /// Frames below this were counted as overdue.
    expected: u64,
}

impl Deadlines {
    /// Waits for a frame that was sent, unless it is waited for already. An overdue frame keeps its
    /// deadline if that is in the future.
    pub(super) fn insert(&mut self, number: FrameNumber, wait: Deadline, now: Duration) {
        let deadline = self.frames.entry(number).or_insert(wait);
        if !deadline.sent && deadline.until <= now {
            *deadline = wait;
        }
        deadline.sent = true;
    }

    /// Waits for a frame that begins to arrive as it is sent. When it was expected
    /// counts no more, nor when its sender said that it has it: it may have waited
    /// for the frame before it to pass.
    pub(super) fn insert_begun(&mut self, number: FrameNumber, wait: Deadline) {
        let deadline = self.frames.entry(number).or_insert(wait);
        if !deadline.sent || deadline.until < wait.until {
            *deadline = wait;
        }
    }

    /// Marks the frames below `end` as sent: none of them is merely overdue.
    pub(super) fn record_sent(&mut self, end: u64) {
        let sent = self.frames.range_mut(..FrameNumber(end));
        sent.for_each(|(_, wait)| wait.sent = true);
    }

    /// Waits for frames before this one until `until` at most.
    pub(super) fn limit_before(&mut self, number: FrameNumber, until: Duration) {
        let before = self.frames.range_mut(..number);
        before.for_each(|(_, wait)| wait.until = wait.until.min(until));
    }

    /// Stops waiting for a frame.
    pub(super) fn remove(&mut self, number: FrameNumber) {
        self.frames.remove(&number);
    }

    /// Records that a frame begins to arrive.
    pub(super) fn record_begin(&mut self, number: FrameNumber, now: Duration) {
        if self.newest.is_none_or(|(newest, _)| newest < number) {
            self.newest = Some((number, now));
        }
    }

    /// The frames, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (FrameNumber, Deadline)> {
        self.frames.iter().map(|(number, wait)| (*number, *wait))
    }

    /// The oldest frame.
    pub(super) fn first(&self) -> Option<FrameNumber> {
        self.frames.first_key_value().map(|(number, _)| *number)
    }

    /// The oldest frame whose deadline is past, or for which there is no room.
    pub(super) fn expired(&self, now: Duration) -> Option<FrameNumber> {
        if self.frames.len() > MAX_FRAMES {
            return self.first();
        }
        self.iter()
            .find(|(_, wait)| wait.sent && wait.until <= now)
            .map(|(number, _)| number)
    }

    /// When the next frame is given up.
    pub(super) fn next(&self) -> Option<Duration> {
        let sent = self.frames.values().filter(|wait| wait.sent);
        sent.map(|wait| wait.until).min()
    }

    /// The next overdue frame and when it is overdue, at this frame interval, if `known` frames are
    /// known. `None` before the first frame, and while the source pauses.
    pub(super) fn overdue(
        &self,
        interval: Duration,
        known: u64,
    ) -> Option<(FrameNumber, Duration)> {
        let number = FrameNumber(self.expected.max(known));
        let due = self.due(number, interval)?;
        let paused = number.0 >= known.saturating_add(MAX_OVERDUE);
        (!paused).then(|| (number, due + MIN_OVERDUE.max(interval / 8)))
    }

    /// When a future frame is due.
    pub(super) fn due(&self, number: FrameNumber, interval: Duration) -> Option<Duration> {
        let (newest, began) = self.newest?;
        let after = u32::try_from(number.0.saturating_sub(newest.0)).ok()?;
        Some(began + interval.checked_mul(after)?)
    }

    /// Waits for a frame because it is overdue.
    pub(super) fn insert_overdue(&mut self, number: FrameNumber, wait: Deadline) {
        let overdue = Deadline {
            sent: false,
            ..wait
        };
        self.frames.entry(number).or_insert(overdue);
        self.expected = number.0 + 1;
    }
}
