//! A trace: arrival time, size and verdict of each datagram, never its content. This
//! is version 1 of the file format.
//!
//! ```text
//! file    89 'F' 'G' 'T' 'R' 'A' 'C' 'E', version (1 byte: 1), blocks ...
//! block   length of the rest (4), CRC-32C of it (4), entries ...
//! ```
//!
//! - Length and checksum are big-endian. The entries of a block are compressed
//!   with DEFLATE (<https://www.rfc-editor.org/rfc/rfc1951>). Uncompressed they
//!   are at most [`MAX_BLOCK`] bytes, each an [`Entry`] in postcard's format
//!   (<https://postcard.jamesmunns.com/wire-format>).
//! - Times are in microseconds. Times, numbers, counts and chunks are stored as
//!   differences from the previous ones of the block, which starts from zeros, so
//!   that each block can be read alone. Instead of the send time, the transit
//!   time is stored: arrival minus send time. A difference of 64 bits is written
//!   as `(n << 1) ^ (n >> 63)`.
//! - Lost packets have no entry; their numbers are missing.
//! - The last entry says why the trace ends. A file without it is incomplete,
//!   and is read up to its last complete block.

pub(crate) mod block;
mod code;
mod followed;
mod open;
mod reader;
mod recorder;

pub use reader::{TraceError, TraceReader};
pub use recorder::Recorder;

use framegram_common::stats;
use framegram_common::wire::Format;
use framegram_common::wire::native::Channel;
use serde::{Deserialize, Serialize};

/// The first bytes of a trace.
pub const MAGIC: [u8; 8] = *b"\x89FGTRACE";

/// The version that is written and read here.
pub const VERSION: u8 = 1;

/// Upper bound on the entries of a block in bytes, uncompressed. A reader keeps
/// one block at a time.
pub const MAX_BLOCK: usize = 64 << 10;

/// An event. Times are microseconds of the viewer's clock, unless stated
/// otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Entry {
    /// The viewer starts to listen.
    Begin {
        /// Time.
        at: u64,
        /// Playout delay in microseconds.
        playout_delay: u64,
        /// Whether the viewer sends NACKs.
        nack: bool,
        /// Whether the viewer shows complete frames only.
        strict: bool,
    },
    /// The viewer follows this stream from here on.
    Stream {
        /// Stream number.
        number: u64,
        /// Format of the datagrams.
        format: Format,
    },
    /// The socket buffer dropped datagrams.
    Drops {
        /// When the viewer noticed.
        at: u64,
        /// Total since the socket was opened.
        total: u64,
    },
    /// The outcome of a frame is settled.
    Frame {
        /// Frame number.
        number: u64,
        /// Its outcome.
        outcome: stats::Outcome,
    },
    /// A datagram arrived.
    Datagram(Datagram),
    /// The trace ends here.
    End {
        /// Time.
        at: u64,
        /// Reason.
        why: Why,
        /// Number of datagrams in the trace.
        datagrams: u64,
    },
}

/// A datagram that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Datagram {
    /// Time of arrival.
    pub arrival: u64,
    /// UDP payload in bytes.
    pub len: u32,
    /// What the viewer did with it.
    pub disposition: Disposition,
    /// What it contains.
    pub content: DatagramContent,
}

/// What the viewer did with a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Disposition {
    /// Accepted.
    Received,
    /// A duplicate.
    Duplicate,
    /// Discarded: wrong checksum.
    Corrupt,
    /// Discarded: from another stream, or from an address that is not allowed.
    Foreign,
    /// Discarded: in no known format.
    Malformed,
}

/// The content of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DatagramContent {
    /// A packet of the stream, in the native format.
    Native {
        /// Packet number in its channel.
        number: u64,
        /// Send time on the sender's clock.
        sent: u64,
        /// What the packet carries.
        body: PacketBody,
    },
    /// An RTP packet of the stream.
    Rtp {
        /// Sequence number.
        sequence: u16,
        /// Timestamp.
        timestamp: u32,
        /// Marker bit: the packet ends a frame.
        marker: bool,
    },
    /// RTCP, bare JPEG, and everything outside the stream.
    Other,
}

/// What a packet of the native format carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PacketBody {
    /// A chunk, sent for the first time.
    Chunk(ChunkPlace),
    /// A retransmission of a chunk.
    Retransmission(ChunkPlace),
    /// Parity.
    Parity,
    /// JPEG tables.
    Tables,
    /// A sender report.
    SenderReport(TracedCounts),
    /// The counts in the bye.
    SenderBye(TracedCounts),
    /// The answer to a receiver report.
    Echo {
        /// RTT that it measures, in microseconds.
        rtt: u64,
    },
    /// The answer that proves the sender's address.
    Proof,
}

/// Identifies a chunk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkPlace {
    /// Frame number.
    pub frame: u64,
    /// Index of the chunk in its frame.
    pub index: u16,
    /// Bytes of the frame; while no chunk with its header has come, as many as
    /// its chunks hold at the most.
    pub frame_len: u32,
    /// Length of every chunk but the last, in bytes.
    pub size: u16,
    /// When the picture was taken, on the sender's clock; while that is not known, when
    /// the chunk was sent.
    pub captured: u64,
}

/// Counts of a sender report, as in
/// [`SenderReport`](framegram_common::wire::native::SenderReport).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TracedCounts {
    /// Frames captured.
    pub frames_captured: u64,
    /// Frames sent.
    pub frames_sent: u64,
    /// Packets sent, by channel.
    pub packets: [u64; 3],
    /// UDP payload of all packets, in bytes.
    pub bytes: u64,
    /// JPEG bytes of the frames sent.
    pub jpeg_bytes: u64,
    /// Frame interval in microseconds; 0 if unknown.
    pub interval: u32,
    /// Time for which frames are kept for retransmission, in microseconds.
    pub kept: u32,
    /// Time over which the packets of a frame are spread, in microseconds.
    pub spread: u32,
}

/// Why a trace ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Why {
    /// The viewer ended.
    Over,
    /// The file reached its size limit; the stream went on.
    Limit,
    /// Writing could not keep up; the stream went on.
    Slow,
}

impl PacketBody {
    /// The channel of the packet.
    pub fn channel(&self) -> Channel {
        match self {
            Self::Chunk(_) => Channel::Media,
            Self::Retransmission(_) | Self::Parity => Channel::Repair,
            Self::Tables
            | Self::SenderReport(_)
            | Self::SenderBye(_)
            | Self::Echo { .. }
            | Self::Proof => Channel::Control,
        }
    }
}

impl ChunkPlace {
    /// Number of chunks of the frame.
    pub fn count(&self) -> usize {
        (self.frame_len as usize).div_ceil(usize::from(self.size))
    }
}

#[cfg(test)]
mod tests;
