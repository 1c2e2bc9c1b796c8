//! Video files and network streams, through OpenCV's FFmpeg backend.
//!
//! OpenCV converts planes to BGR by the BT.601 matrix whatever the file says,
//! and the encoder back by the same one: a BT.709 file's planes arrive in the
//! JPEG nearly as they were, and a viewer shows them by BT.601.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use framegram_media::{Image, Pool};
use opencv::core::{self, Mat, MatTraitConst, MatTraitConstManual, Vector};
use opencv::videoio::{self, VideoCapture, VideoCaptureTrait, VideoCaptureTraitConst};

use super::paced::Timeline;
use super::{Captured, Content, Request, Source, paced};

/// Frames a second where a stream does not say.
const DEFAULT_RATE: f64 = 25.0;

/// Schemes of streams that come when they come.
const LIVE_SCHEMES: [&str; 6] = ["rtsp", "rtsps", "rtp", "udp", "srt", "rtmp"];

/// How containers name Motion JPEG: AVI, QuickTime, Matroska, and MP4, which
/// names MPEG-4 video the same; the first packet shows which it is.
const MAYBE_JPEG: [&[u8; 4]; 4] = [b"MJPG", b"jpeg", b"mjpe", b"mp4v"];

/// Frames of a file or a network stream, at its own timestamps.
pub(super) struct Video {
    name: String,
    capture: VideoCapture,
    /// JPEGs come whole, not decoded; their times come from this.
    packets: Option<PacketClock>,
    rate: f64,
    asked_rate: Option<f64>,
    live: bool,
    timeline: Timeline,
    number: u64,
    pictures: Mats,
}

/// When a packet that is not decoded is due; OpenCV gives it no time.
enum PacketClock {
    /// AVI has no timestamps but a rate.
    Rate,
    /// Others can have any: the same file, decoded alongside for its times.
    Alongside(VideoCapture),
}

impl Video {
    /// Opens a file or URL.
    ///
    /// # Errors
    /// Where it is not a video.
    pub(super) fn open(name: &str, request: &Request) -> Result<Self> {
        let capture = open(name, &[])?;
        let get = |property| capture.get(property).unwrap_or(0.0);
        let rate = get(videoio::CAP_PROP_FPS);
        let rate = if rate > 0.0 && rate <= 1000.0 {
            rate
        } else {
            DEFAULT_RATE
        };
        let scheme = name.split_once("://").map(|(scheme, _)| scheme);
        let live = scheme.is_some_and(|scheme| {
            LIVE_SCHEMES.contains(&scheme) || get(videoio::CAP_PROP_FRAME_COUNT) <= 0.0
        });
        let mut video = Self {
            name: name.into(),
            rate,
            asked_rate: request.rate,
            live,
            timeline: Timeline::default(),
            number: 0,
            pictures: Mats::default(),
            packets: None,
            capture,
        };
        let is_mjpeg = MAYBE_JPEG.contains(&&fourcc(&video.capture));
        let upright = get_or_zero(&video.capture, videoio::CAP_PROP_ORIENTATION_META) == 0.0;
        if request.pass_through && scheme.is_none() && is_mjpeg && upright {
            video.open_packets();
        }
        Ok(video)
    }

    /// Switches to whole JPEGs, where the file gives them.
    fn open_packets(&mut self) {
        let raw = [videoio::CAP_PROP_FORMAT, -1];
        let Ok(mut probe) = open(&self.name, &raw) else {
            return;
        };
        let mut packet = Mat::default();
        let first = probe.read(&mut packet).unwrap_or(false);
        if !first || as_jpeg(&packet).is_none() {
            return;
        }
        let clock = if self.name.to_ascii_lowercase().ends_with(".avi") {
            PacketClock::Rate
        } else {
            match open(&self.name, &[]) {
                Ok(alongside) => PacketClock::Alongside(alongside),
                Err(_) => return,
            }
        };
        if let Ok(capture) = open(&self.name, &raw) {
            self.capture = capture;
            self.packets = Some(clock);
        }
    }

    fn usual(&self) -> Duration {
        Duration::from_secs_f64(1.0 / self.asked_rate.unwrap_or(self.rate))
    }

    fn media_time(&mut self) -> Option<Duration> {
        if self.live {
            return None;
        }
        if let Some(rate) = self.asked_rate {
            return Some(paced::media_time(self.number, rate));
        }
        let stamp = match &mut self.packets {
            None => position(&self.capture),
            Some(PacketClock::Rate) => None,
            Some(PacketClock::Alongside(capture)) => {
                let grabbed = capture.grab().unwrap_or(false);
                grabbed.then(|| position(capture)).flatten()
            }
        };
        Some(self.timeline.place(stamp, self.usual()))
    }

    fn read(&mut self) -> Result<Option<Content>> {
        loop {
            let mut mat = self.pictures.take();
            if !self.capture.read(&mut mat).with_context(|| self.failed())? || mat.empty() {
                return Ok(None);
            }
            if self.packets.is_none() {
                if let Some(turn) = own_turn(&self.capture) {
                    let mut upright = self.pictures.take();
                    core::rotate(&mat, &mut upright, turn)?;
                    mat = upright;
                }
                return Ok(Some(
                    self.pictures.picture(mat).with_context(|| self.failed())?,
                ));
            }
            // AVI holds empty packets where a frame is to be repeated.
            if let Some(jpeg) = as_jpeg(&mat) {
                return Ok(Some(Content::Jpeg(bytes::Bytes::copy_from_slice(jpeg))));
            }
            let _ = self.media_time();
        }
    }

