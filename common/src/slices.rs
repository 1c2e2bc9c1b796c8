//! Completes a JPEG with restart markers of which only some slices arrived.
//! Slices that arrived are kept; the others become neutral or are taken from the
//! frame before. Works on entropy-coded data, without pixels.
//!
//! A decoder needs nothing from before a restart marker (ITU-T T.81,
//! <https://www.w3.org/Graphics/JPEG/itu-t81.pdf>, E.2.4). Every slice of the
//! result is complete, so no decoder has to conceal errors.

mod neutral;

use std::collections::BTreeMap;
use std::ops::Range;

use crate::frame::MAX_FRAME_BYTES;
use crate::jpeg::markers::{END, EOI, Markers, restart_marker};
use crate::jpeg::{JpegHeader, tables};
use neutral::Neutral;

/// The received parts of an incomplete frame.
#[derive(Clone, Copy, Debug)]
pub struct Fragments<'a> {
    /// The JPEG's header, from start of image to start of scan.
    pub header: &'a [u8],
    /// The bytes of the frame; those that did not arrive are arbitrary.
    pub frame: &'a [u8],
    /// Byte ranges of the frame that arrived, in ascending order and merged.
    pub present: &'a [Range<usize>],
    /// Known slice starts, in any order: slice number, counted from 0, and offset
    /// in the frame.
    pub starts: &'a [(u16, usize)],
}

/// A JPEG with complete slices, not all of which are the sender's.
#[derive(Clone, Debug, PartialEq)]
pub struct Spliced {
    /// The JPEG, at most [`MAX_FRAME_BYTES`] long.
    pub jpeg: Vec<u8>,
    /// Minimum coded units (MCUs) that did not arrive and are neutral, as ranges
    /// in scan order, ascending and merged. Empty if only bytes outside of slices
    /// are missing.
    pub stale: Vec<Range<u32>>,
    /// Share of the picture that arrived, above 0 and at most 1.
    pub fresh: f64,
}

/// Makes a complete JPEG of the slices that arrived. `None` if nothing can be
/// shown: the picture has no slices or none is complete, its tables have no code
/// for a neutral block, or the result would be longer than [`MAX_FRAME_BYTES`].
pub fn splice(fragments: &Fragments<'_>) -> Option<Spliced> {
    let header = JpegHeader::parse(fragments.header).ok()?;
    if !header.has_slices() {
        return None;
    }
    let slices = complete_slices(fragments, header.slice_count());
    if slices.iter().all(Range::is_empty) {
        return None;
    }
    assemble(fragments, &header, &slices)
}

/// Replaces the stale slices of `jpeg`, a [`Spliced`] one, by those of `before`,
/// a complete JPEG. `None` if they do not fit, because size, tables or restart
/// interval differ, or if `before` is incomplete.
pub fn fill(jpeg: &[u8], stale: &[Range<u32>], before: &[u8]) -> Option<Vec<u8>> {
    let (header, slices) = all_slices(jpeg)?;
    let (_, slices_before) = all_slices(before)?;
    if tables(jpeg).ok()?? != tables(before).ok()?? {
        return None;
    }
    let mut filled = jpeg.get(..header.len)?.to_vec();
    let mut stale = stale.iter().peekable();
    for (number, (own, older)) in slices.iter().zip(&slices_before).enumerate() {
        if let Some(marked) = number.checked_sub(1) {
            filled.extend([0xff, restart_marker(marked)]);
        }
        let units = unit_range(&header, number);
        while stale.next_if(|stale| stale.end <= units.start).is_some() {}
        let is_stale = stale.peek().is_some_and(|stale| stale.start < units.end);
        filled.extend(match is_stale {
            true => before.get(older.clone())?,
            false => jpeg.get(own.clone())?,
        });
    }
    filled.extend(END);
    (filled.len() <= MAX_FRAME_BYTES).then_some(filled)
}

