//! Writes to a reader that may stop reading: standard output, a FIFO or a device.
//!
//! A separate thread opens and writes. So neither a FIFO that nobody has opened
//! nor a full pipe holds up a stream or the end of the program. What a pipe has
//! room for is written at once, so that no thread wakes for it.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use anyhow::Result;
use nix::fcntl::{FcntlArg, fcntl};
use rustix::io::{Errno, ReadWriteFlags, pwritev2};
use thiserror::Error;

use crate::locks::{lock, unpoisoned};
use crate::paths::STANDARD;
use crate::stop::Stop;
use crate::threads::{OnDrop, Thread, Threads};

/// Upper bound on bytes that wait for the reader, unless a single item is larger:
/// a few decoded frames, for a reader that pauses briefly.
const MAX_WAITING: usize = 16 << 20;

/// Longest wait, after a signal, for a reader that takes nothing.
const ENDING: Duration = Duration::from_millis(500);

/// Time to wait for an error when a FIFO or device is opened. Opening a FIFO
/// blocks until it has a reader.
const OPENING: Duration = Duration::from_millis(100);

/// What a wide pipe holds: the most that Linux gives by default
/// (<https://man7.org/linux/man-pages/man7/pipe.7.html>).
pub const PIPE_BYTES: i32 = 1 << 20;

/// Where an offset is asked for: as `write` does, which moves the target's own.
const HERE: u64 = u64::MAX;

/// The reader of standard output is gone, which is no failure.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("nobody reads standard output any more")]
pub struct ReaderGone;

/// A target for bytes, with a queue and a thread.
pub struct Pipe {
    queue: Arc<PipeQueue>,
    /// Taken when the pipe is dropped.
    thread: Mutex<Option<Thread<()>>>,
    stop: Stop,
    is_standard: bool,
}

#[derive(Default)]
struct PipeQueue {
    state: Mutex<PipeState>,
    changed: Condvar,
}

#[derive(Default)]
struct PipeState {
    items: VecDeque<Item>,
    /// Bytes of them that are not written.
    bytes: usize,
    /// Where bytes are written without waiting, if the target can do that.
    at_once: Option<Arc<File>>,
    /// An item that was written: its memory is used for the next one.
    spare: Vec<u8>,
    opened: bool,
    writing: bool,
    /// Number of successful writes.
    progress: u64,
    failed: Option<io::Error>,
    closed: bool,
    /// Threads that wait for a change. Without any, a change costs no system call.
    waiting: usize,
    /// Whether the thread that writes has nothing to write: it may be one of them.
    idle: bool,
}

/// Bytes to write.
struct Item {
    bytes: Vec<u8>,
    written: usize,
}

impl Pipe {
    /// Writes to standard output.
    ///
    /// # Errors
    /// If no thread or file descriptor is available.
    pub fn standard_output(threads: &Threads) -> Result<Self> {
        let out = io::stdout().as_fd().try_clone_to_owned()?;
        Self::spawn(threads, true, move || Ok(File::from(out)))
    }

    /// Standard output for `-`, or the target of `path` if it exists and is not a
    /// regular file, such as a FIFO or a device. `None` for a regular file.
    pub fn to(path: &Path, threads: &Threads) -> Result<Option<Self>> {
        if path.as_os_str() == STANDARD {
            return Self::standard_output(threads).map(Some);
        }
        if !path.metadata().is_ok_and(|there| !there.is_file()) {
            return Ok(None);
        }
        let path = path.to_owned();
        let open = move || File::options().write(true).open(path);
        let pipe = Self::spawn(threads, false, open)?;
        pipe.wait_until(Some(OPENING), |state| state.opened);
        pipe.failure()?;
        Ok(Some(pipe))
    }

    fn spawn(
        threads: &Threads,
        is_standard: bool,
        open: impl FnOnce() -> io::Result<File> + Send + 'static,
    ) -> Result<Self> {
        let queue = Arc::new(PipeQueue::default());
        let taken = Arc::clone(&queue);
        let thread = threads.spawn("pipe", move || {
            // Whatever ends this thread, nobody must keep waiting for it.
            let _ended = OnDrop(|| taken.close());
            if let Err(error) = open().and_then(|out| taken.write_all(out)) {
                taken.lock().failed = Some(error);
            }
        })?;
        let (stop, woken) = (threads.stop().clone(), Arc::downgrade(&queue));
        stop.on_stop(move || {
            if let Some(queue) = woken.upgrade() {
                // After this lock, no thread is between checking and waiting.
                drop(queue.lock());
                queue.changed.notify_all();
            }
        });
        Ok(Self {
            queue,
            thread: Mutex::new(Some(thread)),
            stop,
            is_standard,
        })
    }

