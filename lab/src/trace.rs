//! A trace: when which datagrams came, how large they were and what became of
//! them, never what was in them. Version 1 of its file.
//!
//! ```text
//! file    89 'F' 'G' 'T' 'R' 'A' 'C' 'E', version (1 byte: 1), blocks ...
//! block   length of the rest (4), CRC-32C of it (4), entries ...
//! ```
//!
//! - Length and checksum are big-endian. The entries of a block are compressed
//!   with DEFLATE (<https://www.rfc-editor.org/rfc/rfc1951>): at most
//!   [`MAX_BLOCK`] bytes, each an [`Entry`] in postcard's format
//!   (<https://postcard.jamesmunns.com/wire-format>).
//! - Times are microseconds. Times, numbers, counts and chunks are
//!   differences from the previous ones of the block, which begins with zeros: a
//!   block can be read by itself. For the time of sending stands the transit time,
//!   arrival less sending. A difference of 64 bits is written as
//!   `(n << 1) ^ (n >> 63)`.
//! - What was lost has no entry: its number is missing between the others.
//! - The last entry says why the trace ends there. A file without it was cut
//!   off, and is read as far as it is whole.

pub(crate) mod block;
mod code;
mod followed;
mod open;
mod reader;
mod recorder;

pub use reader::{Reader, TraceError};
pub use recorder::Recorder;

use framegram_common::stats;
use framegram_common::wire::Format;
use framegram_common::wire::native::Channel;
use serde::{Deserialize, Serialize};

/// The first bytes of a trace.
pub const MAGIC: [u8; 8] = *b"\x89FGTRACE";

/// The version that is written and read here.
pub const VERSION: u8 = 1;

/// The most bytes of entries in a block: what a reader keeps at once.
pub const MAX_BLOCK: usize = 64 << 10;

/// One thing that happened. Times are microseconds on the viewer's clock,
/// unless they are said to be the sender's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Entry {
    /// The viewer begins to listen.
    Begin {
        /// When.
        at: u64,
        /// How long it waits for an incomplete frame, in microseconds.
        budget: u64,
        /// Whether it asks for what is missing.
        requests: bool,
        /// Whether it shows whole frames only.
        strict: bool,
    },
    /// From here on this stream is followed.
    Stream {
        /// Its number.
        number: u64,
        /// Its format.
        format: Format,
    },
    /// The socket's buffer has dropped datagrams.
    Drops {
        /// When that was seen.
        at: u64,
        /// How many since the socket was opened.
        total: u64,
    },
    /// The outcome of a frame is settled.
    Frame {
        /// Its number.
        number: u64,
        /// What became of it.
        outcome: stats::Outcome,
    },
    /// A datagram came.
    Datagram(Datagram),
    /// The trace ends here.
    End {
        /// When.
        at: u64,
        /// Why.
        why: Why,
        /// How many datagrams are in it.
        datagrams: u64,
    },
}

/// A datagram that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Datagram {
    /// When.
    pub arrival: u64,
    /// Bytes of UDP payload.
    pub len: u32,
    /// What became of it.
    pub disposition: Disposition,
    /// What else is known of it.
    pub content: Content,
}

/// What became of a datagram that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Disposition {
    /// Taken.
    Received,
    /// Its number had come before.
    Duplicate,
    /// Its checksum does not hold.
    Corrupt,
    /// Of another stream, or from an address that is not allowed.
    Foreign,
    /// Nothing that is known.
    Malformed,
}

/// What is known of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Content {
    /// A packet of the stream, in the native format.
    Native {
        /// Its number in its channel.
        number: u64,
        /// When it was sent, on the sender's clock.
        sent: u64,
        /// What it carries.
        body: Body,
    },
    /// RTP of the stream.
    Rtp {
        /// Its sequence number.
        sequence: u16,
        /// Its timestamp.
        timestamp: u32,
        /// Whether it ends a frame.
        marker: bool,
    },
    /// RTCP, bare JPEG, and whatever is not of the stream.
    Other,
}

/// What a packet of the native format carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Body {
    /// A chunk, sent for the first time.
    Chunk(ChunkPlace),
    /// A chunk, sent again.
    Retransmission(ChunkPlace),
    /// Parity.
    Parity,
    /// Tables.
    Tables,
    /// The sender's counts.
    SenderReport(Counts),
    /// Its last counts.
    SenderBye(Counts),
    /// The answer to a report.
    Echo {
        /// The round trip that it shows, in microseconds.
        rtt: u64,
    },
    /// The answer that proves the sender's address.
    Proof,
}

/// Which chunk of which frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkPlace {
    /// The frame's number.
    pub frame: u64,
    /// The chunk's place in it.
    pub index: u16,
    /// Bytes of the whole frame.
    pub frame_len: u32,
    /// Bytes of every chunk but the last.
    pub size: u16,
    /// When the picture was taken, on the sender's clock.
    pub captured: u64,
}

/// The sender's counts that a trace keeps; as in
/// [`SenderReport`](framegram_common::wire::native::SenderReport).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Frames captured.
    pub frames_captured: u64,
    /// Frames sent.
    pub frames_sent: u64,
    /// Packets sent, by channel.
    pub packets: [u64; 3],
    /// UDP payload of all of them.
    pub bytes: u64,
    /// Bytes of the JPEGs of the frames sent.
    pub jpeg_bytes: u64,
    /// Microseconds from frame to frame; 0 where that is not known.
    pub interval: u32,
    /// Microseconds for which frames are kept to be sent again.
    pub kept: u32,
    /// Microseconds over which a frame's packets are spread.
    pub spread: u32,
}

/// Why a trace ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Why {
    /// The viewer ended.
    Over,
    /// It was as large as it may be; the stream went on.
    Limit,
    /// It could not be written as fast as datagrams came; the stream went on.
    Slow,
}

impl Body {
    /// The channel of its packet.
    #[must_use]
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
    /// How many chunks the frame has.
    #[must_use]
    pub fn count(&self) -> usize {
        (self.frame_len as usize).div_ceil(usize::from(self.size))
    }
}

#[cfg(test)]
mod tests;
