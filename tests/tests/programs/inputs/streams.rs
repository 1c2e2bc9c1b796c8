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

#[test]
fn two_fields_in_a_packet_are_woven() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip.avi");
    let field = |seed| Oddities::none((96, 32), seed).write();
    let packets: Vec<_> = (0..9)
        .map(|seed| [field(seed), field(seed)].concat())
        .collect();
    let avi = Avi {
        size: (96, 64),
        rate: 25,
        pads: true,
        has_index: true,
    };
    fs::write(&path, avi.write(&packets)).unwrap();
    let (viewer, address) = recording();
    let sender = Start::new(SENDER, "").with([path.to_str().unwrap(), &address.to_string()]);
    let _ = sender.run().end().well();
    let (viewer, _) = recorded(viewer);
    assert_eq!(viewer.count("frames.intact"), 9);
    assert_eq!(
        (viewer.count("stream.width"), viewer.count("stream.height")),
        (96, 64)
    );
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
    ] {
        let mut stream = format!("YUV4MPEG2 W{width} H{height} F25:1 C{kind}\n").into_bytes();
        for frame in 0..9_u8 {
            stream.extend(b"FRAME\n");
            stream.extend(vec![100 + frame; samples]);
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
