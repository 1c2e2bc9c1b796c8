//! Queues between the threads: a slot for one frame before the encoders, and one that restores the
//! order of their results. No thread is woken needlessly: each wake-up is a system call, and there
//! are several per frame.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex};

use framegram_cli::locks::{lock, unpoisoned};

/// A slot for one item between one thread that puts items and several that take them.
#[derive(Debug)]
pub struct FrameSlot<T> {
    state: Mutex<Waiting<T>>,
    /// There is an item to take, or none will follow.
    filled: Condvar,
    /// There is room for an item, or items are not wanted.
    emptied: Condvar,
}

#[derive(Debug)]
struct Waiting<T> {
    item: Option<T>,
    closed: bool,
    idle: bool,
    /// The number of items taken.
    taken: u64,
    /// Threads that wait to put an item, and to take one.
    putting: usize,
    taking: usize,
}

/// How an item is put if another one still waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// It replaces the other one: for a live source, only the newest counts.
    Newest,
    /// It waits for room. While items are not wanted, it replaces the other one.
    InTurn,
    /// It waits for room, even while items are not wanted.
    Waiting,
}

/// The result of putting an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutResult {
    /// It waits to be taken.
    Queued,
    /// It waits to be taken; it replaced an older one.
    Replaced,
    /// The slot is closed: nobody will take it.
    Closed,
}

impl<T> FrameSlot<T> {
    /// An empty, open slot.
    pub fn new() -> Self {
        Self {
            state: Mutex::new(Waiting {
                item: None,
                closed: false,
                idle: false,
                taken: 0,
                putting: 0,
                taking: 0,
            }),
            filled: Condvar::new(),
            emptied: Condvar::new(),
        }
    }

    /// Puts an item.
    pub fn put(&self, item: T, how: Put) -> PutResult {
        let mut state = lock(&self.state);
        while state.item.is_some()
            && !state.closed
            && match how {
                Put::Newest => false,
                Put::InTurn => !state.idle,
                Put::Waiting => true,
            }
        {
            state.putting += 1;
            state = unpoisoned(self.emptied.wait(state));
            state.putting -= 1;
        }
        if state.closed {
            return PutResult::Closed;
        }
        let replaced = state.item.replace(item).is_some();
        let is_awaited = state.taking > 0 && !state.idle;
        drop(state);
        if is_awaited {
            self.filled.notify_one();
        }
        if replaced {
            PutResult::Replaced
        } else {
            PutResult::Queued
        }
    }

    /// Whether an item is put as [`Put::InTurn`] without waiting.
    pub fn has_room(&self) -> bool {
        let state = lock(&self.state);
        state.item.is_none() || state.idle || state.closed
    }

    /// The position of an item that does not pass through the slot, as if it was put and taken at
    /// once. `None` if an older one waits, items are not wanted or accepted, or the position is not
    /// one that `suits`.
    pub fn claim(&self, suits: impl FnOnce(u64) -> bool) -> Option<u64> {
        let mut state = lock(&self.state);
        let is_free = state.item.is_none() && !state.idle && !state.closed;
        let place = Some(state.taken).filter(|place| is_free && suits(*place))?;
        state.taken += 1;
        Some(place)
    }

    /// Waits for an item. Returns it with its position in the order of taking; `None` once the slot
    /// is closed and empty.
    pub fn take(&self) -> Option<(u64, T)> {
        let mut state = lock(&self.state);
        loop {
            let wanted = !state.idle || state.closed;
            if wanted && let Some(item) = state.item.take() {
                let place = state.taken;
                state.taken += 1;
                let is_awaited = state.putting > 0;
                drop(state);
                if is_awaited {
                    self.emptied.notify_one();
                }
                return Some((place, item));
            }
            if state.closed {
                return None;
            }
            state.taking += 1;
            state = unpoisoned(self.filled.wait(state));
            state.taking -= 1;
        }
    }

