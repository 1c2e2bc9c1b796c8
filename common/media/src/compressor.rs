//! Images to JPEG. The one file here that may hold `unsafe` code: the safe
//! binding of libjpeg-turbo has no setter for restart markers and cannot write
//! into a buffer that is used again.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::ptr::NonNull;

use bytes::Bytes;
use turbojpeg::libc::{c_int, c_void};
use turbojpeg::raw;

use crate::error::CodecError;
use crate::image::{Image, Pixels};
use crate::pool::Pool;
use crate::subsampling::Subsampling;

/// Encodes images, one after another, into buffers that are used again.
pub struct Compressor {
    handle: NonNull<c_void>,
    buffers: Pool<Buffer>,
    padded_luma: Vec<u8>,
}

// SAFETY: the handle is used by one thread at a time, through `&mut self`, and
// libjpeg-turbo ties it to no thread.
unsafe impl Send for Compressor {}

impl Compressor {
    /// A compressor of its own.
    ///
    /// # Errors
    /// When libjpeg-turbo has no memory.
    pub fn new() -> Result<Self, CodecError> {
        // SAFETY: takes no pointers.
        let handle = unsafe { raw::tj3Init(raw::TJINIT_TJINIT_COMPRESS as c_int) };
        let handle = NonNull::new(handle)
            .ok_or_else(|| CodecError::Jpeg("libjpeg-turbo gives no compressor".into()))?;
        let mut compressor = Self {
            handle,
            buffers: Pool::new(),
            padded_luma: Vec::new(),
        };
        // The output buffer is ours and large enough for every case.
        compressor.set(raw::TJPARAM_TJPARAM_NOREALLOC, 1)?;
        Ok(compressor)
    }

    /// Restart markers after every this many MCUs (blocks of interleaved
    /// components); 0 for none. At most 65,535.
    ///
    /// # Errors
    /// When libjpeg-turbo refuses it.
    pub fn set_restart_interval(&mut self, mcus: u16) -> Result<(), CodecError> {
        self.set(raw::TJPARAM_TJPARAM_RESTARTBLOCKS, c_int::from(mcus))
    }

    /// `image` as a baseline JPEG of `quality` 1 to 100; BGR becomes 4:2:0,
    /// planes keep their subsampling.
    ///
    /// # Errors
    /// When libjpeg-turbo refuses it.
    pub fn compress(&mut self, image: &Image, quality: u8) -> Result<Bytes, CodecError> {
        let size = (image.width(), image.height());
        let subsampling = match image.pixels() {
            Pixels::Bgr(_) => Subsampling::Yuv420,
            Pixels::Yuv(subsampling, _) => *subsampling,
        };
        let subsamp = subsampling.to_jpeg() as c_int;
        self.set(raw::TJPARAM_TJPARAM_QUALITY, c_int::from(quality))?;
        self.set(raw::TJPARAM_TJPARAM_SUBSAMP, subsamp)?;

        // An image has at most `MAX_SIDE` a side.
        let (width, height) = (size.0 as c_int, size.1 as c_int);
        // SAFETY: takes no pointers.
        let largest = unsafe { raw::tj3JPEGBufSize(width, height, subsamp) } as usize;
        if largest == 0 {
            let refused = format!("libjpeg-turbo refuses {width}x{height}");
            return Err(CodecError::Jpeg(refused));
        }
        let mut buffer = self.buffers.take().unwrap_or_default();
        if buffer.memory.len() < largest {
            // Fresh zeroed memory is not touched before it is written.
            buffer.memory = vec![0; largest];
        }

        let mut output = buffer.memory.as_mut_ptr();
        let mut len = buffer.memory.len() as raw::size_t;
        let handle = self.handle.as_ptr();
        let status = match image.pixels() {
            // SAFETY: an `Image` holds 3 * width * height bytes without
            // padding; `output` points to `len` writable bytes and NOREALLOC
            // is set, so that it is neither grown nor freed.
            Pixels::Bgr(pixels) => unsafe {
                raw::tj3Compress8(
                    handle,
                    pixels.as_ptr(),
                    width,
                    0,
                    height,
                    raw::TJPF_TJPF_BGR,
                    &raw mut output,
                    &raw mut len,
                )
            },
            Pixels::Yuv(_, planes) => {
                let mut pointers = [std::ptr::null(); 3];
                let mut strides = [0; 3];
                let split = subsampling.split(size.0, size.1, planes);
                for (index, (plane, stride, _)) in split.enumerate() {
                    pointers[index] = plane.as_ptr();
                    strides[index] = stride as c_int;
                }
                let padded = subsampling.padded(size);
                if padded != size {
                    pad(
                        &planes[..size.0 * size.1],
                        size,
                        &mut self.padded_luma,
                        padded,
                    );
                    pointers[0] = self.padded_luma.as_ptr();
                    strides[0] = padded.0 as c_int;
                }
                // SAFETY: as above; `split` gives as many planes as the
                // subsampling that was set has, the chroma planes of the very
                // size that is read, and luma is padded to that size.
                unsafe {
                    raw::tj3CompressFromYUVPlanes8(
                        handle,
                        pointers.as_ptr(),
                        width,
                        strides.as_ptr(),
                        height,
                        &raw mut output,
                        &raw mut len,
                    )
                }
            }
        };
        if status != 0 {
            return Err(self.error("failed"));
        }
        buffer.len = len as usize;
        Ok(self.buffers.lend(buffer))
    }

