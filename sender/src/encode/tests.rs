use framegram_common::chunk::chunk_capacity;
use framegram_common::jpeg::{JpegHeader, slice_starts};
use framegram_common::wire::DEFAULT_DATAGRAM;
use framegram_common::wire::rtp_jpeg::Picture as Carried;
use framegram_media::{Decoder, Pixels, Subsampling};

use super::*;
use crate::source::Pattern;

fn pattern(width: usize, height: usize) -> Content {
    let pattern = Pattern::new(width, height, 30.0).unwrap();
    Content::Image(pattern.picture(7).unwrap())
}

fn encoder(settings: Settings) -> Encoder {
    Encoder::new(settings).unwrap()
}

#[test]
fn keeps_colours_of_every_kind_of_pixels_at_odd_sizes() {
    let mut encoder = encoder(Settings::default());
    let (width, height) = (33, 19);
    let bgr = [40_u8, 90, 200].repeat(width * height);
    let mut pictures = vec![(Image::bgr(width, height, bgr.into()).unwrap(), 0x00C8_5A28)];
    for sampling in [
        Subsampling::Yuv420,
        Subsampling::Yuv422,
        Subsampling::Yuv444,
        Subsampling::Gray,
    ] {
        let mut planes = vec![118; width * height];
        let chroma = (sampling.bytes(width, height) - planes.len()) / 2;
        planes.extend(std::iter::repeat_n(85, chroma));
        planes.extend(std::iter::repeat_n(187, chroma));
        let expected = if sampling == Subsampling::Gray {
            0x0076_7676
        } else {
            0x00C8_5A28
        };
        pictures.push((
            Image::yuv(width, height, sampling, planes.into()).unwrap(),
            expected,
        ));
    }
    for (picture, expected) in pictures {
        let encoded = encoder.encode(&Content::Image(picture)).unwrap();
        assert_eq!((encoded.width, encoded.height), (width, height));
        let decoded = Decoder::new().unwrap().decode_whole(&encoded.jpeg).unwrap();
        assert_eq!((decoded.width, decoded.height), (width, height));
        for pixel in decoded.pixels {
            for (got, expected) in pixel
                .to_be_bytes()
                .into_iter()
                .zip(u32::to_be_bytes(expected))
                .skip(1)
            {
                assert!(
                    got.abs_diff(expected) <= 4,
                    "{pixel:06x}, not {expected:06x}"
                );
            }
        }
    }
}

#[test]
fn passes_jpegs_through_unless_a_setting_requires_otherwise() {
    let own = encoder(Settings::default())
        .encode(&pattern(64, 48))
        .unwrap()
        .jpeg;
    let own = Content::Jpeg(own);
    let same_size = Settings {
        size: Some((64, 48)),
        ..Settings::default()
    };
    for settings in [Settings::default(), same_size] {
        let encoded = encoder(settings).encode(&own).unwrap();
        assert_eq!(encoded.origin, FrameOrigin::PassedThrough);
        assert_eq!(Content::Jpeg(encoded.jpeg), own);
    }
    let quality = Settings {
        quality: Some(30),
        ..Settings::default()
    };
    let size = Settings {
        size: Some((32, 24)),
        ..Settings::default()
    };
    let limit = Settings {
        max_frame_bytes: Some(1024),
        ..Settings::default()
    };
    for settings in [quality, size, limit] {
        let encoded = encoder(settings).encode(&own).unwrap();
        assert_ne!(encoded.origin, FrameOrigin::PassedThrough);
        assert_ne!(Content::Jpeg(encoded.jpeg), own);
    }
    assert!(
        encoder(Settings::default())
            .encode(&Content::Jpeg(Bytes::from_static(b"no")))
            .is_err()
    );
}

#[test]
fn re_encodes_what_rtp_cannot_carry() {
    let rtp = Settings {
        format: Format::Rtp,
        ..Settings::default()
    };
    for (sampling, carried) in [
        (Subsampling::Yuv420, true),
        (Subsampling::Yuv422, true),
        (Subsampling::Yuv444, false),
        (Subsampling::Gray, false),
    ] {
        let planes: Vec<u8> = (0..sampling.bytes(33, 19)).map(|at| at as u8).collect();
        let picture = Image::yuv(33, 19, sampling, planes.into()).unwrap();
        let own = encoder(Settings::default())
            .encode(&Content::Image(picture))
            .unwrap()
            .jpeg;
        let encoded = encoder(rtp).encode(&Content::Jpeg(own)).unwrap();
        let origin = if carried {
            FrameOrigin::PassedThrough
        } else {
            FrameOrigin::Reencoded { unsupported: true }
        };
        assert_eq!(encoded.origin, origin, "{sampling:?}");
        assert!(Carried::of(&encoded.jpeg).is_ok(), "{sampling:?}");
    }
}