    /// Whether items are not wanted.
    pub fn is_idle(&self) -> bool {
        lock(&self.state).idle
    }

    /// Sets whether items are not wanted. Then none can be taken, and the newest waits.
    pub fn set_idle(&self, idle: bool) {
        let mut state = lock(&self.state);
        if std::mem::replace(&mut state.idle, idle) != idle {
            self.wake_all();
        }
    }

    /// Closes the slot: it accepts nothing more, and a waiting item can still be taken.
    pub fn close(&self) {
        lock(&self.state).closed = true;
        self.wake_all();
    }

    fn wake_all(&self) {
        self.filled.notify_all();
        self.emptied.notify_all();
    }
}

impl<T> Default for FrameSlot<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// Items from several threads, handed out in the order of their positions.
#[derive(Debug)]
pub struct Ordered<T> {
    state: Mutex<Items<T>>,
    room: Condvar,
    /// Items beyond the next one that are held: one for each thread that makes items, so that a
    /// slow one delays no other.
    ahead: u64,
}

#[derive(Debug)]
struct Items<T> {
    items: BTreeMap<u64, T>,
    next: u64,
    makers: usize,
    /// Threads that wait for room.
    waiting: usize,
    closed: bool,
}

impl<T> Ordered<T> {
    /// For this many threads.
    pub fn new(makers: usize) -> Self {
        Self {
            state: Mutex::new(Items {
                items: BTreeMap::new(),
                next: 0,
                makers,
                waiting: 0,
                closed: false,
            }),
            room: Condvar::new(),
            ahead: makers as u64,
        }
    }

    /// Puts the item at this position, as soon as the position is close enough to the next one to
    /// be taken, or at once if the queue is closed.
    pub fn put(&self, place: u64, item: T) {
        let mut state = lock(&self.state);
        while !self.is_close(place, &state) && !state.closed {
            state.waiting += 1;
            state = unpoisoned(self.room.wait(state));
            state.waiting -= 1;
        }
        state.items.insert(place, item);
    }

    /// Whether an item at this position would not have to wait.
    pub fn has_room(&self, place: u64) -> bool {
        self.is_close(place, &lock(&self.state))
    }

    fn is_close(&self, place: u64, state: &Items<T>) -> bool {
        place <= state.next + self.ahead
    }

    /// The next item, if it is ready.
    pub fn take(&self) -> Option<T> {
        let mut state = lock(&self.state);
        let next = state.next;
        let item = state.items.remove(&next)?;
        state.next += 1;
        let is_awaited = state.waiting > 0;
        drop(state);
        if is_awaited {
            self.room.notify_all();
        }
        Some(item)
    }

    /// Reports that one of the threads makes no more items.
    pub fn leave(&self) {
        let mut state = lock(&self.state);
        state.makers = state.makers.saturating_sub(1);
    }

    /// Closes the queue and wakes the threads that wait for room.
    pub fn close(&self) {
        lock(&self.state).closed = true;
        self.room.notify_all();
    }

