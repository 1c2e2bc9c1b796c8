//! `framegram-send`: frames from a source, as datagrams.
//!
//! Knows nothing of the viewer. OpenCV is known in `source` only, libjpeg-turbo
//! in `encode` only.

pub mod console;
pub mod encode;
pub mod picture;
pub mod pool;
pub mod source;
pub mod stop;
