mod halves;

use turbojpeg::{Compressor, Image as Packed, Subsamp};

use framegram_common::jpeg::JpegHeader;

use super::*;
use crate::{Pixels, vet};

/// A JPEG of quality 95 whose pixel at (x, y) has `colour(x, y)`, as red, green, blue.
fn jpeg(
    width: usize,
    height: usize,
    subsamp: Subsamp,
    colour: impl Fn(usize, usize) -> [u8; 3],
) -> Vec<u8> {
    let pixels: Vec<u8> = (0..width * height)
        .flat_map(|i| colour(i % width, i / width))
        .collect();
    let mut compressor = Compressor::new().unwrap();
    compressor.set_quality(95).unwrap();
    compressor.set_subsamp(subsamp).unwrap();
    compressor
        .compress_to_vec(Packed {
            pixels: pixels.as_slice(),
            width,
            pitch: width * 3,
            height,
            format: PixelFormat::RGB,
        })
        .unwrap()
}

/// Quarters of red, green, blue and white.
fn quadrants(width: usize, height: usize) -> Vec<u8> {
    jpeg(width, height, Subsamp::Sub2x2, |x, y| {
        match (x < width / 2, y < height / 2) {
            (true, true) => [255, 0, 0],
            (false, true) => [0, 255, 0],
            (true, false) => [0, 0, 255],
            (false, false) => [255, 255, 255],
        }
    })
}

#[test]
fn decodes_to_the_pixel_format_of_a_window() {
    let mut image = XrgbImage::default();
    Decoder::new()
        .unwrap()
        .decode(&quadrants(64, 48), Reduction::None, &mut image)
        .unwrap();
    assert_eq!((image.width, image.height), (64, 48));
    let at = |x: usize, y: usize| image.pixels[y * 64 + x] & 0x00ff_ffff;
    for (seen, expected) in [
        (at(8, 8), 0xff_0000),
        (at(56, 8), 0x00_ff00),
        (at(8, 40), 0x00_00ff),
        (at(56, 40), 0xff_ffff),
    ] {
        for shift in [0, 8, 16] {
            let (a, b) = ((seen >> shift) & 255, (expected >> shift) & 255_u32);
            assert!(a.abs_diff(b) < 8, "{seen:06x} is not {expected:06x}");
        }
    }
}

#[test]
fn decodes_reduced() {
    assert_eq!(
        Reduction::towards((1920, 1080), (1920, 1080)),
        Reduction::None
    );
    assert_eq!(
        Reduction::towards((1920, 1080), (961, 540)),
        Reduction::None
    );
    assert_eq!(
        Reduction::towards((1920, 1080), (960, 540)),
        Reduction::Half
    );
    assert_eq!(
        Reduction::towards((1920, 1080), (100, 56)),
        Reduction::Eighth
    );
    let mut image = XrgbImage::default();
    Decoder::new()
        .unwrap()
        .decode(&quadrants(63, 49), Reduction::Half, &mut image)
        .unwrap();
    assert_eq!((image.width, image.height), (32, 25));
    assert_eq!(image.pixels.len(), 32 * 25);
}

#[test]
fn reuses_the_memory_of_a_larger_image() {
    let mut decoder = Decoder::new().unwrap();
    let mut image = XrgbImage::default();
    decoder
        .decode(&quadrants(64, 64), Reduction::None, &mut image)
        .unwrap();
    let memory = image.pixels.as_ptr();
    decoder
        .decode(&quadrants(32, 32), Reduction::None, &mut image)
        .unwrap();
    assert_eq!(image.pixels.len(), 32 * 32);
    assert_eq!(image.pixels.as_ptr(), memory);
}

#[test]
fn refuses_a_header_that_claims_gigabytes() {
    let mut bytes = quadrants(64, 48);
    let sof = bytes.windows(2).position(|w| w == [0xff, 0xc0]).unwrap();
    bytes[sof + 5..sof + 9].copy_from_slice(&[0xff, 0xdc, 0xff, 0xdc]);
    let mut decoder = Decoder::new().unwrap();
    let mut image = XrgbImage::default();
    let error = decoder
        .decode(&bytes, Reduction::None, &mut image)
        .unwrap_err();
    assert!(error.to_string().contains("65500x65500"), "{error}");
    assert_eq!(image.pixels.capacity(), 0);
    assert!(decoder.size(&bytes).is_err());
    assert!(
        decoder
            .decode_planes(&bytes, &mut Planes::default())
            .is_err()
    );
}

#[test]
fn refuses_truncated_jpegs_and_other_bytes() {
    let bytes = quadrants(64, 48);
    let mut decoder = Decoder::new().unwrap();
    let mut image = XrgbImage::default();
    for broken in [
        &bytes[..bytes.len() * 3 / 4],
        b"not a jpeg",
        b"",
        &[0xff, 0xd8],
    ] {
        let outcome = decoder.decode(broken, Reduction::None, &mut image);
        assert!(outcome.is_err(), "{} bytes were accepted", broken.len());
        decoder
            .decode(&bytes, Reduction::None, &mut image)
            .expect("a good image after a broken one");
    }
}

