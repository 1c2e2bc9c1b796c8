//! The test cases of RFC 8867 (<https://www.rfc-editor.org/rfc/rfc8867>) for streams that share
//! a bottleneck. `make test-long` tries all seeds.

#![allow(clippy::single_range_in_vec_init)] // times

use std::ops::Range;

use framegram_tests::congestion::figures::{Figures, counted, follows_after};
use framegram_tests::congestion::link::Link;
use framegram_tests::congestion::media::{INTERVAL, Media};
use framegram_tests::congestion::tcp::Tcp;
use framegram_tests::congestion::{Flow, Kind, MS, Nanos, SECOND, Simulation};

/// The least part of the capacity that is used.
const USED: f64 = 0.9;

/// The longest permitted queue at the 95th percentile, in milliseconds.
const QUEUE_MS: f64 = 25.0;

/// The smallest permitted value of Jain's fairness index.
const JAIN: f64 = 0.95;

/// The share beside a TCP flow, relative to the share that a TCP flow would have in the same place.
const SHARE: Range<f64> = 0.5..1.5;

/// How much longer the queue may be than TCP makes it alone, in milliseconds on average.
const MORE_QUEUE_MS: f64 = 30.0;

/// How long streams may take to use nine tenths of a link whose capacity grew. Measured: one stream
/// that gains up to 2.5 times its rate takes 0.9 s at most. Where two streams share the link, or
/// one gains four times its rate, some seeds take up to 1.7 s.
const SETTLED: Nanos = SECOND;
const SETTLED_TWO_OR_FOUR: Nanos = 2 * SECOND;

/// The one-way delay, in milliseconds.
const DELAY: u64 = 50;

/// How many seeds are tried: all with `FRAMEGRAM_ALL_SEEDS`.
fn seeds() -> Range<u64> {
    match std::env::var_os("FRAMEGRAM_ALL_SEEDS") {
        Some(_) => 0..10,
        None => 0..2,
    }
}

fn stream(flow: usize, active: &[Range<u64>], link: usize, delay: u64, seed: u64) -> Flow {
    let active = active
        .iter()
        .map(|range| range.start * SECOND..range.end * SECOND);
    Flow {
        kind: Kind::Media(Box::new(Media::new(flow, active.collect(), seed))),
        link,
        delay: delay * MS,
    }
}

fn tcp(tcp: Tcp) -> Flow {
    Flow {
        kind: Kind::Tcp(Box::new(tcp)),
        link: 0,
        delay: DELAY * MS,
    }
}

/// A way back that is no bottleneck.
fn wide() -> Link {
    Link::new(&[(0, 100.0)])
}

fn run(links: [Link; 2], flows: Vec<Flow>, until: u64, seed: u64) -> Simulation {
    let mut simulation = Simulation::new(links, flows, seed);
    simulation.run(until * SECOND);
    simulation
}

fn show(case: &str, seed: u64, figures: &Figures) {
    let Figures {
        used,
        p95_ms,
        mean_ms,
        dropped,
        ..
    } = figures;
    let jain = figures.jain();
    println!(
        "{case} seed {seed}: {:.1} % used, queue {mean_ms:.1} ms, 95 % of the time at most \
         {p95_ms:.1} ms, {dropped} dropped, Jain {jain:.3}",
        used * 100.0
    );
}

/// Checks what holds wherever there is no other kind of flow.
fn check(case: &str, seed: u64, figures: &Figures) {
    show(case, seed, figures);
    assert!(figures.used >= USED, "{case} seed {seed}: {figures:?}");
    assert!(
        figures.p95_ms <= QUEUE_MS,
        "{case} seed {seed}: {figures:?}"
    );
}

/// Checks what streams do when the capacity of one of their links falls or rises.
fn check_steps(case: &str, seed: u64, flows: &[Flow], link: &Link, steps: &[u64]) {
    for at in steps.iter().map(|step| step * SECOND) {
        let (before, now) = (link.rate(at - 1) as f64, link.rate(at) as f64);
        let took = follows_after(flows, link, at);
        let most = if now < before {
            // What is on its way when the rate changes passes at the new rate.
            let round_trip = 2 * DELAY * MS;
            2 * INTERVAL + round_trip + (round_trip as f64 * before / now) as Nanos
        } else if flows.len() > 1 || now > 3.0 * before {
            SETTLED_TWO_OR_FOUR
        } else {
            SETTLED
        };
        println!(
            "{case} seed {seed}: {} ms after {before} to {now}",
            took / MS
        );
        assert!(took <= most, "{case} seed {seed}: {took} of {most}");
    }
}

