//! Fragments into a JPEG again.

use std::ops::Range;

use super::{Fragment, Kind, NO_COUNT, Quantization, rebuild};
use crate::frame::MAX_FRAME_BYTES;
use crate::jpeg::{self, EOI, JpegHeader, RST0};
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
    /// Bytes of the scan, once the last fragment is there.
    end: Option<usize>,
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
        let furthest = self.pieces.iter().map(Piece::end).max().unwrap_or(0);
        let full = self.data.len() + fragment.data.len() > MAX_FRAME_BYTES;
        if fragment.kind != self.kind
            || beyond
            || end > MAX_FRAME_BYTES
            || (last && furthest > end)
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
        let furthest = self.pieces.iter().map(Piece::end).max();
        self.end = self.end.or(furthest);
    }

    /// Whether all of the scan is there.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.end
            .is_some_and(|end| self.data.len() >= end && self.is_gapless(end))
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
        let mut jpeg = rebuild(self.kind, size, &self.tables?);
        let header = jpeg.len();
        for piece in self.sorted() {
            // Of bytes that two fragments carry, one copy is taken.
            let known = (jpeg.len() - header).checked_sub(piece.offset)?;
            let data = self.data.get(piece.data.clone())?;
            jpeg.extend(data.get(known..).unwrap_or_default());
        }
        // https://www.rfc-editor.org/rfc/rfc2435#section-3.1: it may be left out.
        if !jpeg.ends_with(&END) {
            jpeg.extend(END);
        }
        (jpeg.len() <= MAX_FRAME_BYTES).then_some(jpeg)
    }

    /// What can be shown of a frame that is not whole: its restart slices.
    #[must_use]
    pub fn splice(&self, size: (u16, u16)) -> Option<Spliced> {
        self.kind.interval?;
        let header = rebuild(self.kind, size, &self.tables?);
        let begin = header.len();
        let mut frame = header.clone();
        let mut present: Vec<_> = std::iter::once(0..begin).collect();
        let mut starts = Vec::new();
        for piece in self.sorted() {
            let (start, end) = (begin + piece.offset, begin + piece.end());
            frame.resize(end.max(frame.len()), 0);
            frame
                .get_mut(start..end)?
                .copy_from_slice(self.data.get(piece.data.clone())?);
            match present.last_mut() {
                Some(range) if range.end >= start => range.end = range.end.max(end),
                _ => present.push(start..end),
            }
            starts.extend(piece.slice.map(|slice| (slice, start)));
        }
        let count = JpegHeader::parse(&header).ok()?.slice_count();
        if let Some(range) = present
            .last()
            .filter(|range| self.end == Some(range.end - begin))
        {
            starts.extend(from_the_end(&frame, range.clone(), count));
        }
        slices::splice(&slices::Fragments {
            header: &header,
            frame: &frame,
            present: &present,
            starts: &starts,
        })
    }

    fn sorted(&self) -> Vec<&Piece> {
        let mut pieces: Vec<_> = self.pieces.iter().collect();
        pieces.sort_by_key(|piece| piece.offset);
        pieces
    }

    fn is_gapless(&self, end: usize) -> bool {
        let reached = self.sorted().iter().try_fold(0, |reached, piece| {
            (piece.offset <= reached).then(|| reached.max(piece.end()))
        });
        reached == Some(end)
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
    let marker = RST0 + (number.checked_sub(1)? % 8) as u8;
    let fits = frame.get(first - 1) == Some(&marker);
    fits.then_some((u16::try_from(number).ok()?, first))
}

const END: [u8; 2] = [0xff, EOI];
