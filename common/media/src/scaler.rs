//! Scales pictures.

use anyhow::Result;
use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::{U8, U8x3};
use fast_image_resize::{FilterType, PixelTrait, ResizeAlg, ResizeOptions, Resizer};
use framegram_media::{Image, Pixels, Pool};

/// Scales pictures plane by plane. Its tables and buffers are reused.
pub(super) struct Scaler {
    resizer: Resizer,
    options: ResizeOptions,
    buffers: Pool<Vec<u8>>,
}

impl Scaler {
    pub(super) fn new() -> Self {
        Self {
            resizer: Resizer::new(),
            // When shrinking, the filter covers the area of a target pixel, so that nothing
            // flickers. When enlarging, it interpolates.
            options: ResizeOptions::new()
                .resize_alg(ResizeAlg::Convolution(FilterType::Bilinear))
                .use_alpha(false),
            buffers: Pool::new(),
        }
    }

    /// Scales `picture` to exactly `width` x `height` in the same pixel format.
    pub(super) fn scale(&mut self, picture: &Image, width: usize, height: usize) -> Result<Image> {
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

    /// For one pixel type. A choice at run time would include the code for all types, and take ten
    /// times as long to build.
    fn resize<P: PixelTrait>(
        &mut self,
        (from, width, height): (&[u8], usize, usize),
        (to, to_width, to_height): (&mut [u8], usize, usize),
    ) -> Result<()> {
        let (width, height) = (u32::try_from(width)?, u32::try_from(height)?);
        let from = TypedImageRef::<P>::from_buffer(width, height, from)?;
        let (to_width, to_height) = (u32::try_from(to_width)?, u32::try_from(to_height)?);
        let mut to = TypedImage::<P>::from_buffer(to_width, to_height, to)?;
        Ok(self.resizer.resize_typed(&from, &mut to, &self.options)?)
    }
}

#[cfg(test)]
mod tests {
    use framegram_media::Subsampling;

    use super::*;

    #[test]
    fn keeps_flat_colours_at_odd_sizes() {
        let mut scaler = Scaler::new();
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
        let scaled = Scaler::new().scale(&picture, 16, 16).unwrap();
        let Pixels::Yuv(_, pixels) = scaled.pixels() else {
            panic!("another kind of pixels");
        };
        assert!(
            pixels.iter().all(|&value| (90..=110).contains(&value)),
            "{pixels:?}"
        );
    }
}
