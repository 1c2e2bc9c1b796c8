//! A sender and a viewer on a path that carries less than the source can make, or much more.
//! The packets are those of the programs' state machines, not of a simulation.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use framegram_common::receiver::{self, Receiver, SinkOutcome};
use framegram_common::sender::{self, Output, Rate, Sender};
use framegram_lab::impair::{Impairment, Link};

const MS: Duration = Duration::from_millis(1);
const INTERVAL: Duration = Duration::from_micros(33_333);

/// The part of a frame's share of the rate that its JPEG may take: parity and headers are part of
/// the rate too.
const JPEG: f64 = 0.8;

/// The results of a run.
#[derive(Debug, Default)]
struct Run {
    frames: usize,
    /// The time from handing in a frame to sending its last datagram.
    leaving: Vec<Duration>,
    /// The time from handing in a frame to its completion at the viewer.
    complete: Vec<Duration>,
    /// UDP payload after the first two seconds.
    bytes: usize,
    /// The rates that the sender told, in bits per second.
    rates: Vec<u64>,
}

/// A viewer behind a link.
struct Place {
    receiver: Receiver,
    there: Link,
    back: Link,
    run: Run,
    /// The whole UDP payload.
    sent: usize,
}

/// Plays for `seconds` over a path, from a source that makes up to `most` bytes a frame.
fn play(forward: Impairment, most: usize, seconds: u64) -> Run {
    let mut places = play_all(vec![forward], most, seconds);
    places.pop().map(|place| place.run).unwrap_or_default()
}

/// The same with several viewers, each on a path of its own.
fn play_all(forward: Vec<Impairment>, most: usize, seconds: u64) -> Vec<Place> {
    let config = sender::Config {
        interval: Some(INTERVAL),
        destinations: forward.len(),
        rate: Rate::Auto {
            first: Some(1_000_000),
        },
        ..sender::Config::default()
    };
    let mut sender = Sender::new(config, 1, Duration::ZERO);
    let places = forward.into_iter().enumerate().map(|(at, forward)| {
        let back = Impairment {
            rate: None,
            ..forward.clone()
        };
        let config = receiver::Config::default();
        Place {
            receiver: Receiver::new(config, 2 + at as u64, (3, 4), Duration::ZERO),
            there: Link::new(forward),
            back: Link::new(back),
            run: Run::default(),
            sent: 0,
        }
    });
    let mut places: Vec<_> = places.collect();
    let from = SocketAddr::from(([192, 0, 2, 1], 5005));
    let (mut now, mut due, mut rates) = (Duration::ZERO, Duration::ZERO, Vec::new());
    let (mut handed_in, mut out) = (Vec::new(), Vec::new());
    while now < Duration::from_secs(seconds) {
        if now >= due {
            due += INTERVAL;
            let budget = sender.rate(now).map_or(f64::MAX, |rate| {
                rates.push(rate);
                rate as f64 / 8.0 * INTERVAL.as_secs_f64() * JPEG
            });
            if !sender.is_held_back(now) {
                let jpeg = Bytes::from(vec![7; most.min(budget as usize).max(500)]);
                sender.handle_frame(jpeg, now, None, now).unwrap();
                handed_in.push(now);
                for place in &mut places {
                    place.run.leaving.push(Duration::ZERO);
                }
            }
        }
        loop {
            match sender.poll_output(now, &mut out) {
                Output::Transmit(sent) => {
                    let place = &mut places[sent.destination];
                    for datagram in out.chunks(sent.segment) {
                        place.there.send(datagram, now);
                        place.sent += datagram.len();
                        if now >= Duration::from_secs(2) {
                            place.run.bytes += datagram.len();
                        }
                    }
                    let leaving = place.run.leaving.last_mut();
                    if let (Some(leaving), Some(at)) = (leaving, handed_in.last())
                        && out.len() > 1_000
                    {
                        *leaving = now - *at;
                    }
                }
                Output::Timeout(_) => break,
                other => unreachable!("nobody connects: {other:?}"),
            }
        }
        let mut waits = vec![Some(due)];
        for (at, place) in places.iter_mut().enumerate() {
            place.take(from, now);
            while let Some(datagram) = place.back.poll(now) {
                sender.handle_datagram(at, &datagram, now);
            }
            waits.push(place.receiver.poll_timeout(now));
            waits.push(place.there.poll_timeout());
            waits.push(place.back.poll_timeout());
        }
        waits.push(sender.poll_timeout());
        now = waits.into_iter().flatten().min().unwrap_or(due).max(now);
    }
    for place in &mut places {
        place.run.frames = handed_in.len();
        place.run.rates.clone_from(&rates);
    }
    places
}

