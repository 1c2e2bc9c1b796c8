//! The two state machines over an impaired link. Whatever the link does, a frame counted intact
//! is the frame sent, and the counts agree with what the link did.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

mod adaption;
mod agreed;
mod checks;
mod clocks;
mod concealment;
mod congestion;
mod joining;
mod keys;
mod outages;
mod path_mtu;
mod repair;
mod repair_table;
mod send_errors;
mod sharing;

use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use framegram_common::FrameNumber;
use framegram_common::stats::{FrameRecord, Outcome};
use framegram_common::{receiver, sender};
use framegram_lab::impair::{GilbertElliott, Impairment};
use framegram_tests::pair::{self, Life, Scenario};

use checks::check;

/// How many seeds each property is tried with.
const SEEDS: u64 = 1000;

/// Seeds that failed once. They are tried first.
const FAILED_BEFORE: [u64; 0] = [];

fn seeds() -> impl Iterator<Item = u64> {
    FAILED_BEFORE.into_iter().chain(0..SEEDS)
}

fn frames(rng: &mut Rng, count: usize) -> Vec<Bytes> {
    let most = [1_500, 10_000, 60_000][rng.usize(..3)];
    (0..count)
        .map(|_| {
            let mut frame = vec![0; rng.usize(1..most)];
            rng.fill(&mut frame);
            Bytes::from(frame)
        })
        .collect()
}

/// Any mixture of loss, bursts, delay, reordering, duplication and corruption in which every packet
/// that arrives arrives within the viewer's budget.
fn impairment(rng: &mut Rng) -> Impairment {
    let mut some = |most: f64| if rng.bool() { rng.f64() * most } else { 0.0 };
    Impairment {
        loss: some(0.3),
        bursts: None,
        delay: Duration::from_secs_f64(some(0.3)),
        jitter: Duration::from_secs_f64(some(0.003)),
        reorder: some(0.2),
        duplicate: some(0.2),
        corrupt: some(0.1),
        ..Impairment::default()
    }
}

fn scenario(rng: &mut Rng) -> Scenario {
    let mut forward = impairment(rng);
    forward.seed = rng.u64(..);
    if rng.u8(..4) == 0 {
        forward.bursts = Some(GilbertElliott {
            p: 0.02,
            r: 0.2,
            step: None,
        });
    }
    let backward = Impairment {
        seed: rng.u64(..),
        ..forward.clone()
    };
    Scenario {
        forward,
        backward,
        ..Scenario::default()
    }
}

#[test]
fn intact_frames_are_the_frames_sent_and_the_counts_are_the_links_own() {
    for seed in seeds() {
        let mut rng = Rng::with_seed(seed);
        let scenario = scenario(&mut rng);
        let count = rng.usize(1..40);
        let sent = frames(&mut rng, count);
        let results = pair::run(&scenario, &sent);
        check(seed, &sent, &results);
    }
}

#[test]
fn a_late_viewer_a_sender_that_restarts_and_a_lost_tail_are_counted_exactly() {
    let mut met = [0; 4];
    for seed in seeds() {
        let mut rng = Rng::with_seed(seed);
        let mut scenario = scenario(&mut rng);
        if rng.bool() {
            scenario.join = Duration::from_micros(rng.u64(400_000..1_200_000));
        }
        scenario.lives = (0..rng.usize(1..4)).map(|_| life(&mut rng)).collect();
        if rng.u8(..4) == 0 {
            scenario.cut = Some(Duration::from_micros(rng.u64(300_000..3_000_000)));
        }
        let count = scenario.lives.iter().map(|life| life.frames).sum();
        let sent = frames(&mut rng, count);
        let results = pair::run(&scenario, &sent);
        check(seed, &sent, &results);
        let outcomes = &results.viewer.outcomes;
        let followed = results.viewer.stream.followed;
        met[0] += u64::from(followed > 1);
        met[1] += u64::from(outcomes[Outcome::BeforeJoining] > Some(0));
        met[2] += u64::from(outcomes[Outcome::TailUnknown] > Some(0));
        met[3] += u64::from(followed > 0 && results.viewer.frames.after_last_report.is_none());
    }
    // Each of these occurred often enough.
    assert!(met.into_iter().all(|seeds| seeds > SEEDS / 20), "{met:?}");
}

