//! JPEGs as they occur: thousands of unusual ones, compared with libjpeg's own `djpeg`. What
//! `djpeg` decodes is a picture here too, and the same one.

use std::io::Write;
use std::process::{Command, Stdio};
use std::thread;

use fastrand::Rng;
use framegram_common::jpeg::clean;
use framegram_common::wire::{DEFAULT_DATAGRAM, Format};
use framegram_media::{Decoder, Image, Planes, Subsampling, vet};
use framegram_send::encode::{Encoder, Settings};
use framegram_send::source::Content;
use framegram_tests::odd_jpeg::{Oddities, coded_otherwise};

/// The number of JPEGs that are tried.
const TRIALS: u64 = 3_000;

/// RGB pixels, width and height, as decoded by `djpeg`. It prints warnings, but decodes
/// nevertheless.
fn djpeg(jpeg: &[u8]) -> Option<(Vec<u8>, usize, usize)> {
    run(jpeg, &["-ppm"])
}

/// The same in the colours that the arguments select.
pub(super) fn run(jpeg: &[u8], arguments: &[&str]) -> Option<(Vec<u8>, usize, usize)> {
    let mut child = Command::new("djpeg")
        .args(["-dct", "int"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the tests need the djpeg command of libjpeg-turbo-progs");
    let mut input = child.stdin.take().unwrap();
    let jpeg = jpeg.to_vec();
    let writer = thread::spawn(move || {
        // It may stop before it has read everything.
        let _ = input.write_all(&jpeg);
    });
    let output = child.wait_with_output().unwrap().stdout;
    writer.join().unwrap();
    let mut lines = output.splitn(4, |byte| *byte == b'\n');
    let kind = lines.next().filter(|kind| kind.starts_with(b"P"))?;
    let size = std::str::from_utf8(lines.next()?).unwrap();
    let (width, height) = size.split_once(' ').unwrap();
    let (width, height) = (width.parse().unwrap(), height.parse().unwrap());
    lines.next()?;
    let pixels = lines.next()?;
    let pixels: Vec<u8> = match kind {
        b"P5" => pixels.iter().flat_map(|gray| [*gray; 3]).collect(),
        _ => pixels.to_vec(),
    };
    (pixels.len() == 3 * width * height).then_some((pixels, width, height))
}

/// The same with the programs' decoder.
fn decoded(decoder: &mut Decoder, jpeg: &[u8]) -> Option<(Vec<u8>, usize, usize)> {
    let image = decoder.decode_whole(jpeg).ok()?;
    let pixels = image.pixels.iter().flat_map(|word| {
        let [_, red, green, blue] = word.to_be_bytes();
        [red, green, blue]
    });
    Some((pixels.collect(), image.width, image.height))
}

/// Distributes the seeds over as many threads as there are processors.
fn in_threads(try_one: impl Fn(u64) + Sync) {
    let threads = thread::available_parallelism().map_or(1, usize::from) as u64;
    let try_one = &try_one;
    thread::scope(|scope| {
        for first in 0..threads {
            scope.spawn(move || {
                (first..TRIALS).step_by(threads as usize).for_each(try_one);
            });
        }
    });
}

#[test]
fn jpegs_that_djpeg_decodes_give_the_same_picture() {
    in_threads(|seed| {
        let odd = Oddities::draw(&mut Rng::with_seed(seed));
        let jpeg = odd.write();
        let known = djpeg(&odd.for_djpeg().write());
        let known =
            known.unwrap_or_else(|| panic!("seed {seed}: djpeg decodes nothing of {odd:?}"));
        let mut decoder = Decoder::new().unwrap();
        let own = decoded(&mut decoder, &jpeg);
        assert_eq!(own.as_ref(), Some(&known), "seed {seed}: {odd:?}");
        // As it is sent, whatever source it came from.
        let sent = clean(&jpeg.into()).unwrap();
        assert!(vet(&sent, true).is_ok(), "seed {seed}: {odd:?}");
        assert!(sent.ends_with(&[0xff, 0xd9]), "seed {seed}: {odd:?}");
        assert_eq!(
            decoded(&mut decoder, &sent),
            Some(known),
            "seed {seed}: {odd:?}"
        );
        // As the other sinks write it.
        decoder
            .decode_planes(&sent, &mut Planes::default())
            .unwrap();
        decoder.check(&sent).unwrap();
    });
}

#[test]
fn other_kinds_of_coding_and_colours_are_decoded_as_djpeg_does() {
    in_threads(|seed| {
        if !seed.is_multiple_of(8) {
            return;
        }
        let (kind, jpeg) = coded_otherwise(&mut Rng::with_seed(seed)).unwrap();
        let known = djpeg(&jpeg);
        assert!(known.is_some(), "seed {seed}: {kind}");
        let mut decoder = Decoder::new().unwrap();
        assert_eq!(decoded(&mut decoder, &jpeg), known, "seed {seed}: {kind}");
        vet(&jpeg, true).unwrap();
        vet(&jpeg, false).unwrap();
        decoder
            .decode_planes(&jpeg, &mut Planes::default())
            .unwrap();
    });
}

#[test]
fn a_jpeg_that_lacks_at_most_one_row_is_a_picture() {
    in_threads(|seed| {
        let mut rng = Rng::with_seed(seed);
        let mut odd = Oddities::draw(&mut rng);
        odd.missing_rows = rng.usize(0..3).min(odd.rows());
        // A restart marker with an unexpected number cannot be distinguished from a gap, and an
        // interval that is not stated follows from the number of all markers.
        (odd.first_restart, odd.extra_restart) = (0, false);
        odd.states_restart = true;
        let sent = clean(&odd.write().into()).unwrap();
        let is_picture = odd.missing_rows <= 1;
        assert_eq!(vet(&sent, true).is_ok(), is_picture, "seed {seed}: {odd:?}");
        let mut decoder = Decoder::new().unwrap();
        let own = decoder.decode_whole(&sent).is_ok();
        assert_eq!(own, is_picture, "seed {seed}: {odd:?}");
        if odd.missing_rows > 0 {
            assert!(vet(&sent, false).is_err(), "seed {seed}: {odd:?}");
        }
    });
}

/// Waves with some noise on them.
fn waves(size: (usize, usize), subsampling: Subsampling, rng: &mut Rng) -> Image {
    let mut planes = Vec::with_capacity(subsampling.bytes(size.0, size.1));
    let chroma = subsampling.chroma(size.0, size.1);
    for (width, height) in [Some(size), chroma, chroma].into_iter().flatten() {
        let (slow, quick) = (rng.f64() / 40.0, rng.f64() / 4.0);
        for place in 0..width * height {
            let (x, y) = ((place % width) as f64, (place / width) as f64);
            let wave = 60.0 * (slow * (x + 2.0 * y)).sin() + 30.0 * (quick * (x - y)).sin();
            planes.push((128.0 + wave) as u8 + rng.u8(..8));
        }
    }
    Image::yuv(size.0, size.1, subsampling, planes.into()).unwrap()
}

/// The planes as FFmpeg decodes them.
fn planes_by_ffmpeg(jpeg: &[u8]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("frame.jpg");
    std::fs::write(&file, jpeg).unwrap();
    let output = Command::new("ffmpeg")
        .args([
            "-loglevel",
            "error",
            "-nostdin",
            "-f",
            "mjpeg",
            "-idct",
            "int",
            "-i",
        ])
        .arg(file)
        .args(["-f", "rawvideo", "-"])
        .output()
        .expect("the tests need the ffmpeg command");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
    output.stdout
}

/// Two exact decoders round the same sample to either side.
const ROUNDING: u8 = 2;

#[test]
fn what_the_encoder_makes_is_decoded_by_others_as_it_is_here() {
    let mut rng = Rng::with_seed(1);
    let mut decoder = Decoder::new().unwrap();
    for subsampling in [
        Subsampling::Yuv420,
        Subsampling::Yuv422,
        Subsampling::Yuv444,
        Subsampling::Gray,
    ] {
        for (size, format) in [
            ((640, 360), Format::Native),
            ((333, 251), Format::Native),
            ((64, 48), Format::Rtp),
        ] {
            let mut encoder = Encoder::new(Settings {
                slices: Some(DEFAULT_DATAGRAM),
                format,
                ..Settings::default()
            })
            .unwrap();
            // The first has the Huffman tables of T.81, the others their own.
            for frame in 0..3 {
                let image = waves(size, subsampling, &mut rng);
                let jpeg = encoder.encode(&Content::Image(image)).unwrap().jpeg;
                let case = format!("{subsampling:?} of {size:?}, frame {frame}");
                assert_eq!(decoded(&mut decoder, &jpeg), djpeg(&jpeg), "{case}");
                let mut planes = Planes::default();
                decoder.decode_planes(&jpeg, &mut planes).unwrap();
                let own: Vec<u8> = planes.rows().flatten().copied().collect();
                let theirs = planes_by_ffmpeg(&jpeg);
                assert_eq!(own.len(), theirs.len(), "{case}");
                let pairs = own.iter().zip(&theirs);
                let off = pairs.map(|(own, theirs)| own.abs_diff(*theirs)).max();
                assert!(off <= Some(ROUNDING), "{case}: off by {off:?}");
            }
        }
    }
}
