//! An allocator that counts, and the one file here that may hold `unsafe`
//! code: what memory something takes can be known exactly in no other way.
//! A test program names it as its `#[global_allocator]`.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, counting what each thread takes and gives back.
#[derive(Debug)]
pub struct Counting;

/// What a piece of work took of memory, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// The most that it held at once, beyond what was held before.
    pub peak: usize,
    /// Everything it asked for, whether or not it gave it back.
    pub taken: usize,
}

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
    static TAKEN: Cell<usize> = const { Cell::new(0) };
}

/// Measures what `work` takes in this thread.
pub fn measure<T>(work: impl FnOnce() -> T) -> (T, Memory) {
    let (held, peak, taken) = (HELD.get(), PEAK.get(), TAKEN.get());
    PEAK.set(held);
    let result = work();
    let memory = Memory {
        peak: usize::try_from(PEAK.get() - held).unwrap_or(0),
        taken: TAKEN.get() - taken,
    };
    PEAK.set(PEAK.get().max(peak));
    (result, memory)
}

fn record_taken(bytes: usize) {
    // A thread that ends may still free and take memory: it is not counted.
    let _ = HELD.try_with(|held| {
        held.set(held.get() + bytes as isize);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(held.get())));
    });
    let _ = TAKEN.try_with(|taken| taken.set(taken.get() + bytes));
}

fn record_given_back(bytes: usize) {
    let _ = HELD.try_with(|held| held.set(held.get() - bytes as isize));
}

// SAFETY: every call is passed on to the system's allocator as it came; the
// counting takes no memory.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        record_taken(layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        record_taken(layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        record_given_back(layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        record_given_back(layout.size());
        record_taken(size);
        // SAFETY: as the caller promises.
        unsafe { System.realloc(pointer, layout, size) }
    }
}