/// Some UVC cameras pad the scan before the end marker.
#[test]
fn accepts_a_camera_s_padding_before_the_end_marker() {
    let mut bytes = quadrants(64, 48);
    let end = bytes.len() - 2;
    bytes.splice(end..end, [0x00, 0x00, 0x00]);
    Decoder::new()
        .unwrap()
        .decode(&bytes, Reduction::None, &mut XrgbImage::default())
        .unwrap();
}

#[test]
fn decodes_odd_sizes_to_planes_without_padding() {
    let mut decoder = Decoder::new().unwrap();
    let mut planes = Planes::default();
    for (subsamp, subsampling, chroma) in [
        (Subsamp::Sub2x2, Subsampling::Yuv420, (32, 24)),
        (Subsamp::Sub2x1, Subsampling::Yuv422, (32, 47)),
        (Subsamp::Sub4x1, Subsampling::Yuv411, (16, 47)),
        (Subsamp::None, Subsampling::Yuv444, (63, 47)),
        (Subsamp::Gray, Subsampling::Gray, (0, 0)),
    ] {
        decoder
            .decode_planes(&jpeg(63, 47, subsamp, |_, _| [200, 200, 200]), &mut planes)
            .unwrap();
        assert_eq!(planes.subsampling, subsampling);
        let rows: Vec<&[u8]> = planes.rows().collect();
        assert_eq!(rows.len(), 47 + 2 * chroma.1);
        let bytes: usize = rows.iter().map(|row| row.len()).sum();
        assert_eq!(bytes, 63 * 47 + 2 * chroma.0 * chroma.1);
        assert!(
            rows[..47]
                .iter()
                .all(|row| row.iter().all(|&y| y.abs_diff(200) < 4))
        );
        assert!(
            rows[47..]
                .iter()
                .all(|row| row.iter().all(|&c| c.abs_diff(128) < 4))
        );
    }
}

/// Decodes with TurboJPEG's interface only.
fn by_turbojpeg(decoder: &mut Decoder, jpeg: &[u8]) -> Result<Planes, Undecodable> {
    let mut planes = Planes::default();
    decoder.run(jpeg, |inner, header, jpeg| {
        let remark = decompress_planes(inner, header, jpeg, &mut planes)?;
        Ok(((), remark))
    })?;
    Ok(planes)
}

#[test]
fn plain_jpegs_become_the_planes_that_turbojpeg_makes_of_them() {
    let mut decoder = Decoder::new().unwrap();
    let mut planes = Planes::default();
    for subsampling in [
        Subsampling::Yuv420,
        Subsampling::Yuv422,
        Subsampling::Yuv411,
        Subsampling::Yuv444,
        Subsampling::Gray,
    ] {
        for (width, height) in [(640, 360), (64, 61), (32, 8), (35, 17)] {
            let jpeg = jpeg(width, height, subsampling.to_jpeg(), |x, y| {
                [(x * 7) as u8, (y * 5) as u8, (x * y) as u8]
            });
            decoder.decode_planes(&jpeg, &mut planes).unwrap();
            assert_eq!(planes, by_turbojpeg(&mut decoder, &jpeg).unwrap());
            // Rows of whole blocks need no copy.
            assert_eq!(decoder.plain.is_some(), width != 35);
        }
    }
}

#[test]
fn damaged_jpegs_fail_or_decode_as_by_turbojpeg() {
    let jpeg = jpeg(96, 40, Subsamp::Sub2x2, |x, y| {
        [(x * 7) as u8, (y * 5) as u8, (x * y) as u8]
    });
    let (mut decoder, mut other) = (Decoder::new().unwrap(), Decoder::new().unwrap());
    for at in (0..jpeg.len()).step_by(3) {
        let mut flipped = jpeg.clone();
        flipped[at] ^= 0x24;
        for damaged in [&flipped[..], &jpeg[..at]] {
            let mut planes = Planes::default();
            let decoded = decoder.decode_planes(damaged, &mut planes);
            let expected = by_turbojpeg(&mut other, damaged);
            assert_eq!(decoded.map(|()| planes).ok(), expected.ok(), "byte {at}");
        }
    }
}

