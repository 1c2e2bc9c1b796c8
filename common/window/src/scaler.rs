//! Scales pictures to any size, bilinearly: each row is stretched once, and
//! adjacent rows are blended. The quality is good down to half the size; the
//! decoder does any further reduction.

use framegram_media::XrgbImage;

use crate::area::{Area, fit};

/// Scales pictures. It keeps what depends only on the sizes from frame to frame.
#[derive(Default)]
pub struct WindowScaler {
    /// For each target column: the source column to its left, and the weight of
    /// the next one, out of 256.
    columns: Vec<(u32, u32)>,
    /// Source width that `columns` belongs to.
    from: usize,
    /// The two stretched rows around the current target row.
    upper: StretchedRow,
    lower: StretchedRow,
}

/// A source row, stretched to the target width.
#[derive(Default)]
struct StretchedRow {
    /// Index of the source row.
    index: Option<usize>,
    pixels: Vec<u32>,
}

impl WindowScaler {
    /// Draws `picture` as large as it fits onto the canvas `target`, with black
    /// borders.
    pub fn draw_centred(
        &mut self,
        picture: &XrgbImage,
        target: &mut [u32],
        (width, height): (usize, usize),
    ) {
        let area = fit((picture.width, picture.height), (width, height));
        for (y, row) in target.chunks_exact_mut(width.max(1)).enumerate() {
            if (area.y..area.y + area.height).contains(&y) {
                row[..area.x].fill(BLACK);
                row[area.x + area.width..].fill(BLACK);
            } else {
                row.fill(BLACK);
            }
        }
        self.draw(picture, target, width, area);
    }

    /// Draws `picture` into `area` of the canvas `target`, which is `pitch`
    /// pixels wide.
    pub fn draw(&mut self, picture: &XrgbImage, target: &mut [u32], pitch: usize, area: Area) {
        if area.width == 0 || area.height == 0 || picture.pixels.is_empty() {
            return;
        }
        let rows = target
            .chunks_exact_mut(pitch)
            .skip(area.y)
            .take(area.height)
            .map(|row| &mut row[area.x..][..area.width]);
        if (area.width, area.height) == (picture.width, picture.height) {
            for (row, from) in rows.zip(picture.pixels.chunks_exact(picture.width)) {
                row.copy_from_slice(from);
            }
            return;
        }
        self.prepare(picture.width, area.width);
        for (y, row) in rows.enumerate() {
            let (above, share) = position(y, picture.height, area.height);
            self.stretch(picture, above as usize);
            mix_rows(&self.upper.pixels, &self.lower.pixels, share, row);
        }
    }

    fn prepare(&mut self, from: usize, to: usize) {
        if self.from != from || self.columns.len() != to {
            self.columns.clear();
            self.columns.extend((0..to).map(|x| position(x, from, to)));
            self.from = from;
        }
        for row in [&mut self.upper, &mut self.lower] {
            row.index = None;
            row.pixels.resize(to, 0);
        }
    }

    /// Stretches row `above` of the picture and the one below it.
    fn stretch(&mut self, picture: &XrgbImage, above: usize) {
        let below = (above + 1).min(picture.height - 1);
        if self.upper.index != Some(above) && self.lower.index == Some(above) {
            std::mem::swap(&mut self.upper, &mut self.lower);
        }
        for (row, index) in [(&mut self.upper, above), (&mut self.lower, below)] {
            if row.index != Some(index) {
                let from = &picture.pixels[index * picture.width..][..picture.width];
                stretch_row(from, &self.columns, &mut row.pixels);
                row.index = Some(index);
            }
        }
    }
}

/// Position of the centre of target sample `i` (of `to`) between the centres of
/// the source samples (`from`): the sample before it, and the weight of the next
/// one, out of 256.
fn position(i: usize, from: usize, to: usize) -> (u32, u32) {
    let at = ((2 * i as u64 + 1) * from as u64 * 128 / to as u64).saturating_sub(128);
    let last = (from as u64 - 1) * 256;
    let at = at.min(last);
    ((at / 256) as u32, (at % 256) as u32)
}

fn stretch_row(from: &[u32], columns: &[(u32, u32)], to: &mut [u32]) {
    let last = from.len() - 1;
    for (pixel, &(left, share)) in to.iter_mut().zip(columns) {
        let left = left as usize;
        *pixel = mix(from[left], from[(left + 1).min(last)], share);
    }
}

