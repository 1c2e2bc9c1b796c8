//! Trace files from untrusted sources.

use std::time::Duration;

use framegram_common::fec::Fec;

use crate::trace::{Entry, MAX_BLOCK, TraceReader, block};
use crate::what_if::{Setting, TracedStream, replay};

/// Reads the bytes as a file, and as the entries of a block with a correct
/// checksum.
pub(super) fn run(bytes: &[u8]) {
    let entries = read(bytes);
    // Holds for any degree of compression.
    assert!(entries.len() <= bytes.len().saturating_mul(MAX_BLOCK));
    let mut file = block::head();
    block::put(bytes, &mut file);
    let entries = read(&file);
    // What was read must survive a round trip through a file.
    let mut file = block::head();
    for some in entries.chunks(100) {
        block::put(&block::entries(some), &mut file);
    }
    assert_eq!(read(&file), entries);
    let Ok(stream) = TracedStream::read(&file[..]) else {
        return;
    };
    // Long streams only repeat the same work.
    if stream.frames() <= 50 && stream.datagrams.0 <= 500 && stream.duration <= LONGEST {
        let setting = Setting {
            fec: Fec::Auto,
            rtt: Some(Duration::from_millis(20)),
            latency: stream.latency.min(LONGEST),
            pace: true,
        };
        let told = replay(&stream, &setting, 0);
        assert!(told.complete <= told.frames);
    }
}

fn read(file: &[u8]) -> Vec<Entry> {
    let Ok(mut reader) = TraceReader::new(file) else {
        return Vec::new();
    };
    std::iter::from_fn(|| reader.next_entry().ok().flatten()).collect()
}

/// Longest stream that is replayed.
const LONGEST: Duration = Duration::from_secs(10);
