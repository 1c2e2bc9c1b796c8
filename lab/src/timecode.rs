//! A bar code in the corner of an image, with the frame's number and capture
//! time. It passes through any program together with the pixels, so it measures
//! that program too.
//!
//! Works on luma planes as bytes and needs no image library. The code has two
//! levels of grey and no colour:
//!
//! ```text
//! one cell of white around it          W W W W W W
//! a frame of black, one cell wide      W B B B B W
//! 16 x 8 cells, a bit each (1: black)  W B . . B W
//! ```
//!
//! The cells are 16 bytes, two per row: number (4 bytes), time (5), clock (2),
//! run (1), CRC-32C of these 12 (4), all big-endian. The first row is on top, the
//! highest bit on the left, and every other cell is inverted, as on a chess
//! board.

pub(crate) mod meter;
mod reader;
mod tally;

pub use meter::TimecodeMeter;
pub use reader::TimecodeReader;
pub use tally::{TimecodeTally, summary};

use std::time::Duration;

/// The content of a timecode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timecode {
    /// Frame number, counted by the sender's encoder from 0. It equals the number
    /// on the wire as long as no frame fails to encode.
    pub number: u32,
    /// Capture time in microseconds of the sender's monotonic clock, the lowest
    /// [`TIME_BITS`] bits.
    pub micros: u64,
    /// Identifies that clock ([`clock`]).
    pub clock: u16,
    /// Distinguishes a run of the sender from the next one.
    pub run: u8,
}

/// Bits of a timecode's time. It wraps after 12 days.
pub const TIME_BITS: u32 = 40;

/// Width of the code in cells, with frame and margin.
pub const CELLS_ACROSS: usize = COLUMNS + 2 * EDGE;

/// Height of the code in cells, with frame and margin.
pub const CELLS_DOWN: usize = ROWS + 2 * EDGE;

/// Width and height of the smallest image that holds a timecode, in pixels.
pub const MIN_SIZE: (usize, usize) = (CELLS_ACROSS * MIN_CELL, CELLS_DOWN * MIN_CELL);

/// Luma of black and of white cells. They survive conversion between limited and
/// full range.
pub const LEVELS: (u8, u8) = (16, 235);

/// A rectangle in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PixelArea {
    /// Left edge.
    pub x: usize,
    /// Top edge.
    pub y: usize,
    /// Width.
    pub width: usize,
    /// Height.
    pub height: usize,
}

impl Timecode {
    /// The timecode of a frame captured at `captured` on this machine's clock.
    pub fn new(number: u64, captured: Duration, clock: u16, run: u8) -> Self {
        Self {
            number: number as u32,
            micros: captured.as_micros() as u64 & TIME_MASK,
            clock,
            run,
        }
    }

    /// Age of the image at `now` on the same clock; `None` if it was captured in
    /// the future or more than an hour ago.
    pub fn age(&self, now: Duration) -> Option<Duration> {
        let micros = (now.as_micros() as u64).wrapping_sub(self.micros) & TIME_MASK;
        let age = Duration::from_micros(micros);
        (age <= OLDEST).then_some(age)
    }

    /// Draws the code into the upper left corner of an image of this size. Calls
    /// `fill` with areas and their luma; the first area covers all others.
    /// Returns false if the image is too small.
    pub fn draw(&self, width: usize, height: usize, mut fill: impl FnMut(PixelArea, u8)) -> bool {
        let Some(cell) = cell_size(width, height) else {
            return false;
        };
        let (black, white) = LEVELS;
        let area = |x, y, width, height| PixelArea {
            x: x * cell,
            y: y * cell,
            width: width * cell,
            height: height * cell,
        };
        fill(area(0, 0, CELLS_ACROSS, CELLS_DOWN), white);
        fill(area(1, 1, CELLS_ACROSS - 2, CELLS_DOWN - 2), black);
        let bytes = self.to_bytes();
        for y in 0..ROWS {
            for x in 0..COLUMNS {
                if !bit(&bytes, x, y) {
                    fill(area(x + EDGE, y + EDGE, 1, 1), white);
                }
            }
        }
        true
    }

