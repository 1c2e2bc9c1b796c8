//! Blocks: entries with their length and checksum before them.

use super::{MAGIC, VERSION};

/// Bytes before the first block.
pub(super) const HEAD: usize = MAGIC.len() + 1;

/// Bytes before the entries of a block.
pub(super) const BLOCK_HEAD: usize = 8;

/// What stands before the first block.
pub(crate) fn head() -> Vec<u8> {
    [&MAGIC[..], &[VERSION]].concat()
}

/// Appends a block of these bytes.
pub(crate) fn put(entries: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(entries.len() as u32).to_be_bytes());
    out.extend_from_slice(&crc32c::crc32c(entries).to_be_bytes());
    out.extend_from_slice(entries);
}

/// Entries as the bytes of one block.
#[cfg(any(test, fuzzing))]
pub(crate) fn entries(entries: &[super::Entry]) -> Vec<u8> {
    let (mut state, mut block) = (super::code::State::default(), Vec::new());
    entries
        .iter()
        .for_each(|entry| state.put(entry, &mut block));
    block
}
