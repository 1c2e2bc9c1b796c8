//! The JPEG headers in use, numbered, and when each is sent (again).

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use crate::jpeg;
use crate::wire::native::{HEADER, MAX_TABLES_PARTS, TABLES_BODY, Tables};

/// The most sets that are remembered: more qualities than a stream alternates
/// between within the time that a viewer needs them.
const MAX_SETS: usize = 32;

/// So often a new set is sent with successive frames, against loss; then
/// [`REPEAT`] apart, for viewers that join.
const COPIES: u32 = 3;

/// Time from copy to copy of a set that is known.
const REPEAT: Duration = Duration::from_secs(1);

/// One JPEG header.
#[derive(Debug)]
pub(super) struct JpegHeader {
    number: u16,
    quality: Option<u8>,
    header: Vec<u8>,
}

/// A part of a set: as much of its header as one datagram takes.
#[derive(Clone, Debug)]
pub(super) struct HeaderPart {
    set: Arc<JpegHeader>,
    part: u8,
    parts: u8,
    range: Range<usize>,
}

impl HeaderPart {
    pub(super) fn packet(&self) -> Tables<'_> {
        Tables {
            set: self.set.number,
            quality: self.set.quality,
            part: self.part,
            parts: self.parts,
            header: &self.set.header[self.range.clone()],
        }
    }

    /// Bytes of the packet's body.
    pub(super) fn packet_len(&self) -> usize {
        TABLES_BODY + self.range.len()
    }

    /// The parts of a set for datagrams of so many bytes.
    fn all(set: &Arc<JpegHeader>, datagram: usize) -> Vec<Self> {
        let len = set.header.len();
        let most = datagram.saturating_sub(HEADER + TABLES_BODY).max(1);
        let parts = len.div_ceil(most).max(1);
        let size = len.div_ceil(parts).max(1);
        let part = |part: usize| Self {
            set: Arc::clone(set),
            part: part as u8,
            parts: parts as u8,
            range: part * size..len.min((part + 1) * size),
        };
        // No header is so long, since the datagrams are not so small.
        if parts > usize::from(MAX_TABLES_PARTS) {
            return Vec::new();
        }
        (0..parts).map(part).collect()
    }
}

/// The sets of a stream, the one used last at the end.
#[derive(Debug, Default)]
pub(super) struct JpegHeaders {
    sets: VecDeque<Announced>,
    numbered: u16,
}

#[derive(Debug)]
struct Announced {
    set: Arc<JpegHeader>,
    copies: u32,
    sent: Duration,
}

impl JpegHeaders {
    /// The set of tables of a JPEG with slices, where these begin, and what is
    /// to be sent before them, in datagrams of at most `datagram` bytes.
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
        let (set, announced) = self.announce(tables, quality, now);
        let parts = announced.map_or_else(Vec::new, |set| HeaderPart::all(&set, datagram));
        (set, jpeg::slice_starts(jpeg, header.len), parts)
    }

    /// The number of the set with this header, and the set if it is time to
    /// send it.
    fn announce(
        &mut self,
        header: Vec<u8>,
        quality: Option<u8>,
        now: Duration,
    ) -> (u16, Option<Arc<JpegHeader>>) {
        let known = self
            .sets
            .iter()
            .position(|known| known.set.header == header);
        let mut entry = known
            .and_then(|at| self.sets.remove(at))
            .unwrap_or_else(|| {
                // 0 says that there is no set.
                self.numbered = self.numbered.checked_add(1).unwrap_or(1);
                let set = JpegHeader {
                    number: self.numbered,
                    quality,
                    header,
                };
                Announced {
                    set: Arc::new(set),
                    copies: 0,
                    sent: now,
                }
            });
        let due = entry.copies < COPIES || now.saturating_sub(entry.sent) >= REPEAT;
        let packet = due.then(|| Arc::clone(&entry.set));
        if due {
            entry.copies += 1;
            entry.sent = now;
        }
        let number = entry.set.number;
        self.sets.push_back(entry);
        if self.sets.len() > MAX_SETS {
            self.sets.pop_front();
        }
        (number, packet)
    }
}
