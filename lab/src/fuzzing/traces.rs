//! Traces from anywhere.

use std::time::Duration;

use framegram_common::fec::Fec;

use crate::trace::{Entry, MAX_BLOCK, Reader, block};
use crate::what_if::{Setting, TracedStream, replay};

/// A file as it is; and its bytes as the entries of a block whose checksum is
/// true.
pub(super) fn run(bytes: &[u8]) {
    let entries = read(bytes);
    // However well a block is compressed.
    assert!(entries.len() <= bytes.len().saturating_mul(MAX_BLOCK));
    let mut file = block::head();
    block::put(bytes, &mut file);
    let entries = read(&file);
    // What was read survives the file.
    let mut file = block::head();
    for some in entries.chunks(100) {
        block::put(&block::entries(some), &mut file);
    }
    assert_eq!(read(&file), entries);
    let Ok(stream) = TracedStream::read(&file[..]) else {
        return;
    };
    // What is long is only more of the same.
    if stream.frames() <= 50 && stream.datagrams.0 <= 500 && stream.duration <= LONGEST {
        let setting = Setting {
            fec: Fec::Auto,
            requests: Some(Duration::from_millis(20)),
            latency: stream.latency.min(LONGEST),
            pace: true,
        };
        let told = replay(&stream, &setting, 0);
        assert!(told.whole <= told.frames);
    }
}

fn read(file: &[u8]) -> Vec<Entry> {
    let Ok(mut reader) = Reader::new(file) else {
        return Vec::new();
    };
    std::iter::from_fn(|| reader.next_entry().ok().flatten()).collect()
}

/// The longest stream that is replayed.
const LONGEST: Duration = Duration::from_secs(10);
