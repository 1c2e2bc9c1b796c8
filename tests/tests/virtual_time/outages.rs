//! Nothing passes for a while. The picture is back with the first complete frame after that.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use framegram_common::fec::Fec;
use framegram_common::{receiver, sender};
use framegram_lab::impair::Impairment;
use framegram_tests::pair::{self, Results, Scenario};

use super::checks::check;

/// Seeds that failed once. They are tried first.
const FAILED_BEFORE: [u64; 0] = [];

/// How many seeds each property is tried with.
const SEEDS: u64 = 100;

fn seeds() -> impl Iterator<Item = u64> {
    FAILED_BEFORE.into_iter().chain(0..SEEDS)
}

/// How much longer the picture may be away than the first frame after the outage takes to be
/// complete.
const SLACK: Duration = Duration::from_millis(50);

/// The longest time between two requests of a viewer that asks for a stream.
const CONNECT_EVERY: Duration = Duration::from_millis(250);

/// The longest time between two reports.
const REPORT_EVERY: Duration = Duration::from_millis(200);

/// A length between these, short ones as often as long ones.
fn between(rng: &mut Rng, least: f64, most: f64) -> Duration {
    Duration::from_secs_f64(least * (most / least).powf(rng.f64()))
}

/// A stream of 5 to 120 frames per second that continues for some time after its outages.
fn scenario(rng: &mut Rng) -> (Scenario, Vec<Bytes>) {
    let interval = between(rng, 1.0 / 120.0, 1.0 / 5.0);
    let delay = Duration::from_micros([0, 500, 10_000, rng.u64(0..100_000)][rng.usize(..4)]);
    let link = Impairment {
        delay,
        ..Impairment::default()
    };
    let scenario = Scenario {
        transmitter: sender::Config {
            interval: Some(interval),
            retransmit: rng.u8(..4) > 0,
            fec: [Fec::Auto, Fec::Off][rng.usize(..2)],
            ..Scenario::default().transmitter
        },
        receiver: receiver::Config {
            playout_delay: Duration::from_millis([20, 60, 60, 200, 500][rng.usize(..5)]),
            nack: rng.u8(..4) > 0,
            strict: rng.bool(),
            ..Scenario::default().receiver
        },
        forward: link.clone(),
        backward: link,
        interval,
        ..Scenario::default()
    };
    let mut start = Duration::from_millis(rng.u64(300..1_500));
    let outages: Vec<Range<Duration>> = (0..rng.usize(1..3))
        .map(|_| {
            let outage = start..start + between(rng, 0.1, 60.0);
            start = outage.end + Duration::from_millis(rng.u64(2_500..4_000));
            outage
        })
        .collect();
    let count = (start.as_secs_f64() / interval.as_secs_f64()) as usize;
    let most = [1_000, 8_000][rng.usize(..2)];
    let frames = (0..count).map(|_| Bytes::from(vec![7; rng.usize(1..most)]));
    let frames = frames.collect();
    (
        Scenario {
            outages,
            ..scenario
        },
        frames,
    )
}

/// The longest time without a new picture within `span`, which is relative to the start.
fn longest_without(shown: &[Duration], span: Range<Duration>) -> Duration {
    let mut times = vec![span.start, span.end];
    times.extend(shown.iter().filter(|at| span.contains(at)));
    times.sort_unstable();
    let gaps = times.windows(2).map(|pair| pair[1] - pair[0]);
    gaps.max().unwrap_or_default()
}

/// When pictures were shown, relative to the start.
fn shown(results: &Results) -> Vec<Duration> {
    let records = results.records.iter();
    let shown = records.filter_map(|record| record.shown);
    shown.map(|at| at - pair::START).collect()
}

/// Asserts that the picture is back `within` this time after each outage, and stays.
fn assert_back(
    what: &str,
    scenario: &Scenario,
    shown: &[Duration],
    count: usize,
    within: impl Fn(&Range<Duration>) -> Duration,
) {
    let end = scenario.interval * count as u32;
    let begins = scenario.outages.iter().skip(1).map(|outage| outage.start);
    for (outage, until) in scenario.outages.iter().zip(begins.chain([end])) {
        let without = longest_without(shown, outage.end..until);
        assert!(
            without <= within(outage),
            "{what}: {without:?} without picture after {outage:?}, {:?} at most; {scenario:?}",
            within(outage),
        );
    }
}

#[test]
fn five_seconds_without_network_are_five_seconds_without_picture() {
    let scenario = Scenario {
        outages: vec![Duration::from_secs(1)..Duration::from_secs(6)],
        ..Scenario::default()
    };
    let sent = vec![Bytes::from(vec![7; 5_000]); 600];
    let results = pair::run(&scenario, &sent);
    let most = scenario.interval.mul_f64(1.5);
    assert_back("5 s", &scenario, &shown(&results), sent.len(), |_| most);
    check(0, &sent, &results);
}

/// Parity does not help against an outage, so an outage does not change how much of it is sent.
#[test]
fn as_much_parity_is_sent_after_an_outage_as_before() {
    let outage = Duration::from_secs(5)..Duration::from_secs(10);
    let scenario = Scenario {
        forward: Impairment {
            loss: 0.01,
            ..Impairment::default()
        },
        outages: vec![outage.clone()],
        ..Scenario::default()
    };
    let frames = (0..600).map(|_| Bytes::from(vec![7; 30_000]));
    let mut sent = Vec::new();
    pair::run_through(&scenario, frames, &mut |_| {}, &mut |_, sender| {
        sent.push(sender.bytes.sent.unwrap());
    });
    let frame_at = |at: Duration| (at.as_secs_f64() / scenario.interval.as_secs_f64()) as usize;
    let over = |from: Duration| {
        let from = frame_at(from);
        (sent[from + 90] - sent[from]) as f64 / (90.0 * 30_000.0)
    };
    let before = over(outage.start - Duration::from_secs(3));
    let after = over(outage.end + Duration::from_secs(1));
    assert!(before > 1.02, "{before}");
    assert!(
        after < before + 0.02,
        "{after} bytes a byte, {before} before"
    );
}

#[test]
fn the_first_complete_frame_after_any_outage_is_shown_at_once() {
    for seed in seeds() {
        let mut rng = Rng::with_seed(seed);
        let (scenario, sent) = scenario(&mut rng);
        let results = pair::run(&scenario, &sent);
        let round_trip = scenario.forward.delay * 2;
        let most = scenario.interval.mul_f64(1.5) + round_trip + SLACK;
        let shown = shown(&results);
        assert_back(
            &format!("seed {seed}"),
            &scenario,
            &shown,
            sent.len(),
            |_| most,
        );
        check(seed, &sent, &results);
    }
}

#[test]
fn a_connected_viewer_shows_frames_again_after_any_outage() {
    for seed in seeds() {
        let mut rng = Rng::with_seed(seed);
        let (scenario, sent) = scenario(&mut rng);
        let scenario = Scenario {
            pull: true,
            ..scenario
        };
        let results = pair::run(&scenario, &sent);
        let round_trip = scenario.forward.delay * 2;
        let most = scenario.interval.mul_f64(1.5) + round_trip + SLACK;
        let shown = shown(&results);
        let what = format!("seed {seed}");
        assert_back(&what, &scenario, &shown, sent.len(), |outage| {
            // The viewer's last report came up to one interval before the outage.
            let forgotten = outage.end - outage.start + REPORT_EVERY + round_trip > sender::SILENCE;
            if forgotten {
                most + CONNECT_EVERY + round_trip * 2
            } else {
                most
            }
        });
    }
}