    /// Whether nothing more can be taken, now or later. Items after the position of a panicked
    /// thread cannot.
    pub fn is_finished(&self) -> bool {
        let state = lock(&self.state);
        state.makers == 0 && !state.items.contains_key(&state.next)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn keeps_the_newest_only() {
        let slot = FrameSlot::new();
        assert_eq!(slot.put(1, Put::Newest), PutResult::Queued);
        assert_eq!(slot.put(2, Put::Newest), PutResult::Replaced);
        assert_eq!(slot.take(), Some((0, 2)));
        assert_eq!(slot.put(3, Put::Newest), PutResult::Queued);
        slot.close();
        assert_eq!(slot.put(4, Put::Newest), PutResult::Closed);
        assert_eq!(slot.take(), Some((1, 3)));
        assert_eq!(slot.take(), None);
    }

    #[test]
    fn loses_and_reorders_nothing_between_threads() {
        const ITEMS: u64 = 2000;
        const MAKERS: usize = 4;
        let slot = FrameSlot::new();
        let ordered = Ordered::new(MAKERS);
        let mut got = Vec::new();
        thread::scope(|scope| {
            scope.spawn(|| {
                for item in 0..ITEMS {
                    assert_eq!(slot.put(item, Put::Waiting), PutResult::Queued);
                }
                slot.close();
            });
            for _ in 0..MAKERS {
                scope.spawn(|| {
                    while let Some((place, item)) = slot.take() {
                        ordered.put(place, item);
                        assert!(lock(&ordered.state).items.len() <= MAKERS + 1);
                    }
                    ordered.leave();
                });
            }
            while !ordered.is_finished() {
                match ordered.take() {
                    Some(item) => got.push(item),
                    None => thread::yield_now(),
                }
            }
        });
        assert_eq!(got, (0..ITEMS).collect::<Vec<_>>());
    }

    #[test]
    fn while_idle_the_newest_item_waits_and_is_then_available_at_once() {
        let slot = FrameSlot::new();
        slot.set_idle(true);
        assert_eq!(slot.put(1, Put::InTurn), PutResult::Queued);
        assert_eq!(slot.put(2, Put::InTurn), PutResult::Replaced);
        assert_eq!(slot.put(3, Put::Newest), PutResult::Replaced);
        thread::scope(|scope| {
            let taking = scope.spawn(|| slot.take());
            let putting = scope.spawn(|| slot.put(4, Put::Waiting));
            slot.set_idle(false);
            assert_eq!(taking.join().unwrap(), Some((0, 3)));
            assert_eq!(putting.join().unwrap(), PutResult::Queued);
        });
        // An item that waits at the end is handed out, wanted or not.
        slot.set_idle(true);
        slot.close();
        assert_eq!(slot.take(), Some((1, 4)));
        assert_eq!(slot.take(), None);
    }

    #[test]
    fn a_position_is_claimed_only_where_the_item_is_next_and_has_room() {
        let (slot, ordered) = (FrameSlot::new(), Ordered::new(1));
        let claim = || slot.claim(|place| ordered.has_room(place));
        for place in 0..2 {
            assert_eq!(claim(), Some(place));
            ordered.put(place, place);
        }
        assert_eq!(claim(), None, "the order has no room");
        assert_eq!(ordered.take(), Some(0));
        slot.put(7, Put::Waiting);
        assert_eq!(claim(), None, "an older one waits");
        assert!(!slot.has_room());
        assert_eq!(slot.take(), Some((2, 7)));
        assert_eq!(ordered.take(), Some(1));
        assert_eq!(claim(), Some(3));
        ordered.put(3, 3);
        assert_eq!(ordered.take(), None, "the older one is not there yet");
        ordered.put(2, 7);
        assert_eq!([ordered.take(), ordered.take()], [Some(7), Some(3)]);
        slot.set_idle(true);
        slot.put(8, Put::InTurn);
        assert_eq!(claim(), None, "none are wanted");
        assert!(slot.has_room());
        slot.set_idle(false);
        slot.close();
        assert_eq!(claim(), None, "none are accepted");
    }

    #[test]
    fn threads_that_wait_for_room_are_woken_by_closing() {
        let ordered = Ordered::new(2);
        thread::scope(|scope| {
            let waiting = scope.spawn(|| ordered.put(9, 9));
            ordered.close();
            waiting.join().unwrap();
        });
        ordered.put(10, 10);
        assert!(!ordered.is_finished());
        ordered.leave();
        ordered.leave();
        assert_eq!(ordered.take(), None);
        assert!(ordered.is_finished());
    }

    #[test]
    fn closing_wakes_every_waiting_thread() {
        let slot = FrameSlot::new();
        slot.put(1, Put::Waiting);
        thread::scope(|scope| {
            let waiting = scope.spawn(|| slot.put(2, Put::Waiting));
            slot.close();
            assert_eq!(waiting.join().unwrap(), PutResult::Closed);
        });
    }
}
