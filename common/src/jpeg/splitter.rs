//! JPEGs out of a stream of bytes: a pipe, a file, a recording.

use std::io::Read;

use bytes::{Bytes, BytesMut};

use super::clean;
use super::markers::{
    ALONE, DHT, DQT, DRI, END, EOI, Marker, Markers, SOI, SOS, START, is_start_of_frame,
};
use crate::frame::MAX_FRAME_BYTES;

/// Cuts any bytes into JPEGs, from start to end of image. What lies between
/// them (multipart headers) is left out; one whose end is missing goes up to the
/// start of the next. One that ends within its header, or is longer than a frame
/// may be, is counted as broken. One of tables without an image is handed out as
/// the others are. It holds at most [`MAX_FRAME_BYTES`] and what was read at once.
///
/// It follows the segments (<https://www.w3.org/Graphics/JPEG/itu-t81.pdf>,
/// section B.1.1), so a thumbnail inside of a JPEG does not end it.
#[derive(Debug, Default)]
pub struct Splitter {
    buffer: BytesMut,
    /// In the JPEG that has begun; `None` where none has.
    markers: Option<Markers>,
    /// A scan of it has begun.
    in_scan: bool,
    /// It has tables.
    has_tables: bool,
    /// What stands directly before it, or, where it `is_taken`, before the last.
    lead: BytesMut,
    is_taken: bool,
    ended: bool,
    broken: u64,
}

impl Splitter {
    /// Nothing read yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.ended = false;
        self.buffer.extend_from_slice(bytes);
    }

    /// Appends what one read gives; 0 at the end.
    ///
    /// # Errors
    /// Those of reading.
    pub fn read_from(&mut self, input: &mut impl Read) -> std::io::Result<usize> {
        self.ended = false;
        let len = self.buffer.len();
        self.buffer.resize(len + READ, 0);
        let read = loop {
            match input.read(&mut self.buffer[len..]) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        self.buffer.truncate(len + *read.as_ref().unwrap_or(&0));
        read
    }

    /// No more bytes come: the last JPEG goes up to the end.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// Bytes that are held.
    #[must_use]
    pub fn held(&self) -> usize {
        self.buffer.len()
    }

    /// How many JPEGs were broken so far.
    #[must_use]
    pub fn broken(&self) -> u64 {
        self.broken
    }

    /// The bytes directly before the JPEG that was taken last: the end of what
    /// lies between it and the one before, as a header. At most 512.
    #[must_use]
    pub fn lead(&self) -> &[u8] {
        &self.lead
    }

    /// The next JPEG in what was appended; `None`: more is needed.
    pub fn next_jpeg(&mut self) -> Option<Bytes> {
        loop {
            let Some(markers) = &mut self.markers else {
                self.find_start()?;
                continue;
            };
            let before = *markers;
            let marker = markers.next(&self.buffer);
            let may_go_on = !self.ended && self.buffer.len() <= MAX_FRAME_BYTES;
            let inside = match marker {
                None if may_go_on => return None,
                None if before.is_within_segment(&self.buffer) => {
                    Inside::find(&self.buffer, before.at())
                }
                None => Inside::Nothing,
                Some(marker) => Inside::of(&self.buffer, &marker),
            };
            let marker = match (inside, marker) {
                (Inside::Undecided, _) if may_go_on => {
                    *markers = before;
                    return None;
                }
                (Inside::Jpeg(at), _) => {
                    if let Some(jpeg) = self.take(at, true) {
                        return Some(jpeg);
                    }
                    continue;
                }
                (_, Some(marker)) => marker,
                (_, None) => {
                    let len = self.buffer.len();
                    if let Some(jpeg) = self.take(len, self.ended) {
                        return Some(jpeg);
                    }
                    continue;
                }
            };
            let (is_over, end) = match marker.code {
                EOI => (true, marker.end),
                // Doubled, as some devices write it.
                SOI if marker.end == 2 * ALONE => (false, 0),
                // The one before broke off.
                SOI => (true, marker.end - ALONE),
                SOS => {
                    self.in_scan = true;
                    (false, 0)
                }
                DQT | DHT => {
                    self.has_tables = true;
                    (false, 0)
                }
                _ => (false, 0),
            };
            if is_over && let Some(jpeg) = self.take(end, true) {
                return Some(jpeg);
            }
        }
    }

    /// Finds where the next JPEG begins, or leaves out what does not begin one.
    fn find_start(&mut self) -> Option<()> {
        let found = memchr::memmem::find(&self.buffer, &START);
        let kept = if self.ended { 0 } else { ALONE };
        let junk = found.unwrap_or(self.buffer.len().saturating_sub(kept));
        if std::mem::take(&mut self.is_taken) {
            self.lead.clear();
        }
        self.lead.extend_from_slice(&self.buffer.split_to(junk));
        let _ = self.lead.split_to(self.lead.len().saturating_sub(MAX_LEAD));
        found?;
        self.markers = Some(Markers::from(ALONE));
        (self.in_scan, self.has_tables) = (false, false);
        Some(())
    }

    /// Takes the JPEG of `len` bytes that ends; `None` where it is broken.
    fn take(&mut self, len: usize, is_whole: bool) -> Option<Bytes> {
        // At least its own start, or it would be found again.
        let len = len.max(ALONE).min(self.buffer.len());
        let jpeg = self.buffer.split_to(len).freeze();
        self.markers = None;
        self.is_taken = true;
        // A segment whose length is wrong hides what follows it.
        let is_of_use = self.in_scan
            || self.has_tables && jpeg.ends_with(&END)
            || is_whole && clean(&jpeg).is_ok();
        if is_whole && is_of_use && jpeg.len() <= MAX_FRAME_BYTES {
            return Some(jpeg);
        }
        self.broken += 1;
        None
    }
}

