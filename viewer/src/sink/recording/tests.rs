use framegram_cli::stop::Stop;
use framegram_media::Subsampling;

use super::*;
use crate::conceal::Concealer;
use crate::fixture::{Folder, at_start, decoding, frame, jpeg, quadrants};
use crate::report::live::Live;

fn create(path: &Path) -> Recording {
    let console = Arc::new(Console::new(true));
    Recording::create(
        path,
        RecordingFormat::of(path).unwrap(),
        None,
        &console,
        (&decoding(), &Threads::new(&Stop::new())),
    )
    .unwrap()
}

fn record(name: &str, jpegs: &[Vec<u8>]) -> (Vec<u8>, Vec<Shown>, anyhow::Result<()>) {
    let folder = Folder::new();
    let path = folder.path(name);
    let mut recording = create(&path);
    let live = Live::default();
    let status = at_start(&live);
    let shown = jpegs
        .iter()
        .enumerate()
        .map(|(i, jpeg)| recording.show(&frame(i as u64, jpeg), &status).unwrap())
        .collect();
    let finished = recording.finish();
    (std::fs::read(path).unwrap(), shown, finished)
}

#[test]
fn mjpeg_has_the_frames_as_received_without_undecodable_ones() {
    let mut damaged = frame_of_noise();
    damaged.truncate(damaged.len() / 2);
    let jpegs = [
        quadrants(64, 48),
        b"GIF89a".to_vec(),
        damaged,
        quadrants(32, 32),
    ];
    let (bytes, shown, finished) = record("a.mjpeg", &jpegs);
    let header = "\r\n--framegram\r\nContent-Type: image/jpeg\r\nX-Timestamp: 0.100000\r\n\r\n";
    let wanted = [jpegs[0].as_slice(), header.as_bytes(), &jpegs[3]];
    assert_eq!(bytes, wanted.concat());
    let broken = Shown::Undecodable;
    assert_eq!(shown, [Shown::Yes, broken, broken, Shown::Yes]);
    finished.unwrap();
}

fn frame_of_noise() -> Vec<u8> {
    jpeg(160, 120, Subsampling::Yuv420, |x, y| {
        [(x * 31 + y * 17) as u8, (x * y) as u8, 128]
    })
}

#[test]
fn a_full_disk_ends_the_recording_and_not_the_stream() {
    let console = Arc::new(Console::new(true));
    let threads = Threads::new(&Stop::new());
    let path = Path::new("/dev/full");
    let live = Live::default();
    let status = at_start(&live);
    let (jpeg, other) = (quadrants(64, 48), b"GIF89a");
    let window = Some(Duration::from_secs(10));
    for format in [RecordingFormat::Mjpeg, RecordingFormat::Y4m] {
        for (patience, shown) in [
            // The window shows them.
            (window, [Shown::Withheld, Shown::Withheld]),
            (None, [Shown::Yes, Shown::Undecodable]),
        ] {
            let owners = (&decoding(), &threads);
            let recording = Recording::create(path, format, patience, &console, owners);
            let mut recording = recording.unwrap();
            // Y4M needs the times of the first frames before it writes, and a thread writes.
            let mut numbers = 0..;
            while recording.failed.is_none() {
                let number = numbers.next().unwrap();
                recording.show(&frame(number, &jpeg), &status).unwrap();
                assert_eq!(recording.tend(&status).unwrap(), Flow::Continue);
            }
            let number = numbers.next().unwrap();
            let behind = recording.show(&frame(number, &jpeg), &status).unwrap();
            assert_eq!(behind, shown[0]);
            let behind = recording.show(&frame(number + 1, other), &status).unwrap();
            assert_eq!(behind, shown[1]);
            let told = format!("{:#}", recording.finish().unwrap_err());
            assert!(told.contains("cannot write output /dev/full"), "{told}");
        }
    }
}

