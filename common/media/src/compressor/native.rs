//! libjpeg's compressor. TurboJPEG's interface cannot set quantisation or Huffman tables;
//! `native/compressor.c` can.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char};
use std::marker::PhantomData;
use std::ptr::{NonNull, null};
use std::sync::Arc;

use crate::error::CodecError;
use crate::huffman::HuffmanTables;
use crate::steps::Steps;
use crate::subsampling::Subsampling;

/// Most planes of an image.
pub(super) const MAX_PLANES: usize = 3;

/// libjpeg's compressor. It is reused for all images.
pub(super) struct NativeCompressor(NonNull<Handle>);

// SAFETY: one thread at a time uses the handle, through `&mut self`, and libjpeg-turbo does not tie
// it to a thread.
unsafe impl Send for NativeCompressor {}

/// Why there is no JPEG.
pub(super) enum CompressError {
    /// It is longer than its buffer.
    Full,
    /// libjpeg-turbo's message.
    Refused(String),
}

impl NativeCompressor {
    pub(super) fn new() -> Result<Self, CodecError> {
        // SAFETY: takes no pointers.
        let handle = NonNull::new(unsafe { framegram_compressor_new() });
        let handle = handle.ok_or_else(|| {
            CodecError::Jpeg("libjpeg-turbo has no memory for a compressor".into())
        })?;
        Ok(Self(handle))
    }

    /// Encodes an image into `out` and returns the length of the JPEG.
    pub(super) fn compress(
        &mut self,
        image: &NativeImage<'_>,
        tables: &CodingTables,
        out: &mut [u8],
    ) -> Result<usize, CompressError> {
        let coding = Coding {
            steps: tables.steps,
            rounding: tables.rounding,
            huffman: &*tables.huffman,
            restart_interval: tables.restart_interval.into(),
        };
        // SAFETY: the handle is valid. `NativeImage` borrows planes of the size that is read.
        // `coding` and what it points to outlive the call. At most `out.len()` bytes are written to
        // `out`.
        let written = unsafe {
            framegram_compress(
                self.0.as_ptr(),
                image,
                &raw const coding,
                out.as_mut_ptr(),
                out.len(),
            )
        };
        match written {
            0 => Err(CompressError::Refused(self.message())),
            written => usize::try_from(written).map_err(|_| CompressError::Full),
        }
    }

    /// libjpeg-turbo's message about the last call that failed.
    fn message(&self) -> String {
        // SAFETY: the handle is valid, and the text is valid until the next call with it.
        let said = unsafe { CStr::from_ptr(framegram_compressor_message(self.0.as_ptr())) };
        let said = said.to_string_lossy();
        format!("the JPEG encoder failed: {said}")
    }
}

impl Drop for NativeCompressor {
    fn drop(&mut self) {
        // SAFETY: the handle is valid and not used afterwards.
        unsafe { framegram_compressor_free(self.0.as_ptr()) }
    }
}

/// PlaneRows of samples: their bytes, and the samples in a row.
pub(super) type PlaneRows<'a> = (&'a [u8], usize);

/// An image in the layout of `native/compressor.c`.
#[repr(C)]
pub(super) struct NativeImage<'a> {
    planes: [*const u8; MAX_PLANES],
    strides: [usize; MAX_PLANES],
    rows: [usize; MAX_PLANES],
    width: u32,
    height: u32,
    components: i32,
    across: i32,
    down: i32,
    is_packed: i32,
    samples: PhantomData<&'a [u8]>,
}

impl<'a> NativeImage<'a> {
    /// Packed blue, green and red, three bytes a pixel, to be encoded as 4:2:0.
    ///
    /// # Panics
    /// If there are fewer pixels than the size needs.
    pub(super) fn packed((width, height): (usize, usize), pixels: &'a [u8]) -> Self {
        assert!(pixels.len() >= 3 * width * height, "all pixels");
        Self {
            is_packed: 1,
            ..Self::new((width, height), Subsampling::Yuv420, &[(pixels, 3 * width)])
        }
    }

    /// Planes with rows of whole blocks of 8 samples.
    ///
    /// # Panics
    /// If there are fewer planes or rows than the size needs.
    pub(super) fn planes(
        size: (usize, usize),
        subsampling: Subsampling,
        planes: &[PlaneRows<'a>],
    ) -> Self {
        assert_eq!(planes.len(), subsampling.planes(), "all planes");
        Self::new(size, subsampling, planes)
    }

    fn new(
        (width, height): (usize, usize),
        subsampling: Subsampling,
        planes: &[PlaneRows<'a>],
    ) -> Self {
        let (across, down) = subsampling.step();
        let mut image = Self {
            planes: [null(); MAX_PLANES],
            strides: [0; MAX_PLANES],
            rows: [0; MAX_PLANES],
            // An image has at most `MAX_SIDE` pixels on a side.
            width: width as u32,
            height: height as u32,
            components: subsampling.planes() as i32,
            across: across as i32,
            down: down as i32,
            is_packed: 0,
            samples: PhantomData,
        };
        for (index, (samples, stride)) in planes.iter().enumerate() {
            assert!(*stride > 0 && samples.len() >= *stride, "at least a row");
            image.planes[index] = samples.as_ptr();
            image.strides[index] = *stride;
            image.rows[index] = samples.len() / stride;
        }
        image
    }
}

/// How images are coded until something of it changes.
#[derive(Clone)]
pub(super) struct CodingTables {
    pub(super) steps: Steps,
    /// Rounding offset of coefficients other than DC, in percent of a step, at most 50. Less than
    /// 50 makes a dead zone.
    pub(super) rounding: u32,
    pub(super) huffman: Arc<HuffmanTables>,
    pub(super) restart_interval: u16,
}

/// [`CodingTables`] in the layout of `native/compressor.c`.
#[repr(C)]
struct Coding {
    steps: Steps,
    rounding: u32,
    huffman: *const HuffmanTables,
    restart_interval: u32,
}

/// The compressor of `native/compressor.c`.
#[repr(C)]
struct Handle {
    _private: [u8; 0],
}

unsafe extern "C" {
    fn framegram_compressor_new() -> *mut Handle;
    fn framegram_compressor_free(compressor: *mut Handle);
    fn framegram_compressor_message(compressor: *const Handle) -> *const c_char;
    fn framegram_compress(
        compressor: *mut Handle,
        image: *const NativeImage<'_>,
        coding: *const Coding,
        out: *mut u8,
        size: usize,
    ) -> isize;
}