fn mix_rows(upper: &[u32], lower: &[u32], share: u32, to: &mut [u32]) {
    if share == 0 {
        to.copy_from_slice(upper);
        return;
    }
    // 16-bit arithmetic per byte; every x86-64 processor handles eight at once.
    let (rest, share) = (256 - share as u16, share as u16);
    let upper: &[u8] = bytemuck::cast_slice(upper);
    let lower: &[u8] = bytemuck::cast_slice(lower);
    let to: &mut [u8] = bytemuck::cast_slice_mut(to);
    for ((sample, &a), &b) in to.iter_mut().zip(upper).zip(lower) {
        *sample = ((u16::from(a) * rest + u16::from(b) * share + 128) >> 8) as u8;
    }
}

/// Blends two pixels: `share` / 256 of `b`, the rest of `a`. One multiplication
/// covers red and blue.
#[inline]
fn mix(a: u32, b: u32, share: u32) -> u32 {
    let rest = 256 - share;
    let red_blue = ((a & 0xff_00ff) * rest + (b & 0xff_00ff) * share + 0x80_0080) >> 8;
    let green = ((a & 0x00_ff00) * rest + (b & 0x00_ff00) * share + 0x00_8000) >> 8;
    (red_blue & 0xff_00ff) | (green & 0x00_ff00)
}

const BLACK: u32 = 0;

#[cfg(test)]
mod tests {
    use super::*;

    fn scaled(picture: &XrgbImage, width: usize, height: usize) -> Vec<u32> {
        let mut target = vec![0; width * height];
        let area = Area {
            x: 0,
            y: 0,
            width,
            height,
        };
        WindowScaler::default().draw(picture, &mut target, width, area);
        target
    }

    fn picture(pixels: &[u32], width: usize) -> XrgbImage {
        XrgbImage {
            pixels: pixels.to_vec(),
            width,
            height: pixels.len() / width,
        }
    }

    #[test]
    fn copies_where_the_size_is_the_same() {
        let seen = picture(&[1, 2, 3, 4, 5, 6], 3);
        assert_eq!(scaled(&seen, 3, 2), seen.pixels);
    }

    #[test]
    fn one_colour_stays_that_colour_at_every_size() {
        let seen = picture(&[0xfe_8001; 35], 7);
        for (width, height) in [(1, 1), (3, 2), (7, 50), (100, 99)] {
            assert_eq!(
                scaled(&seen, width, height),
                vec![0xfe_8001; width * height]
            );
        }
    }

    #[test]
    fn halves_to_the_mean_and_doubles_to_a_ramp() {
        let seen = picture(&[0, 0x10_2040, 0, 0x10_2040], 2);
        assert_eq!(scaled(&seen, 1, 1), [0x08_1020]);
        assert_eq!(
            scaled(&seen, 4, 2)[..4],
            [0, 0x04_0810, 0x0c_1830, 0x10_2040]
        );
    }

    /// Compared with a simple floating-point implementation.
    #[test]
    fn agrees_with_a_plain_bilinear_scaler() {
        let mut random = 1_u32;
        let pixels: Vec<u32> = (0..13 * 9)
            .map(|_| {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                random >> 8
            })
            .collect();
        let seen = picture(&pixels, 13);
        for (width, height) in [(29, 31), (13, 20), (8, 6), (7, 5)] {
            for (i, &pixel) in scaled(&seen, width, height).iter().enumerate() {
                let at = |i: usize, from: usize, to: usize| {
                    let at = (i as f64 + 0.5) * from as f64 / to as f64 - 0.5;
                    at.clamp(0.0, (from - 1) as f64)
                };
                let (x, y) = (at(i % width, 13, width), at(i / width, 9, height));
                for shift in [0, 8, 16] {
                    let sample = |x: usize, y: usize| {
                        f64::from((pixels[y.min(8) * 13 + x.min(12)] >> shift) & 255)
                    };
                    let row = |y: usize| {
                        let share = x.fract();
                        let left = x as usize;
                        sample(left, y) * (1.0 - share) + sample(left + 1, y) * share
                    };
                    let share = y.fract();
                    let expected = row(y as usize) * (1.0 - share) + row(y as usize + 1) * share;
                    let got = f64::from((pixel >> shift) & 255);
                    assert!((got - expected).abs() < 4.0, "{got} is not {expected}");
                }
            }
        }
    }
}