#[test]
fn case_5_1_one_stream_follows_the_capacity() {
    for seed in seeds() {
        let link = Link::new(&[(0, 1.0), (40, 2.5), (60, 0.6), (80, 1.0)]);
        let flows = vec![stream(0, &[0..100], 0, DELAY, seed)];
        let run = run([link, wide()], flows, 100, seed);
        let steps = [40, 60, 80];
        check(
            "5.1",
            seed,
            &Figures::new(&run.links[0], &[0], &counted(&steps, 100)),
        );
        check_steps("5.1", seed, &run.flows, &run.links[0], &steps);
    }
}

#[test]
fn case_5_2_two_streams_follow_the_capacity() {
    for seed in seeds() {
        let link = Link::new(&[(0, 4.0), (25, 2.0), (50, 3.5), (75, 1.0), (100, 2.0)]);
        let flows = (0..2).map(|flow| stream(flow, &[0..125], 0, DELAY, seed));
        let run = run([link, wide()], flows.collect(), 125, seed);
        let steps = [25, 50, 75, 100];
        let figures = Figures::new(&run.links[0], &[0, 1], &counted(&steps, 125));
        check("5.2", seed, &figures);
        check_steps("5.2", seed, &run.flows, &run.links[0], &steps);
        assert!(figures.jain() >= JAIN, "seed {seed}: {figures:?}");
    }
}

#[test]
fn case_5_3_streams_in_both_directions_are_each_others_way_back() {
    for seed in seeds() {
        let forward = Link::new(&[(0, 2.0), (20, 1.0), (40, 0.5), (60, 2.0)]);
        let backward = Link::new(&[(0, 2.0), (35, 0.8), (70, 2.0)]);
        let flows = (0..2).map(|flow| stream(flow, &[0..100], flow, DELAY, seed));
        let run = run([forward, backward], flows.collect(), 100, seed);
        for (flow, steps) in [(0, &[20, 40, 60][..]), (1, &[35, 70])] {
            let link = &run.links[flow];
            check(
                "5.3",
                seed,
                &Figures::new(link, &[flow], &counted(steps, 100)),
            );
            check_steps("5.3", seed, &run.flows[flow..=flow], link, steps);
        }
    }
}

#[test]
fn case_5_4_three_streams_come_to_share_evenly() {
    for seed in seeds() {
        let flows = (0..3).map(|flow| stream(flow, &[20 * flow as u64..120], 0, DELAY, seed));
        let run = run([Link::new(&[(0, 3.5)]), wide()], flows.collect(), 120, seed);
        let link = &run.links[0];
        check(
            "5.4",
            seed,
            &Figures::new(link, &[0, 1, 2], &counted(&[20, 40], 120)),
        );
        let two = Figures::new(link, &[0, 1], &[21 * SECOND..40 * SECOND]);
        let three = Figures::new(link, &[0, 1, 2], &[41 * SECOND..120 * SECOND]);
        show("5.4, three", seed, &three);
        assert!(
            two.jain() >= JAIN && three.jain() >= JAIN,
            "seed {seed}: {two:?} {three:?}"
        );
    }
}

#[test]
fn case_5_5_streams_share_evenly_whatever_their_rtt() {
    for seed in seeds() {
        let delays = [10, 25, 50, 100, 150].into_iter().enumerate();
        let flows =
            delays.map(|(flow, delay)| stream(flow, &[10 * flow as u64..300], 0, delay, seed));
        let run = run([Link::new(&[(0, 4.0)]), wide()], flows.collect(), 300, seed);
        let (link, all) = (&run.links[0], [0, 1, 2, 3, 4]);
        check(
            "5.5",
            seed,
            &Figures::new(link, &all, &counted(&[10, 20, 30, 40], 300)),
        );
        let five = Figures::new(link, &all, &[41 * SECOND..300 * SECOND]);
        show("5.5, five", seed, &five);
        assert!(five.jain() >= JAIN, "seed {seed}: {five:?}");
    }
}

#[test]
fn case_5_6_a_stream_neither_starves_beside_tcp_nor_starves_it() {
    for seed in seeds() {
        let link = || Link::new(&[(0, 2.0)]);
        let times = counted(&[5], 120);
        let long = |flow, start| tcp(Tcp::long(flow, start * SECOND, 120 * SECOND));
        let alone = run([link(), wide()], vec![long(0, 0)], 120, seed);
        let alone = Figures::new(&alone.links[0], &[0], &times);
        // Either side may begin first.
        for (ours, its) in [(5, 0), (0, 5)] {
            let flows = vec![stream(0, &[ours..120], 0, DELAY, seed), long(1, its)];
            let run = run([link(), wide()], flows, 120, seed);
            let figures = Figures::new(&run.links[0], &[0, 1], &times);
            show("5.6", seed, &figures);
            let share = figures.bytes[0] / (figures.bytes[0] + figures.bytes[1]) * 2.0;
            println!("5.6 seed {seed}: {share:.2} of the fair share");
            assert!(SHARE.contains(&share), "seed {seed}: {share}");
            let more = figures.mean_ms - alone.mean_ms;
            assert!(more <= MORE_QUEUE_MS, "seed {seed}: {more} ms more queue");
        }
    }
}

