//! Assigns packet numbers to the chunks of all frames, including lost ones.

use framegram_common::frame::MAX_FRAME_BYTES;

use super::MAX_MISSING;
use crate::what_if::stream_index::{MAX_FRAMES, StreamIndex};

/// A frame, and the packet numbers of its chunks.
#[derive(Clone, Copy, Debug)]
pub(super) struct FrameSpan {
    pub(super) number: u64,
    pub(super) len: u32,
    pub(super) size: u16,
    pub(super) captured: u64,
    pub(super) base: u64,
    /// Whether any of it arrived.
    pub(super) known: bool,
}

impl FrameSpan {
    pub(super) fn count(&self) -> u64 {
        u64::from(self.len).div_ceil(u64::from(self.size))
    }

    fn end(&self) -> u64 {
        self.base + self.count()
    }
}

/// All frames in order, including those of which nothing arrived.
pub(super) fn place_frames(index: &StreamIndex) -> Vec<FrameSpan> {
    let mut spans: Vec<FrameSpan> = Vec::new();
    for (number, (chunk, base)) in &index.frames {
        let frame = FrameSpan {
            number: *number,
            len: chunk.frame_len,
            size: chunk.size,
            captured: chunk.captured,
            base: *base,
            known: true,
        };
        if spans.is_empty() {
            if index.is_from_start() {
                lead_in(&frame, index, &mut spans);
            } else if frame.base > 0 && !index.has_come(frame.base) {
                // The viewer joined in the middle of this frame.
                continue;
            }
        }
        if !spans.is_empty() && !between(&mut spans, &frame) {
            return spans;
        }
        spans.push(frame);
    }
    end(index, &mut spans);
    spans
}

/// Adds the frames before the first that arrived, in a stream that was received
/// from its start.
fn lead_in(first: &FrameSpan, index: &StreamIndex, spans: &mut Vec<FrameSpan>) {
    let missing = first.number;
    if missing == 0 || missing > MAX_MISSING || first.base < missing {
        return;
    }
    let interval = index.counts.map_or(0, |counts| counts.interval.into());
    let count = first.base / missing;
    let rest = first.base % missing;
    let mut base = 0;
    for number in 0..missing {
        let frame = unknown(first, number, base, count + u64::from(number < rest));
        base = frame.end();
        spans.push(FrameSpan {
            captured: first.captured.saturating_sub(interval * (missing - number)),
            ..frame
        });
    }
}

/// Adds the frames lost between the last one and `next`. They share the packet
/// numbers in between. Returns false if the numbers contradict that.
fn between(spans: &mut Vec<FrameSpan>, next: &FrameSpan) -> bool {
    let Some(last) = spans.last().copied() else {
        return false;
    };
    let missing = next.number.checked_sub(last.number + 1);
    let (Some(missing), Some(room)) = (missing, next.base.checked_sub(last.end())) else {
        return false;
    };
    let many = spans.len() as u64 + missing > MAX_FRAMES as u64;
    if missing > MAX_MISSING || many || room < missing {
        return false;
    }
    let apart = next.captured.saturating_sub(last.captured) / (missing + 1);
    let mut base = last.end();
    for at in 1..=missing {
        let count = room / missing + u64::from(at <= room % missing);
        let frame = unknown(&last, last.number + at, base, count);
        base = frame.end();
        spans.push(FrameSpan {
            captured: last.captured + apart * at,
            ..frame
        });
    }
    true
}

/// A frame of which nothing arrived, with this many chunks.
fn unknown(like: &FrameSpan, number: u64, base: u64, chunks: u64) -> FrameSpan {
    let most = MAX_FRAME_BYTES as u64 / u64::from(like.size);
    let len = chunks.clamp(1, most) * u64::from(like.size);
    FrameSpan {
        number,
        len: len as u32,
        base,
        known: false,
        ..*like
    }
}

/// Adds the frames lost at the end, if the stream ended with a bye. Otherwise
/// removes the last frame, which may be incomplete.
fn end(index: &StreamIndex, spans: &mut Vec<FrameSpan>) {
    let Some(last) = spans.last().copied() else {
        return;
    };
    let Some(counts) = index.counts.filter(|_| index.ended) else {
        spans.pop();
        return;
    };
    let missing = counts.frames_sent.saturating_sub(last.number);
    let interval = u64::from(counts.interval).saturating_mul(missing);
    let end = FrameSpan {
        number: counts.frames_sent,
        base: counts.packets[0],
        captured: last.captured.saturating_add(interval),
        ..last
    };
    between(spans, &end);
}
