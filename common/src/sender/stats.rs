//! The counts of a stream: in sender reports for viewers, as statistics for the user.

use std::time::Duration;

use super::acceptor::Acceptor;
use super::destination::DestinationState;
use super::feedback::short_micros;
use super::{Protocol, Rate, Sender};
use crate::seq::PacketNumber;
use crate::stats::{self, Outcome, PathFigures, Side, Statistics, ViewerFigures};
use crate::wire::native::{Channel, Packet, SenderReport, micros};
use crate::wire::rtp;

/// Interval of arrival reports for a single viewer.
const ARRIVALS_EVERY: Duration = Duration::from_millis(20);

/// Bytes handed out so far, whether the system accepted them or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    /// UDP payload to the destination that got the most.
    pub sent: u64,
    /// JPEGs.
    pub jpeg: u64,
}

/// Counts that belong to no destination.
#[derive(Debug, Default)]
pub(super) struct Counts {
    captured: u64,
    replaced: u64,
    pub(super) not_sent: u64,
    sent: u64,
    jpeg_bytes: u64,
    quality: Option<u8>,
    /// When the first frame was handed in, and the last.
    pub(super) frames_at: Option<(Duration, Duration)>,
    pub(super) malformed: u64,
    /// RTCP packets that the system rejected.
    control_errors: u64,
}

impl Counts {
    /// Records that a frame is sent.
    pub(super) fn record_frame(&mut self, bytes: usize, quality: Option<u8>, now: Duration) {
        self.sent += 1;
        self.captured = self.captured.max(self.sent);
        self.jpeg_bytes += bytes as u64;
        self.quality = quality;
        let first = self.frames_at.map_or(now, |(first, _)| first);
        self.frames_at = Some((first, now));
    }
}

impl Sender {
    /// Sets the number of frames that the source has delivered so far.
    pub fn handle_captured(&mut self, total: u64) {
        self.counts.captured = self.counts.captured.max(total);
    }

    /// Counts frames that a newer one replaced before they were encoded.
    pub fn handle_replaced(&mut self, frames: u64) {
        self.counts.replaced += frames;
    }

    /// Counts frames that could not be encoded.
    pub fn handle_not_sent(&mut self, frames: u64) {
        self.counts.not_sent += frames;
    }

    /// Records datagrams, each but the last of `segment` bytes, that were polled for a destination
    /// and rejected by the local system.
    pub fn handle_send_error(&mut self, destination: usize, datagrams: &[u8], segment: usize) {
        let native = matches!(self.protocol, Protocol::Native(_));
        for datagram in datagrams.chunks(segment.max(1)) {
            let bytes = datagram.len() as u64;
            let to = self.destinations.get_mut(destination);
            if !native {
                match to.filter(|_| !rtp::is_control(datagram)) {
                    Some(to) => to.record_error(None, bytes),
                    None => self.counts.control_errors += 1,
                }
                continue;
            }
            let (Some(to), Ok((header, packet))) = (to, Packet::decode(datagram)) else {
                continue;
            };
            let next = PacketNumber(to.numbers()[header.channel as usize]);
            let number = header.number.extend(next);
            let media = (header.channel == Channel::Media).then_some(number);
            to.record_error(media, bytes);
            if let Packet::Chunk(chunk) | Packet::Retransmission(chunk) = packet {
                let frame = match &self.protocol {
                    Protocol::Native(native) => native.original(destination, chunk.frame),
                    Protocol::Rtp(_) | Protocol::Raw => chunk.frame,
                };
                self.unsent.record_refused(frame);
            }
        }
    }

    /// Bytes handed out so far.
    pub fn volume(&self) -> Volume {
        let handed_out = self.destinations.iter().map(DestinationState::handed_out);
        Volume {
            sent: handed_out.max().unwrap_or(0),
            jpeg: self.counts.jpeg_bytes,
        }
    }

