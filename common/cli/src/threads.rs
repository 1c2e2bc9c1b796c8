//! Named threads with an owner. A panic in any of them ends the program in order
//! and is reported in one line.

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, Once};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};
use log::debug;
use thiserror::Error;

use crate::locks::lock;
use crate::sandbox::{Sandbox, Work};
use crate::stop::Stop;

/// The threads of one run. Clones belong to the same run.
#[derive(Clone)]
pub struct Threads {
    stop: Stop,
    sandbox: Sandbox,
    panicked: Arc<Mutex<Vec<Panicked>>>,
}

/// A panic, which is a bug of the program.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("the thread {thread:?} panicked at {place}: {message}; this is a bug of the program")]
pub struct Panicked {
    thread: String,
    place: String,
    message: String,
}

/// A running thread.
pub struct Thread<T> {
    result: Receiver<Option<T>>,
    handle: JoinHandle<()>,
}

impl Threads {
    /// A run whose panics trigger `stop`.
    pub fn new(stop: &Stop) -> Self {
        Self::within(Sandbox::off(), stop)
    }

    /// A run in a sandbox whose panics trigger `stop`.
    pub fn within(sandbox: Sandbox, stop: &Stop) -> Self {
        Self {
            stop: stop.clone(),
            sandbox,
            panicked: Arc::default(),
        }
    }

    /// The sandbox that the run is in.
    pub fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    /// The request to stop, which a panic triggers.
    pub fn stop(&self) -> &Stop {
        &self.stop
    }

    /// Starts a thread.
    ///
    /// # Errors
    /// If no thread is available.
    pub fn spawn<T: Send + 'static>(
        &self,
        name: &str,
        run: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Thread<T>> {
        debug!("thread {name:?} starts");
        let threads = self.clone();
        let (ended, result) = mpsc::channel();
        let handle = thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                let result = threads.guard(run);
                debug!("thread {:?} ends", thread::current().name());
                // If nobody joins the thread, nobody needs the result.
                let _ = ended.send(result);
            })
            .context("cannot start a thread")?;
        Ok(Thread { result, handle })
    }

    /// Starts a thread that keeps only the system calls of `work`, if the run is
    /// in a sandbox.
    ///
    /// # Errors
    /// If the system cannot start another thread.
    pub fn spawn_confined<T: Send + 'static>(
        &self,
        work: Work,
        name: &str,
        run: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Thread<T>> {
        let sandbox = self.sandbox.clone();
        self.spawn(name, move || {
            sandbox.confine(work);
            run()
        })
    }

    /// Runs code in the current thread; `None` if it panicked.
    pub fn guard<T>(&self, run: impl FnOnce() -> T) -> Option<T> {
        match guarded(run) {
            Ok(result) => Some(result),
            Err(panicked) => {
                lock(&self.panicked).push(panicked);
                self.stop.stop();
                None
            }
        }
    }

    /// The first panic, if there was one.
    pub fn outcome(&self) -> Result<(), Panicked> {
        lock(&self.panicked).first().cloned().map_or(Ok(()), Err)
    }
}

impl<T> Thread<T> {
    /// Waits for the end of the thread; `None` if it panicked.
    pub fn join(self) -> Option<T> {
        let result = self.result.recv().ok().flatten();
        // The thread catches its own panics.
        let _ = self.handle.join();
        result
    }

    /// Waits for the end of the thread, at most for `time`. Otherwise the thread
    /// is left running.
    pub fn join_within(self, time: Duration) -> Result<Option<T>, Busy> {
        match self.result.recv_timeout(time) {
            Ok(result) => {
                let _ = self.handle.join();
                Ok(result)
            }
            Err(RecvTimeoutError::Timeout) => Err(Busy),
            Err(RecvTimeoutError::Disconnected) => Ok(None),
        }
    }

    /// Whether the thread has ended.
    pub fn is_finished(&self) -> bool {
        self.handle.is_finished()
    }
}

/// The thread did not end in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy;

/// Runs a function and turns a panic into an error.
pub fn guarded<T>(run: impl FnOnce() -> T) -> Result<T, Panicked> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            // Writing to standard error could block. Whoever joins the thread
            // reports the panic.
            if !note(info) || std::env::var_os("RUST_BACKTRACE").is_some() {
                before(info);
            }
        }));
    });
    let outer = SEEN.replace(Some(None));
    let result = catch_unwind(AssertUnwindSafe(run));
    let seen = SEEN.replace(outer).flatten();
    let current = thread::current();
    result.map_err(|_| {
        seen.unwrap_or_else(|| Panicked {
            thread: current.name().unwrap_or_default().to_owned(),
            place: "an unknown place".to_owned(),
            message: String::new(),
        })
    })
}

/// Runs a function when dropped, also by a panic.
pub struct OnDrop<F: FnMut()>(pub F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

thread_local! {
    /// Inside a guard: the panic, if one has occurred.
    static SEEN: RefCell<Option<Option<Panicked>>> = const { RefCell::new(None) };
}

/// Stores a panic for the guard. Returns false outside of a guard.
fn note(info: &PanicHookInfo<'_>) -> bool {
    let payload = info.payload();
    let message = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned());
    let panicked = Panicked {
        thread: thread::current().name().unwrap_or_default().to_owned(),
        place: info
            .location()
            .map_or_else(String::new, ToString::to_string),
        message: message.unwrap_or_default(),
    };
    SEEN.try_with(|seen| {
        seen.try_borrow_mut()
            .is_ok_and(|mut seen| seen.as_mut().map(|seen| *seen = Some(panicked)).is_some())
    })
    .unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_stops_the_run_and_says_which_thread_and_where() {
        let stop = Stop::new();
        let threads = Threads::new(&stop);
        let well = threads.spawn("well", || 7).unwrap();
        assert_eq!(well.join(), Some(7));
        assert!(threads.outcome().is_ok() && !stop.is_stopped());
        let ill = threads.spawn("ill", || panic!("no {}", "luck")).unwrap();
        assert_eq!(ill.join(), None::<()>);
        assert!(stop.is_stopped());
        let told = threads.outcome().unwrap_err().to_string();
        assert!(
            told.starts_with("the thread \"ill\" panicked at ")
                && told.contains("threads.rs:")
                && told.contains(": no luck; "),
            "{told}"
        );
        assert_eq!(told.lines().count(), 1);
    }

    #[test]
    fn guards_can_be_nested() {
        let inner = guarded(|| {
            let inner = guarded(|| panic!("inner"));
            (inner, guarded(|| 1))
        });
        let (inner, one) = inner.unwrap();
        let inner: Result<(), _> = inner;
        assert_eq!(inner.unwrap_err().message, "inner");
        assert_eq!(one, Ok(1));
        let outer: Result<(), _> = guarded(|| {
            let _ = guarded(|| ());
            panic!("outer")
        });
        assert_eq!(outer.unwrap_err().message, "outer");
    }

    #[test]
    fn a_thread_that_does_not_end_is_left_behind() {
        let stop = Stop::new();
        let threads = Threads::new(&stop);
        let until = stop.clone();
        let waiting = move || until.wait(Duration::from_secs(60));
        let thread = threads.spawn("waiting", waiting).unwrap();
        assert_eq!(thread.join_within(Duration::from_millis(1)), Err(Busy));
        stop.stop();
        let thread = threads.spawn("ending", || 3).unwrap();
        assert_eq!(thread.join_within(Duration::from_secs(60)), Ok(Some(3)));
    }
}
