use turbojpeg::Subsamp;

use super::*;
use crate::slices::encoder::{Settings, encode};

fn jpeg(subsamp: Subsamp, interval: u16, seed: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    let pixels: Vec<u8> = std::iter::repeat_with(|| random.u8(..))
        .take(3 * 160 * 96)
        .collect();
    let settings = Settings {
        width: 160,
        height: 96,
        subsamp,
        quality: 80,
        interval,
        optimize: false,
    };
    encode(&pixels, &settings)
}

#[test]
fn encoded_jpegs_are_complete_with_and_without_padding() {
    for subsamp in [
        Subsamp::Sub2x2,
        Subsamp::Sub2x1,
        Subsamp::None,
        Subsamp::Gray,
    ] {
        for interval in [0, 1, 7] {
            let jpeg = jpeg(subsamp, interval, 1);
            assert!(may_be_complete(&jpeg), "{subsamp:?}, {interval}");
            let end = jpeg.len() - 2;
            for padding in [&[0; 300][..], &[1, 2, 3]] {
                let mut padded = jpeg.clone();
                padded.splice(end..end, padding.iter().copied());
                assert!(may_be_complete(&padded), "{subsamp:?}, {interval}");
            }
        }
    }
    let camera = include_bytes!("../../../fixtures/opencv-64x48.jpg");
    assert!(may_be_complete(camera));
}

/// A decoder warns about 49 of 50 of these.
#[test]
fn a_gap_anywhere_is_found() {
    let mut found = 0;
    for seed in 0..10 {
        let jpeg = jpeg(Subsamp::Sub2x2, 0, seed);
        let header = JpegHeader::parse(&jpeg).unwrap();
        for at in (header.len..jpeg.len() - 1_500).step_by(311) {
            let mut damaged = jpeg.clone();
            damaged.drain(at..at + 1_400);
            let coverage = Coverage::of(&damaged).unwrap();
            assert_eq!(missing_rows(&damaged), Some(coverage.missing_rows));
            assert!(!may_be_complete(&damaged), "seed {seed}, at {at}");
            found += 1;
        }
    }
    assert!(found > 200, "{found}");
}

#[test]
fn any_bytes_are_examined_without_a_panic() {
    let jpeg = jpeg(Subsamp::Sub2x2, 3, 2);
    let mut random = fastrand::Rng::with_seed(3);
    for _ in 0..2_000 {
        let mut damaged = jpeg[..random.usize(..=jpeg.len())].to_vec();
        for _ in 0..random.usize(..20) {
            if let Some(at) = (!damaged.is_empty()).then(|| random.usize(..damaged.len())) {
                damaged[at] = random.u8(..);
            }
        }
        let coverage = Coverage::of(&damaged);
        assert_eq!(missing_rows(&damaged), coverage.map(|it| it.missing_rows));
    }
    assert!(!may_be_complete(b"GIF89a"));
}

/// What a header claims costs neither time nor memory.
#[test]
fn a_few_bytes_that_claim_millions_of_blocks_are_examined_at_once() {
    let mut jpeg = jpeg(Subsamp::Gray, 1, 4);
    let header = JpegHeader::parse(&jpeg).unwrap();
    let frame = jpeg.windows(2).position(|pair| pair == [0xff, 0xc0]);
    let frame = frame.unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0xff, 0xdc, 0xff, 0xdc]);
    jpeg.truncate(header.len + 100);
    let most = 65_500_u32.div_ceil(8);
    assert_eq!(missing_rows(&jpeg), Some(most));
    // Fill bytes that no marker follows.
    jpeg.extend([0xff, 0xff, 0xff, 0, 0, 0]);
    assert_eq!(missing_rows(&jpeg), Some(most));
    jpeg[frame + 1] = 0xc2;
    assert_eq!(missing_rows(&jpeg), Some(most));
    assert!(!may_be_complete(&jpeg));
}