    /// Queues one item when there is room: at once, within `patience`, or without
    /// a limit. Returns false if there was no room, at the latest when a signal
    /// ends the program.
    ///
    /// # Errors
    /// A write error of this or an earlier item, or [`ReaderGone`].
    pub fn put(&self, item: Vec<u8>, patience: Option<Duration>) -> io::Result<bool> {
        self.put_together([item], patience)
    }

    /// Does the same for several items that follow one another: all or none.
    ///
    /// # Errors
    /// As for [`put`](Self::put).
    pub fn put_together<const ITEMS: usize>(
        &self,
        items: [Vec<u8>; ITEMS],
        patience: Option<Duration>,
    ) -> io::Result<bool> {
        let bytes: usize = items.iter().map(Vec::len).sum();
        let has_room = |state: &PipeState| {
            state.items.is_empty() || state.bytes.saturating_add(bytes) <= MAX_WAITING
        };
        self.wait_until(patience, |state| {
            has_room(state) || state.closed || self.stop.is_stopped()
        });
        self.failure()?;
        let mut state = self.queue.lock();
        if !has_room(&state) || state.closed {
            return Ok(false);
        }
        state.bytes += bytes;
        let items = items.into_iter().filter(|item| !item.is_empty());
        state
            .items
            .extend(items.map(|bytes| Item { bytes, written: 0 }));
        state.write_at_once();
        if !state.items.is_empty() || state.waiting > usize::from(state.idle) {
            self.queue.notify(state);
        }
        Ok(true)
    }

    /// A buffer for the next item: an earlier one, with its content, if there is
    /// any. New memory for each frame costs as much as copying the frame.
    pub fn buffer(&self) -> Vec<u8> {
        std::mem::take(&mut self.queue.lock().spare)
    }

    /// Waits until everything is written. After a signal, waits only while the
    /// reader keeps reading.
    pub fn finish(&self) -> io::Result<()> {
        self.finish_within(None)
    }

    /// Like [`finish`](Self::finish) after a signal.
    ///
    /// # Errors
    /// Those of [`finish`](Self::finish).
    pub fn finish_soon(&self) -> io::Result<()> {
        self.finish_within(Some(ENDING))
    }

    fn finish_within(&self, patience: Option<Duration>) -> io::Result<()> {
        let written = self.flush(patience);
        self.failure()?;
        written
    }

    /// Waits until everything is written, as long as the reader takes something
    /// within `patience`.
    fn flush(&self, patience: Option<Duration>) -> io::Result<()> {
        let mut state = self.queue.lock();
        let mut seen = (state.progress, None);
        while (state.writing || !state.items.is_empty()) && !state.closed {
            let now = Instant::now();
            let patience = patience.or(self.stop.is_stopped().then_some(ENDING));
            let left = patience.map(|patience| {
                let since = match seen {
                    (progress, Some(since)) if progress == state.progress => since,
                    _ => now,
                };
                seen = (state.progress, Some(since));
                patience.saturating_sub(now.saturating_duration_since(since))
            });
            if left.is_some_and(|left| left.is_zero()) {
                return Err(unread());
            }
            state = self.queue.wait(state, left);
        }
        Ok(())
    }

    fn wait_until(&self, patience: Option<Duration>, is_so: impl Fn(&PipeState) -> bool) {
        let begun = Instant::now();
        let mut state = self.queue.lock();
        while !is_so(&state) && !state.closed {
            let left = patience.map(|patience| patience.saturating_sub(begun.elapsed()));
            if left.is_some_and(|left| left.is_zero()) {
                return;
            }
            state = self.queue.wait(state, left);
        }
    }

    fn failure(&self) -> io::Result<()> {
        match &self.queue.lock().failed {
            None => Ok(()),
            Some(error) => Err(told(error, self.is_standard)),
        }
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        let mut state = self.queue.lock();
        state.closed = true;
        let waits = state.writing || !state.opened || !state.items.is_empty();
        drop(state);
        self.queue.changed.notify_all();
        // A thread that waits for the reader ends with the program.
        if let Some(thread) = lock(&self.thread).take().filter(|_| !waits) {
            thread.join();
        }
    }
}

impl std::fmt::Debug for Pipe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pipe").finish_non_exhaustive()
    }
}

/// Standard output for simple programs: writing blocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct StandardOutput;

impl Write for StandardOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        io::stdout()
            .write(bytes)
            .map_err(|error| told(&error, true))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().flush().map_err(|error| told(&error, true))
    }
}

