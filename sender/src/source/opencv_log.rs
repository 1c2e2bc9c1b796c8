//! Keeps OpenCV and FFmpeg from writing their own lines to standard error: what
//! a person is to know, this program says in one line of its own.
//!
//! The one file besides the encoder that may hold `unsafe` code: OpenCV reads
//! FFmpeg's log level from the environment only.
#![allow(unsafe_code)]

use opencv::core::{LogLevel, set_log_level};

/// `AV_LOG_QUIET`: FFmpeg says nothing.
const FFMPEG_QUIET: &str = "-8";

/// Silences both libraries. To be called before the first thread is started;
/// later it silences OpenCV alone.
pub fn quiet_opencv() {
    // A person who set it wants to read it.
    let wanted = std::env::var_os("OPENCV_FFMPEG_LOGLEVEL").is_some();
    if !wanted && is_single_threaded() {
        // SAFETY: no other thread is there to read the environment meanwhile.
        unsafe { std::env::set_var("OPENCV_FFMPEG_LOGLEVEL", FFMPEG_QUIET) };
    }
    if std::env::var_os("OPENCV_LOG_LEVEL").is_none() {
        // Only a louder program if it fails.
        let _ = set_log_level(LogLevel::LOG_LEVEL_SILENT);
    }
}

fn is_single_threaded() -> bool {
    std::fs::read_dir("/proc/self/task").is_ok_and(|threads| threads.count() == 1)
}
