//! A source's JPEGs: what their headers say, whether they are whole, and their
//! pixels.

use turbojpeg::{Colorspace, Decompressor, PixelFormat, ScalingFactor, YuvImage};

use crate::error::CodecError;
use crate::image::Image;
use crate::limits::check_size;
use crate::subsampling::Subsampling;

/// What the header of a JPEG says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JpegInfo {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Whether it holds the colours (luma and chroma, or grey) that every
    /// decoder of video frames takes; not so for print colours.
    pub is_video: bool,
}

impl JpegInfo {
    /// Reads the header of `jpeg`.
    ///
    /// # Errors
    /// Where it is not a JPEG, or one of a size that is not sent.
    pub fn read(jpeg: &[u8]) -> Result<Self, CodecError> {
        let header = turbojpeg::read_header(jpeg)?;
        check_size(header.width, header.height)?;
        Ok(Self {
            width: header.width,
            height: header.height,
            is_video: is_video(header.colorspace) && !header.is_lossless,
        })
    }
}

/// Reads all of `jpeg` for whether it decodes to its end without complaint.
///
/// # Errors
/// What is wrong with it.
pub fn check(jpeg: &[u8]) -> Result<(), CodecError> {
    let mut decompressor = Decompressor::new()?;
    let header = decompressor.read_header(jpeg)?;
    check_size(header.width, header.height)?;
    // At an eighth the pixels cost next to nothing; all the data is still read.
    let eighth = ScalingFactor::ONE_EIGHTH;
    decompressor.set_scaling_factor(eighth)?;
    let (width, height) = (eighth.scale(header.width), eighth.scale(header.height));
    let image = turbojpeg::Image {
        pixels: vec![0; width * height],
        width,
        pitch: width,
        height,
        format: PixelFormat::GRAY,
    };
    decompress(&mut decompressor, jpeg, image)?;
    Ok(())
}

/// The image in `jpeg`, in planes where its subsampling is a usual one.
///
/// # Errors
/// Where it is damaged, or of a size that is not sent.
pub fn decode(jpeg: &[u8]) -> Result<Image, CodecError> {
    let mut decompressor = Decompressor::new()?;
    let header = decompressor.read_header(jpeg)?;
    let (width, height) = (header.width, header.height);
    check_size(width, height)?;
    // The rare kinds become 4:2:0 when they are encoded again.
    let subsampling = Subsampling::of_jpeg(header.subsamp)
        .filter(|kind| is_video(header.colorspace) && *kind != Subsampling::Yuv411);
    let Some(subsampling) = subsampling else {
        let image = turbojpeg::Image {
            pixels: vec![0; 3 * width * height],
            width,
            pitch: 3 * width,
            height,
            format: PixelFormat::BGR,
        };
        let pixels = decompress(&mut decompressor, jpeg, image)?;
        return Ok(Image::bgr(width, height, pixels.into())?);
    };
    let padded = subsampling.padded((width, height));
    let mut planes = vec![0; subsampling.bytes(padded.0, padded.1)];
    decompressor.decompress_to_yuv(
        jpeg,
        YuvImage {
            pixels: &mut planes[..],
            width,
            align: 1,
            height,
            subsamp: header.subsamp,
        },
    )?;
    if padded != (width, height) {
        crop(&mut planes, padded, (width, height));
    }
    Ok(Image::yuv(width, height, subsampling, planes.into())?)
}

fn decompress(
    decompressor: &mut Decompressor,
    jpeg: &[u8],
    mut image: turbojpeg::Image<Vec<u8>>,
) -> Result<Vec<u8>, CodecError> {
    decompressor.decompress(jpeg, image.as_deref_mut())?;
    Ok(image.pixels)
}

fn is_video(colorspace: Colorspace) -> bool {
    matches!(colorspace, Colorspace::YCbCr | Colorspace::Gray)
}

/// Takes the last column and row off the luma plane that `planes` begins with.
fn crop(planes: &mut Vec<u8>, from_size: (usize, usize), size: (usize, usize)) {
    for y in 0..size.1 {
        planes.copy_within(y * from_size.0..y * from_size.0 + size.0, y * size.0);
    }
    planes.drain(size.0 * size.1..from_size.0 * from_size.1);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compressor::Compressor;

    #[test]
    fn decodes_jpegs_to_the_planes_they_were_made_of() {
        let mut compressor = Compressor::new().unwrap();
        for subsampling in [
            Subsampling::Yuv420,
            Subsampling::Yuv422,
            Subsampling::Yuv444,
            Subsampling::Gray,
        ] {
            let mut planes = vec![90; 35 * 17];
            planes.resize(subsampling.bytes(35, 17), 140);
            let image = Image::yuv(35, 17, subsampling, planes.into()).unwrap();
            let jpeg = compressor.compress(&image, 100).unwrap();
            assert_eq!(decode(&jpeg).unwrap(), image);
        }
    }

    #[test]
    fn finds_damage_anywhere_in_a_jpeg() {
        let slope: Vec<u8> = (0..3 * 64 * 48).map(|at| (at % 251) as u8).collect();
        let image = Image::bgr(64, 48, slope.into()).unwrap();
        let jpeg = Compressor::new().unwrap().compress(&image, 80).unwrap();
        check(&jpeg).unwrap();
        for len in [0, 1, 2, 100, 700, jpeg.len() - 3] {
            let outcome = check(&jpeg[..len]);
            assert!(outcome.is_err(), "{len} of {} bytes", jpeg.len());
        }
    }
}
