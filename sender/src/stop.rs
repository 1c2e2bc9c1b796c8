//! The word to stop, heard by every thread at once.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Says to all its clones that the stream is to end.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    shared: Arc<(Mutex<bool>, Condvar)>,
}

impl Stop {
    /// Not stopped.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Stops, for good.
    pub fn stop(&self) {
        let (stopped, changed) = &*self.shared;
        *stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        changed.notify_all();
    }

    /// Whether it was stopped.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        let (stopped, _) = &*self.shared;
        *stopped.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for `time`, or until it is stopped; whether it was.
    #[must_use]
    pub fn wait(&self, time: Duration) -> bool {
        let (stopped, changed) = &*self.shared;
        let until = Instant::now() + time;
        let mut guard = stopped.lock().unwrap_or_else(PoisonError::into_inner);
        while !*guard {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            guard = changed
                .wait_timeout(guard, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
