//! What the stream that is followed makes of a datagram.

use std::net::SocketAddr;
use std::time::Duration;

use framegram_common::ledger::{Arrival, Numbers};
use framegram_common::seq::FrameNumber;
use framegram_common::wire::native::{self, Chunk, Header, Packet, micros};
use framegram_common::wire::{Format, WireError, rtp};

use super::{Body, ChunkPlace, Content, Counts, Fate};

/// The stream that is followed.
#[derive(Debug)]
pub(super) struct Followed {
    number: u64,
    format: Format,
    from: SocketAddr,
    numbers: [Numbers; 3],
    frame: FrameNumber,
}

impl Followed {
    pub(super) fn new(number: u64, format: Format, from: SocketAddr) -> Self {
        Self {
            number,
            format,
            from,
            numbers: Default::default(),
            frame: FrameNumber(0),
        }
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// What a datagram is to it.
    pub(super) fn classify(
        &mut self,
        from: SocketAddr,
        datagram: &[u8],
        now: Duration,
    ) -> (Fate, Content) {
        let other = |fate| (fate, Content::Other);
        match self.format {
            Format::Native => match Packet::decode(datagram) {
                Ok((header, packet)) => self.packet(&header, &packet, from, now),
                Err(error) if from == self.from => self.damaged(&error),
                Err(_) => other(Fate::Malformed),
            },
            Format::Rtp if Format::of(datagram) != Some(Format::Rtp) => other(Fate::Malformed),
            Format::Rtp if rtp::is_control(datagram) => other(Fate::Received),
            Format::Rtp => match rtp::Packet::decode(datagram) {
                Ok(packet) if u64::from(packet.source) == self.number => {
                    let content = Content::Rtp {
                        sequence: packet.sequence,
                        timestamp: packet.timestamp,
                        marker: packet.marker,
                    };
                    (Fate::Received, content)
                }
                Ok(_) => other(Fate::Foreign),
                Err(_) => other(Fate::Malformed),
            },
            Format::Raw if from == self.from => other(Fate::Received),
            Format::Raw => other(Fate::Foreign),
        }
    }

    fn packet(
        &mut self,
        header: &Header,
        packet: &Packet<'_>,
        from: SocketAddr,
        now: Duration,
    ) -> (Fate, Content) {
        if header.stream != self.number {
            return (Fate::Foreign, Content::Other);
        }
        let numbers = &mut self.numbers[header.channel as usize];
        let fate = match numbers.note(header.number) {
            Arrival::New => Fate::Received,
            Arrival::Duplicate => Fate::Duplicate,
            Arrival::Implausible => return (Fate::Malformed, Content::Other),
        };
        let body = match packet {
            Packet::Chunk(chunk) => Body::Chunk(self.place(chunk)),
            Packet::Resent(chunk) => Body::Resent(self.place(chunk)),
            Packet::Parity(_) => Body::Parity,
            Packet::Tables(_) => Body::Tables,
            Packet::Totals(totals) => Body::Totals(counts(totals)),
            Packet::Farewell(totals) => Body::Farewell(counts(totals)),
            Packet::Reply(reply) => {
                let away = micros(now).saturating_sub(reply.report_sent);
                let held = header.sent.saturating_sub(reply.report_received);
                let rtt = away.saturating_sub(held);
                Body::Reply { rtt }
            }
            // It says nothing of the stream.
            Packet::PathResponse(_) => return (fate, Content::Other),
            Packet::Challenge(_)
            | Packet::Refusal(_)
            | Packet::Report(_)
            | Packet::Request(_)
            | Packet::Connect(_)
            | Packet::Leave(_)
            | Packet::PathChallenge(_) => return (Fate::Malformed, Content::Other),
        };
        self.from = from;
        (fate, native(header, body))
    }

    /// Bytes that are no packet, from where the stream comes from.
    fn damaged(&self, error: &WireError) -> (Fate, Content) {
        match error {
            WireError::Checksum {
                claimed: Some(header),
                ..
            } if header.stream == self.number
                && self.numbers[header.channel as usize].is_plausible(header.number) =>
            {
                (Fate::Corrupt, native(header, Body::Damaged))
            }
            WireError::Checksum { .. }
            | WireError::UnknownFormat(_)
            | WireError::Short { what: "header", .. } => (Fate::Corrupt, Content::Other),
            WireError::Version { .. }
            | WireError::Kind(_)
            | WireError::Encrypted(_)
            | WireError::Short { .. }
            | WireError::Range { .. } => (Fate::Malformed, Content::Other),
        }
    }

    fn place(&mut self, chunk: &Chunk<'_>) -> ChunkPlace {
        let frame = chunk.frame.extend(self.frame);
        self.frame = self.frame.max(frame);
        ChunkPlace {
            frame: frame.0,
            index: chunk.index,
            frame_len: chunk.frame_len,
            size: chunk.size,
            captured: chunk.captured,
        }
    }
}

fn native(header: &Header, body: Body) -> Content {
    Content::Native {
        channel: header.channel,
        number: header.number.0,
        sent: header.sent,
        body,
    }
}

fn counts(totals: &native::Totals) -> Counts {
    Counts {
        frames_captured: totals.frames_captured,
        frames_sent: totals.frames_sent,
        packets: [totals.media, totals.repair, totals.control],
        bytes: totals.bytes,
        jpeg_bytes: totals.jpeg_bytes,
        interval: totals.interval,
        kept: totals.kept,
        spread: totals.spread,
    }
}
