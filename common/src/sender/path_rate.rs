//! The rate of the path to one destination, from the arrival reports of its viewer.

use std::time::Duration;

use super::plan::Pace;
use crate::rate::{Arrival, RateController};
use crate::seq::extend;
use crate::stats::PathFigures;
use crate::wire::native::{ArrivalReport, Channel};

/// A viewer that is silent for this long is gone: another viewer's reports count.
const SILENCE: Duration = Duration::from_secs(5);

/// Upper bound on the rate without a bit rate limit, in bytes per second: ten gigabits.
pub(super) const MOST: f64 = 1.25e9;

/// What is known of the path to one destination.
#[derive(Debug)]
pub(super) struct PathRate {
    control: RateController,
    first: Option<f64>,
    most: f64,
    /// The viewer whose reports count, and when it last reported.
    viewer: Option<(u64, Duration)>,
    /// Size of its socket buffer in bytes, if known.
    buffer: Option<u32>,
    /// Bytes that may be sent, or that were sent in excess, at that time.
    credit: f64,
    counted: Duration,
    started: Duration,
    /// The frame of the packets that are sent.
    pub(super) train: u64,
    /// Bytes of the newest frame's packets, parity included.
    pub(super) last_frame: usize,
}

impl PathRate {
    /// Starts with an initial rate, if any, in bits per second, within a bit rate limit.
    pub(super) fn new(first: Option<u64>, bitrate: Option<u64>, now: Duration) -> Self {
        let first = first.map(|first| first as f64 / 8.0);
        let most = bitrate.map_or(MOST, |bitrate| bitrate as f64 / 8.0);
        Self {
            control: RateController::new(first, most, now),
            first,
            most,
            viewer: None,
            buffer: None,
            credit: 0.0,
            counted: now,
            started: now,
            train: 0,
            last_frame: 0,
        }
    }

    /// Sets the first rate for viewers to come, in bits per second.
    pub(super) fn set_first(&mut self, first: Option<u64>) {
        self.first = first.map(|first| first as f64 / 8.0);
    }

    /// There is a new viewer.
    pub(super) fn restart(&mut self, now: Duration) {
        self.control = RateController::new(self.first, self.most, now);
        (self.viewer, self.buffer, self.credit) = (None, None, 0.0);
        self.started = now;
    }

    /// Whether the viewer should still be asked for reports. Not for ever, since not every viewer
    /// supports them.
    pub(super) fn asks(&self, now: Duration) -> bool {
        self.viewer.is_none() && now.saturating_sub(self.started) < ASKED
    }

    /// Whether a viewer has reported.
    pub(super) fn is_known(&self) -> bool {
        self.viewer.is_some()
    }

    /// Bytes per second that may be sent, if the path is known to limit them.
    pub(super) fn rate(&self, now: Duration) -> Option<f64> {
        self.viewer.and_then(|_| self.control.rate(now))
    }

    /// Bytes per second at which a frame is sent, and how many of them at once, if known: no more
    /// than half of the viewer's socket buffer.
    pub(super) fn pace(&self, now: Duration) -> Option<Pace> {
        let pace = self.viewer.and_then(|_| self.control.pace(now))?;
        let burst = RateController::burst(pace);
        let buffer = self
            .buffer
            .map_or(f64::MAX, |buffer| f64::from(buffer) / 2.0);
        Some(Pace {
            rate: pace,
            burst: burst.min(buffer),
            carried: self.control.full(now).unwrap_or(f64::INFINITY),
            queue: self.control.queue().unwrap_or_default().as_secs_f64(),
        })
    }

    /// Whether a frame would wait: what was sent in excess of the rate is not compensated yet.
    pub(super) fn is_in_debt(&self, now: Duration) -> bool {
        self.owes_more_than(SLACK, now)
    }

    /// Whether so much more was sent than the path carries that what seems lost still waits in its
    /// queue.
    pub(super) fn is_overrun(&self, now: Duration) -> bool {
        self.owes_more_than(OVERRUN, now)
    }

    /// Whether the excess takes longer than this to pass.
    fn owes_more_than(&self, time: Duration, now: Duration) -> bool {
        self.rate(now).is_some_and(|rate| {
            let since = now.saturating_sub(self.counted);
            self.credit + rate * (since + time).as_secs_f64() < 0.0
        })
    }

    /// What is known of the path.
    pub(super) fn figures(&self, rtt: Option<Duration>, now: Duration) -> PathFigures {
        let bits = |rate: f64| rate * 8.0;
        let millis = |time: Duration| time.as_secs_f64() * 1e3;
        let control = self.viewer.map(|_| &self.control);
        let one_way = rtt.map(|rtt| millis(rtt) / 2.0);
        let least = control.and_then(RateController::least_delay);
        let least = least.map(|micros| micros as f64 / 1e3);
        let offset = least.zip(one_way).map(|(least, one_way)| least - one_way);
        PathFigures {
            rate_bps: self.rate(now).map(bits),
            capacity_bps: control.and_then(RateController::capacity).map(bits),
            queue_ms: control.and_then(RateController::queue).map(millis),
            rtt_ms: control.and_then(RateController::rtt).map(millis),
            clock_offset_ms: offset,
            clock_uncertainty_ms: one_way.filter(|_| offset.is_some()),
            socket_buffer: self.buffer.map(u64::from),
            ..PathFigures::default()
        }
    }

