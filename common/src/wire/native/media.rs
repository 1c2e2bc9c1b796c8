//! Packets that carry frames: chunks, parity and the tables they share.

use super::fields::{Reader, put_u16, put_u32, put_u64};
use crate::frame::MAX_FRAME_BYTES;
use crate::jpeg::markers::first_restart;
use crate::seq::FrameSeq;
use crate::wire::WireError;

/// Bytes of a chunk's body before its frame header or its data.
pub const CHUNK_BODY: usize = 8;

/// Bytes of a frame header.
pub const FRAME_HEADER: usize = 16;

/// The frame header is in every chunk whose index is a multiple of this, and in the last one. The
/// more chunks a frame has, the more copies there are.
pub const FRAME_HEADER_EVERY: u16 = 8;

/// Bytes of a shard beyond the data of a chunk.
pub const SHARD_BODY: usize = 2 + FRAME_HEADER;

/// Bytes of a parity's body before its chunk counts and its shard.
pub const PARITY_BODY: usize = 11;

/// The most chunks of a frame or a block: half of what the code can address, so that there is
/// always room for as much parity. An index takes 15 bits.
pub const MAX_CHUNKS: usize = 1 << INDEX_BITS;

/// Bytes of the body of tables before their header.
pub const TABLES_BODY: usize = 4;

/// The most parts of a header: what four bits can number, and enough for the longest header in the
/// smallest datagrams.
pub const MAX_TABLES_PARTS: u8 = 16;

/// The most frames that one block of parity spans.
pub const MAX_BLOCK_FRAMES: usize = 16;

/// What the chunks of a frame have in common.
///
/// ```text
/// +--------+--------+--------+--------+--------+--------+--------+--------+
/// |           frame length            |        CRC-32C of the frame       |
/// +--------+--------+--------+--------+--------+--------+--------+--------+
/// |           capture time            |   chunk size    |    table set    |
/// +--------+--------+--------+--------+--------+--------+--------+--------+
/// ```
///
/// The frame is cut into equal chunks of `size` bytes; the last one has the rest. Their count
/// follows from length and size, so it cannot contradict them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// Bytes of the frame, 1 to [`MAX_FRAME_BYTES`].
    pub len: u32,
    /// CRC-32C of the frame's number and all its bytes ([`FrameHeader::checksum`]). It is a second
    /// checksum that would have to fail before a damaged frame, or one with another number, counts
    /// as intact.
    pub crc: u32,
    /// Capture time: low bits of the sender's microseconds.
    pub captured: u32,
    /// Bytes of every chunk but the last.
    pub size: u16,
    /// The set of tables (see [`Tables`]) that decodes it; 0 if none is sent.
    pub tables: u16,
}

impl FrameHeader {
    /// How many chunks the frame has.
    pub fn count(&self) -> usize {
        (self.len as usize).div_ceil(usize::from(self.size))
    }

    /// CRC-32C of a frame's number, as the four bytes in a chunk, and of its bytes.
    pub fn checksum(frame: FrameSeq, jpeg: &[u8]) -> u32 {
        crc32c::crc32c_append(crc32c::crc32c(&frame.bits().to_be_bytes()), jpeg)
    }

    /// Bytes of the chunk at this index; `None` if there is no such chunk.
    fn data_len(&self, index: u16) -> Option<usize> {
        let size = usize::from(self.size);
        let left = (self.len as usize).checked_sub(usize::from(index) * size)?;
        (left > 0).then_some(left.min(size))
    }

    fn encode(&self, out: &mut Vec<u8>) {
        put_u32(out, self.len);
        put_u32(out, self.crc);
        put_u32(out, self.captured);
        put_u16(out, self.size);
        put_u16(out, self.tables);
    }

    /// Decodes the header of a frame of `count` chunks.
    fn decode(count: u16, reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let header = Self {
            len: reader.u32()?,
            crc: reader.u32()?,
            captured: reader.u32()?,
            size: reader.u16()?,
            tables: reader.u16()?,
        };
        let len = header.len as usize;
        if len == 0 || len > MAX_FRAME_BYTES {
            return Err(range("frame length", len));
        }
        if header.size == 0 || header.count() != usize::from(count) {
            return Err(range("chunk size", usize::from(header.size)));
        }
        Ok(header)
    }
}

/// Whether the chunk at this index of a frame of `count` carries the frame header.
fn carries_header(index: u16, count: u16) -> bool {
    index.is_multiple_of(FRAME_HEADER_EVERY) || index + 1 == count
}

