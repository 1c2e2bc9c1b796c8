//! Round trips of libjpeg-turbo's JPEGs through fragments.

use proptest::prelude::*;
use turbojpeg::{PixelFormat, Subsamp};

use super::*;
use crate::slices::encoder::{Settings, encode};

/// A picture with fine detail that still compresses.
fn picture(width: usize, height: usize, seed: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut pixels = Vec::with_capacity(3 * width * height);
    for y in 0..height {
        for x in 0..width {
            let noise = random.u8(..40);
            pixels.extend([(x * 3) as u8 / 2, (y * 5) as u8 / 2 + noise, (x + y) as u8]);
        }
    }
    pixels
}

fn jpeg(settings: &Settings) -> Vec<u8> {
    encode(&picture(settings.width, settings.height, 7), settings)
}

const SETTINGS: Settings = Settings {
    width: 320,
    height: 176,
    subsamp: Subsamp::Sub2x2,
    quality: 80,
    interval: 0,
    optimize: false,
};

/// The payloads of a JPEG, each with whether it is the last.
fn payloads(jpeg: &[u8], payload: usize) -> Vec<(Vec<u8>, bool)> {
    let picture = Picture::of(jpeg).unwrap();
    let cuts = picture.cut(payload);
    let last = cuts.len() - 1;
    let payloads = cuts.iter().enumerate().map(|(index, cut)| {
        let mut out = Vec::new();
        picture.fragment(jpeg, cut).encode(&mut out);
        assert_eq!(out.len(), picture.len_at(cut));
        (out, index == last)
    });
    payloads.collect()
}

fn assemble(payloads: &[(Vec<u8>, bool)]) -> JpegAssembly {
    let mut tables = SentTables::default();
    let first = Fragment::decode(&payloads[0].0).unwrap();
    let mut assembly = JpegAssembly::new(first.kind);
    for (payload, last) in payloads {
        let fragment = Fragment::decode(payload).unwrap();
        assembly.set_tables(tables.resolve(fragment.kind.q, fragment.tables));
        assembly.place(&fragment, *last).unwrap();
    }
    assembly
}

fn pixels(jpeg: &[u8]) -> Vec<u8> {
    turbojpeg::decompress(jpeg, PixelFormat::RGB)
        .unwrap()
        .pixels
}

#[test]
fn the_quality_of_libjpeg_is_the_q_of_the_rfc() {
    for quality in 1..100 {
        let jpeg = jpeg(&Settings {
            width: 16,
            height: 16,
            quality,
            ..SETTINGS
        });
        assert_eq!(i32::from(Picture::of(&jpeg).unwrap().kind().q), quality);
    }
    let best = jpeg(&Settings {
        quality: 100,
        ..SETTINGS
    });
    assert_eq!(Picture::of(&best).unwrap().kind().q, ONE_FRAME_Q);
}

#[test]
fn says_what_it_cannot_carry() {
    let unsuitable = |settings| Picture::of(&jpeg(&settings)).err();
    assert_eq!(unsuitable(SETTINGS), None);
    let optimize = true;
    let settings = Settings {
        optimize,
        ..SETTINGS
    };
    assert_eq!(unsuitable(settings), Some(Unsuitable::Huffman));
    for subsamp in [
        Subsamp::None,
        Subsamp::Gray,
        Subsamp::Sub1x2,
        Subsamp::Sub4x1,
    ] {
        let settings = Settings {
            subsamp,
            ..SETTINGS
        };
        assert_eq!(
            unsuitable(settings),
            Some(Unsuitable::Sampling),
            "{subsamp:?}"
        );
    }
    let mut restarts = jpeg(&Settings {
        interval: 20,
        ..SETTINGS
    });
    let header = crate::jpeg::JpegHeader::parse(&restarts).unwrap();
    let starts = crate::jpeg::slice_starts(&restarts, header.len);
    restarts[starts[1] as usize - 1] = 0;
    assert_eq!(Picture::of(&restarts), Err(Unsuitable::Restarts));
    let mut progressive = jpeg(&SETTINGS);
    let at = progressive
        .windows(2)
        .position(|two| two == [0xff, 0xc0])
        .unwrap();
    progressive[at + 1] = 0xc2;
    assert_eq!(Picture::of(&progressive), Err(Unsuitable::Progressive));
}

