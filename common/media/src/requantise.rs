//! JPEGs of a camera in fewer bytes, without pixels.

use framegram_common::jpeg::JpegHeader;
use framegram_common::jpeg::scan::{self, Recoding};

use crate::compressor::ROUNDING;
use crate::huffman::HuffmanTables;
use crate::steps::steps;
use crate::subsampling::Subsampling;

/// A baseline JPEG with the steps of `quality`, 1 to 100, where these are longer than its own, and
/// with restart markers after every `restart_interval` MCUs; 0 for none. `None` for other kinds of
/// JPEG and for damaged ones.
pub fn requantise(
    jpeg: &[u8],
    quality: u8,
    huffman: &HuffmanTables,
    restart_interval: u16,
) -> Option<Vec<u8>> {
    let header = JpegHeader::parse(jpeg).ok()?;
    let subsampling = match header.components[..] {
        [_] => Subsampling::Gray,
        [luma, ..] if (luma.horizontal, luma.vertical) == (2, 2) => Subsampling::Yuv420,
        // The same steps are for all others.
        _ => Subsampling::Yuv444,
    };
    let recoding = Recoding {
        steps: &steps(quality, subsampling),
        rounding: ROUNDING,
        huffman: huffman.each(),
        restart_interval,
    };
    scan::requantise(jpeg, &recoding)
}
