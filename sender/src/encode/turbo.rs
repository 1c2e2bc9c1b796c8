//! libjpeg-turbo: the one file that knows it, and the one of this program that
//! may hold `unsafe` code: the safe binding has no setter for restart markers
//! and cannot write into a buffer that is used again.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::ptr::NonNull;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use turbojpeg::libc::{c_int, c_void};
use turbojpeg::{Decompressor, Image, PixelFormat, Subsamp, YuvImage, raw};

use crate::picture::{self, Picture, Pixels, Sampling};
use crate::pool::Pool;

/// Pictures to JPEG.
pub(super) struct Compressor {
    handle: NonNull<c_void>,
    buffers: Pool<Buffer>,
    padded_luma: Vec<u8>,
}

// SAFETY: the handle is used by one thread at a time, through `&mut self`, and
// libjpeg-turbo ties it to no thread.
unsafe impl Send for Compressor {}

impl Compressor {
    pub(super) fn new() -> Result<Self> {
        // SAFETY: takes no pointers.
        let handle = unsafe { raw::tj3Init(raw::TJINIT_TJINIT_COMPRESS as c_int) };
        let handle = NonNull::new(handle).context("libjpeg-turbo gives no compressor")?;
        let mut compressor = Self {
            handle,
            buffers: Pool::new(),
            padded_luma: Vec::new(),
        };
        // The output buffer is ours and large enough for every case.
        compressor.set(raw::TJPARAM_TJPARAM_NOREALLOC, 1)?;
        Ok(compressor)
    }

    /// Restart markers after every so many MCUs (blocks of interleaved
    /// components); 0 for none. At most 65,535.
    pub(super) fn set_restart_interval(&mut self, mcus: u16) -> Result<()> {
        self.set(raw::TJPARAM_TJPARAM_RESTARTBLOCKS, c_int::from(mcus))
    }

