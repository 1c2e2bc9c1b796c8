//! Converts the kernel's timestamps of datagrams to the monotonic clock. The
//! kernel uses the wall clock, which may be set while datagrams wait.

use std::time::Duration;

use crate::clock;

/// Offset of the wall clock from the monotonic clock, narrowed down by each
/// reading. It changes only when the wall clock is set.
#[derive(Debug)]
pub(super) struct Timestamps {
    ahead: Option<Span>,
    /// The offset before the wall clock was set, as long as datagrams from that
    /// time may wait.
    former: Option<Span>,
    newest: Duration,
}

/// Both clocks, read one after the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    before: Duration,
    calendar: Duration,
    after: Duration,
}

/// Lower and upper bound, in nanoseconds.
type Span = (i128, i128);

impl Timestamps {
    /// Starts now: no datagram arrived earlier.
    pub(super) fn begin() -> Self {
        let mut timestamps = Self::new(clock::now());
        // Several readings, because the thread may be suspended between two
        // clocks.
        for _ in 0..3 {
            timestamps.take_reading(Reading::now());
        }
        timestamps
    }

    /// Starts at `now`: no datagram arrived earlier.
    fn new(now: Duration) -> Self {
        Self {
            ahead: None,
            former: None,
            newest: now,
        }
    }

    /// Arrival time of a datagram with this timestamp, read just now. It is never
    /// in the future, and never before that of the datagram read before.
    pub(super) fn arrival(&mut self, stamp: Option<Duration>, reading: Reading) -> Duration {
        let ahead = self.take_reading(reading);
        let latest = reading.before.max(self.newest);
        let arrival = stamp.map_or(latest, |stamp| {
            let by = |ahead: Span| at(stamp, ahead);
            let possible = |at: &i128| (nanos(self.newest)..=nanos(latest)).contains(at);
            let formerly = self.former.map(by).filter(possible);
            if formerly.is_none() {
                self.former = None;
            }
            let arrival = formerly.unwrap_or_else(|| by(ahead));
            let arrival = u64::try_from(arrival.max(0)).unwrap_or(u64::MAX);
            Duration::from_nanos(arrival).clamp(self.newest, latest)
        });
        self.newest = arrival;
        arrival
    }

    /// Records that no datagram waits. The next ones have timestamps of the
    /// current wall clock.
    pub(super) fn record_empty(&mut self) {
        self.former = None;
    }

    fn take_reading(&mut self, reading: Reading) -> Span {
        let calendar = nanos(reading.calendar);
        let read = (
            calendar - nanos(reading.after),
            calendar - nanos(reading.before),
        );
        let narrowed = self.ahead.map(|(least, most)| {
            let both = (least.max(read.0), most.min(read.1));
            (both.0 <= both.1).then_some(both)
        });
        let ahead = match narrowed {
            Some(Some(both)) => both,
            // The wall clock was set.
            Some(None) => {
                self.former = self.ahead;
                read
            }
            None => read,
        };
        self.ahead = Some(ahead);
        ahead
    }
}

impl Reading {
    /// Reads the clocks.
    pub(super) fn now() -> Self {
        Self {
            before: clock::now(),
            calendar: clock::wall(),
            after: clock::now(),
        }
    }
}

/// Converts a timestamp to the monotonic clock.
fn at(stamp: Duration, (least, most): Span) -> i128 {
    nanos(stamp) - (least + (most - least) / 2)
}

fn nanos(time: Duration) -> i128 {
    i128::try_from(time.as_nanos()).unwrap_or(i128::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine whose wall clock can be set, in virtual time of microseconds.
    struct Machine {
        timestamps: Timestamps,
        ahead: i64,
    }

    impl Machine {
        fn new() -> Self {
            Self {
                timestamps: Timestamps::new(us(0)),
                ahead: 1_000_000_000,
            }
        }

        fn calendar(&self, at: u64) -> Duration {
            us(at.checked_add_signed(self.ahead).unwrap())
        }

        /// Reads a datagram with this timestamp at `now`.
        fn read(&mut self, stamp: Duration, now: u64) -> u64 {
            self.read_slowly(stamp, now, 0)
        }

        /// The same, but the thread is suspended between two clocks.
        fn read_slowly(&mut self, stamp: Duration, now: u64, held_up: u64) -> u64 {
            let reading = Reading {
                before: us(now),
                calendar: self.calendar(now + held_up),
                after: us(now + held_up),
            };
            let arrival = self.timestamps.arrival(Some(stamp), reading);
            arrival.as_micros() as u64
        }
    }

    fn us(micros: u64) -> Duration {
        Duration::from_micros(micros)
    }

    #[test]
    fn a_delayed_datagram_has_its_timestamp_as_arrival() {
        let mut machine = Machine::new();
        let stamp = machine.calendar(1_000);
        assert_eq!(machine.read(stamp, 900_000), 1_000);
        let stamp = machine.calendar(2_000);
        assert_eq!(machine.read_slowly(stamp, 900_100, 50_000), 2_000);
    }

    #[test]
    fn setting_the_realtime_clock_does_not_change_arrival_times() {
        for by in [-3_600_000_000_i64, -5_000_000, 5_000_000, 3_600_000_000] {
            let mut machine = Machine::new();
            machine.ahead = 7_200_000_000;
            let stamp = machine.calendar(1_000);
            assert_eq!(machine.read(stamp, 1_010), 1_000);
            let waiting = [2_000, 3_000, 4_000].map(|at| (at, machine.calendar(at)));
            machine.ahead += by;
            let after = [6_000, 7_000].map(|at| (at, machine.calendar(at)));
            for (at, stamp) in waiting.into_iter().chain(after) {
                assert_eq!(machine.read(stamp, 10_000), at, "set by {by}");
            }
            machine.timestamps.record_empty();
            let stamp = machine.calendar(11_000);
            assert_eq!(machine.read(stamp, 12_000), 11_000);
        }
    }

    #[test]
    fn no_arrival_is_in_the_future_or_before_the_last() {
        let mut machine = Machine::new();
        let (early, late) = (machine.calendar(5_000), machine.calendar(1_000));
        assert_eq!(machine.read(early, 6_000), 5_000);
        assert_eq!(machine.read(late, 6_500), 5_000);
        let future = machine.calendar(9_000);
        assert_eq!(machine.read(future, 7_000), 7_000);
        assert_eq!(machine.read(us(0), 8_000), 7_000);
        assert_eq!(machine.read(us(u64::MAX), 8_500), 8_500);
    }
}
