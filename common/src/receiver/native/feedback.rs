//! Feedback: handles sender reports and echoes; sends receiver reports, NACKs and challenges.

use std::net::SocketAddr;
use std::time::Duration;

use super::clock::Exchange;
use super::{Bye, LatencyBreakdown, NativeSession};
use crate::fec::LossModel;
use crate::receiver::EAGER_REPORTS;
use crate::seq::{FrameNumber, PacketNumber};
use crate::time::SenderTime;
use crate::wire::native::{
    ArrivalReport, Channel, Echo, FRAME_NACK_LEN, FrameNack, GAP_LEN, HEADER, Header, MAX_GAPS,
    MAX_NACK_FRAMES, NACK_BODY, Nack, Packet, ReceiverReport, SenderReport, extend_micros, micros,
};
use crate::wire::{DEFAULT_DATAGRAM, MIN_DATAGRAM};

/// Time between reports.
const REPORT_EVERY: Duration = Duration::from_millis(200);

/// Time between the first reports.
const EAGER_EVERY: Duration = Duration::from_millis(20);

/// Bytes of the longest NACK.
const LONGEST_NACK: usize =
    HEADER + NACK_BODY + MAX_NACK_FRAMES * FRAME_NACK_LEN + MAX_GAPS * GAP_LEN;

impl NativeSession {
    /// A report in which the counts of packets and frames are extended as here. A viewer that joins
    /// late knows only their low bits.
    pub(super) fn extend_counts(&self, totals: &SenderReport) -> SenderReport {
        let passed = self.passed_frames(totals);
        let extend = |count, channel| {
            let near = PacketNumber(self.counters.reached(channel));
            PacketNumber(count).seq().extend(near).0
        };
        SenderReport {
            media: extend(totals.media, Channel::Media),
            repair: extend(totals.repair, Channel::Repair),
            control: extend(totals.control, Channel::Control),
            unsent_first: extend(totals.unsent_first, Channel::Media),
            unsent_end: extend(totals.unsent_end, Channel::Media),
            frames_sent: totals.frames_sent.wrapping_sub(passed),
            frames_captured: totals.frames_captured.saturating_sub(passed),
            ..*totals
        }
    }

    /// The number of frames that the sender has numbered and that have no number here, since
    /// numbers wrapped before this viewer joined.
    pub(super) fn passed_frames(&self, totals: &SenderReport) -> u64 {
        let sent = FrameNumber(totals.frames_sent);
        match self.counters.frames_sent() {
            0 => 0,
            known => sent.0.wrapping_sub(sent.seq().extend(FrameNumber(known)).0),
        }
    }

    /// Handles a sender report. Returns whether it is plausible.
    pub(super) fn handle_sender_report(
        &mut self,
        totals: &SenderReport,
        sent: SenderTime,
        now: Duration,
    ) -> bool {
        if !totals.is_possible() {
            return false;
        }
        self.id = Some(totals.id);
        self.arrivals.set_every(totals.arrivals_every);
        self.anchor = Some((sent, now));
        let in_full = u64::from(totals.sent_high) << 32 | u64::from(sent.as_micros() as u32);
        self.learn_epoch(sent, in_full);
        let age = Duration::from_micros(in_full.saturating_sub(totals.started));
        // The first packet can have been as fast as the fastest, and faster than this one.
        let age = age + self.delay.above_least(sent, now);
        let listening = |since| now.saturating_sub(since) >= age;
        self.shared_clock = !self.cloned
            && totals.clock_id != 0
            && (self.config.clock_id)(totals.id) == Some(totals.clock_id);
        let next = self.counters.frames_sent();
        self.totals_stale = false;
        self.counters
            .record_sender_report(*totals, self.free_since.is_some_and(listening));
        if next > 0 || self.counters.is_from_start() {
            self.await_frames(next, self.counters.frames_sent(), now);
        }
        true
    }

    /// Records when a packet was sent, as extended here, and a full time close to it.
    fn learn_epoch(&mut self, sent: SenderTime, near: u64) {
        let in_full = extend_micros(sent.as_micros() as u32, near);
        self.epoch = in_full.wrapping_sub(sent.as_micros());
    }

    /// Handles the echo of a report.
    pub(super) fn handle_echo(&mut self, reply: &Echo, sent: SenderTime, now: Duration) -> bool {
        if reply.viewer == self.viewer {
            self.answers = true;
            self.learn_epoch(sent, reply.report_received);
            let report_received = reply.report_received.wrapping_sub(self.epoch);
            let exchange = Exchange {
                report_sent: Duration::from_micros(extend_micros(reply.report_sent, micros(now))),
                report_received: SenderTime::from_micros(report_received),
                reply_sent: sent,
                reply_received: now,
            };
            self.clock.record(exchange);
            if self.shared_clock && self.clock.excludes_one_clock(sent) {
                (self.shared_clock, self.cloned) = (false, true);
                // They were measured as if on one clock.
                self.latency = LatencyBreakdown::default();
            }
            self.nack.record_rtt(exchange.round_trip());
        }
        true
    }

