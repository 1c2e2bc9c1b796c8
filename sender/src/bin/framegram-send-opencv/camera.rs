//! Cameras, through OpenCV's V4L2 backend.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use bytes::Bytes;
use framegram_media::{Image, Pool};
use framegram_net::clock;
use framegram_send::console::Console;
use framegram_send::source::{Captured, Content, Request, Source};
use framegram_send::stop::Stop;
use opencv::core::{Mat, MatTraitConst, MatTraitConstManual, Vector};
use opencv::videoio::{self, VideoCapture, VideoCaptureTrait, VideoCaptureTraitConst};

/// How often a disconnected camera is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// A driver's timestamp older than this is not on our clock.
const OLDEST_STAMP: Duration = Duration::from_secs(1);

/// Packets without a JPEG before a camera counts as broken: the first ones of a camera often are.
const MOST_EMPTY: u32 = 30;

/// A camera. One that is disconnected is opened again when it returns.
pub(super) struct CameraSource {
    device: PathBuf,
    wish: Wish,
    opened: Option<Opened>,
    pictures: Mats,
    unreadable: u64,
    stop: Stop,
    console: Arc<Console>,
}

/// The settings to request each time that the camera is opened.
#[derive(Clone, Copy)]
struct Wish {
    size: Option<(usize, usize)>,
    rate: Option<f64>,
    pass_through: bool,
}

struct Opened {
    capture: VideoCapture,
    /// The camera delivers JPEGs, not pixels.
    jpeg: bool,
    rate: Option<f64>,
}

impl CameraSource {
    /// Opens a camera by its device.
    ///
    /// # Errors
    /// If there is none, or it cannot be opened.
    pub(super) fn open(device: &Path, request: &Request) -> Result<Self> {
        let name = device.display();
        if !device.exists() {
            bail!("there is no camera at {name}: framegram-send cameras lists them");
        }
        let wish = Wish {
            size: request.size,
            rate: request.rate,
            pass_through: request.pass_through,
        };
        let Some(opened) = open(device, wish) else {
            bail!(
                "the camera at {name} cannot be opened: another program uses it, or you are not in the group video"
            );
        };
        let camera = Self {
            device: device.into(),
            wish,
            opened: Some(opened),
            pictures: Mats::default(),
            unreadable: 0,
            stop: request.stop.clone(),
            console: Arc::clone(&request.console),
        };
        camera.say_what_it_gives();
        Ok(camera)
    }

    fn say_what_it_gives(&self) {
        let Some(opened) = &self.opened else { return };
        let side = |property| get_or_zero(&opened.capture, property) as usize;
        let width = side(videoio::CAP_PROP_FRAME_WIDTH);
        let height = side(videoio::CAP_PROP_FRAME_HEIGHT);
        let rate = opened
            .rate
            .map_or(String::new(), |rate| format!(" at {rate:.4} frames/s"));
        let kind = if opened.jpeg {
            "its own JPEGs"
        } else {
            "pixels"
        };
        let scaled = match self.wish.size {
            Some(asked) if asked != (width, height) => ", scaled to the requested size",
            _ => "",
        };
        self.console.say(&format!(
            "{} gives {width}x{height}{rate}, {kind}{scaled}",
            self.device.display()
        ));
    }

    /// Waits for the camera to return; `false` if the stream ends first.
    fn reopen(&mut self) -> bool {
        let name = self.device.display().to_string();
        self.opened = None;
        self.console
            .say(&format!("the camera at {name} is gone; waiting for it"));
        while !self.stop.wait(RETRY) {
            if !self.device.exists() {
                continue;
            }
            if let Some(opened) = open(&self.device, self.wish) {
                self.opened = Some(opened);
                self.console.say(&format!("the camera at {name} is back"));
                return true;
            }
        }
        false
    }
}

impl Source for CameraSource {
    fn next(&mut self) -> Result<Option<Captured>> {
        let mut empty = 0;
        loop {
            if self.stop.is_stopped() {
                return Ok(None);
            }
            let Some(opened) = &mut self.opened else {
                if self.reopen() {
                    continue;
                }
                return Ok(None);
            };
            let mut mat = self.pictures.take();
            let grabbed = opened.capture.grab().unwrap_or(false);
            let taken = taken(&opened.capture, clock::now());
            let read = grabbed && opened.capture.retrieve(&mut mat, 0).unwrap_or(false);
            if !read || mat.empty() {
                if self.stop.is_stopped() || !self.reopen() {
                    return Ok(None);
                }
                continue;
            }
            let content = if opened.jpeg {
                as_jpeg(&mat).map(|jpeg| Content::Jpeg(Bytes::copy_from_slice(jpeg)))
            } else {
                Some(self.pictures.picture(mat)?)
            };
            if let Some(content) = content {
                return Ok(Some(Captured {
                    content,
                    media_time: None,
                    taken: Some(taken),
                }));
            }
            self.unreadable += 1;
            empty += 1;
            if empty > MOST_EMPTY {
                bail!(
                    "the camera at {} delivers no complete JPEGs: encode its pixels instead, with --quality 80",
                    self.device.display()
                );
            }
        }
    }

