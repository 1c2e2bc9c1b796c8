//! Two clocks: what the viewer infers about the sender's.

use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use framegram_common::Statistics;
use framegram_common::receiver::{self, Output, Receiver, SinkOutcome};
use framegram_common::sender::{self, Sender};
use framegram_lab::impair::{Impairment, Link};

/// A clock that is ahead of the true time, and too fast.
#[derive(Clone, Copy, Debug, Default)]
struct Ticking {
    ahead: Duration,
    fast_ppm: f64,
}

impl Ticking {
    fn shows(self, time: Duration) -> Duration {
        self.ahead + time.mul_f64(1.0 + self.fast_ppm * 1e-6)
    }

    /// The true time at which the clock shows `shows`.
    fn when(self, shows: Duration) -> Duration {
        let since = shows.saturating_sub(self.ahead);
        since.div_f64(1.0 + self.fast_ppm * 1e-6)
    }
}

/// A sender and a viewer, each with a clock of its own.
struct World {
    clocks: [Ticking; 2],
    transmitter: Sender,
    receiver: Receiver,
    forward: Link,
    backward: Link,
    shown: u64,
    /// When the viewer next has something to do, on its clock.
    viewer_due: Option<Duration>,
}

const INTERVAL: Duration = Duration::from_millis(40);

impl World {
    fn new(clocks: [Ticking; 2], forward: Impairment, backward: Impairment, one: bool) -> Self {
        let [sender, viewer] = clocks.map(|clock| clock.shows(Duration::ZERO));
        let transmitter = sender::Config {
            interval: Some(INTERVAL),
            clock_id: one.then_some(1),
            ..sender::Config::default()
        };
        let receiver = receiver::Config {
            clock_id: |_| Some(1),
            ..receiver::Config::default()
        };
        Self {
            clocks,
            transmitter: Sender::new(transmitter, 0x5eed, sender),
            receiver: Receiver::new(receiver, 0x1e77, (1, 2), viewer),
            forward: Link::new(forward),
            backward: Link::new(backward),
            shown: 0,
            viewer_due: None,
        }
    }

    /// Sends `frames` frames. `look` sees the figures after each.
    fn run(&mut self, frames: u32, mut look: impl FnMut(Duration, Statistics)) {
        let jpeg = Bytes::from(vec![0xd8; 6_000]);
        for frame in 0..frames {
            let now = INTERVAL * frame;
            let captured = self.clocks[0].shows(now);
            self.transmitter
                .handle_frame(jpeg.clone(), captured, None, captured)
                .expect("it can be sent");
            let end = now + INTERVAL;
            let mut time = now;
            while time < end {
                self.step(time);
                time = self.next(time).min(end);
            }
            look(end, self.receiver.statistics());
        }
    }

    fn step(&mut self, time: Duration) {
        let [sender, viewer] = self.clocks.map(|clock| clock.shows(time));
        let mut out = Vec::new();
        while let sender::Output::Transmit(transmit) =
            self.transmitter.poll_output(sender, &mut out)
        {
            for datagram in out.chunks(transmit.segment) {
                self.forward.send(datagram, time);
            }
        }
        while let Some(datagram) = self.forward.poll(time) {
            let from = ([192, 0, 2, 1], 5005).into();
            self.receiver.handle_datagram(from, &datagram, viewer);
        }
        self.receiver.handle_timeout(viewer);
        loop {
            match self.receiver.poll_output(viewer) {
                Output::Frame(frame) => {
                    self.shown += 1;
                    self.receiver
                        .handle_outcome(frame.id, SinkOutcome::Shown { at: viewer });
                }
                Output::Transmit(transmit) => {
                    self.backward.send(&transmit.datagram, time);
                }
                Output::Event(_) | Output::Record(_) => {}
                Output::Timeout(due) => {
                    self.viewer_due = due;
                    break;
                }
            }
        }
        while let Some(datagram) = self.backward.poll(time) {
            self.transmitter.handle_datagram(0, &datagram, sender);
        }
    }

    /// When something is next due, at least a microsecond later.
    fn next(&self, time: Duration) -> Duration {
        let sender = self.transmitter.poll_timeout();
        let viewer = self.viewer_due;
        let due = [
            sender.map(|due| self.clocks[0].when(due)),
            viewer.map(|due| self.clocks[1].when(due)),
            self.forward.poll_timeout(),
            self.backward.poll_timeout(),
        ];
        let due = due.into_iter().flatten().min().unwrap_or(Duration::MAX);
        due.max(time + Duration::from_micros(1))
    }
}

fn millis(millis: f64) -> Duration {
    Duration::from_secs_f64(millis / 1e3)
}

