//! `framegram-send` for the sources that need OpenCV, which only this program is linked with.

mod camera;

use std::env;
use std::ffi::OsStr;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use framegram_send::program;
use framegram_send::source::{Request, Source, Spec, open_with};
use opencv::core::{LogLevel, set_log_level};

use self::camera::CameraSource;

fn main() -> ExitCode {
    program::with_opencv(open)
}

fn open(spec: &Spec, request: &Request) -> Result<Box<dyn Source>> {
    open_with(spec, request, open_camera)
}

fn open_camera(device: &Path, request: &Request) -> Result<Box<dyn Source>> {
    quiet();
    Ok(Box::new(CameraSource::open(device, request)?))
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
