//! Output files. The programs check that they can write them before the stream
//! begins. An older file is kept until there is something in its place.
//!
//! A [`Draft`] is written next to the file and replaces it when it is complete:
//! reports, pages, session descriptions, snapshots. A [`Growing`] file has its
//! final name from its first byte, so that it can be read while it grows and
//! after the program was killed: recordings, traces, logs. The first byte moves
//! an older file aside.

mod conflict;

use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use log::info;
use serde::Serialize;

pub use self::conflict::{Named, conflict};
use crate::paths::resolve;
use crate::pipe::{Pipe, PipeWriter};
use crate::threads::Threads;

/// A file that can be written. Nothing changes until it is.
#[derive(Debug)]
pub struct OutputFile {
    path: PathBuf,
    what: &'static str,
    place: PathTarget,
    /// Only its owner may read it.
    is_private: bool,
}

/// The target of a path.
#[derive(Debug)]
enum PathTarget {
    /// Standard output, a FIFO or a device. Its reader may stop reading.
    Direct(Arc<Pipe>),
    /// The path of a file, with all links resolved. The file may not exist yet.
    File(PathBuf),
    /// An existing file in a folder where no file can be created. It can only be
    /// overwritten.
    Fixed(PathBuf),
}

/// Content that is written next to a file. [`finish`](Self::finish) replaces the
/// file; without it, the content is deleted.
#[derive(Debug)]
pub struct Draft {
    /// `None` after the end.
    out: Option<BufWriter<OutputTarget>>,
    /// Path of the draft, and of the file that it replaces; `None` if the target
    /// is written directly.
    beside: Option<(PathBuf, PathBuf)>,
    path: PathBuf,
    what: &'static str,
    /// It keeps its own permissions, not those of an older file.
    is_private: bool,
}

/// A file that grows under its final name.
pub struct Growing {
    path: PathBuf,
    what: &'static str,
    state: OutputState,
    /// Longest wait for the reader of a pipe; `None` waits without a limit.
    patience: Option<Duration>,
    tell: Box<dyn Fn(&str) + Send>,
}

#[derive(Debug)]
enum OutputState {
    /// Nothing has been written; an older file is unchanged.
    Waiting(PathTarget),
    Open(OutputTarget),
}

/// The target of writing.
#[derive(Debug)]
enum OutputTarget {
    File(File),
    Pipe(PipeWriter),
}

impl OutputFile {
    /// Checks that a file can be written, without changing what exists; `-` is
    /// standard output. `what` describes the file in errors.
    pub fn claim(path: &Path, what: &'static str, threads: &Threads) -> Result<Self> {
        let place = PathTarget::of(path, threads).with_context(|| cannot_write(what, path))?;
        info!("{what} {} can be written", path.display());
        Ok(Self {
            path: path.to_owned(),
            what,
            place,
            is_private: false,
        })
    }

    /// For content that nobody but the file's owner may read.
    pub fn private(self) -> Self {
        Self {
            is_private: true,
            ..self
        }
    }

    /// Starts a draft that replaces the file when it is complete. A pipe or a
    /// device receives the bytes directly.
    pub fn draft(&self) -> Result<Draft> {
        let begun = match &self.place {
            PathTarget::Direct(pipe) => {
                // A draft has the newest content, and does not wait for a slow
                // reader.
                let pipe = PipeWriter::new(pipe, Some(Duration::ZERO));
                Ok((OutputTarget::Pipe(pipe), None))
            }
            PathTarget::Fixed(place) => {
                File::create(place).map(|file| (OutputTarget::File(file), None))
            }
            PathTarget::File(place) => create_beside(place)
                .map(|(file, draft)| (OutputTarget::File(file), Some((draft, place.clone())))),
        };
        let begun = begun.and_then(|(file, beside)| {
            // Before anything is in it.
            if let (OutputTarget::File(file), true) = (&file, self.is_private) {
                file.set_permissions(Permissions::from_mode(OWNER_ONLY))?;
            }
            Ok((file, beside))
        });
        let (file, beside) = begun.with_context(|| cannot_write(self.what, &self.path))?;
        Ok(Draft {
            out: Some(BufWriter::new(file)),
            beside,
            is_private: self.is_private,
            path: self.path.clone(),
            what: self.what,
        })
    }

