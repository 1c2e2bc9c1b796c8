//! Compares splicing with an oracle that works byte by byte, and with what
//! libjpeg-turbo decodes from the result.

use fastrand::Rng;
use proptest::prelude::*;
use turbojpeg::{Decompressor, Image, PixelFormat, Subsamp};

use super::encoder::{Settings, encode};
use super::*;
use crate::jpeg;

/// A complete JPEG and its slices, found independently of the code under test.
struct Picture {
    jpeg: Vec<u8>,
    /// Byte range of each slice.
    slices: Vec<Range<usize>>,
    interval: usize,
    units: usize,
}

impl Picture {
    fn new(jpeg: Vec<u8>) -> Self {
        let header = JpegHeader::parse(&jpeg).unwrap();
        let (mut slices, mut start) = (Vec::new(), header.len);
        for at in header.len..jpeg.len() - 1 {
            if jpeg[at] == 0xff && jpeg[at + 1] != 0 {
                slices.push(start..at);
                start = at + 2;
            }
        }
        assert_eq!(start, jpeg.len());
        Self {
            slices,
            interval: usize::from(header.restart_interval),
            units: header.mcu_count() as usize,
            jpeg,
        }
    }

    /// Which slices are complete if only these chunks of `size` bytes arrived.
    fn complete_slices(&self, arrived: &[bool], size: usize) -> Vec<bool> {
        let here = |bytes: Range<usize>| bytes.into_iter().all(|at| arrived[at / size]);
        // A chunk announces the first slice that begins in it. Later slices are known if every byte
        // from there on arrived.
        let told = |number: usize| {
            let start = self.slices[number].start;
            let first = number == 0 || self.slices[number - 1].start / size < start / size;
            arrived[start / size] && first
        };
        (0..self.slices.len())
            .map(|number| {
                let Range { start, end } = self.slices[number];
                let begun = (0..=number)
                    .any(|from| told(from) && here(self.slices[from].start..start + 1))
                    || here(0..start + 1);
                begun && here(start..end + 2)
            })
            .collect()
    }

    fn splice(&self, arrived: &[bool], size: usize) -> Option<Spliced> {
        let mut frame = self.jpeg.clone();
        let mut present: Vec<Range<usize>> = Vec::new();
        let mut starts = Vec::new();
        for (index, arrived) in arrived.iter().enumerate() {
            let chunk = index * size..((index + 1) * size).min(frame.len());
            if !arrived {
                frame[chunk].fill(0);
                continue;
            }
            let first = self
                .slices
                .iter()
                .position(|slice| chunk.contains(&slice.start));
            starts.extend(first.map(|number| (number as u16, self.slices[number].start)));
            match present.last_mut() {
                Some(last) if last.end == chunk.start => last.end = chunk.end,
                _ => present.push(chunk),
            }
        }
        splice(&Fragments {
            header: &jpeg::tables(&self.jpeg).unwrap().unwrap(),
            frame: &frame,
            present: &present,
            starts: &starts,
        })
    }

    fn stale(&self, complete: &[bool]) -> Vec<bool> {
        (0..self.units)
            .map(|unit| !complete[unit / self.interval])
            .collect()
    }
}

