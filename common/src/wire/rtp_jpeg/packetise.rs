//! Cuts a JPEG into fragments.

use std::ops::Range;

use thiserror::Error;

use super::{
    Fragment, HEADER, JpegKind, MAX_SIDE, NO_COUNT, ONE_FRAME_Q, Quantization, RESTART_HEADER,
    RestartSpan, Sampling, TABLES_HEADER, TableBytes,
};
use crate::jpeg::huffman::STANDARD;
use crate::jpeg::markers::{DHT, DQT, EOI, Markers};
use crate::jpeg::{self, JpegError, JpegHeader, Segments};

/// A JPEG that RTP can carry, and how it is cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Width in pixels. Fragments carry it rounded up to 8, or not at all.
    pub width: u16,
    /// Height in pixels, likewise.
    pub height: u16,
    kind: JpegKind,
    /// The quantization tables, if they are sent with the first fragment.
    tables: Option<[u8; 128]>,
    /// The scan in the JPEG, including the end of image.
    scan: Range<usize>,
    /// Offsets of the restart slices in the JPEG, if it has any.
    slices: Vec<usize>,
}

/// Why RTP cannot carry a JPEG as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Unsuitable {
    /// The header cannot be read.
    #[error("it is damaged: {0}")]
    Damaged(#[from] JpegError),
    /// Progressive, or of several scans.
    #[error("RTP carries baseline JPEG in one scan")]
    Progressive,
    /// Greyscale, 4:4:4 or others.
    #[error("RTP carries 4:2:0 and 4:2:2")]
    Sampling,
    /// RGB or CMYK.
    #[error("RTP carries luma and chroma, no other colours")]
    Colours,
    /// Optimized Huffman tables.
    #[error("RTP carries the standard Huffman tables")]
    Huffman,
    /// Quantization tables missing, of 16 bits, or one for each component.
    #[error("RTP carries one quantization table of 8 bits for luma and one for chroma")]
    Quantization,
    /// The restart markers contradict the header.
    #[error("its restart markers do not fit its header")]
    Restarts,
}

/// A fragment's part of the scan: a range of the JPEG.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    range: Range<usize>,
    chunk: Option<RestartSpan>,
}

impl Picture {
    /// Checks how a JPEG can be sent.
    ///
    /// # Errors
    /// If RTP cannot carry it as it is.
    pub fn of(jpeg: &[u8]) -> Result<Self, Unsuitable> {
        let header = JpegHeader::parse(jpeg)?;
        if !header.sequential || header.precision != 8 {
            return Err(Unsuitable::Progressive);
        }
        let sampling = sampling(&header)?;
        let tables = check_tables(jpeg, &header)?;
        let scan = header.len..scan_end(jpeg, header.len);
        if scan.is_empty() {
            return Err(JpegError::Short(jpeg.len()).into());
        }
        let interval = (header.restart_interval > 0).then_some(header.restart_interval);
        let mut slices = Vec::new();
        if interval.is_some() {
            let starts = jpeg::slice_starts(&jpeg[..scan.end], header.len);
            if starts.len() != header.slice_count() {
                return Err(Unsuitable::Restarts);
            }
            if starts.len() <= usize::from(NO_COUNT) {
                slices = starts.into_iter().map(|start| start as usize).collect();
            }
        }
        let q = tables.standard_q();
        let large = header.width.max(header.height) > MAX_SIDE;
        let eighth = |side: u16| if large { 0 } else { side.div_ceil(8) as u8 };
        Ok(Self {
            width: header.width,
            height: header.height,
            kind: JpegKind {
                sampling,
                interval,
                q: q.unwrap_or(ONE_FRAME_Q),
                width: eighth(header.width),
                height: eighth(header.height),
            },
            tables: q.is_none().then(|| tables.to_sent()),
            scan,
            slices,
        })
    }

