//! Programs that wait for the processor: what is due is done slightly later.

use std::ops::Range;
use std::time::Duration;

use fastrand::Rng;

/// How long each program waits for the processor.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Waiting {
    /// The sender.
    pub sender: Waits,
    /// The path, as simulated by a relay.
    pub path: Waits,
    /// The viewer.
    pub viewer: Waits,
}

impl Waiting {
    /// Measured with sender, relay and viewer at normal priority, 1080p at 30
    /// frames per second, on two busy cores. Sender: from the arrival of a NACK
    /// to the departure of the answer. Relay: from when a datagram is due until
    /// it leaves. Viewer: from the event that a NACK reports to its departure.
    pub const MEASURED: Self = Self {
        sender: Waits(&[
            (0.5, Duration::from_micros(110)),
            (0.9, Duration::from_micros(1_500)),
            (0.99, Duration::from_micros(5_500)),
            (0.999, Duration::from_micros(8_500)),
            (1.0, Duration::from_micros(12_000)),
        ]),
        path: Waits(&[
            (0.5, Duration::from_micros(140)),
            (0.9, Duration::from_micros(390)),
            (0.99, Duration::from_micros(3_200)),
            (0.999, Duration::from_micros(16_000)),
            (1.0, Duration::from_micros(20_000)),
        ]),
        viewer: Waits(&[
            (0.5, Duration::from_micros(60)),
            (0.9, Duration::from_micros(1_200)),
            (0.99, Duration::from_micros(5_000)),
            (0.999, Duration::from_micros(15_000)),
            (1.0, Duration::from_micros(24_000)),
        ]),
    };
}

impl Waiting {
    /// Share of the cases in which two rounds of NACK and answer fit a time, by a
    /// simulation with a seed. Each round takes an RTT, and a turn of the viewer,
    /// the sender and, in either direction, the path.
    pub fn two_rounds_in(self, time: Duration, rtt: Duration) -> f64 {
        let mut rng = Rng::with_seed(0);
        let turns = [self.viewer, self.path, self.sender, self.path];
        let fits = (0..DRAWS).filter(|_| {
            let waits = turns.iter().chain(&turns).map(|waits| waits.draw(&mut rng));
            waits.sum::<Duration>() + rtt * 2 <= time
        });
        fits.count() as f64 / f64::from(DRAWS)
    }
}

/// Draws of a simulation: its error is below 0.2 %.
const DRAWS: u32 = 100_000;

/// Distribution of the wait of a program that has something to do: quantiles in
/// ascending order, interpolated linearly.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Waits(pub &'static [(f64, Duration)]);

impl Waits {
    /// Whether it never waits.
    pub(super) fn is_none(self) -> bool {
        self.0.is_empty()
    }

    fn draw(self, rng: &mut Rng) -> Duration {
        let share = rng.f64();
        let above = self.0.partition_point(|(upto, _)| *upto < share);
        let Some((upto, most)) = self.0.get(above).or(self.0.last()) else {
            return Duration::ZERO;
        };
        let (from, least) = match above.checked_sub(1) {
            Some(below) => self.0[below],
            None => (0.0, Duration::ZERO),
        };
        let part = (share - from) / (upto - from).max(f64::EPSILON);
        least + (*most - least).mul_f64(part.clamp(0.0, 1.0))
    }
}

/// The turns of one program.
#[derive(Debug)]
pub(super) struct Turns {
    waits: Waits,
    /// Periods in which it has no turn.
    stops: Vec<Range<Duration>>,
    rng: Rng,
    /// When its next turn is, if it has something to do.
    next: Option<Duration>,
}

impl Turns {
    pub(super) fn new(waits: Waits, seed: u64) -> Self {
        Self {
            waits,
            stops: Vec::new(),
            rng: Rng::with_seed(seed),
            next: None,
        }
    }

    /// The same without turns in these periods.
    pub(super) fn with_stops(self, stops: Vec<Range<Duration>>) -> Self {
        Self { stops, ..self }
    }

    /// The end of the period without turns that `at` is in.
    fn stopped_until(&self, at: Duration) -> Option<Duration> {
        let stop = self.stops.iter().find(|stop| stop.contains(&at))?;
        Some(stop.end)
    }

    /// Whether it is the program's turn at `now`; it has had something to do
    /// since `due`. A program that never waits always has its turn.
    pub(super) fn takes(&mut self, due: Option<Duration>, now: Duration) -> bool {
        if self.stopped_until(now).is_some() {
            return false;
        }
        if self.waits.is_none() {
            return true;
        }
        if self.next.is_none() && due.is_some_and(|due| due <= now) {
            self.next = Some(now + self.waits.draw(&mut self.rng));
        }
        let takes = self.next.is_some_and(|next| next <= now);
        if takes {
            self.next = None;
        }
        takes
    }

    /// When the program acts next, if it has something to do at `due`.
    pub(super) fn next(&self, due: Option<Duration>, now: Duration) -> Option<Duration> {
        let next = self.next.or(due)?.max(now);
        Some(self.stopped_until(next).unwrap_or(next))
    }
}
