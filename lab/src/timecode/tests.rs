use framegram_media::{Compressor, Decoder, Image, Subsampling};
use proptest::prelude::*;

use super::*;

const STAMP: Timecode = Timecode {
    number: 0x0123_4567,
    micros: 0x89_ABCD_EF01,
    clock: 0x2345,
    run: 0x67,
};

/// A grey gradient with noise of this strength.
fn scene(seed: u64, width: usize, height: usize, noise: i32) -> Vec<u8> {
    let mut rng = fastrand::Rng::with_seed(seed);
    (0..width * height)
        .map(|at| {
            let slope = (at % width * 255 / width) as i32;
            (slope + rng.i32(-noise..=noise)).clamp(0, 255) as u8
        })
        .collect()
}

/// Each target sample is the mean of the area that it covers.
fn scaled(plane: &[u8], from: (usize, usize), to: (usize, usize)) -> Vec<u8> {
    let overlap = |at: usize, from: usize, to: usize| {
        let (start, end) = (at * from, (at + 1) * from);
        (start / to..end.div_ceil(to)).map(move |source| {
            let covered = end.min((source + 1) * to) - start.max(source * to);
            (source, covered)
        })
    };
    let mut out = Vec::with_capacity(to.0 * to.1);
    for y in 0..to.1 {
        for x in 0..to.0 {
            let (mut sum, mut weight) = (0, 0);
            for (row, high) in overlap(y, from.1, to.1) {
                for (column, wide) in overlap(x, from.0, to.0) {
                    sum += usize::from(plane[row * from.0 + column]) * high * wide;
                    weight += high * wide;
                }
            }
            out.push((sum / weight) as u8);
        }
    }
    out
}

fn through_jpeg(plane: &[u8], width: usize, height: usize, quality: u8) -> Vec<u8> {
    let image = Image::yuv(width, height, Subsampling::Gray, plane.to_vec().into()).unwrap();
    let mut compressor = Compressor::new().unwrap();
    let jpeg = compressor.compress(&image, quality).unwrap();
    let mut luma = Vec::new();
    let mut decoder = Decoder::new().unwrap();
    decoder.decode_luma(&jpeg, &mut luma).unwrap();
    luma
}

fn read(plane: &[u8], width: usize, height: usize) -> Option<Timecode> {
    TimecodeReader::default().read(plane, width, width, height)
}

#[test]
fn the_bytes_are_as_the_page_says() {
    let bytes = STAMP.to_bytes();
    let fields = [
        1, 0x23, 0x45, 0x67, 0x89, 0xAB, 0xCD, 0xEF, 1, 0x23, 0x45, 0x67,
    ];
    assert_eq!(bytes[..12], fields);
    assert_eq!(Timecode::from_bytes(&bytes), Some(STAMP));
    for bit in 0..BYTES * 8 {
        let mut damaged = bytes;
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(Timecode::from_bytes(&damaged), None, "bit {bit}");
    }
}

#[test]
fn cells_end_with_blocks_and_grow_with_the_picture() {
    assert_eq!(cell_size(640, 360), Some(4));
    assert_eq!(cell_size(1280, 720), Some(8));
    assert_eq!(cell_size(1920, 1080), Some(12));
    assert_eq!(cell_size(1080, 1920), Some(12));
    assert_eq!(cell_size(80, 48), Some(4));
    assert_eq!(cell_size(79, 48), None);
    for (width, height) in [(80, 48), (1280, 720), (3840, 2160)] {
        let cell = cell_size(width, height).unwrap();
        assert_eq!((CELLS_ACROSS * cell % 16, CELLS_DOWN * cell % 16), (0, 0));
    }
}

#[test]
fn a_small_picture_or_a_short_plane_is_unchanged() {
    let mut small = vec![9; 79 * 48];
    assert!(!STAMP.draw_luma(&mut small, 79, 79, 48));
    let mut short = vec![9; 80 * 48 - 1];
    assert!(!STAMP.draw_luma(&mut short, 80, 80, 48));
    assert!(small.iter().chain(&short).all(|&sample| sample == 9));
    assert_eq!(read(&short, 80, 48), None);
    assert_eq!(TimecodeReader::default().read(&[], 0, 0, 0), None);
}

