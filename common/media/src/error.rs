//! Why there is no image, or no JPEG of it.

use thiserror::Error;

/// A JPEG that is not shown, and why.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("not a picture that can be decoded: {0}")]
pub struct Undecodable(pub(crate) String);

/// A JPEG that could not be made, and why.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{0}")]
pub struct EncodeError(pub(crate) String);

impl Undecodable {
    /// Something is missing that the decoder does not report.
    #[must_use]
    pub fn damaged() -> Self {
        Self("its coded data are damaged".to_owned())
    }
}

impl From<turbojpeg::Error> for Undecodable {
    fn from(error: turbojpeg::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<turbojpeg::Error> for EncodeError {
    fn from(error: turbojpeg::Error) -> Self {
        Self(error.to_string())
    }
}
