//! Bounds on the work and the memory that a header may claim.

use crate::jpeg::JpegHeader;

/// Most scans of a progressive JPEG. Encoders make about ten. Each scan costs a pass over the whole
/// image.
pub const MAX_SCANS: usize = 64;

/// Upper bound on the blocks of a progressive JPEG that is checked: three of each 64 samples of
/// 220,000,000 pixels. Each takes 8 bytes of memory.
const MAX_BLOCKS: u64 = 3 * 220_000_000 / 64;

/// Whether the first scan of DC coefficients, with a bit for each block, fits into `len` bytes. The
/// memory for the coefficients of a progressive header that claims more is not reserved.
pub(super) fn may_hold_all_blocks(header: &JpegHeader, len: usize) -> bool {
    let blocks = header.components.iter().map(|component| {
        let (columns, rows) = header.blocks_of(component);
        u64::from(columns) * u64::from(rows)
    });
    let blocks: u64 = blocks.sum();
    blocks <= MAX_BLOCKS && blocks <= 8 * len as u64
}
