//! When the missing packets of a channel were sent that is no media.

use std::ops::Range;

use super::{FrameSent, MAX_MISSING, MAX_SLOTS};
use crate::what_if::slots::{Floor, Heard, Slot};

/// What is known of the frames besides which they were sent.
#[derive(Debug)]
pub(super) struct Frames<'a> {
    pub(super) frames: &'a [FrameSent],
    pub(super) media: &'a [Slot],
}

/// A channel whose packets come in a row behind a frame, or alone: what is
/// missing between two of a row was sent between them; what is missing between
/// two rows belongs to one of them, or to frames between. `numbers` are those
/// that are known to have been sent.
pub(super) fn fill(
    heard: &[Heard],
    numbers: &Range<u64>,
    frames: &Frames<'_>,
    floor: &Floor,
) -> Vec<Slot> {
    let (Some(first), Some(last)) = (heard.first(), heard.last()) else {
        return Vec::new();
    };
    let lost = |count: u64, sent| {
        let count = count.min(MAX_MISSING) as usize;
        std::iter::repeat_n(Slot::lost(sent), count)
    };
    let step = step(heard);
    let each = (last.number - first.number + 1) / frames.frames.len().max(1) as u64;
    let mut slots = Vec::with_capacity(heard.len());
    slots.extend(lost(first.number.saturating_sub(numbers.start), first.sent));
    let mut before: Option<&Heard> = None;
    for came in heard {
        if let Some(before) = before {
            let missing = (came.number - before.number - 1).min(MAX_MISSING);
            let apart = came.sent.saturating_sub(before.sent);
            if apart <= 2 * step * (missing + 1) {
                let apart = apart / (missing + 1);
                slots.extend((1..=missing).map(|at| Slot::lost(before.sent + apart * at)));
            } else {
                frames.spread(missing, (before.sent, came.sent), step, each, &mut slots);
            }
        }
        slots.push(floor.slot(came));
        before = Some(came);
        if slots.len() > MAX_SLOTS {
            break;
        }
    }
    slots.extend(lost(numbers.end.saturating_sub(last.number + 1), last.sent));
    slots.sort_by_key(|slot| slot.sent);
    slots
}

impl Frames<'_> {
    /// Puts what is missing between two rows in its places: `each` behind each
    /// frame between them; the rest where the path was bad, or behind the first.
    fn spread(
        &self,
        missing: u64,
        (first, last): (u64, u64),
        step: u64,
        each: u64,
        slots: &mut Vec<Slot>,
    ) {
        let from = self
            .frames
            .partition_point(|frame| self.end(frame) <= first);
        let to = self.frames.partition_point(|frame| self.end(frame) < last);
        let mut left = missing;
        let between = self.frames[from..to.max(from)].iter();
        // The last of them is the one whose row comes to its own.
        for frame in between.take((to.max(from) - from).saturating_sub(1)) {
            let count = each.min(left);
            let end = self.end(frame);
            slots.extend((1..=count).map(|at| Slot::lost(end + step * at)));
            left -= count;
        }
        let next = to.checked_sub(1).map(|at| &self.frames[at]);
        let bad = next.is_some_and(|frame| to > from && self.is_end_lost(frame));
        slots.extend((1..=left).map(|at| {
            let sent = if bad {
                last.saturating_sub(step * at).max(first)
            } else {
                (first + step * at).min(last)
            };
            Slot::lost(sent)
        }));
    }

    /// When the last chunk of a frame was sent.
    fn end(&self, frame: &FrameSent) -> u64 {
        self.last(frame).map_or(frame.start, |slot| slot.sent)
    }

    fn is_end_lost(&self, frame: &FrameSent) -> bool {
        self.last(frame).is_some_and(Slot::is_lost)
    }

    fn last(&self, frame: &FrameSent) -> Option<&Slot> {
        let count = frame.len.div_ceil(u32::from(frame.size).max(1)) as usize;
        self.media.get(frame.first + count.max(1) - 1)
    }
}

/// The usual time from one packet of a row to the next, in microseconds.
fn step(heard: &[Heard]) -> u64 {
    let pairs = heard
        .windows(2)
        .filter(|pair| pair[0].number + 1 == pair[1].number);
    let apart = pairs.map(|pair| pair[1].sent.saturating_sub(pair[0].sent));
    let mut apart: Vec<_> = apart.filter(|apart| *apart <= LONGEST_STEP).collect();
    let middle = apart.len() / 2;
    if apart.is_empty() {
        return LONGEST_STEP / 4;
    }
    *apart.select_nth_unstable(middle).1
}

/// Packets further apart, in microseconds, are of no row.
const LONGEST_STEP: u64 = 2_000;