    /// Draws the code into a luma plane with `stride` bytes per row. Draws
    /// nothing and returns false if the image is too small for the code or the
    /// plane too short for the image.
    pub fn draw_luma(&self, plane: &mut [u8], stride: usize, width: usize, height: usize) -> bool {
        if !fits(plane.len(), stride, width, height) {
            return false;
        }
        self.draw(width, height, |area, luma| {
            for row in plane.chunks_mut(stride).skip(area.y).take(area.height) {
                row[area.x..area.x + area.width].fill(luma);
            }
        })
    }

    fn to_bytes(self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        bytes[..4].copy_from_slice(&self.number.to_be_bytes());
        bytes[4..9].copy_from_slice(&self.micros.to_be_bytes()[3..]);
        bytes[9..11].copy_from_slice(&self.clock.to_be_bytes());
        bytes[11] = self.run;
        let sum = crc32c::crc32c(&bytes[..CHECKED]);
        bytes[CHECKED..].copy_from_slice(&sum.to_be_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8; BYTES]) -> Option<Self> {
        let sum = crc32c::crc32c(&bytes[..CHECKED]);
        if sum.to_be_bytes() != bytes[CHECKED..] {
            return None;
        }
        let number = |bytes: &[u8]| bytes.iter().fold(0, |sum, &b| sum << 8 | u64::from(b));
        Some(Self {
            number: number(&bytes[..4]) as u32,
            micros: number(&bytes[4..9]),
            clock: number(&bytes[9..11]) as u16,
            run: bytes[11],
        })
    }
}

/// Side of a cell in pixels: a ninetieth of the image's shorter side, rounded
/// down to a multiple of 4, so that the code ends at a border of JPEG blocks.
/// `None` if the code does not fit.
pub fn cell_size(width: usize, height: usize) -> Option<usize> {
    let cell = (width.min(height) / CELLS_IN_SIDE / 4 * 4).max(MIN_CELL);
    (CELLS_ACROSS * cell <= width && CELLS_DOWN * cell <= height).then_some(cell)
}

/// Identifies this boot of this machine in 16 bits. Programs with the same value
/// use the same clock. `None` if the system does not tell.
pub fn clock() -> Option<u16> {
    framegram_net::clock::clock_id(u64::from_be_bytes(*b"stamp\0\0\0")).map(|mark| mark as u16)
}

/// Whether a cell is drawn black.
fn bit(bytes: &[u8; BYTES], x: usize, y: usize) -> bool {
    let at = y * COLUMNS + x;
    let set = bytes[at / 8] >> (7 - at % 8) & 1 == 1;
    set != ((x + y) % 2 == 1)
}

/// Whether a plane of `len` bytes holds an image of this size.
fn fits(len: usize, stride: usize, width: usize, height: usize) -> bool {
    let rows = height.saturating_sub(1).checked_mul(stride);
    let needed = rows.and_then(|rows| rows.checked_add(width));
    width > 0 && height > 0 && stride >= width && needed.is_some_and(|needed| needed <= len)
}

const COLUMNS: usize = 16;
const ROWS: usize = 8;

/// Width of margin and frame in cells.
const EDGE: usize = 2;

const BYTES: usize = COLUMNS * ROWS / 8;

/// Bytes that the checksum covers.
const CHECKED: usize = 12;

const TIME_MASK: u64 = (1 << TIME_BITS) - 1;

/// Older images were captured on a different clock.
const OLDEST: Duration = Duration::from_secs(3600);

/// Number of cells along the shorter side of an image. At 360 rows, a cell is 4
/// pixels, which survives low JPEG quality and scaling to half size.
const CELLS_IN_SIDE: usize = 90;

/// Smaller cells do not survive low JPEG quality.
const MIN_CELL: usize = 4;

#[cfg(test)]
mod tests;
