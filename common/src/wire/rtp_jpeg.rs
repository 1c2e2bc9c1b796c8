//! JPEG in RTP: <https://www.rfc-editor.org/rfc/rfc2435>.
//!
//! A frame's header is not sent: 8 bytes in each packet describe it. Only
//! baseline JPEG with the standard Huffman tables and 4:2:2 or 4:2:0 chroma
//! can be described like that. The scan is cut at any place:
//!
//! ```text
//!  0        1        2        3        4        5        6        7
//! +--------+--------+--------+--------+--------+--------+--------+--------+
//! |specific|     fragment offset      |  type  |   Q    |width/8 |height/8|
//! +--------+--------+--------+--------+--------+--------+--------+--------+
//! |restart interval |F L   count      |   types 64 to 127 only
//! +--------+--------+--------+--------+
//! |   0    |precis. |  table bytes    |  tables ...   Q 128 to 255, offset 0
//! +--------+--------+--------+--------+
//! ```
//!
//! Sizes are multiples of 8: a decoder shows the padding of an incomplete last
//! block. Above 2,040 pixels both are 0, and the session description has the
//! size.

mod assembly;
mod header;
mod packetise;
mod tables;

pub use assembly::{Contradiction, JpegAssembly};
pub use header::rebuild;
pub use packetise::{Cut, Picture, Unsuitable};
pub use tables::{Quantization, SentTables, TableBytes};

use thiserror::Error;

/// Bytes of the header of each fragment.
pub const HEADER: usize = 8;

/// Bytes of the restart header.
pub const RESTART_HEADER: usize = 4;

/// Bytes before the quantization tables.
pub const TABLES_HEADER: usize = 4;

/// The largest width and height in pixels that a fragment can carry.
pub const MAX_SIDE: u16 = 2040;

/// From this value on, Q numbers tables that are sent.
pub const FIRST_SENT_Q: u8 = 128;

/// The Q of tables that apply to one frame only.
pub const ONE_FRAME_Q: u8 = 255;

/// The restart count of a fragment with an unknown position.
pub const NO_COUNT: u16 = 0x3fff;

/// What all fragments of a frame have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JpegKind {
    /// How chroma is sampled.
    pub sampling: Sampling,
    /// Minimum coded units between restart markers; `None` if the frame has no markers.
    pub interval: Option<u16>,
    /// The quantization: 1 to 99 for the tables of the RFC's appendix A, [`FIRST_SENT_Q`] and above
    /// for tables that are sent.
    pub q: u8,
    /// Width in units of 8 pixels; 0 if only the session description has it.
    pub width: u8,
    /// Height in units of 8 pixels; 0 if only the session description has it.
    pub height: u8,
}

/// Sampling of chroma.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sampling {
    /// 4:2:2, type 0
    HalfWidth,
    /// 4:2:0, type 1
    Half,
}

/// Restart intervals in a fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestartSpan {
    /// Whether the fragment begins with an interval.
    pub first: bool,
    /// Whether it ends with one.
    pub last: bool,
    /// The number of the first interval in this group of fragments, or [`NO_COUNT`].
    pub count: u16,
}

/// A part of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment<'a> {
    /// What the fragments of its frame have in common.
    pub kind: JpegKind,
    /// Offset of its data in the scan, in bytes; 24 bits.
    pub offset: u32,
    /// The restart intervals in this fragment, if `kind` has any.
    pub chunk: Option<RestartSpan>,
    /// The tables, in the first fragment of a frame with a Q of [`FIRST_SENT_Q`] or above; empty if
    /// an earlier frame carried them.
    pub tables: Option<TableBytes<'a>>,
    /// A part of the scan.
    pub data: &'a [u8],
}

/// Why a payload is no fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FragmentError {
    /// It ends before its fields do.
    #[error("{what} takes {expected} bytes, got {got}")]
    Short {
        /// Which part.
        what: &'static str,
        /// The bytes that it takes.
        expected: usize,
        /// The bytes present.
        got: usize,
    },
    /// A type that the RFC does not define.
    #[error("type {0}, expected 0, 1, 64 or 65")]
    Type(u8),
    /// A quantization that the RFC reserves.
    #[error("Q {0} is reserved")]
    Q(u8),
}