#[test]
fn keeps_exactly_the_complete_slices() {
    let (mut spliced_frames, mut hopeless, mut partly) = (0, 0, 0);
    for seed in 0..5000 {
        let mut rng = Rng::with_seed(seed);
        let settings = settings(&mut rng);
        let intact = Picture::new(encode(&picture(&mut rng, &settings), &settings));
        let size = rng.usize(1..=intact.jpeg.len().min(400));
        let arrived = holes(&mut rng, intact.jpeg.len().div_ceil(size));
        let expected = intact.complete_slices(&arrived, size);

        let Some(spliced) = intact.splice(&arrived, size) else {
            let possible = expected.contains(&true) && !lacks_neutral_codes(&intact.jpeg);
            assert!(!possible, "seed {seed}: {settings:?}");
            hopeless += 1;
            continue;
        };
        spliced_frames += 1;
        partly += usize::from(!spliced.stale.is_empty());
        let stale = intact.stale(&expected);
        assert_eq!(flags(&spliced.stale, intact.units), stale, "seed {seed}");
        let missing = stale.iter().filter(|stale| **stale).count();
        let fresh = 1.0 - missing as f64 / intact.units as f64;
        assert!((spliced.fresh - fresh).abs() < 1e-9 && spliced.fresh > 0.0);

        let result = Picture::new(spliced.jpeg);
        assert_eq!(result.slices.len(), intact.slices.len(), "seed {seed}");
        for (number, kept) in expected.iter().enumerate() {
            if *kept {
                let bytes = &result.jpeg[result.slices[number].clone()];
                assert_eq!(bytes, &intact.jpeg[intact.slices[number].clone()]);
            }
            let end = result.slices[number].end;
            let marker = match number + 1 == expected.len() {
                true => 0xd9,
                false => 0xd0 + (number % 8) as u8,
            };
            assert_eq!(result.jpeg[end..end + 2], [0xff, marker]);
        }
        compare_pixels(&intact.jpeg, &result.jpeg, &stale, seed);
    }
    // Most seeds must have something to splice.
    assert!(partly > 2000 && hopeless > 500 && spliced_frames > partly + 100);
}

#[test]
fn stands_in_for_tables_that_a_camera_leaves_out() {
    for seed in 0..100 {
        let mut rng = Rng::with_seed(seed);
        let settings = Settings {
            optimize: false,
            ..settings(&mut rng)
        };
        let mut jpeg = encode(&picture(&mut rng, &settings), &settings);
        while let Some(at) = jpeg.windows(2).position(|pair| pair == [0xff, 0xc4]) {
            let len = usize::from(u16::from_be_bytes([jpeg[at + 2], jpeg[at + 3]]));
            jpeg.drain(at..at + 2 + len);
        }
        let intact = Picture::new(jpeg);
        let arrived = holes(&mut rng, intact.jpeg.len().div_ceil(50));
        if let Some(spliced) = intact.splice(&arrived, 50) {
            let stale = intact.stale(&intact.complete_slices(&arrived, 50));
            compare_pixels(&intact.jpeg, &spliced.jpeg, &stale, seed);
        }
    }
}

#[test]
fn fills_holes_with_the_slices_of_the_frame_before() {
    let mut filled_frames = 0;
    for seed in 0..1500 {
        let mut rng = Rng::with_seed(seed);
        let settings = Settings {
            optimize: false,
            ..settings(&mut rng)
        };
        let [before, now] =
            [(); 2].map(|()| Picture::new(encode(&picture(&mut rng, &settings), &settings)));
        let size = rng.usize(1..=400);
        let arrived = holes(&mut rng, now.jpeg.len().div_ceil(size));
        let Some(spliced) = now.splice(&arrived, size) else {
            continue;
        };
        let filled = fill(&spliced.jpeg, &spliced.stale, &before.jpeg).unwrap();
        filled_frames += usize::from(!spliced.stale.is_empty());
        let stale = flags(&spliced.stale, now.units);
        let (old, new) = (decode(&before.jpeg), decode(&now.jpeg));
        let header = JpegHeader::parse(&now.jpeg).unwrap();
        for (at, pixel) in decode(&filled).chunks(3).enumerate() {
            let expected = if stale[unit_at(&header, at)] {
                &old
            } else {
                &new
            };
            assert_eq!(pixel, &expected[3 * at..][..3], "seed {seed}");
        }
    }
    assert!(filled_frames > 600);
}

#[test]
fn fills_nothing_from_a_frame_of_another_kind() {
    let mut rng = Rng::with_seed(5);
    let settings = Settings {
        width: 64,
        height: 64,
        subsamp: Subsamp::Sub2x2,
        quality: 50,
        interval: 2,
        optimize: false,
    };
    let jpeg = encode(&picture(&mut rng, &settings), &settings);
    let others = [
        Settings {
            width: 65,
            ..settings
        },
        Settings {
            subsamp: Subsamp::Sub2x1,
            ..settings
        },
        Settings {
            quality: 51,
            ..settings
        },
        Settings {
            interval: 3,
            ..settings
        },
        Settings {
            interval: 0,
            ..settings
        },
    ];
    let stale = std::slice::from_ref(&(0..2));
    for other in others {
        let before = encode(&picture(&mut rng, &other), &other);
        assert_eq!(fill(&jpeg, stale, &before), None, "{other:?}");
    }
    let before = encode(&picture(&mut rng, &settings), &settings);
    assert!(fill(&jpeg, stale, &before).is_some());
    assert_eq!(fill(&jpeg, stale, &before[..before.len() - 3]), None);
    assert_eq!(fill(&jpeg[..jpeg.len() - 3], stale, &before), None);
}