/// What of another JPEG lies in a segment.
enum Inside {
    Nothing,
    /// One begins there, and what is behind it is not known yet.
    Undecided,
    /// The one before broke off: this one begins here.
    Jpeg(usize),
}

impl Inside {
    /// A small picture may lie in an application segment; behind it the segment
    /// ends at a marker. Where a device broke off within a segment, its length
    /// leads into the midst of what came after.
    fn of(bytes: &[u8], marker: &Marker) -> Self {
        let payload = marker.payload(bytes);
        let Some(found) = memchr::memmem::find(payload, &START) else {
            return Self::Nothing;
        };
        let jpeg = Self::Jpeg(marker.payload + found);
        if !has_sense(marker.code, payload) {
            return jpeg;
        }
        // Some pad between segments.
        let mut behind = bytes.get(marker.end..).unwrap_or_default().iter();
        match behind.find(|byte| **byte != 0) {
            _ if marker.code == SOS => Self::Nothing,
            Some(0xff) => Self::Nothing,
            Some(_) => jpeg,
            None => Self::Undecided,
        }
    }

    /// In what is left of a segment that has begun at `at` and does not end.
    fn find(bytes: &[u8], at: usize) -> Self {
        let begin = (at + ALONE).min(bytes.len());
        let found = memchr::memmem::find(&bytes[begin..], &START);
        found.map_or(Self::Nothing, |found| Self::Jpeg(begin + found))
    }
}

/// Whether a segment is as long as what it holds (T.81, B.2).
fn has_sense(code: u8, payload: &[u8]) -> bool {
    let len = payload.len();
    let parts = |len_of: fn(&[u8]) -> Option<usize>| {
        let mut rest = payload;
        while !rest.is_empty() {
            match len_of(rest).and_then(|len| rest.get(len..)) {
                Some(behind) => rest = behind,
                None => return false,
            }
        }
        true
    };
    match code {
        DQT => parts(|rest| Some(1 + 64 * (1 + usize::from(rest.first()? >> 4)))),
        DHT => parts(|rest| {
            let counts = rest.get(1..17)?;
            Some(
                17 + counts
                    .iter()
                    .map(|count| usize::from(*count))
                    .sum::<usize>(),
            )
        }),
        DRI => len == 2,
        SOS => payload
            .first()
            .is_some_and(|count| len == 4 + 2 * usize::from(*count)),
        code if is_start_of_frame(code) => payload
            .get(5)
            .is_some_and(|count| len == 6 + 3 * usize::from(*count)),
        _ => true,
    }
}

/// The most bytes of what lies between two JPEGs: more than the header of a part
/// that any camera writes.
const MAX_LEAD: usize = 512;

/// How much is read at once: as much as a pipe holds.
const READ: usize = 64 << 10;

#[cfg(test)]
mod tests;
