//! libjpeg's decompressor for plain JPEGs, which writes samples straight into planes:
//! `native/decompressor.c`. TurboJPEG's interface copies them first, in most sizes of video.
#![allow(unsafe_code)]

use std::ptr::{NonNull, null_mut};

use crate::planes::Planes;
use crate::subsampling::Subsampling;

/// Most planes of an image.
const MAX_PLANES: usize = 3;

/// Samples in a row of a block.
const BLOCK: usize = 8;

/// libjpeg's decompressor. It is reused for all images.
pub(super) struct PlainDecompressor(NonNull<DecompressorHandle>);

// SAFETY: one thread at a time uses the handle, through `&mut self`, and libjpeg-turbo does not tie
// it to a thread.
unsafe impl Send for PlainDecompressor {}

impl PlainDecompressor {
    /// `None` if there is no memory for one.
    pub(super) fn new() -> Option<Self> {
        // SAFETY: takes no pointers.
        NonNull::new(unsafe { framegram_decompressor_new() }).map(Self)
    }

    /// Decodes a JPEG of at most this many pixels into `planes`, whose memory is reused. Returns
    /// whether it did: not unless the JPEG is plain, its rows are of whole blocks, and libjpeg has
    /// nothing to say. Otherwise the content of `planes` is undefined, and no other JPEG may be
    /// decoded.
    pub(super) fn decode(&mut self, jpeg: &[u8], most: usize, planes: &mut Planes) -> bool {
        let mut header = NativeHeader::default();
        // SAFETY: the handle is valid, and `jpeg` has the length passed with it.
        let is_plain = unsafe {
            framegram_decompress_header(self.0.as_ptr(), jpeg.as_ptr(), jpeg.len(), &mut header)
        };
        let (width, height) = (header.width as usize, header.height as usize);
        let pixels = width.checked_mul(height);
        let Some(subsampling) = header.subsampling().filter(|_| is_plain != 0) else {
            return false;
        };
        if pixels.is_none_or(|pixels| pixels == 0 || pixels > most) {
            return false;
        }
        (planes.width, planes.height) = (width, height);
        planes.subsampling = subsampling;
        let len = subsampling.padded_bytes(width, height);
        planes.samples.resize(len, 0);
        let mut out = NativePlanes::default();
        for (index, (samples, plane)) in planes.planes_mut().enumerate() {
            if !plane.pitch.is_multiple_of(BLOCK) {
                return false;
            }
            out.planes[index] = samples.as_mut_ptr();
            (out.widths[index], out.rows[index]) = (plane.pitch, plane.rows);
        }
        // SAFETY: the handle is valid, and `jpeg` is where it was when its header was read. Each
        // plane has `widths` times `rows` samples, and no row is written that it does not have.
        unsafe { framegram_decompress_planes(self.0.as_ptr(), &raw const out) != 0 }
    }
}

impl Drop for PlainDecompressor {
    fn drop(&mut self) {
        // SAFETY: the handle is valid and not used afterwards.
        unsafe { framegram_decompressor_free(self.0.as_ptr()) }
    }
}

impl NativeHeader {
    fn subsampling(&self) -> Option<Subsampling> {
        match (self.components, self.across, self.down) {
            (1, 1, 1) => Some(Subsampling::Gray),
            (3, 2, 2) => Some(Subsampling::Yuv420),
            (3, 2, 1) => Some(Subsampling::Yuv422),
            (3, 1, 1) => Some(Subsampling::Yuv444),
            (3, 4, 1) => Some(Subsampling::Yuv411),
            _ => None,
        }
    }
}

/// The decompressor of `native/decompressor.c`.
#[repr(C)]
struct DecompressorHandle {
    _private: [u8; 0],
}

/// What a header says, in the layout of `native/decompressor.c`.
#[repr(C)]
#[derive(Default)]
struct NativeHeader {
    width: u32,
    height: u32,
    components: i32,
    across: i32,
    down: i32,
}

/// Planes in the layout of `native/decompressor.c`.
#[repr(C)]
struct NativePlanes {
    planes: [*mut u8; MAX_PLANES],
    widths: [usize; MAX_PLANES],
    rows: [usize; MAX_PLANES],
}

impl Default for NativePlanes {
    fn default() -> Self {
        Self {
            planes: [null_mut(); MAX_PLANES],
            widths: [0; MAX_PLANES],
            rows: [0; MAX_PLANES],
        }
    }
}

unsafe extern "C" {
    fn framegram_decompressor_new() -> *mut DecompressorHandle;
    fn framegram_decompressor_free(decompressor: *mut DecompressorHandle);
    fn framegram_decompress_header(
        decompressor: *mut DecompressorHandle,
        jpeg: *const u8,
        size: usize,
        header: *mut NativeHeader,
    ) -> i32;
    fn framegram_decompress_planes(
        decompressor: *mut DecompressorHandle,
        out: *const NativePlanes,
    ) -> i32;
}
