//! A request to stop, for all threads at once.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Upper bound on a wait, so that adding times cannot overflow.
const A_DAY: Duration = Duration::from_secs(86_400);

/// Requests the end of a run. Clones share the request.
#[derive(Clone, Default)]
pub struct Stop {
    shared: Arc<SharedStop>,
}

#[derive(Default)]
struct SharedStop {
    state: Mutex<StopState>,
    changed: Condvar,
}

#[derive(Default)]
struct StopState {
    stopped: bool,
    calls: Vec<Box<dyn FnOnce() + Send>>,
}

impl Stop {
    /// Creates a request that is not made yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the request. It cannot be withdrawn.
    pub fn stop(&self) {
        let mut state = self.lock();
        state.stopped = true;
        let calls = std::mem::take(&mut state.calls);
        drop(state);
        self.shared.changed.notify_all();
        for call in calls {
            call();
        }
    }

    /// Calls `call` when the request is made, or now if it already was.
    pub fn on_stop(&self, call: impl FnOnce() + Send + 'static) {
        let mut state = self.lock();
        if state.stopped {
            drop(state);
            call();
        } else {
            state.calls.push(Box::new(call));
        }
    }

    /// Whether the request was made.
    pub fn is_stopped(&self) -> bool {
        self.lock().stopped
    }

    /// Waits for `time`, at most a day, or until the request is made. Returns
    /// whether it was made.
    pub fn wait(&self, time: Duration) -> bool {
        let until = Instant::now() + time.min(A_DAY);
        let mut state = self.lock();
        while !state.stopped {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self
                .shared
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, StopState> {
        let state = self.shared.state.lock();
        state.unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stop({})", self.is_stopped())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_once_whether_stopped_before_or_after() {
        let (calls, called) = std::sync::mpsc::channel();
        let stop = Stop::new();
        let early = calls.clone();
        stop.on_stop(move || early.send(1).unwrap());
        stop.stop();
        stop.stop();
        stop.on_stop(move || calls.send(2).unwrap());
        assert_eq!(called.iter().collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn ends_a_wait_at_once() {
        let stop = Stop::new();
        assert!(!stop.wait(Duration::from_millis(1)));
        let other = stop.clone();
        let waiting = std::thread::spawn(move || other.wait(Duration::from_secs(60)));
        stop.stop();
        assert!(waiting.join().unwrap());
        assert!(stop.is_stopped());
    }
}
