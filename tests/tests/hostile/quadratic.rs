//! Work grows linearly with what arrives, and not with its square. The tests count what is
//! requested from the allocator, so they need no clock.

use framegram_common::wire::raw::{Joined, Joiner};
use framegram_common::wire::rtp_jpeg::{Fragment, JpegAssembly, JpegKind, Sampling};

use super::*;

/// The end of the frame arrives first, then overlapping fragments, and never the first one.
#[test]
fn a_frame_of_one_byte_fragments_takes_memory_for_each_once() {
    let kind = JpegKind {
        sampling: Sampling::Half,
        interval: None,
        q: 60,
        width: 80,
        height: 60,
    };
    const FRAGMENTS: u32 = 1 << 12;
    const END: u32 = 64;
    let (complete, memory) = measure(|| {
        let mut assembly = JpegAssembly::new(kind);
        let offsets = (1..FRAGMENTS).map(|index| 1 + index % (END - 1));
        for offset in std::iter::once(END).chain(offsets) {
            let fragment = Fragment {
                kind,
                offset,
                chunk: None,
                tables: None,
                data: &[7],
            };
            assembly.place(&fragment, offset == END).unwrap();
            let _ = assembly.is_complete();
        }
        assembly.is_complete()
    });
    assert!(!complete);
    let most = FRAGMENTS as usize * 512;
    assert!(memory.taken < most, "{} bytes were taken", memory.taken);
}

/// The largest datagram, full of the shortest bytes that look like a JPEG.
#[test]
fn a_datagram_full_of_tiny_jpegs_is_copied_once() {
    let tiny = [0xff, 0xd8, 0xff, 0xd9];
    let datagram = tiny.repeat(65_000 / tiny.len());
    let mut joiner = Joiner::default();
    let (joined, memory) = measure(|| joiner.push(&datagram));
    assert_eq!(joined.len(), datagram.len() / tiny.len());
    assert!(joined.iter().all(|joined| *joined == Joined::Broken));
    let most = 100 * datagram.len();
    assert!(memory.taken < most, "{} bytes were taken", memory.taken);
}