impl Place {
    /// Takes what has arrived by `now`.
    fn take(&mut self, from: SocketAddr, now: Duration) {
        let receiver = &mut self.receiver;
        while let Some(datagram) = self.there.poll(now) {
            receiver.handle_datagram(from, &datagram, now);
        }
        receiver.handle_timeout(now);
        loop {
            match receiver.poll_output(now) {
                receiver::Output::Frame(frame) => {
                    receiver.handle_outcome(frame.id, SinkOutcome::Shown { at: now });
                    // Both sides have one clock, that of the simulation.
                    let captured = Duration::from_micros(frame.captured.as_micros());
                    self.run.complete.push(now - captured);
                }
                receiver::Output::Transmit(sent) => {
                    self.back.send(&sent.datagram, now);
                }
                receiver::Output::Event(_) | receiver::Output::Record(_) => {}
                receiver::Output::Timeout(_) => break,
            }
        }
    }
}

fn percentile(mut times: Vec<Duration>, percent: usize) -> Duration {
    times.sort_unstable();
    times[times.len() * percent / 100]
}

#[test]
fn a_source_that_could_make_more_fills_a_narrow_path_and_no_queue() {
    for rate in [5_000_000, 20_000_000] {
        let path = Impairment {
            rate: Some(rate),
            queue: 300 * MS,
            delay: 20 * MS,
            ..Impairment::default()
        };
        let run = play(path, 250_000, 12);
        let used = run.bytes as f64 * 8.0 / 10.0 / rate as f64;
        let late = percentile(run.complete[60..].to_vec(), 95);
        println!(
            "{rate} bit/s: {used:.2} used, 95 % of the frames complete in {late:?}, {} of {} complete, \
             rate {:?}",
            run.complete.len(),
            run.frames,
            run.rates.last()
        );
        assert!((0.7..=1.02).contains(&used), "{rate}: {used}");
        assert!(late < 20 * MS + 2 * INTERVAL, "{rate}: {late:?}");
        assert!(
            run.complete.len() * 100 >= run.frames * 97,
            "{rate}: {run:?}"
        );
    }
}

#[test]
fn on_a_wide_path_a_frame_leaves_at_once() {
    let path = Impairment {
        delay: MS / 10,
        ..Impairment::default()
    };
    let run = play(path, 200_000, 5);
    let leaving = percentile(run.leaving[60..].to_vec(), 99);
    println!("99 % leave within {leaving:?}, rate {:?}", run.rates.last());
    assert!(leaving < 2 * MS, "{leaving:?}");
    // The last frame may still be on its way.
    assert!(run.complete.len() + 1 >= run.frames, "{run:?}");
}

#[test]
fn a_slow_viewer_gets_fewer_frames_and_costs_others_nothing() {
    let clean = Impairment {
        delay: MS,
        ..Impairment::default()
    };
    let slow = Impairment {
        loss: 0.05,
        rate: Some(10_000_000),
        queue: 300 * MS,
        delay: 10 * MS,
        ..Impairment::default()
    };
    let most = 60_000;
    let alone = play_all(vec![clean.clone()], most, 12).remove(0);
    let mut both = play_all(vec![slow, clean], most, 12);
    let (beside, slow) = (both.remove(1), both.remove(0));
    let ratio = beside.sent as f64 / alone.sent as f64;
    let delays = [&alone, &beside].map(|place| percentile(place.run.complete[60..].to_vec(), 95));
    let seen = slow.receiver.statistics();
    println!(
        "bytes {ratio:.4}, delay {delays:?}; the slow one: {} of {} frames complete, {} bytes, {:?} {:?}",
        slow.run.complete.len(),
        slow.run.frames,
        slow.run.bytes,
        seen.frames,
        seen.paths,
    );
    assert!((0.97..=1.03).contains(&ratio), "{ratio}");
    assert!(delays[1] <= delays[0].mul_f64(1.03), "{delays:?}");
    assert!(beside.run.complete.len() + 1 >= beside.run.frames);
    // The viewer does not wait for the frames that were left out.
    assert!(seen.frames.unaccounted == Some(0), "{:?}", seen.frames);
    assert!(seen.outcomes[framegram_common::stats::Outcome::Replaced] > Some(60));
}
