//! Traces from anywhere.

use crate::trace::{Entry, Reader, block};

/// A file as it is; and its bytes as the entries of a block whose checksum is
/// true.
pub(super) fn run(bytes: &[u8]) {
    let entries = read(bytes);
    assert!(entries.len() <= bytes.len());
    let mut file = block::head();
    block::put(bytes, &mut file);
    let entries = read(&file);
    // What was read survives the file.
    let mut file = block::head();
    for some in entries.chunks(100) {
        block::put(&block::entries(some), &mut file);
    }
    assert_eq!(read(&file), entries);
}

fn read(file: &[u8]) -> Vec<Entry> {
    let Ok(mut reader) = Reader::new(file) else {
        return Vec::new();
    };
    std::iter::from_fn(|| reader.next_entry().ok().flatten()).collect()
}
