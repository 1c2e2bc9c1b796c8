//! JPEGs of kinds that [`Oddities`](super::Oddities) cannot write, made by libjpeg-turbo.

use anyhow::Result;
use fastrand::Rng;
use turbojpeg::{Compressor, Image, PixelFormat, Subsamp};

/// A JPEG of such a kind, by seed: progressive, arithmetic, CMYK or RGB.
///
/// # Errors
/// If libjpeg-turbo rejects it.
pub fn coded_otherwise(rng: &mut Rng) -> Result<(String, Vec<u8>)> {
    let (width, height) = (rng.usize(17..90), rng.usize(17..90));
    let kinds = ["progressive", "arithmetic", "optimized", "print", "screen"];
    let kind = kinds[rng.usize(..kinds.len())];
    let mut compressor = Compressor::new()?;
    compressor.set_quality(rng.i32(30..96))?;
    let samplings = [
        Subsamp::Sub2x2,
        Subsamp::Sub2x1,
        Subsamp::None,
        Subsamp::Sub1x2,
        Subsamp::Gray,
    ];
    let subsamp = samplings[rng.usize(..samplings.len())];
    compressor.set_subsamp(subsamp)?;
    let mut format = PixelFormat::RGB;
    match kind {
        "progressive" => compressor.set_progressive(true)?,
        "arithmetic" => compressor.set_arithmetic(true)?,
        "optimized" => compressor.set_optimize(true)?,
        "print" => {
            compressor.set_subsamp(Subsamp::None)?;
            compressor.set_colorspace(turbojpeg::Colorspace::CMYK)?;
            format = PixelFormat::CMYK;
        }
        _ => {
            compressor.set_subsamp(Subsamp::None)?;
            compressor.set_colorspace(turbojpeg::Colorspace::RGB)?;
        }
    }
    let bytes = format.size();
    let pixels: Vec<u8> = (0..width * height * bytes)
        .map(|at| (at / bytes % width * 2 + at % bytes * 60) as u8 / 2 + rng.u8(..20))
        .collect();
    let jpeg = compressor.compress_to_vec(Image {
        pixels: pixels.as_slice(),
        width,
        pitch: width * bytes,
        height,
        format,
    })?;
    Ok((format!("{kind}, {subsamp:?}, {width}x{height}"), jpeg))
}