#[test]
fn each_fragment_of_complete_slices_numbers_them() {
    let jpeg = jpeg(&Settings {
        interval: 5,
        ..SETTINGS
    });
    let payloads = payloads(&jpeg, 1440);
    let fragments: Vec<_> = payloads
        .iter()
        .map(|(payload, _)| Fragment::decode(payload).unwrap())
        .collect();
    assert!(fragments.len() > 4);
    let mut count = 0;
    for fragment in &fragments {
        let chunk = fragment.chunk.unwrap();
        assert_eq!(
            chunk,
            RestartSpan {
                first: true,
                last: true,
                count
            }
        );
        count += crate::jpeg::slice_starts(fragment.data, 0).len() as u16
            - u16::from(!fragment.data.ends_with(&[0xff, 0xd9]));
    }
    assert_eq!(count, 20 * 11 / 5);
}

#[test]
fn slices_are_shown_when_fragments_are_missing() {
    for (interval, forget_counts) in [(5, false), (5, true), (220, false)] {
        let jpeg = jpeg(&Settings {
            interval,
            ..SETTINGS
        });
        let mut payloads = payloads(&jpeg, 1440);
        let missing = payloads.len() / 2;
        payloads.remove(missing);
        if forget_counts {
            for (payload, _) in &mut payloads {
                payload[10..12].copy_from_slice(&[0xff, 0xff]);
            }
        }
        let assembly = assemble(&payloads);
        assert!(!assembly.is_complete());
        let spliced = assembly.splice((320, 176));
        if interval == 220 {
            assert_eq!(spliced, None);
            continue;
        }
        let spliced = spliced.unwrap();
        assert!(
            spliced.fresh > 0.7 && spliced.fresh < 1.0,
            "{}",
            spliced.fresh
        );
        let (intact, shown) = (pixels(&jpeg), pixels(&spliced.jpeg));
        let rows = |pixels: &[u8], rows: std::ops::Range<usize>| {
            pixels[rows.start * 960..rows.end * 960].to_vec()
        };
        assert_eq!(rows(&intact, 0..40), rows(&shown, 0..40));
        assert_eq!(rows(&intact, 140..176), rows(&shown, 140..176));
        assert_ne!(intact, shown);
    }
}

#[test]
fn tables_are_remembered_for_all_q_but_255() {
    let mut tables = SentTables::default();
    let sent = |bytes| TableBytes {
        precision: 0,
        bytes,
    };
    let (none, one, two) = (sent(&[]), sent(&[1; 128]), sent(&[2; 64]));
    assert_eq!(tables.resolve(200, Some(none)), None);
    assert!(tables.resolve(200, Some(one)).is_some());
    assert_eq!(tables.resolve(200, None), Quantization::from_sent(one));
    assert_eq!(
        tables.resolve(200, Some(none)),
        Quantization::from_sent(one)
    );
    let single = tables.resolve(254, Some(two)).unwrap();
    assert_eq!((single.blue, single.red), ([2; 64], [2; 64]));
    assert!(tables.resolve(255, Some(one)).is_some());
    assert_eq!(tables.resolve(255, Some(none)), None);
    assert_eq!(tables.resolve(100, None), None);
}

