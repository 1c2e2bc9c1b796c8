//! Packets in the send queues.

use std::sync::Arc;

use bytes::Bytes;

use super::jpeg_headers::HeaderPart;
use crate::chunk::ChunkedFrame;
use crate::fec::ParityBlock;
use crate::seq::FrameNumber;
use crate::wire::native::{HEADER, Packet};

/// A packet to send, and its destinations.
#[derive(Clone, Debug)]
pub(super) struct QueuedPacket {
    content: PacketContent,
    to: To,
    len: usize,
}

/// The destinations of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum To {
    /// All open destinations.
    All,
    /// These of them.
    Those(Arc<[usize]>),
    /// One that requested it.
    One(usize),
}

impl To {
    pub(super) fn includes(&self, destination: usize) -> bool {
        match self {
            Self::All => true,
            Self::Those(those) => those.contains(&destination),
            Self::One(one) => *one == destination,
        }
    }
}

/// What is in a packet.
#[derive(Clone, Debug)]
pub(super) enum PacketContent {
    /// The chunk of a frame at an index.
    Chunk(Arc<ChunkedFrame>, usize),
    /// A retransmission of it.
    Retransmission(Arc<ChunkedFrame>, usize),
    /// The parity shard at an index.
    Parity(Arc<ParityBlock>, usize),
    /// A part of a JPEG header.
    JpegHeader(HeaderPart),
    /// A datagram of another format, the same for every destination.
    Datagram {
        bytes: Bytes,
        frame: FrameNumber,
        /// Whether it is the first one of the frame.
        begins: bool,
        /// Whether it is the last one.
        ends: bool,
    },
}

/// A packet in the form in which it is sent.
#[derive(Debug)]
pub(super) enum Encoding<'a> {
    /// With a header for each destination.
    Native(Packet<'a>),
    /// Unchanged.
    Datagram(&'a [u8]),
}

impl QueuedPacket {
    pub(super) fn new(content: PacketContent, to: To) -> Self {
        let len = match &content {
            PacketContent::Chunk(frame, index) | PacketContent::Retransmission(frame, index) => {
                HEADER + frame.chunk(*index).body_len()
            }
            PacketContent::Parity(block, _) => HEADER + block.packet_len(),
            PacketContent::JpegHeader(part) => HEADER + part.packet_len(),
            PacketContent::Datagram { bytes, .. } => bytes.len(),
        };
        Self { content, to, len }
    }

    /// A retransmission of a chunk to one destination.
    pub(super) fn retransmission(frame: &Arc<ChunkedFrame>, index: usize, to: usize) -> Self {
        let content = PacketContent::Retransmission(Arc::clone(frame), index);
        Self::new(content, To::One(to))
    }

    /// A parity shard.
    pub(super) fn parity(block: &Arc<ParityBlock>, index: usize, to: To) -> Self {
        Self::new(PacketContent::Parity(Arc::clone(block), index), to)
    }

    /// The same packet for one destination.
    #[cfg(test)]
    pub(super) fn for_one(self, destination: usize) -> Self {
        let to = To::One(destination);
        Self { to, ..self }
    }

    /// Bytes of the datagram.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn to(&self) -> &To {
        &self.to
    }

    /// The frame whose first chunk this is, sent for the first time, by its common number.
    pub(super) fn begins(&self) -> Option<FrameNumber> {
        match &self.content {
            PacketContent::Chunk(frame, 0) => Some(frame.original()),
            PacketContent::Datagram { frame, begins, .. } => begins.then_some(*frame),
            PacketContent::Chunk(..)
            | PacketContent::Retransmission(..)
            | PacketContent::Parity(..)
            | PacketContent::JpegHeader(_) => None,
        }
    }

    /// Whether it is the last chunk of a frame, sent for the first time.
    pub(super) fn ends(&self) -> bool {
        match &self.content {
            PacketContent::Chunk(frame, index) => index + 1 == frame.count(),
            PacketContent::Datagram { ends, .. } => *ends,
            PacketContent::Retransmission(..)
            | PacketContent::Parity(..)
            | PacketContent::JpegHeader(_) => false,
        }
    }

    /// Whether it repairs loss.
    pub(super) fn is_repair(&self) -> bool {
        match &self.content {
            PacketContent::Retransmission(..) | PacketContent::Parity(..) => true,
            PacketContent::Chunk(..)
            | PacketContent::JpegHeader(_)
            | PacketContent::Datagram { .. } => false,
        }
    }

    /// The chunk that it carries, sent for the first time, by frame and index.
    pub(super) fn chunk(&self) -> Option<(FrameNumber, usize)> {
        match &self.content {
            PacketContent::Chunk(frame, index) => Some((frame.number(), *index)),
            PacketContent::Retransmission(..)
            | PacketContent::Parity(..)
            | PacketContent::JpegHeader(_)
            | PacketContent::Datagram { .. } => None,
        }
    }

    /// The frame of the chunk that it carries, by the same number.
    pub(super) fn frame(&self) -> Option<FrameNumber> {
        match &self.content {
            PacketContent::Chunk(frame, _) | PacketContent::Retransmission(frame, _) => {
                Some(frame.original())
            }
            PacketContent::Parity(..)
            | PacketContent::JpegHeader(_)
            | PacketContent::Datagram { .. } => None,
        }
    }

    pub(super) fn encoding(&self) -> Encoding<'_> {
        let packet = match &self.content {
            PacketContent::Chunk(frame, index) => Packet::Chunk(frame.chunk(*index)),
            PacketContent::Retransmission(frame, index) => {
                Packet::Retransmission(frame.chunk(*index))
            }
            PacketContent::Parity(block, index) => Packet::Parity(block.packet(*index)),
            PacketContent::JpegHeader(part) => Packet::Tables(part.packet()),
            PacketContent::Datagram { bytes, .. } => return Encoding::Datagram(bytes),
        };
        Encoding::Native(packet)
    }
}

/// The parity to send of a block: its shards, and how many of them each destination gets; none for
/// a closed one.
pub(super) type Shards = (Arc<ParityBlock>, Vec<Option<usize>>);

/// The parity shards of a block, each for the destinations that get at least this many.
pub(super) fn parity_packets((block, counts): &Shards) -> Vec<QueuedPacket> {
    let most = counts.iter().flatten().copied().max().unwrap_or(0);
    let mut last = To::All;
    let packets = (0..most).map(|index| {
        let gets = |count: &Option<usize>| count.is_none_or(|count| count > index);
        let to = if counts.iter().all(gets) {
            To::All
        } else {
            let all = counts.iter().enumerate();
            let those = all.filter(|(_, count)| count.is_some_and(|count| count > index));
            To::Those(those.map(|(to, _)| to).collect())
        };
        // Equal lists are shared.
        if to != last {
            last = to;
        }
        QueuedPacket::parity(block, index, last.clone())
    });
    packets.collect()
}
