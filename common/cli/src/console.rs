//! Standard error, where a person reads: notices, a line each, and below them
//! one line of progress, redrawn on a terminal.
//!
//! A thread of its own writes. Whoever tells something never waits for who
//! reads it: a terminal that is stopped, a hung connection or a full pipe costs
//! lines, and no frame.

use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::threads::guarded;

/// How often progress is redrawn on a terminal.
const REDRAWN: Duration = Duration::from_millis(200);

/// How often a line of progress is written elsewhere.
const WRITTEN: Duration = Duration::from_secs(1);

/// Lines that wait for a reader: more than all that the end of a grid of 64
/// senders has to say, and at 200 bytes each less than a megabyte.
const MOST_LINES: usize = 4096;

/// How long the end waits for a reader who takes nothing.
const ENDING: Duration = Duration::from_millis(500);

/// Back to the start of the line, and erase it.
const CLEAR_LINE: &str = "\r\x1b[K";

/// Messages and progress on standard error, from any thread.
///
/// An error of writing does not end a stream. Dropping the console waits briefly
/// for the lines that are left.
pub struct Console {
    queue: Arc<Queue>,
    quiet: bool,
    terminal: bool,
}

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    lines: VecDeque<String>,
    /// The newest line of progress, on a terminal.
    progress: Option<String>,
    /// Lines dropped for lack of room since the last one that was queued.
    dropped: u64,
    /// The line of progress stays on the terminal.
    settling: bool,
    /// The writer is writing.
    writing: bool,
    /// How often it came back from writing.
    written: u64,
    closed: bool,
}

impl Console {
    /// Standard error; with `quiet`, nothing is written.
    #[must_use]
    pub fn new(quiet: bool) -> Self {
        let error = io::stderr();
        let terminal = error.is_terminal();
        // Not the lock of `Stderr`, which others may want.
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
        let queue = Arc::new(Queue::default());
        let taken = Arc::clone(&queue);
        // It is not one of `Threads`: if it panics, there is nowhere to report it.
        let writer = move || {
            let _ = guarded(|| taken.write_all(out));
            taken.give_up();
        };
        let spawned = thread::Builder::new().name("console".into()).spawn(writer);
        Self {
            queue,
            quiet: spawned.is_err(),
            terminal,
        }
    }

    /// How often progress should be told.
    #[must_use]
    pub fn progress_interval(&self) -> Duration {
        if self.terminal { REDRAWN } else { WRITTEN }
    }

    /// Says one thing, on a line of its own.
    pub fn say(&self, line: &str) {
        self.put(|state| state.push(line));
    }

    /// Replaces the line of progress. Where it cannot be redrawn it is a new
    /// line.
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

    /// Leaves the line of progress as it stands; what is said next is below it.
    pub fn end_progress(&self) {
        self.put(|state| state.settling = true);
    }

    /// Waits until all is written, or until nobody has read anything for a
    /// moment.
    pub fn flush(&self) {
        if !self.quiet {
            self.queue.flush();
        }
    }

    fn put(&self, change: impl FnOnce(&mut State)) {
        if self.quiet {
            return;
        }
        let mut state = self.queue.lock();
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
        self.queue.lock().closed = true;
        self.queue.changed.notify_all();
    }
}

impl State {
    fn push(&mut self, line: &str) {
        if self.lines.len() >= MOST_LINES {
            // What was said last tells most.
            self.lines.pop_front();
            self.dropped += 1;
        }
        // The progress that it stands below is of no interest any more.
        if !self.settling {
            self.progress = None;
        }
        self.lines.push_back(line.to_owned());
    }

    fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.progress.is_none() && !self.settling
    }

    /// What is to be written next. `open`: the cursor stands behind a line of
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
            text += &format!("({lines} lines were left out: nobody read them)\n");
        }
        // Not many at once: what waits may still be replaced.
        if let Some(line) = self.lines.pop_front() {
            text += clear(open);
            text += &line;
            text.push('\n');
        }
        if self.lines.is_empty()
            && let Some(progress) = self.progress.take()
        {
            // Here also for the first one, so that no old text is left.
            text += CLEAR_LINE;
            text += &progress;
            *open = true;
        }
        text
    }
}

impl Queue {
    fn write_all(&self, mut out: impl Write) {
        let mut open = false;
        loop {
            let mut state = self.lock();
            state.writing = false;
            state.written += 1;
            self.changed.notify_all();
            while state.is_empty() && !state.closed {
                state = self.wait(state);
            }
            if state.is_empty() {
                return;
            }
            state.writing = true;
            let text = state.next(&mut open);
            drop(state);
            // A terminal that was closed, a reader who is gone.
            let _ = out.write_all(text.as_bytes());
        }
    }

    fn flush(&self) {
        let mut state = self.lock();
        let (mut written, mut since) = (state.written, Instant::now());
        while (state.writing || !state.is_empty()) && !state.closed {
            if state.written != written {
                (written, since) = (state.written, Instant::now());
            }
            let left = ENDING.saturating_sub(since.elapsed());
            if left.is_zero() {
                return;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Takes nothing more in.
    fn give_up(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let waited = self.changed.wait(state);
        waited.unwrap_or_else(PoisonError::into_inner)
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

    /// Writes nothing until it is told to, and says when it was asked to.
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
    fn nobody_waits_for_a_reader_and_the_last_words_come_when_he_reads() {
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
        assert_eq!(console.queue.lock().lines.len(), MOST_LINES);
        let before = Instant::now();
        console.flush();
        let waited = before.elapsed();
        assert!((ENDING..20 * ENDING).contains(&waited), "{waited:?}");
        // From now on there is a reader.
        drop(tell);
        drop(console);
        let text = out.text();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "first");
        assert_eq!(lines[1], "(11 lines were left out: nobody read them)");
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
        assert!(console.queue.lock().is_empty());
    }
}
