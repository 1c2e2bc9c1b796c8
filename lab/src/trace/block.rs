//! Blocks: compressed entries, preceded by length and checksum.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

use super::{MAGIC, MAX_BLOCK, VERSION};

/// Length of the file header.
pub(super) const HEAD: usize = MAGIC.len() + 1;

/// Length of a block header.
pub(super) const BLOCK_HEAD: usize = 8;

/// The file header.
pub(crate) fn head() -> Vec<u8> {
    [&MAGIC[..], &[VERSION]].concat()
}

/// Appends a block with these entries.
pub(crate) fn put(entries: &[u8], out: &mut Vec<u8>) {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    // Writing to a vector cannot fail.
    let written = encoder.write_all(entries).and_then(|()| encoder.finish());
    let deflated = written.unwrap_or_default();
    out.extend_from_slice(&(deflated.len() as u32).to_be_bytes());
    out.extend_from_slice(&crc32c::crc32c(&deflated).to_be_bytes());
    out.extend_from_slice(&deflated);
}

/// Decompresses a block; `None` if it is damaged or too large.
pub(super) fn inflate(deflated: &[u8]) -> Option<Vec<u8>> {
    let (mut entries, mut decoder) = (Vec::new(), DeflateDecoder::new(deflated));
    let most = MAX_BLOCK as u64 + 1;
    decoder.by_ref().take(most).read_to_end(&mut entries).ok()?;
    let complete = decoder.total_in() == deflated.len() as u64;
    (complete && (1..=MAX_BLOCK).contains(&entries.len())).then_some(entries)
}

/// Serializes entries into one block.
#[cfg(any(test, fuzzing))]
pub(crate) fn entries(entries: &[super::Entry]) -> Vec<u8> {
    let (mut state, mut block) = (super::code::CodeState::default(), Vec::new());
    entries
        .iter()
        .for_each(|entry| state.put(entry, &mut block));
    block
}
