//! A sender and a viewer on a path that carries less than the source could make,
//! or much more: their packets, not those of a simulation.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use framegram_common::receiver::{self, Receiver, SinkOutcome};
use framegram_common::sender::{self, Output, Rate, Sender};
use framegram_lab::impair::{Impairment, Link};

const MS: Duration = Duration::from_millis(1);
const INTERVAL: Duration = Duration::from_micros(33_333);

/// The part of a frame's bytes that its JPEG may have: parity and headers are
/// within the rate too.
const JPEG: f64 = 0.8;

/// What came of a run.
#[derive(Debug, Default)]
struct Run {
    frames: usize,
    /// From handing in to the last datagram, of each frame.
    leaving: Vec<Duration>,
    /// From handing in to being whole, of each frame that is.
    whole: Vec<Duration>,
    /// UDP payload after the first two seconds.
    bytes: usize,
    /// Rates that were told, in bits a second.
    rates: Vec<u64>,
}

/// Plays for some seconds over a path, of a source that makes up to `most` bytes
/// a frame.
fn play(forward: Impairment, most: usize, seconds: u64) -> Run {
    let config = sender::Config {
        interval: Some(INTERVAL),
        rate: Rate::Auto {
            first: Some(1_000_000),
        },
        ..sender::Config::default()
    };
    let back = Impairment {
        rate: None,
        ..forward.clone()
    };
    let mut sender = Sender::new(config, 1, Duration::ZERO);
    let mut receiver = Receiver::new(receiver::Config::default(), 2, (3, 4), Duration::ZERO);
    let (mut there, mut back) = (Link::new(forward), Link::new(back));
    let from = SocketAddr::from(([192, 0, 2, 1], 5005));
    let (mut now, mut due, mut run) = (Duration::ZERO, Duration::ZERO, Run::default());
    let (mut handed_in, mut out) = (Vec::new(), Vec::new());
    while now < Duration::from_secs(seconds) {
        if now >= due {
            due += INTERVAL;
            let budget = sender.rate(now).map_or(f64::MAX, |rate| {
                run.rates.push(rate);
                rate as f64 / 8.0 * INTERVAL.as_secs_f64() * JPEG
            });
            if !sender.is_held_back(now) {
                let jpeg = Bytes::from(vec![7; most.min(budget as usize).max(500)]);
                sender.handle_frame(jpeg, now, None, now).unwrap();
                handed_in.push(now);
                run.leaving.push(Duration::ZERO);
            }
        }
        loop {
            match sender.poll_output(now, &mut out) {
                Output::Transmit(sent) => {
                    for datagram in out.chunks(sent.segment) {
                        there.send(datagram, now);
                        if now >= Duration::from_secs(2) {
                            run.bytes += datagram.len();
                        }
                    }
                    if let (Some(leaving), Some(at)) = (run.leaving.last_mut(), handed_in.last()) {
                        *leaving = if out.len() > 1_000 {
                            now - *at
                        } else {
                            *leaving
                        };
                    }
                }
                Output::Timeout(_) => break,
                other => unreachable!("nobody connects: {other:?}"),
            }
        }
        while let Some(datagram) = there.poll(now) {
            receiver.handle_datagram(from, &datagram, now);
        }
        receiver.handle_timeout(now);
        loop {
            match receiver.poll_output(now) {
                receiver::Output::Frame(frame) => {
                    receiver.handle_outcome(frame.id, SinkOutcome::Shown { at: now });
                    let number = frame.id.number.0 as usize;
                    run.whole.push(now - handed_in[number]);
                }
                receiver::Output::Transmit(sent) => {
                    back.send(&sent.datagram, now);
                }
                receiver::Output::Event(_) | receiver::Output::Record(_) => {}
                receiver::Output::Timeout(_) => break,
            }
        }
        while let Some(datagram) = back.poll(now) {
            sender.handle_datagram(0, &datagram, now);
        }
        let waits = [
            Some(due),
            sender.poll_timeout(),
            receiver.poll_timeout(now),
            there.poll_timeout(),
            back.poll_timeout(),
        ];
        now = waits.into_iter().flatten().min().unwrap_or(due).max(now);
    }
    run.frames = handed_in.len();
    run
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
        let late = percentile(run.whole[60..].to_vec(), 95);
        println!(
            "{rate} bit/s: {used:.2} used, 95 % of the frames whole in {late:?}, {} of {} whole, \
             rate {:?}",
            run.whole.len(),
            run.frames,
            run.rates.last()
        );
        assert!((0.7..=1.02).contains(&used), "{rate}: {used}");
        assert!(late < 20 * MS + 2 * INTERVAL, "{rate}: {late:?}");
        assert!(run.whole.len() * 100 >= run.frames * 97, "{rate}: {run:?}");
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
    // The last one may be on its way.
    assert!(run.whole.len() + 1 >= run.frames, "{run:?}");
}
