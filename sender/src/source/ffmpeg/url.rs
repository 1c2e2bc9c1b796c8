//! Reads the bytes of a URL through FFmpeg's protocols: with TLS, and with logins that do not send
//! passwords in the clear. FFmpeg's safe binding reads only packets of a container.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_int, c_void};
use std::io::{self, Read};
use std::ptr::{self, NonNull};

use ffmpeg_next::{Error, ffi};

use super::quiet;
use super::watch::Watch;
use crate::stop::Stop;

/// An open URL.
pub(in crate::source) struct UrlReader {
    context: NonNull<ffi::AVIOContext>,
    /// FFmpeg calls it back while waiting, by its address.
    watch: Box<Watch>,
}

// SAFETY: the context is used through `&mut self` alone, and FFmpeg ties it to no
// thread; what it calls back reads atomics.
unsafe impl Send for UrlReader {}

impl UrlReader {
    /// Opens the URL.
    ///
    /// # Errors
    /// FFmpeg's error.
    pub(in crate::source) fn open(url: &str, stop: &Stop) -> anyhow::Result<Self> {
        quiet()?;
        let url = CString::new(url)?;
        let watch = Box::new(Watch::new(stop));
        let interrupt = ffi::AVIOInterruptCB {
            callback: Some(is_over),
            opaque: ptr::from_ref(&*watch).cast_mut().cast(),
        };
        let mut context = ptr::null_mut();
        // SAFETY: the URL ends with 0; FFmpeg copies the callback, and the watch
        // lives for as long as the context does.
        let code = unsafe {
            ffi::avio_open2(
                &raw mut context,
                url.as_ptr(),
                ffi::AVIO_FLAG_READ,
                &raw const interrupt,
                ptr::null_mut(),
            )
        };
        match NonNull::new(context) {
            Some(context) if code >= 0 => Ok(Self { context, watch }),
            _ => Err(Error::from(code).into()),
        }
    }

    /// The content type that the server states, such as `image/jpeg`; empty if it states none.
    pub(in crate::source) fn content_type(&mut self) -> String {
        let mut value = ptr::null_mut();
        // SAFETY: the context is open, the name ends with 0; what is found is a
        // text of its own, which is given back to FFmpeg.
        unsafe {
            let code = ffi::av_opt_get(
                self.context.as_ptr().cast(),
                c"mime_type".as_ptr(),
                ffi::AV_OPT_SEARCH_CHILDREN,
                &raw mut value,
            );
            if code < 0 || value.is_null() {
                return String::new();
            }
            let text = CStr::from_ptr(value.cast())
                .to_string_lossy()
                .to_ascii_lowercase();
            ffi::av_free(value.cast());
            text
        }
    }

    /// Whether the server states the length.
    pub(in crate::source) fn has_end(&mut self) -> bool {
        // SAFETY: the context is open.
        unsafe { ffi::avio_size(self.context.as_ptr()) >= 0 }
    }
}

impl Read for UrlReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.watch.begin();
        let len = c_int::try_from(out.len()).unwrap_or(c_int::MAX);
        // SAFETY: the context is open, and `out` is at least as long as is said.
        let code = unsafe { ffi::avio_read_partial(self.context.as_ptr(), out.as_mut_ptr(), len) };
        match usize::try_from(code) {
            Ok(read) => Ok(read),
            Err(_) if code == ffi::AVERROR_EOF => Ok(0),
            Err(_) => Err(io::Error::other(Error::from(code))),
        }
    }
}

impl Drop for UrlReader {
    fn drop(&mut self) {
        let mut context = self.context.as_ptr();
        // SAFETY: the context is open, and not used again.
        unsafe { ffi::avio_closep(&raw mut context) };
    }
}

/// Whether FFmpeg should stop waiting.
unsafe extern "C" fn is_over(watch: *mut c_void) -> c_int {
    // SAFETY: it is the watch of a reader that is open, or that is being opened.
    let watch = unsafe { &*watch.cast::<Watch>() };
    c_int::from(watch.is_over())
}