    /// Replaces the file's content. Returns its path.
    ///
    /// # Errors
    /// If `content` or writing fails. An older file is kept.
    pub fn replace(&self, content: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<PathBuf> {
        let mut draft = self.draft()?;
        content(&mut draft).with_context(|| cannot_write(self.what, &self.path))?;
        draft.finish()?;
        Ok(self.path.clone())
    }

    /// For content that grows. Calls `tell` if an older file is moved aside.
    pub fn grow(self, tell: impl Fn(&str) + Send + 'static) -> Growing {
        Growing {
            path: self.path,
            what: self.what,
            state: OutputState::Waiting(self.place),
            patience: None,
            tell: Box::new(tell),
        }
    }

    /// The pipe or device, if the target is not a file.
    pub fn pipe(&self) -> Option<&Arc<Pipe>> {
        match &self.place {
            PathTarget::Direct(pipe) => Some(pipe),
            PathTarget::File(_) | PathTarget::Fixed(_) => None,
        }
    }

    /// The path as typed.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl PathTarget {
    fn of(path: &Path, threads: &Threads) -> Result<Self> {
        if let Some(pipe) = Pipe::to(path, threads)? {
            return Ok(Self::Direct(Arc::new(pipe)));
        }
        let is_there = path.exists();
        if is_there {
            // Only opened: a file that may not be written must not be replaced
            // either.
            File::options().write(true).open(path)?;
        }
        let place = resolve(path);
        match create_beside(&place) {
            Ok((file, draft)) => {
                drop(file);
                fs::remove_file(draft)?;
                Ok(Self::File(place))
            }
            Err(_) if is_there => Ok(Self::Fixed(place)),
            Err(error) => Err(error.into()),
        }
    }
}

impl Draft {
    /// Replaces the file.
    ///
    /// # Errors
    /// If writing fails. An older file is kept.
    pub fn finish(mut self) -> Result<()> {
        self.try_finish()
            .with_context(|| cannot_write(self.what, &self.path))
    }

    fn try_finish(&mut self) -> io::Result<()> {
        let Some(out) = self.out.take() else {
            return Ok(());
        };
        let file = match out.into_inner().map_err(io::IntoInnerError::into_error)? {
            OutputTarget::File(file) => file,
            OutputTarget::Pipe(pipe) => return pipe.finish(),
        };
        let Some((draft, place)) = &self.beside else {
            return Ok(());
        };
        if let Ok(older) = fs::metadata(place)
            && !self.is_private
        {
            file.set_permissions(older.permissions())?;
        }
        match fs::rename(draft, place) {
            // A mounted file cannot be replaced, so it is overwritten.
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                fs::copy(draft, place)?;
            }
            renamed => {
                renamed?;
                self.beside = None;
            }
        }
        Ok(())
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.as_mut().map_or(Ok(0), |out| out.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Some(out) = self.out.take() {
            // An abandoned draft is not flushed.
            drop(out.into_parts());
        }
        if let Some((draft, _)) = &self.beside {
            // A leftover draft does no harm.
            let _ = fs::remove_file(draft);
        }
    }
}

impl Growing {
    /// Makes writing fail if a pipe has no room, instead of waiting for its
    /// reader. For threads that must not block.
    pub fn without_waiting(self) -> Self {
        Self {
            patience: Some(Duration::ZERO),
            ..self
        }
    }

    /// The path as typed.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Completes the file.
    ///
    /// # Errors
    /// If writing fails, or nobody reads the pipe.
    pub fn finish(&mut self) -> io::Result<()> {
        match &mut self.state {
            OutputState::Open(OutputTarget::File(file)) => file.flush(),
            OutputState::Open(OutputTarget::Pipe(pipe)) => pipe.finish(),
            OutputState::Waiting(_) => Ok(()),
        }
    }