impl<'a> Fragment<'a> {
    /// Decodes the payload of a packet.
    ///
    /// # Errors
    /// If it is no fragment of a JPEG that could be shown.
    pub fn decode(payload: &'a [u8]) -> Result<Self, FragmentError> {
        let (head, mut rest) = split::<HEADER>(payload, "header")?;
        let [_, o2, o1, o0, number, q, width, height] = head;
        let offset = u32::from_be_bytes([0, o2, o1, o0]);
        let sampling = match number & !WITH_RESTARTS {
            0 => Sampling::HalfWidth,
            1 => Sampling::Half,
            _ => return Err(FragmentError::Type(number)),
        };
        if !matches!(q, 1..=99 | FIRST_SENT_Q..) {
            return Err(FragmentError::Q(q));
        }
        let mut interval = None;
        let mut chunk = None;
        if number & WITH_RESTARTS != 0 {
            let ([i1, i0, c1, c0], behind) = split(rest, "restart header")?;
            let bits = u16::from_be_bytes([c1, c0]);
            // Some senders include the header and no restart markers.
            interval = Some(u16::from_be_bytes([i1, i0])).filter(|interval| *interval > 0);
            chunk = interval.map(|_| RestartSpan {
                first: bits & FIRST != 0,
                last: bits & LAST != 0,
                count: bits & NO_COUNT,
            });
            rest = behind;
        }
        let mut tables = None;
        if q >= FIRST_SENT_Q && offset == 0 {
            let ([_, precision, l1, l0], behind) = split(rest, "table header")?;
            let bytes = usize::from(u16::from_be_bytes([l1, l0]));
            let (bytes, data) = behind
                .split_at_checked(bytes)
                .ok_or_else(|| short("tables", bytes, behind))?;
            tables = Some(TableBytes { precision, bytes });
            rest = data;
        }
        Ok(Self {
            kind: JpegKind {
                sampling,
                interval,
                q,
                width,
                height,
            },
            offset,
            chunk,
            tables,
            data: rest,
        })
    }

    /// Whether a payload belongs to one field of interlaced video: every other row
    /// (<https://www.rfc-editor.org/rfc/rfc2435#section-3.1.1>).
    pub fn is_field(payload: &[u8]) -> bool {
        matches!(payload.first(), Some(1..=3))
    }

    /// Appends the payload to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let JpegKind {
            sampling,
            interval,
            q,
            width,
            height,
        } = self.kind;
        let base = match sampling {
            Sampling::HalfWidth => 0,
            Sampling::Half => 1,
        };
        let restarts = if interval.is_some() { WITH_RESTARTS } else { 0 };
        let [_, o2, o1, o0] = self.offset.to_be_bytes();
        out.extend([0, o2, o1, o0, base | restarts, q, width, height]);
        if let Some(interval) = interval {
            let chunk = self.chunk.unwrap_or(RestartSpan::UNDIVIDED);
            let flags = if chunk.first { FIRST } else { 0 } | if chunk.last { LAST } else { 0 };
            out.extend(interval.to_be_bytes());
            out.extend((flags | chunk.count & NO_COUNT).to_be_bytes());
        }
        if let Some(TableBytes { precision, bytes }) = self.tables {
            out.extend([0, precision]);
            out.extend((bytes.len() as u16).to_be_bytes());
            out.extend(bytes);
        }
        out.extend(self.data);
    }
}

impl RestartSpan {
    /// Fragments that are of use only together.
    pub const UNDIVIDED: Self = Self {
        first: true,
        last: true,
        count: NO_COUNT,
    };
}

const WITH_RESTARTS: u8 = 64;
const FIRST: u16 = 0x8000;
const LAST: u16 = 0x4000;

fn split<'a, const N: usize>(
    bytes: &'a [u8],
    what: &'static str,
) -> Result<([u8; N], &'a [u8]), FragmentError> {
    bytes
        .split_first_chunk()
        .map(|(head, rest)| (*head, rest))
        .ok_or_else(|| short(what, N, bytes))
}

fn short(what: &'static str, expected: usize, bytes: &[u8]) -> FragmentError {
    FragmentError::Short {
        what,
        expected,
        got: bytes.len(),
    }
}

#[cfg(test)]
pub(crate) mod tests_recorded;
#[cfg(test)]
mod tests_round_trip;
