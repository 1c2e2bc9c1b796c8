//! JPEGs of sources, which are taken as they are, cleaned, cut or coded again.

use std::iter;

use bytes::Bytes;

use super::input::Input;
use crate::jpeg::halves::halve;
use crate::jpeg::scan::{self, Recoding};
use crate::jpeg::{self, HuffmanTable, JpegHeader, STANDARD_TABLES, Splitter};

/// A stream of JPEGs. The first byte is the length of the pieces that it arrives in.
pub(super) fn splitter(bytes: &[u8]) {
    let mut input = Input(bytes);
    let piece = usize::from(input.u8()) + 1;
    let (all, broken) = split(input.0, input.0.len().max(1));
    assert_eq!(split(input.0, piece), (all.clone(), broken));
    for jpeg in all {
        let Ok(cleaned) = jpeg::clean(&jpeg) else {
            continue;
        };
        assert!(JpegHeader::parse(&cleaned).is_ok());
        let _ = (
            scan::missing_rows(&cleaned),
            scan::may_be_complete(&cleaned),
        );
        let mut halves = [Vec::new(), Vec::new()];
        if let Some(heights) = halve(&cleaned, &mut halves) {
            for (half, height) in halves.iter().zip(heights) {
                let half = JpegHeader::parse(half).expect("a half is a JPEG");
                assert_eq!(half.height, height);
            }
        }
    }
}

/// The JPEGs in a stream, and how many are broken.
fn split(stream: &[u8], piece: usize) -> (Vec<Bytes>, u64) {
    let (mut splitter, mut jpegs) = (Splitter::new(), Vec::new());
    for piece in stream.chunks(piece) {
        splitter.push(piece);
        jpegs.extend(iter::from_fn(|| splitter.next_jpeg()));
    }
    splitter.end();
    jpegs.extend(iter::from_fn(|| splitter.next_jpeg()));
    (jpegs, splitter.broken())
}

/// A JPEG with longer steps: those of luma and chroma, the rounding and the restart interval, then
/// the JPEG.
pub(super) fn requantise(bytes: &[u8]) {
    let mut input = Input(bytes);
    let steps = [input.u8(), input.u8()].map(|step| [u16::from(step.max(1)); 64]);
    let recoding = Recoding {
        steps: &steps,
        rounding: u32::from(input.u8() % 51),
        huffman: STANDARD_TABLES.each_ref().map(|table| HuffmanTable {
            lengths: &table.lengths,
            symbols: table.symbols,
        }),
        restart_interval: input.u8().into(),
    };
    let Some(recoded) = scan::requantise(input.0, &recoding) else {
        return;
    };
    let [before, after] = [input.0, &recoded].map(|jpeg| JpegHeader::parse(jpeg).expect("a JPEG"));
    assert_eq!((before.width, before.height), (after.width, after.height));
    // Its steps are long enough now.
    assert_eq!(scan::requantise(&recoded, &recoding), Some(recoded));
}
