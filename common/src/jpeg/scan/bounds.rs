//! Bounds on the work and the memory that a header may claim.

use crate::jpeg::JpegHeader;

/// Most scans of a progressive JPEG. Encoders make about ten. Each scan costs a pass over the whole
/// image.
pub const MAX_SCANS: usize = 64;

/// Most pixels in all scans of a JPEG together: a scan of a few bytes costs as much as the image
/// has pixels. 16 scans of 40,000,000 pixels are more than any encoder makes.
const MAX_SCANNED_PIXELS: u64 = 16 * 40_000_000;

/// The most scans of a JPEG of this size that are read: [`MAX_SCANS`] up to 4K, and fewer of a
/// larger one.
pub fn most_scans(width: usize, height: usize) -> usize {
    let pixels = (width as u64 * height as u64).max(1);
    usize::try_from(MAX_SCANNED_PIXELS / pixels).map_or(MAX_SCANS, |most| most.clamp(1, MAX_SCANS))
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_images_have_few_scans() {
        assert_eq!(most_scans(3_840, 2_160), MAX_SCANS);
        assert_eq!(most_scans(8_000, 5_000), 16);
        assert_eq!(most_scans(65_500, 65_500), 1);
        assert_eq!(most_scans(0, 0), MAX_SCANS);
    }
}