#[test]
fn socket_drops_are_separated_from_network_losses() {
    let mut met = [0; 3];
    for seed in seeds() {
        let mut rng = Rng::with_seed(seed);
        let mut scenario = scenario(&mut rng);
        // The system counts dropped copies too, and a packet that is out of order may be missed
        // before it is dropped. In both cases nothing distinguishes lost from dropped packets.
        scenario.forward = Impairment {
            jitter: Duration::ZERO,
            reorder: 0.0,
            duplicate: 0.0,
            corrupt: 0.0,
            ..scenario.forward
        };
        let stall = |rng: &mut Rng| {
            // The shortage ends before the bye: nobody knows which channel a dropped packet was of
            // when nothing arrives after it.
            let start = Duration::from_micros(rng.u64(500_000..1_000_000));
            start..start + Duration::from_micros(rng.u64(10_000..300_000))
        };
        scenario.stalls = (0..rng.usize(1..4)).map(|_| stall(&mut rng)).collect();
        scenario.buffer = rng.usize(1..60);
        let sent = frames(&mut rng, 40);
        let results = pair::run(&scenario, &sent);
        check(seed, &sent, &results);
        let outcomes = &results.viewer.outcomes;
        met[0] += u64::from(results.viewer.packets.socket_dropped > Some(0));
        met[1] += u64::from(outcomes[Outcome::LostSocket] > Some(0));
        met[2] += u64::from(outcomes[Outcome::LostUnknown] > Some(0));
        if results.viewer.packets.lost == Some(0) {
            assert_eq!(outcomes[Outcome::LostUnknown], Some(0), "seed {seed}");
        }
    }
    assert!(met.into_iter().all(|seeds| seeds > SEEDS / 20), "{met:?}");
}

/// A run of a sender that ends with a bye, or is killed within a frame or between two. No program
/// restarts at once.
fn life(rng: &mut Rng) -> Life {
    let killed_after = rng.u64(0..33_000);
    Life {
        frames: rng.usize(1..40),
        killed_after: rng.bool().then(|| Duration::from_micros(killed_after)),
        pause: Duration::from_micros(rng.u64(50_000..3_000_000)),
    }
}

#[test]
fn a_clean_link_delivers_every_frame_and_the_first_one_first() {
    for seed in 0..100 {
        let mut rng = Rng::with_seed(seed);
        let sent = frames(&mut rng, 30);
        let results = pair::run(&Scenario::default(), &sent);
        assert_eq!(results.shown.len(), sent.len());
        assert_eq!(results.shown[0].jpeg, sent[0]);
        assert_eq!(results.viewer.frames.captured, Some(30));
        assert_eq!(results.sender.frames.intact, results.viewer.frames.intact);
        check(seed, &sent, &results);
    }
}

#[test]
fn delays_are_those_of_all_lives_of_the_sender() {
    for seed in 0..100 {
        let mut rng = Rng::with_seed(seed);
        let scenario = Scenario {
            forward: Impairment {
                rate: Some(rng.u64(2_000_000..20_000_000)),
                queue: Duration::from_secs(1),
                ..Impairment::default()
            },
            lives: vec![life(&mut rng), life(&mut rng), life(&mut rng)],
            ..Scenario::default()
        };
        let count = scenario.lives.iter().map(|life| life.frames).sum();
        let results = pair::run(&scenario, &frames(&mut rng, count));
        let delays = results.records.iter().filter_map(FrameRecord::delay);
        let most = delays.max().unwrap_or_default().as_secs_f64() * 1e3;
        let told = results.viewer.delays_ms.capture_to_shown;
        let told = told.unwrap_or_default().max;
        // Three digits.
        assert!(
            (told - most).abs() <= most / 1e3,
            "seed {seed}: {told}, truly {most}"
        );
    }
}

