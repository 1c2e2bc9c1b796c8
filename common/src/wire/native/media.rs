//! Packets that carry frames: chunks, parity and the tables they share.

use super::fields::{Reader, put_u16, put_u32, put_u64};
use crate::frame::MAX_FRAME_BYTES;
use crate::seq::FrameSeq;
use crate::wire::WireError;

/// Bytes of a chunk's body before its data.
pub const CHUNK_BODY: usize = 30;

/// Bytes of a parity's body before its chunk counts and its shard.
pub const PARITY_BODY: usize = 16;

/// The most chunks that a frame or a block has: half of what the code over
/// them can address, so that there is always room for as much parity.
pub const MAX_CHUNKS: usize = 32_768;

/// Bytes of the body of tables before their header.
pub const TABLES_BODY: usize = 4;

/// The most parts that a header travels in: what four bits number, and enough
/// for the longest header in the smallest datagrams.
pub const MAX_TABLES_PARTS: u8 = 16;

/// The most frames that one block of parity spans.
pub const MAX_BLOCK_FRAMES: usize = 16;

/// A part of a frame that fits one datagram.
///
/// ```text
///  0        1        2        3        4        5        6        7
/// +--------+--------+--------+--------+--------+--------+--------+--------+
/// |           frame number            |           frame length            |
/// +--------+--------+--------+--------+--------+--------+--------+--------+
/// |   chunk index   |   chunk size    |           capture time ...
/// +--------+--------+--------+--------+--------+--------+--------+--------+
///       ... capture time              |        CRC-32C of the frame       |
/// +--------+--------+--------+--------+--------+--------+--------+--------+
/// |    table set    |   first slice   |    its offset   |  data ...
/// +--------+--------+--------+--------+--------+--------+
/// ```
///
/// The frame is cut into equal chunks of `size` bytes, the last one being what
/// is left; their count follows from length and size, and cannot contradict
/// them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk<'a> {
    /// The frame it is a part of.
    pub frame: FrameSeq,
    /// Bytes of the whole frame, 1 to [`MAX_FRAME_BYTES`].
    pub frame_len: u32,
    /// Its place in the frame, from 0.
    pub index: u16,
    /// Bytes of every chunk of this frame but the last.
    pub size: u16,
    /// When the picture was taken, in the sender's microseconds.
    pub captured: u64,
    /// CRC-32C of the whole frame: a second checksum that would have to fail
    /// before a damaged frame is called intact.
    pub frame_crc: u32,
    /// The set of tables (see [`Tables`]) that decodes it; 0 where none is sent.
    pub tables: u16,
    /// The first restart slice that begins in this chunk.
    pub slice: Option<SliceStart>,
    /// The bytes.
    pub data: &'a [u8],
}

/// Where a restart slice begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SliceStart {
    /// The slice's number in its frame, from 0.
    pub number: u16,
    /// Where its first byte stands in the chunk's data.
    pub offset: u16,
}

impl<'a> Chunk<'a> {
    /// How many chunks the frame has.
    #[must_use]
    pub fn count(&self) -> usize {
        (self.frame_len as usize).div_ceil(usize::from(self.size))
    }

    /// Appends the body: what parity protects.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_u32(out, self.frame.0);
        put_u32(out, self.frame_len);
        put_u16(out, self.index);
        put_u16(out, self.size);
        put_u64(out, self.captured);
        put_u32(out, self.frame_crc);
        put_u16(out, self.tables);
        let slice = self.slice.unwrap_or(NO_SLICE);
        put_u16(out, slice.number);
        put_u16(out, slice.offset);
        out.extend_from_slice(self.data);
    }

    /// Takes a body apart that holds exactly one chunk.
    ///
    /// # Errors
    /// Where fields are missing, out of range or contradict each other.
    pub fn decode(body: &'a [u8]) -> Result<Self, WireError> {
        let chunk = Self::decode_padded(body)?;
        if body.len() != CHUNK_BODY + chunk.data.len() {
            return Err(range("chunk data", body.len()));
        }
        Ok(chunk)
    }

    /// Takes a body apart behind which padding may follow, as behind a chunk
    /// rebuilt from parity.
    ///
    /// # Errors
    /// As for [`Chunk::decode`].
    pub fn decode_padded(body: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("chunk", body);
        let frame = FrameSeq(reader.u32()?);
        let frame_len = reader.u32()?;
        let index = reader.u16()?;
        let size = reader.u16()?;
        let captured = reader.u64()?;
        let frame_crc = reader.u32()?;
        let tables = reader.u16()?;
        let slice = SliceStart {
            number: reader.u16()?,
            offset: reader.u16()?,
        };
        let len = frame_len as usize;
        if len == 0 || len > MAX_FRAME_BYTES {
            return Err(range("frame length", len));
        }
        if size == 0 || len.div_ceil(usize::from(size)) > MAX_CHUNKS {
            return Err(range("chunk size", usize::from(size)));
        }
        let start = usize::from(index) * usize::from(size);
        if start >= len {
            return Err(range("chunk index", usize::from(index)));
        }
        let data = reader.take(usize::from(size).min(len - start))?;
        let slice = (slice != NO_SLICE).then_some(slice);
        if let Some(slice) = slice
            && usize::from(slice.offset) >= data.len()
        {
            return Err(range("slice offset", usize::from(slice.offset)));
        }
        Ok(Self {
            frame,
            frame_len,
            index,
            size,
            captured,
            frame_crc,
            tables,
            slice,
            data,
        })
    }
}

