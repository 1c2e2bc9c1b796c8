//! The test picture: scrolling texture, colour bars and the frame number.
//!
//! Its bytes depend only on size and number, so a receiver can compute what it should have
//! received. It is planar, which is cheapest to encode. A frame is assembled from rows of a tile
//! made at the start.

use anyhow::{Result, ensure};
use framegram_media::limits::check_size;
use framegram_media::{Image, Pool, Subsampling};

use super::{Captured, Content, Source, paced};

/// The default size.
pub(super) const DEFAULT_SIZE: (usize, usize) = (1280, 720);

/// The default frame rate.
pub(super) const DEFAULT_RATE: f64 = 30.0;

/// Colours of the bars at the top, from left to right: red, green, blue.
pub const BARS: [[u8; 3]; 8] = [
    [235, 235, 235],
    [215, 215, 20],
    [20, 215, 215],
    [20, 215, 20],
    [215, 20, 215],
    [215, 20, 20],
    [20, 20, 215],
    [20, 20, 20],
];

/// The height of the bars, as a fraction of the picture's.
const BARS_HEIGHT: usize = 6;

/// Pixels of a JPEG block over all components. Edges between blocks cost nothing, so a small
/// picture takes hardly more bits per pixel.
const BLOCK: usize = 16;

/// A side of the texture's tile; even, so that chroma scrolls with luma.
const TILE: usize = 512;

/// Pixels by which the texture moves per frame, to the left and up; even.
const SCROLL: (usize, usize) = (4, 2);

/// Contrast is in fractions of a luma step.
const SUB: i32 = 16;

/// How far the texture's luma lies from its middle, in the mean: the figure
/// that makes the JPEG's 0.9 to 1.2 bits a pixel.
const CONTRAST: i32 = 9 * SUB + SUB / 2;

/// Mean deviation of its chroma.
const COLOUR: i32 = 5 * SUB;

/// Rows subtracted from a picture's height when its contrast is chosen: in a small picture, the
/// edges of the digits take a larger share of the bits.
const EDGES: i32 = 70;

/// Minimum number of digits.
const DIGITS: usize = 6;

/// Digits of 5 x 7 dots, one byte per row, the left dot highest.
#[rustfmt::skip]
const FONT: [[u8; 7]; 10] = [
    [0b01110, 0b10001, 0b10011, 0b10101, 0b11001, 0b10001, 0b01110],
    [0b00100, 0b01100, 0b00100, 0b00100, 0b00100, 0b00100, 0b01110],
    [0b01110, 0b10001, 0b00001, 0b00110, 0b01000, 0b10000, 0b11111],
    [0b11111, 0b00010, 0b00100, 0b00010, 0b00001, 0b10001, 0b01110],
    [0b00010, 0b00110, 0b01010, 0b10010, 0b11111, 0b00010, 0b00010],
    [0b11111, 0b10000, 0b11110, 0b00001, 0b00001, 0b10001, 0b01110],
    [0b00110, 0b01000, 0b10000, 0b11110, 0b10001, 0b10001, 0b01110],
    [0b11111, 0b00001, 0b00010, 0b00100, 0b01000, 0b01000, 0b01000],
    [0b01110, 0b10001, 0b10001, 0b01110, 0b10001, 0b10001, 0b01110],
    [0b01110, 0b10001, 0b10001, 0b01111, 0b00001, 0b00010, 0b01100],
];

/// The moving test picture.
pub struct Pattern {
    width: usize,
    height: usize,
    rate: f64,
    number: u64,
    texture: [Texture; 3],
    bars: [Vec<u8>; 3],
    buffers: Pool<Vec<u8>>,
}

impl Pattern {
    /// The test picture with this size in pixels and this frame rate.
    ///
    /// # Errors
    /// If pictures of this size are not supported.
    pub fn new(width: usize, height: usize, rate: f64) -> Result<Self> {
        check_size(width, height)?;
        ensure!(
            rate > 0.0,
            "a pattern at {rate} frames per second does not move"
        );
        let colours = BARS.map(to_yuv);
        let rows = height as i32;
        let in_size = |contrast: i32| contrast * rows / (rows + EDGES);
        let bar = |plane: usize, part: usize| {
            (0..width.div_ceil(part))
                .map(|x| colours[bar_at(x * part, width)][plane])
                .collect()
        };
        Ok(Self {
            width,
            height,
            rate,
            number: 0,
            texture: [
                Texture::new(TILE, in_size(CONTRAST), 1),
                Texture::new(TILE / 2, in_size(COLOUR), 2),
                Texture::new(TILE / 2, in_size(COLOUR), 3),
            ],
            bars: [bar(0, 1), bar(1, 2), bar(2, 2)],
            buffers: Pool::default(),
        })
    }

