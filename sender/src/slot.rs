//! The newest of something, for one thread that looks at it in its own time.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Holds at most one item; a newer one takes its place.
pub(crate) struct Slot<T> {
    state: Mutex<(Option<T>, bool)>,
    changed: Condvar,
}

impl<T> Slot<T> {
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::new((None, false)),
            changed: Condvar::new(),
        }
    }

    pub(crate) fn put(&self, item: T) {
        self.lock().0 = Some(item);
        self.changed.notify_one();
    }

    /// Waits for an item, or until `time` has passed or it is closed.
    pub(crate) fn take(&self, time: Duration) -> Option<T> {
        let waits = |state: &mut (Option<T>, bool)| state.0.is_none() && !state.1;
        self.changed
            .wait_timeout_while(self.lock(), time, waits)
            .unwrap_or_else(PoisonError::into_inner)
            .0
            .0
            .take()
    }

    pub(crate) fn close(&self) {
        self.lock().1 = true;
        self.changed.notify_one();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.lock().1
    }

    fn lock(&self) -> MutexGuard<'_, (Option<T>, bool)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