#[test]
fn y4m_has_a_header_and_every_picture() {
    for frames in [1, 2, 9] {
        let jpegs = vec![quadrants(63, 47); frames];
        let (bytes, shown, finished) = record("a.y4m", &jpegs);
        finished.unwrap();
        assert_eq!(shown, vec![Shown::Yes; frames]);
        let end = bytes.iter().position(|&b| b == b'\n').unwrap() + 1;
        let rate = if frames == 1 { "F25:1" } else { "F30:1" };
        assert_eq!(
            std::str::from_utf8(&bytes[..end]).unwrap(),
            format!("YUV4MPEG2 W63 H47 {rate} Ip A1:1 C420jpeg XCOLORRANGE=FULL\n")
        );
        let picture = "FRAME\n".len() + 63 * 47 + 2 * 32 * 24;
        assert_eq!(bytes.len(), end + frames * picture);
        for picture in bytes[end..].chunks(picture) {
            assert!(picture.starts_with(b"FRAME\n"));
        }
    }
}

#[test]
fn y4m_fills_holes_from_the_picture_before() {
    for frames in [2, 9] {
        let mut frames: Vec<_> = (0..frames)
            .map(|number| {
                let grey = 10 * number as u8 + 40;
                frame(number, &jpeg(64, 48, Subsampling::Yuv420, |_, _| [grey; 3]))
            })
            .collect();
        // The uppermost of three rows is stale in all frames, the others never are.
        for frame in &mut frames {
            frame.stale.push(0..4);
        }
        let folder = Folder::new();
        let path = folder.path("a.y4m");
        let mut recording = create(&path);
        let live = Live::default();
        let status = at_start(&live);
        let (mut concealer, mut last) = (Concealer::default(), None);
        for mut frame in frames.clone() {
            concealer.conceal(&mut frame, last.as_ref());
            recording.show(&frame, &status).unwrap();
            last = Some(frame.jpeg);
        }
        recording.finish().unwrap();
        let bytes = std::fs::read(path).unwrap();
        let end = bytes.iter().position(|&b| b == b'\n').unwrap() + 1;
        let picture = "FRAME\n".len() + 64 * 48 * 3 / 2;
        let pictures = bytes[end..].chunks(picture);
        assert_eq!(pictures.len(), frames.len());
        for (number, picture) in pictures.enumerate() {
            let luma = &picture["FRAME\n".len()..][..64 * 48];
            let (upper, lower) = luma.split_at(64 * 16);
            let grey = 10 * number as u8 + 40;
            assert!(upper.iter().all(|sample| sample.abs_diff(40) < 3));
            assert!(lower.iter().all(|sample| sample.abs_diff(grey) < 3));
        }
    }
}

#[test]
fn y4m_converts_frames_of_another_size_or_sampling() {
    let flat = |width, height, subsampling| jpeg(width, height, subsampling, |_, _| [90; 3]);
    let mut jpegs = vec![flat(64, 48, Subsampling::Yuv420); 9];
    jpegs[2] = flat(31, 33, Subsampling::Yuv420);
    jpegs[5] = flat(64, 48, Subsampling::Yuv444);
    jpegs[7] = flat(640, 480, Subsampling::Gray);
    let (bytes, shown, finished) = record("a.y4m", &jpegs);
    finished.unwrap();
    assert_eq!(shown, vec![Shown::Yes; 9]);
    let end = bytes.iter().position(|&b| b == b'\n').unwrap() + 1;
    let picture = "FRAME\n".len() + 64 * 48 * 3 / 2;
    assert_eq!(bytes.len(), end + 9 * picture);
    for picture in bytes[end..].chunks(picture) {
        let (luma, chroma) = picture["FRAME\n".len()..].split_at(64 * 48);
        assert!(luma.iter().all(|sample| sample.abs_diff(90) < 2));
        assert!(chroma.iter().all(|sample| sample.abs_diff(128) < 2));
    }
}

#[test]
fn names_say_the_format() {
    assert_eq!(
        RecordingFormat::of(Path::new("a.MJPEG")).unwrap(),
        RecordingFormat::Mjpeg
    );
    assert_eq!(
        RecordingFormat::of(Path::new("b/a.y4m")).unwrap(),
        RecordingFormat::Y4m
    );
    assert!(RecordingFormat::of(Path::new("-")).is_err());
    assert!(RecordingFormat::of(Path::new("a.mp4")).is_err());
}
