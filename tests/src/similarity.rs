//! How like its original a decoded picture is.

use anyhow::{Context, Result, bail, ensure};
use framegram_media::{Image, Pixels, Planes, Subsampling};
use ssimulacra2::{ColorPrimaries, Rgb, TransferCharacteristic, compute_frame_ssimulacra2};

/// The peak signal-to-noise ratio of luma in dB.
///
/// # Panics
/// Where the image has no planes, or others than the decoded ones.
pub fn psnr(original: &Image, decoded: &Planes) -> f64 {
    let Pixels::Yuv(_, planes) = original.pixels() else {
        panic!("an image of packed pixels");
    };
    let rows = planes.chunks(original.width()).zip(decoded.rows());
    let luma = rows.take(original.height());
    let squares: u64 = luma
        .flat_map(|(original, decoded)| original.iter().zip(decoded))
        .map(|(original, decoded)| u64::from(original.abs_diff(*decoded)).pow(2))
        .sum();
    let samples = original.width() * original.height();
    10.0 * (255.0 * 255.0 * samples as f64 / squares as f64).log10()
}

/// SSIMULACRA2 (<https://github.com/cloudinary/ssimulacra2>): 100 is the same,
/// 90 looks the same, 70 is good. Chroma of both pictures is enlarged by the
/// same bilinear filter.
///
/// # Errors
/// Where the image is not 4:2:0, or of another size than the decoded one.
pub fn ssimulacra2(original: &Image, decoded: &Planes) -> Result<f64> {
    let size = (original.width(), original.height());
    let Pixels::Yuv(Subsampling::Yuv420, planes) = original.pixels() else {
        bail!("an image that is not 4:2:0");
    };
    ensure!((decoded.width, decoded.height) == size, "another size");
    let decoded: Vec<u8> = decoded.rows().flatten().copied().collect();
    let score = compute_frame_ssimulacra2(pixels(planes, size)?, pixels(&decoded, size)?);
    score.context("SSIMULACRA2")
}

/// Red, green and blue (ITU-T T.871, 7).
fn pixels(planes: &[u8], (width, height): (usize, usize)) -> Result<Rgb> {
    let mut split = Subsampling::Yuv420.split(width, height, planes);
    let (Some(luma), Some(blue), Some(red)) = (split.next(), split.next(), split.next()) else {
        bail!("too few planes");
    };
    let mut pixels = Vec::with_capacity(width * height);
    for (y, row) in luma.0.chunks(width).enumerate() {
        for (x, luma) in row.iter().enumerate() {
            let luma = f32::from(*luma);
            let (blue, red) = (enlarged(blue, x, y), enlarged(red, x, y));
            let colour = [
                luma + 1.402 * red,
                luma - 0.344_136 * blue - 0.714_136 * red,
                luma + 1.772 * blue,
            ];
            pixels.push(colour.map(|value| (value / 255.0).clamp(0.0, 1.0)));
        }
    }
    let (transfer, primaries) = (TransferCharacteristic::SRGB, ColorPrimaries::BT709);
    Ok(Rgb::new(pixels, width, height, transfer, primaries)?)
}

/// The chroma at a pixel, between the four samples around it.
fn enlarged((plane, width, height): (&[u8], usize, usize), x: usize, y: usize) -> f32 {
    // Samples lie between pixels (T.871, 6.3): three quarters of the nearest.
    let pair = |at: usize, count: usize| {
        let near = at / 2;
        let far = if at.is_multiple_of(2) {
            near.saturating_sub(1)
        } else {
            near + 1
        };
        (near, far.min(count - 1))
    };
    let (columns, rows) = (pair(x, width), pair(y, height));
    let sample = |x: usize, y: usize| f32::from(plane[y * width + x]);
    let mixed = |y: usize| 0.75 * sample(columns.0, y) + 0.25 * sample(columns.1, y);
    0.75 * mixed(rows.0) + 0.25 * mixed(rows.1) - 128.0
}
