//! An allocator that counts the memory it hands out. It is the only file of this
//! crate with `unsafe` code, because memory use cannot be measured exactly in
//! another way. A test program uses it as its `#[global_allocator]`.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, with a count per thread.
#[derive(Debug)]
pub struct Counting;

/// Memory use of a piece of work, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Peak above the memory held before.
    pub peak: usize,
    /// Sum of all allocations, freed or not.
    pub taken: usize,
}

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
    static TAKEN: Cell<usize> = const { Cell::new(0) };
}

/// Measures the memory that `work` uses in this thread.
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
    // A terminating thread may still allocate and free. That is not counted.
    let _ = HELD.try_with(|held| {
        held.set(held.get() + bytes as isize);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(held.get())));
    });
    let _ = TAKEN.try_with(|taken| taken.set(taken.get() + bytes));
}

fn record_given_back(bytes: usize) {
    let _ = HELD.try_with(|held| held.set(held.get() - bytes as isize));
}

// SAFETY: every call is passed on to the system's allocator unchanged; counting
// does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        record_taken(layout.size());
        // SAFETY: the caller upholds the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        record_taken(layout.size());
        // SAFETY: the caller upholds the contract.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        record_given_back(layout.size());
        // SAFETY: the caller upholds the contract.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        record_given_back(layout.size());
        record_taken(size);
        // SAFETY: the caller upholds the contract.
        unsafe { System.realloc(pointer, layout, size) }
    }
}
