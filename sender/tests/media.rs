//! Files as they occur, made by FFmpeg: their times, sizes and colours, and JPEGs that are sent
//! unchanged.
#![allow(clippy::unwrap_used, reason = "a test that cannot begin has failed")]

#[path = "media/colours.rs"]
mod colours;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use framegram_common::jpeg::Splitter;
use framegram_media::Decoder;
use framegram_send::console::Console;
use framegram_send::encode::{Encoder, Settings};
use framegram_send::source::{Captured, Content, Request, Source, Spec, needs_opencv, open};
use framegram_send::stop::Stop;
use tempfile::TempDir;

/// A file made by FFmpeg, in the test's own folder, which is deleted in the end.
struct Media {
    folder: TempDir,
    file: PathBuf,
}

impl Media {
    fn make(name: &str, arguments: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(name);
        ffmpeg(arguments, &file);
        Self { folder, file }
    }

    fn open(&self, pass_through: bool) -> Box<dyn Source> {
        open(&Spec::Path(self.file.clone()), &request(pass_through)).unwrap()
    }
}

fn ffmpeg(arguments: &str, file: &Path) {
    let status = Command::new("ffmpeg")
        .args(["-v", "error", "-y"])
        .args(arguments.split(' '))
        .arg(file)
        .stdin(Stdio::null())
        .status()
        .expect("the tests need the ffmpeg command");
    assert!(status.success(), "ffmpeg {arguments}");
}

fn request(pass_through: bool) -> Request {
    Request {
        size: None,
        rate: None,
        pass_through,
        keep_broken: false,
        stop: Stop::new(),
        console: Arc::new(Console::new(true)),
    }
}

fn read(source: &mut dyn Source) -> Vec<Captured> {
    std::iter::from_fn(|| source.next().unwrap()).collect()
}

fn times(frames: &[Captured]) -> Vec<u128> {
    let time = |frame: &Captured| frame.media_time.unwrap().as_millis();
    frames.iter().map(time).collect()
}

fn jpegs(frames: &[Captured]) -> Vec<Bytes> {
    let jpeg = |frame: &Captured| match &frame.content {
        Content::Jpeg(jpeg) => jpeg.clone(),
        Content::Image(_) => panic!("a JPEG was decoded"),
    };
    frames.iter().map(jpeg).collect()
}

/// Width, height and the middle pixel after encoding and decoding.
fn sent(frame: &Captured) -> (usize, usize, [u8; 3]) {
    let (pixels, width, height) = sent_pixels(frame);
    (width, height, pixels[height / 2 * width + width / 2])
}

/// All pixels after encoding and decoding, width and height.
fn sent_pixels(frame: &Captured) -> (Vec<[u8; 3]>, usize, usize) {
    let mut encoder = Encoder::new(Settings::default()).unwrap();
    let encoded = encoder.encode(&frame.content).unwrap();
    let decoded = Decoder::new().unwrap().decode_whole(&encoded.jpeg).unwrap();
    let colour = |pixel: u32| {
        let [_, red, green, blue] = pixel.to_be_bytes();
        [red, green, blue]
    };
    (
        decoded.pixels.into_iter().map(colour).collect(),
        decoded.width,
        decoded.height,
    )
}

#[track_caller]
fn assert_colour(got: [u8; 3], expected: [u8; 3]) {
    let off = got.iter().zip(expected).map(|(a, b)| a.abs_diff(b)).max();
    assert!(off <= Some(5), "{got:?}, not {expected:?}");
}

/// Five frames with an interval of a tenth of a second, then five with a third.
const UNEVEN: &str = "-f lavfi -i testsrc=s=160x120:r=10:d=1 -vf settb=1/1000,setpts=if(lt(N\\,5)\\,N*0.1\\,0.5+(N-5)*0.3)/TB -fps_mode vfr";

const UNEVEN_TIMES: [u128; 10] = [0, 100, 200, 300, 400, 500, 800, 1100, 1400, 1700];

#[track_caller]
fn assert_uneven(frames: &[Captured]) {
    let times = times(frames);
    assert_eq!(times.len(), UNEVEN_TIMES.len(), "{times:?}");
    for (got, expected) in times.iter().zip(UNEVEN_TIMES) {
        assert!(got.abs_diff(expected) <= 2, "{times:?}");
    }
}

#[test]
fn a_variable_frame_rate_is_kept() {
    for (name, codec) in [("uneven.mp4", "libx264"), ("uneven.mkv", "libx264")] {
        let media = Media::make(
            name,
            &format!("{UNEVEN} -c:v {codec} -enc_time_base 1:1000"),
        );
        assert_uneven(&read(media.open(true).as_mut()));
    }
}