    fn failed(&self) -> String {
        format!("cannot read {} after {} frames", self.name, self.number)
    }
}

impl Source for Video {
    fn next(&mut self) -> Result<Option<Captured>> {
        let Some(content) = self.read()? else {
            if self.number == 0 {
                bail!("there is no frame in {} that can be decoded", self.name);
            }
            return Ok(None);
        };
        let media_time = self.media_time();
        self.number += 1;
        Ok(Some(Captured {
            content,
            media_time,
            taken: None,
        }))
    }

    fn is_live(&self) -> bool {
        self.live
    }

    fn rewind(&mut self) -> Result<bool> {
        if self.live {
            return Ok(false);
        }
        let raw = [videoio::CAP_PROP_FORMAT, -1];
        let parameters = if self.packets.is_some() {
            &raw[..]
        } else {
            &[]
        };
        self.capture = open(&self.name, parameters)?;
        if let Some(PacketClock::Alongside(capture)) = &mut self.packets {
            *capture = open(&self.name, &[])?;
        }
        self.timeline.rewind(self.usual());
        Ok(true)
    }

    fn frame_rate(&self) -> Option<f64> {
        Some(self.asked_rate.unwrap_or(self.rate))
    }
}

/// OpenCV's matrices for pictures, used again.
#[derive(Default)]
pub(super) struct Mats {
    idle: Pool<Pixels>,
}

impl Mats {
    /// One to read into.
    pub(super) fn take(&self) -> Mat {
        self.idle.take().map(|pixels| pixels.0).unwrap_or_default()
    }

    /// What was read into one, without a copy.
    pub(super) fn picture(&self, mat: Mat) -> Result<Content> {
        let (kind, size) = (mat.typ(), mat.size()?);
        if kind != opencv::core::CV_8UC3 || !mat.is_continuous() {
            bail!("OpenCV gives pixels of kind {kind}, not blue, green and red");
        }
        let (width, height) = (usize::try_from(size.width)?, usize::try_from(size.height)?);
        let pixels = self.idle.lend(Pixels(mat));
        Ok(Content::Image(Image::bgr(width, height, pixels)?))
    }
}

struct Pixels(Mat);

impl AsRef<[u8]> for Pixels {
    fn as_ref(&self) -> &[u8] {
        self.0.data_bytes().unwrap_or(&[])
    }
}

/// The bytes of a packet, where they are one JPEG; without what pads them.
pub(super) fn as_jpeg(mat: &Mat) -> Option<&[u8]> {
    let bytes = mat.data_bytes().ok()?;
    let end = bytes.windows(2).rposition(|pair| pair == [0xFF, 0xD9])? + 2;
    bytes
        .starts_with(&[0xFF, 0xD8, 0xFF])
        .then(|| &bytes[..end])
}

/// The code of what is delivered, in four letters.
pub(super) fn fourcc(capture: &VideoCapture) -> [u8; 4] {
    (get_or_zero(capture, videoio::CAP_PROP_FOURCC) as u32).to_le_bytes()
}

pub(super) fn get_or_zero(capture: &VideoCapture, property: i32) -> f64 {
    capture.get(property).unwrap_or(0.0)
}

/// The stamp of the frame read last, where it has one. OpenCV 4.6 gives 0 for
/// the last frames of a file, those that the decoder still held at its end.
fn position(capture: &VideoCapture) -> Option<Duration> {
    let milliseconds = capture.get(videoio::CAP_PROP_POS_MSEC).ok()?;
    let stamp = Duration::try_from_secs_f64(milliseconds / 1000.0).ok()?;
    let is_first = get_or_zero(capture, videoio::CAP_PROP_POS_FRAMES) <= 1.0;
    (is_first || !stamp.is_zero()).then_some(stamp)
}

fn open(name: &str, parameters: &[i32]) -> Result<VideoCapture> {
    let parameters = Vector::<i32>::from_slice(parameters);
    let mut capture = VideoCapture::from_file_with_params(name, videoio::CAP_FFMPEG, &parameters)
        .with_context(|| format!("cannot open {name}"))?;
    if !capture.is_opened().unwrap_or(false) || is_text(&capture) {
        if name.contains("://") {
            bail!("cannot open {name}: no video is served there");
        }
        bail!("{name} is not a video that can be played");
    }
    if own_turn(&capture).is_some() {
        capture.set(videoio::CAP_PROP_ORIENTATION_AUTO, 0.0)?;
    }
    Ok(capture)
}

/// How to turn pictures upright, where OpenCV cannot be left to do it: 4.6.0,
/// which Debian 12 has, takes the mark's angle, which is counterclockwise, for
/// a clockwise one (<https://github.com/opencv/opencv/issues/22088>).
fn own_turn(capture: &VideoCapture) -> Option<i32> {
    if core::CV_VERSION != "4.6.0" {
        return None;
    }
    match get_or_zero(capture, videoio::CAP_PROP_ORIENTATION_META) as i32 {
        90 => Some(core::ROTATE_90_COUNTERCLOCKWISE),
        180 => Some(core::ROTATE_180),
        270 => Some(core::ROTATE_90_CLOCKWISE),
        _ => None,
    }
}

/// FFmpeg shows any text file as a video of a terminal.
fn is_text(capture: &VideoCapture) -> bool {
    fourcc(capture) == *b"ansi"
}