    /// The counts so far.
    pub fn statistics(&self, now: Duration) -> Statistics {
        let counts = &self.counts;
        let (first, last) = counts.frames_at.unwrap_or((now, now));
        let duration = last.saturating_sub(first).as_secs_f64();
        let total =
            |of: fn(&DestinationState) -> u64| self.destinations.iter().map(of).sum::<u64>();
        let bytes = total(DestinationState::bytes);
        let unsent = self.unsent.count().min(counts.sent);
        let (sent, not_sent) = (counts.sent - unsent, counts.not_sent + unsent);
        let mut statistics = Statistics {
            stream: stats::Stream {
                side: Side::Sender,
                number: Some(format!("{:016x}", self.stream)),
                wire: Some(self.config.format.name()),
                quality: counts.quality,
                ended: self.finishing,
                ..stats::Stream::default()
            },
            duration_s: duration,
            fps: stats::fps(sent, duration),
            bitrate_bps: (duration > 0.0).then(|| bytes as f64 * 8.0 / duration),
            ..Statistics::default()
        };
        statistics.frames.captured = Some(counts.captured);
        statistics.outcomes[Outcome::Replaced] = Some(counts.replaced);
        statistics.frames.not_sent = Some(not_sent);
        statistics.frames.sent = Some(sent);
        statistics.packets.sent = Some(total(DestinationState::packets));
        let errors = total(DestinationState::send_errors) + counts.control_errors;
        statistics.packets.send_errors = Some(errors);
        statistics.packets.malformed = Some(counts.malformed);
        statistics.bytes.sent = Some(bytes);
        statistics.bytes.jpeg = Some(counts.jpeg_bytes);
        statistics.admission = self.acceptor.as_ref().map(Acceptor::counts);
        self.latency.fill(&mut statistics.delays_ms);
        if let Protocol::Rtp(rtp) = &self.protocol {
            rtp.fill(&mut statistics);
        }
        let mut peers = self.destinations.iter().flat_map(|to| to.feedback.peers());
        if let (Some(peer), None) = (peers.next(), peers.next()) {
            peer.fill(&mut statistics);
        }
        let viewers = self.destinations.iter().flat_map(|to| {
            let figures = to.feedback.figures(now);
            figures.map(|figures| ViewerFigures {
                destination: to.index(),
                ..figures
            })
        });
        statistics.viewers = viewers.collect();
        statistics.paths = self.path_figures(now);
        statistics.path_mtu = self.path_mtu_figures();
        statistics
    }

    /// What is known of the paths to the destinations whose rates are adapted.
    pub fn path_figures(&self, now: Duration) -> Vec<PathFigures> {
        let open = self.destinations.iter().filter(|to| to.is_open());
        let figures = open.filter_map(|to| {
            let path = to.path.as_ref()?;
            Some(PathFigures {
                destination: to.index(),
                frames_left_out: match &self.protocol {
                    Protocol::Native(native) => native.left_out(to.index().into()),
                    Protocol::Rtp(_) | Protocol::Raw => 0,
                },
                frames_second_encoding: self.second.sent(to.index().into()),
                frame_interval_ms: self.interval_to(to.index().into()),
                ..path.figures(to.feedback.heard(now).map(|heard| heard.rtt), now)
            })
        });
        figures.collect()
    }

    /// Milliseconds from frame to frame of those sent to a destination.
    fn interval_to(&self, destination: usize) -> Option<f64> {
        let interval = self
            .config
            .interval
            .filter(|interval| !interval.is_zero())?;
        let interval = match &self.protocol {
            Protocol::Native(native) => native.interval(destination, interval),
            Protocol::Rtp(_) | Protocol::Raw => interval,
        };
        Some(interval.as_secs_f64() * 1e3)
    }

    /// The number of served viewers that connected.
    pub fn admitted(&self) -> usize {
        self.acceptor.as_ref().map_or(0, Acceptor::served)
    }

    /// The largest number of viewers of one destination.
    fn most_viewers(&self) -> u32 {
        let viewers = self
            .destinations
            .iter()
            .map(|to| to.feedback.peers().count());
        viewers.max().unwrap_or(0).max(1) as u32
    }

    /// The sender report to a destination, without what only the destination knows.
    pub(super) fn report_to(&self, destination: usize) -> SenderReport {
        match &self.protocol {
            Protocol::Native(native) => native.fill_report(destination, self.report()),
            Protocol::Rtp(_) | Protocol::Raw => self.report(),
        }
    }

    /// The part of the sender report that is the same for all destinations.
    fn report(&self) -> SenderReport {
        let mut report = SenderReport {
            frames_captured: self.counts.captured,
            frames_replaced: self.counts.replaced,
            frames_not_sent: self.counts.not_sent,
            frames_sent: self.next_frame.0,
            jpeg_bytes: self.counts.jpeg_bytes,
            started: micros(self.started),
            id: self.id,
            clock_id: self.config.clock_id.unwrap_or(0),
            interval: self.config.interval.map_or(0, short_micros),
            kept: short_micros(self.plan.keep),
            arrivals_every: match self.config.rate {
                Rate::Fixed => 0,
                // Many viewers of one address share the feedback rate.
                Rate::Auto { .. } => short_micros(ARRIVALS_EVERY * self.most_viewers()),
            },
            ..SenderReport::default()
        };
        self.latency.fill_report(&mut report);
        report
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sender::Config;

    #[test]
    fn a_report_carries_a_long_interval_as_long() {
        let day = Duration::from_secs(86_400);
        let config = Config {
            interval: Some(day),
            ..Config::default()
        };
        let sender = Sender::new(config, 1, 60 * day);
        assert_eq!(sender.report().interval, u32::MAX);
    }
}