#[test]
fn rare_samplings_and_colours_become_planes_of_4_4_4() {
    let colour = |x: usize, y: usize| [(x * 3) as u8, (y * 2) as u8, 90];
    let mut decoder = Decoder::new().unwrap();
    let mut planes = Planes::default();
    for subsamp in [Subsamp::Sub1x2, Subsamp::Sub1x4] {
        let tall = jpeg(63, 47, subsamp, colour);
        decoder.decode_planes(&tall, &mut planes).unwrap();
        assert_eq!(planes.subsampling, Subsampling::Yuv444);
        assert_eq!(planes.samples.len(), 3 * 63 * 47);
        let whole = jpeg(63, 47, Subsamp::None, colour);
        let mut expected = Planes::default();
        decoder.decode_planes(&whole, &mut expected).unwrap();
        let off = planes.samples.iter().zip(&expected.samples);
        let off = off.map(|(a, b)| a.abs_diff(*b)).max();
        assert!(off < Some(12), "{subsamp:?}: {off:?}");
    }
}

/// A sender accepts stills of up to [`MAX_PIXELS`], such as those of a camera of 36 megapixels.
#[test]
fn decodes_the_largest_images_that_a_sender_sends() {
    let (width, height) = (7_360, 4_912);
    let pixels = vec![90_u8; width * height];
    let image = Packed {
        pixels: pixels.as_slice(),
        width,
        pitch: width,
        height,
        format: PixelFormat::GRAY,
    };
    let jpeg = turbojpeg::compress(image, 50, Subsamp::Gray).unwrap();
    let mut image = XrgbImage::default();
    Decoder::new()
        .unwrap()
        .decode(&jpeg, Reduction::Eighth, &mut image)
        .unwrap();
    assert_eq!((image.width, image.height), (920, 614));
}

/// Adds empty scans to a progressive `jpeg`. Each costs a pass over the whole image.
fn with_scans(jpeg: &[u8], blocks: u32, scans: usize) -> Vec<u8> {
    // An AC table whose one code stands for a run of 16,384 blocks or more.
    let mut table = vec![0xff, 0xc4, 0, 20, 0x13, 1];
    table.extend([0; 15]);
    table.push(0xe0);
    // The AC coefficients of the first component, all 0.
    let mut scan = vec![0xff, 0xda, 0, 8, 1, 1, 0x03, 1, 63, 0];
    let mut bits = String::new();
    let mut left = blocks;
    while left > 0 {
        let run = left.min(32_767);
        bits += &format!("0{:014b}", run - 16_384);
        left -= run;
    }
    while !bits.len().is_multiple_of(8) {
        bits.push('1');
    }
    for byte in bits.as_bytes().chunks(8) {
        let byte = u8::from_str_radix(std::str::from_utf8(byte).unwrap(), 2).unwrap();
        scan.push(byte);
        if byte == 0xff {
            scan.push(0);
        }
    }
    let end = jpeg.len() - 2;
    let mut bytes = [&jpeg[..end], &table].concat();
    for _ in 0..scans {
        bytes.extend_from_slice(&scan);
    }
    bytes.extend_from_slice(&jpeg[end..]);
    bytes
}

fn progressive(width: usize, height: usize) -> Vec<u8> {
    let pixels = vec![90_u8; width * height];
    let mut compressor = Compressor::new().unwrap();
    compressor.set_progressive(true).unwrap();
    compressor.set_subsamp(Subsamp::Gray).unwrap();
    let image = Packed {
        pixels: pixels.as_slice(),
        width,
        pitch: width,
        height,
        format: PixelFormat::GRAY,
    };
    compressor.compress_to_vec(image).unwrap()
}

#[test]
fn refuses_a_large_image_of_many_scans_before_decoding_it() {
    let (width, height) = (7_680, 4_320);
    let plain = progressive(width, height);
    // 518,400 blocks, in runs of up to 32,767.
    let bomb = with_scans(&plain, 518_400, 50);
    let mut decoder = Decoder::new().unwrap();
    let mut image = XrgbImage::default();
    let error = decoder
        .decode(&bomb, Reduction::Eighth, &mut image)
        .unwrap_err();
    assert!(error.to_string().contains("scans"), "{error}");
    assert_eq!(image.pixels.capacity(), 0, "it was decoded first");
    // The scans of an encoder are accepted, and more for a smaller image.
    decoder
        .decode(&plain, Reduction::Eighth, &mut image)
        .unwrap();
    let small = with_scans(&progressive(1_024, 1_024), 128 * 128, 50);
    decoder
        .decode(&small, Reduction::Eighth, &mut image)
        .unwrap();
}

