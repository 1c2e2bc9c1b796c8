//! Receiver reports (<https://www.rfc-editor.org/rfc/rfc3550#section-6.4>).

use std::net::SocketAddr;
use std::time::Duration;

use super::numbering::Numbering;
use crate::stats::SequenceTracker;
use crate::wire::rtp::{Block, CLOCK, SenderInfo, encode_receiver};

/// The least time between reports, if the stream's bit rate allows the reduced minimum
/// (<https://www.rfc-editor.org/rfc/rfc3550#section-6.2>).
const LEAST: Duration = Duration::from_secs(1);

/// The time between reports otherwise.
const USUAL: Duration = Duration::from_secs(5);

/// The reception of a stream, for a report.
#[derive(Debug)]
pub(super) struct Reception<'a> {
    pub(super) source: u32,
    pub(super) numbers: &'a SequenceTracker,
    pub(super) numbering: &'a Numbering,
    /// In microseconds.
    pub(super) jitter: f64,
    /// In bits per second, if known.
    pub(super) bitrate: Option<f64>,
}

/// Reports to the sender of one stream.
#[derive(Debug)]
pub(super) struct Reports {
    source: u32,
    name: String,
    /// Where the sender's own reports come from, and ours go to.
    to: Option<SocketAddr>,
    /// The middle bits of the newest report's wall clock, and when it arrived.
    newest: Option<(u32, Duration)>,
    due: Duration,
    /// Packets expected and received at the previous report.
    before: (u64, u64),
    random: fastrand::Rng,
}

impl Reports {
    pub(super) fn new(viewer: u64, now: Duration) -> Self {
        Self {
            source: viewer as u32,
            name: format!("framegram-view-{viewer:016x}"),
            to: None,
            newest: None,
            due: now,
            before: (0, 0),
            random: fastrand::Rng::with_seed(viewer),
        }
    }

    pub(super) fn handle_sender(&mut self, info: &SenderInfo, from: SocketAddr, now: Duration) {
        self.to = Some(from);
        self.newest = Some(((info.ntp >> 16) as u32, now));
    }

    /// Sends no more reports until the sender reports again.
    pub(super) fn stop(&mut self) {
        self.to = None;
    }

    /// When the next report is due; `None` before the sender has sent one.
    pub(super) fn due(&self) -> Option<Duration> {
        self.to.map(|_| self.due)
    }

    /// Appends a report to `out` if one is due. Returns its destination.
    pub(super) fn poll(
        &mut self,
        reception: &Reception<'_>,
        now: Duration,
        out: &mut Vec<u8>,
    ) -> Option<SocketAddr> {
        let to = self.to.filter(|_| now >= self.due)?;
        let numbers = reception.numbers;
        let least = reception.bitrate.map_or(USUAL, |rate| {
            Duration::from_secs_f64((360_000.0 / rate.max(1.0)).min(USUAL.as_secs_f64()))
        });
        // Randomized, so that many receivers do not report at once.
        self.due = now + least.max(LEAST).mul_f64(0.5 + self.random.f64());

        let expected = numbers.next() - numbers.first().unwrap_or(0);
        let received = numbers.received();
        let (more_expected, more_received) = (expected - self.before.0, received - self.before.1);
        self.before = (expected, received);
        let lost = more_expected.saturating_sub(more_received);
        // In 16.16 seconds. A report more than 18 hours old has the largest value, so that it does
        // not wrap to a new one.
        let delay = |came: Duration| {
            let ticks = now.saturating_sub(came).as_micros() * 65_536 / 1_000_000;
            u32::try_from(ticks).unwrap_or(u32::MAX)
        };
        let block = Block {
            source: reception.source,
            fraction_lost: (lost * 256)
                .checked_div(more_expected)
                .unwrap_or(0)
                .min(255) as u8,
            lost: u32::try_from(expected.saturating_sub(received)).unwrap_or(u32::MAX),
            highest: reception
                .numbering
                .on_the_wire(numbers.next().saturating_sub(1)),
            jitter: (reception.jitter * f64::from(CLOCK) / 1e6) as u32,
            last_report: self.newest.map_or(0, |(middle, _)| middle),
            delay: self.newest.map_or(0, |(_, came)| delay(came)),
        };
        encode_receiver(self.source, &[block], &self.name, out);
        Some(to)
    }
}

#[cfg(test)]
mod tests {
    use super::super::numbering::RtpPace;
    use super::*;
    use crate::wire::rtp::Control;

    #[test]
    fn a_report_of_days_ago_does_not_look_new() {
        let from = SocketAddr::from(([192, 0, 2, 1], 5_005));
        let mut reports = Reports::new(1, Duration::ZERO);
        let info = SenderInfo {
            source: 2,
            ntp: 3 << 32,
            timestamp: 4,
            packets: 5,
            octets: 6,
        };
        reports.handle_sender(&info, from, Duration::ZERO);
        let (mut numbers, mut numbering) = (SequenceTracker::default(), Numbering::default());
        let pace = RtpPace {
            interval: LEAST,
            quiet: LEAST,
        };
        let first = numbering.extend(1, 1, numbers.next(), pace, Duration::ZERO);
        let first = first.unwrap();
        numbers.insert(first.number);
        let mut out = Vec::new();
        let now = Duration::from_secs(60 * 86_400);
        let reception = Reception {
            source: 2,
            numbers: &numbers,
            numbering: &numbering,
            jitter: 0.0,
            bitrate: None,
        };
        let to = reports.poll(&reception, now, &mut out);
        assert_eq!(to, Some(from));
        let Control::Receiver { blocks, .. } = &Control::decode(&out).unwrap()[0] else {
            panic!("no receiver report");
        };
        assert_eq!(blocks[0].delay, u32::MAX);
    }
}
