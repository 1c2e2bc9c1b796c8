//! Finds and reads the code in an image of any size.

use super::{BYTES, COLUMNS, EDGE, LEVELS, ROWS, Timecode, bit, fits};

/// Reads the timecodes of a series of images. It looks first where the last one
/// was.
#[derive(Clone, Debug, Default)]
pub struct TimecodeReader {
    last: Option<CodePosition>,
}

/// Position of the code's black frame: its outer edges, in pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
struct CodePosition {
    left: f32,
    right: f32,
    top: f32,
    bottom: f32,
}

/// A plane of luma.
#[derive(Clone, Copy)]
struct Luma<'a> {
    samples: &'a [u8],
    stride: usize,
    width: usize,
    height: usize,
}

impl TimecodeReader {
    /// Reads the timecode in a luma plane with `stride` bytes per row. `None` if
    /// no code can be read, or if the plane is too short.
    pub fn read(
        &mut self,
        plane: &[u8],
        stride: usize,
        width: usize,
        height: usize,
    ) -> Option<Timecode> {
        if !fits(plane.len(), stride, width, height) {
            return None;
        }
        let luma = Luma {
            samples: plane,
            stride,
            width,
            height,
        };
        if let Some(timecode) = self.last.and_then(|place| place.read(luma)) {
            return Some(timecode);
        }
        let (place, timecode) = search(luma)?;
        self.last = Some(place);
        Some(timecode)
    }
}

/// Searches from the top for a row with a black run as wide as the frame.
fn search(luma: Luma) -> Option<(CodePosition, Timecode)> {
    let mut tries = 0;
    for y in 0..luma.height {
        let row = luma.row(y);
        let mut x = 0;
        while let Some(offset) = row[x..].iter().position(|&value| value < MIDDLE) {
            let start = x + offset;
            let len = row[start..].iter().position(|&value| value >= MIDDLE);
            let end = len.map_or(row.len(), |len| start + len);
            if start > 0
                && end < row.len()
                && end - start >= MIN_WIDTH
                && let Some(place) = CodePosition::around(luma, y, start, end)
            {
                if let Some(timecode) = place.read(luma) {
                    return Some((place, timecode));
                }
                tries += 1;
                if tries == MAX_TRIES {
                    return None;
                }
            }
            x = end;
        }
    }
    None
}

impl CodePosition {
    /// The frame that a black run in row `y` could belong to.
    fn around(luma: Luma, y: usize, start: usize, end: usize) -> Option<Self> {
        let cell = (end - start) as f32 / FRAME_ACROSS;
        let inset = (cell / 2.0) as usize;
        let most = ((end - start) as f32 / FRAME_ACROSS * FRAME_DOWN * MAX_STRETCH) as usize;
        let (left_top, left_bottom) = luma.black_column(start + inset, y, most)?;
        let (right_top, right_bottom) = luma.black_column(end - 1 - inset, y, most)?;
        let height = left_bottom - left_top;
        let slack = height / FRAME_DOWN / 2.0;
        let stretch = height / FRAME_DOWN / cell;
        let square = (1.0 / MAX_STRETCH..=MAX_STRETCH).contains(&stretch);
        let level = (left_top - right_top).abs() < slack;
        (square && level && (left_bottom - right_bottom).abs() < slack).then(|| Self {
            left: crossing(start, luma.at(start - 1, y), luma.at(start, y)),
            right: crossing(end, luma.at(end - 1, y), luma.at(end, y)),
            top: (left_top + right_top) / 2.0,
            bottom: (left_bottom + right_bottom) / 2.0,
        })
    }

