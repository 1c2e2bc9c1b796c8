//! Standard error, for users to read: one line per notice, and below them one
//! line of progress, which is redrawn on a terminal.
//!
//! A separate thread writes, so no other thread ever waits for the reader. A
//! stopped terminal, a hung connection or a full pipe costs lines, but no frames.

use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::locks::{lock, unpoisoned};
use crate::threads::guarded;

/// Interval between updates of the progress line on a terminal.
const REDRAWN: Duration = Duration::from_millis(200);

/// Interval between lines of progress if they are not redrawn.
const WRITTEN: Duration = Duration::from_secs(1);

/// Upper bound on lines that wait for the reader: more than the final report of a
/// grid of 64 senders, and less than a megabyte at 200 bytes per line.
const MOST_LINES: usize = 4096;

/// Longest wait, at the end, for a reader that takes nothing.
const ENDING: Duration = Duration::from_millis(500);

/// Moves to the start of the line and erases it.
const CLEAR_LINE: &str = "\r\x1b[K";

/// Writes messages and progress to standard error, from any thread.
///
/// A write error does not end the stream. Dropping the console waits briefly
/// until the remaining lines are written.
pub struct Console {
    queue: Arc<ConsoleQueue>,
    quiet: bool,
    terminal: bool,
}

#[derive(Default)]
struct ConsoleQueue {
    state: Mutex<ConsoleState>,
    changed: Condvar,
}

#[derive(Default)]
struct ConsoleState {
    lines: VecDeque<String>,
    /// The newest line of progress, for a terminal.
    progress: Option<String>,
    /// Lines dropped for lack of room since the last notice of dropped lines.
    dropped: u64,
    /// Whether the current line of progress must stay on the terminal.
    settling: bool,
    /// Whether the writer is writing.
    writing: bool,
    /// Number of completed writes.
    written: u64,
    closed: bool,
}

impl Console {
    /// Writes to standard error, or nothing if `quiet`.
    pub fn new(quiet: bool) -> Self {
        let error = io::stderr();
        let terminal = error.is_terminal();
        // Bypasses the lock of `Stderr`, which other code may hold.
        let out = error.as_fd().try_clone_to_owned().map(File::from);
        match out {
            Ok(out) if !quiet => Self::over(out, terminal),
            _ => Self::silent(terminal),
        }
    }

    fn silent(terminal: bool) -> Self {
        Self {
            queue: Arc::default(),
            quiet: true,
            terminal,
        }
    }

    fn over(out: impl Write + Send + 'static, terminal: bool) -> Self {
        let queue = Arc::new(ConsoleQueue::default());
        let taken = Arc::clone(&queue);
        // Not started by `Threads`: if this thread panics, there is nowhere to
        // report it.
        let writer = move || {
            let _ = guarded(|| taken.write_all(out));
            taken.close();
        };
        let spawned = thread::Builder::new().name("console".into()).spawn(writer);
        Self {
            queue,
            quiet: spawned.is_err(),
            terminal,
        }
    }

    /// Whether the line of progress is redrawn.
    pub fn is_redrawn(&self) -> bool {
        self.terminal && !self.quiet
    }

    /// How often progress should be reported.
    pub fn progress_interval(&self) -> Duration {
        if self.terminal { REDRAWN } else { WRITTEN }
    }

    /// Writes a message on a line of its own.
    pub fn say(&self, line: &str) {
        self.put(|state| state.push(line));
    }

    /// Replaces the line of progress. If it cannot be redrawn, writes a new line.
    pub fn progress(&self, line: &str) {
        let terminal = self.terminal;
        self.put(|state| {
            if terminal {
                state.progress = Some(line.to_owned());
            } else {
                state.push(line);
            }
        });
    }

    /// Keeps the current line of progress. Further output appears below it.
    pub fn end_progress(&self) {
        self.put(|state| state.settling = true);
    }

    /// Waits until everything is written, or until the reader has taken nothing
    /// for a short time.
    pub fn flush(&self) {
        if !self.quiet {
            self.queue.flush();
        }
    }

    fn put(&self, change: impl FnOnce(&mut ConsoleState)) {
        if self.quiet {
            return;
        }
        let mut state = lock(&self.queue.state);
        if !state.closed {
            change(&mut state);
        }
        drop(state);
        self.queue.changed.notify_all();
    }
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console")
            .field("quiet", &self.quiet)
            .field("terminal", &self.terminal)
            .finish_non_exhaustive()
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        self.flush();
        self.queue.close();
    }
}

impl ConsoleState {
    fn push(&mut self, line: &str) {
        if self.lines.len() >= MOST_LINES {
            // The newest messages are the most useful.
            self.lines.pop_front();
            self.dropped += 1;
        }
        // The message makes the earlier progress obsolete.
        if !self.settling {
            self.progress = None;
        }
        self.lines.push_back(line.to_owned());
    }

    fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.progress.is_none() && !self.settling
    }

    /// The next text to write. `open` tells whether the cursor is on a line of
    /// progress.
    fn next(&mut self, open: &mut bool) -> String {
        let mut text = String::new();
        let clear = |open: &mut bool| {
            if std::mem::take(open) { CLEAR_LINE } else { "" }
        };
        if std::mem::take(&mut self.settling) {
            if let Some(progress) = self.progress.take() {
                text += clear(open);
                text += &progress;
                *open = true;
            }
            if std::mem::take(open) {
                text.push('\n');
            }
        }
        if self.dropped > 0 {
            let lines = std::mem::take(&mut self.dropped);
            text += clear(open);
            text += &format!("({lines} lines were dropped: nobody read them)\n");
        }
        // One line at a time, because waiting lines may still be replaced.
        if let Some(line) = self.lines.pop_front() {
            text += clear(open);
            text += &line;
            text.push('\n');
        }
        if self.lines.is_empty()
            && let Some(progress) = self.progress.take()
        {
            // Also before the first progress, to remove old text.
            text += CLEAR_LINE;
            text += &progress;
            *open = true;
        }
        text
    }
}

impl ConsoleQueue {
    fn write_all(&self, mut out: impl Write) {
        let mut open = false;
        loop {
            let mut state = lock(&self.state);
            state.writing = false;
            state.written += 1;
            self.changed.notify_all();
            let idle = |state: &mut ConsoleState| state.is_empty() && !state.closed;
            state = unpoisoned(self.changed.wait_while(state, idle));
            if state.is_empty() {
                return;
            }
            state.writing = true;
            let text = state.next(&mut open);
            drop(state);
            // Fails if the terminal was closed or the reader is gone.
            let _ = out.write_all(text.as_bytes());
        }
    }

    fn flush(&self) {
        let mut state = lock(&self.state);
        let (mut written, mut since) = (state.written, Instant::now());
        while (state.writing || !state.is_empty()) && !state.closed {
            if state.written != written {
                (written, since) = (state.written, Instant::now());
            }
            let left = ENDING.saturating_sub(since.elapsed());
            if left.is_zero() {
                return;
            }
            state = unpoisoned(self.changed.wait_timeout(state, left)).0;
        }
    }

    /// Takes no more messages.
    fn close(&self) {
        lock(&self.state).closed = true;
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{self, Receiver};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Written {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    /// Blocks each write until told to continue, and reports when it is called.
    struct Stuck {
        asked: mpsc::Sender<()>,
        told: Receiver<()>,
        out: Written,
    }

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.asked.send(());
            let _ = self.told.recv();
            self.out.write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn written(terminal: bool) -> String {
        let out = Written::default();
        let console = Console::over(out.clone(), terminal);
        let say: [fn(&Console); 7] = [
            |to| to.say("following a"),
            |to| to.progress("1 frame"),
            |to| to.progress("2 frames"),
            |to| to.say("following b"),
            |to| to.progress("3 frames"),
            Console::end_progress,
            Console::end_progress,
        ];
        for say in say {
            say(&console);
            console.flush();
        }
        drop(console);
        out.text()
    }

    #[test]
    fn a_terminal_sees_one_progress_line_below_the_notices() {
        assert_eq!(
            written(true),
            "following a\n\r\x1b[K1 frame\r\x1b[K2 frames\r\x1b[Kfollowing b\n\r\x1b[K3 frames\n"
        );
    }

    #[test]
    fn a_file_gets_lines() {
        assert_eq!(
            written(false),
            "following a\n1 frame\n2 frames\nfollowing b\n3 frames\n"
        );
    }

    #[test]
    fn nobody_waits_for_a_reader_and_the_last_lines_arrive_when_it_reads() {
        let (out, (asked, begun), (tell, told)) =
            (Written::default(), mpsc::channel(), mpsc::channel());
        let stuck = Stuck {
            asked,
            told,
            out: out.clone(),
        };
        let console = Console::over(stuck, false);
        console.say("first");
        begun.recv().unwrap();
        for line in 0..MOST_LINES + 10 {
            console.say(&line.to_string());
        }
        console.say("last");
        assert_eq!(lock(&console.queue.state).lines.len(), MOST_LINES);
        let before = Instant::now();
        console.flush();
        let waited = before.elapsed();
        assert!((ENDING..20 * ENDING).contains(&waited), "{waited:?}");
        // The reader reads from now on.
        drop(tell);
        drop(console);
        let text = out.text();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "first");
        assert_eq!(lines[1], "(11 lines were dropped: nobody read them)");
        assert_eq!(lines.len(), 2 + MOST_LINES);
        assert_eq!(lines[lines.len() - 1], "last");
    }

    #[test]
    fn only_the_newest_progress_waits() {
        let (out, (asked, begun), (tell, told)) =
            (Written::default(), mpsc::channel(), mpsc::channel());
        let stuck = Stuck {
            asked,
            told,
            out: out.clone(),
        };
        let console = Console::over(stuck, true);
        console.progress("0");
        begun.recv().unwrap();
        for line in 1..1000 {
            console.progress(&line.to_string());
        }
        drop(tell);
        drop(console);
        assert_eq!(out.text(), "\r\x1b[K0\r\x1b[K999");
    }

    #[test]
    fn quiet_is_silent() {
        let console = Console::new(true);
        console.say("nothing");
        console.progress("nothing");
        assert!(lock(&console.queue.state).is_empty());
    }
}