#[test]
fn a_limit_can_be_lowered_while_frames_are_encoded() {
    let mut encoder = encoder(Settings::default());
    let before = encoder.encode(&pattern(320, 240)).unwrap();
    encoder.limiter().lower(before.jpeg.len() / 2);
    let after = encoder.encode(&pattern(320, 240)).unwrap();
    assert!(after.jpeg.len() <= before.jpeg.len() / 2);
    assert!(after.quality_lowered);
}

#[test]
fn fits_every_frame_lowering_quality_first() {
    let full = encoder(Settings::default())
        .encode(&pattern(640, 360))
        .unwrap()
        .jpeg
        .len();
    for part in [2, 10, 20] {
        let limit = full / part;
        let mut encoder = encoder(Settings {
            max_frame_bytes: Some(limit),
            ..Settings::default()
        });
        let first = encoder.encode(&pattern(640, 360)).unwrap();
        assert!(first.jpeg.len() <= limit);
        assert!(first.quality_lowered);
        assert_eq!(first.scaled_down, part > 2, "a {part}th");
        assert!(first.encodings <= 8, "{} encodings", first.encodings);
        let mut encodings = 0;
        for _ in 0..20 {
            let encoded = encoder.encode(&pattern(640, 360)).unwrap();
            assert!(encoded.jpeg.len() <= limit);
            encodings += encoded.encodings;
        }
        assert!(
            encodings <= 30,
            "{encodings} encodings of 20 frames at a {part}th"
        );
    }
}

#[test]
fn fits_the_smallest_allowed_limit() {
    let settings = Settings {
        max_frame_bytes: Some(MIN_FRAME_BYTES),
        ..Settings::default()
    };
    for (width, height) in [(1920, 1080), (64, 48), (1, 1), (3000, 2)] {
        let encoded = encoder(settings).encode(&pattern(width, height)).unwrap();
        assert!(encoded.jpeg.len() <= MIN_FRAME_BYTES, "{width}x{height}");
    }
}

#[test]
fn makes_slices_of_at_most_half_a_chunk_and_none_unless_asked() {
    let settings = Settings {
        slices: Some(DEFAULT_DATAGRAM),
        ..Settings::default()
    };
    let mut slicing = encoder(settings);
    let mut other = slicing.another().unwrap();
    for _ in 0..10 {
        slicing.encode(&pattern(640, 360)).unwrap();
    }
    let encoded = other.encode(&pattern(640, 360)).unwrap();
    let header = JpegHeader::parse(&encoded.jpeg).unwrap();
    let mut starts = slice_starts(&encoded.jpeg, header.len);
    assert_eq!(starts.len(), header.slice_count());
    starts.push(encoded.jpeg.len() as u32);
    let limit = chunk_capacity(DEFAULT_DATAGRAM) as u32 / 2;
    let long = starts.windows(2).filter(|pair| pair[1] - pair[0] > limit);
    assert!(long.count() * 33 <= starts.len());
    assert!(starts.len() * limit as usize <= 12 * encoded.jpeg.len());
    framegram_media::vet(&encoded.jpeg, false).unwrap();

    let whole = encoder(Settings::default()).encode(&pattern(640, 360));
    let header = JpegHeader::parse(&whole.unwrap().jpeg).unwrap();
    assert_eq!(header.restart_interval, 0);
}

#[test]
fn reuses_buffers_only_after_the_frame_is_gone() {
    let mut encoder = encoder(Settings::default());
    let first = encoder.encode(&pattern(64, 48)).unwrap().jpeg;
    let copy = first.to_vec();
    let Content::Image(other) = pattern(128, 96) else {
        unreachable!("the pattern is a picture");
    };
    for _ in 0..3 {
        encoder.encode(&Content::Image(other.clone())).unwrap();
    }
    assert_eq!(first, copy);
    assert!(matches!(other.pixels(), Pixels::Yuv(..)));
}

#[test]
fn huffman_tables_are_made_from_the_first_frame_and_shared_except_for_rtp() {
    let Content::Image(picture) = pattern(320, 180) else {
        panic!("the pattern has planes");
    };
    for format in [Format::Native, Format::Raw, Format::Rtp] {
        let mut encoder = encoder(Settings {
            format,
            ..Settings::default()
        });
        let mut another = encoder.another().unwrap();
        let content = Content::Image(picture.clone());
        let first = encoder.encode(&content).unwrap().jpeg;
        let second = encoder.encode(&content).unwrap().jpeg;
        let third = another.encode(&content).unwrap().jpeg;
        assert_eq!(second, third);
        if format == Format::Rtp {
            assert_eq!(first, second);
            assert!(Carried::of(&first).is_ok());
        } else {
            assert!(second.len() < first.len());
        }
    }
}
