//! Whole JPEGs out of a stream of bytes: a pipe, a file, a recording.

use std::io::Read;

use bytes::{Bytes, BytesMut};
use memchr::memchr_iter;

use crate::frame::MAX_FRAME_BYTES;

/// Cuts any bytes into whole JPEGs, from start to end of image. What lies
/// between them (multipart headers) is left out; a JPEG that ends early, makes
/// no sense or is longer than a frame may be is counted as broken. It holds at
/// most [`MAX_FRAME_BYTES`] and what was read at once.
///
/// It follows the segments (<https://www.w3.org/Graphics/JPEG/itu-t81.pdf>,
/// section B.1.1), so a thumbnail inside of a JPEG does not end it.
#[derive(Debug)]
pub struct Splitter {
    buffer: BytesMut,
    state: State,
    /// How much of the buffer is known to belong to the current JPEG.
    at: usize,
    broken: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No JPEG has begun.
    Outside,
    /// At a marker.
    Marker,
    /// In the coded data of a scan.
    Scan,
}

const SOI: u8 = 0xD8;
const EOI: u8 = 0xD9;
const SOS: u8 = 0xDA;

impl Splitter {
    /// Nothing read yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            buffer: BytesMut::new(),
            state: State::Outside,
            at: 0,
            broken: 0,
        }
    }

    /// Appends bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Appends what one read gives; 0 at the end.
    ///
    /// # Errors
    /// Those of reading.
    pub fn read_from(&mut self, input: &mut impl Read) -> std::io::Result<usize> {
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

    /// No more bytes come: what is left is broken.
    pub fn end(&mut self) {
        if self.state != State::Outside {
            self.give_up(self.buffer.len());
        }
        self.buffer.clear();
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

    /// The next whole JPEG in what was appended; `None`: more is needed.
    pub fn next_jpeg(&mut self) -> Option<Bytes> {
        loop {
            let before = (self.state, self.at, self.buffer.len());
            match self.state {
                State::Outside => self.find_start(),
                State::Marker => {
                    if let Some(jpeg) = self.take_marker() {
                        return Some(jpeg);
                    }
                }
                State::Scan => self.skip_scan(),
            }
            if self.state != State::Outside && self.at > MAX_FRAME_BYTES {
                self.give_up(self.at.min(self.buffer.len()));
            }
            if before == (self.state, self.at, self.buffer.len()) {
                return None;
            }
        }
    }

    fn find_start(&mut self) {
        let found = self
            .buffer
            .windows(3)
            .position(|window| window == [0xFF, SOI, 0xFF]);
        let junk = found.unwrap_or(self.buffer.len().saturating_sub(2));
        let _ = self.buffer.split_to(junk);
        if found.is_some() {
            self.state = State::Marker;
            self.at = 2;
        }
    }

    fn take_marker(&mut self) -> Option<Bytes> {
        let rest = self.buffer.get(self.at..).unwrap_or(&[]);
        let &[0xFF, marker, ref rest @ ..] = rest else {
            // Between segments only markers can be; one byte may be too few to tell.
            if rest.first().is_some_and(|&byte| byte != 0xFF) {
                self.give_up(self.at);
            }
            return None;
        };
        match marker {
            // Fill bytes.
            0xFF => self.at += 1,
            EOI => {
                let jpeg = self.buffer.split_to(self.at + 2).freeze();
                self.state = State::Outside;
                self.at = 0;
                if jpeg.len() <= MAX_FRAME_BYTES {
                    return Some(jpeg);
                }
                self.broken += 1;
            }
            // The one before broke off.
            SOI => self.give_up(self.at),
            // Markers without a segment: TEM and RSTn.
            0x01 | 0xD0..=0xD7 => self.at += 2,
            0x00 | 0x02..=0xBF => self.give_up(self.at),
            _ => {
                let &[high, low, ..] = rest else {
                    return None;
                };
                let len = usize::from(u16::from_be_bytes([high, low]));
                if len < 2 {
                    self.give_up(self.at);
                    return None;
                }
                self.at += 2 + len;
                if marker == SOS {
                    self.state = State::Scan;
                }
            }
        }
        None
    }

    fn skip_scan(&mut self) {
        let rest = self.buffer.get(self.at..).unwrap_or(&[]);
        let marker = memchr_iter(0xFF, rest).find(|&at| {
            // A stuffed 0xFF, or a restart marker, belongs to the scan.
            matches!(rest.get(at + 1), Some(&next) if !matches!(next, 0x00 | 0xD0..=0xD7))
        });
        match marker {
            Some(offset) => {
                self.at += offset;
                self.state = State::Marker;
            }
            // The last byte may be the first half of a marker.
            None => self.at += rest.len().saturating_sub(1),
        }
    }

    /// Leaves a broken JPEG of `len` bytes behind.
    fn give_up(&mut self, len: usize) {
        self.broken += 1;
        // At least its own start, or it would be found again.
        let _ = self.buffer.split_to(len.max(2).min(self.buffer.len()));
        self.state = State::Outside;
        self.at = 0;
    }
}

impl Default for Splitter {
    fn default() -> Self {
        Self::new()
    }
}

/// How much is read at once: as much as a pipe holds.
const READ: usize = 64 << 10;

#[cfg(test)]
mod tests;
