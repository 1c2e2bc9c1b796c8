//! Sources of frames: the trait, and the choice of a source by its name on the command line. Each
//! kind has its own file. Only these files know FFmpeg. Cameras are
//! opened by the companion program, which is linked with OpenCV.

pub mod cameras;
mod checked;
mod companion;
mod exif;
mod ffmpeg;
mod http;
mod images;
mod kind;
pub mod mjpeg;
mod paced;
mod pattern;
mod retry;
mod row;
mod spec;
mod spool;
pub mod y4m;

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use framegram_cli::pipe::widen;

use self::checked::Checked;
use self::ffmpeg::Video;
use self::http::HttpAnswer;
use self::kind::FileKind;
use self::mjpeg::Mjpeg;
use crate::console::Console;
use crate::stop::Stop;

pub use self::companion::{COMPANION, become_companion};
pub(crate) use self::images::is_still;
pub use self::paced::MediaClock;
pub use self::pattern::{BARS, Pattern};
pub(crate) use self::row::Row;
pub use self::spec::{Spec, parse_rate, parse_size};
pub use crate::frame::{Captured, Content};

/// A sequence of frames.
pub trait Source: Send {
    /// Waits for the next frame; `None` when there are no more.
    ///
    /// # Errors
    /// If the source fails permanently.
    fn next(&mut self) -> Result<Option<Captured>>;

    /// Whether frames arrive at their own times, so that a frame not taken in time is replaced by a
    /// newer one. Other sources wait.
    fn is_live(&self) -> bool {
        false
    }

    /// Starts again from the first frame; media times continue to increase. Returns `false` if the
    /// source cannot.
    ///
    /// # Errors
    /// If it cannot be opened again.
    fn rewind(&mut self) -> Result<bool> {
        Ok(false)
    }

    /// Whether its JPEGs are known to be complete and clean.
    fn is_checked(&self) -> bool {
        false
    }

    /// The number of unreadable frames skipped so far.
    fn unreadable(&self) -> u64 {
        0
    }

    /// Frames per second, if the source states it.
    fn frame_rate(&self) -> Option<f64> {
        None
    }
}

/// A source without frames.
pub struct Nothing;

impl Source for Nothing {
    fn next(&mut self) -> Result<Option<Captured>> {
        Ok(None)
    }
}

/// What to request from a source.
#[derive(Clone, Debug)]
pub struct Request {
    /// Width and height in pixels, for sources that can choose.
    pub size: Option<(usize, usize)>,
    /// Frames per second, if a number was requested.
    pub rate: Option<f64>,
    /// Whether JPEGs may be delivered as they are, not decoded.
    pub pass_through: bool,
    /// Whether JPEGs that end early are wanted too.
    pub keep_broken: bool,
    /// Ends waiting.
    pub stop: Stop,
    /// For notices.
    pub console: Arc<Console>,
}

/// Opens a source that is no camera, and reads its first frame, so that a source without frames
/// fails before the stream begins.
///
/// # Errors
/// One line that says what is wrong with the source, or that it needs OpenCV.
pub fn open(spec: &Spec, request: &Request) -> Result<Box<dyn Source>> {
    open_with(spec, request, |_, _| {
        bail!("a camera needs OpenCV: run {COMPANION} instead of framegram-send")
    })
}

/// Opens any source, a camera by this function.
///
/// # Errors
/// As for [`open`].
pub fn open_with(spec: &Spec, request: &Request, camera: OpenCamera) -> Result<Box<dyn Source>> {
    let source = open_unread(spec, request, camera)?;
    Ok(Box::new(Checked::begin(source, request)?))
}

/// A function that opens sources.
pub type OpenSource = fn(&Spec, &Request) -> Result<Box<dyn Source>>;

/// A function that opens cameras.
pub type OpenCamera = fn(&Path, &Request) -> Result<Box<dyn Source>>;

/// Whether a source needs OpenCV: a camera, under any name.
pub fn needs_opencv(spec: &Spec) -> bool {
    match spec {
        Spec::Camera(_) | Spec::CameraNamed(_) => true,
        Spec::Path(path) => is_device(path),
        Spec::Pattern { .. } | Spec::Stdin | Spec::Url(_) => false,
    }
}

