//! Pixels that are not square, and pictures that are turned or mirrored: how the viewer records
//! them as Y4M, beside FFmpeg.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use framegram_media::y4m::{Y4M_START, Y4mReader};

use super::*;

const SIZE: (usize, usize) = (96, 64);

/// Four quarters of different brightness, as Y4M.
fn quarters(parameters: &str) -> Vec<u8> {
    let (width, height) = SIZE;
    let mut frame = b"FRAME\n".to_vec();
    frame.extend((0..width * height).map(|at| {
        let (right, below) = (at % width >= width / 2, at / width >= height / 2);
        40 + 55 * u8::from(right) + 110 * u8::from(below)
    }));
    frame.resize(frame.len() + width * height / 2, 128);
    let head = format!("W{width} H{height} F25:1 C420jpeg {parameters}\n");
    [Y4M_START, head.as_bytes(), &frame.repeat(3)].concat()
}

/// Files in a folder of its own, drawn by FFmpeg from the quarters.
struct Drawn(tempfile::TempDir);

impl Drawn {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("quarters.y4m"), quarters("")).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Draws `to` from another file with these arguments.
    fn draw(&self, from: &str, arguments: &str, to: &str) -> PathBuf {
        let status = Command::new("ffmpeg")
            .args(["-v", "error", "-nostdin", "-i", from])
            .args(arguments.split_whitespace())
            .arg(to)
            .current_dir(&self.0)
            .status();
        assert!(status.expect("the tests need ffmpeg").success(), "{to}");
        self.path(to)
    }
}

/// Size of a Y4M, and the quarters of its first frame in reading order: `A` to `D` from the darkest
/// to the brightest.
fn seen(y4m: &[u8]) -> (usize, usize, String) {
    let mut reader = Y4mReader::new(y4m).unwrap();
    assert!(reader.next_frame().unwrap());
    let header = *reader.header();
    assert_eq!(header.aspect, (1, 1));
    let mut planes = vec![0; header.frame_bytes()];
    reader.read_planes(&mut planes).unwrap();
    let (width, height) = (header.width, header.height);
    let at = |x: usize, y: usize| planes[y * height / 4 * width + x * width / 4];
    let levels = [at(1, 1), at(3, 1), at(1, 3), at(3, 3)];
    let letter = |level: &u8| {
        let darker = levels.iter().filter(|other| *other < level);
        ["A", "B", "C", "D"][darker.count()]
    };
    (width, height, levels.iter().map(letter).collect())
}

/// The viewer that has recorded a file as `out.y4m`.
fn recorded_y4m(path: &Path) -> Ended {
    let address = address();
    let arguments = format!("--headless --once --output out.y4m {address} {PATIENT}");
    let mut viewer = Start::new(VIEWER, &arguments).run();
    viewer.wait_for("Waiting");
    let sender = Start::new(SENDER, "").with([path.as_os_str(), address.to_string().as_ref()]);
    let _ = sender.run().end().well();
    viewer.end().well()
}

/// The same of a file as the viewer records it.
fn shown(path: &Path) -> (usize, usize, String) {
    seen(&recorded_y4m(path).file("out.y4m"))
}

/// The same of a file as FFmpeg shows it.
fn shown_by_ffmpeg(path: &Path) -> (usize, usize, String) {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-i"])
        .arg(path)
        .args(["-vf", "scale=round(iw*sar):ih,setsar=1"])
        .args(["-pix_fmt", "yuv420p", "-f", "yuv4mpegpipe", "-"])
        .output();
    seen(&output.expect("the tests need ffmpeg").stdout)
}

#[test]
fn pixels_become_square_whoever_states_their_aspect() {
    let drawn = Drawn::new();
    let wide = drawn.path("wide.y4m");
    fs::write(&wide, quarters("A2:1")).unwrap();
    let mut files = vec![(wide, 192)];
    for (coding, kinds) in [
        (
            "libx264 -pix_fmt yuv420p",
            &["mp4", "mkv", "mov", "avi"][..],
        ),
        ("mjpeg -pix_fmt yuvj420p", &["mkv", "mov", "avi"]),
    ] {
        for kind in kinds {
            let name = |what: &str| format!("{what}-{}.{kind}", &coding[..5]);
            // The coded video states it, and the container.
            let coded = format!("-vf setsar=2 -c:v {coding}");
            files.push((drawn.draw("quarters.y4m", &coded, &name("coded")), 192));
            // Only the container.
            let plain = format!("-c:v {coding}");
            drawn.draw("quarters.y4m", &plain, &name("plain"));
            for (aspect, width) in [("3:1", 192), ("3:4", 48)] {
                let own = format!("-c copy -aspect {aspect}");
                let to = name(&format!("own{width}"));
                files.push((drawn.draw(&name("plain"), &own, &to), width));
            }
        }
    }
    for (path, width) in files {
        let expected = (width, 64, "ABCD".to_owned());
        assert_eq!(shown_by_ffmpeg(&path), expected, "FFmpeg, {path:?}");
        assert_eq!(shown(&path), expected, "{path:?}");
    }
}

#[test]
fn digital_video_of_camcorders_is_as_wide_as_its_tape() {
    let drawn = Drawn::new();
    for (size, coding, to, expected) in [
        ("720:576", "yuv420p -aspect 16:9", "pal.avi", (1024, 576)),
        ("720:576", "yuv420p -aspect 4:3", "pal.dv", (768, 576)),
        (
            "720:480",
            "yuv411p -aspect 4:3 -r 30000/1001",
            "ntsc.dv",
            (640, 480),
        ),
        (
            "720:480",
            "yuv411p -aspect 16:9 -r 30000/1001",
            "ntsc.mov",
            (853, 480),
        ),
    ] {
        let arguments = format!("-vf scale={size} -c:v dvvideo -pix_fmt {coding}");
        let path = drawn.draw("quarters.y4m", &arguments, to);
        let expected = (expected.0, expected.1, "ABCD".to_owned());
        assert_eq!(shown_by_ffmpeg(&path), expected, "FFmpeg, {to}");
        assert_eq!(shown(&path), expected, "{to}");
    }
}