    /// Sends the tables with the frame even though they are standard ones.
    #[cfg(test)]
    pub(super) fn send_tables(&mut self) {
        let standard = Quantization::standard(self.kind.q).map(|tables| tables.to_sent());
        self.tables = self.tables.or(standard);
        self.kind.q = ONE_FRAME_Q;
    }

    /// What all fragments have in common.
    pub fn kind(&self) -> JpegKind {
        self.kind
    }

    /// Cuts the scan for fragments of at most `payload` bytes, at least 256. Cuts between restart
    /// intervals where possible, so that each fragment is of use without the others.
    pub fn cut(&self, payload: usize) -> Vec<Cut> {
        let room = |at: usize| {
            let head = if at == self.scan.start {
                self.head()
            } else {
                self.head_behind()
            };
            payload.saturating_sub(head).max(1)
        };
        if self.slices.is_empty() {
            let chunk = self.kind.interval.map(|_| RestartSpan::UNDIVIDED);
            return self.plain(self.scan.clone(), room, |_, _| chunk);
        }
        let mut cuts = Vec::new();
        let mut number = 0;
        while let Some(&start) = self.slices.get(number) {
            let fitting = self.slices[number + 1..]
                .iter()
                .chain([&self.scan.end])
                .take_while(|end| **end - start <= room(start))
                .count();
            let count = number as u16;
            number += fitting.max(1);
            let end = self.slices.get(number).map_or(self.scan.end, |end| *end);
            cuts.extend(self.plain(start..end, room, |first, last| {
                Some(RestartSpan { first, last, count })
            }));
        }
        cuts
    }

    /// The fragment at a cut of `jpeg`, which must be the JPEG that this was made of.
    pub fn fragment<'a>(&'a self, jpeg: &'a [u8], cut: &Cut) -> Fragment<'a> {
        let tables = self.tables.as_ref().map(|bytes| TableBytes {
            precision: 0,
            bytes,
        });
        Fragment {
            kind: self.kind,
            offset: (cut.range.start - self.scan.start) as u32,
            chunk: cut.chunk,
            tables: tables.filter(|_| cut.range.start == self.scan.start),
            data: jpeg.get(cut.range.clone()).unwrap_or_default(),
        }
    }

    /// Bytes of the payload at a cut.
    pub fn len_at(&self, cut: &Cut) -> usize {
        let first = cut.range.start == self.scan.start;
        cut.range.len()
            + if first {
                self.head()
            } else {
                self.head_behind()
            }
    }

    fn plain(
        &self,
        range: Range<usize>,
        room: impl Fn(usize) -> usize,
        chunk: impl Fn(bool, bool) -> Option<RestartSpan>,
    ) -> Vec<Cut> {
        let mut cuts = Vec::new();
        let mut at = range.start;
        while at < range.end {
            let end = range.end.min(at + room(at));
            cuts.push(Cut {
                range: at..end,
                chunk: chunk(at == range.start, end == range.end),
            });
            at = end;
        }
        cuts
    }

    /// Bytes before the data of the first fragment.
    fn head(&self) -> usize {
        let tables = self.tables.map_or(0, |tables| TABLES_HEADER + tables.len());
        self.head_behind() + tables
    }

    /// Bytes before the data of each other fragment.
    fn head_behind(&self) -> usize {
        HEADER + self.kind.interval.map_or(0, |_| RESTART_HEADER)
    }
}

fn sampling(header: &JpegHeader) -> Result<Sampling, Unsuitable> {
    let factors: Vec<_> = header
        .components
        .iter()
        .map(|component| (component.horizontal, component.vertical))
        .collect();
    match factors[..] {
        [(2, 1), (1, 1), (1, 1)] => Ok(Sampling::HalfWidth),
        [(2, 2), (1, 1), (1, 1)] => Ok(Sampling::Half),
        _ => Err(Unsuitable::Sampling),
    }
}