    pub(in crate::receiver) fn poll_timeout(&self) -> Option<Duration> {
        if self.ended {
            return None;
        }
        let given_up = self.deadlines.next();
        let end = self.bye.map(|bye| {
            let counts = bye.counts_at(self.interval());
            bye.over_at(self.config.playout_delay).max(counts)
        });
        let counts = self.bye.filter(|bye: &Bye| !bye.counts());
        let counts = counts.map(|bye| bye.counts_at(self.interval()));
        let report_due = Some(self.report_due).filter(|due| self.path.may_send(1, *due));
        let nack = if self.may_nack() {
            self.nack.due(self.incomplete())
        } else {
            None
        };
        // A NACK that may not be sent has no deadline.
        let nack = nack.filter(|_| !self.muted);
        let next = self.overdue().map(|(_, at)| at);
        let arrivals = self.arrivals_due();
        [report_due, given_up, end, counts, nack, next, arrivals]
            .into_iter()
            .flatten()
            .min()
    }

    /// Fills `out` with the next datagram for the sender. Returns where it goes.
    pub(in crate::receiver) fn poll_transmit(
        &mut self,
        now: Duration,
        out: &mut Vec<u8>,
    ) -> Option<SocketAddr> {
        if self.ended {
            return None;
        }
        if let Some(challenge) = self.migration.poll_challenge(self.viewer, now) {
            let (to, packet) = (challenge.0, Packet::PathChallenge(challenge.1));
            self.encode(&packet, now, out);
            self.migration.record_sent(to, out.len());
            return Some(to);
        }
        let packet = self.poll_packet(now)?;
        self.encode(&packet, now, out);
        self.path.record_sent(out.len());
        Some(self.path.address())
    }

    fn poll_packet(&mut self, now: Duration) -> Option<Packet<'static>> {
        let may_nack = self.path.may_send(LONGEST_NACK, now);
        self.muted = !may_nack;
        if may_nack && let Some((number, frames)) = self.poll_nack(now) {
            return Some(Packet::Nack(Nack {
                viewer: self.viewer,
                number,
                frames,
            }));
        }
        if self.arrivals_due().is_some_and(|due| due <= now) {
            let buffer = u32::try_from(self.config.socket_buffer).unwrap_or(u32::MAX);
            return Some(Packet::ArrivalReport(ArrivalReport {
                viewer: self.viewer,
                buffer,
                dropped: self.counters.socket_drops() as u32,
                marked: 0,
                packets: self.arrivals.take(self.longest_report(), now),
            }));
        }
        if now < self.report_due {
            return None;
        }
        self.report_due = now
            + if self.reports < EAGER_REPORTS {
                EAGER_EVERY
            } else {
                REPORT_EVERY
            };
        if !self.path.may_send(HEADER + ReceiverReport::LEN, now) {
            let challenge = self.path.challenge(self.viewer, now)?;
            return Some(Packet::PathChallenge(challenge));
        }
        self.reports += 1;
        Some(Packet::ReceiverReport(self.report(now)))
    }

    /// When arrivals are to be reported, if anything may be sent then.
    fn arrivals_due(&self) -> Option<Duration> {
        let due = self.arrivals.due();
        due.filter(|due| self.path.may_send(self.longest_report(), *due))
    }

    /// The length of a report: no longer than datagrams that arrived from the sender, nor than any
    /// path of Ethernet MTU carries over IPv6.
    fn longest_report(&self) -> usize {
        self.widest.clamp(MIN_DATAGRAM, DEFAULT_DATAGRAM)
    }

    fn poll_nack(&mut self, now: Duration) -> Option<(u32, Vec<FrameNack>)> {
        if !self.may_nack() {
            return None;
        }
        let model = self.loss.model().unwrap_or(LossModel::new(0.0, 1.0));
        let limit = self.longest_report();
        let incomplete =
            super::playout_delay::incomplete(&self.deadlines, &self.reassembly, &self.rebuilder);
        self.nack.poll(incomplete, model, limit, now)
    }

    fn report(&mut self, now: Duration) -> ReceiverReport {
        let counts = self.counters.loss_counts();
        let before = std::mem::replace(&mut self.loss_reported, counts);
        self.loss.record(
            counts.expected.saturating_sub(before.expected),
            counts.missing.saturating_sub(before.missing),
            counts.gaps.saturating_sub(before.gaps),
            self.delay.queueing(),
        );
        let model = self.loss.model().unwrap_or(LossModel::new(0.0, 1.0));
        let micros = |time: Duration| u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
        let mut report = ReceiverReport {
            viewer: self.viewer,
            loss_ppm: (model.loss() * 1e6) as u32,
            burst_milli: (model.burst() * 1e3) as u32,
            rtt: self.nack.rtt().map_or(0, |rtt| micros(rtt).max(1)),
            queueing: micros(self.delay.queueing()),
            playout_delay: micros(self.config.playout_delay),
            longest: self.longest.at(now) as u32,
            ..ReceiverReport::default()
        };
        self.counters.fill_report(&self.outlook(), &mut report);
        let delays = self.capture_to_shown();
        let latency = |share| {
            let micros = delays.micros_at(share);
            u32::try_from(micros).unwrap_or(u32::MAX)
        };
        report.latency_p50 = latency(0.50);
        report.latency_p95 = latency(0.95);
        report.latency_p99 = latency(0.99);
        report.latency_max = latency(1.0);
        report
    }

    /// Appends a packet with the destination number that this viewer is addressed by.
    fn encode(&mut self, packet: &Packet<'_>, now: Duration, out: &mut Vec<u8>) {
        let header = Header {
            stream: self.number as u32,
            destination: self.destination,
            channel: packet.channel(),
            number: PacketNumber(self.control_number),
            sent: micros(now),
        };
        self.control_number += 1;
        packet.encode(&header, out);
    }
}
