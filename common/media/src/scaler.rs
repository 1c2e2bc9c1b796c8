//! Scales images.

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::{U8, U8x3};
use fast_image_resize::{FilterType, PixelTrait, ResizeAlg, ResizeOptions, Resizer};

use crate::error::CodecError;
use crate::image::{Image, NO_COLOUR, Pixels};
use crate::planes::Planes;
use crate::pool::Pool;
use crate::subsampling::Subsampling;

/// Scales images plane by plane. Its tables and buffers are reused.
pub struct Scaler {
    resizer: Resizer,
    options: ResizeOptions,
    buffers: Pool<Vec<u8>>,
}

impl Scaler {
    /// Scales `picture` to exactly `width` x `height` in the same pixel format.
    ///
    /// # Errors
    /// If that size is not one that is sent.
    pub fn scale(
        &mut self,
        picture: &Image,
        width: usize,
        height: usize,
    ) -> Result<Image, CodecError> {
        match picture.pixels() {
            Pixels::Bgr(pixels) => {
                let mut target = self.buffers.take_sized(3 * width * height);
                self.resize::<U8x3>(
                    (pixels, picture.width(), picture.height()),
                    (&mut target, width, height),
                )?;
                Ok(Image::bgr(width, height, self.buffers.lend(target))?)
            }
            Pixels::Yuv(sampling, planes) => {
                let mut target = self.buffers.take_sized(sampling.bytes(width, height));
                let sides = [
                    Some((width, height)),
                    sampling.chroma(width, height),
                    sampling.chroma(width, height),
                ];
                let mut rest = &mut target[..];
                let split = sampling.split(picture.width(), picture.height(), planes);
                for (source, (width, height)) in split.zip(sides.into_iter().flatten()) {
                    let (plane, after) = rest.split_at_mut(width * height);
                    self.resize::<U8>(source, (plane, width, height))?;
                    rest = after;
                }
                let planes = self.buffers.lend(target);
                Ok(Image::yuv(width, height, *sampling, planes)?)
            }
        }
    }

    /// Scales `planes` to this size and sampling. Gray gets chroma without colour.
    ///
    /// # Errors
    /// If the size has no pixels.
    pub fn fit(
        &mut self,
        planes: &mut Planes,
        (width, height): (usize, usize),
        subsampling: Subsampling,
    ) -> Result<(), CodecError> {
        let mut target = Planes {
            samples: vec![0; subsampling.padded_bytes(width, height)],
            width,
            height,
            subsampling,
        };
        let mut sources = planes.planes();
        for (to, into) in target.planes_mut() {
            match sources.next() {
                Some((samples, from)) => self.resize::<U8>(
                    (samples, from.pitch, from.rows),
                    (to, into.pitch, into.rows),
                )?,
                None => to.fill(NO_COLOUR),
            }
        }
        drop(sources);
        *planes = target;
        Ok(())
    }

    /// For one pixel type. A choice at run time would include the code for all types, and take ten
    /// times as long to build.
    fn resize<P: PixelTrait>(
        &mut self,
        (from, width, height): (&[u8], usize, usize),
        (to, to_width, to_height): (&mut [u8], usize, usize),
    ) -> Result<(), CodecError> {
        let side = |side: usize| u32::try_from(side).map_err(failed);
        let from = TypedImageRef::<P>::from_buffer(side(width)?, side(height)?, from);
        let from = from.map_err(failed)?;
        let to = TypedImage::<P>::from_buffer(side(to_width)?, side(to_height)?, to);
        let mut to = to.map_err(failed)?;
        let scaled = self.resizer.resize_typed(&from, &mut to, &self.options);
        scaled.map_err(failed)
    }
}

impl Default for Scaler {
    fn default() -> Self {
        Self {
            resizer: Resizer::new(),
            // When shrinking, the filter covers the area of a target pixel, so that nothing
            // flickers. When enlarging, it interpolates.
            options: ResizeOptions::new()
                .resize_alg(ResizeAlg::Convolution(FilterType::Bilinear))
                .use_alpha(false),
            buffers: Pool::default(),
        }
    }
}

fn failed(error: impl std::error::Error) -> CodecError {
    CodecError::Scale(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_get_another_size_and_sampling() {
        let flat = |width, height, subsampling: Subsampling| {
            let mut samples = vec![90; subsampling.padded_bytes(width, height)];
            let padded = subsampling.padded((width, height));
            samples[..padded.0 * padded.1].fill(50);
            Planes {
                samples,
                width,
                height,
                subsampling,
            }
        };
        let mut scaler = Scaler::default();
        let kinds = [
            Subsampling::Yuv420,
            Subsampling::Yuv422,
            Subsampling::Yuv444,
            Subsampling::Yuv411,
            Subsampling::Gray,
        ];
        for from in kinds {
            for to in kinds {
                let mut planes = flat(37, 21, from);
                scaler.fit(&mut planes, (19, 33), to).unwrap();
                let mut expected = flat(19, 33, to);
                if from == Subsampling::Gray {
                    for (samples, _) in expected.planes_mut().skip(1) {
                        samples.fill(NO_COLOUR);
                    }
                }
                assert!(planes.is_like(&expected));
                assert_eq!(planes.samples, expected.samples, "{from:?} to {to:?}");
            }
        }
    }

    #[test]
    fn keeps_flat_colours_at_odd_sizes() {
        let mut scaler = Scaler::default();
        let bgr = [10_u8, 20, 30].repeat(37 * 21);
        let bgr = Image::bgr(37, 21, bgr.into()).unwrap();
        for (width, height) in [(1, 1), (19, 11), (75, 43)] {
            let scaled = scaler.scale(&bgr, width, height).unwrap();
            let expected = [10_u8, 20, 30].repeat(width * height);
            assert_eq!(scaled.pixels(), &Pixels::Bgr(expected.into()));
        }
        for sampling in [
            Subsampling::Yuv420,
            Subsampling::Yuv422,
            Subsampling::Yuv444,
            Subsampling::Gray,
        ] {
            let mut planes = vec![50; 37 * 21];
            planes.resize(sampling.bytes(37, 21), 90);
            let picture = Image::yuv(37, 21, sampling, planes.into()).unwrap();
            let scaled = scaler.scale(&picture, 19, 11).unwrap();
            let mut expected = vec![50; 19 * 11];
            expected.resize(sampling.bytes(19, 11), 90);
            assert_eq!(scaled.pixels(), &Pixels::Yuv(sampling, expected.into()));
        }
    }

    #[test]
    fn averages_when_it_shrinks() {
        let stripes: Vec<u8> = (0..64 * 64)
            .map(|at| if at % 2 == 0 { 0 } else { 200 })
            .collect();
        let picture = Image::yuv(64, 64, Subsampling::Gray, stripes.into()).unwrap();
        let scaled = Scaler::default().scale(&picture, 16, 16).unwrap();
        let Pixels::Yuv(_, pixels) = scaled.pixels() else {
            panic!("another kind of pixels");
        };
        assert!(
            pixels.iter().all(|&value| (90..=110).contains(&value)),
            "{pixels:?}"
        );
    }
}
