//! Unusual JPEGs through both programs, from a folder into a Y4M file. Each is shown with the
//! samples that `djpeg` and FFmpeg decode.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use fastrand::Rng;
use framegram_media::y4m::write_frame;
use framegram_media::{Decoder, Planes};
use framegram_tests::odd_jpeg::{Oddities, SAMPLINGS};
use framegram_tests::program::{SENDER, Start, VIEWER};

use super::{address, djpeg};

/// The longest latency that there is. On busy processors the sender may pause within a frame for
/// longer than any that a person would choose, and the rest of the frame is late then.
const PATIENT: &str = "--latency 10s";

/// The greatest difference that FFmpeg's arithmetic makes.
const LEVELS: u8 = 3;

#[test]
fn unusual_jpegs_pass_through_both_programs_as_djpeg_and_ffmpeg_decode_them() {
    through_the_programs(0..9);
}

#[test]
#[ignore = "takes minutes: make test-long"]
fn thousands_of_unusual_jpegs_pass_through_both_programs() {
    through_the_programs(9..300);
}

/// Sends JPEGs chosen by seed, separately for each sampling, because a Y4M file has one sampling
/// and one size.
fn through_the_programs(seeds: std::ops::Range<u64>) {
    for (group, sampling) in SAMPLINGS.iter().enumerate() {
        let size = (33 + 5 * group, 61 - 3 * group);
        let odd: Vec<_> = seeds
            .clone()
            .map(|seed| {
                let mut odd = Oddities::draw(&mut Rng::with_seed(seed + 1_000 * group as u64));
                (odd.size, odd.sampling) = (size, sampling.to_vec());
                odd
            })
            .collect();
        compare(&odd, &recorded(&odd));
    }
}

/// The frames that the viewer records as Y4M, each with its header.
fn recorded(odd: &[Oddities]) -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    for (number, odd) in odd.iter().enumerate() {
        let name = format!("{number:04}.jpg");
        fs::write(folder.path().join(name), odd.write()).unwrap();
    }
    let address = address();
    let arguments = format!("--headless --once --output out.y4m {address} {PATIENT}");
    let mut viewer = Start::new(VIEWER, &arguments).run();
    viewer.wait_for("Waiting");
    let sender = Start::new(SENDER, "--fps 50")
        .with([folder.path().to_str().unwrap(), &address.to_string()]);
    let sent = sender.run().end().well();
    assert_eq!(sent.count("frames.unreadable"), 0, "{odd:?}");
    let file = fs::File::open(viewer.folder().join("out.y4m"));
    let ended = viewer.end().well();
    let intact = ended.count("frames.intact");
    assert_eq!(intact, odd.len() as u64, "{:#}", ended.report);
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut file.unwrap(), &mut bytes).unwrap();
    let header = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let frame = (bytes.len() - header) / odd.len();
    assert_eq!(header + frame * odd.len(), bytes.len(), "{odd:?}");
    bytes[header..].chunks(frame).map(<[u8]>::to_vec).collect()
}

fn compare(odd: &[Oddities], recorded: &[Vec<u8>]) {
    let mut decoder = Decoder::new().unwrap();
    for (odd, frame) in odd.iter().zip(recorded) {
        let (mut planes, mut own) = (Planes::default(), Vec::new());
        decoder.decode_planes(&odd.write(), &mut planes).unwrap();
        write_frame(&planes, &mut own).unwrap();
        assert!(own == *frame, "another picture: {odd:?}");
        let samples = &frame["FRAME\n".len()..];
        let luma = &samples[..planes.width * planes.height];
        let known = djpeg::run(&odd.for_djpeg().write(), &["-grayscale", "-pnm"]);
        let known = known.unwrap_or_else(|| panic!("djpeg decodes nothing of {odd:?}"));
        let known: Vec<u8> = known.0.iter().step_by(3).copied().collect();
        assert!(luma == known, "another luma than djpeg: {odd:?}");
        if let Some(known) = ffmpeg(odd) {
            let off = luma.iter().zip(&known).map(|(a, b)| a.abs_diff(*b)).max();
            assert!(off <= Some(LEVELS), "{off:?} from FFmpeg: {odd:?}");
        }
    }
}

/// The luma that FFmpeg decodes, if FFmpeg accepts the JPEG.
fn ffmpeg(odd: &Oddities) -> Option<Vec<u8>> {
    let plain = odd.stray.0.is_empty() && odd.stray.1.is_empty() && !odd.is_beyond_djpeg();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.jpg");
    fs::write(&file, odd.write()).unwrap();
    plain.then(|| luma(&file)).flatten()
}

fn luma(file: &Path) -> Option<Vec<u8>> {
    let output = Command::new("ffmpeg")
        .args(["-v", "quiet", "-i"])
        .arg(file)
        .args(["-vf", "extractplanes=y", "-f", "rawvideo", "-"])
        .stdin(Stdio::null())
        .output()
        .expect("the tests need ffmpeg");
    (!output.stdout.is_empty()).then_some(output.stdout)
}