#[test]
fn the_stated_uncertainty_covers_the_truth_between_any_two_clocks() {
    for seed in 0..40 {
        let mut rng = Rng::with_seed(seed);
        let mut up_to = |most: f64| rng.f64() * most;
        let clocks = [(); 2].map(|()| Ticking {
            ahead: millis(up_to(1e9)),
            fast_ppm: up_to(200.0) - 100.0,
        });
        let mut way = |seed| Impairment {
            delay: millis(0.1 + up_to(40.0)),
            jitter: millis(up_to(10.0)),
            loss: up_to(0.1),
            seed,
            ..Impairment::default()
        };
        let (forward, backward) = (way(seed), way(seed + 1_000));
        let least = forward.delay.saturating_sub(forward.jitter);
        // The figures belong to the newest packet. The clocks have drifted on since it was sent.
        let age = (INTERVAL + forward.delay + forward.jitter).as_secs_f64() * 1e3;
        let drifted = age * (clocks[1].fast_ppm - clocks[0].fast_ppm).abs() * 1e-6;
        let mut world = World::new(clocks, forward, backward, false);
        let mut known = 0;
        world.run(500, |time, figures| {
            let Some(clock) = figures.clock else {
                return;
            };
            known += 1;
            let shows = clocks.map(|clock| clock.shows(time).as_secs_f64() * 1e3);
            let off = clock.offset_ms - (shows[1] - shows[0]);
            assert!(!clock.shared);
            assert!(
                off.abs() <= clock.uncertainty_ms + drifted,
                "seed {seed}: off by {off} ms: {clock:?}"
            );
            // Known from the next packet on.
            if let Some(one_way) = figures.delays_ms.one_way {
                assert!(one_way.max >= least.as_secs_f64() * 1e3 - clock.uncertainty_ms);
            }
        });
        assert!(known > 480, "seed {seed}: known after {known} frames");
        assert!(world.shown > 300, "seed {seed}: {} shown", world.shown);
    }
}

#[test]
fn on_one_clock_an_injected_delay_is_measured_exactly() {
    for seed in 0..40 {
        let mut rng = Rng::with_seed(seed);
        let clock = Ticking {
            ahead: millis(rng.f64() * 1e9),
            fast_ppm: 0.0,
        };
        let delay = 0.5 + rng.f64() * 50.0;
        let forward = Impairment {
            delay: millis(delay),
            loss: rng.f64() * 0.05,
            seed,
            ..Impairment::default()
        };
        let mut world = World::new([clock; 2], forward, Impairment::default(), true);
        let mut last = Statistics::default();
        world.run(250, |_, figures| last = figures);
        let clock = last.clock.expect("known");
        assert!(clock.shared && clock.uncertainty_ms == 0.0, "{clock:?}");
        let measured = last.delays_ms.one_way.expect("measured").p50;
        // The numbers have three digits.
        assert!(
            (measured - delay).abs() < 0.05,
            "seed {seed}: {measured} for {delay} ms"
        );
        let delays = last.delays_ms;
        let way = delays.sent_to_complete.expect("measured").p50;
        let whole = delays.capture_to_shown.expect("measured").p50;
        assert!(way >= measured - 0.05 && whole >= way, "{delays:?}");
        assert_eq!(last.latency_ms, delays.capture_to_shown);
    }
}

#[test]
fn clones_of_a_machine_are_detected_by_their_clocks() {
    for ahead in [5_000.0, -5_000.0, 40.0, -40.0] {
        let base = 1e6;
        let clocks = [base, base + ahead].map(|ahead| Ticking {
            ahead: millis(ahead),
            fast_ppm: 0.0,
        });
        let way = |seed| Impairment {
            delay: millis(5.0),
            jitter: millis(1.0),
            seed,
            ..Impairment::default()
        };
        let mut world = World::new(clocks, way(1), way(2), true);
        let mut last = Statistics::default();
        world.run(250, |_, figures| last = figures);
        let clock = last.clock.expect("known");
        assert!(clock.cloned && !clock.shared, "{ahead} ms: {clock:?}");
        assert!(!last.stream.shared_clock);
        let off = clock.offset_ms - ahead;
        assert!(off.abs() <= clock.uncertainty_ms, "{ahead} ms: {clock:?}");
        let delays = last.delays_ms;
        let (way, whole) = (delays.one_way.unwrap(), delays.capture_to_shown.unwrap());
        assert!((3.0..8.0).contains(&way.p50), "{ahead} ms: {delays:?}");
        assert!(
            way.max < 20.0 && whole.max < 100.0,
            "{ahead} ms: {delays:?}"
        );
        assert_eq!(last.latency_ms, None);
    }
}

#[test]
fn a_sender_that_follows_the_path_knows_the_offset_within_half_a_round_trip() {
    let clocks = [3e6, 5e5].map(|ahead| Ticking {
        ahead: millis(ahead),
        fast_ppm: 0.0,
    });
    for (there, back) in [(5.0, 5.0), (2.0, 20.0), (20.0, 2.0)] {
        let way = |delay, seed| Impairment {
            delay: millis(delay),
            seed,
            ..Impairment::default()
        };
        let mut world = World::new(clocks, way(there, 1), way(back, 2), false);
        let config = sender::Config {
            interval: Some(INTERVAL),
            rate: sender::Rate::Auto { first: None },
            ..sender::Config::default()
        };
        world.transmitter = Sender::new(config, 0x5eed, clocks[0].shows(Duration::ZERO));
        world.run(100, |_, _| {});
        let now = clocks[0].shows(INTERVAL * 100);
        let paths = world.transmitter.path_figures(now);
        let offset = paths[0].clock_offset_ms.expect("known");
        let uncertainty = paths[0].clock_uncertainty_ms.expect("known");
        let off = offset - (5e5 - 3e6);
        assert!(off.abs() <= uncertainty + 0.1, "off by {off} ms: {paths:?}");
        assert!(uncertainty <= (there + back) / 2.0 + 1.0, "{paths:?}");
    }
}