/// A [`Pipe`] as a writer. Writing fails if there is no room within `patience`,
/// or before a signal.
#[derive(Debug)]
pub struct PipeWriter {
    pipe: Arc<Pipe>,
    patience: Option<Duration>,
}

impl PipeWriter {
    /// Writes to `pipe`.
    pub fn new(pipe: &Arc<Pipe>, patience: Option<Duration>) -> Self {
        Self {
            pipe: Arc::clone(pipe),
            patience,
        }
    }

    /// Waits like [`Pipe::finish`].
    pub fn finish(&self) -> io::Result<()> {
        self.pipe.finish()
    }
}

impl Write for PipeWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.pipe.put(bytes.to_vec(), self.patience)? {
            Ok(bytes.len())
        } else {
            Err(unread())
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether the error says that the reader of standard output is gone.
pub(crate) fn is_reader_gone(error: &io::Error) -> bool {
    error
        .get_ref()
        .is_some_and(<dyn std::error::Error + Send + Sync>::is::<ReaderGone>)
}

/// Lets a pipe hold [`PIPE_BYTES`], for frames: each time that it is full or empty, writer and
/// reader wait for each other. What is no pipe stays as it is.
pub fn widen(pipe: impl AsFd) {
    // A system that gives less passes frames more slowly.
    let _ = fcntl(pipe, FcntlArg::F_SETPIPE_SZ(PIPE_BYTES));
}

/// Copies an error, and identifies a closed standard output.
fn told(error: &io::Error, is_standard: bool) -> io::Error {
    if is_standard && error.kind() == io::ErrorKind::BrokenPipe {
        return io::Error::new(io::ErrorKind::BrokenPipe, ReaderGone);
    }
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}

fn unread() -> io::Error {
    io::Error::new(
        io::ErrorKind::TimedOut,
        "nobody reads what is written to it",
    )
}

impl PipeState {
    /// Writes as much as the target takes without waiting. The thread writes the
    /// rest, and finds what is wrong.
    fn write_at_once(&mut self) {
        while !self.writing
            && let (Some(out), Some(item)) = (&self.at_once, self.items.front_mut())
        {
            let rest = [IoSlice::new(item.rest())];
            match pwritev2(out, &rest, HERE, ReadWriteFlags::NOWAIT) {
                Ok(taken) => {
                    item.written += taken;
                    self.bytes -= taken;
                    self.progress += 1;
                    if !item.rest().is_empty() {
                        return;
                    }
                    if let Some(item) = self.items.pop_front() {
                        self.reuse(item);
                    }
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => self.at_once = None,
            }
        }
    }

    /// Keeps the memory of an item that was written.
    fn reuse(&mut self, item: Item) {
        if item.bytes.capacity() > self.spare.capacity() {
            self.spare = item.bytes;
        }
    }
}

impl Item {
    fn rest(&self) -> &[u8] {
        &self.bytes[self.written..]
    }
}

impl PipeQueue {
    fn write_all(&self, out: File) -> io::Result<()> {
        let out = Arc::new(out);
        let mut state = self.lock();
        state.opened = true;
        state.at_once = Some(Arc::clone(&out));
        self.changed.notify_all();
        loop {
            state.idle = true;
            while state.items.is_empty() && !state.closed {
                state = self.wait(state, None);
            }
            state.idle = false;
            let Some(item) = state.items.pop_front() else {
                return Ok(());
            };
            let mut rest = item.rest();
            state.bytes -= rest.len();
            state.writing = true;
            // There is room for the next item while this one is written.
            self.notify(state);
            while !rest.is_empty() {
                match (&*out).write(rest) {
                    Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Ok(taken) => {
                        rest = &rest[taken..];
                        let mut state = self.lock();
                        state.progress += 1;
                        self.notify(state);
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            state = self.lock();
            state.writing = false;
            state.reuse(item);
            if state.waiting > 0 {
                self.changed.notify_all();
            }
        }
    }

    /// Wakes the threads that wait, if any, after a change.
    fn notify(&self, state: MutexGuard<'_, PipeState>) {
        let is_awaited = state.waiting > 0;
        drop(state);
        if is_awaited {
            self.changed.notify_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, PipeState> {
        lock(&self.state)
    }

    fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    fn wait<'a>(
        &self,
        mut state: MutexGuard<'a, PipeState>,
        time: Option<Duration>,
    ) -> MutexGuard<'a, PipeState> {
        state.waiting += 1;
        let mut state = match time {
            None => unpoisoned(self.changed.wait(state)),
            Some(time) => unpoisoned(self.changed.wait_timeout(state, time)).0,
        };
        state.waiting -= 1;
        state
    }
}

#[cfg(test)]
mod tests;
