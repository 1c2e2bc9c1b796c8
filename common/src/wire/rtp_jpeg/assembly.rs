//! Assembles fragments into a JPEG.

use std::collections::BTreeMap;
use std::ops::Range;

use super::{Fragment, JpegKind, NO_COUNT, Quantization, rebuild};
use crate::frame::MAX_FRAME_BYTES;
use crate::jpeg::markers::{END, START, restart_marker};
use crate::jpeg::{self, JpegHeader};
use crate::slices::{self, Spliced};

/// The most fragments of a frame: packet numbers wrap after it.
const MAX_PIECES: usize = 1 << 16;

/// The received part of a frame. It takes as much memory as arrived.
#[derive(Clone, Debug)]
pub struct JpegAssembly {
    kind: JpegKind,
    tables: Option<Quantization>,
    /// Data in the order of arrival.
    data: Vec<u8>,
    pieces: Vec<Piece>,
    /// The received ranges of the scan.
    covered: Covered,
    /// Length of the scan in bytes, once the last fragment has arrived.
    end: Option<usize>,
}

/// The received part of a frame, as runs of bytes.
struct Runs {
    frame: Vec<u8>,
    /// The runs in `frame`; the first one includes the header.
    present: Vec<Range<usize>>,
    /// Numbers of restart intervals, and where they begin in `frame`.
    starts: Vec<(u16, usize)>,
    /// One above the last byte, in the scan.
    end: usize,
}

#[derive(Clone, Debug)]
struct Piece {
    /// In the scan.
    offset: usize,
    /// In the data.
    data: Range<usize>,
    /// The restart interval that it begins with, if it says so.
    slice: Option<u16>,
}

/// A fragment that does not belong to the frame, or to any.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the fragment contradicts the others of its frame")]
pub struct Contradiction;

impl JpegAssembly {
    /// A frame without any fragment.
    pub fn new(kind: JpegKind) -> Self {
        Self {
            kind,
            tables: None,
            data: Vec::new(),
            pieces: Vec::new(),
            covered: Covered::default(),
            end: None,
        }
    }

    /// What the fragments have in common.
    pub fn kind(&self) -> JpegKind {
        self.kind
    }

    /// Sets the quantization tables, from whatever source.
    pub fn set_tables(&mut self, tables: Option<Quantization>) {
        self.tables = self.tables.or(tables);
    }

    /// Inserts a fragment, which must not have arrived before. `last` says whether the frame ends
    /// with it.
    ///
    /// # Errors
    /// If it cannot belong to this frame.
    pub fn place(&mut self, fragment: &Fragment<'_>, last: bool) -> Result<(), Contradiction> {
        let offset = fragment.offset as usize;
        let end = offset + fragment.data.len();
        let beyond = self
            .end
            .is_some_and(|known| end > known || last && end != known);
        let full = self.data.len() + fragment.data.len() > MAX_FRAME_BYTES;
        if fragment.kind != self.kind
            || beyond
            || end > MAX_FRAME_BYTES
            || (last && self.covered.furthest() > end)
            || full
            || self.pieces.len() >= MAX_PIECES
        {
            return Err(Contradiction);
        }
        if last {
            self.end = Some(end);
        }
        if !fragment.data.is_empty() {
            let begin = self.data.len();
            self.data.extend_from_slice(fragment.data);
            let chunk = fragment
                .chunk
                .filter(|chunk| chunk.first && chunk.count != NO_COUNT);
            self.covered.insert(offset..end);
            self.pieces.push(Piece {
                offset,
                data: begin..self.data.len(),
                slice: chunk.map(|chunk| chunk.count),
            });
        }
        Ok(())
    }

    /// Marks the end of the frame at the fragments present: a newer frame begins with the very next
    /// packet.
    pub fn close(&mut self) {
        let furthest = (!self.pieces.is_empty()).then(|| self.covered.furthest());
        self.end = self.end.or(furthest);
    }

    /// Marks the end if the fragments present make a complete JPEG of this size, for senders that
    /// do not mark the last packet. Returns whether they do.
    pub fn close_if_complete(&mut self, size: (u16, u16)) -> bool {
        if self.end.is_none() && !self.pieces.is_empty() {
            self.end = Some(self.covered.furthest());
            let jpeg = self.jpeg(size);
            if !jpeg.is_some_and(|jpeg| jpeg::scan::may_be_complete(&jpeg)) {
                self.end = None;
            }
        }
        self.is_complete()
    }

