//! The numbered JPEG headers in use, and when each is sent. A viewer that lacks chunks of a frame
//! decodes the rest with them.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use crate::jpeg::{self, markers::restart_marker};
use crate::wire::native::{HEADER, MAX_TABLES_PARTS, TABLES_BODY, Tables};

/// Upper bound on remembered headers: more qualities than a stream alternates between in the time
/// that a viewer needs them.
const MAX_HEADERS: usize = 32;

/// A new header is sent this many times with successive frames, in case of loss; then every
/// [`REPEAT`], for viewers that join.
const COPIES: u32 = 3;

/// Interval between copies of a known header.
const REPEAT: Duration = Duration::from_secs(1);

/// One JPEG header.
#[derive(Debug)]
pub(super) struct NumberedHeader {
    number: u16,
    quality: Option<u8>,
    bytes: Vec<u8>,
}

/// A part of a header: as much as one datagram carries.
#[derive(Clone, Debug)]
pub(super) struct HeaderPart {
    header: Arc<NumberedHeader>,
    part: u8,
    parts: u8,
    range: Range<usize>,
}

impl HeaderPart {
    pub(super) fn packet(&self) -> Tables<'_> {
        Tables {
            set: self.header.number,
            quality: self.header.quality,
            part: self.part,
            parts: self.parts,
            header: &self.header.bytes[self.range.clone()],
        }
    }

    /// Bytes of the packet's body.
    pub(super) fn packet_len(&self) -> usize {
        TABLES_BODY + self.range.len()
    }

    /// The parts of a header in datagrams of this many bytes.
    fn all(header: &Arc<NumberedHeader>, datagram: usize) -> Vec<Self> {
        let len = header.bytes.len();
        let most = datagram.saturating_sub(HEADER + TABLES_BODY).max(1);
        let parts = len.div_ceil(most).max(1);
        let size = len.div_ceil(parts).max(1);
        let part = |part: usize| Self {
            header: Arc::clone(header),
            part: part as u8,
            parts: parts as u8,
            range: part * size..len.min((part + 1) * size),
        };
        // No header is this long, since datagrams are not this small.
        if parts > usize::from(MAX_TABLES_PARTS) {
            return Vec::new();
        }
        (0..parts).map(part).collect()
    }
}

/// The headers of a stream, the most recently used last.
#[derive(Debug, Default)]
pub(super) struct JpegHeaders {
    headers: VecDeque<Announced>,
    numbered: u16,
}

#[derive(Debug)]
struct Announced {
    header: Arc<NumberedHeader>,
    copies: u32,
    sent: Duration,
}

impl JpegHeaders {
    /// The number of the header of a JPEG with slices, the offsets of the slices, and the header
    /// parts to send first, in datagrams of at most `datagram` bytes.
    pub(super) fn find_slices(
        &mut self,
        jpeg: &[u8],
        quality: Option<u8>,
        datagram: usize,
        now: Duration,
    ) -> (u16, Vec<u32>, Vec<HeaderPart>) {
        let none = (0, Vec::new(), Vec::new());
        let Ok(header) = jpeg::JpegHeader::parse(jpeg) else {
            return none;
        };
        let tables = header.has_slices().then(|| jpeg::tables(jpeg));
        let Some(Ok(Some(tables))) = tables else {
            return none;
        };
        let (number, announced) = self.announce(tables, quality, now);
        let parts = announced.map_or_else(Vec::new, |header| HeaderPart::all(&header, datagram));
        let mut starts = jpeg::slice_starts(jpeg, header.len);
        // After a marker out of sequence, the slice numbers are unknown.
        let markers = starts.iter().skip(1).map(|start| jpeg[*start as usize - 1]);
        let in_turn = |(number, marker): &(usize, u8)| *marker == restart_marker(*number);
        let in_turn = markers.enumerate().take_while(in_turn).count();
        starts.truncate(1 + in_turn);
        (number, starts, parts)
    }

    /// The number of this header, and the header itself if it is due.
    fn announce(
        &mut self,
        bytes: Vec<u8>,
        quality: Option<u8>,
        now: Duration,
    ) -> (u16, Option<Arc<NumberedHeader>>) {
        let known = self
            .headers
            .iter()
            .position(|known| known.header.bytes == bytes);
        let mut entry = known
            .and_then(|at| self.headers.remove(at))
            .unwrap_or_else(|| {
                // 0 means none.
                self.numbered = self.numbered.checked_add(1).unwrap_or(1);
                let header = NumberedHeader {
                    number: self.numbered,
                    quality,
                    bytes,
                };
                Announced {
                    header: Arc::new(header),
                    copies: 0,
                    sent: now,
                }
            });
        let due = entry.copies < COPIES || now.saturating_sub(entry.sent) >= REPEAT;
        let announced = due.then(|| Arc::clone(&entry.header));
        if due {
            entry.copies += 1;
            entry.sent = now;
        }
        let number = entry.header.number;
        self.headers.push_back(entry);
        if self.headers.len() > MAX_HEADERS {
            self.headers.pop_front();
        }
        (number, announced)
    }
}
