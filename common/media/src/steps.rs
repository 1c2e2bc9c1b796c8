//! Quantisation tables of jpegli. At the same bytes, their errors are less visible than those of
//! the tables of T.81, annex K.
//!
//! Source: <https://github.com/google/jpegli>, `lib/jpegli/quant.cc`, where they are fitted to
//! human vision.

use crate::subsampling::Subsampling;

/// The quantisation steps of luma and chroma, in natural order, 1 to 255.
pub(crate) type Steps = [[u16; 64]; 2];

/// Returns the tables for a quality from 1 to 100. An image looks as good as with the tables of
/// T.81 at that quality.
pub(crate) fn steps(quality: u8, subsampling: Subsampling) -> Steps {
    let distance = distance(quality);
    let (scale, shares) = match subsampling {
        Subsampling::Yuv420 => (SCALE * QUARTER_SCALE, &QUARTER_SHARES),
        _ => (SCALE, &[1.0; 64]),
    };
    let steps = |table: &[f32; 64], shares: &[f32; 64]| {
        std::array::from_fn(|at| {
            let step = table[at] * shares[at] * scale * by_frequency(distance, at);
            step.round().clamp(1.0, 255.0) as u16
        })
    };
    [steps(&LUMA, &[1.0; 64]), steps(&CHROMA, shares)]
}

/// The distance from the original that a quality permits. 1 is just not visible.
fn distance(quality: u8) -> f32 {
    let quality = f32::from(quality.clamp(1, 100));
    let percent = if quality < 50.0 {
        5_000.0 / quality
    } else {
        200.0 - 2.0 * quality
    };
    let mut pairs = DISTANCES.windows(2);
    let pair = pairs.find(|pair| percent <= pair[1].0);
    let Some([(from, near), (to, far)]) = pair else {
        return MOST_DISTANCE;
    };
    near + (far - near) * (percent - from) / (to - from)
}

/// The percentage by which libjpeg scales the tables of T.81, and the distance at which the tables
/// here, with the dead zone, have the same SSIMULACRA2: fitted to the clips of
/// `tests/benches/encoder.rs` at 4:2:0.
const DISTANCES: [(f32, f32); 9] = [
    (0.0, 0.0),
    (16.0, 0.73),
    (40.0, 1.62),
    (70.0, 3.82),
    (100.0, 5.4),
    (143.0, 8.6),
    (250.0, 14.8),
    (500.0, 38.0),
    (5_000.0, MOST_DISTANCE),
];

/// The distance at which every step is the longest.
const MOST_DISTANCE: f32 = 150.0;

/// The factor of a step. The most visible, low frequencies grow less at distances above
/// [`VISIBLE`].
fn by_frequency(distance: f32, at: usize) -> f32 {
    if distance < VISIBLE {
        return distance;
    }
    let power = GROWTH[at];
    let slow = VISIBLE.powf(1.0 - power) * distance.powf(power);
    slow.max(distance / 2.0)
}

/// Distance from which low frequencies grow less.
const VISIBLE: f32 = 1.5;

/// Scale of the tables below at distance 1.
const SCALE: f32 = 1.739_66;

/// Additional scale at 4:2:0.
const QUARTER_SCALE: f32 = 1.22;

#[rustfmt::skip]
const LUMA: [f32; 64] = [
    1.240, 1.723, 2.921, 2.813, 3.340, 3.464, 3.841, 3.870,
    1.723, 2.093, 2.846, 2.705, 3.441, 3.166, 4.025, 4.035,
    2.921, 2.846, 2.959, 3.386, 3.620, 3.905, 3.758, 4.237,
    2.813, 2.705, 3.386, 3.380, 4.168, 4.806, 4.784, 4.606,
    3.340, 3.441, 3.620, 4.168, 4.580, 4.923, 5.574, 5.485,
    3.464, 3.166, 3.905, 4.806, 4.923, 5.439, 5.094, 6.087,
    3.841, 4.025, 3.758, 4.784, 5.574, 5.094, 5.438, 5.404,
    3.870, 4.035, 4.237, 4.606, 5.485, 6.087, 5.404, 4.378,
];