#[test]
fn says_what_is_wrong_with_a_payload() {
    let error = |bytes: &[u8]| Fragment::decode(bytes).unwrap_err();
    assert!(matches!(
        error(&[0; 7]),
        FragmentError::Short { what: "header", .. }
    ));
    assert_eq!(error(&[0, 0, 0, 0, 2, 50, 1, 1]), FragmentError::Type(2));
    assert_eq!(error(&[0, 0, 0, 0, 1, 0, 1, 1]), FragmentError::Q(0));
    assert_eq!(error(&[0, 0, 0, 0, 1, 127, 1, 1]), FragmentError::Q(127));
    // A restart header without information.
    let fragment = Fragment::decode(&[0, 0, 0, 0, 65, 50, 1, 1, 0, 0, 255, 255]).unwrap();
    assert_eq!((fragment.kind.interval, fragment.chunk), (None, None));
    let cut = [0, 0, 0, 0, 1, 255, 1, 1, 0, 1, 0, 128];
    assert!(matches!(
        error(&cut),
        FragmentError::Short { what: "tables", .. }
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_frame_comes_back_in_any_order(
        (width, height) in (8_usize..200, 8_usize..120), half: bool, quality in 1..=100,
        interval in 0_u16..40, payload in 256_usize..3000, seed: u64,
    ) {
        let subsamp = if half { Subsamp::Sub2x2 } else { Subsamp::Sub2x1 };
        let settings = Settings { width, height, subsamp, quality, interval, optimize: false };
        let jpeg = jpeg(&settings);
        let mut payloads = payloads(&jpeg, payload);
        prop_assert!(payloads.iter().all(|(bytes, _)| bytes.len() <= payload));
        fastrand::Rng::with_seed(seed).shuffle(&mut payloads);
        let assembly = assemble(&payloads);
        // At its own size, the same scan makes the same picture.
        let back = assembly.jpeg((width as u16, height as u16)).unwrap();
        prop_assert_eq!(pixels(&back), pixels(&jpeg));
        // Padded to multiples of eight, the picture is the same within its own size.
        let (wide, high) = assembly.size(None).unwrap();
        prop_assert_eq!((usize::from(wide), usize::from(high)), (width.next_multiple_of(8), height.next_multiple_of(8)));
        prop_assert!(turbojpeg::decompress(&assembly.jpeg((wide, high)).unwrap(), PixelFormat::RGB).is_ok());
    }

    #[test]
    fn missing_fragments_leave_complete_slices_or_nothing(
        interval in 1_u16..60, payload in 256_usize..1500, seed: u64, share in 0.0..0.6_f64,
    ) {
        let jpeg = jpeg(&Settings { interval, ..SETTINGS });
        let mut payloads = payloads(&jpeg, payload);
        let mut random = fastrand::Rng::with_seed(seed);
        let all = payloads.len();
        payloads.retain(|_| random.f64() >= share);
        if payloads.is_empty() {
            return Ok(());
        }
        let assembly = assemble(&payloads);
        prop_assert_eq!(assembly.is_complete(), payloads.len() == all);
        if let Some(spliced) = assembly.splice((320, 176)) {
            prop_assert!(turbojpeg::decompress(&spliced.jpeg, PixelFormat::RGB).is_ok());
        }
    }

    #[test]
    fn hostile_payloads_are_bounded(
        payloads in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..300), any::<bool>(), 0_u8..4), 1..20),
    ) {
        let mut tables = SentTables::default();
        let mut assembly: Option<JpegAssembly> = None;
        let mut bytes = 0;
        for (mut payload, last, number) in payloads {
            for (at, byte) in [(1, 0), (2, 0), (4, [0, 1, 64, 65][usize::from(number)]), (5, 255)] {
                if let Some(place) = payload.get_mut(at) {
                    *place = byte;
                }
            }
            bytes += payload.len();
            let Ok(fragment) = Fragment::decode(&payload) else { continue };
            let open = assembly.get_or_insert_with(|| JpegAssembly::new(fragment.kind));
            open.set_tables(tables.resolve(fragment.kind.q, fragment.tables));
            let _ = open.place(&fragment, last);
            if let Some(jpeg) = open.size(Some((2048, 2048))).and_then(|size| open.jpeg(size)) {
                prop_assert!(jpeg.len() < 700 + bytes);
            }
            if let Some(size) = open.size(Some((2048, 2048))) {
                let _ = open.splice(size);
            }
        }
    }
}
