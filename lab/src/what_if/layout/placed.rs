//! Which numbers the chunks of each frame had, of lost frames too.

use framegram_common::frame::MAX_FRAME_BYTES;

use super::MAX_MISSING;
use crate::what_if::gathered::{Gathered, MAX_FRAMES};

/// A frame, and the numbers of its chunks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed {
    pub(super) number: u64,
    pub(super) len: u32,
    pub(super) size: u16,
    pub(super) captured: u64,
    pub(super) base: u64,
    /// Whether anything of it came.
    pub(super) known: bool,
}

impl Placed {
    pub(super) fn count(&self) -> u64 {
        u64::from(self.len).div_ceil(u64::from(self.size))
    }

    fn end(&self) -> u64 {
        self.base + self.count()
    }
}

/// All frames in their order, those of which nothing came included.
pub(super) fn place_frames(gathered: &Gathered) -> Vec<Placed> {
    let mut placed: Vec<Placed> = Vec::new();
    // Of these only chunks came that were sent again: what stands before and
    // behind them says where they stand.
    let mut floating: Vec<Placed> = Vec::new();
    for (number, (chunk, base)) in &gathered.frames {
        let frame = Placed {
            number: *number,
            len: chunk.frame_len,
            size: chunk.size,
            captured: chunk.captured,
            base: base.unwrap_or(0),
            known: true,
        };
        if base.is_none() {
            floating.push(frame);
            continue;
        }
        if placed.is_empty() {
            if gathered.is_from_start() {
                lead_in(&frame, gathered, &mut placed);
            } else if frame.base > 0 && !gathered.has_come(frame.base) {
                // The viewer joined in the middle of it.
                continue;
            }
            floating.clear();
        }
        if !placed.is_empty() && !between(&mut placed, &floating, &frame) {
            return placed;
        }
        floating.clear();
        placed.push(frame);
    }
    end(gathered, &mut placed, &floating);
    placed
}

/// The frames before the first that came, of a stream that was heard from its
/// start.
fn lead_in(first: &Placed, gathered: &Gathered, placed: &mut Vec<Placed>) {
    let missing = first.number;
    if missing == 0 || missing > MAX_MISSING || first.base < missing {
        return;
    }
    let interval = gathered.counts.map_or(0, |counts| counts.interval.into());
    let count = first.base / missing;
    let rest = first.base % missing;
    let mut base = 0;
    for number in 0..missing {
        let frame = unknown(first, number, base, count + u64::from(number < rest));
        base = frame.end();
        placed.push(Placed {
            captured: first.captured.saturating_sub(interval * (missing - number)),
            ..frame
        });
    }
}

/// Adds what was sent behind the last one and before `next`: the floating ones,
/// and those lost as a whole, which share the numbers that are left. `false`
/// where that cannot be.
fn between(placed: &mut Vec<Placed>, floating: &[Placed], next: &Placed) -> bool {
    let Some(last) = placed.last().copied() else {
        return false;
    };
    let (Some(missing), Some(room)) = (
        next.number.checked_sub(last.number + 1),
        next.base.checked_sub(last.end()),
    ) else {
        return false;
    };
    let many = placed.len() as u64 + missing > MAX_FRAMES as u64;
    let taken: u64 = floating.iter().map(Placed::count).sum();
    let lost = missing.saturating_sub(floating.len() as u64);
    let Some(room) = room.checked_sub(taken) else {
        return false;
    };
    let beyond = floating
        .last()
        .is_some_and(|last| last.number >= next.number);
    if missing > MAX_MISSING || many || room < lost || beyond {
        return false;
    }
    let count = room.checked_div(lost).unwrap_or(0);
    let mut rest = room.checked_rem(lost).unwrap_or(0);
    let mut before = last;
    for known in floating.iter().chain([next]) {
        let apart = known.captured.saturating_sub(before.captured);
        let from = before;
        let gap = known.number - from.number;
        for at in 1..gap {
            let frame = unknown(&last, from.number + at, before.end(), count + rest.min(1));
            rest = rest.saturating_sub(1);
            before = Placed {
                captured: from.captured + apart / gap * at,
                ..frame
            };
            placed.push(before);
        }
        if known.number < next.number {
            before = Placed {
                base: before.end(),
                ..*known
            };
            placed.push(before);
        }
    }
    true
}

/// A frame of which nothing came, with so many chunks.
fn unknown(like: &Placed, number: u64, base: u64, chunks: u64) -> Placed {
    let most = MAX_FRAME_BYTES as u64 / u64::from(like.size);
    let len = chunks.clamp(1, most) * u64::from(like.size);
    Placed {
        number,
        len: len as u32,
        base,
        known: false,
        ..*like
    }
}

/// Adds the frames lost at the end; takes away what was only beginning to come.
fn end(gathered: &Gathered, placed: &mut Vec<Placed>, floating: &[Placed]) {
    let Some(last) = placed.last().copied() else {
        return;
    };
    if let Some(counts) = gathered.counts.filter(|_| gathered.ended) {
        let known = floating.last().unwrap_or(&last);
        let missing = counts.frames_sent.saturating_sub(known.number);
        let interval = u64::from(counts.interval).saturating_mul(missing);
        let end = Placed {
            number: counts.frames_sent,
            base: counts.packets[0],
            captured: known.captured.saturating_add(interval),
            ..last
        };
        between(placed, floating, &end);
        return;
    }
    for frame in floating {
        let before = placed.last().copied().unwrap_or(last);
        if frame.number != before.number + 1 {
            break;
        }
        placed.push(Placed {
            base: before.end(),
            ..*frame
        });
    }
    placed.pop();
}