/// One table for both chroma components: RTP has no third (RFC 2435, 3.1.8).
#[rustfmt::skip]
const CHROMA: [f32; 64] = [
    2.922, 4.498, 7.356, 6.584, 8.536,  8.799,  9.188,   9.483,
    4.498, 6.310, 7.025, 7.156, 8.049,  7.012,  6.712,   8.380,
    7.356, 7.025, 6.892, 6.883, 8.782,  6.877,  7.886,   8.679,
    6.584, 7.156, 6.883, 7.003, 7.722,  7.955,  7.473,   8.363,
    8.536, 8.049, 8.782, 7.722, 6.778,  9.485,  9.044,   8.053,
    8.799, 7.012, 6.877, 7.955, 9.485,  8.608,  9.923,  64.251,
    9.188, 6.712, 7.886, 7.473, 9.044,  9.923, 63.185,  83.353,
    9.483, 8.380, 8.679, 8.363, 8.053, 64.251, 83.353, 114.892,
];

/// The part of a chroma step that remains where a sample covers four pixels.
#[rustfmt::skip]
const QUARTER_SHARES: [f32; 64] = [
    0.4093, 0.3209, 0.3477, 0.3333, 0.3144, 0.2823, 0.3214, 0.3354,
    0.3209, 0.3111, 0.3489, 0.2801, 0.3059, 0.3119, 0.4135, 0.3445,
    0.3477, 0.3489, 0.3586, 0.3257, 0.2727, 0.3754, 0.3369, 0.3484,
    0.3333, 0.2801, 0.3257, 0.3020, 0.3515, 0.3410, 0.3971, 0.3839,
    0.3144, 0.3059, 0.2727, 0.3515, 0.3105, 0.3397, 0.2716, 0.3836,
    0.2823, 0.3119, 0.3754, 0.3410, 0.3397, 0.3212, 0.3203, 0.0726,
    0.3214, 0.4135, 0.3369, 0.3971, 0.2716, 0.3203, 0.0798, 0.0553,
    0.3354, 0.3445, 0.3484, 0.3839, 0.3836, 0.0726, 0.0553, 0.3368,
];

/// The exponent of the distance by which a step grows.
#[rustfmt::skip]
const GROWTH: [f32; 64] = [
    1.00, 0.51, 0.67, 0.74, 1.00, 1.00, 1.00, 1.00,
    0.51, 0.66, 0.69, 0.87, 1.00, 1.00, 1.00, 1.00,
    0.67, 0.69, 0.84, 0.83, 0.96, 1.00, 1.00, 1.00,
    0.74, 0.87, 0.83, 1.00, 1.00, 0.91, 0.91, 1.00,
    1.00, 1.00, 0.96, 1.00, 1.00, 1.00, 1.00, 1.00,
    1.00, 1.00, 1.00, 0.91, 1.00, 1.00, 1.00, 1.00,
    1.00, 1.00, 1.00, 0.91, 1.00, 1.00, 1.00, 1.00,
    1.00, 1.00, 1.00, 1.00, 1.00, 1.00, 1.00, 1.00,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_do_not_grow_with_quality() {
        for subsampling in [Subsampling::Yuv420, Subsampling::Yuv422, Subsampling::Gray] {
            for quality in 2..=100 {
                let better = steps(quality, subsampling);
                let worse = steps(quality - 1, subsampling);
                let pairs = better.iter().flatten().zip(worse.iter().flatten());
                assert!(
                    { pairs }.all(|(better, worse)| better <= worse),
                    "{quality}"
                );
                assert_ne!(better, worse, "{quality}");
            }
            assert_eq!(steps(100, subsampling), [[1; 64]; 2]);
        }
    }
}
