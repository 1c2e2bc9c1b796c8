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
}

/// A plane of samples as a decoder holds it.
#[derive(Clone, Copy, Debug)]
pub struct SourcePlane<'a> {
    /// Its rows, the last one possibly without padding.
    pub samples: &'a [u8],
    /// Bytes from one row to the next; at least those of a row.
    pub pitch: usize,
}

impl SourcePlane<'_> {
    /// Rows of `width` bytes.
    fn rows(&self, width: usize) -> impl Iterator<Item = &[u8]> {
        let rows = self.samples.chunks(self.pitch.max(1));
        rows.map_while(move |row| row.get(..width))
    }

    /// Rows of `width` samples of two bytes, the lower one first.
    fn deep_rows(&self, width: usize) -> impl Iterator<Item = &[[u8; 2]]> {
        self.rows(2 * width).map(|row| row.as_chunks().0)
    }
}

/// Copies and converts a row of samples.
type CopyRow = fn(&[u8], &mut [u8]);

/// The conversion of video samples to those of a JPEG, in one pass.
#[derive(Clone, Copy, Debug)]
pub struct ToJpeg {
    is_full: bool,
    matrix: Option<Matrix>,
}

/// How samples contribute to others, in fixed point.
#[derive(Clone, Copy, Debug)]
struct Weights {
    /// Of luma in luma, with [`LUMA_FRACTION`] fractional bits.
    luma: i16,
    /// Of blue and red in luma, blue and red, with [`FRACTION`] fractional bits.
    differences: [(i16, i16); 3],
}

impl Weights {
    fn new(matrix: Matrix, is_full: bool) -> Self {
        let (luma, chroma) = expansion(is_full);
        let of = |sample| Matrix::BT601.encode(matrix.decode(sample));
        // Luma keeps its value; the differences change all three.
        let [blue, red] = [of([0.0, chroma, 0.0]), of([0.0, 0.0, chroma])];
        let by = |index: usize| (fixed(blue[index], FRACTION), fixed(red[index], FRACTION));
        Self {
            luma: fixed(luma, LUMA_FRACTION),
            differences: [by(0), by(1), by(2)],
        }
    }
}

impl ToJpeg {
    /// Converts from full or limited range, and from `matrix` unless that is BT.601 already.
    pub fn new(is_full: bool, matrix: Option<Matrix>) -> Self {
        Self { is_full, matrix }
    }

