//! Scales pictures to any size, bilinearly. The quality is good down to half the size; the decoder
//! does any further reduction.

use fast_image_resize::images::{TypedCroppedImageMut, TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x4;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use framegram_media::XrgbImage;

use crate::area::{Area, fit};

/// Scales pictures. It keeps its memory from frame to frame.
#[derive(Default)]
pub struct WindowScaler(Resizer);

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

    /// Draws `picture` into `area` of the canvas `target`, which is `pitch` pixels wide. Nothing is
    /// drawn outside of the canvas, and nothing of a picture without pixels.
    pub fn draw(&mut self, picture: &XrgbImage, target: &mut [u32], pitch: usize, area: Area) {
        let side = |side: usize| u32::try_from(side).unwrap_or(u32::MAX);
        let rows = target.len().checked_div(pitch).unwrap_or(0);
        let pixels = bytemuck::cast_slice(&picture.pixels);
        let from =
            TypedImageRef::<U8x4>::from_buffer(side(picture.width), side(picture.height), pixels);
        let canvas = bytemuck::cast_slice_mut(target);
        let canvas = TypedImage::<U8x4>::from_buffer(side(pitch), side(rows), canvas);
        let (Ok(from), Ok(canvas)) = (from, canvas) else {
            return;
        };
        let [x, y, width, height] = [area.x, area.y, area.width, area.height].map(side);
        if let Ok(mut into) = TypedCroppedImageMut::new(canvas, x, y, width, height) {
            let bilinear = ResizeAlg::Interpolation(FilterType::Bilinear);
            let options = ResizeOptions::new().resize_alg(bilinear).use_alpha(false);
            let _ = self.0.resize_typed(&from, &mut into, &options);
        }
    }
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