#[test]
fn a_variable_frame_rate_is_kept_where_jpegs_pass_through() {
    for name in ["uneven.mov", "uneven-jpeg.mkv", "uneven-jpeg.mp4"] {
        let media = Media::make(name, &format!("{UNEVEN} -c:v mjpeg -enc_time_base 1:1000"));
        let frames = read(media.open(true).as_mut());
        assert_uneven(&frames);
        assert_eq!(jpegs(&frames).len(), 10);
    }
}

#[test]
fn the_jpegs_of_a_file_go_out_as_they_are() {
    let media = Media::make("a.avi", "-f lavfi -i testsrc=s=160x120:r=20:d=1 -c:v mjpeg");
    let stream = media.folder.path().join("a.mjpeg");
    let input = media.file.display();
    ffmpeg(&format!("-i {input} -c copy"), &stream);
    let mut splitter = Splitter::new();
    splitter.push(&fs::read(&stream).unwrap());
    let expected: Vec<_> = std::iter::from_fn(|| splitter.next_jpeg()).collect();
    assert_eq!(expected.len(), 20);

    let frames = read(media.open(true).as_mut());
    assert_eq!(jpegs(&frames), expected);
    let even: Vec<u128> = (0..20).map(|frame| frame * 50).collect();
    assert_eq!(times(&frames), even);

    let mut source = open(&Spec::Path(stream), &request(true)).unwrap();
    assert_eq!(jpegs(&read(source.as_mut())), expected);

    let moving = media.folder.path().join("a.mov");
    ffmpeg(&format!("-i {input} -c copy"), &moving);
    let mut source = open(&Spec::Path(moving), &request(false)).unwrap();
    assert_eq!(jpegs(&read(source.as_mut())), expected);
}

#[test]
fn a_recording_that_was_cut_off_keeps_its_complete_frames() {
    let media = Media::make(
        "sound.avi",
        "-f lavfi -i testsrc=s=160x120:r=20:d=1 -f lavfi -i sine=d=1 -c:v mjpeg -c:a pcm_s16le",
    );
    let spec = Spec::Path(media.file.clone());
    let mut source = open(&spec, &request(true)).unwrap();
    let whole = jpegs(&read(source.as_mut()));
    assert_eq!(whole.len(), 20);

    let bytes = fs::read(&media.file).unwrap();
    let cut = media.folder.path().join("cut.avi");
    fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    let mut source = open(&Spec::Path(cut), &request(true)).unwrap();
    let some = jpegs(&read(source.as_mut()));
    assert!((5..15).contains(&some.len()), "{}", some.len());
    assert_eq!(some, whole[..some.len()]);
}

#[test]
fn no_file_needs_opencv() {
    let media = Media::make(
        "other.avi",
        "-f lavfi -i testsrc=s=160x120:r=20:d=1 -c:v mpeg4",
    );
    let spec = Spec::Path(media.file.clone());
    assert!(!needs_opencv(&spec));
    let mut source = open(&spec, &request(true)).unwrap();
    assert_eq!(read(source.as_mut()).len(), 20);
    assert!(needs_opencv(&Spec::Camera("/dev/video0".into())));
}

#[test]
fn a_damaged_avi_file_is_read_as_far_as_it_goes() {
    let media = Media::make(
        "damaged.avi",
        "-f lavfi -i testsrc=s=64x48:r=9:d=1 -c:v mjpeg",
    );
    let bytes = fs::read(&media.file).unwrap();
    for seed in 0..500 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut damaged = bytes.clone();
        for _ in 0..rng.usize(1..20) {
            // The header is in front.
            let len = if rng.bool() { damaged.len() } else { 600 };
            damaged[rng.usize(..len)] = rng.u8(..);
        }
        fs::write(&media.file, damaged).unwrap();
        let spec = Spec::Path(media.file.clone());
        if let Ok(mut source) = open(&spec, &request(true)) {
            let frames = std::iter::from_fn(|| source.next().ok().flatten());
            assert!(frames.take(100).count() <= 9, "seed {seed}");
        }
    }
}

