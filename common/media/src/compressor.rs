//! Encodes images as JPEGs.

mod native;

use std::sync::Arc;

use bytes::Bytes;

use self::native::{
    CodingTables, CompressError, MAX_PLANES, NativeCompressor, NativeImage, PlaneRows,
};
use crate::error::CodecError;
use crate::huffman::HuffmanTables;
use crate::image::{Image, Pixels};
use crate::pool::Pool;
use crate::steps::steps;
use crate::subsampling::Subsampling;

/// Samples on a side of a block.
const BLOCK: usize = 8;

/// Coefficients below 0.61 of a step become 0: they cost more bytes than they are worth.
const ROUNDING: u32 = 39;

/// Upper bound on the bytes of a block: 64 codes of 16 bits, each followed by 10 more. Noise at
/// quality 100 takes a fraction of that.
const BLOCK_BYTES: usize = 64 * 26 / 8;

/// Upper bound on the bytes of the header. Its tables take 623.
const MAX_HEADER_BYTES: usize = 1024;

/// Encodes images into buffers that it reuses.
pub struct Compressor {
    native: NativeCompressor,
    tables: CodingTables,
    /// Quality and subsampling of the steps in `tables`.
    steps_of: Option<(u8, Subsampling)>,
    buffers: Pool<Buffer>,
    padded: [Vec<u8>; MAX_PLANES],
}

impl Compressor {
    /// A compressor with the Huffman tables of T.81, annex K.
    ///
    /// # Errors
    /// If libjpeg-turbo has no memory.
    pub fn new() -> Result<Self, CodecError> {
        Ok(Self {
            native: NativeCompressor::new()?,
            tables: CodingTables {
                steps: [[1; 64]; 2],
                rounding: ROUNDING,
                huffman: Arc::default(),
                restart_interval: 0,
            },
            steps_of: None,
            buffers: Pool::new(),
            padded: Default::default(),
        })
    }

    /// Sets the restart interval in MCUs (blocks of interleaved components); 0 for no restart
    /// markers.
    pub fn set_restart_interval(&mut self, mcus: u16) {
        self.tables.restart_interval = mcus;
    }

    /// Sets the Huffman tables of the following JPEGs.
    pub fn set_huffman_tables(&mut self, tables: Arc<HuffmanTables>) {
        self.tables.huffman = tables;
    }

    /// Encodes `image` as a baseline JPEG of `quality` 1 to 100. BGR becomes 4:2:0; planes keep
    /// their subsampling.
    ///
    /// # Errors
    /// If libjpeg-turbo refuses it.
    pub fn compress(&mut self, image: &Image, quality: u8) -> Result<Bytes, CodecError> {
        let size = (image.width(), image.height());
        let subsampling = match image.pixels() {
            Pixels::Bgr(_) => Subsampling::Yuv420,
            Pixels::Yuv(subsampling, _) => *subsampling,
        };
        if self.steps_of != Some((quality, subsampling)) {
            self.tables.steps = steps(quality, subsampling);
            self.steps_of = Some((quality, subsampling));
        }
        let mut buffer = self.buffers.take().unwrap_or_default();
        let largest = room(size, subsampling, self.tables.restart_interval);
        if buffer.memory.len() < largest {
            // The system maps zeroed memory only when it is written.
            buffer.memory = vec![0; largest];
        }
        let native = match image.pixels() {
            Pixels::Bgr(pixels) => NativeImage::packed(size, pixels),
            Pixels::Yuv(_, planes) => {
                let planes = subsampling.split(size.0, size.1, planes);
                let rows = planes
                    .zip(&mut self.padded)
                    .map(|((plane, width, _), memory)| whole_blocks((plane, width), memory));
                NativeImage::planes(size, subsampling, &rows.collect::<Vec<_>>())
            }
        };
        match self
            .native
            .compress(&native, &self.tables, &mut buffer.memory)
        {
            Ok(len) => {
                buffer.len = len;
                Ok(self.buffers.lend(buffer))
            }
            Err(CompressError::Full) => {
                let (width, height) = size;
                let long = format!("the JPEG of {width}x{height} is longer than its buffer");
                Err(CodecError::Jpeg(long))
            }
            Err(CompressError::Refused(why)) => Err(CodecError::Jpeg(why)),
        }
    }
}

/// Buffer size for a JPEG of this size. A longer JPEG is refused.
fn room(size: (usize, usize), subsampling: Subsampling, restart_interval: u16) -> usize {
    let (across, down) = match subsampling {
        Subsampling::Gray => (1, 1),
        _ => subsampling.step(),
    };
    let mcus = size.0.div_ceil(BLOCK * across) * size.1.div_ceil(BLOCK * down);
    let blocks = match subsampling {
        Subsampling::Gray => 1,
        _ => across * down + 2,
    };
    // A marker, and up to a byte of padding before it.
    let restarts = mcus.checked_div(restart_interval.into()).unwrap_or(0) * 3;
    MAX_HEADER_BYTES + mcus * blocks * BLOCK_BYTES + restarts
}

/// Returns the rows of a plane padded to whole blocks: as they are or, in `memory`, with the last
/// column repeated.
fn whole_blocks<'a>((plane, width): PlaneRows<'a>, memory: &'a mut Vec<u8>) -> PlaneRows<'a> {
    let stride = width.next_multiple_of(BLOCK);
    if stride == width {
        return (plane, width);
    }
    memory.clear();
    for row in plane.chunks_exact(width) {
        memory.extend_from_slice(row);
        memory.resize(memory.len() + stride - width, row[width - 1]);
    }
    (memory, stride)
}

/// A buffer for the longest possible JPEG. The first `len` bytes are written.
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

#[cfg(test)]
mod tests;
