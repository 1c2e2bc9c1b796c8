//! Files of any name, and what stands for several of them.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;

use framegram_tests::odd_avi::Avi;

use super::*;

#[test]
fn a_file_of_any_name_plays() {
    let folder = tempfile::tempdir().unwrap();
    let avi = Avi {
        size: (96, 64),
        rate: 25,
        pads: true,
        has_index: true,
        coding: *b"MJPG",
    };
    let clip = avi.write(&frames(9));
    for name in [
        &b"2024-11-14T22:57:44.avi"[..],
        b"http:clip.avi",
        b"-clip.AVI",
        b"100%25.avi",
        b"\xff\xfe.avi",
        b"two\nlines.avi",
    ] {
        let path = folder.path().join(OsStr::from_bytes(name));
        fs::write(&path, &clip).unwrap();
        assert_eq!(played([&path], "").2, frames(9), "{path:?}");
    }
    for name in ["A.JPG", "b.jfif", "C.JFIF", "d.jpe", "no extension"] {
        let path = folder.path().join(name);
        fs::write(&path, &frames(1)[0]).unwrap();
        assert_eq!(played([&path], "").2, frames(1), "{path:?}");
    }
}

#[test]
fn a_url_of_a_file_is_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    fs::write(format!("{folder}/my photo.jpg"), &frames(1)[0]).unwrap();
    for url in [
        format!("file://{folder}/my%20photo.jpg"),
        format!("FILE://localhost{folder}/my%20photo.jpg"),
    ] {
        assert_eq!(played([&url], "").2, frames(1), "{url}");
    }
}

#[test]
fn a_row_of_stills_is_read_in_the_order_of_its_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let stills = frames(3);
    // By letters, the last one would be the second.
    for (number, still) in [1, 2, 10].into_iter().zip(&stills) {
        fs::write(folder.path().join(format!("img{number}.jpg")), still).unwrap();
    }
    fs::write(folder.path().join("img.jpg.part"), b"nothing").unwrap();
    for pattern in ["img%d.jpg", "*.jpg", "img??.jpg", "."] {
        let expected = if pattern.contains('?') {
            &stills[2..]
        } else {
            &stills[..]
        };
        let path: OsString = folder.path().join(pattern).into();
        assert_eq!(played([path], "").2, expected, "{pattern}");
    }
    let pattern = folder.path().join("photo%d.jpg");
    let sender = Start::new(SENDER, "").with([pattern.to_str().unwrap(), &address().to_string()]);
    let ended = sender.run().end();
    assert_eq!(ended.code, Some(1));
    assert!(ended.said.contains("no file matches"), "{}", ended.said);
}
