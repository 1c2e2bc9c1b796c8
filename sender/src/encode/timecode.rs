//! Draws the timecode into the corner of a picture.

use anyhow::Result;
use framegram_lab::timecode::{PixelArea, Timecode};
use framegram_media::{Image, Pixels, Pool, Subsampling};

/// Draws timecodes into copies of pictures. Its buffers are reused.
#[derive(Default)]
pub(super) struct TimecodeDrawer {
    buffers: Pool<Vec<u8>>,
}

impl TimecodeDrawer {
    /// A copy of `picture` with the timecode in its upper left corner; `None` if it is too small
    /// for one.
    pub(super) fn draw(&self, timecode: Timecode, picture: &Image) -> Result<Option<Image>> {
        let (width, height) = (picture.width(), picture.height());
        let (Pixels::Bgr(pixels) | Pixels::Yuv(_, pixels)) = picture.pixels();
        let mut copy = self.buffers.take_sized(pixels.len());
        copy.copy_from_slice(pixels);
        let drawn = match picture.pixels() {
            Pixels::Bgr(_) => timecode.draw(width, height, |area, grey| {
                for row in copy
                    .chunks_exact_mut(3 * width)
                    .skip(area.y)
                    .take(area.height)
                {
                    row[3 * area.x..3 * (area.x + area.width)].fill(grey);
                }
            }),
            Pixels::Yuv(sampling, _) => {
                let (luma, chroma) = copy.split_at_mut(width * height);
                let mut whole = None;
                let drawn = timecode.draw(width, height, |area, grey| {
                    whole.get_or_insert(area);
                    for row in luma.chunks_exact_mut(width).skip(area.y).take(area.height) {
                        row[area.x..area.x + area.width].fill(grey);
                    }
                });
                if let Some(area) = whole {
                    bleach(chroma, *sampling, (width, height), area);
                }
                drawn
            }
        };
        if !drawn {
            return Ok(None);
        }
        let copy = self.buffers.lend(copy);
        Ok(Some(match picture.pixels() {
            Pixels::Bgr(_) => Image::bgr(width, height, copy)?,
            Pixels::Yuv(sampling, _) => Image::yuv(width, height, *sampling, copy)?,
        }))
    }
}

/// Removes the colour of an area in the upper left corner.
fn bleach(chroma: &mut [u8], sampling: Subsampling, size: (usize, usize), area: PixelArea) {
    let Some((width, height)) = sampling.chroma(size.0, size.1) else {
        return;
    };
    let (across, down) = sampling.chroma(area.width, area.height).unwrap_or_default();
    for plane in chroma.chunks_exact_mut(width * height) {
        for row in plane.chunks_exact_mut(width).take(down) {
            row[..across].fill(NO_COLOUR);
        }
    }
}

/// The middle value of both chroma components.
const NO_COLOUR: u8 = 128;

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use framegram_lab::timecode::TimecodeReader;
    use framegram_media::Decoder;

    use super::*;
    use crate::encode::{Encoder, FrameOrigin, Settings};
    use crate::source::Content;

    const TIMECODE: Timecode = Timecode {
        number: 4711,
        micros: 1_234_567,
        clock: 42,
        run: 9,
    };

    /// Uniformly green pictures of every kind.
    fn pictures(width: usize, height: usize) -> Vec<Image> {
        let yuv = |sampling: Subsampling| {
            let mut planes = vec![150; width * height];
            planes.resize(sampling.bytes(width, height), 50);
            Image::yuv(width, height, sampling, planes.into()).unwrap()
        };
        let bgr = [30_u8, 200, 40].repeat(width * height);
        vec![
            Image::bgr(width, height, bgr.into()).unwrap(),
            yuv(Subsampling::Yuv420),
            yuv(Subsampling::Yuv422),
            yuv(Subsampling::Yuv444),
            yuv(Subsampling::Gray),
        ]
    }

    fn read(jpeg: &[u8]) -> Option<Timecode> {
        let decoded = Decoder::new().unwrap().decode_whole(jpeg).unwrap();
        let green: Vec<u8> = decoded
            .pixels
            .iter()
            .map(|word| (word >> 8) as u8)
            .collect();
        TimecodeReader::default().read(&green, decoded.width, decoded.width, decoded.height)
    }

    #[test]
    fn is_read_from_the_jpeg_of_every_kind_of_picture() {
        for (width, height) in [(81, 49), (333, 251), (640, 360)] {
            for picture in pictures(width, height) {
                let settings = Settings {
                    quality: Some(30),
                    ..Settings::default()
                };
                let mut encoder = Encoder::new(settings).unwrap();
                let content = Content::Image(picture);
                let encoded = encoder.encode_with(&content, Some(TIMECODE)).unwrap();
                assert!(encoded.has_timecode);
                assert_eq!(read(&encoded.jpeg), Some(TIMECODE), "{width}x{height}");
                let plain = encoder.encode(&content).unwrap();
                assert!(!plain.has_timecode && read(&plain.jpeg).is_none());
            }
        }
    }

    #[test]
    fn fits_the_size_that_a_picture_is_scaled_to() {
        let settings = Settings {
            size: Some((200, 100)),
            ..Settings::default()
        };
        let mut encoder = Encoder::new(settings).unwrap();
        for picture in pictures(1920, 1080) {
            let content = Content::Image(picture);
            let encoded = encoder.encode_with(&content, Some(TIMECODE)).unwrap();
            assert_eq!(read(&encoded.jpeg), Some(TIMECODE));
        }
    }

    #[test]
    fn a_source_that_has_jpegs_is_encoded_again_for_it() {
        let mut encoder = Encoder::new(Settings::default()).unwrap();
        let content = Content::Image(pictures(640, 360).remove(0));
        let own = Content::Jpeg(encoder.encode(&content).unwrap().jpeg);
        let passed = encoder.encode(&own).unwrap();
        assert_eq!(passed.origin, FrameOrigin::PassedThrough);
        let encoded = encoder.encode_with(&own, Some(TIMECODE)).unwrap();
        let unsupported = false;
        assert_eq!(encoded.origin, FrameOrigin::Reencoded { unsupported });
        assert!(encoded.has_timecode);
        assert_eq!(read(&encoded.jpeg), Some(TIMECODE));
    }

    #[test]
    fn leaves_small_pictures_as_they_are() {
        // The second frame of an encoder has other Huffman tables than the first.
        let encoder = || Encoder::new(Settings::default()).unwrap();
        for picture in pictures(79, 47) {
            let content = Content::Image(picture);
            let plain: Bytes = encoder().encode(&content).unwrap().jpeg;
            let encoded = encoder().encode_with(&content, Some(TIMECODE)).unwrap();
            assert!(!encoded.has_timecode);
            assert_eq!(encoded.jpeg, plain);
        }
    }
}
