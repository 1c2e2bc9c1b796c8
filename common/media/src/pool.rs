//! A pool of buffers. A buffer lent as [`Bytes`] returns when its last holder drops it, so a stream
//! allocates only at its start.

use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender, bounded};

/// Most idle buffers that are kept: a steady stream has about this many in use. The rest are freed,
/// so memory does not grow after a busy moment.
const MOST_IDLE: usize = 4;

/// Idle buffers of one kind. Clones share them.
#[derive(Clone, Debug)]
pub struct Pool<T> {
    give: Sender<T>,
    take: Receiver<T>,
}

impl<T: AsRef<[u8]> + Send + 'static> Pool<T> {
    /// Takes an idle buffer with its old content, if there is one.
    #[must_use]
    pub fn take(&self) -> Option<T> {
        self.take.try_recv().ok()
    }

    /// Shares `buffer` without a copy until its last holder drops it.
    pub fn lend(&self, buffer: T) -> Bytes {
        Bytes::from_owner(Lent {
            buffer: Some(buffer),
            home: self.give.clone(),
        })
    }
}

impl<T: AsRef<[u8]> + Send + 'static> Default for Pool<T> {
    fn default() -> Self {
        let (give, take) = bounded(MOST_IDLE);
        Self { give, take }
    }
}

impl Pool<Vec<u8>> {
    /// Takes a buffer of exactly `len` bytes with undefined content.
    pub fn take_sized(&self, len: usize) -> Vec<u8> {
        let mut buffer = self.take().unwrap_or_default();
        buffer.resize(len, 0);
        buffer
    }
}

struct Lent<T> {
    buffer: Option<T>,
    home: Sender<T>,
}

impl<T: AsRef<[u8]>> AsRef<[u8]> for Lent<T> {
    fn as_ref(&self) -> &[u8] {
        self.buffer.as_ref().map_or(&[], T::as_ref)
    }
}

impl<T> Drop for Lent<T> {
    fn drop(&mut self) {
        if let Some(buffer) = self.buffer.take() {
            // If the pool is full or gone, the buffer is freed.
            let _ = self.home.try_send(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reuses_a_buffer_after_all_clones_are_dropped() {
        let pool = Pool::default();
        let buffer = vec![1_u8, 2, 3];
        let address = buffer.as_ptr();
        let lent = pool.lend(buffer);
        let clone = lent.clone();
        drop(lent);
        assert!(pool.take().is_none());
        assert_eq!(&clone[..], [1, 2, 3]);
        drop(clone);
        assert_eq!(pool.take().map(|buffer| buffer.as_ptr()), Some(address));
    }

    #[test]
    fn keeps_at_most_the_bound_of_idle_buffers() {
        let pool = Pool::default();
        let lent: Vec<_> = (0..2 * MOST_IDLE).map(|_| pool.lend(vec![0])).collect();
        drop(lent);
        assert_eq!(std::iter::from_fn(|| pool.take()).count(), MOST_IDLE);
    }
}