    /// Whether all of the scan has arrived.
    pub fn is_complete(&self) -> bool {
        self.end.is_some_and(|end| self.covered.is_complete(end))
    }

    /// Approximate bytes of memory held.
    pub fn held_bytes(&self) -> usize {
        let pieces = size_of::<Piece>() * self.pieces.capacity();
        let ranges = 4 * size_of::<usize>() * self.covered.ranges.len();
        self.data.capacity() + pieces + ranges
    }

    /// Whether the tables that the frame needs are present.
    pub fn has_tables(&self) -> bool {
        self.tables.is_some()
    }

    /// Width and height in pixels; `told` if the fragments do not say.
    pub fn size(&self, told: Option<(u16, u16)>) -> Option<(u16, u16)> {
        match (self.kind.width, self.kind.height) {
            (0, _) | (_, 0) => told.filter(|(width, height)| *width > 0 && *height > 0),
            (width, height) => Some((u16::from(width) * 8, u16::from(height) * 8)),
        }
    }

    /// The complete JPEG of this size in pixels; `None` if something is missing.
    pub fn jpeg(&self, size: (u16, u16)) -> Option<Vec<u8>> {
        if !self.is_complete() {
            return None;
        }
        let mut scan = Vec::with_capacity(self.data.len());
        for piece in self.sorted() {
            // If two fragments carry the same bytes, one copy is used.
            let known = scan.len().checked_sub(piece.offset)?;
            let data = self.data.get(piece.data.clone())?;
            scan.extend(data.get(known..).unwrap_or_default());
        }
        if scan.starts_with(&START) {
            // Some senders put the complete JPEG into the fragments.
            return jpeg::clean(&scan.into()).ok().map(Vec::from);
        }
        let mut jpeg = rebuild(self.kind, size, &self.tables?);
        jpeg.extend(scan);
        // https://www.rfc-editor.org/rfc/rfc2435#section-3.1 allows to omit it.
        if !jpeg.ends_with(&END) {
            jpeg.extend(END);
        }
        if self.kind.interval.is_some() {
            // Some senders announce restarts and make none.
            jpeg = jpeg::clean(&jpeg.into()).ok()?.into();
        }
        (jpeg.len() <= MAX_FRAME_BYTES).then_some(jpeg)
    }

    /// The showable part of an incomplete frame: its restart slices.
    pub fn splice(&self, size: (u16, u16)) -> Option<Spliced> {
        self.kind.interval?;
        let header = rebuild(self.kind, size, &self.tables?);
        let Runs {
            frame,
            present,
            mut starts,
            end,
        } = self.runs(&header)?;
        let count = JpegHeader::parse(&header).ok()?.slice_count();
        if let Some(range) = present.last().filter(|_| self.end == Some(end)) {
            starts.extend(from_the_end(&frame, range.clone(), count));
        }
        slices::splice(&slices::Fragments {
            header: &header,
            frame: &frame,
            present: &present,
            starts: &starts,
        })
    }

    /// Header and fragments, with one byte in place of each gap: however far apart the fragments
    /// are, they take as much memory as arrived.
    fn runs(&self, header: &[u8]) -> Option<Runs> {
        let begin = header.len();
        let mut runs = Runs {
            frame: header.to_vec(),
            present: std::iter::once(0..begin).collect(),
            starts: Vec::new(),
            end: 0,
        };
        // Bytes of omitted gaps.
        let mut skipped = 0;
        for piece in self.sorted() {
            let gap = piece.offset.saturating_sub(runs.end);
            if gap > 0 {
                runs.frame.push(0);
                runs.present.push(runs.frame.len()..runs.frame.len());
                skipped += gap - 1;
            }
            let start = begin + piece.offset - skipped;
            let end = start + piece.data.len();
            runs.frame.resize(end.max(runs.frame.len()), 0);
            runs.frame
                .get_mut(start..end)?
                .copy_from_slice(self.data.get(piece.data.clone())?);
            runs.present.last_mut()?.end = runs.frame.len();
            runs.starts.extend(piece.slice.map(|slice| (slice, start)));
            runs.end = runs.end.max(piece.end());
        }
        Some(runs)
    }

    fn sorted(&self) -> Vec<&Piece> {
        let mut pieces: Vec<_> = self.pieces.iter().collect();
        pieces.sort_by_key(|piece| piece.offset);
        pieces
    }
}

/// Ranges of bytes, merged where they meet. An insertion takes logarithmic time, in any order.
#[derive(Clone, Debug, Default)]
struct Covered {
    /// End of each range by its start. No two ranges meet.
    ranges: BTreeMap<usize, usize>,
}