/// The header of a JPEG and the byte ranges of its slices, if it is complete.
fn all_slices(jpeg: &[u8]) -> Option<(JpegHeader, Vec<Range<usize>>)> {
    let header = JpegHeader::parse(jpeg).ok()?;
    if !header.has_slices() {
        return None;
    }
    let mut slices = vec![0..0; header.slice_count()];
    walk(jpeg, header.len, 0, &mut slices);
    let complete = !slices.iter().any(Range::is_empty);
    complete.then_some((header, slices))
}

/// The MCUs of a slice.
fn unit_range(header: &JpegHeader, number: usize) -> Range<u32> {
    let interval = u32::from(header.restart_interval);
    let start = number as u32 * interval;
    start..header.mcu_count().min(start.saturating_add(interval))
}

/// The byte range of each complete slice in the frame; an empty range for other
/// slices.
fn complete_slices(fragments: &Fragments<'_>, count: usize) -> Vec<Range<usize>> {
    let mut known: BTreeMap<usize, usize> = fragments
        .starts
        .iter()
        .map(|(number, start)| (*start, usize::from(*number)))
        .collect();
    if let Some(first) = fragments.present.first().filter(|first| first.start == 0)
        && let Some(bytes) = fragments.frame.get(first.clone())
        && let Ok(header) = JpegHeader::parse(bytes)
    {
        known.insert(header.len, 0);
    }
    let mut slices = vec![0..0; count];
    for range in fragments.present {
        let Some(bytes) = fragments.frame.get(..range.end) else {
            continue;
        };
        let mut walked = range.start;
        for (start, number) in known.range(range.clone()) {
            if *start >= walked {
                walked = walk(bytes, *start, *number, &mut slices);
            }
        }
    }
    slices
}

/// Finds consecutive slices, starting with slice `number` at `start`, up to the
/// first whose end is missing in `bytes` or unexpected. Returns how far it
/// searched.
fn walk(bytes: &[u8], start: usize, number: usize, slices: &mut [Range<usize>]) -> usize {
    let count = slices.len();
    let mut start = start;
    let mut markers = Markers::from(start);
    for (number, slice) in slices.iter_mut().enumerate().skip(number) {
        let Some(marker) = markers.next(bytes) else {
            return bytes.len();
        };
        let last = number + 1 == count;
        if marker.code != restart_marker(number) && !(last && marker.code == EOI) {
            return marker.end;
        }
        if Range::is_empty(slice) {
            *slice = start..marker.start;
        }
        start = marker.end;
    }
    start
}

/// Writes the header, the slices with their restart markers, and the end of
/// image.
fn assemble(
    fragments: &Fragments<'_>,
    header: &JpegHeader,
    slices: &[Range<usize>],
) -> Option<Spliced> {
    let mut neutral = Neutral::new(fragments.header, header)?;
    let mut jpeg = fragments.header.get(..header.len)?.to_vec();
    let mut stale: Vec<Range<u32>> = Vec::new();
    for (number, slice) in slices.iter().enumerate() {
        if let Some(before) = number.checked_sub(1) {
            jpeg.extend([0xff, restart_marker(before)]);
        }
        if slice.is_empty() {
            let missing = unit_range(header, number);
            jpeg.extend(neutral.slice(missing.len() as u32));
            match stale.last_mut() {
                Some(last) if last.end == missing.start => last.end = missing.end,
                _ => stale.push(missing),
            }
        } else {
            jpeg.extend(fragments.frame.get(slice.clone())?);
        }
        if jpeg.len() + END.len() > MAX_FRAME_BYTES {
            return None;
        }
    }
    jpeg.extend(END);
    let missing: usize = stale.iter().map(ExactSizeIterator::len).sum();
    Some(Spliced {
        jpeg,
        stale,
        fresh: 1.0 - missing as f64 / f64::from(header.mcu_count()),
    })
}

#[cfg(test)]
pub(crate) mod encoder;
#[cfg(test)]
mod tests;
