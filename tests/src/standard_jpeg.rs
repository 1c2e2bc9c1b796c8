//! JPEGs with the tables of T.81, annex K, made by TurboJPEG: what the encoder's
//! own are compared with.

use anyhow::{Result, bail};
use bytes::Bytes;
use framegram_media::{Image, Pixels, Subsampling};
use turbojpeg::{Compressor, Subsamp, YuvImage};

/// A JPEG of planes whose sides are whole numbers of chroma samples.
///
/// # Errors
/// Where the image has other pixels, or TurboJPEG refuses it.
pub fn standard_jpeg(image: &Image, quality: u8) -> Result<Bytes> {
    let Pixels::Yuv(subsampling, planes) = image.pixels() else {
        bail!("an image of packed pixels");
    };
    let subsamp = match subsampling {
        Subsampling::Yuv420 => Subsamp::Sub2x2,
        Subsampling::Yuv422 => Subsamp::Sub2x1,
        Subsampling::Yuv444 => Subsamp::None,
        Subsampling::Yuv411 => Subsamp::Sub4x1,
        Subsampling::Gray => Subsamp::Gray,
    };
    let mut compressor = Compressor::new()?;
    compressor.set_quality(quality.into())?;
    let image = YuvImage {
        pixels: &planes[..],
        width: image.width(),
        align: 1,
        height: image.height(),
        subsamp,
    };
    Ok(compressor.compress_yuv_to_vec(image)?.into())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use framegram_common::wire::Format;
    use framegram_media::{Decoder, Planes};
    use framegram_send::encode::{Encoder, Settings};
    use framegram_send::source::Content;

    use super::*;
    use crate::concealment::Clip;
    use crate::program::media;
    use crate::similarity::ssimulacra2;

    /// The mean SSIMULACRA2 of two frames.
    fn looks(frames: &[Image], jpegs: &[Bytes]) -> f64 {
        let mut decoder = Decoder::new().unwrap();
        let mut planes = Planes::default();
        let looks = frames.iter().zip(jpegs).map(|(frame, jpeg)| {
            decoder.decode_planes(jpeg, &mut planes).unwrap();
            ssimulacra2(frame, &planes).unwrap()
        });
        looks.sum::<f64>() / frames.len() as f64
    }

    fn bytes(jpegs: &[Bytes]) -> usize {
        jpegs.iter().map(Bytes::len).sum()
    }

    #[test]
    fn frames_of_the_clip_take_fewer_bytes_than_with_standard_tables_and_look_as_good() {
        let mut clip = Clip::open(Path::new(&media("clip.mp4")), None).unwrap();
        let frames: Vec<_> = (0..3).map(|_| clip.picture().unwrap().unwrap()).collect();
        // The Huffman tables are made from the first one.
        let judged = &frames[1..];
        let standard: Result<Vec<_>> = judged
            .iter()
            .map(|frame| standard_jpeg(frame, 80))
            .collect();
        let standard = standard.unwrap();
        let standard_looks = looks(judged, &standard);
        for (format, percent) in [(Format::Native, 85), (Format::Rtp, 95)] {
            let settings = Settings {
                format,
                ..Settings::default()
            };
            let mut encoder = Encoder::new(settings).unwrap();
            let jpegs = frames.iter().map(|frame| {
                let content = Content::Image(frame.clone());
                encoder.encode(&content).unwrap().jpeg
            });
            let jpegs: Vec<_> = jpegs.skip(1).collect();
            let (fewer, all) = (bytes(&jpegs), bytes(&standard));
            assert!(fewer * 100 <= all * percent, "{format:?}: {fewer} of {all}");
            let looks = looks(judged, &jpegs);
            assert!(
                looks >= standard_looks,
                "{looks} instead of {standard_looks}"
            );
        }
    }
}
