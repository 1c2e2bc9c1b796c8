//! Conversion of video samples to those of a JPEG: full range and the matrix of BT.601. The loops
//! are written to be vectorised.

use crate::subsampling::Subsampling;

/// Expands planes to full range. The first `luma` samples are luma.
pub(crate) fn to_full_range(planes: &mut [u8], luma: usize) {
    let (luma, chroma) = planes.split_at_mut(luma);
    luma.iter_mut().for_each(|value| *value = wide_luma(*value));
    chroma
        .iter_mut()
        .for_each(|value| *value = wide_chroma(*value));
}

/// The weights of red and blue in luma.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Matrix {
    red: f64,
    blue: f64,
}

impl Matrix {
    /// HD video.
    pub const BT709: Self = Self {
        red: 0.2126,
        blue: 0.0722,
    };
    /// UHD video.
    pub const BT2020: Self = Self {
        red: 0.2627,
        blue: 0.0593,
    };
    /// Early HD video.
    pub const SMPTE240M: Self = Self {
        red: 0.212,
        blue: 0.087,
    };
    /// JPEG and SD video.
    const BT601: Self = Self {
        red: 0.299,
        blue: 0.114,
    };

    /// Converts luma and colour differences to red, green and blue.
    fn decode(self, [luma, to_blue, to_red]: [f64; 3]) -> [f64; 3] {
        let red = luma + 2.0 * (1.0 - self.red) * to_red;
        let blue = luma + 2.0 * (1.0 - self.blue) * to_blue;
        let green = (luma - self.red * red - self.blue * blue) / (1.0 - self.red - self.blue);
        [red, green, blue]
    }

    /// Converts red, green and blue to luma and colour differences.
    fn encode(self, [red, green, blue]: [f64; 3]) -> [f64; 3] {
        let luma = self.red * red + (1.0 - self.red - self.blue) * green + self.blue * blue;
        let to_blue = (blue - luma) / (2.0 * (1.0 - self.blue));
        let to_red = (red - luma) / (2.0 * (1.0 - self.red));
        [luma, to_blue, to_red]
    }

    /// Converts planes of full range from this matrix to that of BT.601.
    pub fn to_bt601(self, planes: &mut [u8], subsampling: Subsampling, size: (usize, usize)) {
        let Some((columns, _)) = subsampling.chroma(size.0, size.1) else {
            return;
        };
        let of = |sample| Self::BT601.encode(self.decode(sample)).map(fixed);
        // Luma keeps its value; the differences change all three.
        let [from_blue, from_red] = [of([0.0, 1.0, 0.0]), of([0.0, 0.0, 1.0])];
        let by = |index: usize| (from_blue[index], from_red[index]);
        let (luma, chroma) = planes.split_at_mut(size.0 * size.1);
        let (blue, red) = chroma.split_at_mut(chroma.len() / 2);
        let (across, down) = subsampling.step();
        let mut changes = vec![0; columns * across];
        let differences = blue.chunks_exact(columns).zip(red.chunks_exact(columns));
        for (rows, (blue, red)) in luma.chunks_mut(down * size.0).zip(differences) {
            let each = changes.chunks_exact_mut(across);
            for (changes, (blue, red)) in each.zip(blue.iter().zip(red)) {
                changes.fill(changed(by(0), *blue, *red));
            }
            for row in rows.chunks_exact_mut(size.0) {
                for (sample, change) in row.iter_mut().zip(&changes) {
                    *sample = (i16::from(*sample) + change).clamp(0, 255) as u8;
                }
            }
        }
        let of = |index, blue, red| (128 + changed(by(index), blue, red)).clamp(0, 255) as u8;
        for (blue, red) in blue.iter_mut().zip(red) {
            (*blue, *red) = (of(1, *blue, *red), of(2, *blue, *red));
        }
    }
}

/// Fractional bits of a weight. All weights are below 2.
const FRACTION: u32 = 14;

/// A weight in fixed point, with [`FRACTION`] fractional bits.
fn fixed(value: f64) -> i16 {
    (value * f64::from(1 << FRACTION)).round() as i16
}

/// The weighted sum of two differences, rounded.
fn changed((by_blue, by_red): (i16, i16), blue: u8, red: u8) -> i16 {
    let of = |by, sample| i32::from(by) * i32::from(i16::from(sample) - 128);
    ((of(by_blue, blue) + of(by_red, red) + (1 << (FRACTION - 1))) >> FRACTION) as i16
}

