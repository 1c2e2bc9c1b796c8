//! Streams on standard input and recordings, as scripts and recorders write them.

use std::fs;

use framegram_tests::odd_avi::Avi;
use framegram_tests::program::until;
use nix::sys::signal::Signal;

use super::*;

const SIZE: (usize, usize) = (96, 64);

/// Sends `stream` from standard input. Returns the ended sender and the received JPEGs.
fn piped(stream: &[u8]) -> (Ended, Vec<Bytes>) {
    let (viewer, address) = recording();
    let mut sender = Start::new(SENDER, &format!("--fps 25 - {address}"))
        .piped()
        .run();
    sender.input().unwrap().write_all(stream).unwrap();
    let sender = sender.end().well();
    let (viewer, jpegs) = recorded(viewer);
    assert_eq!(viewer.count("frames.intact"), jpegs.len() as u64);
    (sender, jpegs)
}

/// Separates the segments with these markers from the rest of the JPEG.
fn split(jpeg: &[u8], markers: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (mut taken, mut left) = (Vec::new(), jpeg[..2].to_vec());
    let mut at = 2;
    loop {
        let len = 2 + usize::from(u16::from_be_bytes([jpeg[at + 2], jpeg[at + 3]]));
        let (marker, segment) = (jpeg[at + 1], &jpeg[at..at + len]);
        if marker == 0xda {
            left.extend_from_slice(&jpeg[at..]);
            return (taken, left);
        }
        let to = if markers.contains(&marker) {
            &mut taken
        } else {
            &mut left
        };
        to.extend_from_slice(segment);
        at += len;
    }
}

#[test]
fn tables_that_come_before_the_images_are_those_of_each() {
    let mut stream = Vec::new();
    for (number, jpeg) in frames(9).iter().enumerate() {
        let (tables, image) = split(jpeg, &[0xdb, 0xc4]);
        if number == 0 {
            stream = [&[0xff, 0xd8], &tables[..], &[0xff, 0xd9]].concat();
        }
        stream.extend(image);
    }
    let (sender, jpegs) = piped(&stream);
    assert_eq!(sender.count("frames.sent"), 9);
    assert_eq!(sender.count("frames.unreadable"), 0);
    let scan = |jpeg: &[u8]| split(jpeg, &[0xdb, 0xc4, 0xe0, 0xc0]).1;
    for (jpeg, whole) in jpegs.iter().zip(frames(9)) {
        assert_eq!(scan(jpeg), scan(&whole));
    }
}

#[test]
fn a_jpeg_that_breaks_off_within_its_tables_costs_no_other() {
    let frames = frames(9);
    let tables = frames[4].windows(2).position(|at| at == [0xff, 0xc4]);
    let cut = &frames[4][..tables.unwrap() + 30];
    let stream = [&frames[..4].concat(), cut, &frames[5..].concat()].concat();
    let (sender, jpegs) = piped(&stream);
    assert_eq!(sender.count("frames.unreadable"), 1);
    assert_eq!(jpegs, [&frames[..4], &frames[5..]].concat());
}

#[test]
fn text_before_the_first_jpeg_is_skipped() {
    let junk = [
        b"Opening the camera ...\n640x480\n".to_vec(),
        (0..5_000_u32).map(|at| (at * at % 251) as u8).collect(),
        frames(1)[0][200..].to_vec(),
    ];
    for junk in junk {
        let stream = [&junk[..], &frames(9).concat()].concat();
        let (sender, jpegs) = piped(&stream);
        assert_eq!(jpegs, frames(9));
        // FFmpeg's own messages are not repeated.
        assert!(!sender.said.contains(" @ 0x"), "{}", sender.said);
    }
}

#[test]
fn an_avi_is_as_large_as_its_jpegs_whatever_its_header_says() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip.avi");
    for size in [(96, 64), (96, 128), (192, 128), (48, 32), (96, -64), (0, 0)] {
        for (pads, has_index) in [(true, true), (false, false)] {
            let avi = Avi {
                size,
                rate: 25,
                pads,
                has_index,
                coding: *b"MJPG",
            };
            fs::write(&path, avi.write(&frames(9))).unwrap();
            let (viewer, address) = recording();
            let sender =
                Start::new(SENDER, "").with([path.to_str().unwrap(), &address.to_string()]);
            let sender = sender.run().end().well();
            assert_eq!(sender.count("frames.sent"), 9, "{avi:?}");
            assert_eq!(recorded(viewer).1, frames(9), "{avi:?}");
        }
    }
}

/// One field of interlaced video, as a capture card writes it.
fn field(seed: u64, polarity: u8, has_end: bool) -> Vec<u8> {
    let mut odd = Oddities::none((96, 32), seed);
    odd.jfif = None;
    odd.applications = vec![(0xe0, [b"AVI1", &[polarity; 10][..]].concat())];
    odd.has_end = has_end;
    odd.write()
}