#[test]
fn a_jpeg_with_warnings_is_decoded_and_reported_once() {
    let whole = quadrants(64, 48);
    let end = whole.len() - 2;
    let mut decoder = Decoder::new().unwrap();
    let mut expected = XrgbImage::default();
    decoder
        .decode(&whole, Reduction::None, &mut expected)
        .unwrap();
    assert_eq!(decoder.take_remark(), None);
    let coded: Vec<u8> = (1..200).collect();
    for extra in [&[0; 400][..], &[7, 9, 4], &coded] {
        let mut bytes = whole.clone();
        bytes.splice(end..end, extra.iter().copied());
        let mut image = XrgbImage::default();
        decoder.decode(&bytes, Reduction::None, &mut image).unwrap();
        assert_eq!(image, expected);
        vet(&bytes, true).unwrap();
    }
    assert!(decoder.take_remark().is_some());
    assert_eq!(decoder.take_remark(), None);
    // No checksum covers them: surplus coded data may belong to another frame.
    let mut bytes = whole.clone();
    bytes.splice(end..end, coded);
    vet(&bytes, false).unwrap_err();
    vet(&whole, false).unwrap();
}

#[test]
fn a_header_with_a_warning_is_accepted() {
    let mut bytes = quadrants(64, 48);
    let version = bytes.windows(5).position(|w| w == b"JFIF\0").unwrap() + 5;
    bytes[version] = 2;
    let mut decoder = Decoder::new().unwrap();
    assert_eq!(decoder.size(&bytes), Ok((64, 48)));
    assert_eq!(
        decoder.decode_whole(&bytes),
        decoder.decode_whole(&quadrants(64, 48))
    );
}

#[test]
fn decodes_cleaned_jpegs() {
    let whole = jpeg(64, 64, Subsamp::Sub2x2, |x, y| {
        [(x * y) as u8, x as u8, y as u8]
    });
    let mut decoder = Decoder::new().unwrap();
    let expected = decoder.decode_whole(&whole);
    let open = &whole[..whole.len() - 2];
    let doubled = [&whole[..2], &whole].concat();
    for odd in [open, &doubled] {
        assert_eq!(decoder.decode_whole(odd), expected);
    }
}

#[test]
fn refuses_a_jpeg_that_lacks_more_than_a_row_of_blocks() {
    let noise = |x: usize, y: usize| [(x * 31 + y * 17) as u8, (x * y) as u8, 128];
    let whole = jpeg(160, 160, Subsamp::Sub2x2, noise);
    let header = JpegHeader::parse(&whole).unwrap().len;
    let mut decoder = Decoder::new().unwrap();
    let mut taken = 0;
    for percent in (2..=100).step_by(2) {
        let mut cut = whole[..header + (whole.len() - header) * percent / 100].to_vec();
        cut.extend([0xff, 0xd9]);
        let decoded = decoder.decode_whole(&cut).is_ok();
        assert_eq!(decoded, vet(&cut, true).is_ok(), "{percent} %");
        // A row is a tenth of the image.
        assert_eq!(decoded, percent > 90, "{percent} %");
        assert_eq!(vet(&cut, false).is_ok(), percent == 100, "{percent} %");
        taken += u32::from(decoded);
    }
    assert_eq!(taken, 5);
}

#[test]
fn decodes_jpegs_to_the_planes_they_were_made_from() {
    let mut compressor = crate::Compressor::new().unwrap();
    let mut decoder = Decoder::new().unwrap();
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
        assert_eq!(decoder.decode_image(&jpeg).unwrap(), image);
    }
    let mut planes = vec![90; 35 * 17];
    planes.resize(Subsampling::Yuv411.bytes(35, 17), 140);
    let image = Image::yuv(35, 17, Subsampling::Yuv411, planes.into()).unwrap();
    let jpeg = compressor.compress(&image, 100).unwrap();
    let decoded = decoder.decode_image(&jpeg).unwrap();
    assert!(matches!(
        decoded.pixels(),
        Pixels::Yuv(Subsampling::Yuv422, _)
    ));
}

#[test]
fn decodes_a_still_that_is_too_large_reduced() {
    let line = |width: usize, height: usize| {
        let pixels = vec![200; 3 * width * height];
        let mut compressor = turbojpeg::Compressor::new().unwrap();
        compressor.set_quality(50).unwrap();
        let image = turbojpeg::Image {
            pixels: pixels.as_slice(),
            width,
            pitch: 3 * width,
            height,
            format: PixelFormat::RGB,
        };
        compressor.compress_to_vec(image).unwrap()
    };
    let mut decoder = Decoder::new().unwrap();
    for (coded, wanted, decoded) in [
        ((16_400, 8), (4_000, 2), (4_100, 2)),
        ((16_400, 8), (16_400, 8), (8_200, 4)),
        ((65_400, 16), (60_000, 16), (16_350, 4)),
        ((7_000, 6_000), (7_000, 6_000), (3_500, 3_000)),
        ((640, 480), (640, 480), (640, 480)),
    ] {
        let jpeg = line(coded.0, coded.1);
        let image = decoder.decode_large(&jpeg, wanted).unwrap();
        assert_eq!((image.width(), image.height()), decoded, "{coded:?}");
    }
    // The limit of others stays.
    assert!(decoder.decode_image(&line(7_000, 6_000)).is_err());
}