/// Copies luma and expands it to full range, without reading `to`.
pub fn copy_luma_wide(from: &[u8], to: &mut [u8]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = wide_luma(*from);
    }
}

/// Copies chroma and expands it to full range, without reading `to`.
pub fn copy_chroma_wide(from: &[u8], to: &mut [u8]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = wide_chroma(*from);
    }
}

/// Expands 16 to 235 to 0 to 255.
fn wide_luma(value: u8) -> u8 {
    let above = u16::from(value.saturating_sub(16).min(219));
    ((above * 255 + 109) / 219) as u8
}

/// Expands 16 to 240 to 0 to 255; 128 stays.
fn wide_chroma(value: u8) -> u8 {
    let above = u16::from(value.saturating_sub(16).min(224));
    ((above * 255 + 112) / 224) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn converting_the_matrix_keeps_colours() {
        for matrix in [Matrix::BT709, Matrix::BT2020, Matrix::SMPTE240M] {
            for colour in [[200.0, 90.0, 40.0], [30.0, 120.0, 220.0], [128.0; 3]] {
                let [luma, blue, red] = matrix.encode(colour);
                let sample = |value: f64| value.round() as u8;
                let mut planes = vec![sample(luma); 7 * 3];
                planes.extend([sample(blue + 128.0); 8]);
                planes.extend([sample(red + 128.0); 8]);
                matrix.to_bt601(&mut planes, Subsampling::Yuv420, (7, 3));
                let [luma, blue, red] = Matrix::BT601.encode(colour);
                let right = [luma, blue + 128.0, red + 128.0];
                for (index, expected) in [(0, 0), (20, 0), (21, 1), (28, 1), (29, 2), (36, 2)] {
                    let off = f64::from(planes[index]) - right[expected];
                    assert!(off.abs() <= 2.0, "{matrix:?}, {colour:?}, {index}: {off}");
                }
            }
        }
    }

    #[test]
    fn converting_the_matrix_rounds_every_sample_to_the_nearest_value() {
        let mut rng = fastrand::Rng::with_seed(7);
        let size = (21, 9);
        for subsampling in [
            Subsampling::Yuv420,
            Subsampling::Yuv422,
            Subsampling::Yuv444,
            Subsampling::Yuv411,
        ] {
            let before: Vec<u8> = std::iter::repeat_with(|| rng.u8(..))
                .take(subsampling.bytes(size.0, size.1))
                .collect();
            let mut after = before.clone();
            Matrix::BT709.to_bt601(&mut after, subsampling, size);
            let (columns, rows) = subsampling.chroma(size.0, size.1).unwrap();
            let (across, down) = subsampling.step();
            let (luma, chroma) = (size.0 * size.1, columns * rows);
            let exact = |place: usize, luma: u8| {
                let [blue, red] =
                    [0, 1].map(|at| f64::from(before[size.0 * size.1 + at * chroma + place]));
                let sample = [f64::from(luma), blue - 128.0, red - 128.0];
                let [luma, blue, red] = Matrix::BT601.encode(Matrix::BT709.decode(sample));
                [luma, blue + 128.0, red + 128.0].map(|value| value.clamp(0.0, 255.0))
            };
            let near = |got: u8, exact: f64| (f64::from(got) - exact).abs() <= 0.52;
            for at in 0..luma {
                let place = at / size.0 / down * columns + at % size.0 / across;
                assert!(
                    near(after[at], exact(place, before[at])[0]),
                    "{subsampling:?}, {at}"
                );
            }
            for place in 0..chroma {
                let [_, blue, red] = exact(place, 0);
                assert!(near(after[luma + place], blue), "{subsampling:?}, {place}");
                assert!(
                    near(after[luma + chroma + place], red),
                    "{subsampling:?}, {place}"
                );
            }
        }
    }

    #[test]
    fn expands_limited_range_to_the_nearest_value() {
        let all: Vec<u8> = (0..=255).collect();
        let (mut luma, mut chroma) = (all.clone(), all.clone());
        copy_luma_wide(&all, &mut luma);
        copy_chroma_wide(&all, &mut chroma);
        for value in 0..=255_u8 {
            let exact =
                |low: f64, span: f64| ((f64::from(value) - low) * 255.0 / span).clamp(0.0, 255.0);
            let error = |got: u8, exact: f64| (f64::from(got) - exact).abs();
            assert!(error(luma[usize::from(value)], exact(16.0, 219.0)) <= 0.5);
            assert!(error(chroma[usize::from(value)], exact(16.0, 224.0)) <= 0.5);
        }
        assert_eq!(chroma[128], 128);
    }
}
