//! What is believed: a packet from another address, and how far the stream has
//! come.

use std::net::SocketAddr;
use std::time::Duration;

use super::{Line, Peer, Stream, succession};
use crate::seq::FrameNumber;
use crate::wire::native::{Channel, Chunk, Header, Packet, SenderReport};

impl Stream {
    /// Takes a packet from another address than the stream's. Returns whether
    /// it is the stream's from now on.
    pub(super) fn succeed(
        &mut self,
        header: &Header,
        packet: &Packet<'_>,
        source: (SocketAddr, usize),
        now: Duration,
    ) -> bool {
        let new = || Peer::new(source.0, self.config.secret, self.number, now);
        let trust = (self.answers, succession::patience(self.interval()));
        let packet = (header, packet);
        let peer = self
            .succession
            .handle_packet(new, packet, source, &self.peer, trust, now);
        let Some(peer) = peer else {
            return false;
        };
        self.answers = peer.is_proved();
        self.peer = peer;
        // The sender hears at once that it is heard.
        self.report_due = now;
        true
    }

    /// One above the highest number of a channel that is known to be used.
    pub(super) fn known(&self, channel: Channel) -> u64 {
        self.counters.sent(channel)
    }

    /// Whether the stream can have come as far as a packet says. Nothing that
    /// is not believed is counted, so that the true packet of its number is.
    pub(super) fn is_credible(
        &mut self,
        header: &Header,
        packet: &Packet<'_>,
        now: Duration,
    ) -> bool {
        let channel = header.channel;
        let line = Line::Packets(channel);
        let number = header.number.0;
        let reached = number.saturating_add(1);
        if !self.leaps.allow(line, reached, self.known(channel), now) {
            let quiet = self.is_quiet(now);
            if !self.leaps.suspect(line, number, quiet) {
                return false;
            }
        }
        match packet {
            Packet::Chunk(chunk) => self.is_credible_chunk(chunk, true, now),
            Packet::Retransmission(chunk) => self.is_credible_chunk(chunk, false, now),
            Packet::Parity(parity) => {
                let first = parity
                    .first
                    .extend(FrameNumber(self.counters.frames_sent()));
                self.allow_frames(first.0.saturating_add(parity.counts.len() as u64), now)
            }
            Packet::SenderReport(totals) => self.are_credible(totals, now),
            // Nothing that was received can come after the last packet.
            Packet::SenderBye(totals) => {
                totals.media >= self.counters.received_to(Channel::Media)
                    && self.are_credible(totals, now)
            }
            Packet::Tables(_)
            | Packet::Echo(_)
            | Packet::ReceiverReport(_)
            | Packet::Nack(_)
            | Packet::Connect(_)
            | Packet::Challenge(_)
            | Packet::Reject(_)
            | Packet::ReceiverBye(_)
            | Packet::PathChallenge(_)
            | Packet::PathResponse(_) => true,
        }
    }

    /// Notes how far the stream has come by a packet that is believed, `known`
    /// of whose channel were known before.
    pub(super) fn note_progress(
        &mut self,
        header: &Header,
        packet: &Packet<'_>,
        known: u64,
        now: Duration,
    ) {
        let queueing = self.transit.excess();
        if header.number.0 >= known {
            self.leaps
                .note(Line::Packets(header.channel), queueing, now);
        }
        match packet {
            Packet::Chunk(chunk) if self.extend(chunk).next().0 >= self.counters.frames_sent() => {
                self.leaps.note(self.frames(), queueing, now);
            }
            Packet::SenderReport(_) | Packet::SenderBye(_) => {
                for channel in CHANNELS {
                    self.leaps.note(Line::Packets(channel), queueing, now);
                }
                self.leaps.note(self.frames(), queueing, now);
            }
            _ => {}
        }
    }

    fn is_credible_chunk(&mut self, chunk: &Chunk<'_>, sent: bool, now: Duration) -> bool {
        let number = self.extend(chunk).0;
        if self.allow_frames(number.saturating_add(1), now) {
            return true;
        }
        let quiet = self.is_quiet(now);
        sent && self.leaps.suspect(self.frames(), number, quiet)
    }

    /// Whether nothing that is believed has come for so long that what
    /// contradicts it may be.
    fn is_quiet(&self, now: Duration) -> bool {
        let silent = now.saturating_sub(self.heard());
        silent >= succession::patience(self.interval())
    }

    fn are_credible(&self, totals: &SenderReport, now: Duration) -> bool {
        let counts = [
            (Channel::Media, totals.media),
            (Channel::Repair, totals.repair),
            (Channel::Control, totals.control),
        ];
        let packets = counts.into_iter().all(|(channel, count)| {
            let line = Line::Packets(channel);
            self.leaps.allow(line, count, self.known(channel), now)
        });
        packets && self.allow_frames(totals.frames_sent, now)
    }

    /// Whether the stream can have come to `reached` frames.
    fn allow_frames(&self, reached: u64, now: Duration) -> bool {
        let known = self.counters.frames_sent();
        known == 0 || self.leaps.allow(self.frames(), reached, known, now)
    }

    fn frames(&self) -> Line {
        Line::Frames(self.interval())
    }
}

const CHANNELS: [Channel; 3] = [Channel::Media, Channel::Repair, Channel::Control];