/// The eight orientations: the number in EXIF, the matrix in MP4 that gives where a pixel's x and
/// its y go, and what comes of the quarters.
const ORIENTATIONS: [(u8, [i32; 4], &str); 8] = [
    (1, [1, 0, 0, 1], "ABCD"),
    (2, [-1, 0, 0, 1], "BADC"),
    (3, [-1, 0, 0, -1], "DCBA"),
    (4, [1, 0, 0, -1], "CDAB"),
    (5, [0, 1, 1, 0], "ACBD"),
    (6, [0, 1, -1, 0], "CADB"),
    (7, [0, -1, -1, 0], "DBCA"),
    (8, [0, -1, 1, 0], "BDAC"),
];

fn upright(number: u8, order: &str) -> (usize, usize, String) {
    let (width, height) = if number > 4 { (64, 96) } else { SIZE };
    (width, height, order.to_owned())
}

#[test]
fn stills_of_every_exif_orientation_are_upright() {
    let drawn = Drawn::new();
    let plain = drawn.draw("quarters.y4m", "-frames:v 1", "plain.jpg");
    let plain = fs::read(plain).unwrap();
    for (number, _, order) in ORIENTATIONS {
        for is_big in [false, true] {
            let path = drawn.path("turned.jpg");
            let segment = exif(number, is_big);
            fs::write(&path, [&plain[..2], &segment, &plain[2..]].concat()).unwrap();
            assert_eq!(shown(&path), upright(number, order), "{number}, {is_big}");
        }
    }
}

/// A segment with an orientation, in either byte order.
fn exif(number: u8, is_big: bool) -> Vec<u8> {
    let short = |value: u16| match is_big {
        true => value.to_be_bytes(),
        false => value.to_le_bytes(),
    };
    let long = |value: u32| match is_big {
        true => value.to_be_bytes(),
        false => value.to_le_bytes(),
    };
    let mut body = b"Exif\0\0".to_vec();
    body.extend(if is_big { b"MM" } else { b"II" });
    body.extend(short(42));
    body.extend(long(8));
    body.extend(short(1));
    // Tag, type "short", one value, padding; no further directory.
    body.extend(short(0x0112));
    body.extend(short(3));
    body.extend(long(1));
    body.extend(short(number.into()));
    body.extend([0; 6]);
    let len = (body.len() as u16 + 2).to_be_bytes();
    [&[0xff, 0xe1], &len[..], &body].concat()
}

#[test]
fn videos_of_every_orientation_are_upright() {
    let drawn = Drawn::new();
    for (aspect, name) in [("3:2", "plain.mp4"), ("3:1", "wide.mp4")] {
        let arguments = format!("-c:v libx264 -pix_fmt yuv420p -aspect {aspect}");
        let plain = fs::read(drawn.draw("quarters.y4m", &arguments, name)).unwrap();
        for (number, matrix, order) in ORIENTATIONS {
            let path = drawn.path("turned.mp4");
            fs::write(&path, turned(&plain, matrix)).unwrap();
            let mut expected = upright(number, order);
            if aspect == "3:1" {
                // The height stays.
                (expected.0, _) = if number > 4 { (32, 96) } else { (192, 64) };
            }
            assert_eq!(shown_by_ffmpeg(&path), expected, "FFmpeg, {number}, {name}");
            assert_eq!(shown(&path), expected, "{number}, {name}");
        }
    }
}

/// An MP4 file with this matrix in its track header (ISO/IEC 14496-12, 8.3.2).
fn turned(mp4: &[u8], [a, b, c, d]: [i32; 4]) -> Vec<u8> {
    /// Bytes from the box's name to the matrix.
    const MATRIX: usize = 44;
    let track = mp4.windows(4).position(|name| name == b"tkhd").unwrap();
    let matrix = [a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30];
    let matrix: Vec<u8> = matrix.into_iter().flat_map(i32::to_be_bytes).collect();
    let mut turned = mp4.to_vec();
    turned[track + MATRIX..][..matrix.len()].copy_from_slice(&matrix);
    turned
}

#[test]
fn frames_of_another_size_or_sampling_are_recorded_as_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stream.mjpeg");
    let mut stream = Vec::new();
    for seed in 0..9 {
        let size = if seed < 5 { SIZE } else { (64, 80) };
        let mut drawn = Oddities::none(size, seed);
        if seed == 8 {
            drawn.sampling = vec![(1, 1)];
        }
        stream.extend(drawn.write());
    }
    fs::write(&path, stream).unwrap();
    let viewer = recorded_y4m(&path);
    assert_eq!(viewer.count("frames.intact"), 9);
    let said = &viewer.said;
    assert!(said.contains("4 frames in out.y4m are converted"), "{said}");
    let y4m = viewer.file("out.y4m");
    let mut reader = Y4mReader::new(&y4m[..]).unwrap();
    let mut planes = vec![0; reader.header().frame_bytes()];
    let mut frames = 0;
    while reader.next_frame().unwrap() {
        reader.read_planes(&mut planes).unwrap();
        frames += 1;
    }
    assert_eq!((reader.header().width, reader.header().height), SIZE);
    assert_eq!(frames, 9);
}