impl Covered {
    /// Inserts a range, which must not be empty.
    fn insert(&mut self, range: Range<usize>) {
        let Range { mut start, mut end } = range;
        // Each merged range is removed, so all merges together cost no more than all insertions.
        while let Some((&first, &last)) = self.ranges.range(..=end).next_back()
            && last >= start
        {
            self.ranges.remove(&first);
            start = start.min(first);
            end = end.max(last);
        }
        self.ranges.insert(start, end);
    }

    /// One above the last byte.
    fn furthest(&self) -> usize {
        self.ranges.last_key_value().map_or(0, |(_, end)| *end)
    }

    /// Whether exactly the bytes below `end` are present.
    fn is_complete(&self, end: usize) -> bool {
        let gapless = match self.ranges.first_key_value() {
            Some((start, _)) => *start == 0 && self.ranges.len() == 1,
            None => true,
        };
        gapless && self.furthest() == end
    }
}

impl Piece {
    fn end(&self) -> usize {
        self.offset + self.data.len()
    }
}

/// Where the first slice begins in `range`, the end of a frame of `count` slices, counted from the
/// last one. Many senders do not give its number.
fn from_the_end(frame: &[u8], range: Range<usize>, count: usize) -> Option<(u16, usize)> {
    let starts = jpeg::slice_starts(frame.get(..range.end)?, range.start);
    let (_, behind_markers) = starts.split_first()?;
    let first = *behind_markers.first()? as usize;
    let number = count.checked_sub(behind_markers.len())?;
    let marker = restart_marker(number.checked_sub(1)?);
    let fits = frame.get(first - 1) == Some(&marker);
    fits.then_some((u16::try_from(number).ok()?, first))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Sampling;
    use super::*;

    #[test]
    fn a_fragment_far_away_takes_no_memory_for_what_lies_before_it() {
        let kind = JpegKind {
            sampling: Sampling::Half,
            interval: Some(20),
            q: 60,
            width: 40,
            height: 22,
        };
        let mut assembly = JpegAssembly::new(kind);
        assembly.set_tables(Quantization::standard(60));
        for offset in [0, 1_000, 16_000_000] {
            let fragment = Fragment {
                kind,
                offset,
                chunk: None,
                tables: None,
                data: &[7; 30],
            };
            assembly.place(&fragment, offset > 1_000).unwrap();
        }
        let header = rebuild(kind, (320, 176), &assembly.tables.unwrap());
        let runs = assembly.runs(&header).unwrap();
        assert_eq!(runs.frame.len(), header.len() + 3 * 30 + 2);
        assert!(runs.frame.capacity() < 2_000);
        assert_eq!(runs.end, 16_000_030);
        let len = header.len();
        assert_eq!(
            runs.present,
            [0..len + 30, len + 31..len + 61, len + 62..len + 92]
        );
    }

    proptest! {
        #[test]
        fn the_assembly_has_what_arrived_in_any_order(
            pieces in prop::collection::vec((0_u32..120, 0_usize..30, any::<bool>()), 0..40),
        ) {
            let kind = JpegKind { sampling: Sampling::Half, interval: None, q: 60, width: 2, height: 2 };
            let mut assembly = JpegAssembly::new(kind);
            let (mut there, mut known_end) = (std::collections::BTreeSet::new(), None);
            let data = [7; 30];
            for (offset, len, last) in pieces {
                let fragment = Fragment {
                    kind,
                    offset,
                    chunk: None,
                    tables: None,
                    data: &data[..len],
                };
                let start = offset as usize;
                let end = start + len;
                let furthest = there.last().map_or(0, |byte| byte + 1);
                let contradicts = known_end.is_some_and(|known| end > known || last && end != known)
                    || last && furthest > end;
                prop_assert_eq!(assembly.place(&fragment, last).is_err(), contradicts);
                if !contradicts {
                    there.extend(start..end);
                    known_end = known_end.or(last.then_some(end));
                }
                let complete = known_end.is_some_and(|end| (0..end).all(|byte| there.contains(&byte)));
                prop_assert_eq!(assembly.is_complete(), complete);
            }
            assembly.close();
            let end = known_end.or(there.last().map(|byte| byte + 1));
            let complete = end.is_some_and(|end| (0..end).all(|byte| there.contains(&byte)));
            prop_assert_eq!(assembly.is_complete(), complete);
        }
    }
}