    fn open(&mut self) -> io::Result<&mut OutputTarget> {
        if let OutputState::Waiting(place) = &self.state {
            let file = match place {
                PathTarget::Direct(pipe) => {
                    OutputTarget::Pipe(PipeWriter::new(pipe, self.patience))
                }
                PathTarget::Fixed(place) => OutputTarget::File(File::create(place)?),
                PathTarget::File(place) => {
                    let (file, aside) = create_anew(place)?;
                    if let Some(aside) = aside {
                        let (what, aside) = (self.what, aside.display());
                        (self.tell)(&format!("The older {what} is {aside} now."));
                    }
                    OutputTarget::File(file)
                }
            };
            self.state = OutputState::Open(file);
        }
        match &mut self.state {
            OutputState::Open(file) => Ok(file),
            OutputState::Waiting(_) => Err(io::Error::other("it is not open")),
        }
    }
}

impl Write for Growing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        self.open()?.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.state {
            OutputState::Open(file) => file.flush(),
            OutputState::Waiting(_) => Ok(()),
        }
    }
}

impl std::fmt::Debug for Growing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Growing")
            .field("state", &self.state)
            .finish()
    }
}

impl Write for OutputTarget {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.write(bytes),
            Self::Pipe(pipe) => pipe.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File(file) => file.flush(),
            Self::Pipe(pipe) => pipe.flush(),
        }
    }
}

/// Creates a file with this name. An older one that is not empty is moved aside.
/// Returns the file, and the path of the older one.
fn create_anew(place: &Path) -> io::Result<(File, Option<PathBuf>)> {
    let is_empty = |older: fs::Metadata| older.len() == 0;
    if fs::metadata(place).map_or(true, is_empty) {
        return Ok((File::create(place)?, None));
    }
    let aside = aside(place);
    fs::rename(place, &aside)?;
    match create_new(place) {
        Ok(file) => Ok((file, Some(aside))),
        Err(error) => {
            fs::rename(&aside, place)?;
            Err(error)
        }
    }
}

/// Creates a file that does not exist yet. It is not opened for reading, which the
/// sandbox refuses in wide folders.
fn create_new(path: &Path) -> io::Result<File> {
    File::options().write(true).create_new(true).open(path)
}

/// New path of an older file: `film.y4m~` for `film.y4m`.
fn aside(place: &Path) -> PathBuf {
    let mut aside = place.as_os_str().to_owned();
    aside.push("~");
    aside.into()
}

/// Creates a file with an unused name in the same folder.
fn create_beside(place: &Path) -> io::Result<(File, PathBuf)> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    for _ in 0..MOST_NAMES {
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!(".framegram-{}-{next}.part", process::id());
        let draft = place.with_file_name(name);
        match create_new(&draft) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            created => return created.map(|file| (file, draft)),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Writes `value` as JSON, for people to read too.
///
/// # Errors
/// Those of writing.
pub fn write_json(out: &mut dyn Write, value: &impl Serialize) -> Result<()> {
    // Serialized to a string first: serde's errors hide a closed pipe.
    let text = serde_json::to_string_pretty(value)?;
    Ok(writeln!(out, "{text}")?)
}

fn cannot_write(what: &str, path: &Path) -> String {
    if path.as_os_str() == STDOUT {
        return format!("cannot write {what} to standard output");
    }
    format!("cannot write {what} {}", path.display())
}

/// The permissions of what only its owner may read.
pub const OWNER_ONLY: u32 = 0o600;

/// Name of standard output on the command line.
const STDOUT: &str = "-";

/// Upper bound on names to try. Files of a killed program with the same process
/// ID may exist.
const MOST_NAMES: usize = 1_000;

#[cfg(test)]
mod tests;
