//! The largest images that are taken. Each bounds what a header of a few bytes
//! can cost.

/// The most pixels of an image that is sent or shown: 8K, and stills of 36
/// megapixels. As words of a window they take 160 MB.
pub const MAX_PIXELS: usize = 40_000_000;

/// The most scans of a progressive JPEG: encoders use about ten, and each scan
/// costs a pass over the whole image.
pub const MAX_SCANS: usize = 64;

/// The most pixels of all scans of a JPEG: a scan of a few bytes costs as much
/// as the image has pixels. The largest image may have 16 scans, more than any
/// encoder makes; 4K may have as many as smaller ones.
pub const MAX_SCANNED_PIXELS: usize = 16 * MAX_PIXELS;
