//! Classifies datagrams for the stream that is followed.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use framegram_common::frame::MAX_FRAME_BYTES;
use framegram_common::receiver::Verdict;
use framegram_common::seq::FrameNumber;
use framegram_common::stats::{Insertion, SequenceTracker};
use framegram_common::wire::native::{
    self, Chunk, Expected, FrameHeader, Header, Packet, WireHeader, extend_micros, micros,
};
use framegram_common::wire::{Format, rtp};

use super::open::Kept;
use super::{ChunkPlace, DatagramContent, Disposition, PacketBody, TracedCounts};

/// The stream that is followed.
#[derive(Debug)]
pub(super) struct Followed {
    number: u64,
    format: Format,
    from: SocketAddr,
    numbers: [SequenceTracker; 3],
    frame: FrameNumber,
    /// The headers of the newest frames, and when these were captured.
    headers: BTreeMap<FrameNumber, (FrameHeader, u64)>,
    /// When the newest packet was sent, and when it arrived, in microseconds.
    newest: Option<(u64, u64)>,
}

impl Followed {
    pub(super) fn new(number: u64, format: Format, from: SocketAddr) -> Self {
        Self {
            number,
            format,
            from,
            numbers: Default::default(),
            frame: FrameNumber(0),
            headers: BTreeMap::new(),
            newest: None,
        }
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Classifies a datagram. `verdict` is that of the receiver, which has none
    /// for formats other than the native one.
    pub(super) fn classify(
        &mut self,
        from: SocketAddr,
        datagram: &[u8],
        verdict: Option<Verdict>,
        now: Duration,
    ) -> (Disposition, DatagramContent) {
        let other = |disposition| (disposition, DatagramContent::Other);
        match (verdict, self.format) {
            (Some(verdict), _) => self.judged(datagram, verdict, now),
            (None, Format::Rtp) if Format::of(datagram) != Some(Format::Rtp) => {
                other(Disposition::Malformed)
            }
            (None, Format::Rtp) if rtp::is_control(datagram) => other(Disposition::Received),
            (None, Format::Rtp) => match rtp::RtpPacket::decode(datagram) {
                Ok(packet) if u64::from(packet.source) == self.number => {
                    let content = DatagramContent::Rtp {
                        sequence: packet.sequence,
                        timestamp: packet.timestamp,
                        marker: packet.marker,
                    };
                    (Disposition::Received, content)
                }
                Ok(_) => other(Disposition::Foreign),
                Err(_) => other(Disposition::Malformed),
            },
            (None, Format::Raw) if from == self.from => other(Disposition::Received),
            (None, Format::Raw | Format::Native) => other(of_no_stream(datagram)),
        }
    }

    /// Classifies a datagram that arrived before the stream was followed; `None`
    /// if it may belong to another stream.
    pub(super) fn claim(&mut self, kept: &Kept) -> Option<(Disposition, DatagramContent)> {
        let own = kept.from == self.from;
        match Packet::decode(&kept.datagram) {
            Ok((header, _)) if u64::from(header.stream) != self.number => None,
            Ok(_) if !own => Some((Disposition::Foreign, DatagramContent::Other)),
            Ok((header, _)) => {
                let header = self.extend(header, kept.arrival);
                let verdict = match self.numbers[header.channel as usize].insert(header.number) {
                    Insertion::New => Verdict::Received,
                    Insertion::Duplicate => Verdict::Duplicate,
                    Insertion::Implausible => Verdict::Malformed,
                };
                Some(self.judged(&kept.datagram, verdict, kept.arrival))
            }
            Err(_) => Some((Disposition::Malformed, DatagramContent::Other)),
        }
    }

    fn judged(
        &mut self,
        datagram: &[u8],
        verdict: Verdict,
        now: Duration,
    ) -> (Disposition, DatagramContent) {
        let disposition = match verdict {
            Verdict::Received => Disposition::Received,
            Verdict::Duplicate => Disposition::Duplicate,
            Verdict::Corrupt => Disposition::Corrupt,
            Verdict::Foreign => return (Disposition::Foreign, DatagramContent::Other),
            Verdict::Malformed => return (Disposition::Malformed, DatagramContent::Other),
            Verdict::Open => return (of_no_stream(datagram), DatagramContent::Other),
        };
        let content = match Packet::decode(datagram) {
            Ok((header, packet)) => {
                let header = self.extend(header, now);
                self.newest = Some((header.sent, micros(now)));
                self.numbers[header.channel as usize].insert(header.number);
                self.content(&header, &packet, now)
            }
            Err(_) => DatagramContent::Other,
        };
        (disposition, content)
    }

    fn extend(&self, header: WireHeader, now: Duration) -> Header {
        let now = micros(now);
        let sent = self.newest.map_or(now, |(sent, at)| {
            sent.saturating_add(now.saturating_sub(at))
        });
        let numbers = self.numbers.each_ref().map(SequenceTracker::next);
        header.extend(&Expected { numbers, sent })
    }

    fn content(&mut self, header: &Header, packet: &Packet<'_>, now: Duration) -> DatagramContent {
        let body = match packet {
            Packet::Chunk(chunk) => PacketBody::Chunk(self.place(chunk, header.sent)),
            Packet::Retransmission(chunk) => {
                PacketBody::Retransmission(self.place(chunk, header.sent))
            }
            Packet::Parity(_) => PacketBody::Parity,
            Packet::Tables(_) => PacketBody::Tables,
            Packet::SenderReport(totals) => PacketBody::SenderReport(counts(totals)),
            Packet::SenderBye(totals) => PacketBody::SenderBye(counts(totals)),
            Packet::Echo(reply) => {
                let away = (micros(now) as u32).wrapping_sub(reply.report_sent);
                let held = (header.sent as u32).wrapping_sub(reply.report_received as u32);
                let rtt = away.saturating_sub(held).into();
                PacketBody::Echo { rtt }
            }
            Packet::PathResponse(_) => PacketBody::Proof,
            // Not part of a stream.
            Packet::Challenge(_)
            | Packet::Reject(_)
            | Packet::Accept(_)
            | Packet::ReceiverReport(_)
            | Packet::Nack(_)
            | Packet::Connect(_)
            | Packet::ReceiverBye(_)
            | Packet::PathChallenge(_)
            | Packet::ArrivalReport(_) => return DatagramContent::Other,
        };
        native(header, body)
    }

    fn place(&mut self, chunk: &Chunk<'_>, sent: u64) -> ChunkPlace {
        let frame = chunk.frame.extend(self.frame);
        self.frame = self.frame.max(frame);
        if let Some(header) = chunk.header {
            let captured = extend_micros(header.captured, sent);
            self.headers.insert(frame, (header, captured));
            if self.headers.len() > MAX_HEADERS {
                self.headers.pop_first();
            }
        }
        let known = self.headers.get(&frame);
        let longest = (usize::from(chunk.count) * chunk.size()).min(MAX_FRAME_BYTES) as u32;
        ChunkPlace {
            frame: frame.0,
            index: chunk.index,
            frame_len: known.map_or(longest, |(header, _)| header.len),
            size: chunk.size() as u16,
            captured: known.map_or(sent, |(_, captured)| *captured),
        }
    }
}

/// The most headers of frames that are remembered: more than arrive at a time.
const MAX_HEADERS: usize = 256;

/// What a datagram is that no stream claims.
pub(super) fn of_no_stream(datagram: &[u8]) -> Disposition {
    match Format::of(datagram) {
        Some(Format::Native) if Packet::decode(datagram).is_err() => Disposition::Malformed,
        Some(_) => Disposition::Foreign,
        None => Disposition::Malformed,
    }
}

fn native(header: &Header, body: PacketBody) -> DatagramContent {
    DatagramContent::Native {
        number: header.number.0,
        sent: header.sent,
        body,
    }
}

fn counts(totals: &native::SenderReport) -> TracedCounts {
    TracedCounts {
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
