//! Standard error, where a person reads: lines, and one line of progress that
//! is redrawn on a terminal.

use std::io::{IsTerminal, Write, stderr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How often progress is redrawn on a terminal.
const REDRAWN: Duration = Duration::from_millis(200);

/// How often a line of progress is written elsewhere.
const WRITTEN: Duration = Duration::from_secs(1);

/// Writes for a person. What cannot be written (nobody reads any more) is not
/// worth ending a stream for.
#[derive(Debug)]
pub struct Console {
    quiet: bool,
    terminal: bool,
    drawn: Mutex<bool>,
}

impl Console {
    /// Standard error; with `quiet`, nothing is written.
    #[must_use]
    pub fn new(quiet: bool) -> Self {
        Self {
            quiet,
            terminal: stderr().is_terminal(),
            drawn: Mutex::new(false),
        }
    }

    /// How often progress should be told.
    #[must_use]
    pub fn progress_interval(&self) -> Duration {
        if self.terminal { REDRAWN } else { WRITTEN }
    }

    /// Writes a line.
    pub fn say(&self, line: &str) {
        self.write(line, false);
    }

    /// Writes the line of progress.
    pub fn progress(&self, line: &str) {
        self.write(line, self.terminal);
    }

    /// Leaves the line of progress as it stands.
    pub fn end_progress(&self) {
        let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::take(&mut *drawn) {
            let _ = stderr().write_all(b"\n");
        }
    }

    fn write(&self, line: &str, stays_open: bool) {
        if self.quiet {
            return;
        }
        let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        // Back to the start of what was drawn and clear it.
        let clear = if *drawn { "\r\x1b[K" } else { "" };
        let end = if stays_open { "" } else { "\n" };
        *drawn = stays_open;
        let _ = stderr().write_all(format!("{clear}{line}{end}").as_bytes());
    }
}
