use framegram_common::chunk::chunk_capacity;
use framegram_common::jpeg::{JpegHeader, slice_starts};
use framegram_common::wire::DEFAULT_DATAGRAM;

use super::*;
use crate::picture::{Pixels, Sampling};
use crate::source::Pattern;

fn pattern(width: usize, height: usize) -> Content {
    let pattern = Pattern::new(width, height, 30.0).unwrap();
    Content::Picture(pattern.picture(7).unwrap())
}

fn encoder(settings: Settings) -> Encoder {
    Encoder::new(settings).unwrap()
}

#[test]
fn keeps_colours_of_every_kind_of_pixels_at_odd_sizes() {
    let mut encoder = encoder(Settings::default());
    let (width, height) = (33, 19);
    let bgr = [40_u8, 90, 200].repeat(width * height);
    let mut pictures = vec![(
        Picture::bgr(width, height, bgr.into()).unwrap(),
        0x00C8_5A28,
    )];
    for sampling in [
        Sampling::Half,
        Sampling::HalfWidth,
        Sampling::Full,
        Sampling::Grey,
    ] {
        let mut planes = vec![118; width * height];
        let chroma = (sampling.bytes(width, height) - planes.len()) / 2;
        planes.extend(std::iter::repeat_n(85, chroma));
        planes.extend(std::iter::repeat_n(187, chroma));
        let expected = if sampling == Sampling::Grey {
            0x0076_7676
        } else {
            0x00C8_5A28
        };
        pictures.push((
            Picture::yuv(width, height, sampling, planes.into()).unwrap(),
            expected,
        ));
    }
    for (picture, expected) in pictures {
        let encoded = encoder.encode(&Content::Picture(picture)).unwrap();
        assert_eq!((encoded.width, encoded.height), (width, height));
        let (pixels, decoded_width, decoded_height) = decode_for_window(&encoded.jpeg).unwrap();
        assert_eq!((decoded_width, decoded_height), (width, height));
        for pixel in pixels {
            for (got, expected) in pixel
                .to_be_bytes()
                .into_iter()
                .zip(u32::to_be_bytes(expected))
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
fn passes_jpegs_through_unless_something_else_is_asked() {
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
        assert!(encoded.passed_through);
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
        assert!(!encoded.passed_through);
        assert_ne!(Content::Jpeg(encoded.jpeg), own);
    }
    assert!(
        encoder(Settings::default())
            .encode(&Content::Jpeg(Bytes::from_static(b"no")))
            .is_err()
    );
}

#[test]
fn encodes_anew_what_rtp_cannot_carry() {
    let rtp = Settings {
        format: Format::Rtp,
        ..Settings::default()
    };
    for (sampling, carried) in [
        (Sampling::Half, true),
        (Sampling::HalfWidth, true),
        (Sampling::Full, false),
        (Sampling::Grey, false),
    ] {
        let planes: Vec<u8> = (0..sampling.bytes(33, 19)).map(|at| at as u8).collect();
        let picture = Picture::yuv(33, 19, sampling, planes.into()).unwrap();
        let own = encoder(Settings::default())
            .encode(&Content::Picture(picture))
            .unwrap()
            .jpeg;
        let encoded = encoder(rtp).encode(&Content::Jpeg(own)).unwrap();
        assert_eq!(encoded.passed_through, carried, "{sampling:?}");
        assert_eq!(encoded.encoded_anew, !carried, "{sampling:?}");
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
fn decodes_jpegs_to_the_planes_they_were_made_of() {
    let mut encoder = encoder(Settings {
        quality: Some(100),
        ..Settings::default()
    });
    for sampling in [
        Sampling::Half,
        Sampling::HalfWidth,
        Sampling::Full,
        Sampling::Grey,
    ] {
        let mut planes = vec![90; 35 * 17];
        planes.resize(sampling.bytes(35, 17), 140);
        let picture = Picture::yuv(35, 17, sampling, planes.into()).unwrap();
        let jpeg = encoder
            .encode(&Content::Picture(picture.clone()))
            .unwrap()
            .jpeg;
        assert_eq!(turbo::decode(&jpeg).unwrap(), picture);
    }
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
fn fits_the_smallest_limit_that_can_be_asked() {
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
    check(&encoded.jpeg).unwrap();

    let whole = encoder(Settings::default()).encode(&pattern(640, 360));
    let header = JpegHeader::parse(&whole.unwrap().jpeg).unwrap();
    assert_eq!(header.restart_interval, 0);
}

#[test]
fn finds_damage_anywhere_in_a_jpeg() {
    let jpeg = encoder(Settings::default())
        .encode(&pattern(64, 48))
        .unwrap()
        .jpeg;
    check(&jpeg).unwrap();
    for len in [0, 1, 2, 100, 700, jpeg.len() - 3] {
        assert!(
            check(&jpeg[..len]).is_err(),
            "{len} of {} bytes",
            jpeg.len()
        );
    }
}

#[test]
fn reuses_buffers_only_after_the_frame_is_gone() {
    let mut encoder = encoder(Settings::default());
    let first = encoder.encode(&pattern(64, 48)).unwrap().jpeg;
    let copy = first.to_vec();
    let Content::Picture(other) = pattern(128, 96) else {
        unreachable!("the pattern is a picture");
    };
    for _ in 0..3 {
        encoder.encode(&Content::Picture(other.clone())).unwrap();
    }
    assert_eq!(first, copy);
    assert!(matches!(other.pixels(), Pixels::Yuv(..)));
}