#[test]
fn case_5_7_streams_beside_short_flows_of_tcp_keep_their_share() {
    for seed in seeds() {
        let with = |long: &dyn Fn(usize) -> Option<Flow>| {
            let mut flows: Vec<_> = (0..2).filter_map(long).collect();
            let first = flows.len();
            let short = (first..first + 10).map(|flow| Tcp::short(flow, seed, 300 * SECOND));
            flows.extend(short.map(tcp));
            let run = run([Link::new(&[(0, 2.0)]), wide()], flows, 300, seed);
            Figures::new(&run.links[0], &[0, 1], &counted(&[5], 300))
        };
        let ours = with(&|flow| Some(stream(flow, &[5..300], 0, DELAY, seed)));
        let cubic = with(&|flow| Some(tcp(Tcp::long(flow, 5 * SECOND, 300 * SECOND))));
        let none = with(&|_| None);
        show("5.7", seed, &ours);
        let share = ours.bytes.iter().sum::<f64>() / cubic.bytes.iter().sum::<f64>();
        let more = ours.mean_ms - none.mean_ms;
        println!("5.7 seed {seed}: {share:.2} of what TCP would have, {more:.1} ms more queue");
        assert!(SHARE.contains(&share), "seed {seed}: {share}");
        assert!(more <= MORE_QUEUE_MS, "seed {seed}: {more} ms more queue");
    }
}

#[test]
fn case_5_8_what_a_paused_stream_leaves_is_used_and_given_back() {
    for seed in seeds() {
        let active = [vec![0..120], vec![0..40, 60..120], vec![0..120]];
        let flows = active.iter().enumerate();
        let flows = flows.map(|(flow, active)| stream(flow, active, 0, DELAY, seed));
        let run = run([Link::new(&[(0, 3.5)]), wide()], flows.collect(), 120, seed);
        let (link, all) = (&run.links[0], [0, 1, 2]);
        check(
            "5.8",
            seed,
            &Figures::new(link, &all, &counted(&[40, 60], 120)),
        );
        let resumed = Figures::new(link, &all, &[61 * SECOND..120 * SECOND]);
        show("5.8, resumed", seed, &resumed);
        assert!(resumed.jain() >= JAIN, "seed {seed}: {resumed:?}");
    }
}

/// The least part of the capacity that is used where each packet is late by up to this many
/// milliseconds, on a link of this many Mbit/s.
const JITTER_USED: [(u64, f64, f64); 3] = [(5, 4.0, 0.8), (20, 4.0, 0.35), (20, 1.0, 0.65)];

/// The longest permitted queue in that case, in milliseconds on average.
const JITTER_QUEUE_MS: f64 = 10.0;

#[test]
fn jitter_does_not_count_as_congestion() {
    for (seed, (jitter, rate, least)) in
        seeds().flat_map(|seed| JITTER_USED.map(|case| (seed, case)))
    {
        let links = [Link::new(&[(0, rate)]), wide()].map(|mut link| {
            link.jitter = jitter * MS;
            link
        });
        let run = run(links, vec![stream(0, &[0..60], 0, 10, seed)], 60, seed);
        let figures = Figures::new(&run.links[0], &[0], &counted(&[], 60));
        show("jitter", seed, &figures);
        assert!(
            figures.used >= least,
            "{jitter} ms at {rate} seed {seed}: {figures:?}"
        );
        assert!(
            figures.mean_ms <= JITTER_QUEUE_MS,
            "{jitter} ms at {rate} seed {seed}: {figures:?}"
        );
    }
}

#[test]
fn random_loss_does_not_count_as_congestion() {
    for seed in seeds() {
        let lossy = |mut link: Link| {
            link.loss = 0.2;
            link
        };
        let links = [lossy(Link::new(&[(0, 4.0)])), lossy(wide())];
        let run = run(links, vec![stream(0, &[0..60], 0, 10, seed)], 60, seed);
        check(
            "20 % loss",
            seed,
            &Figures::new(&run.links[0], &[0], &counted(&[], 60)),
        );
    }
}
