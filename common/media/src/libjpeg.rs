//! TurboJPEG's decompressor. The safe binding reports warnings as errors, though libjpeg-turbo
//! decodes despite a warning, and does not support samples of 12 bits.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::ptr::NonNull;

use turbojpeg::libc::{c_int, c_void};
use turbojpeg::{Colorspace, PixelFormat, ScalingFactor, Subsamp, raw};

use crate::error::Undecodable;

/// A warning of libjpeg-turbo about a JPEG that it decoded.
pub(crate) type Remark = Option<String>;

pub(crate) struct Decompressor {
    handle: NonNull<c_void>,
    factor: ScalingFactor,
}

/// What a JPEG's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ImageHeader {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) subsamp: Subsamp,
    pub(crate) colorspace: Colorspace,
    /// Bits of a sample.
    pub(crate) precision: usize,
    pub(crate) is_lossless: bool,
}

// SAFETY: one thread at a time uses the handle, through `&mut self`, and libjpeg-turbo does not tie
// it to a thread.
unsafe impl Send for Decompressor {}

impl Decompressor {
    /// A decompressor that gives up after this many scans.
    pub(crate) fn new(scans: usize) -> Result<Self, Undecodable> {
        // SAFETY: takes no pointers.
        let handle = unsafe { raw::tj3Init(raw::TJINIT_TJINIT_DECOMPRESS as c_int) };
        let handle = NonNull::new(handle)
            .ok_or_else(|| Undecodable("libjpeg-turbo has no memory for a decompressor".into()))?;
        let decompressor = Self {
            handle,
            factor: ScalingFactor::ONE,
        };
        let limit = raw::TJPARAM_TJPARAM_SCANLIMIT as c_int;
        // SAFETY: the handle is valid as long as `self` is.
        let status = unsafe { raw::tj3Set(handle.as_ptr(), limit, scans as c_int) };
        decompressor.outcome(status).map(|_| decompressor)
    }

    /// Reads the header of the next JPEG.
    pub(crate) fn read_header(
        &mut self,
        jpeg: &[u8],
    ) -> Result<(ImageHeader, Remark), Undecodable> {
        // SAFETY: the handle is valid, and `jpeg` has the length passed with it.
        let status = unsafe {
            raw::tj3DecompressHeader(
                self.handle.as_ptr(),
                jpeg.as_ptr(),
                jpeg.len() as raw::size_t,
            )
        };
        let remark = self.outcome(status)?;
        let side = |parameter| usize::try_from(self.get(parameter)).unwrap_or(0);
        let header = ImageHeader {
            width: side(raw::TJPARAM_TJPARAM_JPEGWIDTH),
            height: side(raw::TJPARAM_TJPARAM_JPEGHEIGHT),
            subsamp: subsamp(self.get(raw::TJPARAM_TJPARAM_SUBSAMP)),
            colorspace: colorspace(self.get(raw::TJPARAM_TJPARAM_COLORSPACE))?,
            precision: side(raw::TJPARAM_TJPARAM_PRECISION),
            is_lossless: self.get(raw::TJPARAM_TJPARAM_LOSSLESS) != 0,
        };
        Ok((header, remark))
    }

    /// Sets the reduction of the following images.
    pub(crate) fn set_factor(&mut self, factor: ScalingFactor) -> Result<(), Undecodable> {
        let known = raw::tjscalingfactor {
            num: factor.num() as c_int,
            denom: factor.denom() as c_int,
        };
        // SAFETY: the handle is valid as long as `self` is.
        let status = unsafe { raw::tj3SetScalingFactor(self.handle.as_ptr(), known) };
        self.factor = factor;
        self.outcome(status).map(drop)
    }

    /// Decompresses the image whose header was read into packed pixels, without padding between
    /// rows.
    pub(crate) fn decompress(
        &mut self,
        jpeg: &[u8],
        header: &ImageHeader,
        pixels: &mut [u8],
        format: PixelFormat,
    ) -> Result<Remark, Undecodable> {
        assert_eq!(
            pixels.len(),
            self.packed_len(header, format),
            "all of the image"
        );
        // SAFETY: the handle is valid, and `jpeg` has the length passed with it. `pixels` has the
        // length of an image of the header's size at this reduction, and libjpeg-turbo reads the
        // same header from the same bytes.
        let status = unsafe {
            raw::tj3Decompress8(
                self.handle.as_ptr(),
                jpeg.as_ptr(),
                jpeg.len() as raw::size_t,
                pixels.as_mut_ptr(),
                0,
                format as c_int,
            )
        };
        self.outcome(status)
    }

