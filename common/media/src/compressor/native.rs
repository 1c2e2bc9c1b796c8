//! libjpeg's compressor. TurboJPEG's interface sets neither quantisation nor
//! Huffman tables; `native/compressor.c` does.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char};
use std::marker::PhantomData;
use std::ptr::{NonNull, null};
use std::sync::Arc;

use crate::error::CodecError;
use crate::huffman::HuffmanTables;
use crate::steps::Steps;
use crate::subsampling::Subsampling;

/// The most planes of an image.
pub(super) const MAX_PLANES: usize = 3;

/// libjpeg's compressor, used for one image after another.
pub(super) struct Native(NonNull<Handle>);

// SAFETY: the handle is used by one thread at a time, through `&mut self`, and
// libjpeg-turbo ties it to no thread.
unsafe impl Send for Native {}

/// Why there is no JPEG.
pub(super) enum Refusal {
    /// It is longer than the memory for it.
    Full,
    /// What libjpeg-turbo says.
    Refused(String),
}

impl Native {
    pub(super) fn new() -> Result<Self, CodecError> {
        // SAFETY: takes no pointers.
        let handle = NonNull::new(unsafe { framegram_compressor_new() });
        let handle =
            handle.ok_or_else(|| CodecError::Jpeg("libjpeg-turbo gives no compressor".into()))?;
        Ok(Self(handle))
    }

    /// Writes the JPEG of an image into `out` and returns its length.
    pub(super) fn compress(
        &mut self,
        image: &NativeImage<'_>,
        tables: &Tables,
        out: &mut [u8],
    ) -> Result<usize, Refusal> {
        let coding = Coding {
            steps: tables.steps,
            rounding: tables.rounding,
            huffman: &*tables.huffman,
            restart_interval: tables.restart_interval.into(),
        };
        // SAFETY: the handle is valid. `NativeImage` has planes of the size that
        // is read, which it borrows; `coding` and what it points to outlive the
        // call; no more than `out.len()` bytes are written to `out`.
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
            0 => Err(Refusal::Refused(self.message())),
            written => usize::try_from(written).map_err(|_| Refusal::Full),
        }
    }

    /// What libjpeg-turbo said of the call that failed last.
    fn message(&self) -> String {
        // SAFETY: the handle is valid; the text is, until the next call with it.
        let said = unsafe { CStr::from_ptr(framegram_compressor_message(self.0.as_ptr())) };
        let said = said.to_string_lossy();
        format!("the JPEG encoder failed: {said}")
    }
}

impl Drop for Native {
    fn drop(&mut self) {
        // SAFETY: the handle is valid and not used again.
        unsafe { framegram_compressor_free(self.0.as_ptr()) }
    }
}

/// Rows of samples: their bytes, and how many of them a row has.
pub(super) type Rows<'a> = (&'a [u8], usize);

/// An image as `native/compressor.c` takes it.
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
    /// Packed blue, green and red, three bytes a pixel, for 4:2:0.
    ///
    /// # Panics
    /// Where there are fewer pixels than the size says.
    pub(super) fn packed((width, height): (usize, usize), pixels: &'a [u8]) -> Self {
        assert!(pixels.len() >= 3 * width * height, "all pixels");
        Self {
            is_packed: 1,
            ..Self::new((width, height), Subsampling::Yuv420, &[(pixels, 3 * width)])
        }
    }

    /// Planes, each of whose rows has whole blocks of 8 samples.
    ///
    /// # Panics
    /// Where there are fewer planes or rows than the size says.
    pub(super) fn planes(
        size: (usize, usize),
        subsampling: Subsampling,
        planes: &[Rows<'a>],
    ) -> Self {
        let components = if subsampling == Subsampling::Gray {
            1
        } else {
            MAX_PLANES
        };
        assert_eq!(planes.len(), components, "all planes");
        Self::new(size, subsampling, planes)
    }

    fn new((width, height): (usize, usize), subsampling: Subsampling, planes: &[Rows<'a>]) -> Self {
        let (across, down) = match subsampling {
            Subsampling::Gray => (1, 1),
            _ => subsampling.step(),
        };
        let mut image = Self {
            planes: [null(); MAX_PLANES],
            strides: [0; MAX_PLANES],
            rows: [0; MAX_PLANES],
            // An image has at most `MAX_SIDE` a side.
            width: width as u32,
            height: height as u32,
            components: if subsampling == Subsampling::Gray {
                1
            } else {
                3
            },
            across: across as i32,
            down: down as i32,
            is_packed: 0,
            samples: PhantomData,
        };
        for (index, (samples, stride)) in planes.iter().enumerate() {
            assert!(*stride > 0 && samples.len() >= *stride, "a row at least");
            image.planes[index] = samples.as_ptr();
            image.strides[index] = *stride;
            image.rows[index] = samples.len() / stride;
        }
        image
    }
}

/// How images are coded until something of it changes.
#[derive(Clone)]
pub(super) struct Tables {
    pub(super) steps: Steps,
    /// What of a step a coefficient other than the mean is rounded at, in
    /// percent, at most 50; a smaller one makes a dead zone.
    pub(super) rounding: u32,
    pub(super) huffman: Arc<HuffmanTables>,
    pub(super) restart_interval: u16,
}

/// The same as `native/compressor.c` takes it.
#[repr(C)]
struct Coding {
    steps: Steps,
    rounding: u32,
    huffman: *const HuffmanTables,
    restart_interval: u32,
}

/// What `native/compressor.c` keeps of a compressor.
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
