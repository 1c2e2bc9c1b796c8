//! A second thread that does half of the work on a frame, for an owner that waits for it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// The work of a thread, which ends when the owner of the helper is gone.
pub type HalfWork = Box<dyn FnOnce() + Send>;

/// Hands jobs to the thread, one at a time.
pub(crate) struct Helper<J, R>(Arc<Desk<J, R>>);

struct Desk<J, R> {
    state: Mutex<DeskState<J, R>>,
    changed: Condvar,
}

enum DeskState<J, R> {
    Idle,
    Waiting(J),
    Working,
    Done(R),
    /// The owner or the thread is gone.
    Over,
}

impl<J: Send + 'static, R: Send + 'static> Helper<J, R> {
    /// A helper, and what its thread runs.
    pub(crate) fn new(mut work: impl FnMut(J) -> R + Send + 'static) -> (Self, HalfWork) {
        let desk = Arc::new(Desk {
            state: Mutex::new(DeskState::Idle),
            changed: Condvar::new(),
        });
        let worker = Worker(Arc::clone(&desk));
        let run = move || {
            while let Some(job) = worker.next() {
                let result = work(job);
                worker.0.set(DeskState::Done(result));
            }
        };
        (Self(desk), Box::new(run))
    }

    /// Hands over a job whose result is then [taken](Self::take).
    pub(crate) fn give(&self, job: J) {
        self.0.set(DeskState::Waiting(job));
    }

    /// Waits for the result; `None` if the thread is gone.
    pub(crate) fn take(&self) -> Option<R> {
        let mut state = self.0.lock();
        loop {
            match std::mem::replace(&mut *state, DeskState::Idle) {
                DeskState::Done(result) => return Some(result),
                DeskState::Over => {
                    *state = DeskState::Over;
                    return None;
                }
                DeskState::Idle => return None,
                other => *state = other,
            }
            let waited = self.0.changed.wait(state);
            state = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl<J, R> Drop for Helper<J, R> {
    fn drop(&mut self) {
        self.0.set(DeskState::Over);
    }
}

/// The thread's side.
struct Worker<J, R>(Arc<Desk<J, R>>);

impl<J, R> Worker<J, R> {
    /// Waits for a job; `None` if no more come.
    fn next(&self) -> Option<J> {
        let mut state = self.0.lock();
        loop {
            match std::mem::replace(&mut *state, DeskState::Working) {
                DeskState::Waiting(job) => return Some(job),
                DeskState::Over => {
                    *state = DeskState::Over;
                    return None;
                }
                other => *state = other,
            }
            let waited = self.0.changed.wait(state);
            state = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl<J, R> Drop for Worker<J, R> {
    fn drop(&mut self) {
        // Also after a panic, and where no thread was started.
        self.0.set(DeskState::Over);
    }
}

impl<J, R> Desk<J, R> {
    /// Goes on to a state, unless it is over.
    fn set(&self, next: DeskState<J, R>) {
        let mut state = self.lock();
        if !matches!(*state, DeskState::Over) {
            *state = next;
        }
        drop(state);
        self.changed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, DeskState<J, R>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn jobs_are_done_in_the_thread_until_the_owner_is_gone() {
        let (helper, work) = Helper::new(|job: u32| (job + 1, thread::current().id()));
        let thread = thread::Builder::new().spawn(work).unwrap();
        for job in 0..100 {
            helper.give(job);
            assert_eq!(helper.take(), Some((job + 1, thread.thread().id())));
        }
        assert_eq!(helper.take(), None);
        drop(helper);
        thread.join().unwrap();
    }

    #[test]
    fn a_thread_that_panics_or_never_starts_has_no_result() {
        let (helper, work) = Helper::new(|job: u32| assert_eq!(job, 0));
        let thread = thread::Builder::new().spawn(work).unwrap();
        helper.give(0);
        assert_eq!(helper.take(), Some(()));
        helper.give(1);
        assert_eq!(helper.take(), None);
        helper.give(0);
        assert_eq!(helper.take(), None);
        assert!(thread.join().is_err());

        let (helper, work) = Helper::new(|_: u32| ());
        drop(work);
        helper.give(0);
        assert_eq!(helper.take(), None);
    }
}