    /// `picture` as a baseline JPEG of `quality` 1 to 100; BGR becomes 4:2:0,
    /// planes keep their sampling.
    pub(super) fn compress(&mut self, picture: &Picture, quality: u8) -> Result<Bytes> {
        let (width, height) = (picture.width(), picture.height());
        let subsamp = match picture.pixels() {
            Pixels::Bgr(_) | Pixels::Yuv(Sampling::Half, _) => raw::TJSAMP_TJSAMP_420,
            Pixels::Yuv(Sampling::HalfWidth, _) => raw::TJSAMP_TJSAMP_422,
            Pixels::Yuv(Sampling::Full, _) => raw::TJSAMP_TJSAMP_444,
            Pixels::Yuv(Sampling::Grey, _) => raw::TJSAMP_TJSAMP_GRAY,
        } as c_int;
        self.set(raw::TJPARAM_TJPARAM_QUALITY, c_int::from(quality))?;
        self.set(raw::TJPARAM_TJPARAM_SUBSAMP, subsamp)?;

        let (width, height) = (c_int::try_from(width)?, c_int::try_from(height)?);
        // SAFETY: takes no pointers.
        let largest = unsafe { raw::tj3JPEGBufSize(width, height, subsamp) } as usize;
        ensure!(largest > 0, "libjpeg-turbo refuses {width}x{height}");
        let mut buffer = self.buffers.take().unwrap_or_default();
        if buffer.memory.len() < largest {
            // Fresh zeroed memory is not touched before it is written.
            buffer.memory = vec![0; largest];
        }

        let mut output = buffer.memory.as_mut_ptr();
        let mut len = buffer.memory.len() as raw::size_t;
        let handle = self.handle.as_ptr();
        let status = match picture.pixels() {
            // SAFETY: a `Picture` holds 3 * width * height bytes without
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
            Pixels::Yuv(sampling, planes) => {
                let mut pointers = [std::ptr::null(); 3];
                let mut strides = [0; 3];
                let size = (picture.width(), picture.height());
                for (index, (plane, stride, _)) in
                    sampling.split(size.0, size.1, planes).enumerate()
                {
                    pointers[index] = plane.as_ptr();
                    strides[index] = c_int::try_from(stride)?;
                }
                let padded = padded_luma_size(*sampling, size);
                if padded != size {
                    pad(
                        &planes[..size.0 * size.1],
                        size,
                        &mut self.padded_luma,
                        padded,
                    );
                    pointers[0] = self.padded_luma.as_ptr();
                    strides[0] = c_int::try_from(padded.0)?;
                }
                // SAFETY: as above; `split` gives as many planes as the
                // sampling that was set has, the chroma planes of the very
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
            bail!("the JPEG encoder failed: {}", self.error());
        }
        buffer.len = usize::try_from(len)?;
        Ok(self.buffers.lend(buffer))
    }

    fn set(&mut self, parameter: raw::TJPARAM, value: c_int) -> Result<()> {
        // SAFETY: the handle is valid for as long as `self` is.
        let status = unsafe { raw::tj3Set(self.handle.as_ptr(), parameter as c_int, value) };
        ensure!(status == 0, "the JPEG encoder refuses: {}", self.error());
        Ok(())
    }

    fn error(&self) -> String {
        // SAFETY: the handle is valid; the text is, until the next call with it.
        unsafe { CStr::from_ptr(raw::tj3GetErrorStr(self.handle.as_ptr())) }
            .to_string_lossy()
            .into_owned()
    }
}

impl Drop for Compressor {
    fn drop(&mut self) {
        // SAFETY: the handle is valid and not used again.
        unsafe { raw::tj3Destroy(self.handle.as_ptr()) }
    }
}

/// The size at which libjpeg-turbo reads and writes a luma plane: it goes with
/// whole chroma samples, so at odd sizes it is larger than the picture.
fn padded_luma_size(sampling: Sampling, (width, height): (usize, usize)) -> (usize, usize) {
    match sampling {
        Sampling::Half => (width.next_multiple_of(2), height.next_multiple_of(2)),
        Sampling::HalfWidth => (width.next_multiple_of(2), height),
        Sampling::Full | Sampling::Grey => (width, height),
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

/// Takes the last column and row off the luma plane that `planes` begins with.
fn crop(planes: &mut Vec<u8>, from_size: (usize, usize), size: (usize, usize)) {
    for y in 0..size.1 {
        planes.copy_within(y * from_size.0..y * from_size.0 + size.0, y * size.0);
    }
    planes.drain(size.0 * size.1..from_size.0 * from_size.1);
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

/// What the header of a JPEG says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Whether it holds the colours (luma and chroma, or grey) that every
    /// decoder of video frames takes; not so for print colours.
    pub is_video: bool,
}

/// Reads the header of `jpeg`.
///
/// # Errors
/// Where it is not a JPEG, or one of a size that is not sent.
pub fn read_header(jpeg: &[u8]) -> Result<Header> {
    let header = turbojpeg::read_header(jpeg)?;
    picture::check_size(header.width, header.height)?;
    Ok(Header {
        width: header.width,
        height: header.height,
        is_video: matches!(
            header.colorspace,
            turbojpeg::Colorspace::YCbCr | turbojpeg::Colorspace::Gray
        ) && !header.is_lossless,
    })
}

/// Reads all of `jpeg` for whether it decodes to its end without complaint.
///
/// # Errors
/// What is wrong with it.
pub fn check(jpeg: &[u8]) -> Result<()> {
    let mut decompressor = Decompressor::new()?;
    let header = decompressor.read_header(jpeg)?;
    picture::check_size(header.width, header.height)?;
    // At an eighth the pixels cost next to nothing; all the data is still read.
    let eighth = turbojpeg::ScalingFactor::ONE_EIGHTH;
    decompressor.set_scaling_factor(eighth)?;
    let (width, height) = (eighth.scale(header.width), eighth.scale(header.height));
    let image = Image {
        pixels: vec![0; width * height],
        width,
        pitch: width,
        height,
        format: PixelFormat::GRAY,
    };
    decompress(&mut decompressor, jpeg, image)?;
    Ok(())
}

/// The picture in `jpeg`, in planes where its sampling is one a [`Picture`] has.
pub(super) fn decode(jpeg: &[u8]) -> Result<Picture> {
    let mut decompressor = Decompressor::new()?;
    let header = decompressor.read_header(jpeg)?;
    let (width, height) = (header.width, header.height);
    picture::check_size(width, height)?;
    let planar = header.colorspace == turbojpeg::Colorspace::YCbCr
        || header.colorspace == turbojpeg::Colorspace::Gray;
    let sampling = match header.subsamp {
        Subsamp::Sub2x2 if planar => Some(Sampling::Half),
        Subsamp::Sub2x1 if planar => Some(Sampling::HalfWidth),
        Subsamp::None if planar => Some(Sampling::Full),
        Subsamp::Gray if planar => Some(Sampling::Grey),
        _ => None,
    };
    let Some(sampling) = sampling else {
        let image = Image {
            pixels: vec![0; 3 * width * height],
            width,
            pitch: 3 * width,
            height,
            format: PixelFormat::BGR,
        };
        let pixels = decompress(&mut decompressor, jpeg, image)?;
        return Ok(Picture::bgr(width, height, pixels.into())?);
    };
    let padded = padded_luma_size(sampling, (width, height));
    let mut planes = vec![0; sampling.bytes(padded.0, padded.1)];
    decompressor.decompress_to_yuv(
        jpeg,
        YuvImage {
            pixels: &mut planes[..],
            width,
            align: 1,
            height,
            subsamp: header.subsamp,
        },
    )?;
    if padded != (width, height) {
        crop(&mut planes, padded, (width, height));
    }
    Ok(Picture::yuv(width, height, sampling, planes.into())?)
}

/// The picture in `jpeg` as a window takes it: one word 0x00RRGGBB a pixel,
/// with its width and height.
///
/// # Errors
/// Where it cannot be decoded.
pub fn decode_for_window(jpeg: &[u8]) -> Result<(Vec<u32>, usize, usize)> {
    let mut decompressor = Decompressor::new()?;
    let header = decompressor.read_header(jpeg)?;
    let (width, height) = (header.width, header.height);
    picture::check_size(width, height)?;
    let image = Image {
        pixels: vec![0; 4 * width * height],
        width,
        pitch: 4 * width,
        height,
        format: PixelFormat::BGRX,
    };
    let pixels = decompress(&mut decompressor, jpeg, image)?;
    let words = pixels
        .chunks_exact(4)
        .map(|pixel| u32::from_le_bytes([pixel[0], pixel[1], pixel[2], 0]))
        .collect();
    Ok((words, width, height))
}

fn decompress(
    decompressor: &mut Decompressor,
    jpeg: &[u8],
    mut image: Image<Vec<u8>>,
) -> Result<Vec<u8>> {
    decompressor.decompress(jpeg, image.as_deref_mut())?;
    Ok(image.pixels)
}