    /// As [`decompress`](Self::decompress) for samples of 9 to 12 bits. The highest 8 are kept.
    pub(crate) fn decompress_deep(
        &mut self,
        jpeg: &[u8],
        header: &ImageHeader,
        pixels: &mut [u8],
        format: PixelFormat,
    ) -> Result<Remark, Undecodable> {
        let mut deep = vec![0_i16; self.packed_len(header, format)];
        // SAFETY: as in `decompress`.
        let status = unsafe {
            raw::tj3Decompress12(
                self.handle.as_ptr(),
                jpeg.as_ptr(),
                jpeg.len() as raw::size_t,
                deep.as_mut_ptr(),
                0,
                format as c_int,
            )
        };
        let shift = header.precision.saturating_sub(8);
        for (pixel, deep) in pixels.iter_mut().zip(deep) {
            *pixel = (deep >> shift) as u8;
        }
        self.outcome(status)
    }

    /// Decompresses into planes as large as [`plane_sizes`] says, without a gap
    /// between rows; each goes with whole samples of chroma. The subsampling of the
    /// header is known.
    pub(crate) fn decompress_planes<'a>(
        &mut self,
        jpeg: &[u8],
        header: &ImageHeader,
        planes: impl IntoIterator<Item = &'a mut [u8]>,
    ) -> Result<Remark, Undecodable> {
        let sizes = plane_sizes(header);
        let mut pointers = [std::ptr::null_mut(); 3];
        let mut planes = planes.into_iter();
        for (pointer, size) in pointers.iter_mut().zip(sizes) {
            let plane = planes.next().unwrap_or_default();
            assert_eq!(plane.len(), size, "a whole plane");
            *pointer = plane.as_mut_ptr();
        }
        // SAFETY: as in `decompress`. The planes have the sizes that libjpeg-turbo states for this
        // size and subsampling, and there is no reduction.
        let status = unsafe {
            raw::tj3DecompressToYUVPlanes8(
                self.handle.as_ptr(),
                jpeg.as_ptr(),
                jpeg.len() as raw::size_t,
                pointers.as_mut_ptr(),
                std::ptr::null_mut(),
            )
        };
        self.outcome(status)
    }

    /// Length of an image as packed pixels, in bytes or samples.
    pub(crate) fn packed_len(&self, header: &ImageHeader, format: PixelFormat) -> usize {
        let (width, height) = (
            self.factor.scale(header.width),
            self.factor.scale(header.height),
        );
        width * height * format.size()
    }

    fn get(&self, parameter: raw::TJPARAM) -> c_int {
        // SAFETY: the handle is valid as long as `self` is.
        unsafe { raw::tj3Get(self.handle.as_ptr(), parameter as c_int) }
    }

    /// Distinguishes errors from warnings: a status of -1 means either.
    fn outcome(&self, status: c_int) -> Result<Remark, Undecodable> {
        if status == 0 {
            return Ok(None);
        }
        // SAFETY: the handle is valid, and the text is valid until the next call with it.
        let (code, said) = unsafe {
            let handle = self.handle.as_ptr();
            let said = CStr::from_ptr(raw::tj3GetErrorStr(handle));
            (raw::tj3GetErrorCode(handle), said)
        };
        let said = said.to_string_lossy().into_owned();
        match code == raw::TJERR_TJERR_WARNING as c_int {
            true => Ok(Some(said)),
            false => Err(Undecodable(said)),
        }
    }
}

impl Drop for Decompressor {
    fn drop(&mut self) {
        // SAFETY: the handle is valid and not used afterwards.
        unsafe { raw::tj3Destroy(self.handle.as_ptr()) }
    }
}

/// Bytes of the planes, none where there is no such plane.
pub(crate) fn plane_sizes(header: &ImageHeader) -> [usize; 3] {
    let count = if header.subsamp == Subsamp::Gray {
        1
    } else {
        3
    };
    std::array::from_fn(|index| {
        if index >= count {
            return 0;
        }
        // SAFETY: takes no pointers.
        let size = unsafe {
            raw::tj3YUVPlaneSize(
                index as c_int,
                header.width as c_int,
                0,
                header.height as c_int,
                header.subsamp as c_int,
            )
        };
        size as usize
    })
}

fn subsamp(code: c_int) -> Subsamp {
    let known = [
        Subsamp::None,
        Subsamp::Sub2x1,
        Subsamp::Sub2x2,
        Subsamp::Gray,
        Subsamp::Sub1x2,
        Subsamp::Sub4x1,
        Subsamp::Sub1x4,
    ];
    let known = known.into_iter().find(|known| *known as c_int == code);
    known.unwrap_or(Subsamp::Unknown)
}

fn colorspace(code: c_int) -> Result<Colorspace, Undecodable> {
    let known = [
        Colorspace::RGB,
        Colorspace::YCbCr,
        Colorspace::Gray,
        Colorspace::CMYK,
        Colorspace::YCCK,
    ];
    let known = known.into_iter().find(|known| *known as c_int == code);
    known.ok_or_else(|| Undecodable("its colour space is not supported".into()))
}
