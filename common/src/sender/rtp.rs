//! Numbering, timestamps and reports of a stream of JPEG in RTP.

use std::time::Duration;

use bytes::Bytes;

use crate::stats::Statistics;
use crate::wire::rtp::{
    self, Block, CLOCK, Control, HEADER, RtpPacket, SenderInfo, encode_bye, encode_sender,
};
use crate::wire::rtp_jpeg::{Picture, Unsuitable};

/// Interval of reports (<https://www.rfc-editor.org/rfc/rfc3550#section-6.2>), before
/// randomization.
const REPORT_EVERY: Duration = Duration::from_secs(5);

/// How often the bye is sent, since any may be lost, and the interval.
const BYES: u32 = 3;
const BYE_EVERY: Duration = Duration::from_millis(20);

/// Upper bound on receivers whose reports are kept.
const MAX_RECEIVERS: usize = 64;

/// Seconds from 1900, where RTP's wall clock begins, to 1970.
const EPOCH: u64 = 2_208_988_800;

/// The sending side of one stream.
#[derive(Debug)]
pub(super) struct RtpSender {
    source: u32,
    name: String,
    sequence: u16,
    /// The monotonic clock's zero, in ticks.
    zero: u32,
    wall_offset: Duration,
    packets: u32,
    octets: u32,
    due: Option<Duration>,
    /// The destination of the next report; 0 if no round of reports is in progress.
    next: usize,
    byes: u32,
    random: fastrand::Rng,
    /// The newest report of each receiver.
    receivers: Vec<(u32, Block)>,
}

impl RtpSender {
    pub(super) fn new(stream: u64, wall_offset: Duration, now: Duration) -> Self {
        // https://www.rfc-editor.org/rfc/rfc3550#section-5.1: all of these start at random.
        let mut random = fastrand::Rng::with_seed(stream);
        Self {
            source: stream as u32,
            name: lasting_name(stream),
            // Receivers of SRTP that miss the first packets count the rounds of longer
            // numbers otherwise than their sender.
            sequence: random.u16(..1 << 15),
            zero: random.u32(..),
            wall_offset,
            packets: 0,
            octets: 0,
            due: Some(now),
            next: 0,
            byes: 0,
            random,
            receivers: Vec::new(),
        }
    }

    /// The datagrams of a frame, none longer than `datagram`.
    pub(super) fn datagrams(
        &mut self,
        jpeg: &[u8],
        captured: Duration,
        datagram: usize,
    ) -> Result<Vec<Bytes>, Unsuitable> {
        let picture = Picture::of(jpeg)?;
        let timestamp = self.timestamp(captured);
        let cuts = picture.cut(datagram - HEADER);
        let mut datagrams = Vec::with_capacity(cuts.len());
        let mut payload = Vec::with_capacity(datagram);
        for (index, cut) in cuts.iter().enumerate() {
            payload.clear();
            picture.fragment(jpeg, cut).encode(&mut payload);
            let packet = RtpPacket {
                sequence: self.sequence,
                timestamp,
                source: self.source,
                marker: index + 1 == cuts.len(),
                payload_type: rtp::JPEG,
                payload: &payload,
            };
            let mut bytes = Vec::with_capacity(HEADER + payload.len());
            packet.encode(&mut bytes);
            datagrams.push(bytes.into());
            self.sequence = self.sequence.wrapping_add(1);
            self.packets = self.packets.wrapping_add(1);
            self.octets = self.octets.wrapping_add(payload.len() as u32);
        }
        Ok(datagrams)
    }

    /// Handles a datagram from a receiver. Returns whether it is RTCP.
    pub(super) fn handle_control(&mut self, datagram: &[u8]) -> bool {
        let Ok(controls) = Control::decode(datagram) else {
            return false;
        };
        for control in controls {
            match control {
                Control::Receiver { source, blocks } => self.record_blocks(source, &blocks),
                Control::Sender(info, blocks) => self.record_blocks(info.source, &blocks),
                Control::Bye { source } => {
                    self.receivers.retain(|(receiver, _)| *receiver != source);
                }
                Control::Name { .. } => {}
            }
        }
        true
    }

    /// Fills `out` with a report for one of this many destinations, if one is due. Returns the
    /// destination.
    pub(super) fn poll_control(
        &mut self,
        now: Duration,
        destinations: usize,
        out: &mut Vec<u8>,
    ) -> Option<usize> {
        self.due.filter(|due| *due <= now)?;
        // There is nothing to report before the first frame.
        if self.packets == 0 || destinations == 0 {
            self.due = (self.byes == 0).then(|| now + BYE_EVERY);
            return None;
        }
        let info = SenderInfo {
            source: self.source,
            ntp: ntp(now + self.wall_offset),
            timestamp: self.timestamp(now),
            packets: self.packets,
            octets: self.octets,
        };
        if self.byes > 0 {
            encode_bye(&info, &self.name, out);
        } else {
            encode_sender(&info, &self.name, out);
        }
        let destination = self.next;
        self.next += 1;
        if self.next >= destinations {
            self.next = 0;
            self.due = match self.byes {
                0 => Some(now + REPORT_EVERY.mul_f64(0.5 + self.random.f64())),
                1 => None,
                _ => Some(now + BYE_EVERY),
            };
            self.byes = self.byes.saturating_sub(1);
        }
        Some(destination)
    }

    /// When [`RtpSender::poll_control`] is next due.
    pub(super) fn due(&self) -> Option<Duration> {
        self.due
    }

    pub(super) fn finish(&mut self, now: Duration) {
        self.byes = BYES;
        self.next = 0;
        self.due = Some(now);
    }

    /// What is known of the stream and, if there is only one, from its receiver.
    pub(super) fn fill(&self, statistics: &mut Statistics) {
        statistics.stream.number = Some(format!("{:016x}", self.source));
        if let [(_, block)] = self.receivers[..] {
            statistics.packets.lost = Some(block.lost.into());
            statistics.jitter_ms = Some(f64::from(block.jitter) * 1000.0 / f64::from(CLOCK));
        }
    }

    fn record_blocks(&mut self, receiver: u32, blocks: &[Block]) {
        let Some(block) = blocks.iter().find(|block| block.source == self.source) else {
            return;
        };
        let room = self.receivers.len() < MAX_RECEIVERS;
        let mut receivers = self.receivers.iter_mut();
        match receivers.find(|(known, _)| *known == receiver) {
            Some((_, newest)) => *newest = *block,
            None if room => self.receivers.push((receiver, *block)),
            None => {}
        }
    }

    fn timestamp(&self, at: Duration) -> u32 {
        let ticks = at.as_nanos() * u128::from(CLOCK) / 1_000_000_000;
        self.zero.wrapping_add(ticks as u32)
    }
}

/// The name of a stream of RTP (CNAME), by its number.
pub fn lasting_name(stream: u64) -> String {
    format!("framegram-send-{stream:016x}")
}

/// Seconds since 1900 in 32.32 bits.
fn ntp(wall: Duration) -> u64 {
    let fraction = (u64::from(wall.subsec_nanos()) << 32) / 1_000_000_000;
    (wall.as_secs() + EPOCH) << 32 | fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_begin_where_receivers_of_srtp_cannot_miss_their_wrap() {
        let first = |stream| RtpSender::new(stream, Duration::ZERO, Duration::ZERO).sequence;
        let first: Vec<_> = (0..1_000).map(first).collect();
        assert!(first.iter().all(|first| *first < 1 << 15));
        assert!(first.iter().any(|first| *first > 1 << 14), "at random");
    }
}
