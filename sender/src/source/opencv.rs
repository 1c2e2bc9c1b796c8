//! The sources that need OpenCV, and the program that has it.
//!
//! OpenCV brings more than two hundred libraries; loading them takes longer than
//! all else until the first picture. So `framegram-send` is linked without it,
//! and becomes its companion where a source needs it.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Result, anyhow, bail};
use opencv::core::{LogLevel, set_log_level};

use super::{Request, Source, Spec, camera, video};

/// The name of the program that has OpenCV. It lies beside the other one.
pub const COMPANION: &str = "framegram-send-opencv";

/// Opens what OpenCV is needed for.
pub(super) fn open(spec: &Spec, request: &Request) -> Result<Box<dyn Source>> {
    quiet();
    match spec {
        Spec::Camera(device) => Ok(Box::new(camera::Camera::open(device, request)?)),
        Spec::Url(url) => Ok(Box::new(video::Video::open(url, request)?)),
        Spec::Path(path) => {
            let name = path.display().to_string();
            Ok(Box::new(video::Video::open(&name, request)?))
        }
        Spec::Pattern { .. } | Spec::Stdin => bail!("OpenCV is not needed for this source"),
    }
}

/// Becomes the companion, with the same arguments; returns only where that
/// fails.
pub fn become_companion() -> anyhow::Error {
    let companion = match env::current_exe() {
        Ok(own) => own.with_file_name(COMPANION),
        Err(error) => return anyhow!("cannot find out where {COMPANION} is: {error}"),
    };
    let mut command = Command::new(&companion);
    command.args(env::args_os().skip(1));
    // What a person is to know, the program says in one line of its own; a
    // person who set the level wants to read more.
    if env::var_os(FFMPEG_LEVEL).is_none() {
        command.env(FFMPEG_LEVEL, FFMPEG_QUIET);
    }
    let error = command.exec();
    let companion = companion.display();
    if error.kind() == io::ErrorKind::NotFound {
        anyhow!("{companion} is missing; it is installed together with framegram-send")
    } else {
        anyhow!("cannot start {companion}: {error}")
    }
}

/// Where OpenCV reads FFmpeg's log level, and `AV_LOG_QUIET`.
const FFMPEG_LEVEL: &str = "OPENCV_FFMPEG_LOGLEVEL";
const FFMPEG_QUIET: &str = "-8";

/// Keeps OpenCV from writing lines of its own to standard error.
fn quiet() {
    if env::var_os("OPENCV_LOG_LEVEL")
        .as_deref()
        .is_none_or(OsStr::is_empty)
    {
        // Only a louder program if it fails.
        let _ = set_log_level(LogLevel::LOG_LEVEL_SILENT);
    }
}
