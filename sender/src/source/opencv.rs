//! Cameras need OpenCV, and the program that is linked with it.
//!
//! OpenCV has more than two hundred libraries. Loading them takes longer than everything else until
//! the first picture. So `framegram-send` is not linked with it, and executes its companion for a
//! camera.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, anyhow};
use opencv::core::{LogLevel, set_log_level};

use super::camera::CameraSource;
use super::{Request, Source};

/// The name of the program with OpenCV, which is in the same folder.
pub const COMPANION: &str = "framegram-send-opencv";

/// Opens a camera.
pub(super) fn open(device: &Path, request: &Request) -> Result<Box<dyn Source>> {
    quiet();
    Ok(Box::new(CameraSource::open(device, request)?))
}

/// Executes the companion with the same arguments; returns only if that fails.
pub fn become_companion() -> anyhow::Error {
    let companion = match env::current_exe() {
        Ok(own) => own.with_file_name(COMPANION),
        Err(error) => return anyhow!("cannot find out where {COMPANION} is: {error}"),
    };
    let error = Command::new(&companion).args(env::args_os().skip(1)).exec();
    let companion = companion.display();
    if error.kind() == io::ErrorKind::NotFound {
        anyhow!("{companion} is missing; it is installed together with framegram-send")
    } else {
        anyhow!("cannot start {companion}: {error}")
    }
}

/// Stops OpenCV from writing to standard error.
fn quiet() {
    if env::var_os("OPENCV_LOG_LEVEL")
        .as_deref()
        .is_none_or(OsStr::is_empty)
    {
        // If this fails, the program is only noisier.
        let _ = set_log_level(LogLevel::LOG_LEVEL_SILENT);
    }
}