#[test]
fn two_fields_are_woven_in_one_packet_or_two_and_without_their_ends() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip.avi");
    let plain = |seed| Oddities::none((96, 32), seed).write();
    let pair = |fields: [Vec<u8>; 2]| fields.concat();
    for (what, packets) in [
        (
            "without a word",
            (0..9)
                .map(|seed| pair([plain(seed), plain(seed)]))
                .collect(),
        ),
        (
            "with a segment",
            (0..9)
                .map(|seed| pair([1, 2].map(|of| field(seed, of, true))))
                .collect(),
        ),
        (
            "without ends",
            (0..9)
                .map(|seed| pair([1, 2].map(|of| field(seed, of, false))))
                .collect(),
        ),
        (
            "by themselves",
            (0..18)
                .map(|seed| field(seed / 2, 1 + seed as u8 % 2, true))
                .collect::<Vec<_>>(),
        ),
    ] {
        let avi = Avi {
            size: (96, 64),
            rate: 25,
            pads: true,
            has_index: true,
            coding: *b"MJPG",
        };
        fs::write(&path, avi.write(&packets)).unwrap();
        let (sender, viewer, _) = played([&path], "");
        assert_eq!(sender.count("frames.unreadable"), 0, "{what}");
        assert_eq!(viewer.count("frames.intact"), 9, "{what}");
        let size = ["stream.width", "stream.height"].map(|side| viewer.count(side));
        assert_eq!(size, [96, 64], "{what}");
    }
}

#[test]
fn an_avi_whose_coding_has_a_name_of_its_own_plays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip.avi");
    let avi = Avi {
        size: SIZE_OF_AVI,
        rate: 25,
        pads: true,
        has_index: true,
        coding: *b"OWNJ",
    };
    fs::write(&path, avi.write(&frames(9))).unwrap();
    assert_eq!(played([&path], "").2, frames(9));
}

/// As an AVI's header says it.
const SIZE_OF_AVI: (u32, i32) = (96, 64);

#[test]
fn files_that_are_read_back_in_come_through_a_pipe() {
    let folder = tempfile::tempdir().unwrap();
    for (name, coding) in [
        ("clip.mp4", "libx264 -pix_fmt yuv420p"),
        ("clip.mov", "mjpeg -pix_fmt yuvj420p"),
        ("clip.gif", "gif"),
    ] {
        let path = folder.path().join(name);
        let arguments = format!("-v error -f lavfi -i testsrc=s=96x64:r=25:d=0.36 -c:v {coding}");
        let status = std::process::Command::new("ffmpeg")
            .args(arguments.split_whitespace())
            .arg(&path)
            .status();
        assert!(status.expect("the tests need ffmpeg").success());
        let (sender, jpegs) = piped(&fs::read(&path).unwrap());
        assert_eq!((sender.count("frames.sent"), jpegs.len()), (9, 9), "{name}");
    }
}

#[test]
fn y4m_of_every_sampling_is_converted() {
    let (width, height) = SIZE;
    let luma = width * height;
    for (kind, samples) in [
        ("410", luma + luma / 8),
        ("411", luma + luma / 2),
        ("420paldv", luma + luma / 2),
        ("422", 2 * luma),
        ("440", 2 * luma),
        ("444alpha", 4 * luma),
        ("mono", luma),
        ("420jpeg\r", luma + luma / 2),
    ] {
        let mut stream = format!("YUV4MPEG2 W{width} H{height} F25:1 C{kind}\n").into_bytes();
        for frame in 0..9_u8 {
            let end = if kind.ends_with('\r') { "\r\n" } else { "\n" };
            stream.extend(format!("FRAME{end}").bytes());
            stream.extend(vec![100 + frame; samples]);
            if frame == 4 {
                // One follows another.
                stream.extend(format!("YUV4MPEG2 W{width} H{height} F25:1 C{kind}\n").bytes());
            }
        }
        let (sender, jpegs) = piped(&stream);
        assert_eq!((sender.count("frames.sent"), jpegs.len()), (9, 9), "{kind}");
    }
}

#[test]
fn a_recording_whose_viewer_was_killed_plays() {
    let (mut viewer, address) = recording();
    let sender = Start::new(SENDER, &format!("--fps 50 --loop pattern:96x64 {address}")).run();
    let file = viewer.folder().join("out.mjpeg");
    let copy = tempfile::tempdir().unwrap();
    let path = copy.path().join("copy.mjpeg");
    viewer.wait_for("Following");
    until("ten frames in the recording", || {
        let bytes = fs::read(&file).ok()?;
        (in_recording(&bytes).len() > 10).then_some(())
    });
    viewer.signal(Signal::SIGKILL);
    until("the recording to stand still", || {
        let before = fs::read(&file).ok()?;
        thread::sleep(INTERVAL);
        (fs::read(&file).ok()? == before).then_some(())
    });
    fs::copy(&file, &path).unwrap();
    sender.signal(Signal::SIGINT);
    let _ = sender.end().well();
    let (viewer, address) = recording();
    let sender = Start::new(SENDER, "").with([path.to_str().unwrap(), &address.to_string()]);
    let sender = sender.run().end().well();
    assert!(sender.count("frames.sent") > 10);
    assert_eq!(recorded(viewer).1.len() as u64, sender.count("frames.sent"));
}

#[test]
fn jpegs_that_libjpeg_refuses_are_decoded_by_ffmpeg() {
    let mut stream = Vec::new();
    for seed in 0..9 {
        let mut odd = Oddities::none(SIZE, seed);
        // Twelve blocks per minimum coded unit.
        odd.sampling = vec![(2, 2); 3];
        stream.extend(odd.write());
    }
    let (sender, jpegs) = piped(&stream);
    assert_eq!(sender.count("frames.unreadable"), 0);
    assert_eq!(jpegs.len(), 9);
}
