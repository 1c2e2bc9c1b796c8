//! Errors of images and of the codec.

use thiserror::Error;

use crate::limits::SizeError;

/// A JPEG that is not decoded, with the reason.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("the JPEG cannot be decoded: {0}")]
pub struct Undecodable(pub(crate) String);

impl Undecodable {
    /// For this reason.
    pub fn because(reason: &str) -> Self {
        Self(reason.to_owned())
    }
}

/// Bytes that are not the pixels of an image.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ImageError {
    /// Images of this size are not sent.
    #[error(transparent)]
    Size(#[from] SizeError),
    /// The size needs more or fewer bytes.
    #[error("the image needs {expected} bytes and has {got}")]
    Length {
        /// Bytes that the size needs.
        expected: usize,
        /// Bytes that were passed.
        got: usize,
    },
}

/// Why the codec does not encode an image or decode a JPEG of a source.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum CodecError {
    /// The image cannot be sent.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// libjpeg-turbo's message.
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
