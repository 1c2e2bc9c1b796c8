//! Fragments into a JPEG again.

use std::collections::BTreeMap;
use std::ops::Range;

use super::{Fragment, Kind, NO_COUNT, Quantization, rebuild};
use crate::frame::MAX_FRAME_BYTES;
use crate::jpeg::markers::{END, START, restart_marker};
use crate::jpeg::{self, JpegHeader};
use crate::slices::{self, Spliced};

/// The most fragments of one frame: their numbers wrap behind it.
const MAX_PIECES: usize = 1 << 16;

/// What has arrived of a frame. It takes as much memory as what arrived.
#[derive(Clone, Debug)]
pub struct Assembly {
    kind: Kind,
    tables: Option<Quantization>,
    /// Data in the order of arrival.
    data: Vec<u8>,
    pieces: Vec<Piece>,
    /// What of the scan is there.
    covered: Covered,
    /// Bytes of the scan, once the last fragment is there.
    end: Option<usize>,
}

/// What arrived of a frame, run by run.
struct Runs {
    frame: Vec<u8>,
    /// The runs in `frame`, the header among the first one.
    present: Vec<Range<usize>>,
    /// Numbers of restart intervals, and where in `frame` they begin.
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
    /// The restart interval that it begins with, where it says so.
    slice: Option<u16>,
}

/// A fragment that does not belong to the frame, or to none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the fragment contradicts the others of its frame")]
pub struct Contradiction;

impl Assembly {
    /// A frame of which nothing has arrived.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            tables: None,
            data: Vec::new(),
            pieces: Vec::new(),
            covered: Covered::default(),
            end: None,
        }
    }

    /// What the fragments agree on.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Takes the quantization tables, from wherever they are known.
    pub fn set_tables(&mut self, tables: Option<Quantization>) {
        self.tables = self.tables.or(tables);
    }

    /// Takes a fragment, which must not have come before; `last` says whether
    /// the frame ends with it.
    ///
    /// # Errors
    /// Where it cannot be one of this frame.
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

    /// Says that no fragment comes behind those that are there: a newer frame
    /// begins with the very next packet.
    pub fn close(&mut self) {
        let furthest = (!self.pieces.is_empty()).then(|| self.covered.furthest());
        self.end = self.end.or(furthest);
    }

    /// Closes it where what is there is all of a JPEG of this size: of a sender
    /// that does not say which packet is the last. Returns whether it is.
    pub fn close_if_whole(&mut self, size: (u16, u16)) -> bool {
        if self.end.is_none() && !self.pieces.is_empty() {
            self.end = Some(self.covered.furthest());
            let jpeg = self.jpeg(size);
            if !jpeg.is_some_and(|jpeg| jpeg::scan::may_be_whole(&jpeg)) {
                self.end = None;
            }
        }
        self.is_complete()
    }

    /// Whether all of the scan is there.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.end.is_some_and(|end| self.covered.is_whole(end))
    }

    /// Bytes of memory that it takes, about.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        let pieces = size_of::<Piece>() * self.pieces.capacity();
        let ranges = 4 * size_of::<usize>() * self.covered.ranges.len();
        self.data.capacity() + pieces + ranges
    }

    /// Whether the tables are there that the frame needs.
    #[must_use]
    pub fn has_tables(&self) -> bool {
        self.tables.is_some()
    }

    /// Width and height in pixels; `told` where the fragments do not say.
    #[must_use]
    pub fn size(&self, told: Option<(u16, u16)>) -> Option<(u16, u16)> {
        match (self.kind.width, self.kind.height) {
            (0, _) | (_, 0) => told.filter(|(width, height)| *width > 0 && *height > 0),
            (width, height) => Some((u16::from(width) * 8, u16::from(height) * 8)),
        }
    }

    /// The whole JPEG of this size in pixels. `None` where something is
    /// missing.
    #[must_use]
    pub fn jpeg(&self, size: (u16, u16)) -> Option<Vec<u8>> {
        if !self.is_complete() {
            return None;
        }
        let mut scan = Vec::with_capacity(self.data.len());
        for piece in self.sorted() {
            // Of bytes that two fragments carry, one copy is taken.
            let known = scan.len().checked_sub(piece.offset)?;
            let data = self.data.get(piece.data.clone())?;
            scan.extend(data.get(known..).unwrap_or_default());
        }
        if scan.starts_with(&START) {
            // Some senders put the whole JPEG into the fragments.
            return jpeg::clean(&scan.into()).ok().map(Vec::from);
        }
        let mut jpeg = rebuild(self.kind, size, &self.tables?);
        jpeg.extend(scan);
        // https://www.rfc-editor.org/rfc/rfc2435#section-3.1: it may be left out.
        if !jpeg.ends_with(&END) {
            jpeg.extend(END);
        }
        if self.kind.interval.is_some() {
            // Some senders announce restarts and make none.
            jpeg = jpeg::clean(&jpeg.into()).ok()?.into();
        }
        (jpeg.len() <= MAX_FRAME_BYTES).then_some(jpeg)
    }

    /// What can be shown of a frame that is not whole: its restart slices.
    #[must_use]
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

    /// Header and pieces, with one byte in place of each gap: however far apart
    /// the pieces are, they take as much memory as what arrived.
    fn runs(&self, header: &[u8]) -> Option<Runs> {
        let begin = header.len();
        let mut runs = Runs {
            frame: header.to_vec(),
            present: std::iter::once(0..begin).collect(),
            starts: Vec::new(),
            end: 0,
        };
        // Bytes of gaps that were left out.
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

/// Ranges of bytes, merged where they meet: one more takes a logarithm of their
/// number, whatever their order.
#[derive(Clone, Debug, Default)]
struct Covered {
    /// Ends by starts; no two meet.
    ranges: BTreeMap<usize, usize>,
}

impl Covered {
    /// Adds a range that is not empty.
    fn insert(&mut self, range: Range<usize>) {
        let Range { mut start, mut end } = range;
        // Each that is merged is gone: all of them together are no more than
        // were added.
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

    /// Whether all bytes below `end` are there, and none above.
    fn is_whole(&self, end: usize) -> bool {
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

/// Where the first slice begins in `range`, the end of a frame of `count`
/// slices: counted from its last one. Many senders do not say it.
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
        let kind = Kind {
            sampling: Sampling::Half,
            interval: Some(20),
            q: 60,
            width: 40,
            height: 22,
        };
        let mut assembly = Assembly::new(kind);
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
        fn what_is_there_is_what_arrived_in_any_order(
            pieces in prop::collection::vec((0_u32..120, 0_usize..30, any::<bool>()), 0..40),
        ) {
            let kind = Kind { sampling: Sampling::Half, interval: None, q: 60, width: 2, height: 2 };
            let mut assembly = Assembly::new(kind);
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
                let whole = known_end.is_some_and(|end| (0..end).all(|byte| there.contains(&byte)));
                prop_assert_eq!(assembly.is_complete(), whole);
            }
            assembly.close();
            let end = known_end.or(there.last().map(|byte| byte + 1));
            let whole = end.is_some_and(|end| (0..end).all(|byte| there.contains(&byte)));
            prop_assert_eq!(assembly.is_complete(), whole);
        }
    }
}