#[test]
fn a_frame_without_restart_markers_has_nothing_to_splice() {
    let mut rng = Rng::with_seed(1);
    let settings = Settings {
        interval: 0,
        ..settings(&mut rng)
    };
    let jpeg = encode(&picture(&mut rng, &settings), &settings);
    let header = JpegHeader::parse(&jpeg).unwrap();
    let present = 0..jpeg.len();
    let fragments = Fragments {
        header: &jpeg,
        frame: &jpeg,
        present: std::slice::from_ref(&present),
        starts: &[(0, header.len)],
    };
    assert_eq!(splice(&fragments), None);
}

#[test]
fn refuses_to_make_more_than_a_frame_may_be() {
    // A picture of 65,535 by 65,535 pixels of which one slice arrived.
    let mut jpeg = vec![0xff, 0xd8, 0xff, 0xdd, 0, 4, 0xff, 0xff];
    jpeg.extend([0xff, 0xc0, 0, 17, 8, 0xff, 0xff, 0xff, 0xff, 3]);
    jpeg.extend([1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0]);
    jpeg.extend([0xff, 0xda, 0, 12, 3, 1, 0x00, 2, 0x11, 3, 0x11, 0, 63, 0]);
    let header = jpeg.len();
    jpeg.extend([1, 2, 3, 0xff, 0xd0]);
    let present = 0..jpeg.len();
    let fragments = Fragments {
        header: &jpeg[..header],
        frame: &jpeg,
        present: std::slice::from_ref(&present),
        starts: &[],
    };
    assert!(JpegHeader::parse(&jpeg).unwrap().has_slices());
    assert_eq!(splice(&fragments), None);
}

proptest! {
    #[test]
    fn any_bytes_give_nothing_or_a_jpeg_within_bounds(
        seed: u64,
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        header_damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        present in proptest::collection::vec((0_usize..4000, 0_usize..4000), 0..6),
        starts in proptest::collection::vec((any::<u16>(), 0_usize..5000), 0..12),
        low_numbers: bool,
    ) {
        let mut rng = Rng::with_seed(seed);
        let settings = settings(&mut rng);
        let mut frame = encode(&picture(&mut rng, &settings), &settings);
        let mut header = jpeg::tables(&frame).unwrap().unwrap();
        for (at, byte) in damage {
            *at.get_mut(&mut frame) = byte;
        }
        for (at, byte) in header_damage {
            *at.get_mut(&mut header) = byte;
        }
        let present: Vec<_> = present.into_iter().map(|(start, len)| start..start + len).collect();
        let starts: Vec<_> = starts
            .into_iter()
            .map(|(number, start)| (if low_numbers { number % 32 } else { number }, start))
            .collect();
        let fragments = Fragments { header: &header, frame: &frame, present: &present, starts: &starts };
        if let Some(spliced) = splice(&fragments) {
            let header = JpegHeader::parse(&spliced.jpeg).unwrap();
            prop_assert!(spliced.jpeg.len() <= MAX_FRAME_BYTES);
            prop_assert!(spliced.fresh > 0.0 && spliced.fresh <= 1.0);
            prop_assert!(spliced.stale.iter().all(|range| range.start < range.end));
            prop_assert!(spliced.stale.windows(2).all(|pair| pair[0].end < pair[1].start));
            prop_assert!(spliced.stale.last().is_none_or(|last| last.end <= header.mcu_count()));
            let _ = fill(&spliced.jpeg, &spliced.stale, &frame);
        }
    }
}

