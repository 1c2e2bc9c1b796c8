//! Why there is no image, or no JPEG of it.

use thiserror::Error;

use crate::limits::SizeError;

/// A JPEG that is not shown, and why.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("not a picture that can be decoded: {0}")]
pub struct Undecodable(pub(crate) String);

/// Bytes that are not the pixels of an image.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ImageError {
    /// Its size is not one that is sent.
    #[error(transparent)]
    Size(#[from] SizeError),
    /// Fewer or more bytes than the size asks for.
    #[error("an image of {expected} bytes came with {got}")]
    Length {
        /// Bytes that the size asks for.
        expected: usize,
        /// Bytes that were given.
        got: usize,
    },
}

/// Why the codec does not encode an image, or decode a source's JPEG.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum CodecError {
    /// The image is not one that is sent.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// What libjpeg-turbo says.
    #[error("{0}")]
    Jpeg(String),
    /// The image cannot be scaled.
    #[error("it cannot be scaled: {0}")]
    Scale(String),
}

impl From<Undecodable> for CodecError {
    fn from(error: Undecodable) -> Self {
        Self::Jpeg(error.to_string())
    }
}

impl From<turbojpeg::Error> for CodecError {
    fn from(error: turbojpeg::Error) -> Self {
        Self::Jpeg(error.to_string())
    }
}

impl From<SizeError> for CodecError {
    fn from(error: SizeError) -> Self {
        Self::Image(error.into())
    }
}
