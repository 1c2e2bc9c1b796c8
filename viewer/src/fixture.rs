//! Pictures and folders for the tests beside the code.

use std::time::Duration;

use bytes::Bytes;
use framegram_common::FrameNumber;
use framegram_common::receiver::{FrameId, ReceivedFrame};
use turbojpeg::{Compressor, Image, PixelFormat, Subsamp};

/// A JPEG of quality 95 whose pixel at (x, y) is `colour(x, y)` in red, green, blue.
pub(crate) fn jpeg(
    width: usize,
    height: usize,
    subsamp: Subsamp,
    colour: impl Fn(usize, usize) -> [u8; 3],
) -> Vec<u8> {
    let pixels: Vec<u8> = (0..width * height)
        .flat_map(|i| colour(i % width, i / width))
        .collect();
    let mut compressor = Compressor::new().unwrap();
    compressor.set_quality(95).unwrap();
    compressor.set_subsamp(subsamp).unwrap();
    compressor
        .compress_to_vec(Image {
            pixels: pixels.as_slice(),
            width,
            pitch: width * 3,
            height,
            format: PixelFormat::RGB,
        })
        .unwrap()
}

/// Red, green, blue and white in the four quarters.
pub(crate) fn quadrants(width: usize, height: usize) -> Vec<u8> {
    jpeg(width, height, Subsamp::Sub2x2, |x, y| {
        match (x < width / 2, y < height / 2) {
            (true, true) => [255, 0, 0],
            (false, true) => [0, 255, 0],
            (true, false) => [0, 0, 255],
            (false, false) => [255, 255, 255],
        }
    })
}

/// A frame with these bytes, taken at 30 frames a second.
pub(crate) fn frame(number: u64, jpeg: &[u8]) -> ReceivedFrame {
    let captured = Duration::from_micros(1_000_000 * number / 30);
    ReceivedFrame {
        id: FrameId {
            stream: 1,
            number: FrameNumber(number),
        },
        jpeg: Bytes::copy_from_slice(jpeg),
        stale: Vec::new(),
        checked: false,
        captured,
        completed: captured,
    }
}

/// A folder of its own for one test, gone afterwards.
pub(crate) struct Folder(std::path::PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        let name = format!("framegram-view-{:016x}", framegram_common::os::random_u64());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