/// Whether an optimized table has no code for a neutral block. libjpeg-turbo
/// writes each table into its own segment.
fn lacks_neutral_codes(jpeg: &[u8]) -> bool {
    let mut tables = (0..jpeg.len() - 4).filter(|at| jpeg[*at..].starts_with(&[0xff, 0xc4]));
    tables.any(|at| {
        let end = at + 2 + usize::from(u16::from_be_bytes([jpeg[at + 2], jpeg[at + 3]]));
        !jpeg[at + 4 + 1 + 16..end].contains(&0)
    })
}

/// Fresh MCUs must equal those of the complete picture; others are grey.
fn compare_pixels(intact: &[u8], spliced: &[u8], stale: &[bool], seed: u64) {
    let header = JpegHeader::parse(intact).unwrap();
    let (expected, seen) = (decode(intact), decode(spliced));
    for (at, (expected, seen)) in expected.chunks(3).zip(seen.chunks(3)).enumerate() {
        let stale = stale[unit_at(&header, at)];
        let expected = if stale { &[128; 3] } else { expected };
        assert_eq!(seen, expected, "seed {seed}: pixel {at}");
    }
}

/// The MCU that contains a pixel, counted row by row.
fn unit_at(header: &JpegHeader, pixel: usize) -> usize {
    let (unit_width, unit_height) = header.mcu_size();
    let (x, y) = (
        pixel % usize::from(header.width),
        pixel / usize::from(header.width),
    );
    y / unit_height as usize * header.mcu_grid().0 as usize + x / unit_width as usize
}

/// Plain upsampling, because fancy upsampling reads neighbouring MCUs.
fn decode(jpeg: &[u8]) -> Vec<u8> {
    let mut decompressor = Decompressor::new().unwrap();
    decompressor.set_fast_upsample(true).unwrap();
    let header = decompressor.read_header(jpeg).unwrap();
    let mut image = Image {
        pixels: vec![0; 3 * header.width * header.height],
        width: header.width,
        pitch: 3 * header.width,
        height: header.height,
        format: PixelFormat::RGB,
    };
    decompressor.decompress(jpeg, image.as_deref_mut()).unwrap();
    image.pixels
}

fn settings(rng: &mut Rng) -> Settings {
    let samplings = [
        Subsamp::Sub2x2,
        Subsamp::Sub2x2,
        Subsamp::Sub2x1,
        Subsamp::Sub1x2,
        Subsamp::Sub4x1,
        Subsamp::None,
        Subsamp::Gray,
    ];
    Settings {
        width: rng.usize(1..250),
        height: rng.usize(1..250),
        subsamp: rng.choice(samplings).unwrap(),
        quality: rng.i32(1..=100),
        interval: rng.u16(1..25),
        optimize: rng.u8(..) < 64,
    }
}

/// Gradients with flat tiles, and noise over both.
fn picture(rng: &mut Rng, settings: &Settings) -> Vec<u8> {
    let slopes: [usize; 6] = std::array::from_fn(|_| rng.usize(..4));
    let noise = rng.u8(..).saturating_sub(100);
    let mut pixels = Vec::new();
    for y in 0..settings.height {
        for x in 0..settings.width {
            for [across, down] in [0, 2, 4].map(|at| [slopes[at], slopes[at + 1]]) {
                let flat = (x / 24 + y / 24) % 3 == 0;
                let value = if flat { 90 } else { x * across + y * down };
                pixels.push((value as u8).wrapping_add(rng.u8(..=noise)));
            }
        }
    }
    pixels
}

/// Chooses which of this many chunks arrive: never all, and sometimes few.
fn holes(rng: &mut Rng, chunks: usize) -> Vec<bool> {
    let loss = [0.01, 0.05, 0.2, 0.6, 0.9][rng.usize(..5)];
    let mut arrived: Vec<_> = (0..chunks).map(|_| rng.f64() >= loss).collect();
    arrived[rng.usize(..chunks)] = false;
    arrived
}

fn flags(ranges: &[Range<u32>], units: usize) -> Vec<bool> {
    let covers = |unit: usize| ranges.iter().any(|range| range.contains(&(unit as u32)));
    (0..units).map(covers).collect()
}