    /// The picture with this number.
    ///
    /// # Errors
    /// Never, for a size that [`new`](Self::new) accepted.
    pub fn picture(&self, number: u64) -> Result<Image> {
        let (width, height) = (self.width, self.height);
        let sampling = Subsampling::Yuv420;
        let mut planes = self.buffers.take_sized(sampling.bytes(width, height));
        let (luma, chroma) = planes.split_at_mut(width * height);
        let (chroma_width, chroma_height) = (width.div_ceil(2), height.div_ceil(2));
        let (blue, red) = chroma.split_at_mut(chroma_width * chroma_height);
        let sides = [
            (luma, width, 1),
            (blue, chroma_width, 2),
            (red, chroma_width, 2),
        ];
        for (index, (plane, width, part)) in sides.into_iter().enumerate() {
            let bars = to_blocks(height / BARS_HEIGHT).min(height).div_ceil(part);
            let (top, rest) = plane.split_at_mut(bars * width);
            for row in top.chunks_exact_mut(width) {
                row.copy_from_slice(&self.bars[index]);
            }
            let tile = &self.texture[index];
            let scroll = |by: usize| (number as usize).wrapping_mul(by / part) % tile.side;
            let (left, up) = (scroll(SCROLL.0), scroll(SCROLL.1));
            for (y, row) in rest.chunks_exact_mut(width).enumerate() {
                tile.fill(row, left, bars + y + up);
            }
        }
        write_number(&mut planes, width, height, number);
        let planes = self.buffers.lend(planes);
        Ok(Image::yuv(width, height, sampling, planes)?)
    }
}

impl Source for Pattern {
    fn next(&mut self) -> Result<Option<Captured>> {
        let picture = self.picture(self.number)?;
        let media_time = paced::media_time(self.number, self.rate);
        self.number += 1;
        Ok(Some(Captured::at(
            Some(media_time),
            Content::Image(picture),
        )))
    }

    fn frame_rate(&self) -> Option<f64> {
        Some(self.rate)
    }
}

/// A seamless texture.
struct Texture {
    side: usize,
    values: Vec<u8>,
}

impl Texture {
    /// White noise, smoothed to about the spectrum of a camera picture.
    fn new(side: usize, contrast: i32, seed: u32) -> Self {
        let mut state = seed.wrapping_mul(0x9E37_79B9) | 1;
        let mut noise: Vec<i32> = (0..side * side)
            .map(|_| {
                // Marsaglia's xorshift: the texture never changes.
                state ^= state << 13;
                state ^= state >> 17;
                state ^= state << 5;
                (state >> 16) as i32 - 32_768
            })
            .collect();
        for _ in 0..5 {
            noise = smooth(&noise, side);
        }
        let mean = noise
            .iter()
            .map(|value| i64::from(value.abs()))
            .sum::<i64>()
            / noise.len() as i64;
        let mean = (mean as i32).max(1);
        let values = noise
            .iter()
            .map(|value| (128 + value * contrast / mean / SUB).clamp(0, 255) as u8)
            .collect();
        Self { side, values }
    }

    fn fill(&self, row: &mut [u8], left: usize, y: usize) {
        let line = &self.values[y % self.side * self.side..][..self.side];
        let mut at = left;
        let mut rest = row;
        while !rest.is_empty() {
            let len = rest.len().min(self.side - at);
            let (now, after) = rest.split_at_mut(len);
            now.copy_from_slice(&line[at..at + len]);
            rest = after;
            at = 0;
        }
    }
}

/// Smooths with weights one, two, one along both axes, around the edges.
fn smooth(values: &[i32], side: usize) -> Vec<i32> {
    let mut along = Vec::with_capacity(values.len());
    for row in values.chunks_exact(side) {
        along.extend(row.windows(3).map(|x| x[0] + 2 * x[1] + x[2]));
        for x in [side - 2, side - 1] {
            along.push(row[x] + 2 * row[(x + 1) % side] + row[(x + 2) % side]);
        }
    }
    let row = |y: usize| &along[y % side * side..][..side];
    let mut result = Vec::with_capacity(values.len());
    for y in 0..side {
        let rows = row(y).iter().zip(row(y + 1)).zip(row(y + 2));
        result.extend(rows.map(|((above, here), below)| (above + 2 * here + below) / 16));
    }
    result
}

fn write_number(planes: &mut [u8], width: usize, height: usize, number: u64) {
    let text = format!("{number:0DIGITS$}");
    let dot = (height / 48).min(width / (6 * text.len() + 1)).max(1);
    let (panel_width, panel_height) = (dot * (6 * text.len() + 1), dot * 9);
    let (panel_width, panel_height) = (
        panel_width.next_multiple_of(BLOCK),
        panel_height.next_multiple_of(BLOCK),
    );
    let left = to_blocks(width.saturating_sub(panel_width) / 2);
    let top = to_blocks((height / 2).saturating_sub(panel_height / 2));
    let (luma, chroma) = planes.split_at_mut(width * height);
    fill(luma, width, (left, top), (panel_width, panel_height), 16);
    let (chroma_width, chroma_height) = (width.div_ceil(2), height.div_ceil(2));
    let (blue, red) = chroma.split_at_mut(chroma_width * chroma_height);
    for plane in [blue, red] {
        let corner = (left / 2, top / 2);
        let size = (panel_width.div_ceil(2), panel_height.div_ceil(2));
        fill(plane, chroma_width, corner, size, 128);
    }
    for (place, digit) in text.bytes().enumerate() {
        let glyph = FONT[usize::from(digit - b'0')];
        for (y, dots) in glyph.into_iter().enumerate() {
            for x in (0..5).filter(|x| dots >> (4 - x) & 1 == 1) {
                let corner = (left + dot * (1 + 6 * place + x), top + dot * (1 + y));
                fill(luma, width, corner, (dot, dot), 235);
            }
        }
    }
}

