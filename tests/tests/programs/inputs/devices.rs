//! JPEGs with what devices and phones do to them, through every door and with the
//! flags that decode them.

use std::fs;

use framegram_tests::odd_avi::Avi;

use super::*;

const SIZE: (usize, usize) = (192, 128);

/// What is odd about them, by name.
fn kinds() -> Vec<(&'static str, Oddities)> {
    let with = |change: fn(&mut Oddities)| {
        let mut odd = Oddities::none(SIZE, 1);
        change(&mut odd);
        odd
    };
    vec![
        (
            "stray bytes before restarts",
            with(|odd| (odd.restart, odd.stray.0) = (4, vec![0x55; 5])),
        ),
        (
            "restarts without an interval",
            with(|odd| (odd.restart, odd.states_restart) = (4, false)),
        ),
        (
            "stray bytes before the end",
            with(|odd| odd.stray.1 = vec![0x55; 9]),
        ),
        (
            "an old version of JFIF",
            with(|odd| odd.jfif = Some([2, 1])),
        ),
        ("no end", with(|odd| odd.has_end = false)),
        ("tables left out", with(|odd| odd.has_tables = false)),
        (
            "4:4:0",
            with(|odd| odd.sampling = vec![(1, 2), (1, 1), (1, 1)]),
        ),
        ("height behind the scan", with(|odd| odd.late_height = true)),
    ]
}

fn nine(odd: &Oddities) -> Vec<Vec<u8>> {
    let odd = (0..9).map(|seed| {
        Oddities {
            seed,
            ..odd.clone()
        }
        .write()
    });
    odd.collect()
}

#[test]
fn what_devices_write_is_decoded_and_sent_with_every_flag() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stream.mjpeg");
    for (what, odd) in kinds() {
        fs::write(&path, nine(&odd).concat()).unwrap();
        let flags = [
            "",
            "--quality 70",
            "--size 96x64",
            "--timecode",
            "--max-frame-bytes 3000",
        ];
        for flags in flags {
            let (sender, viewer, _) = played([&path], flags);
            let counts = ["frames.sent", "frames.unreadable"].map(|of| sender.count(of));
            assert_eq!(counts, [9, 0], "{what}, {flags}");
            assert_eq!(viewer.count("frames.intact"), 9, "{what}, {flags}");
        }
    }
}

#[test]
fn what_devices_write_comes_from_a_still_and_an_avi() {
    let folder = tempfile::tempdir().unwrap();
    let [still, clip] = ["still.jpg", "clip.avi"].map(|name| folder.path().join(name));
    for (what, odd) in kinds() {
        fs::write(&still, odd.write()).unwrap();
        let avi = Avi {
            size: (SIZE.0 as u32, SIZE.1 as i32),
            rate: 25,
            pads: true,
            has_index: true,
            coding: *b"MJPG",
        };
        fs::write(&clip, avi.write(&nine(&odd))).unwrap();
        for (path, count) in [(&still, 1), (&clip, 9)] {
            let (sender, viewer, _) = played([path], "");
            assert_eq!(sender.count("frames.unreadable"), 0, "{what}, {path:?}");
            assert_eq!(viewer.count("frames.intact"), count, "{what}, {path:?}");
        }
    }
}

#[test]
fn what_lies_behind_the_picture_of_a_phone_is_not_sent() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("photo.jpg");
    let photo = &frames(1)[0];
    let film = [&b"MotionPhoto_Data\0\0\0 ftypmp42"[..], &[7; 300_000]].concat();
    fs::write(&path, [&photo[..], &film].concat()).unwrap();
    assert_eq!(played([&path], "").2, frames(1));
}

#[test]
fn a_photo_that_is_too_large_is_scaled_where_a_size_is_given() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["photo.jpg", "photo.png"] {
        let path = folder.path().join(name);
        let status = std::process::Command::new("ffmpeg")
            .args(["-v", "error", "-f", "lavfi", "-i", "color=red:s=8000x6000"])
            .args(["-frames:v", "1"])
            .arg(&path)
            .status();
        assert!(status.expect("the tests need ffmpeg").success());
        let (_, viewer, _) = played([&path], "--size 640x480");
        assert_eq!(viewer.count("stream.width"), 640, "{name}");
        assert_eq!(viewer.count("frames.intact"), 1, "{name}");
        let plain = Start::new(SENDER, "").with([path.to_str().unwrap(), &address().to_string()]);
        let ended = plain.run().end();
        assert_eq!(ended.code, Some(1), "{name}");
        assert!(ended.said.contains("--size"), "{}", ended.said);
    }
}

/// With the EXIF orientation "rotate by 90 degrees clockwise".
fn sideways(seed: u64) -> Vec<u8> {
    let mut odd = Oddities::none((96, 64), seed);
    let exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    odd.applications = vec![(0xe1, exif.to_vec())];
    odd.write()
}

#[test]
fn a_phone_that_is_held_upright_sends_upright_frames() {
    let folder = tempfile::tempdir().unwrap();
    let [still, stream] = ["still.jpg", "stream.mjpeg"].map(|name| folder.path().join(name));
    fs::write(&still, sideways(1)).unwrap();
    fs::write(&stream, (0..9).flat_map(sideways).collect::<Vec<_>>()).unwrap();
    for path in [&still, &stream] {
        let (_, viewer, _) = played([path], "");
        let size = ["stream.width", "stream.height"].map(|side| viewer.count(side));
        assert_eq!(size, [64, 96], "{path:?}");
    }
}

#[test]
fn restarts_that_are_announced_and_not_made_and_segments_without_an_end_are_passed_over() {
    let mut stream = Vec::new();
    for (number, jpeg) in frames(9).into_iter().enumerate() {
        let odd: &[u8] = match number % 2 {
            // A restart interval.
            0 => &[0xff, 0xdd, 0, 4, 0, 3],
            // An application segment, as long as can be.
            _ => &[0xff, 0xe4, 0xff, 0xff],
        };
        stream.push([&jpeg[..2], odd, &jpeg[2..]].concat());
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stream.mjpeg");
    fs::write(&path, stream.concat()).unwrap();
    let (sender, viewer, jpegs) = played([&path], "");
    assert_eq!(sender.count("frames.unreadable"), 0);
    assert_eq!(viewer.count("frames.intact"), 9);
    // What the segment was is gone.
    assert_eq!(jpegs[1], frames(2)[1]);
}
