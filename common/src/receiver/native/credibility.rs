//! Which packets are believed: those from another address, and those that say how far the stream
//! has come.

use std::net::SocketAddr;
use std::time::Duration;

use super::plausibility::NumberSpace;
use super::{NativeSession, SenderPath, migration};
use crate::seq::FrameNumber;
use crate::wire::native::{Channel, Chunk, Header, Packet, SenderReport};

/// A sender that answers reports has done so after this time: five reports, and a long round trip
/// after the last of them.
const ANSWERS_AFTER: Duration = Duration::from_millis(500);

impl NativeSession {
    /// Handles a packet from another address than the stream's. Returns whether the stream moves to
    /// that address.
    pub(super) fn migrate(
        &mut self,
        header: &Header,
        packet: &Packet<'_>,
        source: (SocketAddr, usize),
        now: Duration,
    ) -> bool {
        let new = || SenderPath::new(source.0, self.secret, self.number, now);
        let answers = self.answers || self.is_new(now);
        let trust = (answers, migration::quiet_time(self.interval()));
        let packet = (header, packet);
        let path = self
            .migration
            .handle_packet(new, packet, source, &self.path, trust, now);
        let Some(path) = path else {
            return false;
        };
        self.answers = path.is_proved();
        self.path = path;
        // Tells the sender at once that its packets arrive.
        self.report_due = now;
        true
    }

    /// Whether the sender's first answers may still be on the way.
    pub(super) fn is_new(&self, now: Duration) -> bool {
        let is_new = |since: Duration| now.saturating_sub(since) < ANSWERS_AFTER;
        self.since.is_none_or(is_new)
    }

    /// One above the highest packet number of a channel known to be used.
    pub(super) fn known(&self, channel: Channel) -> u64 {
        self.counters.sent(channel)
    }

    /// Whether the stream can have come as far as a packet says. A packet that is not believed is
    /// not counted, so the true packet with its number is.
    pub(super) fn is_credible(
        &mut self,
        header: &Header,
        packet: &Packet<'_>,
        now: Duration,
    ) -> bool {
        let channel = header.channel;
        let space = NumberSpace::Packets(channel);
        let number = header.number.0;
        let reached = number.saturating_add(1);
        if !self
            .plausibility
            .allow(space, reached, self.known(channel), now)
        {
            let quiet = self.is_quiet(now);
            if !self.plausibility.suspect(space, number, quiet) {
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
            // No packet that was received can follow the last one.
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
            | Packet::Accept(_)
            | Packet::ReceiverBye(_)
            | Packet::PathChallenge(_)
            | Packet::PathResponse(_)
            | Packet::ArrivalReport(_) => true,
        }
    }

    /// Records how far the stream has come according to a packet that is believed. `known` is how
    /// far its channel had come before.
    pub(super) fn record_progress(
        &mut self,
        header: &Header,
        packet: &Packet<'_>,
        known: u64,
        now: Duration,
    ) {
        let queueing = self.delay.excess();
        if header.number.0 >= known {
            self.plausibility
                .record(NumberSpace::Packets(header.channel), queueing, now);
        }
        match packet {
            Packet::Chunk(chunk) if self.extend(chunk).next().0 >= self.counters.frames_sent() => {
                self.plausibility.record(self.frames(), queueing, now);
            }
            Packet::SenderReport(_) | Packet::SenderBye(_) => {
                for channel in CHANNELS {
                    self.plausibility
                        .record(NumberSpace::Packets(channel), queueing, now);
                }
                self.plausibility.record(self.frames(), queueing, now);
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
        sent && self.plausibility.suspect(self.frames(), number, quiet)
    }

    /// Whether nothing credible has arrived for so long that a contradicting packet may be
    /// believed.
    fn is_quiet(&self, now: Duration) -> bool {
        let silent = now.saturating_sub(self.last_received());
        silent >= migration::quiet_time(self.interval())
    }

    fn are_credible(&self, totals: &SenderReport, now: Duration) -> bool {
        let counts = [
            (Channel::Media, totals.media),
            (Channel::Repair, totals.repair),
            (Channel::Control, totals.control),
        ];
        let packets = counts.into_iter().all(|(channel, count)| {
            let space = NumberSpace::Packets(channel);
            self.plausibility
                .allow(space, count, self.known(channel), now)
        });
        packets && self.allow_frames(totals.frames_sent, now)
    }

    /// Whether the stream can have come to `reached` frames.
    fn allow_frames(&self, reached: u64, now: Duration) -> bool {
        let known = self.counters.frames_sent();
        known == 0 || self.plausibility.allow(self.frames(), reached, known, now)
    }

    fn frames(&self) -> NumberSpace {
        NumberSpace::Frames(self.interval())
    }
}

const CHANNELS: [Channel; 3] = [Channel::Media, Channel::Repair, Channel::Control];