/// The bar of this column; edges lie between blocks.
fn bar_at(x: usize, width: usize) -> usize {
    let next = (1..BARS.len()).find(|next| x < to_blocks(next * width / BARS.len()));
    next.unwrap_or(BARS.len()) - 1
}

/// Rounds to the nearest block, unless the picture is too small for that.
fn to_blocks(pixels: usize) -> usize {
    if pixels < BLOCK {
        pixels & !1
    } else {
        (pixels + BLOCK / 2) / BLOCK * BLOCK
    }
}

/// Fills a box with one value, clipped to the plane.
fn fill(
    plane: &mut [u8],
    stride: usize,
    (left, top): (usize, usize),
    (width, height): (usize, usize),
    value: u8,
) {
    let right = (left + width).min(stride);
    for row in plane.chunks_exact_mut(stride).skip(top).take(height) {
        if let Some(part) = row.get_mut(left..right) {
            part.fill(value);
        }
    }
}

/// BT.601 in full range, as in JPEG (<https://www.w3.org/Graphics/JPEG/jfif3.pdf>, page 3).
fn to_yuv([red, green, blue]: [u8; 3]) -> [u8; 3] {
    let (red, green, blue) = (f64::from(red), f64::from(green), f64::from(blue));
    let luma = 0.299 * red + 0.587 * green + 0.114 * blue;
    [
        luma.round() as u8,
        (128.0 + (blue - luma) / 1.772).round().clamp(0.0, 255.0) as u8,
        (128.0 + (red - luma) / 1.402).round().clamp(0.0, 255.0) as u8,
    ]
}

#[cfg(test)]
mod tests {
    use framegram_media::Decoder;

    use super::*;
    use crate::encode::{Encoder, Settings};

    fn encode(picture: Image) -> bytes::Bytes {
        let mut encoder = Encoder::new(Settings::default()).unwrap();
        encoder.encode(&Content::Image(picture)).unwrap().jpeg
    }

    #[test]
    fn has_the_texture_of_a_camera_picture_at_quality_80() {
        for (width, height) in [(320, 180), (640, 360), (1280, 720), (1920, 1080)] {
            let pattern = Pattern::new(width, height, 30.0).unwrap();
            for number in [0, 1, 77, 999_999, 123_456_789] {
                let jpeg = encode(pattern.picture(number).unwrap());
                let bits = jpeg.len() as f64 * 8.0 / (width * height) as f64;
                assert!(
                    (0.9..=1.2).contains(&bits),
                    "{bits:.3} bits a pixel at {width}x{height}, frame {number}"
                );
            }
        }
    }

    #[test]
    fn is_a_function_of_the_number() {
        let one = Pattern::new(321, 181, 30.0).unwrap();
        let other = Pattern::new(321, 181, 5.0).unwrap();
        for number in [0, 1, 2, 1000, u64::MAX] {
            assert_eq!(one.picture(number).unwrap(), other.picture(number).unwrap());
        }
        assert_ne!(one.picture(1).unwrap(), one.picture(2).unwrap());
        assert_ne!(one.picture(0).unwrap(), one.picture(256).unwrap());
    }

    #[test]
    fn shows_its_bars_in_their_colours() {
        let pattern = Pattern::new(640, 360, 30.0).unwrap();
        let jpeg = encode(pattern.picture(5).unwrap());
        let decoded = Decoder::new().unwrap().decode_whole(&jpeg).unwrap();
        for (index, colour) in BARS.iter().enumerate() {
            let pixel = decoded.pixels[30 * decoded.width + 40 + 80 * index].to_be_bytes();
            for (got, expected) in pixel[1..].iter().zip(colour) {
                assert!(
                    got.abs_diff(*expected) <= 3,
                    "bar {index}: {pixel:?} {colour:?}"
                );
            }
        }
    }

    #[test]
    fn is_made_at_any_size() {
        for (width, height) in [(1, 1), (2, 1), (1, 7), (3, 50), (63, 5), (1001, 3)] {
            let pattern = Pattern::new(width, height, 30.0).unwrap();
            assert!(!encode(pattern.picture(42).unwrap()).is_empty());
        }
    }
}
