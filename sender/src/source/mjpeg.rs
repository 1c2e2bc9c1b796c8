//! A stream of JPEGs, one after the other: a pipe, or a file of them.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use framegram_common::jpeg::Splitter;

use super::http::{self, Answer, Body};
use super::retry::{Retry, redacted};
use super::{Captured, Content, Request, Source, paced};

/// Frames a second of a file that has no times and no `--fps`, as FFmpeg takes it.
const FILE_RATE: f64 = 25.0;

/// JPEGs from a pipe, each sent as it comes, or from a file, at its own pace.
pub struct Mjpeg {
    input: Box<dyn Read + Send>,
    name: String,
    path: Option<PathBuf>,
    /// A camera's stream, which is asked for again where it breaks off.
    camera: Option<(String, Retry)>,
    rate: Option<f64>,
    splitter: Splitter,
    ended: bool,
    number: u64,
}

impl Mjpeg {
    /// JPEGs from `input`, which messages call `name`; at `rate` frames a
    /// second, or as they come.
    pub fn stream(input: impl Read + Send + 'static, name: &str, rate: Option<f64>) -> Self {
        Self {
            input: Box::new(input),
            name: name.into(),
            path: None,
            camera: None,
            rate,
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
    /// Where it cannot be opened.
    pub fn file(path: &Path, rate: Option<f64>) -> Result<Self> {
        let name = path.display().to_string();
        let input = File::open(path).with_context(|| format!("cannot open {name}"))?;
        Ok(Self {
            path: Some(path.into()),
            ..Self::stream(input, &name, rate.or(Some(FILE_RATE)))
        })
    }
}

impl Mjpeg {
    fn end(&mut self) {
        self.splitter.end();
        self.ended = true;
    }
}

fn open(url: &str) -> Result<Body> {
    match http::get(url)? {
        Answer::Jpegs(body) => Ok(body),
        Answer::Other => bail!("{} serves something else now", redacted(url)),
    }
}

impl Source for Mjpeg {
    fn next(&mut self) -> Result<Option<Captured>> {
        loop {
            if let Some(jpeg) = self.splitter.next_jpeg() {
                let media_time = self.rate.map(|rate| paced::media_time(self.number, rate));
                self.number += 1;
                if let Some((_, retry)) = &mut self.camera {
                    retry.succeeded();
                }
                return Ok(Some(Captured {
                    content: Content::Jpeg(jpeg),
                    media_time,
                    taken: None,
                }));
            }
            if self.ended {
                match &mut self.camera {
                    _ if self.number == 0 => bail!("there is no whole JPEG on {}", self.name),
                    None => return Ok(None),
                    Some((url, retry)) => {
                        let Some(body) = retry.until_open(|_| open(url)) else {
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
        Ok(true)
    }

    fn unreadable(&self) -> u64 {
        self.splitter.broken()
    }

    fn frame_rate(&self) -> Option<f64> {
        self.rate
    }
}

#[cfg(test)]
mod tests;
