//! What is told of a stream: everything from the one struct of statistics.

pub mod advice;
pub mod csv;
mod delays;
pub mod files;
pub mod html;
pub mod lines;
pub mod live;
pub mod text;
mod verdict;

use framegram_common::stats::Frames;

/// Frames that were sent since the viewer joined and should have been seen,
/// but never were. `None` where nothing is known of any of them.
#[must_use]
pub fn missed(frames: &Frames) -> Option<u64> {
    sum(&[
        frames.lost,
        frames.incomplete,
        frames.late,
        frames.undecodable,
    ])
}

/// Frames whose end is known.
#[must_use]
pub fn settled(frames: &Frames) -> Option<u64> {
    sum(&[missed(frames), frames.shown, frames.skipped])
}

fn sum(parts: &[Option<u64>]) -> Option<u64> {
    parts.iter().flatten().copied().reduce(u64::saturating_add)
}

/// `part` of `whole`, from 0 to 1.
#[must_use]
pub fn share(part: Option<u64>, whole: Option<u64>) -> Option<f64> {
    match (part, whole) {
        (Some(part), Some(whole)) if whole > 0 => Some(part as f64 / whole as f64),
        _ => None,
    }
}
