//! Pictures and folders for unit tests.

use std::time::Duration;

use bytes::Bytes;
use framegram_cli::stop::Stop;
use framegram_cli::threads::Threads;
use framegram_common::receiver::{FrameId, ReceivedFrame};
use framegram_common::{FrameNumber, SenderTime};
use framegram_media::{Subsampling, XrgbImage};

use crate::decoding::DecodingThread;
use crate::report::live::Live;
use crate::sink::Status;

/// A decoding thread without a sandbox.
pub(crate) fn decoding() -> DecodingThread {
    DecodingThread::start(&Threads::new(&Stop::new())).unwrap()
}

/// A JPEG of quality 95 whose pixel at (x, y) is `colour(x, y)` in red, green, blue.
pub(crate) fn jpeg(
    width: usize,
    height: usize,
    subsampling: Subsampling,
    colour: impl Fn(usize, usize) -> [u8; 3],
) -> Vec<u8> {
    let pixels = (0..width * height).map(|i| {
        let [red, green, blue] = colour(i % width, i / width);
        u32::from_be_bytes([0, red, green, blue])
    });
    let image = XrgbImage {
        pixels: pixels.collect(),
        width,
        height,
    };
    image.to_jpeg(95, subsampling).unwrap()
}

/// Red, green, blue and white in the four quarters.
pub(crate) fn quadrants(width: usize, height: usize) -> Vec<u8> {
    jpeg(width, height, Subsampling::Yuv420, |x, y| {
        match (x < width / 2, y < height / 2) {
            (true, true) => [255, 0, 0],
            (false, true) => [0, 255, 0],
            (true, false) => [0, 0, 255],
            (false, false) => [255, 255, 255],
        }
    })
}

/// A frame with these bytes, captured at 30 frames per second.
pub(crate) fn frame(number: u64, jpeg: &[u8]) -> ReceivedFrame {
    let captured = 1_000_000 * number / 30;
    ReceivedFrame {
        id: FrameId {
            session: 1,
            stream: 1,
            number: FrameNumber(number),
        },
        jpeg: Bytes::copy_from_slice(jpeg),
        tile: 0,
        stale: Vec::new(),
        checked: false,
        captured: SenderTime::from_micros(captured),
        completed: Duration::from_micros(captured),
    }
}

/// A folder for one test, deleted afterwards.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }
}

/// The JSON report in a page.
pub(crate) fn embedded(page: &str) -> serde_json::Value {
    let (_, rest) = page.split_once("id=\"report\">").unwrap();
    let (json, _) = rest.split_once("</script>").unwrap();
    serde_json::from_str(json).unwrap()
}

/// What a sink displays at the start of a run.
pub(crate) fn at_start(live: &Live) -> Status<'_> {
    Status {
        now: Duration::ZERO,
        live,
        ended: None,
        tiles: &[],
    }
}