/// OpenCV 4.6.0 turns these files upside down (<https://github.com/opencv/opencv/issues/22088>).
#[test]
fn a_rotated_file_is_turned_as_ffmpeg_turns_it() {
    let media = Media::make(
        "flat.mp4",
        "-f lavfi -i testsrc=s=160x120:r=10:d=0.3 -c:v libx264 -pix_fmt yuv420p",
    );
    let input = media.file.display();
    for mark in [90, 180, 270] {
        let turned = media.folder.path().join(format!("turned-{mark}.mp4"));
        ffmpeg(
            &format!("-i {input} -c copy -metadata:s:v rotate={mark}"),
            &turned,
        );
        let upright = media.folder.path().join(format!("upright-{mark}.png"));
        ffmpeg(&format!("-i {} -frames:v 1", turned.display()), &upright);
        let [(got, width, height), (expected, ..)] = [turned, upright].map(|file| {
            let mut source = open(&Spec::Path(file), &request(true)).unwrap();
            sent_pixels(&source.next().unwrap().unwrap())
        });
        let lying = mark == 180;
        assert_eq!((width, height), if lying { (160, 120) } else { (120, 160) });
        let off = |(a, b): (&[u8; 3], &[u8; 3])| u64::from(a[1].abs_diff(b[1]));
        let off: u64 = got.iter().zip(&expected).map(off).sum();
        assert!(off / got.len() as u64 <= 5, "{mark} degrees");
    }
}

#[test]
fn colours_arrive_as_they_were() {
    let colour = [200, 90, 40];
    let source = "-f lavfi -i color=c=0xC85A28:s=162x122:r=5:d=0.4";
    for (name, kind) in [
        ("colour.mp4", "-c:v libx264 -pix_fmt yuv420p"),
        ("colour.avi", "-c:v mjpeg -pix_fmt yuvj420p"),
        ("colour.y4m", "-pix_fmt yuv420p"),
        ("colour-422.y4m", "-pix_fmt yuv422p"),
        ("colour-444.y4m", "-pix_fmt yuv444p"),
        ("colour-full.y4m", "-pix_fmt yuvj420p -strict -1"),
        ("colour.png", "-frames:v 1"),
        ("colour.jpg", "-frames:v 1 -pix_fmt yuvj444p"),
    ] {
        let media = Media::make(name, &format!("{source} {kind}"));
        let frames = read(media.open(false).as_mut());
        let (width, height, got) = sent(&frames[0]);
        assert_eq!((width, height), (162, 122), "{name}");
        assert_colour(got, colour);
    }
}

#[test]
fn odd_sizes_are_kept() {
    for (name, kind) in [
        ("odd.y4m", "-pix_fmt yuv420p"),
        ("odd-422.y4m", "-pix_fmt yuv422p"),
        ("odd.mp4", "-c:v libx264 -pix_fmt yuv444p"),
        ("odd.png", "-frames:v 1"),
    ] {
        let media = Media::make(
            name,
            &format!(
                "-f lavfi -i color=red:s=162x122:r=5:d=0.4 -vf format=rgb24,crop=161:121:exact=1 {kind}"
            ),
        );
        let (width, height, got) = sent(&read(media.open(true).as_mut())[0]);
        assert_eq!((width, height), (161, 121), "{name}");
        assert_colour(got, [254, 0, 0]);
    }
}

#[test]
fn times_grow_when_a_file_is_played_again() {
    for name in ["again.mp4", "again.avi", "again.y4m", "again.mjpeg"] {
        let codec = match name.rsplit_once('.').unwrap().1 {
            "mp4" => "-c:v libx264",
            "y4m" => "-pix_fmt yuv420p",
            _ => "-c:v mjpeg",
        };
        let media = Media::make(
            name,
            &format!("-f lavfi -i testsrc=s=64x48:r=25:d=0.2 {codec}"),
        );
        let mut source = media.open(true);
        let mut frames = read(source.as_mut());
        assert!(source.rewind().unwrap());
        frames.extend(read(source.as_mut()));
        let expected: Vec<u128> = (0..10).map(|frame| frame * 40).collect();
        assert_eq!(times(&frames), expected, "{name}");
    }
}

#[test]
fn a_requested_rate_overrides_the_timestamps() {
    let media = Media::make(
        "rate.mp4",
        &format!("{UNEVEN} -c:v libx264 -enc_time_base 1:1000"),
    );
    let asked = Request {
        rate: Some(50.0),
        ..request(true)
    };
    let mut source = open(&Spec::Path(media.file.clone()), &asked).unwrap();
    let expected: Vec<u128> = (0..10).map(|frame| frame * 20).collect();
    assert_eq!(times(&read(source.as_mut())), expected);
    assert_eq!(source.frame_rate(), Some(50.0));
    assert!(!source.is_live());
    let first = Duration::ZERO;
    assert!(source.rewind().unwrap());
    assert!(source.next().unwrap().unwrap().media_time > Some(first));
}