/// A parity shard, which rebuilds lost chunks of a block: one of a Reed-Solomon code
/// (`reed-solomon-simd`: Leopard, GF(2^16)) whose originals are the bodies of
/// the block's chunks, frame by frame, each filled with zeros to the shard's
/// size.
///
/// ```text
///  0        1        2        3        4        5        6        7
/// +--------+--------+--------+--------+--------+--------+--------+--------+
/// |           block number            |        first frame number         |
/// +--------+--------+--------+--------+--------+--------+--------+--------+
/// | frames |   0    |  shards of code |   shard index   |   shard size    |
/// +--------+--------+--------+--------+--------+--------+--------+--------+
/// |  chunks of the first frame, of the second, ...  |  shard ...
/// +--------+--------+--------+--------+--------+----
/// ```
///
/// The parity of the code depends on how many shards it was made with, so that
/// count travels along; any of them may be sent. Blocks may overlap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parity<'a> {
    /// Counts the blocks of a stream; shards of one number belong together.
    pub block: u32,
    /// The first frame of the block; the others follow it without a gap.
    pub first: FrameSeq,
    /// The chunks of each frame of the block, 1 to [`MAX_BLOCK_FRAMES`] frames.
    pub counts: Vec<u16>,
    /// How many recovery shards the code was made with.
    pub shards: u16,
    /// Which of them this is, from 0.
    pub index: u16,
    /// Its bytes, an even number of them.
    pub shard: &'a [u8],
}

impl<'a> Parity<'a> {
    /// How many chunks the block has.
    #[must_use]
    pub fn chunks(&self) -> usize {
        self.counts.iter().map(|count| usize::from(*count)).sum()
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_u32(out, self.block);
        put_u32(out, self.first.0);
        out.extend_from_slice(&[self.counts.len() as u8, 0]);
        put_u16(out, self.shards);
        put_u16(out, self.index);
        put_u16(out, self.shard.len() as u16);
        for count in &self.counts {
            put_u16(out, *count);
        }
        out.extend_from_slice(self.shard);
    }

    pub(super) fn decode(body: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("parity", body);
        let block = reader.u32()?;
        let first = FrameSeq(reader.u32()?);
        let frames = usize::from(reader.u8()?);
        reader.u8()?;
        let shards = reader.u16()?;
        let index = reader.u16()?;
        let size = usize::from(reader.u16()?);
        if frames == 0 || frames > MAX_BLOCK_FRAMES {
            return Err(range("frames of a block", frames));
        }
        if shards == 0 || usize::from(shards) > MAX_CHUNKS {
            return Err(range("shards of a code", usize::from(shards)));
        }
        if index >= shards {
            return Err(range("shard index", usize::from(index)));
        }
        if size < CHUNK_BODY || !size.is_multiple_of(2) {
            return Err(range("shard size", size));
        }
        let counts = (0..frames)
            .map(|_| reader.u16())
            .collect::<Result<Vec<_>, _>>()?;
        let shard = reader.take(size)?;
        if !reader.rest().is_empty() {
            return Err(range("shard size", size));
        }
        let parity = Self {
            block,
            first,
            counts,
            shards,
            index,
            shard,
        };
        let chunks = parity.chunks();
        if parity.counts.contains(&0) || chunks > MAX_CHUNKS {
            return Err(range("chunks of a block", chunks));
        }
        Ok(parity)
    }
}

/// The JPEG header that frames share: what decodes their slices where the
/// chunk that holds their own header is lost. A chunk repeats only its number.
///
/// ```text
/// +--------+--------+--------+--------+
/// |    table set    |quality |  part  |  JPEG header ...
/// +--------+--------+--------+--------+
/// ```
///
/// A header that does not fit one datagram travels in parts: the upper four
/// bits of `part` are the number of this one, from 0, the lower four that of
/// the last. Both are 0 where the header is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tables<'a> {
    /// The set's number, from 1; one that comes again replaces the set.
    pub set: u16,
    /// The quality that the frames were encoded with, where the sender knows.
    pub quality: Option<u8>,
    /// Which part of the header this is, from 0.
    pub part: u8,
    /// In how many parts the header travels, 1 to [`MAX_TABLES_PARTS`].
    pub parts: u8,
    /// From the start of the image to the end of the start-of-scan segment,
    /// without application segments and comments; or this part of it.
    pub header: &'a [u8],
}

impl<'a> Tables<'a> {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        debug_assert!(self.part < self.parts && self.parts <= MAX_TABLES_PARTS);
        let part = self.part << 4 | (self.parts.saturating_sub(1) & 15);
        put_u16(out, self.set);
        out.extend_from_slice(&[self.quality.unwrap_or(0), part]);
        out.extend_from_slice(self.header);
    }

    pub(super) fn decode(body: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("tables", body);
        let set = reader.u16()?;
        let quality = reader.u8()?;
        let part = reader.u8()?;
        let (part, parts) = (part >> 4, (part & 15) + 1);
        if part >= parts {
            return Err(range("part of tables", usize::from(part)));
        }
        if set == 0 {
            return Err(range("table set", 0));
        }
        if quality > 100 {
            return Err(range("quality", usize::from(quality)));
        }
        Ok(Self {
            set,
            quality: (quality > 0).then_some(quality),
            part,
            parts,
            header: reader.rest(),
        })
    }
}

fn range(field: &'static str, got: usize) -> WireError {
    WireError::Range {
        field,
        got: got as u64,
    }
}

/// What stands where no slice begins in a chunk: no chunk is that long.
const NO_SLICE: SliceStart = SliceStart {
    number: u16::MAX,
    offset: u16::MAX,
};
