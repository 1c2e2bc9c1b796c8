//! Cameras need OpenCV, and the program that has it.
//!
//! OpenCV brings more than two hundred libraries; loading them takes longer than
//! all else until the first picture. So `framegram-send` is linked without it,
//! and becomes its companion for a camera.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, anyhow};
use opencv::core::{LogLevel, set_log_level};

use super::camera::Camera;
use super::{Request, Source};

/// The name of the program that has OpenCV. It lies beside the other one.
pub const COMPANION: &str = "framegram-send-opencv";

/// Opens a camera.
pub(super) fn open(device: &Path, request: &Request) -> Result<Box<dyn Source>> {
    quiet();
    Ok(Box::new(Camera::open(device, request)?))
}

/// Becomes the companion, with the same arguments; returns only where that
/// fails.
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
