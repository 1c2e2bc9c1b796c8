//! Locks of data that is consistent at any time: a panic of another thread does not spoil it.

use std::sync::{LockResult, Mutex, MutexGuard, PoisonError};

/// Locks.
pub fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    unpoisoned(mutex.lock())
}

/// What a lock or a wait gives.
pub fn unpoisoned<T>(given: LockResult<T>) -> T {
    given.unwrap_or_else(PoisonError::into_inner)
}