#[test]
fn a_source_that_hesitates_loses_nothing() {
    for seed in 0..200 {
        let mut rng = Rng::with_seed(seed);
        let sent = frames(&mut rng, 40);
        let most = rng.u64(1..1_000_000);
        let hesitations = (0..sent.len()).map(|_| Duration::from_micros(rng.u64(0..most)));
        let scenario = Scenario {
            hesitations: hesitations.collect(),
            ..Scenario::default()
        };
        let results = pair::run(&scenario, &sent);
        let intact = (
            results.viewer.frames.intact,
            results.viewer.outcomes[Outcome::Late],
        );
        assert_eq!(intact, (Some(40), Some(0)), "seed {seed}");
        check(seed, &sent, &results);
    }
}

#[test]
fn a_sender_that_stops_within_a_frame_loses_none_while_its_viewer_waits() {
    let ms = Duration::from_millis;
    let mut stopped = 0;
    for seed in 0..200 {
        let mut rng = Rng::with_seed(seed);
        let sent: Vec<_> = (0..20)
            .map(|_| Bytes::from(vec![7; rng.usize(20_000..60_000)]))
            .collect();
        // Within the first frame as often as in one of those that follow.
        let begins = Duration::from_micros([500, rng.u64(500..600_000)][rng.usize(..2)]);
        let scenario = Scenario {
            transmitter: sender::Config {
                rate: [sender::Rate::Fixed, sender::Rate::Auto { first: None }][rng.usize(..2)],
                ..Scenario::default().transmitter
            },
            receiver: receiver::Config {
                playout_delay: ms(400),
                ..Scenario::default().receiver
            },
            stops: vec![begins..begins + ms(rng.u64(80..350))],
            ..Scenario::default()
        };
        let results = pair::run(&scenario, &sent);
        let delays = results.records.iter().filter_map(FrameRecord::delay);
        stopped += usize::from(delays.max() > Some(ms(80)));
        assert_eq!(results.viewer.frames.intact, Some(20), "seed {seed}");
        check(seed, &sent, &results);
    }
    assert!(stopped > 100, "{stopped}");
}

#[test]
fn frame_numbers_cross_their_wrap() {
    for seed in 0..50 {
        let mut rng = Rng::with_seed(seed);
        // The wire carries their low 22 bits. A viewer that joins does not know the others before
        // the first sender report.
        let window = 1 << 22;
        let first = FrameNumber((1 + seed % 5) * window - 10);
        let mut scenario = scenario(&mut rng);
        scenario.transmitter = sender::Config {
            first_frame: first,
            ..scenario.transmitter
        };
        let sent = frames(&mut rng, 30);
        let results = pair::run(&scenario, &sent);
        for frame in &results.shown {
            assert_eq!(
                frame.jpeg,
                sent[(frame.id.number.0.wrapping_sub(first.0) % window) as usize],
                "seed {seed}"
            );
        }
        let counted = results.viewer.frames.sent;
        assert!(
            counted.is_none_or(|sent| sent == first.0 + 30),
            "seed {seed}: {counted:?}"
        );
    }
}

#[test]
fn frames_lost_at_the_tail_are_counted() {
    let sent = vec![Bytes::from(vec![7; 5_000]); 30];
    let mtu = Impairment {
        mtu: Some(400),
        ..Impairment::default()
    };
    let results = pair::run(
        &Scenario {
            forward: mtu,
            ..Scenario::default()
        },
        &sent,
    );
    let frames = &results.viewer.frames;
    assert_eq!((frames.sent, frames.lost), (Some(30), Some(30)));
    check(0, &sent, &results);
}