    /// Reads the cells of a code with this frame.
    fn read(&self, luma: Luma) -> Option<Timecode> {
        let across = (self.right - self.left) / FRAME_ACROSS;
        let down = (self.bottom - self.top) / FRAME_DOWN;
        // Cells are counted from the frame's outer corner; -1 is in the margin.
        let cell = |x: f32, y: f32| {
            let mean = [-0.2, 0.0, 0.2]
                .iter()
                .flat_map(|&dy| [-0.2, 0.0, 0.2].iter().map(move |&dx| (dx, dy)))
                .map(|(dx, dy)| {
                    luma.between(
                        self.left + (x + 0.5 + dx) * across,
                        self.top + (y + 0.5 + dy) * down,
                    )
                })
                .sum::<f32>();
            mean / 9.0
        };
        let (mut black, mut white) = (0.0, 0.0);
        for x in 0..COLUMNS {
            black += cell(x as f32 + 1.0, 0.0);
            white += cell(x as f32 + 1.0, -1.0);
        }
        let threshold = (black + white) / 2.0 / COLUMNS as f32;
        if white - black < MIN_CONTRAST * COLUMNS as f32 {
            return None;
        }
        let mut bytes = [0; BYTES];
        for y in 0..ROWS {
            for x in 0..COLUMNS {
                let drawn = cell(x as f32 + FRAME, y as f32 + FRAME) < threshold;
                // An all-zero code has the pattern that inverts the cells.
                if drawn != bit(&[0; BYTES], x, y) {
                    let at = y * COLUMNS + x;
                    bytes[at / 8] |= 0x80 >> (at % 8);
                }
            }
        }
        Timecode::from_bytes(&bytes)
    }
}

impl Luma<'_> {
    fn row(&self, y: usize) -> &[u8] {
        let start = y * self.stride;
        &self.samples[start..start + self.width]
    }

    /// A sample. Beyond an edge, the sample at the edge.
    fn at(&self, x: usize, y: usize) -> u8 {
        self.samples[y.min(self.height - 1) * self.stride + x.min(self.width - 1)]
    }

    /// Upper and lower end of the black column that contains `(x, y)`, if it is
    /// at most `most` high and white at both ends.
    fn black_column(&self, x: usize, y: usize, most: usize) -> Option<(f32, f32)> {
        let black = |y: usize| self.at(x, y) < MIDDLE;
        if !black(y) {
            return None;
        }
        let above = (0..y).rev().take(most).take_while(|&y| black(y)).count();
        let below = (y + 1..self.height)
            .take(most)
            .take_while(|&y| black(y))
            .count();
        let (first, next) = (y - above, y + below + 1);
        let bounded = first > 0 && next < self.height && !black(first - 1) && !black(next);
        bounded.then(|| {
            (
                crossing(first, self.at(x, first - 1), self.at(x, first)),
                crossing(next, self.at(x, next - 1), self.at(x, next)),
            )
        })
    }

    /// Interpolated value at a point; the centre of sample (0, 0) is at (0.5,
    /// 0.5).
    fn between(&self, x: f32, y: f32) -> f32 {
        let (x, y) = ((x - 0.5).max(0.0), (y - 0.5).max(0.0));
        let (column, row) = (x as usize, y as usize);
        let (right, down) = (x - column as f32, y - row as f32);
        let value = |x, y| f32::from(self.at(x, y));
        let upper = value(column, row) * (1.0 - right) + value(column + 1, row) * right;
        let lower = value(column, row + 1) * (1.0 - right) + value(column + 1, row + 1) * right;
        upper * (1.0 - down) + lower * down
    }
}

/// Position of the edge between the centres of two adjacent samples.
fn crossing(at: usize, before: u8, after: u8) -> f32 {
    let (before, after) = (f32::from(before), f32::from(after));
    let way = (f32::from(MIDDLE) - before) / (after - before);
    at as f32 - 0.5
        + if way.is_finite() {
            way.clamp(0.0, 1.0)
        } else {
            0.5
        }
}

/// Darker samples are black, until the levels of the image are known.
const MIDDLE: u8 = ((LEVELS.0 as u16 + LEVELS.1 as u16) / 2) as u8;

/// Width of the frame in cells.
const FRAME: f32 = (EDGE - 1) as f32;

/// Size of the code with its frame, in cells.
const FRAME_ACROSS: f32 = (COLUMNS + 2) as f32;
const FRAME_DOWN: f32 = (ROWS + 2) as f32;

/// Minimum width in pixels: cells narrower than one and a half pixels cannot be
/// distinguished.
const MIN_WIDTH: usize = 27;

/// Maximum aspect ratio of a cell, either way.
const MAX_STRETCH: f32 = 2.0;

/// Minimum difference in luma between frame and margin.
const MIN_CONTRAST: f32 = 40.0;

/// Upper bound on candidates that are examined per image. It bounds the work for
/// images with many false frames.
const MAX_TRIES: usize = 256;
