//! Cameras need OpenCV, and the program that is linked with it.
//!
//! OpenCV has more than two hundred libraries. Loading them takes longer than everything else until
//! the first picture. So `framegram-send` is not linked with it, and executes its companion for a
//! camera.

use std::env;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::anyhow;

/// The name of the program with OpenCV, which is in the same folder.
pub const COMPANION: &str = "framegram-send-opencv";

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
