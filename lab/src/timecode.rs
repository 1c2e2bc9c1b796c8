//! A bar code in the corner of an image: which frame it is, and when it was
//! taken. It goes where the pixels go, through any other program, so that it
//! measures that program too.
//!
//! Knows planes of luma as bytes, and no image library. The code is two levels
//! of grey, without colour:
//!
//! ```text
//! one cell of white around it          W W W W W W
//! a frame of black, one cell wide      W B B B B W
//! 16 x 8 cells, a bit each (1: black)  W B . . B W
//! ```
//!
//! The bits are 16 bytes, a row two of them, the first row on top, the highest
//! bit left, alternate cells inverted like a chess board: number (4 bytes), time
//! (5), clock (2), run (1), CRC-32C over these 12 (4), all big-endian.

pub(crate) mod meter;
mod reader;
mod tally;

pub use meter::Meter;
pub use reader::Reader;
pub use tally::{Tally, summary};

use std::time::Duration;

/// What an image says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timecode {
    /// The frame's number, counted by the sender's encoder from 0; that of the
    /// wire, as long as every frame could be encoded.
    pub number: u32,
    /// When it was taken: microseconds of the sender's monotonic clock, the
    /// lowest [`TIME_BITS`] of them.
    pub micros: u64,
    /// Whose clock that is ([`clock`]).
    pub clock: u16,
    /// Tells one run of a sender from the next.
    pub run: u8,
}

/// Bits of a timecode's time: it begins again after 12 days.
pub const TIME_BITS: u32 = 40;

/// Cells of the code from left to right, with frame and margin.
pub const CELLS_ACROSS: usize = COLUMNS + 2 * EDGE;

/// Cells of the code from top to bottom, with frame and margin.
pub const CELLS_DOWN: usize = ROWS + 2 * EDGE;

/// Width and height of the smallest image that holds a timecode, in pixels.
pub const MIN_SIZE: (usize, usize) = (CELLS_ACROSS * MIN_CELL, CELLS_DOWN * MIN_CELL);

/// The luma of black and of white cells: what survives being taken for the
/// other range of values.
pub const LEVELS: (u8, u8) = (16, 235);

/// A rectangle in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Area {
    /// From the left.
    pub x: usize,
    /// From the top.
    pub y: usize,
    /// Pixels across.
    pub width: usize,
    /// Pixels down.
    pub height: usize,
}

impl Timecode {
    /// The timecode of a frame taken at `captured` on this machine's clock.
    #[must_use]
    pub fn new(number: u64, captured: Duration, clock: u16, run: u8) -> Self {
        Self {
            number: number as u32,
            micros: captured.as_micros() as u64 & TIME_MASK,
            clock,
            run,
        }
    }

    /// How long ago, at `now` on the same clock, the image was taken; `None`
    /// where that is in the future or more than an hour ago.
    #[must_use]
    pub fn age(&self, now: Duration) -> Option<Duration> {
        let micros = (now.as_micros() as u64).wrapping_sub(self.micros) & TIME_MASK;
        let age = Duration::from_micros(micros);
        (age <= OLDEST).then_some(age)
    }

    /// Draws the code into the upper left corner of an image of this size:
    /// `fill` is called with areas within it and the luma they get. The first
    /// covers all others. `false` where the image is too small for it.
    pub fn draw(&self, width: usize, height: usize, mut fill: impl FnMut(Area, u8)) -> bool {
        let Some(cell) = cell_size(width, height) else {
            return false;
        };
        let (black, white) = LEVELS;
        let area = |x, y, width, height| Area {
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

    /// Draws the code into a plane of luma, `stride` bytes from row to row.
    /// `false`, and nothing drawn, where the image is too small for it or the
    /// plane too short for its size.
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

/// The side of a cell in pixels: a ninetieth of the image's shorter side, in
/// steps of 4, so that the code ends where a JPEG's blocks of colour do. `None`
/// where the code does not fit into the image.
#[must_use]
pub fn cell_size(width: usize, height: usize) -> Option<usize> {
    let cell = (width.min(height) / CELLS_IN_SIDE / 4 * 4).max(MIN_CELL);
    (CELLS_ACROSS * cell <= width && CELLS_DOWN * cell <= height).then_some(cell)
}

/// What tells this boot of this machine from others, in few bits: two programs
/// that agree on it read one clock. `None` where the system does not tell.
#[must_use]
pub fn clock() -> Option<u16> {
    framegram_net::clock::clock_id(u64::from_be_bytes(*b"stamp\0\0\0")).map(|mark| mark as u16)
}

/// Whether the bit at this place is set, as it is drawn.
fn bit(bytes: &[u8; BYTES], x: usize, y: usize) -> bool {
    let at = y * COLUMNS + x;
    let set = bytes[at / 8] >> (7 - at % 8) & 1 == 1;
    set != ((x + y) % 2 == 1)
}

/// Whether a plane of this many bytes holds such an image.
fn fits(len: usize, stride: usize, width: usize, height: usize) -> bool {
    let rows = height.saturating_sub(1).checked_mul(stride);
    let needed = rows.and_then(|rows| rows.checked_add(width));
    width > 0 && height > 0 && stride >= width && needed.is_some_and(|needed| needed <= len)
}

const COLUMNS: usize = 16;
const ROWS: usize = 8;

/// The margin and the frame, in cells.
const EDGE: usize = 2;

const BYTES: usize = COLUMNS * ROWS / 8;

/// Bytes under the checksum.
const CHECKED: usize = 12;

const TIME_MASK: u64 = (1 << TIME_BITS) - 1;

/// An image older than this was not taken on the clock that it is held against.
const OLDEST: Duration = Duration::from_secs(3600);

/// Cells that the shorter side of an image would hold: at 360 rows a cell is 4
/// pixels, which outlasts a JPEG of low quality and being halved.
const CELLS_IN_SIDE: usize = 90;

/// Smaller cells do not outlast a JPEG of low quality.
const MIN_CELL: usize = 4;

#[cfg(test)]
mod tests;
