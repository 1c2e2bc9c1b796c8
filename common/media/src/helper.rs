//! A second thread that does half of the work on a frame, for an owner that waits for it.

use crossbeam_channel::{Receiver, Sender, bounded};

/// The work of a thread, which ends when the owner of the helper is gone.
pub type HalfWork = Box<dyn FnOnce() + Send>;

/// Hands jobs to the thread, one at a time.
pub(crate) struct Helper<J, R> {
    jobs: Sender<J>,
    results: Receiver<R>,
    is_working: bool,
}

impl<J: Send + 'static, R: Send + 'static> Helper<J, R> {
    /// A helper, and what its thread runs.
    pub(crate) fn new(mut work: impl FnMut(J) -> R + Send + 'static) -> (Self, HalfWork) {
        let ((jobs, taken), (done, results)) = (bounded(1), bounded(1));
        let run = move || {
            for job in taken {
                if done.send(work(job)).is_err() {
                    return;
                }
            }
        };
        let helper = Self {
            jobs,
            results,
            is_working: false,
        };
        (helper, Box::new(run))
    }

    /// Hands over a job whose result is then [taken](Self::take).
    pub(crate) fn give(&mut self, job: J) {
        self.is_working = self.jobs.send(job).is_ok();
    }

    /// Waits for the result; `None` if the thread is gone.
    pub(crate) fn take(&mut self) -> Option<R> {
        let is_working = std::mem::take(&mut self.is_working);
        is_working.then(|| self.results.recv().ok()).flatten()
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn jobs_are_done_in_the_thread_until_the_owner_is_gone() {
        let (mut helper, work) = Helper::new(|job: u32| (job + 1, thread::current().id()));
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
        let (mut helper, work) = Helper::new(|job: u32| assert_eq!(job, 0));
        let thread = thread::Builder::new().spawn(work).unwrap();
        helper.give(0);
        assert_eq!(helper.take(), Some(()));
        helper.give(1);
        assert_eq!(helper.take(), None);
        helper.give(0);
        assert_eq!(helper.take(), None);
        assert!(thread.join().is_err());

        let (mut helper, work) = Helper::new(|_: u32| ());
        drop(work);
        helper.give(0);
        assert_eq!(helper.take(), None);
    }
}