#[test]
fn ages_go_over_the_end_of_the_clock() {
    let end = Duration::from_micros(1 << TIME_BITS);
    let timecode = Timecode::new(0, end - Duration::from_millis(5), 0, 0);
    assert_eq!(
        timecode.age(end + Duration::from_millis(5)),
        Some(Duration::from_millis(10))
    );
    assert_eq!(timecode.age(end - Duration::from_millis(6)), None);
}

#[test]
fn outlasts_jpeg_of_low_quality() {
    for (width, height) in [(80, 48), (640, 360), (854, 480), (1280, 720)] {
        for quality in [10, 30, 80] {
            let mut plane = scene(1, width, height, 40);
            assert!(STAMP.draw_luma(&mut plane, width, width, height));
            let seen = through_jpeg(&plane, width, height, quality);
            let at = format!("{width}x{height}, quality {quality}");
            assert_eq!(read(&seen, width, height), Some(STAMP), "{at}");
        }
    }
}

#[test]
fn outlasts_scaling_and_jpeg_together() {
    for (from, to) in [
        ((640, 360), (320, 180)),
        ((640, 360), (427, 240)),
        ((640, 360), (1000, 562)),
        ((1280, 720), (854, 480)),
        ((1280, 720), (640, 360)),
        ((1280, 720), (500, 400)),
        ((1920, 1080), (641, 361)),
    ] {
        let mut plane = scene(2, from.0, from.1, 40);
        STAMP.draw_luma(&mut plane, from.0, from.0, from.1);
        let seen = scaled(&plane, from, to);
        let seen = through_jpeg(&seen, to.0, to.1, 30);
        assert_eq!(read(&seen, to.0, to.1), Some(STAMP), "{from:?} to {to:?}");
    }
}

#[test]
fn is_found_anywhere_and_followed_when_it_moves() {
    let (width, height) = (700, 500);
    let mut reader = TimecodeReader::default();
    for (number, offset) in [(1, (0, 0)), (2, (0, 0)), (3, (37, 70)), (4, (60, 140))] {
        let timecode = Timecode { number, ..STAMP };
        let mut plane = scene(3, width, height, 90);
        let start = offset.1 * width + offset.0;
        timecode.draw_luma(&mut plane[start..], width, 640, 360);
        assert_eq!(reader.read(&plane, width, width, height), Some(timecode));
    }
    assert_eq!(
        reader.read(&scene(3, width, height, 90), width, width, height),
        None
    );
}

#[test]
fn pictures_made_to_waste_time_are_given_up() {
    // Frames everywhere, none with a valid code.
    let (width, height) = (2000, 2000);
    let mut plane = vec![255; width * height];
    for top in (1..height - 40).step_by(24) {
        for left in (1..width - 40).step_by(40) {
            for y in top..top + 20 {
                plane[y * width + left..y * width + left + 36].fill(0);
            }
        }
    }
    assert_eq!(read(&plane, width, height), None);
}

proptest! {
    #[test]
    fn reads_what_it_drew(
        number: u32,
        micros in 0..=TIME_MASK,
        clock: u16,
        run: u8,
        width in 80_usize..700,
        height in 48_usize..500,
        more in 0_usize..20,
        noise in 0..200_i32,
        seed: u64,
    ) {
        let timecode = Timecode { number, micros, clock, run };
        let stride = width + more;
        let mut plane = scene(seed, stride, height, noise);
        prop_assert!(timecode.draw_luma(&mut plane, stride, width, height));
        prop_assert_eq!(TimecodeReader::default().read(&plane, stride, width, height), Some(timecode));
    }

    #[test]
    fn reads_what_it_drew_scaled_to_two_pixels_a_cell(
        number: u32,
        micros in 0..=TIME_MASK,
        clock: u16,
        run: u8,
        width in 320_usize..640,
        height in 180_usize..360,
        quality in 40_u8..95,
    ) {
        let timecode = Timecode { number, micros, clock, run };
        let mut plane = scene(u64::from(number), 640, 360, 30);
        timecode.draw_luma(&mut plane, 640, 640, 360);
        let seen = scaled(&plane, (640, 360), (width, height));
        let seen = through_jpeg(&seen, width, height, quality);
        prop_assert_eq!(read(&seen, width, height), Some(timecode));
    }

    #[test]
    fn finds_nothing_in_any_other_picture(seed: u64, noise in 0..400_i32, width in 1_usize..300, height in 1_usize..200) {
        prop_assert_eq!(read(&scene(seed, width, height, noise), width, height), None);
    }
}
