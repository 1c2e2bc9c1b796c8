//! Images in memory, their JPEGs and Y4M, and the limits on their size. The only crate that uses
//! libjpeg-turbo. It knows no source, window or network.

mod choice;
mod compressor;
mod decoder;
mod error;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod helper;
mod huffman;
mod image;
mod libjpeg;
pub mod limits;
mod planes;
mod pool;
mod range;
mod requantise;
mod scaler;
mod steps;
mod subsampling;
mod vet;
mod xrgb;
pub mod y4m;

pub use self::compressor::Compressor;
pub use self::decoder::{Decoder, Reduction};
pub use self::error::{CodecError, ImageError, Undecodable};
pub use self::helper::HalfWork;
pub use self::huffman::{HuffmanTables, TableMaker};
pub use self::image::{Image, Pixels, Turn};
pub use self::planes::{Plane, Planes};
pub use self::pool::Pool;
pub use self::range::{Matrix, SourcePlane, ToJpeg};
pub use self::requantise::requantise;
pub use self::scaler::Scaler;
pub use self::subsampling::Subsampling;
pub use self::vet::{Vetter, vet};
pub use self::xrgb::XrgbImage;
