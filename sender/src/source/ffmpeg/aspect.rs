//! The aspect ratio of pixels. The container states it, or the coded video, or neither.
#![allow(unsafe_code)]

use ffmpeg_next::Rational;
use ffmpeg_next::format::stream::Stream;

/// The aspect ratio that the container states. It overrides that of the coded video, as in FFmpeg's
/// own programs (`av_guess_sample_aspect_ratio`).
pub(super) fn of_container(stream: &Stream<'_>) -> Option<Rational> {
    // The binding has no safe way to it.
    // SAFETY: `stream` borrows the context that owns the stream, and the field is only read.
    let aspect = unsafe { (*stream.as_ptr()).sample_aspect_ratio };
    Some(aspect.into()).filter(is_stated)
}

/// Whether pixels are as wide as they are high. Without a statement they are.
pub(super) fn is_square(aspect: Rational) -> bool {
    aspect.numerator() == aspect.denominator() || !is_stated(&aspect)
}

fn is_stated(aspect: &Rational) -> bool {
    aspect.numerator() > 0 && aspect.denominator() > 0
}
