//! Splits a byte stream (a pipe, a file, a recording) into JPEGs.

use std::io::Read;

use bytes::{Bytes, BytesMut};

use super::clean;
use super::markers::{
    ALONE, DHT, DQT, DRI, END, EOI, Marker, Markers, SOI, SOS, START, is_start_of_frame,
};
use crate::frame::MAX_FRAME_BYTES;

/// Splits any bytes into JPEGs, from start to end of image. Drops what lies between them, such as
/// multipart headers. A JPEG without an end extends to the start of the next one. A JPEG that ends
/// within its header, or is longer than a frame may be, counts as broken. A JPEG of tables without
/// an image is handed out like any other. Holds at most [`MAX_FRAME_BYTES`] and one read.
///
/// It follows the segments (<https://www.w3.org/Graphics/JPEG/itu-t81.pdf>, section B.1.1), so a
/// thumbnail inside a JPEG does not end it.
#[derive(Debug, Default)]
pub struct Splitter {
    buffer: BytesMut,
    /// Position in the JPEG that has begun; `None` if there is none.
    markers: Option<Markers>,
    /// A scan of it has begun.
    in_scan: bool,
    /// It has tables.
    has_tables: bool,
    /// The bytes directly before it, or, if it `is_taken`, before the last one.
    lead: BytesMut,
    is_taken: bool,
    ended: bool,
    broken: u64,
}

impl Splitter {
    /// A splitter without any bytes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.ended = false;
        self.buffer.extend_from_slice(bytes);
    }

    /// Appends the result of one read; 0 bytes are the end.
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

    /// Marks the end of the stream: the last JPEG extends to it.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// Bytes that are held.
    pub fn held(&self) -> usize {
        self.buffer.len()
    }

    /// The number of broken JPEGs so far.
    pub fn broken(&self) -> u64 {
        self.broken
    }

    /// The bytes directly before the JPEG that was taken last: the end of what lies between it and
    /// the previous one, such as a header. At most 512.
    pub fn lead(&self) -> &[u8] {
        &self.lead
    }

    /// The next JPEG; `None` if more bytes are needed.
    #[must_use]
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
                // The previous one broke off.
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

    /// Finds the start of the next JPEG, and drops what precedes it.
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

    /// Takes the JPEG that ends at `len` bytes; `None` if it is broken.
    fn take(&mut self, len: usize, is_complete: bool) -> Option<Bytes> {
        // At least its own start, which would be found again otherwise.
        let len = len.max(ALONE).min(self.buffer.len());
        let jpeg = self.buffer.split_to(len).freeze();
        self.markers = None;
        self.is_taken = true;
        // A segment whose length is wrong hides what follows it.
        let is_of_use = self.in_scan
            || self.has_tables && jpeg.ends_with(&END)
            || is_complete && clean(&jpeg).is_ok();
        if is_complete && is_of_use && jpeg.len() <= MAX_FRAME_BYTES {
            return Some(jpeg);
        }
        self.broken += 1;
        None
    }
}

/// Whether another JPEG begins inside a segment.
enum Inside {
    Nothing,
    /// One begins there, and what follows is not known yet.
    Undecided,
    /// The previous JPEG broke off, and this one begins here.
    Jpeg(usize),
}

impl Inside {
    /// A thumbnail may lie in an application segment, which then ends at a marker. If a device
    /// broke off within a segment, the segment's length leads into the middle of what follows.
    fn of(bytes: &[u8], marker: &Marker) -> Self {
        let payload = marker.payload(bytes);
        let Some(found) = memchr::memmem::find(payload, &START) else {
            return Self::Nothing;
        };
        let jpeg = Self::Jpeg(marker.payload + found);
        if !has_sense(marker.code, payload) {
            return jpeg;
        }
        // Some devices pad between segments.
        let mut behind = bytes.get(marker.end..).unwrap_or_default().iter();
        match behind.find(|byte| **byte != 0) {
            _ if marker.code == SOS => Self::Nothing,
            Some(0xff) => Self::Nothing,
            Some(_) => jpeg,
            None => Self::Undecided,
        }
    }

    /// Searches the rest of an incomplete segment that began at `at`.
    fn find(bytes: &[u8], at: usize) -> Self {
        let begin = (at + ALONE).min(bytes.len());
        let found = memchr::memmem::find(&bytes[begin..], &START);
        found.map_or(Self::Nothing, |found| Self::Jpeg(begin + found))
    }
}

/// Whether a segment's length fits its content (T.81, B.2).
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

/// Upper bound on the bytes kept from between two JPEGs: longer than any camera's part header.
const MAX_LEAD: usize = 512;

/// Bytes per read: as many as a pipe holds.
const READ: usize = 64 << 10;

#[cfg(test)]
mod tests;
