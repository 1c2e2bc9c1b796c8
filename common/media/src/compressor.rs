//! Encodes images as JPEGs.

mod native;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use framegram_common::jpeg::halves;

use self::native::{
    CodingTables, CompressError, MAX_PLANES, NativeCompressor, NativeImage, PlaneRows,
};
use crate::choice::Choice;
use crate::error::CodecError;
use crate::helper::{HalfWork, Helper};
use crate::huffman::HuffmanTables;
use crate::image::{Image, Pixels};
use crate::pool::Pool;
use crate::steps::steps;
use crate::subsampling::Subsampling;

/// Samples on a side of a block.
const BLOCK: usize = 8;

/// Coefficients below 0.61 of a step become 0: they cost more bytes than they
/// show.
pub(crate) const ROUNDING: u32 = 39;

/// Upper bound on the bytes of a block: 64 codes of 16 bits, each followed by 10 more. Noise at
/// quality 100 takes a fraction of that.
const BLOCK_BYTES: usize = 64 * 26 / 8;

/// Upper bound on the bytes of the header. Its tables take 623.
const MAX_HEADER_BYTES: usize = 1024;

/// Encodes images into buffers that it reuses.
pub struct Compressor {
    part: PartEncoder,
    tables: CodingTables,
    /// The quality and subsampling that the steps in `tables` are for.
    steps_of: Option<(u8, Subsampling)>,
    buffers: Pool<Buffer>,
    second: Option<HalfEncoder>,
}

/// The thread that encodes the lower half of large images.
struct HalfEncoder {
    helper: Helper<HalfJob, Result<Buffer, CompressError>>,
    choice: Choice,
    clock: fn() -> Duration,
    /// Memory for its next half.
    buffer: Buffer,
}

/// PlaneRows of an image to be encoded.
struct HalfJob {
    image: Image,
    rows: Range<usize>,
    tables: CodingTables,
    buffer: Buffer,
}

impl Compressor {
    /// A compressor with the Huffman tables of T.81, annex K.
    ///
    /// # Errors
    /// If libjpeg-turbo has no memory.
    pub fn new() -> Result<Self, CodecError> {
        Ok(Self {
            part: PartEncoder::new()?,
            tables: CodingTables {
                steps: [[1; 64]; 2],
                rounding: ROUNDING,
                huffman: Arc::default(),
                restart_interval: 0,
            },
            steps_of: None,
            buffers: Pool::default(),
            second: None,
        })
    }

    /// Lets a second thread encode the lower half of large images with restart
    /// markers, where that is faster by `clock`; the JPEGs are the same. The caller
    /// runs the work that is returned in that thread.
    ///
    /// # Errors
    /// When libjpeg-turbo has no memory.
    pub fn second_thread(&mut self, clock: fn() -> Duration) -> Result<HalfWork, CodecError> {
        let mut part = PartEncoder::new()?;
        let (helper, work) = Helper::new(move |mut job: HalfJob| {
            let rows = job.rows;
            let len = part.encode(&job.image, rows, &job.tables, &mut job.buffer.memory)?;
            job.buffer.len = len;
            Ok(job.buffer)
        });
        self.second = Some(HalfEncoder {
            helper,
            choice: Choice::new("encodes"),
            clock,
            buffer: Buffer::default(),
        });
        Ok(work)
    }

