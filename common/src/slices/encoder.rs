//! A JPEG encoder for tests. It is the only test file with `unsafe` code, because
//! the safe binding cannot set restart markers.
#![allow(unsafe_code)]

use turbojpeg::libc::c_int;
use turbojpeg::{Subsamp, raw};

/// Settings of the encoder.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) subsamp: Subsamp,
    /// From 1 to 100.
    pub(crate) quality: i32,
    /// MCUs between restart markers.
    pub(crate) interval: u16,
    /// Whether to optimize the Huffman tables for the picture.
    pub(crate) optimize: bool,
}

/// Encodes `pixels`, three bytes each, as a baseline JPEG.
pub(crate) fn encode(pixels: &[u8], settings: &Settings) -> Vec<u8> {
    assert_eq!(pixels.len(), 3 * settings.width * settings.height);
    let (width, height) = (settings.width as c_int, settings.height as c_int);
    let subsamp = settings.subsamp as c_int;
    // SAFETY: only this function uses the handle, and frees it at its end.
    // `pixels` has the length given by width and height. With NOREALLOC, the JPEG
    // is written into `jpeg`, which has the worst-case length.
    unsafe {
        let handle = raw::tj3Init(raw::TJINIT_TJINIT_COMPRESS as c_int);
        assert!(!handle.is_null());
        for (parameter, value) in [
            (raw::TJPARAM_TJPARAM_NOREALLOC, 1),
            (raw::TJPARAM_TJPARAM_SUBSAMP, subsamp),
            (raw::TJPARAM_TJPARAM_QUALITY, settings.quality),
            (
                raw::TJPARAM_TJPARAM_RESTARTBLOCKS,
                c_int::from(settings.interval),
            ),
            (
                raw::TJPARAM_TJPARAM_OPTIMIZE,
                c_int::from(settings.optimize),
            ),
        ] {
            assert_eq!(raw::tj3Set(handle, parameter as c_int, value), 0);
        }
        let mut jpeg = vec![0; raw::tj3JPEGBufSize(width, height, subsamp) as usize];
        let mut output = jpeg.as_mut_ptr();
        let mut len = jpeg.len() as raw::size_t;
        let status = raw::tj3Compress8(
            handle,
            pixels.as_ptr(),
            width,
            0,
            height,
            raw::TJPF_TJPF_RGB,
            &raw mut output,
            &raw mut len,
        );
        assert_eq!(status, 0);
        raw::tj3Destroy(handle);
        jpeg.truncate(len as usize);
        jpeg
    }
}
