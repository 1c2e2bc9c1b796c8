//! Viewers that join within a stream: each chunk is counted from the joining point on, whatever the
//! link does to the packets around it.

use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use framegram_common::fec::Fec;
use framegram_common::stats::Outcome;
use framegram_common::wire::native::Channel;
use framegram_common::{receiver, sender};
use framegram_lab::impair::Impairment;
use framegram_tests::pair::{self, Results, Scenario};

use super::checks::check;

/// How many seeds are tried.
const SEEDS: u64 = 600;

/// Seeds that failed once. A report overtook the first packets (554, 867), or announced the packet
/// before the first one (912), or the frame within which the viewer joined was not the first of
/// which something arrived (944).
const FAILED_BEFORE: [u64; 4] = [554, 867, 912, 944];

/// When a sender sends its second report.
const SECOND_REPORT: Duration = Duration::from_millis(900);

#[test]
fn a_viewer_that_joins_late_counts_each_chunk_from_then_on() {
    let mut met = [0; 2];
    for seed in FAILED_BEFORE.into_iter().chain(0..SEEDS) {
        let results = join(seed);
        let truth = &results.truths[0];
        let announced = truth.first_totals.map(|[media, ..]| media);
        let before = results.viewer.outcomes[Outcome::BeforeJoining];
        let received = truth.received();
        let media = received
            .range((Channel::Media, 0)..(Channel::Repair, 0))
            .next();
        let overtaken = |end| media.is_some_and(|(_, first)| *first < end);
        met[0] += u64::from(before > Some(0));
        met[1] += u64::from(announced.is_some_and(overtaken));
    }
    assert!(met.into_iter().all(|seeds| seeds > SEEDS / 20), "{met:?}");
}

/// A viewer joins within a few frames of the start, or around the arrival of a sender report.
fn join(seed: u64) -> Results {
    let mut rng = Rng::with_seed(seed);
    let interval = Duration::from_micros([2_000, 11_111, 33_333][rng.usize(..3)]);
    let mut some = |most: f64| if rng.bool() { rng.f64() * most } else { 0.0 };
    let forward = Impairment {
        loss: some(0.3),
        delay: Duration::from_secs_f64(some(0.02)),
        jitter: Duration::from_secs_f64(some(0.005)),
        reorder: some(0.2),
        duplicate: some(0.2),
        corrupt: some(0.1),
        seed: rng.u64(..),
        ..Impairment::default()
    };
    let backward = Impairment {
        seed: rng.u64(..),
        ..forward.clone()
    };
    let join = if rng.bool() {
        let before = Duration::from_millis(5);
        forward.delay + SECOND_REPORT - before + Duration::from_micros(rng.u64(..15_000))
    } else {
        let within = Duration::from_micros(rng.u64(..interval.as_micros() as u64 * 4));
        forward.longest() + interval * 4 + within
    };
    let base = Scenario::default();
    let scenario = Scenario {
        transmitter: sender::Config {
            interval: Some(interval),
            pace: rng.bool(),
            fec: [Fec::Off, Fec::Auto][usize::from(rng.bool())],
            retransmit: rng.bool(),
            datagram: 600,
            ..base.transmitter
        },
        receiver: receiver::Config {
            nack: rng.bool(),
            strict: rng.bool(),
            playout_delay: Duration::from_millis([5, 60][rng.usize(..2)]),
            ..base.receiver
        },
        forward,
        backward,
        interval,
        join,
        ..Scenario::default()
    };
    let count = (join.as_micros() / interval.as_micros()) as usize + rng.usize(2..12);
    let sent: Vec<_> = (0..count)
        .map(|_| Bytes::from(vec![7; rng.usize(1..3_000)]))
        .collect();
    let results = pair::run(&scenario, &sent);
    check(seed, &sent, &results);
    results
}
