//! What a stream counts of itself, and tells: to viewers in totals, to a person
//! as statistics.

use std::time::Duration;

use super::destination::{Destination, short_micros};
use super::{NativeSender, Transmit};
use crate::stats::{self, Outcome, Side, Statistics};
use crate::wire::native::{Packet, SenderReport, micros};

/// What was handed out so far, in bytes, whether the system took it or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    /// UDP payload to the destination that got the most.
    pub sent: u64,
    /// JPEGs.
    pub jpeg: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) captured: u64,
    pub(super) replaced: u64,
    pub(super) not_sent: u64,
    pub(super) sent: u64,
    pub(super) jpeg_bytes: u64,
    pub(super) malformed: u64,
}

impl NativeSender {
    /// Tells how many frames the source has delivered so far.
    pub(crate) fn handle_captured(&mut self, total: u64) {
        self.counts.captured = self.counts.captured.max(total);
    }

    /// Counts frames that a newer one replaced before they were encoded.
    pub(crate) fn handle_replaced(&mut self, frames: u64) {
        self.counts.replaced += frames;
    }

    /// Counts frames that could not be encoded.
    pub(crate) fn handle_not_sent(&mut self, frames: u64) {
        self.counts.not_sent += frames;
    }

    /// Takes datagrams, of `segment` bytes each but the last, that were polled
    /// for a destination and that the local system refused to send.
    pub(crate) fn handle_send_error(
        &mut self,
        destination: usize,
        datagrams: &[u8],
        segment: usize,
    ) {
        let Some(to) = self.destinations.get_mut(destination) else {
            return;
        };
        for datagram in datagrams.chunks(segment.max(1)) {
            let Ok((header, packet)) = Packet::decode(datagram) else {
                continue;
            };
            to.note_refused(header.channel, header.number, datagram.len() as u64);
            if let Packet::Chunk(chunk) | Packet::Retransmission(chunk) = packet {
                self.unsent.note_refused(chunk.frame);
            }
        }
    }

    /// What was handed out so far.
    #[must_use]
    pub(crate) fn volume(&self) -> Volume {
        Volume {
            sent: self
                .destinations
                .iter()
                .map(Destination::handed_out)
                .max()
                .unwrap_or(0),
            jpeg: self.counts.jpeg_bytes,
        }
    }

    /// The counts so far.
    #[must_use]
    pub(crate) fn statistics(&self, now: Duration) -> Statistics {
        let counts = &self.counts;
        let (first, last) = self.frames_at.unwrap_or((now, now));
        let duration = last.saturating_sub(first).as_secs_f64();
        let total = |of: fn(&Destination) -> u64| self.destinations.iter().map(of).sum::<u64>();
        let bytes = total(Destination::bytes);
        let refused = self.unsent.refused().min(counts.sent);
        let (sent, not_sent) = (counts.sent - refused, counts.not_sent + refused);
        let rate = |amount: f64| (duration > 0.0).then(|| amount / duration);
        let mut statistics = Statistics {
            stream: stats::Stream {
                side: Side::Sender,
                number: Some(format!("{:016x}", self.stream)),
                wire: Some("native"),
                quality: self.quality,
                ended: self.finishing,
                ..stats::Stream::default()
            },
            duration_s: duration,
            fps: stats::fps(sent, duration),
            bitrate_bps: rate(bytes as f64 * 8.0),
            ..Statistics::default()
        };
        statistics.frames.captured = Some(counts.captured);
        statistics.outcomes[Outcome::Replaced] = Some(counts.replaced);
        statistics.frames.not_sent = Some(not_sent);
        statistics.frames.sent = Some(sent);
        statistics.packets.sent = Some(total(Destination::packets));
        statistics.packets.send_errors = Some(total(Destination::refused));
        statistics.packets.malformed = Some(counts.malformed);
        statistics.bytes.sent = Some(bytes);
        statistics.bytes.jpeg = Some(counts.jpeg_bytes);
        self.latency.fill(&mut statistics.delays_ms);
        let mut viewers = self.destinations.iter().flat_map(Destination::viewers);
        if let (Some(viewer), None) = (viewers.next(), viewers.next()) {
            viewer.fill(&mut statistics);
        }
        let figures = self.destinations.iter().flat_map(|to| to.figures(now));
        statistics.viewers = figures.collect();
        statistics
    }

    pub(super) fn totals(&self) -> SenderReport {
        let mut totals = SenderReport {
            frames_captured: self.counts.captured,
            frames_replaced: self.counts.replaced,
            frames_not_sent: self.counts.not_sent,
            frames_sent: self.next_frame.0,
            jpeg_bytes: self.counts.jpeg_bytes,
            started: micros(self.started),
            clock_id: self.config.clock_id.unwrap_or(0),
            interval: self.config.interval.map_or(0, short_micros),
            kept: short_micros(self.protection.keeps()),
            spread: short_micros(self.protection.spread()),
            ..SenderReport::default()
        };
        self.latency.tell(&mut totals);
        totals
    }

    pub(super) fn poll_control(&mut self, now: Duration, out: &mut Vec<u8>) -> Option<Transmit> {
        let totals = self.totals();
        for (destination, to) in self.destinations.iter_mut().enumerate() {
            if to.poll_control(self.stream, totals, now, out) {
                return Some(Transmit {
                    destination,
                    segment: out.len(),
                });
            }
        }
        None
    }

    /// Totals where they are to tell what did not leave, before more follows.
    pub(super) fn tell_refused(&mut self, now: Duration, out: &mut Vec<u8>) -> Option<Transmit> {
        let untold = |to: &mut Destination| to.tell_refused();
        let destination = self.destinations.iter_mut().position(untold)?;
        let totals = self.totals();
        self.destinations[destination].encode_totals(self.stream, totals, now, out);
        Some(Transmit {
            destination,
            segment: out.len(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sender::Config;

    #[test]
    fn totals_tell_a_long_interval_as_long() {
        let day = Duration::from_secs(86_400);
        let config = Config {
            interval: Some(day),
            ..Config::default()
        };
        let transmitter = NativeSender::new(config, 1, 60 * day);
        assert_eq!(transmitter.totals().interval, u32::MAX);
    }
}
