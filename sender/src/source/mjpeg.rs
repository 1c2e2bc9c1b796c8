//! A sequence of JPEGs in a pipe or a file.

use std::fs::File;
use std::io::Read;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use framegram_cli::secrets::redacted;
use framegram_common::jpeg::Splitter;

use super::http::{self, Body, HttpAnswer};
use super::paced::{self, MediaTimeline};
use super::retry::Retry;
use super::{Captured, Content, Request, Source};
use crate::stop::Stop;

/// Frames per second of a file without times and without `--fps`, as for FFmpeg.
const FILE_RATE: f64 = 25.0;

/// JPEGs from a pipe, each sent on arrival, or from a file, at its own pace.
pub struct Mjpeg {
    input: Box<dyn Read + Send>,
    name: String,
    path: Option<PathBuf>,
    /// A camera's stream, which is requested again if it breaks off.
    camera: Option<(String, Retry)>,
    times: MjpegTimes,
    splitter: Splitter,
    ended: bool,
    number: u64,
}

/// When frames are due.
enum MjpegTimes {
    /// On arrival.
    Live,
    /// At this many per second.
    Fixed(f64),
    /// At the times stored between them, or at `rate` without such times.
    Own { timeline: MediaTimeline, rate: f64 },
}

impl Mjpeg {
    /// JPEGs from `input`, which messages call `name`, at `rate` frames per second or on arrival.
    pub fn stream(input: impl Read + Send + 'static, name: &str, rate: Option<f64>) -> Self {
        Self {
            input: Box::new(input),
            name: name.into(),
            path: None,
            camera: None,
            times: rate.map_or(MjpegTimes::Live, MjpegTimes::Fixed),
            splitter: Splitter::new(),
            ended: false,
            number: 0,
        }
    }

    /// The JPEGs of a camera that answered with `body`.
    pub(super) fn http(url: &str, body: Body, request: &Request) -> Self {
        let name = redacted(url);
        let retry = body.is_stream.then(|| Retry::new(&name, request));
        Self {
            camera: retry.map(|retry| (url.into(), retry)),
            ..Self::stream(body, &name, None)
        }
    }

    /// JPEGs from a file.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn file(path: &Path, rate: Option<f64>) -> Result<Self> {
        let name = path.display().to_string();
        let input = File::open(path).with_context(|| format!("cannot open {name}"))?;
        let own = || MjpegTimes::Own {
            timeline: MediaTimeline::default(),
            rate: own_rate(path).unwrap_or(FILE_RATE),
        };
        Ok(Self {
            path: Some(path.into()),
            times: rate.map_or_else(own, MjpegTimes::Fixed),
            ..Self::stream(input, &name, None)
        })
    }
}

impl Mjpeg {
    fn media_time(&mut self) -> Option<Duration> {
        match &mut self.times {
            MjpegTimes::Live => None,
            MjpegTimes::Fixed(rate) => Some(paced::media_time(self.number, *rate)),
            MjpegTimes::Own { timeline, rate } => {
                // The viewer's recordings begin with a JPEG at time 0.
                let first = (self.number == 0).then_some(Duration::ZERO);
                let stamp = stamp(self.splitter.lead()).or(first);
                Some(timeline.place(stamp, usual(*rate)))
            }
        }
    }

    fn end(&mut self) {
        self.splitter.end();
        self.ended = true;
    }
}

fn open(url: &str, stop: &Stop) -> Result<Body> {
    match http::get(url, stop)? {
        HttpAnswer::Jpegs(body) => Ok(body),
        HttpAnswer::Other => bail!("{} serves something else now", redacted(url)),
    }
}

impl Source for Mjpeg {
    fn next(&mut self) -> Result<Option<Captured>> {
        loop {
            if let Some(jpeg) = self.splitter.next_jpeg() {
                let media_time = self.media_time();
                self.number += 1;
                if let Some((_, retry)) = &mut self.camera {
                    retry.succeeded();
                }
                return Ok(Some(Captured::at(media_time, Content::Jpeg(jpeg))));
            }
            if self.ended {
                match &mut self.camera {
                    _ if self.number == 0 => bail!("there is no complete JPEG on {}", self.name),
                    None => return Ok(None),
                    Some((url, retry)) => {
                        let Some(body) = retry.until_open(|stop| open(url, stop)) else {
                            return Ok(None);
                        };
                        self.input = Box::new(body);
                        self.ended = false;
                    }
                }
            }
            match self.splitter.read_from(&mut self.input) {
                Ok(0) => self.end(),
                Ok(_) => {}
                Err(_) if self.camera.is_some() => self.end(),
                Err(error) => {
                    return Err(error).with_context(|| format!("cannot read {}", self.name));
                }
            }
        }
    }

    fn is_live(&self) -> bool {
        self.camera.is_some()
    }

    fn rewind(&mut self) -> Result<bool> {
        let Some(path) = &self.path else {
            return Ok(false);
        };
        let input = File::open(path).with_context(|| format!("cannot open {}", self.name))?;
        self.input = Box::new(input);
        self.ended = false;
        if let MjpegTimes::Own { timeline, rate } = &mut self.times {
            timeline.rewind(usual(*rate));
        }
        Ok(true)
    }

    fn unreadable(&self) -> u64 {
        self.splitter.broken()
    }

    fn frame_rate(&self) -> Option<f64> {
        match &self.times {
            MjpegTimes::Live => None,
            MjpegTimes::Fixed(rate) | MjpegTimes::Own { rate, .. } => Some(*rate),
        }
    }
}

/// The time in a header before a JPEG, as mjpg-streamer, ustreamer and the viewer write it.
fn stamp(lead: &[u8]) -> Option<Duration> {
    let lead = String::from_utf8_lossy(lead).to_ascii_lowercase();
    let (_, behind) = lead.rsplit_once("x-timestamp:")?;
    let seconds = behind.lines().next()?.trim().parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// Frames per second, from the times of the second and the third frame.
fn own_rate(path: &Path) -> Option<f64> {
    let (mut file, mut splitter) = (File::open(path).ok()?, Splitter::new());
    let mut stamps = Vec::new();
    while stamps.len() < 3 {
        if splitter.next_jpeg().is_some() {
            stamps.push(stamp(splitter.lead()));
        } else if splitter.read_from(&mut file).ok()? == 0 {
            return None;
        }
    }
    let rate = stamps[2]?.checked_sub(stamps[1]?)?.as_secs_f64().recip();
    RATES.contains(&rate).then_some(rate)
}

fn usual(rate: f64) -> Duration {
    Duration::from_secs_f64(1.0 / rate)
}

/// Plausible frames per second.
const RATES: RangeInclusive<f64> = 0.001..=1000.0;

#[cfg(test)]
mod tests;