    fn is_live(&self) -> bool {
        true
    }

    fn unreadable(&self) -> u64 {
        self.unreadable
    }

    fn frame_rate(&self) -> Option<f64> {
        self.opened.as_ref()?.rate
    }
}

/// When the driver says that the frame was captured, if that is plausible, otherwise now.
fn taken(capture: &VideoCapture, now: Duration) -> Duration {
    let milliseconds = get_or_zero(capture, videoio::CAP_PROP_POS_MSEC);
    match Duration::try_from_secs_f64(milliseconds / 1000.0) {
        Ok(stamp) if stamp <= now && now - stamp < OLDEST_STAMP => stamp,
        _ => now,
    }
}

fn open(device: &Path, wish: Wish) -> Option<Opened> {
    let mut capture =
        VideoCapture::from_file_with_params(device, videoio::CAP_V4L2, &Vector::new()).ok()?;
    if !capture.is_opened().unwrap_or(false) {
        return None;
    }
    // Each setting is a request; the result is read back. JPEGs are requested even if they are
    // decoded here: many cameras reach their full rate only with them.
    let mut wish_for = |property, value| {
        let _ = capture.set(property, value);
    };
    if let Ok(code) = videoio::VideoWriter::fourcc('M', 'J', 'P', 'G') {
        wish_for(videoio::CAP_PROP_FOURCC, f64::from(code));
    }
    if let Some((width, height)) = wish.size {
        wish_for(videoio::CAP_PROP_FRAME_WIDTH, width as f64);
        wish_for(videoio::CAP_PROP_FRAME_HEIGHT, height as f64);
    }
    if let Some(rate) = wish.rate {
        wish_for(videoio::CAP_PROP_FPS, rate);
    }
    let jpeg = wish.pass_through
        && fourcc(&capture) == *b"MJPG"
        && capture
            .set(videoio::CAP_PROP_CONVERT_RGB, 0.0)
            .unwrap_or(false);
    let rate = Some(get_or_zero(&capture, videoio::CAP_PROP_FPS)).filter(|rate| *rate > 0.0);
    Some(Opened {
        capture,
        jpeg,
        rate,
    })
}

/// OpenCV's matrices for pictures, which are reused.
#[derive(Default)]
struct Mats {
    idle: Pool<MatPixels>,
}

impl Mats {
    /// A matrix to read into.
    fn take(&self) -> Mat {
        self.idle.take().map(|pixels| pixels.0).unwrap_or_default()
    }

    /// The content of a matrix, without a copy.
    fn picture(&self, mat: Mat) -> Result<Content> {
        let (kind, size) = (mat.typ(), mat.size()?);
        if kind != opencv::core::CV_8UC3 || !mat.is_continuous() {
            bail!("OpenCV gives pixels of kind {kind}, not blue, green and red");
        }
        let (width, height) = (usize::try_from(size.width)?, usize::try_from(size.height)?);
        let pixels = self.idle.lend(MatPixels(mat));
        Ok(Content::Image(Image::bgr(width, height, pixels)?))
    }
}

struct MatPixels(Mat);

impl AsRef<[u8]> for MatPixels {
    fn as_ref(&self) -> &[u8] {
        self.0.data_bytes().unwrap_or(&[])
    }
}

/// The bytes of a packet, if it begins with a JPEG.
fn as_jpeg(mat: &Mat) -> Option<&[u8]> {
    let bytes = mat.data_bytes().ok()?;
    bytes.starts_with(&[0xFF, 0xD8]).then_some(bytes)
}

/// The format that is delivered, as four characters.
fn fourcc(capture: &VideoCapture) -> [u8; 4] {
    (get_or_zero(capture, videoio::CAP_PROP_FOURCC) as u32).to_le_bytes()
}

fn get_or_zero(capture: &VideoCapture, property: i32) -> f64 {
    capture.get(property).unwrap_or(0.0)
}
