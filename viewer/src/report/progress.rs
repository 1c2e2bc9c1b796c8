//! Standard error: notices, a line each, and below them the progress line,
//! redrawn on a terminal.

use std::io::{IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Where a person is told things while the program runs; for several threads.
/// Nobody reading is no reason to fail.
pub struct Console {
    state: Mutex<State>,
    quiet: bool,
    terminal: bool,
}

struct State {
    out: Box<dyn Write + Send>,
    /// Whether the cursor stands behind a progress line.
    open: bool,
}

impl Console {
    /// On standard error. A quiet one says nothing.
    #[must_use]
    pub fn new(quiet: bool) -> Self {
        let out = std::io::stderr();
        let terminal = out.is_terminal();
        Self::over(Box::new(out), quiet, terminal)
    }

    fn over(out: Box<dyn Write + Send>, quiet: bool, terminal: bool) -> Self {
        Self {
            state: Mutex::new(State { out, open: false }),
            quiet,
            terminal,
        }
    }

    /// How often progress should be told.
    #[must_use]
    pub fn progress_interval(&self) -> Duration {
        if self.terminal { REDRAWN } else { WRITTEN }
    }

    /// Says one thing, on a line of its own.
    pub fn notice(&self, text: &str) {
        if self.quiet {
            return;
        }
        let mut state = self.lock();
        let clear = if state.open { CLEAR_LINE } else { "" };
        state.open = false;
        let _ = writeln!(state.out, "{clear}{text}");
    }

    /// Replaces the progress line. Where it cannot be redrawn it is a new line.
    pub fn progress(&self, text: &str) {
        if self.quiet {
            return;
        }
        let mut state = self.lock();
        if self.terminal {
            state.open = true;
            let _ = write!(state.out, "{CLEAR_LINE}{text}");
            let _ = state.out.flush();
        } else {
            let _ = writeln!(state.out, "{text}");
        }
    }

    /// Leaves the progress line as it stands; what is said next is below it.
    pub fn settle(&self) {
        let mut state = self.lock();
        if std::mem::take(&mut state.open) {
            let _ = writeln!(state.out);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How often progress is redrawn on a terminal.
const REDRAWN: Duration = Duration::from_millis(200);

/// How often a line of progress is written elsewhere.
const WRITTEN: Duration = Duration::from_secs(1);

/// Back to the start of the line, and erase it.
const CLEAR_LINE: &str = "\r\x1b[K";

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn written(quiet: bool, terminal: bool) -> String {
        let out = Written::default();
        let console = Console::over(Box::new(out.clone()), quiet, terminal);
        console.notice("following a");
        console.progress("1 frame");
        console.progress("2 frames");
        console.notice("following b");
        console.progress("3 frames");
        console.settle();
        console.settle();
        let bytes = out.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_terminal_sees_one_progress_line_below_the_notices() {
        assert_eq!(
            written(false, true),
            "following a\n\r\x1b[K1 frame\r\x1b[K2 frames\r\x1b[Kfollowing b\n\r\x1b[K3 frames\n"
        );
    }

    #[test]
    fn a_file_gets_lines() {
        assert_eq!(
            written(false, false),
            "following a\n1 frame\n2 frames\nfollowing b\n3 frames\n"
        );
    }

    #[test]
    fn quiet_is_silent() {
        assert_eq!(written(true, true), "");
    }
}
