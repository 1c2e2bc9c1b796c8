//! A channel that keeps only the newest item, for a slower thread.

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

/// The sending end. A new item replaces one that was not taken. Dropping it closes the channel.
#[derive(Debug)]
pub(crate) struct Latest<T> {
    put: Sender<T>,
    untaken: Receiver<T>,
}

/// Creates a channel.
pub(crate) fn latest<T>() -> (Latest<T>, Receiver<T>) {
    let (put, take) = bounded(1);
    let untaken = take.clone();
    (Latest { put, untaken }, take)
}

impl<T> Latest<T> {
    pub(crate) fn put(&self, item: T) {
        if let Err(TrySendError::Full(item)) = self.put.try_send(item) {
            // This fails if the item was just taken; then there is room.
            let _ = self.untaken.try_recv();
            let _ = self.put.try_send(item);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_is_taken_and_the_end_shows() {
        let (latest, taken) = latest();
        (0..3).for_each(|item| latest.put(item));
        assert_eq!(taken.try_recv(), Ok(2));
        assert!(taken.is_empty());
        latest.put(3);
        drop(latest);
        assert_eq!(taken.recv(), Ok(3));
        assert!(taken.recv().is_err());
    }
}
