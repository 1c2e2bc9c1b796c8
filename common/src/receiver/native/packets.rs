//! What each packet of the stream does to its session.

use std::net::SocketAddr;
use std::time::Duration;

use super::bye::Bye;
use super::{NativeSession, Verdict};
use crate::reassembly::Origin;
use crate::seq::FrameNumber;
use crate::stats::Insertion;
use crate::time::SenderTime;
use crate::wire::native::{Channel, Chunk, Header, Packet};

impl NativeSession {
    /// Handles a packet of `len` bytes.
    pub(in crate::receiver) fn handle_packet(
        &mut self,
        header: &Header,
        packet: &Packet<'_>,
        (from, len): (SocketAddr, usize),
        now: Duration,
    ) -> Verdict {
        if self.counters.is_before_joining(header) {
            return Verdict::Foreign;
        }
        let totals = match packet {
            Packet::SenderReport(totals) => Some(Packet::SenderReport(self.extend_counts(totals))),
            Packet::SenderBye(totals) => Some(Packet::SenderBye(self.extend_counts(totals))),
            _ => None,
        };
        let passed = match packet {
            Packet::SenderReport(totals) | Packet::SenderBye(totals) => self.passed_frames(totals),
            _ => self.passed,
        };
        let packet = totals.as_ref().unwrap_or(packet);
        // A viewer's own packets may be reflected to it.
        if !packet.is_from_sender() {
            return Verdict::Malformed;
        }
        // The handshake is not part of the stream.
        if packet.is_answer() {
            return Verdict::Foreign;
        }
        if from == self.path.address() {
            self.path.record_received(len);
        } else if !self.migrate(header, packet, (from, len), now) {
            return Verdict::Foreign;
        }
        self.muted = false;
        if !self.is_credible(header, packet, now) {
            return Verdict::Malformed;
        }
        let known = self.known(header.channel);
        self.record_outage(now);
        match self.counters.record_packet(header, len, now) {
            Insertion::New => {}
            Insertion::Duplicate => return Verdict::Duplicate,
            Insertion::Implausible => return Verdict::Malformed,
        }
        self.handle_silence(now.saturating_sub(self.last_received()));
        self.destination = header.destination;
        self.path.record_packet(now);
        let sent = SenderTime::from_micros(header.sent);
        self.newest_sent = sent;
        self.anchor.get_or_insert((sent, now));
        self.arrivals
            .record(header.channel, header.number, len, now);
        // The sender probes how large datagrams may be, or whether the path works at all.
        let ends_silence = self.longest.at(now) == 0;
        let is_longest = self.longest.record(len, now) && len > self.widest;
        if matches!(packet, Packet::SenderReport(_)) && (is_longest || ends_silence) {
            self.report_due = now;
        }
        if header.channel == Channel::Media {
            self.record_media(header, len, now);
        }
        self.passed = passed;
        self.record_progress(header, packet, known, now);
        let fits = match packet {
            Packet::Chunk(chunk) => self.handle_chunk(header, chunk, Origin::Sent, now),
            Packet::Retransmission(chunk) => {
                self.nack
                    .record_retransmission(self.extend(chunk), chunk, now);
                self.handle_chunk(header, chunk, Origin::Retransmission, now)
            }
            Packet::Tables(tables) => {
                self.quality = tables.quality;
                self.headers.insert(tables)
            }
            Packet::Parity(parity) => self.handle_parity(parity, header.sent, now),
            Packet::SenderReport(totals) => self.handle_sender_report(totals, sent, now),
            Packet::SenderBye(totals) => {
                let fits = self.handle_sender_report(totals, sent, now);
                match &mut self.bye {
                    _ if !fits => {}
                    Some(bye) => bye.repeat(totals.media),
                    None => {
                        // The sender lingers for the last report.
                        self.report_due = now;
                        self.bye = Some(Bye::new(totals.media, now));
                    }
                }
                fits
            }
            Packet::Echo(echo) => self.handle_echo(echo, sent, now),
            Packet::PathResponse(response) => {
                self.answers |= self.path.handle_response(response);
                true
            }
            Packet::ReceiverReport(_)
            | Packet::Nack(_)
            | Packet::Connect(_)
            | Packet::Challenge(_)
            | Packet::Reject(_)
            | Packet::Accept(_)
            | Packet::ReceiverBye(_)
            | Packet::PathChallenge(_)
            | Packet::ArrivalReport(_) => false,
        };
        if fits {
            Verdict::Received
        } else {
            Verdict::Malformed
        }
    }

    fn record_media(&mut self, header: &Header, len: usize, now: Duration) {
        self.widest = self.widest.max(len);
        let sent = self.newest_sent;
        self.nack
            .record_lateness(self.delay.record(sent, header.number, now));
        let offset = self.offset(sent);
        self.latency.record_packet(sent, now, offset);
        // Of a stream that has ended, only packets behind its last one prove that it continues, and
        // those begin another session. Others were delayed, or are repeated by a stranger.
        if !self.ended {
            let outlived = |bye: &mut Bye| !bye.record_media(header.number.0, now);
            self.bye.take_if(outlived);
        }
    }

    /// The number of a chunk's frame in full.
    pub(super) fn extend(&self, chunk: &Chunk<'_>) -> FrameNumber {
        chunk.frame.extend(FrameNumber(self.counters.frames_sent()))
    }
}