    fn set(&mut self, parameter: raw::TJPARAM, value: c_int) -> Result<(), CodecError> {
        // SAFETY: the handle is valid for as long as `self` is.
        match unsafe { raw::tj3Set(self.handle.as_ptr(), parameter as c_int, value) } {
            0 => Ok(()),
            _ => Err(self.error("refuses")),
        }
    }

    /// What libjpeg-turbo says about its last call.
    fn error(&self, what: &str) -> CodecError {
        // SAFETY: the handle is valid; the text is, until the next call with it.
        let said = unsafe { CStr::from_ptr(raw::tj3GetErrorStr(self.handle.as_ptr())) };
        CodecError::Jpeg(format!(
            "the JPEG encoder {what}: {}",
            said.to_string_lossy()
        ))
    }
}

impl Drop for Compressor {
    fn drop(&mut self) {
        // SAFETY: the handle is valid and not used again.
        unsafe { raw::tj3Destroy(self.handle.as_ptr()) }
    }
}

/// Repeats the last column and row as far as `to_size` asks.
fn pad(from: &[u8], size: (usize, usize), to: &mut Vec<u8>, to_size: (usize, usize)) {
    to.clear();
    for row in from.chunks_exact(size.0) {
        to.extend_from_slice(row);
        to.resize(to.len() + to_size.0 - size.0, row[size.0 - 1]);
    }
    let last = to.len() - to_size.0;
    for _ in size.1..to_size.1 {
        to.extend_from_within(last..last + to_size.0);
    }
}

/// Memory for the worst case of a JPEG, of which `len` bytes are written.
#[derive(Default)]
struct Buffer {
    memory: Vec<u8>,
    len: usize,
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.memory[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decoder::Decoder;
    use crate::planes::Planes;

    #[test]
    fn keeps_the_planes_of_every_subsampling_at_odd_sizes() {
        let mut compressor = Compressor::new().unwrap();
        let mut decoder = Decoder::new().unwrap();
        let mut decoded = Planes::default();
        for subsampling in [
            Subsampling::Yuv420,
            Subsampling::Yuv422,
            Subsampling::Yuv444,
            Subsampling::Yuv411,
            Subsampling::Gray,
        ] {
            let mut planes = vec![90; 33 * 19];
            planes.resize(subsampling.bytes(33, 19), 140);
            let image = Image::yuv(33, 19, subsampling, planes.clone().into()).unwrap();
            let jpeg = compressor.compress(&image, 100).unwrap();
            decoder.decode_planes(&jpeg, &mut decoded).unwrap();
            assert_eq!(decoded.subsampling, subsampling);
            assert_eq!(
                decoded.rows().flatten().copied().collect::<Vec<_>>(),
                planes
            );
        }
    }
}
