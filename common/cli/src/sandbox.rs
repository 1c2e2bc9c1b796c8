//! The sandbox: a program gives up the files, other programs and system calls that
//! it does not need, so that input which takes it over can do little.
//!
//! Landlock restricts the files (<https://docs.kernel.org/userspace-api/landlock.html>),
//! seccomp the system calls (<https://docs.kernel.org/userspace-api/seccomp_filter.html>).
//! If the kernel lacks one of them, the program runs without it, and the log says
//! so.

mod calls;
mod files;

use std::fmt;

use log::warn;

pub use self::calls::Work;
pub use self::files::Files;

/// The sandbox of a run. Threads that are started in it inherit it.
#[derive(Clone, Debug)]
pub struct Sandbox {
    /// `None` if it is switched off.
    limits: Option<Limits>,
}

#[derive(Clone, Debug)]
struct Limits {
    /// What restricts the files, or why nothing does.
    files: Result<String, String>,
    /// Why the system calls are not restricted, if they are not.
    calls: Result<(), String>,
}

impl Sandbox {
    /// No sandbox.
    pub fn off() -> Self {
        Self { limits: None }
    }

    /// Restricts the calling thread, and all threads that it starts, to `files`
    /// and to this program. The restriction cannot be undone.
    ///
    /// Threads that are running already are not restricted. Call this function
    /// before any is started.
    #[must_use]
    pub fn enter(files: &Files) -> Self {
        let limits = Limits {
            files: files.restrict(),
            calls: calls::give_up(files.runs_programs()),
        };
        Self {
            limits: Some(limits),
        }
    }

    /// Restricts the calling thread, and all threads that it starts, to the system
    /// calls of `work`. If that fails, the thread keeps all of them and the log
    /// says so.
    pub fn confine(&self, work: Work) {
        let is_restricted = self.limits.as_ref().is_some_and(|it| it.calls.is_ok());
        if is_restricted && let Err(error) = calls::keep(work) {
            warn!("sandbox: a thread keeps all system calls: {error}");
        }
    }
}

impl fmt::Display for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(limits) = &self.limits else {
            return write!(f, "off");
        };
        match &limits.files {
            Ok(by) => write!(f, "files restricted by {by}")?,
            Err(why) => write!(f, "files not restricted: {why}")?,
        }
        match &limits.calls {
            Ok(()) => write!(f, "; system calls restricted by seccomp"),
            Err(why) => write!(f, "; system calls not restricted: {why}"),
        }
    }
}

#[cfg(test)]
mod tests;