/// A part of a frame that fits one datagram.
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// +-------------------------------------------+-------------------+
/// |               frame number                |    chunk index    |
/// +---------+-----------------------------+---+-------------------+
/// |         |      last chunk index       |    restart cycle      |
/// +---------+-----------------------------+-----------------------+
/// | frame header (16 bytes), where one is due, and data ...
/// +---------------------------------------------------------------+
/// ```
///
/// The frame number has 22 bits, both indices have 15, the cycle has 12. A frame
/// header is due in every [`FRAME_HEADER_EVERY`]th chunk and in the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk<'a> {
    /// The frame it is a part of.
    pub frame: FrameSeq,
    /// Its position in the frame, from 0 to below `count`.
    pub index: u16,
    /// How many chunks the frame has, 1 to [`MAX_CHUNKS`].
    pub count: u16,
    /// How often the sequence of restart markers RST0 to RST7 has wrapped before the first one in
    /// the data. `None` if there is none, if bytes of the JPEG's header look like one, and if the
    /// field cannot count that far.
    pub restart_cycle: Option<u16>,
    /// What all chunks of the frame have in common, if this one carries it.
    pub header: Option<FrameHeader>,
    /// The bytes.
    pub data: &'a [u8],
}

impl<'a> Chunk<'a> {
    /// Whether the chunk at this position carries the frame header.
    pub fn has_header(&self) -> bool {
        carries_header(self.index, self.count)
    }

    /// Bytes of every chunk of the frame but the last.
    pub fn size(&self) -> usize {
        let size = self.header.map(|header| header.size.into());
        size.unwrap_or(self.data.len())
    }

    /// Bytes of the body.
    pub fn body_len(&self) -> usize {
        CHUNK_BODY + self.header.map_or(0, |_| FRAME_HEADER) + self.data.len()
    }

    /// The first slice that begins in it after a restart marker: its number in the frame, and its
    /// offset in the data.
    pub fn slice_start(&self) -> Option<(u16, usize)> {
        let (marker, behind) = first_restart(self.data)?;
        let before = self.restart_cycle? << RESTART_BITS | u16::from(marker);
        Some((before + 1, behind))
    }

    /// The restart cycle of the marker before this slice; `None` for the first slice, which has no
    /// marker, and if the field cannot count that far.
    pub fn cycle_before(slice: usize) -> Option<u16> {
        let cycle = slice.checked_sub(1)? >> RESTART_BITS;
        u16::try_from(cycle).ok().filter(|cycle| *cycle < NO_CYCLE)
    }

    /// Appends the body.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let last = self.count.saturating_sub(1);
        let place = u64::from(self.frame.bits()) << (2 * INDEX_BITS + CYCLE_BITS)
            | u64::from(self.index) << (INDEX_BITS + CYCLE_BITS)
            | u64::from(last) << CYCLE_BITS
            | u64::from(self.restart_cycle.unwrap_or(NO_CYCLE));
        put_u64(out, place);
        self.encode_contents(out);
    }

    /// Appends what parity protects: the body without what the block already says.
    pub fn encode_original(&self, out: &mut Vec<u8>) {
        put_u16(out, self.restart_cycle.unwrap_or(NO_CYCLE));
        self.encode_contents(out);
    }

    fn encode_contents(&self, out: &mut Vec<u8>) {
        if let Some(header) = &self.header {
            header.encode(out);
        }
        out.extend_from_slice(self.data);
    }

    /// Decodes a body that holds exactly one chunk.
    ///
    /// # Errors
    /// If fields are missing, out of range or contradict each other.
    pub fn decode(body: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("chunk", body);
        let place = reader.u64()?;
        let field = |shift: u32, bits: u32| (place >> shift & ((1 << bits) - 1)) as u16;
        let (index, last) = (
            field(INDEX_BITS + CYCLE_BITS, INDEX_BITS),
            field(CYCLE_BITS, INDEX_BITS),
        );
        if index > last {
            return Err(range("chunk index", index.into()));
        }
        let count = last + 1;
        let header = carries_header(index, count)
            .then(|| FrameHeader::decode(count, &mut reader))
            .transpose()?;
        let data = reader.rest();
        let fits = match &header {
            Some(header) => header.data_len(index) == Some(data.len()),
            // All chunks but the last have the same length.
            None => {
                let before = usize::from(last) * data.len();
                (1..=usize::from(u16::MAX)).contains(&data.len()) && before < MAX_FRAME_BYTES
            }
        };
        if !fits {
            return Err(range("chunk data", data.len()));
        }
        Ok(Self {
            frame: FrameSeq::new((place >> (2 * INDEX_BITS + CYCLE_BITS)) as u32),
            index,
            count,
            restart_cycle: cycle(field(0, CYCLE_BITS)),
            header,
            data,
        })
    }

    /// Decodes what parity rebuilt: a chunk of a frame of `count` chunks, with padding after it.
    /// `size` is that of the frame's chunks, if known.
    ///
    /// # Errors
    /// As for [`Chunk::decode`].
    pub fn decode_original(
        (frame, index, count): (FrameSeq, u16, u16),
        size: Option<usize>,
        original: &'a [u8],
    ) -> Result<Self, WireError> {
        let mut reader = Reader::new("chunk", original);
        let restart_cycle = cycle(reader.u16()?);
        let header = carries_header(index, count)
            .then(|| FrameHeader::decode(count, &mut reader))
            .transpose()?;
        let len = match &header {
            Some(header) => header.data_len(index),
            None => size,
        };
        let len = len.ok_or(range("chunk index", usize::from(index)))?;
        Ok(Self {
            frame,
            index,
            count,
            restart_cycle,
            header,
            data: reader.take(len)?,
        })
    }
}