/// Whether it is a device, or a link to one, such as `udev` makes.
fn is_device(path: &Path) -> bool {
    let metadata = path.metadata();
    metadata.is_ok_and(|metadata| metadata.file_type().is_char_device())
        && path
            .canonicalize()
            .is_ok_and(|path| path.starts_with("/dev") && cameras::number(&path).is_some())
}

fn open_unread(spec: &Spec, request: &Request, camera: OpenCamera) -> Result<Box<dyn Source>> {
    match spec {
        Spec::Camera(device) => camera(device, request),
        Spec::CameraNamed(name) => camera(&cameras::find(name)?, request),
        Spec::Url(url) => open_url(url, request),
        Spec::Pattern { size, rate } => {
            let (width, height) = request.size.or(*size).unwrap_or(pattern::DEFAULT_SIZE);
            let rate = request.rate.or(*rate).unwrap_or(pattern::DEFAULT_RATE);
            Ok(Box::new(Pattern::new(width, height, rate)?))
        }
        Spec::Stdin => {
            widen(io::stdin());
            open_stream(io::stdin(), "standard input", request)
        }
        Spec::Path(path) if is_device(path) => camera(path, request),
        Spec::Path(path) => open_path(path, request),
    }
}

fn open_url(url: &str, request: &Request) -> Result<Box<dyn Source>> {
    match http::get(url, &request.stop)? {
        HttpAnswer::Jpegs(body) => Ok(Box::new(Mjpeg::http(url, body, request))),
        HttpAnswer::Other => Ok(Box::new(Video::url(url, request)?)),
    }
}

fn open_path(path: &Path, request: &Request) -> Result<Box<dyn Source>> {
    let name = path.display().to_string();
    let metadata = match path.metadata() {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => match Row::of(path) {
            Some(row) => return Ok(Box::new(images::Images::row(&row, request)?)),
            None => bail!("no such file: {name}"),
        },
        Err(error) => return Err(error).with_context(|| format!("cannot open {name}")),
    };
    if metadata.is_dir() {
        return Ok(Box::new(images::Images::folder(path, request)?));
    }
    let mut file = File::open(path).with_context(|| format!("cannot open {name}"))?;
    if !metadata.is_file() {
        return open_stream(file, &name, request);
    }
    if metadata.len() == 0 {
        bail!("{name} is empty");
    }
    let (kind, start) = kind::of(&mut file).with_context(|| format!("cannot read {name}"))?;
    match kind {
        FileKind::Png if kind::is_animated(&start) => Ok(Box::new(Video::file(path, request)?)),
        FileKind::Png => Ok(Box::new(images::Images::still(path, request))),
        FileKind::Jpeg if images::is_still(path) => {
            Ok(Box::new(images::Images::still(path, request)))
        }
        FileKind::Jpeg | FileKind::Multipart => Ok(Box::new(Mjpeg::file(path, request.rate)?)),
        FileKind::Y4m => Ok(Box::new(y4m::Y4m::file(path, request.rate)?)),
        FileKind::Other => Ok(Box::new(Video::file(path, request)?)),
    }
}

/// A stream of JPEGs or of Y4M, distinguished by its first bytes.
fn open_stream(
    mut input: impl Read + Send + 'static,
    name: &str,
    request: &Request,
) -> Result<Box<dyn Source>> {
    let (kind, start) = kind::of(&mut input).with_context(|| format!("cannot read {name}"))?;
    if start.is_empty() {
        bail!("nothing arrived on {name}");
    }
    let reads_back = kind == FileKind::Other && kind::reads_back(&start);
    let input = io::Cursor::new(start).chain(input);
    match kind {
        FileKind::Jpeg | FileKind::Multipart => {
            Ok(Box::new(Mjpeg::stream(input, name, request.rate)))
        }
        FileKind::Y4m => Ok(Box::new(y4m::Y4m::stream(
            BufReader::with_capacity(1 << 16, input),
            name,
            request.rate,
        )?)),
        FileKind::Png | FileKind::Other if reads_back => {
            let spool = spool::read(input).with_context(|| format!("cannot read {name}"))?;
            let spool = spool.with_context(|| {
                format!(
                    "{name} is a file whose index is at its end: {}",
                    spool::NAME_IT
                )
            })?;
            Ok(Box::new(Video::spooled(spool, name, request)?))
        }
        FileKind::Png | FileKind::Other => Ok(Box::new(Video::stream(input, name, request)?)),
    }
}

#[cfg(test)]
mod tests;
