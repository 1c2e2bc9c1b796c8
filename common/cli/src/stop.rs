//! A request to stop, for all threads at once.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use crate::locks::{lock, unpoisoned};

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
        let mut state = lock(&self.shared.state);
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
        let mut state = lock(&self.shared.state);
        if state.stopped {
            drop(state);
            call();
        } else {
            state.calls.push(Box::new(call));
        }
    }

    /// Whether the request was made.
    pub fn is_stopped(&self) -> bool {
        lock(&self.shared.state).stopped
    }

    /// Waits for `time`, at most a day, or until the request is made. Returns
    /// whether it was made.
    pub fn wait(&self, time: Duration) -> bool {
        let (state, changed) = (lock(&self.shared.state), &self.shared.changed);
        let waited = changed.wait_timeout_while(state, time.min(A_DAY), |state| !state.stopped);
        unpoisoned(waited).0.stopped
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