/// Bits of a chunk index.
const INDEX_BITS: u32 = 15;

/// Bits of a restart cycle.
const CYCLE_BITS: u32 = 12;

/// Bits that restart markers count by.
const RESTART_BITS: u32 = 3;

/// The value for no restart cycle.
const NO_CYCLE: u16 = (1 << CYCLE_BITS) - 1;

fn cycle(value: u16) -> Option<u16> {
    (value < NO_CYCLE).then_some(value)
}

/// A parity shard, which rebuilds lost chunks of a block: a recovery shard of a Reed-Solomon code
/// (`reed-solomon-simd`: Leopard, GF(2^16)). The originals are the chunks of the block as
/// [`Chunk::encode_original`] writes them, frame by frame, each padded with zeros to the shard's
/// size.
///
/// ```text
///  0        1        2        3        4        5        6        7
/// +--------+--------+--------+--------+--------+--------+--------+--------+
/// |        first frame number         |  block number   |  shards of code |
/// +--------+--------+--------+--------+--------+--------+--------+--------+
/// |   shard index   | frames |  chunks of the first frame, of the second ...
/// +--------+--------+--------+--------+--------+--------
/// |  shard ...
/// +--------+--------
/// ```
///
/// The content of a shard depends on how many shards the code has, so the packet carries that
/// count. Any subset of the shards may be sent. Blocks may overlap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parity<'a> {
    /// The first frame of the block; the others follow it without a gap.
    pub first: FrameSeq,
    /// Distinguishes blocks that begin with the same frame. Shards with the same number belong
    /// together.
    pub block: u16,
    /// The chunks of each frame of the block, 1 to [`MAX_BLOCK_FRAMES`] frames.
    pub counts: Vec<u16>,
    /// How many recovery shards the code was made with.
    pub shards: u16,
    /// The index of this shard, from 0.
    pub index: u16,
    /// Its bytes, an even number of them.
    pub shard: &'a [u8],
}

impl<'a> Parity<'a> {
    /// How many chunks the block has.
    pub fn chunks(&self) -> usize {
        self.counts.iter().map(|count| usize::from(*count)).sum()
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_u32(out, self.first.bits());
        put_u16(out, self.block);
        put_u16(out, self.shards);
        put_u16(out, self.index);
        out.push(self.counts.len() as u8);
        for count in &self.counts {
            put_u16(out, *count);
        }
        out.extend_from_slice(self.shard);
    }

    pub(super) fn decode(body: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("parity", body);
        let first = FrameSeq::new(reader.u32()?);
        let block = reader.u16()?;
        let shards = reader.u16()?;
        let index = reader.u16()?;
        let frames = usize::from(reader.u8()?);
        if frames == 0 || frames > MAX_BLOCK_FRAMES {
            return Err(range("frames of a block", frames));
        }
        if shards == 0 || usize::from(shards) > MAX_CHUNKS {
            return Err(range("shards of a code", usize::from(shards)));
        }
        if index >= shards {
            return Err(range("shard index", usize::from(index)));
        }
        let counts = (0..frames)
            .map(|_| reader.u16())
            .collect::<Result<Vec<_>, _>>()?;
        let shard = reader.rest();
        if shard.len() < SHARD_BODY || !shard.len().is_multiple_of(2) {
            return Err(range("shard size", shard.len()));
        }
        let parity = Self {
            first,
            block,
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

/// The JPEG header that frames share. It decodes their slices if the chunk with their own header is
/// lost. A chunk carries only its number.
///
/// ```text
/// +--------+--------+--------+--------+
/// |    table set    |quality |  part  |  JPEG header ...
/// +--------+--------+--------+--------+
/// ```
///
/// A header that does not fit one datagram is sent in parts: the upper four bits of `part` are the
/// index of this part, from 0, the lower four that of the last part. Both are 0 if the header is in
/// one piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tables<'a> {
    /// The set's number, from 1. A set with a known number replaces the earlier one.
    pub set: u16,
    /// The quality that the frames were encoded with, if the sender knows it.
    pub quality: Option<u8>,
    /// The index of this part of the header, from 0.
    pub part: u8,
    /// The number of parts, 1 to [`MAX_TABLES_PARTS`].
    pub parts: u8,
    /// From the start of the image to the end of the start-of-scan segment, without application
    /// segments and comments; or one part of it.
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
