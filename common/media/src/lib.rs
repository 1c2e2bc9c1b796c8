//! Images in memory and what they are made of: JPEGs, and the limits of what is
//! decoded. The only crate that knows libjpeg-turbo; it knows no source, window
//! or network.

mod decoder;
mod error;
pub mod limits;
mod planes;
mod subsampling;
mod xrgb;

pub use self::decoder::{Decoder, Reduction};
pub use self::error::{EncodeError, Undecodable};
pub use self::planes::{Plane, Planes};
pub use self::subsampling::Subsampling;
pub use self::xrgb::XrgbImage;
