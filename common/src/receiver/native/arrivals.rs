//! The log of arrivals for a sender that adapts its rate.

use std::collections::VecDeque;
use std::time::Duration;

use crate::seq::PacketNumber;
use crate::wire::native::{ArrivalReport, Arrived, Channel};

/// Upper bound on unreported packets. Packets beyond it are never reported.
const MAX_UNREPORTED: usize = 4_096;

/// The shortest time between reports, whatever the sender asks for.
const SOONEST: Duration = Duration::from_millis(10);

/// How long a report waits for more packets after the first, unless a frame was complete.
const GATHER: Duration = Duration::from_millis(2);

/// Reports take at most one byte for this many received bytes, but one report per interval is
/// always allowed.
const SHARE: u64 = 20;
const LATEST: Duration = Duration::from_millis(100);

/// Arrivals that are not reported yet.
#[derive(Debug, Default)]
pub(super) struct ArrivalLog {
    /// How often the sender wants reports, if at all.
    every: Option<Duration>,
    packets: VecDeque<Arrived>,
    /// When the first of them arrived.
    first: Duration,
    /// Whether a frame was complete since then.
    is_gathered: bool,
    /// Bytes received since the last report.
    bytes: u64,
    reported: Duration,
}

impl ArrivalLog {
    /// Sets how often the sender wants reports, in microseconds; 0 is never.
    pub(super) fn set_every(&mut self, micros: u32) {
        let every = Duration::from_micros(micros.into()).max(SOONEST);
        self.every = (micros > 0).then_some(every);
    }

    /// Records a new packet of this many bytes.
    pub(super) fn record(
        &mut self,
        channel: Channel,
        number: PacketNumber,
        len: usize,
        now: Duration,
    ) {
        if self.every.is_none()
            || channel == Channel::Control
            || self.packets.len() >= MAX_UNREPORTED
        {
            return;
        }
        if self.packets.is_empty() {
            (self.first, self.is_gathered) = (now, false);
        }
        self.bytes += len as u64;
        self.packets.push_back(Arrived {
            is_repair: channel == Channel::Repair,
            number: number.0 as u32,
            at: now.as_micros() as u64,
        });
    }

    /// Records that a frame is complete: no more packets follow at once, and one wake-up passes on
    /// the frame and the report.
    pub(super) fn record_complete(&mut self) {
        self.is_gathered = true;
    }

    /// When the next report is due.
    pub(super) fn due(&self) -> Option<Duration> {
        let every = self.every.filter(|_| !self.packets.is_empty())?;
        let cost = ArrivalReport::datagram_len(self.packets.len()) as u64;
        let every = if self.bytes >= cost * SHARE {
            every
        } else {
            every.max(LATEST)
        };
        let gathers = if self.is_gathered {
            Duration::ZERO
        } else {
            GATHER
        };
        Some((self.reported + every).max(self.first + gathers))
    }

    /// Removes the packets for a report of at most this many bytes, and returns them.
    pub(super) fn take(&mut self, datagram: usize, now: Duration) -> Vec<Arrived> {
        let fitting = ArrivalReport::fitting(&self.packets, datagram);
        let packets = self.packets.drain(..fitting).collect();
        if self.packets.is_empty() {
            (self.reported, self.bytes) = (now, 0);
        }
        packets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn reports_when_the_sender_wants_it_and_enough_arrived_to_pay_for_it() {
        let mut log = ArrivalLog::default();
        let record = |log: &mut ArrivalLog, number, len, now| {
            log.record(Channel::Media, PacketNumber(number), len, now);
        };
        record(&mut log, 0, 1_400, MS);
        assert_eq!(log.due(), None);
        log.set_every(20_000);
        for number in 1..4 {
            record(&mut log, number, 1_400, 200 * MS);
        }
        log.record(Channel::Control, PacketNumber(7), 100, 200 * MS);
        assert_eq!(log.due(), Some(202 * MS));
        assert_eq!(log.take(1_452, 202 * MS).len(), 3);
        assert_eq!(log.due(), None);
        record(&mut log, 4, 100, 203 * MS);
        assert_eq!(log.due(), Some(302 * MS));
        record(&mut log, 5, 1_400, 204 * MS);
        assert_eq!(log.due(), Some(222 * MS));
        log.record_complete();
        assert_eq!(log.due(), Some(222 * MS), "it may not be sooner");
        // It keeps no more than its bound, and returns no more than one report holds.
        (6..10_000).for_each(|number| record(&mut log, number, 1_400, 205 * MS));
        let mut all = 0;
        while log.due().is_some_and(|due| due <= 222 * MS) {
            let packets = log.take(1_452, 222 * MS);
            assert!(ArrivalReport::datagram_len(packets.len()) <= 1_452);
            all += packets.len();
        }
        assert_eq!(all, MAX_UNREPORTED);
        record(&mut log, 20_000, 1_400, 300 * MS);
        assert_eq!(log.due(), Some(302 * MS));
        log.record_complete();
        assert_eq!(log.due(), Some(300 * MS));
        log.take(1_452, 300 * MS);
        record(&mut log, 20_001, 1_400, 400 * MS);
        assert_eq!(log.due(), Some(402 * MS));
    }
}
