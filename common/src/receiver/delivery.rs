//! Frames on their way to whoever shows them, in order: each at once, unless an
//! older one is still waited for, and never an older one after a newer one.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;

use super::{FrameId, ReceivedFrame};
use crate::reassembly::{MAX_FRAMES, MAX_HELD_BYTES};
use crate::seq::FrameNumber;

/// The most frames between being handed out and having their outcome told: more
/// than any sink keeps waiting.
const MAX_DELIVERED: usize = 1024;

/// The most frames that wait for an older one: it is given up before its time
/// when there are more, or more bytes of them.
const MAX_WAITING: usize = MAX_FRAMES;

/// A frame that can be shown.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) number: FrameNumber,
    pub(super) jpeg: Bytes,
    /// What of the picture is missing, in minimum coded units.
    pub(super) stale: Vec<Range<u32>>,
    pub(super) captured: Duration,
    pub(super) completed: Duration,
}

/// The frames of one stream that wait to be shown.
#[derive(Debug, Default)]
pub(super) struct Delivery {
    waiting: BTreeMap<FrameNumber, Ready>,
    handed_out: Option<FrameNumber>,
    out: VecDeque<ReceivedFrame>,
    /// Without an outcome.
    delivered: BTreeSet<FrameNumber>,
}

impl Delivery {
    /// Takes a frame. Returns whether it is in time: false where a newer one
    /// was handed out before.
    pub(super) fn push(&mut self, frame: Ready) -> bool {
        if self.is_past(frame.number) {
            return false;
        }
        self.waiting.insert(frame.number, frame);
        true
    }

    /// Whether so much waits that the oldest frame awaited must be given up.
    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() > MAX_WAITING
            || self.waiting.len() > 1 && self.held_bytes() > MAX_HELD_BYTES
    }

    /// Bytes of the frames that wait.
    pub(super) fn held_bytes(&self) -> usize {
        self.waiting.values().map(|frame| frame.jpeg.len()).sum()
    }

    /// Whether a newer frame (or this one) was handed out before.
    pub(super) fn is_past(&self, number: FrameNumber) -> bool {
        self.handed_out.is_some_and(|newest| number <= newest)
    }

    /// The newest frame that was handed out.
    pub(super) fn handed_out(&self) -> Option<FrameNumber> {
        self.handed_out
    }

    /// Hands out the frames of `stream` that are older than `awaited`, the
    /// oldest frame that is still waited for.
    pub(super) fn hand_out(&mut self, stream: u64, awaited: Option<FrameNumber>) {
        while let Some(oldest) = self.waiting.first_entry() {
            if awaited.is_some_and(|awaited| awaited < *oldest.key()) {
                return;
            }
            let Ready {
                number,
                jpeg,
                stale,
                captured,
                completed,
            } = oldest.remove();
            self.handed_out = Some(number);
            self.delivered.insert(number);
            if self.delivered.len() > MAX_DELIVERED {
                self.delivered.pop_first();
            }
            let id = FrameId { stream, number };
            self.out.push_back(ReceivedFrame {
                id,
                jpeg,
                stale,
                checked: true,
                captured,
                completed,
            });
        }
    }

    /// The next frame that was handed out.
    pub(super) fn poll(&mut self) -> Option<ReceivedFrame> {
        self.out.pop_front()
    }

    /// Takes note of a frame's outcome. Returns whether it was still to be told.
    pub(super) fn settle(&mut self, number: FrameNumber) -> bool {
        self.delivered.remove(&number)
    }
}