    /// Copies and converts the planes of an image of this size, in pixels. Does not read `to`. Rows
    /// and planes that the source lacks stay what they are.
    ///
    /// # Panics
    /// If `to` is shorter than [`Subsampling::bytes`].
    pub fn copy(
        self,
        from: &[SourcePlane<'_>],
        subsampling: Subsampling,
        (width, height): (usize, usize),
        to: &mut [u8],
    ) {
        let [luma, blue, red] = [0, 1, 2].map(|index| from.get(index));
        let Some(luma) = luma else { return };
        let (to_luma, chroma) = to.split_at_mut(width * height);
        let (Some((columns, _)), Some(blue), Some(red)) =
            (subsampling.chroma(width, height), blue, red)
        else {
            return self.copy_rows(luma, width, to_luma, [copy, copy_luma_wide]);
        };
        let (to_blue, to_red) = chroma.split_at_mut(chroma.len() / 2);
        let Some(matrix) = self.matrix else {
            self.copy_rows(luma, width, to_luma, [copy, copy_luma_wide]);
            for (from, to) in [(blue, to_blue), (red, to_red)] {
                self.copy_rows(from, columns, to, [copy, copy_chroma_wide]);
            }
            return;
        };
        let weights = Weights::new(matrix, self.is_full);
        let (across, down) = subsampling.step();
        let mut changes = vec![0; columns * across];
        let mut luma = luma.rows(width).zip(to_luma.chunks_exact_mut(width));
        let differences = blue.rows(columns).zip(red.rows(columns));
        let to_differences = to_blue
            .chunks_exact_mut(columns)
            .zip(to_red.chunks_exact_mut(columns));
        for ((blue, red), to) in differences.zip(to_differences) {
            let [by, ..] = weights.differences;
            let centred = |sample| self.centred(sample);
            let both = blue.iter().zip(red);
            for (changes, (blue, red)) in changes.chunks_exact_mut(across).zip(both) {
                let change = mixed(by, centred(*blue), centred(*red), FRACTION - LUMA_FRACTION);
                changes.fill(change);
            }
            for (from, to) in luma.by_ref().take(down) {
                self.copy_luma(weights.luma, from, &changes, to);
            }
            let [_, by_blue, by_red] = weights.differences;
            let to = to.0.iter_mut().zip(to.1);
            for ((to_blue, to_red), (blue, red)) in to.zip(blue.iter().zip(red)) {
                let (blue, red) = (centred(*blue), centred(*red));
                let of = |by| (128 + mixed(by, blue, red, FRACTION)).clamp(0, 255) as u8;
                (*to_blue, *to_red) = (of(by_blue), of(by_red));
            }
        }
    }

    /// As [`copy`](Self::copy), from samples of `bits` bits, 9 to 16, in two bytes each, the lower one
    /// first. They are rounded once.
    ///
    /// # Panics
    /// If `to` is shorter than [`Subsampling::bytes`], or `bits` is less than 8.
    pub fn copy_deep(
        self,
        from: &[SourcePlane<'_>],
        bits: u32,
        subsampling: Subsampling,
        (width, height): (usize, usize),
        to: &mut [u8],
    ) {
        let ([luma, blue, red], Some((columns, _))) = (
            [0, 1, 2].map(|index| from.get(index)),
            subsampling.chroma(width, height),
        ) else {
            return;
        };
        let (Some(luma), Some(blue), Some(red)) = (luma, blue, red) else {
            return;
        };
        let one = f32::from(1_u16 << (bits - 8));
        let (black, white, least, most) = match self.is_full {
            true => (0.0, 255.0 * one, 0.0, 256.0 * one),
            false => (16.0 * one, 235.0 * one, 16.0 * one, 240.0 * one),
        };
        let (scale, chroma_scale) = expansion(self.is_full);
        let (scale, chroma_scale) = (scale as f32 / one, chroma_scale as f32 / one);
        let of = |sample| match self.matrix {
            Some(matrix) => Matrix::BT601.encode(matrix.decode(sample)),
            None => sample,
        };
        let [by_blue, by_red] = [of([0.0, 1.0, 0.0]), of([0.0, 0.0, 1.0])]
            .map(|weights| weights.map(|weight| weight as f32));
        let value = |sample: &[u8; 2]| f32::from(u16::from_le_bytes(*sample));
        let centred =
            |sample: &[u8; 2]| (value(sample).clamp(least, most) - 128.0 * one) * chroma_scale;
        // Casts saturate. Ties go down, as with 8 bits.
        let rounded = |value: f32| (value + 0.499) as u8;
        let (across, down) = subsampling.step();
        let (to_luma, chroma) = to.split_at_mut(width * height);
        let (to_blue, to_red) = chroma.split_at_mut(chroma.len() / 2);
        let mut changes = vec![0.0; columns * across];
        let mut luma = luma.deep_rows(width).zip(to_luma.chunks_exact_mut(width));
        let differences = blue.deep_rows(columns).zip(red.deep_rows(columns));
        let to_blue = to_blue.chunks_exact_mut(columns);
        let to = to_blue.zip(to_red.chunks_exact_mut(columns));
        for ((blue, red), (to_blue, to_red)) in differences.zip(to) {
            let both = blue.iter().zip(red).zip(to_blue.iter_mut().zip(to_red));
            for (changes, ((blue, red), to)) in changes.chunks_exact_mut(across).zip(both) {
                let (blue, red) = (centred(blue), centred(red));
                let mixed = [0, 1, 2].map(|at| by_blue[at] * blue + by_red[at] * red);
                changes.fill(mixed[0]);
                (*to.0, *to.1) = (rounded(mixed[1] + 128.0), rounded(mixed[2] + 128.0));
            }
            for (from, to) in luma.by_ref().take(down) {
                for ((to, from), change) in to.iter_mut().zip(from).zip(&changes) {
                    *to = rounded((value(from).clamp(black, white) - black) * scale + change);
                }
            }
        }
    }

    /// Copies rows without padding, with the function for full range or that for limited range.
    fn copy_rows(
        self,
        from: &SourcePlane<'_>,
        width: usize,
        to: &mut [u8],
        [full, limited]: [CopyRow; 2],
    ) {
        let copy_row = if self.is_full { full } else { limited };
        for (from, to) in from.rows(width).zip(to.chunks_exact_mut(width)) {
            copy_row(from, to);
        }
    }

    /// Copies a row of luma. `changes` is added, with [`LUMA_FRACTION`] fractional bits.
    fn copy_luma(self, weight: i16, from: &[u8], changes: &[i16], to: &mut [u8]) {
        let (black, span) = if self.is_full { (0, 255) } else { (16, 219) };
        let half = 1 << (LUMA_FRACTION - 1);
        for ((to, from), change) in to.iter_mut().zip(from).zip(changes) {
            let above = i16::from(from.saturating_sub(black).min(span)) * weight;
            let sample = above.saturating_add(*change).saturating_add(half);
            *to = (sample >> LUMA_FRACTION).clamp(0, 255) as u8;
        }
    }

    /// A difference, in its own range.
    fn centred(self, sample: u8) -> i16 {
        let sample = if self.is_full {
            sample
        } else {
            sample.clamp(16, 240)
        };
        i16::from(sample) - 128
    }
}

/// The factors by which luma and chroma of 8 bits are expanded.
fn expansion(is_full: bool) -> (f64, f64) {
    if is_full {
        (1.0, 1.0)
    } else {
        (255.0 / 219.0, 255.0 / 224.0)
    }
}

/// Fractional bits of the weight of a difference. All weights are below 2.
const FRACTION: u32 = 14;

/// Fractional bits of luma: 255 fits into 16 bits.
const LUMA_FRACTION: u32 = 7;

fn fixed(value: f64, fraction: u32) -> i16 {
    (value * f64::from(1 << fraction)).round() as i16
}

/// The weighted sum of two differences, with `fewer` fractional bits less, rounded.
fn mixed((by_blue, by_red): (i16, i16), blue: i16, red: i16, fewer: u32) -> i16 {
    let of = |by, sample| i32::from(by) * i32::from(sample);
    ((of(by_blue, blue) + of(by_red, red) + (1 << (fewer - 1))) >> fewer) as i16
}

fn copy(from: &[u8], to: &mut [u8]) {
    to.copy_from_slice(from);
}

/// Copies luma and expands it to full range, without reading `to`.
fn copy_luma_wide(from: &[u8], to: &mut [u8]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = wide_luma(*from);
    }
}

/// Copies chroma and expands it to full range, without reading `to`.
fn copy_chroma_wide(from: &[u8], to: &mut [u8]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = wide_chroma(*from);
    }
}

/// Expands 16 to 235 to 0 to 255.
fn wide_luma(value: u8) -> u8 {
    let above = u16::from(value.saturating_sub(16).min(219));
    ((above * 255 + 109) / 219) as u8
}

/// Expands 16 to 240 to 0 to 255, around 128, which stays. Ties go down.
fn wide_chroma(value: u8) -> u8 {
    ((u16::from(value.clamp(16, 240)) * 255 - 3_857) / 224) as u8
}

#[cfg(test)]
mod tests;