    /// Restart markers after every this many MCUs (blocks of interleaved
    /// components); 0 for none.
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
        let subsampling = coded_subsampling(image);
        if self.steps_of != Some((quality, subsampling)) {
            self.tables.steps = steps(quality, subsampling);
            self.steps_of = Some((quality, subsampling));
        }
        let mut buffer = self.buffers.take().unwrap_or_default();
        buffer.make_room(room(size, subsampling, self.tables.restart_interval));
        let two = { self.second.as_mut() }.is_some_and(|second| second.choice.next(size));
        let begun = self.second.as_ref().map(|second| (second.clock)());
        let halves = if two {
            self.halves(image, &mut buffer)
        } else {
            None
        };
        let whole = || {
            let memory = &mut buffer.memory;
            self.part.encode(image, 0..size.1, &self.tables, memory)
        };
        let encoded = halves.map_or_else(whole, Ok);
        if let Some((second, begun)) = self.second.as_mut().zip(begun) {
            let took = (second.clock)().saturating_sub(begun);
            match two && halves.is_none() {
                true => second.choice.refuse(),
                false => second.choice.record(two, took),
            }
        }
        match encoded {
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

    /// Encodes with the second thread. Returns the length; `None` if that cannot
    /// be done.
    fn halves(&mut self, image: &Image, buffer: &mut Buffer) -> Option<usize> {
        let second = self.second.as_mut()?;
        let subsampling = coded_subsampling(image);
        let (across, down) = mcu_size(subsampling);
        let (width, height) = (image.width(), image.height());
        let grid = (width.div_ceil(across) as u32, height.div_ceil(down) as u32);
        let interval = self.tables.restart_interval;
        let middle = halves::middle_row(grid, interval)? as usize * down;
        let mut lower = std::mem::take(&mut second.buffer);
        lower.make_room(room((width, height - middle), subsampling, interval));
        second.helper.give(HalfJob {
            image: image.clone(),
            rows: middle..height,
            tables: self.tables.clone(),
            buffer: lower,
        });
        let upper = self
            .part
            .encode(image, 0..middle, &self.tables, &mut buffer.memory);
        let lower = second.helper.take()?.ok()?;
        let joined = halves::join(&mut buffer.memory, upper.ok()?, lower.as_ref());
        second.buffer = lower;
        joined
    }
}

/// Encodes rows of images, each as a JPEG of its own.
struct PartEncoder {
    native: NativeCompressor,
    padded: [Vec<u8>; MAX_PLANES],
}

impl PartEncoder {
    fn new() -> Result<Self, CodecError> {
        Ok(Self {
            native: NativeCompressor::new()?,
            padded: Default::default(),
        })
    }

    /// Writes the JPEG of these rows, which begin with whole MCUs, into `out`.
    /// Returns its length.
    fn encode(
        &mut self,
        image: &Image,
        rows: Range<usize>,
        tables: &CodingTables,
        out: &mut [u8],
    ) -> Result<usize, CompressError> {
        let (width, height) = (image.width(), image.height());
        let size = (width, rows.len());
        let native = match image.pixels() {
            Pixels::Bgr(pixels) => {
                NativeImage::packed(size, &pixels[3 * width * rows.start..3 * width * rows.end])
            }
            Pixels::Yuv(subsampling, planes) => {
                let planes = subsampling.split(width, height, planes);
                let steps = [1, subsampling.step().1, subsampling.step().1];
                let planes = planes.zip(steps).zip(&mut self.padded);
                let planes = planes.map(|(((plane, width, _), step), memory)| {
                    let (first, end) = (rows.start / step, rows.end.div_ceil(step));
                    whole_blocks((&plane[width * first..width * end], width), memory)
                });
                NativeImage::planes(size, *subsampling, &planes.collect::<Vec<_>>())
            }
        };
        self.native.compress(&native, tables, out)
    }
}

/// The subsampling of an image's JPEG.
fn coded_subsampling(image: &Image) -> Subsampling {
    match image.pixels() {
        Pixels::Bgr(_) => Subsampling::Yuv420,
        Pixels::Yuv(subsampling, _) => *subsampling,
    }
}

/// Width and height of an MCU in pixels.
fn mcu_size(subsampling: Subsampling) -> (usize, usize) {
    let (across, down) = subsampling.step();
    (BLOCK * across, BLOCK * down)
}

/// Buffer size for a JPEG of this size. A longer JPEG is refused.
fn room(size: (usize, usize), subsampling: Subsampling, restart_interval: u16) -> usize {
    let (width, height) = mcu_size(subsampling);
    let mcus = size.0.div_ceil(width) * size.1.div_ceil(height);
    let blocks = match subsampling {
        Subsampling::Gray => 1,
        _ => width * height / (BLOCK * BLOCK) + 2,
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

impl Buffer {
    fn make_room(&mut self, bytes: usize) {
        if self.memory.len() < bytes {
            // Fresh zeroed memory is not touched before it is written.
            self.memory = vec![0; bytes];
        }
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.memory[..self.len]
    }
}

#[cfg(test)]
mod tests;
