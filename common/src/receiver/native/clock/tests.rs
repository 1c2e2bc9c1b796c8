use fastrand::Rng;

use super::*;

/// Two clocks and the path between them, in virtual microseconds.
struct World {
    rng: Rng,
    /// What the sender's clock and the viewer's show at 0.
    start: [f64; 2],
    /// How much each of them runs too fast.
    fast: [f64; 2],
    /// The least delay from viewer to sender, and back.
    delay: [f64; 2],
    /// The largest jitter added to either.
    jitter: f64,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let mut up_to = |most: f64| rng.f64() * most;
        let start = [up_to(1e12), up_to(1e12)];
        // Drifts of up to 200 ppm in either direction, relative to each other.
        let fast = [up_to(200e-6) - 100e-6, up_to(200e-6) - 100e-6];
        // From a cable to a satellite, often with one direction much slower than the other.
        let scale = 10_f64.powf(up_to(3.5));
        let delay = [20.0 + up_to(scale * 100.0), 20.0 + up_to(scale * 100.0)];
        let jitter = up_to(scale * 50.0);
        Self {
            rng,
            start,
            fast,
            delay,
            jitter,
        }
    }

    fn sender(&self, time: f64) -> SenderTime {
        SenderTime::from_micros((self.start[0] + time * (1.0 + self.fast[0])) as u64)
    }

    fn viewer(&self, time: f64) -> Duration {
        Duration::from_micros((self.start[1] + time * (1.0 + self.fast[1])) as u64)
    }

    /// The true offset at the sender's time `time`.
    fn truth(&self, time: f64) -> f64 {
        self.start[1] - self.start[0] + time * (self.fast[1] - self.fast[0])
    }

    fn travel(&mut self, way: usize) -> f64 {
        self.delay[way] + self.rng.f64().powi(3) * self.jitter
    }

    /// An exchange that begins at `time`, and when it ends.
    fn exchange(&mut self, time: f64) -> (Exchange, f64) {
        let received = time + self.travel(0);
        let sent = received + self.rng.f64() * 2_000.0;
        let back = sent + self.travel(1);
        let exchange = Exchange {
            report_sent: self.viewer(time),
            report_received: self.sender(received),
            reply_sent: self.sender(sent),
            reply_received: self.viewer(back),
        };
        (exchange, back)
    }

    fn round_trip(&self) -> f64 {
        self.delay[0] + self.delay[1]
    }

    /// The estimate, which must cover the truth.
    fn check(&self, clock: &Clock, time: f64) -> Estimate {
        let estimate = clock.at(self.sender(time)).expect("known");
        let off = estimate.offset as f64 - self.truth(time);
        assert!(
            off.abs() <= estimate.uncertainty,
            "off by {off}: {estimate:?}"
        );
        let drift = estimate.drift - (self.fast[1] - self.fast[0]);
        assert!(
            drift.abs() <= estimate.drift_uncertainty,
            "drifts off by {drift}: {estimate:?}"
        );
        estimate
    }
}

#[test]
fn the_uncertainty_covers_the_truth_whatever_the_clocks_and_the_path() {
    for seed in 0..1_000 {
        let mut world = World::new(seed);
        let mut clock = Clock::default();
        assert_eq!(clock.at(SenderTime::default()), None);
        let mut time = 1e6;
        let mut newest = (0.0, 0.0);
        for round in 0..200 {
            let (exchange, back) = world.exchange(time);
            // Some replies are lost, and some are followed by a pause.
            if round == 0 || world.rng.f64() > 0.2 {
                clock.record(exchange);
                newest = (back, back - time);
            }
            time = time.max(back) + if round < 5 { 20e3 } else { 900e3 };
            let estimate = world.check(&clock, time);
            let (noted, round_trip) = newest;
            // No wider than the newest exchange by itself would allow.
            let most = round_trip / 2.0 + MAX_DRIFT * (time - noted + round_trip) + 3.0;
            assert!(estimate.uncertainty <= most, "seed {seed}: {estimate:?}");
            let later = time + world.rng.f64() * 20e6;
            world.check(&clock, later);
        }
    }
}

#[test]
fn the_drift_is_known_after_a_minute() {
    for seed in 0..100 {
        let mut world = World::new(seed);
        (world.delay, world.jitter) = ([500.0, 300.0], 200.0);
        let mut clock = Clock::default();
        let mut time = 0.0;
        for _ in 0..70 {
            let (exchange, back) = world.exchange(time);
            clock.record(exchange);
            time = back + 900e3;
        }
        let drift = world.check(&clock, time).drift - (world.fast[1] - world.fast[0]);
        // The least round trip divided by the time that the clock looks back.
        let slope = (world.round_trip() + world.jitter) / 57e6;
        assert!(drift.abs() <= slope + WANDER, "off by {drift}");
    }
}

#[test]
fn the_least_delayed_of_many_exchanges_count() {
    let mut world = World::new(1);
    (world.delay, world.jitter) = ([200.0, 200.0], 50_000.0);
    let mut clock = Clock::default();
    let mut time = 0.0;
    for _ in 0..300 {
        let (exchange, back) = world.exchange(time);
        clock.record(exchange);
        time = back + 900e3;
    }
    let estimate = world.check(&clock, time);
    // The best of the 64 kept exchanges is far below the mean of 12 ms each way.
    assert!(estimate.uncertainty < 1_500.0, "{estimate:?}");
}

#[test]
fn a_clock_that_was_suspended_counts_as_another_clock() {
    let mut world = World::new(2);
    world.delay = [300.0, 300.0];
    world.jitter = 100.0;
    let mut clock = Clock::default();
    for step in 0..100 {
        if step == 50 {
            // The sender's machine slept for an hour.
            world.start[1] += 3_600e6;
        }
        let time = f64::from(step) * 1e6;
        let (exchange, back) = world.exchange(time);
        clock.record(exchange);
        world.check(&clock, back);
    }
}

#[test]
fn exchanges_that_no_clock_can_make_are_ignored() {
    let mut world = World::new(3);
    let mut clock = Clock::default();
    let (good, back) = world.exchange(1e6);
    let swapped = Exchange {
        reply_received: good.report_sent,
        report_sent: good.reply_received,
        ..good
    };
    let back_in_time = Exchange {
        reply_sent: SenderTime::from_micros(good.report_received.as_micros() - 1),
        ..good
    };
    for wrong in [swapped, back_in_time] {
        clock.record(wrong);
        assert_eq!(clock.at(SenderTime::default()), None);
    }
    clock.record(good);
    world.check(&clock, back);
    let mut rng = Rng::with_seed(4);
    for _ in 0..10_000 {
        let mut number = || match rng.u8(..4) {
            0 => rng.u64(..),
            1 => u64::MAX - rng.u64(..10),
            2 => rng.u64(..10),
            _ => good.reply_sent.as_micros() + rng.u64(..1_000_000),
        };
        clock.record(Exchange {
            report_sent: Duration::from_micros(number()),
            report_received: SenderTime::from_micros(number()),
            reply_sent: SenderTime::from_micros(number()),
            reply_received: Duration::from_micros(number()),
        });
        for time in [0, good.reply_sent.as_micros(), u64::MAX] {
            if let Some(estimate) = clock.at(SenderTime::from_micros(time)) {
                assert!(estimate.uncertainty >= 0.0);
            }
        }
    }
    assert!(clock.exchanges.len() <= MAX_EXCHANGES);
    // A consistent clock is believed again.
    let (good, back) = world.exchange(2e6);
    clock.record(good);
    world.check(&clock, back);
}
