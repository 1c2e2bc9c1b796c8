use std::io::Cursor;
use std::time::Duration;

use bytes::Bytes;
use framegram_media::Pixels;

use super::*;
use crate::encode::{Encoder, Settings};
use crate::source::Pattern;
use crate::stop::Stop;

fn request() -> Request {
    Request {
        size: None,
        rate: Some(10.0),
        pass_through: true,
        keep_broken: false,
        stop: Stop::new(),
        console: Arc::new(Console::new(true)),
    }
}

/// A folder for one test, deleted at its end.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    }
}

fn jpeg(number: u64) -> Bytes {
    let picture = Pattern::new(48, 32, 30.0).unwrap().picture(number).unwrap();
    let mut encoder = Encoder::new(Settings::default()).unwrap();
    encoder.encode(&Content::Image(picture)).unwrap().jpeg
}

fn png(image: &DynamicImage) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// `jpeg` with the EXIF orientation "rotate by 90 degrees clockwise".
fn turned(jpeg: &[u8]) -> Vec<u8> {
    let exif =
        b"\xFF\xE1\x00\x22Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    [&jpeg[..2], exif, &jpeg[2..]].concat()
}

#[test]
fn skips_and_counts_broken_stills() {
    let folder = Folder::new();
    let (one, two) = (jpeg(1), jpeg(2));
    folder.write("b.jpg", &two[..two.len() / 2]);
    folder.write("c.JPG", &two);
    folder.write("a.jpeg", &one);
    folder.write("d.png", b"not a png");
    folder.write("e.jpg", b"");
    folder.write("notes.txt", b"not a still at all");
    folder.write("._a.jpeg", b"no still, and not counted");
    let mut images = Images::folder(folder.0.path(), &request()).unwrap();
    for (jpeg, at) in [(one, 0), (two, 100)] {
        let captured = images.next().unwrap().unwrap();
        assert_eq!(captured.content, Content::Jpeg(jpeg));
        assert_eq!(captured.media_time, Some(Duration::from_millis(at)));
    }
    assert_eq!(images.next().unwrap(), None);
    assert_eq!(images.unreadable(), 3);
    assert!(images.rewind().unwrap());
    assert!(images.next().unwrap().is_some());
}

#[test]
fn fails_for_folders_without_a_still_and_for_one_broken_still() {
    let folder = Folder::new();
    assert!(Images::folder(folder.0.path(), &request()).is_err());
    let path = folder.write("a.png", b"nothing");
    assert!(Images::still(&path, &request()).next().is_err());
    assert!(
        Images::folder(folder.0.path(), &request())
            .unwrap()
            .next()
            .is_err()
    );
}

#[test]
fn decodes_png_with_and_without_alpha() {
    let folder = Folder::new();
    let rgb = image::RgbImage::from_pixel(3, 5, image::Rgb([200, 100, 50]));
    let rgba = image::RgbaImage::from_pixel(3, 5, image::Rgba([200, 100, 50, 0]));
    for (image, expected) in [
        (DynamicImage::from(rgb), [50_u8, 100, 200]),
        (DynamicImage::from(rgba), [0, 0, 0]),
    ] {
        let path = folder.write("a.png", &png(&image));
        let captured = Images::still(&path, &request()).next().unwrap().unwrap();
        let Content::Image(picture) = captured.content else {
            panic!("a PNG is no JPEG");
        };
        assert_eq!((picture.width(), picture.height()), (3, 5));
        assert_eq!(picture.pixels(), &Pixels::Bgr(expected.repeat(15).into()));
    }
}

#[test]
fn turns_a_still_that_was_taken_sideways() {
    let content = decode(turned(&jpeg(1)), Wanted::default()).unwrap();
    let Content::Image(picture) = content else {
        panic!("it went out as it was");
    };
    assert_eq!((picture.width(), picture.height()), (32, 48));
}