/// The quantization tables, if a receiver has all other tables.
fn check_tables(jpeg: &[u8], header: &JpegHeader) -> Result<Quantization, Unsuitable> {
    let mut quantization = [None; 4];
    let mut huffman = StandardHuffman::default();
    for segment in Segments::new(jpeg)?.map_while(Result::ok) {
        let payload = segment.payload;
        match segment.code() {
            DQT => read_quantization(payload, &mut quantization)?,
            DHT => read_huffman(payload, &mut huffman)?,
            _ => {}
        }
    }
    let [luma, blue, red] = header.components[..] else {
        return Err(Unsuitable::Sampling);
    };
    if !header.is_luma_chroma() {
        return Err(Unsuitable::Colours);
    }
    // A JPEG without Huffman tables, as some cameras make, implies the standard ones.
    let any = huffman.iter().flatten().any(Option::is_some);
    let right = |class: usize, used: u8, standard: usize| {
        let table = huffman[class].get(usize::from(used)).copied().flatten();
        table == Some(Some(standard)) || (!any && usize::from(used) == standard / 2)
    };
    let standard = |(component, dc, ac): (&jpeg::Component, usize, usize)| {
        right(0, component.dc_table, dc) && right(1, component.ac_table, ac)
    };
    if ![(&luma, 0, 1), (&blue, 2, 3), (&red, 2, 3)]
        .into_iter()
        .all(standard)
    {
        return Err(Unsuitable::Huffman);
    }
    let table = |used: u8| {
        let table = quantization.get(usize::from(used)).copied().flatten();
        table.ok_or(Unsuitable::Quantization)
    };
    let (chroma, other) = (table(blue.quantization)?, table(red.quantization)?);
    if chroma != other {
        return Err(Unsuitable::Quantization);
    }
    let wide = |table: [u8; 64]| table.map(u16::from);
    Ok(Quantization {
        luma: wide(table(luma.quantization)?),
        blue: wide(chroma),
        red: wide(chroma),
    })
}

fn read_quantization(
    mut payload: &[u8],
    tables: &mut [Option<[u8; 64]>; 4],
) -> Result<(), Unsuitable> {
    while let Some((head, rest)) = payload.split_first() {
        let table = rest.split_first_chunk();
        let (Some((values, rest)), Some(place)) = (table, tables.get_mut(usize::from(*head)))
        else {
            return Err(Unsuitable::Quantization);
        };
        *place = Some(*values);
        payload = rest;
    }
    Ok(())
}

/// By class and number: the standard table that each one is, if any.
type StandardHuffman = [[Option<Option<usize>>; 4]; 2];

/// Records for each table which of the standard ones it is.
fn read_huffman(mut payload: &[u8], tables: &mut StandardHuffman) -> Result<(), Unsuitable> {
    while let Some((head, rest)) = payload.split_first() {
        let (lengths, rest) = rest.split_first_chunk::<16>().ok_or(Unsuitable::Huffman)?;
        let count = lengths.iter().map(|length| usize::from(*length)).sum();
        let (symbols, rest) = rest.split_at_checked(count).ok_or(Unsuitable::Huffman)?;
        let (class, number) = (usize::from(head >> 4), usize::from(head & 15));
        let place = tables
            .get_mut(class)
            .and_then(|class| class.get_mut(number));
        // A non-standard table is an error only if it is used.
        *place.ok_or(Unsuitable::Huffman)? = Some(STANDARD.iter().position(|standard| {
            standard.lengths == *lengths
                && standard.symbols == symbols
                && usize::from(standard.id >> 4) == class
        }));
        payload = rest;
    }
    Ok(())
}

/// The end of the scan that begins at `start`: after the end of image, or at the end of the bytes.
fn scan_end(jpeg: &[u8], start: usize) -> usize {
    let mut markers = Markers::from(start);
    let end = std::iter::from_fn(|| markers.next(jpeg)).find(|marker| marker.code == EOI);
    end.map_or(jpeg.len(), |marker| marker.end)
}
