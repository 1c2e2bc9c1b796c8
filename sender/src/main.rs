//! `framegram-send`.

use std::process::ExitCode;

fn main() -> ExitCode {
    framegram_send::program::without_opencv()
}