    /// Records a packet of any channel that is sent now.
    pub(super) fn record_sent(
        &mut self,
        channel: Channel,
        number: u64,
        bytes: usize,
        now: Duration,
    ) {
        if channel != Channel::Control {
            self.control
                .handle_sent(channel, number, bytes, self.train, now);
        }
        let rate = self.rate(now).unwrap_or(0.0);
        let earned = rate * now.saturating_sub(self.counted).as_secs_f64();
        // Rate that was not used for long is not made up for.
        let credit = (self.credit + earned).min(rate * IDLE.as_secs_f64()) - bytes as f64;
        // Nor more than a few frames: without packets there would be no report.
        self.credit = credit.max(-rate * DEBT.as_secs_f64());
        self.counted = now;
    }

    /// Evaluates a report of packets below the channels' `next` numbers. Returns whether it is from
    /// the viewer whose reports count.
    pub(super) fn handle_report(
        &mut self,
        report: &ArrivalReport,
        next: [u64; 3],
        now: Duration,
    ) -> bool {
        let present = |(_, heard): &(u64, Duration)| now.saturating_sub(*heard) < SILENCE;
        match self.viewer.filter(present) {
            Some((viewer, _)) if viewer != report.viewer => return false,
            None if self.viewer.is_some() => self.restart(now),
            _ => {}
        }
        self.viewer = Some((report.viewer, now));
        self.buffer = (report.buffer > 0).then_some(report.buffer);
        let arrivals = report.packets.iter().map(|packet| {
            let channel = if packet.is_repair {
                Channel::Repair
            } else {
                Channel::Media
            };
            let number = extend(packet.number.into(), 32, next[channel as usize]);
            Arrival {
                channel,
                number,
                at: packet.at,
            }
        });
        let arrivals: Vec<_> = arrivals.collect();
        let was_open = self.control.is_open();
        self.control.handle_arrivals(&arrivals, now);
        if was_open && !self.control.is_open() {
            // What is on the way was sent as if nothing limited it.
            (self.credit, self.counted) = (-(self.control.backlog() as f64), now);
        }
        true
    }
}

/// How far ahead of the rate packets may be sent.
const SLACK: Duration = Duration::from_millis(20);

/// Where an excess takes longer than this to pass, the path is overrun.
const OVERRUN: Duration = Duration::from_millis(50);

/// The longest time over which an excess is compensated.
const DEBT: Duration = Duration::from_millis(100);

/// How long a viewer is asked for reports.
const ASKED: Duration = Duration::from_secs(5);

/// The longest pause that is made up for by sending more.
const IDLE: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::native::Arrived;

    const MS: Duration = Duration::from_millis(1);
    const NOW: Duration = Duration::from_secs(100);

    fn path() -> PathRate {
        PathRate::new(Some(8_000_000), None, NOW)
    }

    /// A report of the first packets by a viewer.
    fn report(viewer: u64, buffer: u32, packets: u32) -> ArrivalReport {
        let packets = (0..packets).map(|number| Arrived {
            is_repair: false,
            number,
            at: 5_000_000 + u64::from(number) * 1_000,
        });
        ArrivalReport {
            viewer,
            buffer,
            dropped: 0,
            marked: 0,
            packets: packets.collect(),
        }
    }

    #[test]
    fn nothing_is_known_before_a_viewer_reports_and_of_one_viewer_after_it() {
        let mut path = path();
        assert!(path.asks(NOW) && path.rate(NOW).is_none() && path.pace(NOW).is_none());
        assert!(!path.is_in_debt(NOW));
        assert!(!path.asks(NOW + ASKED));
        assert!(path.handle_report(&report(1, 60_000, 0), [0; 3], NOW));
        assert!(!path.asks(NOW));
        assert_eq!(path.rate(NOW), Some(1e6));
        // Another one counts once the first is gone, and begins again.
        assert!(!path.handle_report(&report(2, 10, 0), [0; 3], NOW + MS));
        assert_eq!(path.figures(None, NOW).socket_buffer, Some(60_000));
        assert!(path.handle_report(&report(2, 0, 0), [0; 3], NOW + SILENCE));
        assert_eq!(path.figures(None, NOW + SILENCE).socket_buffer, None);
    }

    #[test]
    fn no_more_leaves_at_once_than_half_of_what_the_viewers_socket_holds() {
        let mut path = path();
        path.handle_report(&report(1, 5_000, 0), [0; 3], NOW);
        let pace = path.pace(NOW).unwrap();
        assert!(pace.burst <= 2_500.0 && pace.rate >= 1e6, "{pace:?}");
        path.handle_report(&report(1, 0, 0), [0; 3], NOW);
        assert!(path.pace(NOW).unwrap().burst > 2_500.0);
    }

    #[test]
    fn what_was_sent_too_much_is_made_up_for_but_no_longer_than_some_frames_take() {
        let mut path = path();
        path.handle_report(&report(1, 0, 0), [0; 3], NOW);
        path.record_sent(Channel::Control, 0, 10_000, NOW);
        assert!(!path.is_in_debt(NOW), "within what may be sent too early");
        path.record_sent(Channel::Control, 1, 1_000_000, NOW);
        assert!(path.is_in_debt(NOW + DEBT - SLACK - MS));
        assert!(!path.is_in_debt(NOW + DEBT));
        // A pause earns no more than a burst.
        let later = NOW + Duration::from_secs(60);
        path.record_sent(Channel::Control, 2, 200_000, later);
        assert!(path.is_in_debt(later));
    }
}
