//! `framegram-send` for the sources that need OpenCV.

use std::process::ExitCode;

fn main() -> ExitCode {
    framegram_send::program::with_opencv()
}
