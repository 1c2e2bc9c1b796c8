//! What the two sides tell one another: totals and replies in, reports and
//! requests out.

use std::time::Duration;

use super::super::clock::Exchange;
use super::super::stages::Stages;
use super::Stream;
use crate::fec::LossModel;
use crate::seq::PacketNumber;
use crate::stats::Outlook;
use crate::wire::native::{Echo, FrameNack, Header, Packet, ReceiverReport, SenderReport, micros};
use crate::wire::{DEFAULT_DATAGRAM, MIN_DATAGRAM};

impl Stream {
    pub(super) fn handle_totals(
        &mut self,
        totals: &SenderReport,
        sent: u64,
        now: Duration,
    ) -> bool {
        let counts = [
            totals.frames_captured,
            totals.frames_replaced,
            totals.frames_not_sent,
            totals.frames_sent,
            totals.media,
            totals.repair,
            totals.control,
            totals.bytes,
            totals.jpeg_bytes,
            totals.send_errors,
        ];
        if counts.into_iter().any(|count| count > MAX_COUNT) {
            return false;
        }
        let age = sent.saturating_sub(totals.started);
        let listening = micros(now.saturating_sub(self.free_since));
        self.shared_clock = !self.cloned
            && totals.clock_id != 0
            && (self.config.clock_id)(self.number) == Some(totals.clock_id);
        let next = self.counters.frames_sent();
        self.totals_stale = false;
        self.counters.note_totals(*totals, listening >= age);
        if next > 0 || self.counters.is_from_start() {
            self.await_frames(next, self.counters.frames_sent(), now);
        }
        true
    }

    pub(super) fn handle_reply(&mut self, reply: &Echo, sent: u64, now: Duration) -> bool {
        if reply.viewer == self.viewer {
            self.answers = true;
            self.clock.note(Exchange {
                report_sent: reply.report_sent,
                report_received: reply.report_received,
                reply_sent: sent,
                reply_received: micros(now),
            });
            if self.shared_clock && self.clock.excludes_one_clock(sent) {
                (self.shared_clock, self.cloned) = (false, true);
                // They were measured on one clock.
                self.stages = Stages::default();
            }
            let away = micros(now).saturating_sub(reply.report_sent);
            let held = sent.saturating_sub(reply.report_received);
            self.requests
                .note_rtt(Duration::from_micros(away.saturating_sub(held)));
        }
        true
    }

    pub(super) fn poll_request(&mut self, now: Duration) -> Option<(u32, Vec<FrameNack>)> {
        if !self.may_ask() {
            return None;
        }
        let model = self.loss.model().unwrap_or(LossModel::new(0.0, 1.0));
        // Lent out, so that the frames can be looked at meanwhile.
        let mut requests = std::mem::take(&mut self.requests);
        let request = requests.poll(self.incomplete(), model, self.request_limit(), now);
        self.requests = requests;
        request
    }

    /// The longest request: no longer than what the sender has shown to pass,
    /// and than any path of an Ethernet's width carries, over IPv6 too.
    fn request_limit(&self) -> usize {
        self.widest.clamp(MIN_DATAGRAM, DEFAULT_DATAGRAM)
    }

    pub(super) fn report(&mut self) -> ReceiverReport {
        let counts = self.counters.loss_counts();
        let before = std::mem::replace(&mut self.loss_noted, counts);
        self.loss.note(
            counts.expected.saturating_sub(before.expected),
            counts.missing.saturating_sub(before.missing),
            counts.gaps.saturating_sub(before.gaps),
        );
        let model = self.loss.model().unwrap_or(LossModel::new(0.0, 1.0));
        let micros = |time: Duration| u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
        let mut report = ReceiverReport {
            viewer: self.viewer,
            loss_ppm: (model.loss() * 1e6) as u32,
            burst_milli: (model.burst() * 1e3) as u32,
            rtt: self.requests.rtt().map_or(0, |rtt| micros(rtt).max(1)),
            queueing: micros(self.transit.queueing()),
            playout_delay: micros(self.config.budget),
            ..ReceiverReport::default()
        };
        self.counters.fill_report(&self.outlook(), &mut report);
        let stages = self.stages();
        let latency = |share| {
            let micros = stages.capture_to_shown().micros_at(share);
            u32::try_from(micros).unwrap_or(u32::MAX)
        };
        report.latency_p50 = latency(0.50);
        report.latency_p95 = latency(0.95);
        report.latency_p99 = latency(0.99);
        report.latency_max = latency(1.0);
        report
    }

    /// Appends a packet about a stream, for the destination that this viewer
    /// was addressed as.
    pub(super) fn encode(
        (stream, destination): (u64, u16),
        control_number: &mut u64,
        packet: &Packet<'_>,
        now: Duration,
        out: &mut Vec<u8>,
    ) {
        let header = Header {
            stream,
            destination,
            channel: packet.channel(),
            number: PacketNumber(*control_number),
            sent: micros(now),
        };
        *control_number += 1;
        packet.encode(&header, out);
    }

    /// What of the accounts is still open.
    pub(super) fn outlook(&self) -> Outlook {
        Outlook {
            // Nobody waits for what is not followed.
            awaited: self.awaiting.first().filter(|_| self.since.is_some()),
            offset_micros: self.offset(self.newest_sent),
            farewell: self.has_said_farewell(),
        }
    }
}

/// No stream counts so far: above it sums could overflow.
const MAX_COUNT: u64 = 1 << 48;
