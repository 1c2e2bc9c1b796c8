//! What a native session counts and measures.

use std::time::Duration;

use super::clock::Estimate;
use super::{LatencyBreakdown, NativeSession};
use crate::stats::{self, DelayHistogram, Outlook, PathFigures, Statistics};
use crate::time::SenderTime;
use crate::wire::Format;

impl NativeSession {
    /// The counts. Delays include those of the streams followed `earlier`.
    pub(in crate::receiver) fn statistics(&self, earlier: &LatencyBreakdown) -> Statistics {
        let mut latency = self.latency();
        latency.add(earlier);
        let mut statistics = self.counters.statistics(&self.outlook());
        let add = |count: &mut Option<u64>| *count = count.map(|n| n.wrapping_add(self.passed));
        add(&mut statistics.frames.sent);
        add(&mut statistics.frames.captured);
        add(&mut statistics.outcomes[stats::Outcome::BeforeJoining]);
        statistics.stream = stats::Stream {
            number: Some(format!("{:016x}", self.number)),
            addresses: vec![self.from().to_string()],
            wire: Some(Format::Native.name()),
            longest_datagram: Some(self.longest.ever()),
            width: self.size.map(|(width, _)| width.into()),
            height: self.size.map(|(_, height)| height.into()),
            quality: self.quality,
            shared_clock: self.shared_clock,
            ended: self.has_said_bye(),
            ..stats::Stream::default()
        };
        statistics.delays_ms = latency.delays(self.counters.totals());
        statistics.clock = self.clock();
        let latency = statistics.delays_ms.capture_to_shown;
        statistics.latency_ms = latency.filter(|_| self.shared_clock);
        let millis = |time: Duration| time.as_secs_f64() * 1e3;
        statistics.paths = vec![PathFigures {
            destination: self.destination,
            queue_ms: Some(millis(self.delay.queueing())),
            rtt_ms: self.nack.rtt().map(millis),
            frame_interval_ms: self.interval().map(millis),
            socket_buffer: Some(self.config.socket_buffer as u64).filter(|bytes| *bytes > 0),
            ..PathFigures::default()
        }];
        statistics
    }

    /// The latency breakdown of its frames, by what is known of the clock now.
    pub(in crate::receiver) fn latency(&self) -> LatencyBreakdown {
        let mut latency = self.latency.clone();
        let offset = self.offset(self.newest_sent);
        let open = self.counters.frames.open();
        open.for_each(|record| latency.record_frame(record, offset));
        latency
    }

    /// The delays of its frames from capture to shown, by what is known of the clock now.
    pub(super) fn capture_to_shown(&self) -> DelayHistogram {
        let offset = self.offset(self.newest_sent);
        let open = self.counters.frames.open();
        self.latency.capture_to_shown(open, offset)
    }

    /// Which frames are still open.
    pub(super) fn outlook(&self) -> Outlook {
        Outlook {
            // Frames of a stream that is not followed are not waited for.
            awaited: self.deadlines.first().filter(|_| self.since.is_some()),
            offset_micros: self.offset(self.newest_sent),
            bye: self.has_said_bye(),
        }
    }

    /// The offset from a sender's time, in microseconds.
    pub(super) fn offset(&self, time: SenderTime) -> Option<i64> {
        if self.shared_clock {
            return Some(0);
        }
        self.clock.at(time).map(|estimate| estimate.offset)
    }

    /// What is known of the sender's clock.
    fn clock(&self) -> Option<stats::ClockOffset> {
        if self.shared_clock {
            return Some(stats::ClockOffset {
                shared: true,
                ..stats::ClockOffset::default()
            });
        }
        let Estimate {
            offset,
            uncertainty,
            drift,
            drift_uncertainty,
        } = self.clock.at(self.newest_sent)?;
        Some(stats::ClockOffset {
            shared: false,
            cloned: self.cloned,
            offset_ms: offset.wrapping_sub(self.epoch as i64) as f64 / 1e3,
            drift_ppm: drift * 1e6,
            drift_uncertainty_ppm: drift_uncertainty * 1e6,
            uncertainty_ms: uncertainty / 1e3,
        })
    }
}
