//! The two state machines over an impaired link: whatever it does, a frame
//! counted intact is the frame sent, and the counts are the link's own.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use framegram_common::FrameNumber;
use framegram_common::ledger::{Fate, FrameRecord};
use framegram_common::link::{GilbertElliott, Impairment};
use framegram_common::transmitter;
use framegram_common::wire::native::Channel;
use framegram_tests::pair::{self, Outcomes, Scenario, Truth};

/// How many seeds each property is tried with.
const SEEDS: u64 = 1000;

/// Seeds that failed once; they come first.
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

/// Any mixture of loss, bursts, delay, reordering, duplication and corruption
/// that leaves every packet within the viewer's patience.
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

/// Every packet from the first received (or from the stream's start, where the
/// viewer listened then) to what the newest totals received say.
fn accountable(truth: &Truth, from_start: bool) -> Vec<(Channel, u64)> {
    let arrived: BTreeSet<_> = truth.arrived.iter().copied().collect();
    let totals = truth.totals.map_or([0; 3], |(_, channels, _)| channels);
    let joined = truth.first_totals.unwrap_or_default();
    [Channel::Media, Channel::Repair, Channel::Control]
        .into_iter()
        .zip(totals.into_iter().zip(joined))
        .flat_map(|(channel, (total, joined))| {
            let of_channel = || {
                arrived
                    .range((channel, 0)..=(channel, u64::MAX))
                    .map(|key| key.1)
            };
            let first = of_channel()
                .next()
                .map_or(joined, |first| first.min(joined));
            let first = if from_start { 0 } else { first };
            let end = of_channel()
                .next_back()
                .map_or(0, |last| last + 1)
                .max(total);
            (first..end).map(move |number| (channel, number))
        })
        .collect()
}

fn check_packets(seed: u64, outcomes: &Outcomes) {
    let truth = &outcomes.truth;
    let packets = &outcomes.viewer.packets;
    let expected = accountable(truth, true);
    let arrived: BTreeSet<_> = truth.arrived.iter().copied().collect();
    let missing: Vec<_> = expected
        .iter()
        .filter(|packet| !arrived.contains(packet))
        .collect();
    let damaged = missing
        .iter()
        .filter(|packet| truth.damaged.contains(packet))
        .count() as u64;
    let mut highest = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let mut reordered = 0;
    for (channel, number) in &truth.arrived {
        let highest = highest.entry(*channel).or_insert(*number);
        reordered += u64::from(seen.insert((*channel, *number)) && number < highest);
        *highest = (*highest).max(*number);
    }
    assert_eq!(packets.sent, Some(expected.len() as u64), "seed {seed}");
    assert_eq!(packets.received, Some(arrived.len() as u64), "seed {seed}");
    assert_eq!(
        packets.duplicate,
        Some((truth.arrived.len() - arrived.len()) as u64),
        "seed {seed}"
    );
    assert_eq!(packets.reordered, Some(reordered), "seed {seed}");
    assert_eq!(packets.socket_dropped, Some(0));
    let (lost, corrupt) = (packets.lost.unwrap(), packets.corrupt.unwrap());
    assert_eq!(lost + corrupt, missing.len() as u64, "seed {seed}");
    // A copy whose header is damaged does not say whose copy it is: that of a
    // packet of which a good one arrived, or that is younger than the newest
    // totals, is taken for a packet of its own.
    let unknowable = truth.damaged.len() as u64 - damaged;
    assert!(
        corrupt.abs_diff(damaged) <= unknowable.min(truth.unnumbered),
        "seed {seed}: corrupt {corrupt}, truly {damaged}"
    );
}

fn check_frames(seed: u64, sent: &[Bytes], first: FrameNumber, outcomes: &Outcomes) {
    let mut newest = None;
    for frame in &outcomes.shown {
        let index = (frame.id.number.0 - first.0) as usize;
        assert_eq!(
            frame.jpeg, sent[index],
            "seed {seed}: frame {index} is not the one sent"
        );
        assert!(
            newest < Some(frame.id.number),
            "seed {seed}: frame {index} after a newer one"
        );
        newest = Some(frame.id.number);
    }
    let frames = &outcomes.viewer.frames;
    assert_eq!(
        frames.intact,
        Some(outcomes.shown.len() as u64),
        "seed {seed}"
    );
    let ended = [
        frames.shown,
        frames.incomplete,
        frames.lost,
        frames.late,
        frames.superseded,
        frames.undecodable,
        frames.before_joining,
    ];
    assert_eq!(
        ended.iter().map(|count| count.unwrap()).sum::<u64>(),
        frames.sent.unwrap(),
        "seed {seed}: {frames:?}"
    );
}

/// Each frame has one record, in order, and its fate is what the link did to
/// its packets.
fn check_records(seed: u64, outcomes: &Outcomes) {
    let fates = &outcomes.viewer.fates;
    let first = fates.before_joining.unwrap_or(0);
    let sent = outcomes.viewer.frames.sent.unwrap_or(0);
    let records: Vec<_> = outcomes
        .records
        .iter()
        .filter(|record| record.fate != Fate::BeforeJoining)
        .collect();
    let numbers: Vec<_> = records.iter().map(|record| record.number.0).collect();
    assert_eq!(numbers, (first..sent).collect::<Vec<_>>(), "seed {seed}");
    let of = |fate| Some(records.iter().filter(|record| record.fate == fate).count() as u64);
    let counted = [
        (Fate::IntactUnrepaired, fates.intact_unrepaired),
        (Fate::IntactRequest, fates.intact_request),
        (Fate::IntactParity, fates.intact_parity),
        (Fate::Concealed, fates.concealed),
        (Fate::Late, fates.late),
        (Fate::Corrupt, fates.corrupt),
        (Fate::Mixed, fates.mixed),
        (Fate::LostSocket, fates.lost_socket),
        (Fate::LostNetwork, fates.lost_network),
        (Fate::TailUnknown, fates.tail_unknown),
        (Fate::Open, fates.open),
    ];
    for (fate, count) in counted {
        assert_eq!(of(fate), count, "seed {seed}: {}", fate.name());
    }
    assert_eq!(fates.unaccounted, Some(0), "seed {seed}: {fates:?}");
    let known = KnownPackets::new(&outcomes.truth);
    let mut at = 0;
    while at < records.len() {
        // Of frames in a row of which no packet arrived as sent first, and one
        // of which nothing arrived, only the packets of all of them are known.
        let absent = |record: &&FrameRecord| record.chunks_lost == record.chunks;
        let run = records[at..].iter().copied().take_while(absent).count();
        let together = known.fate(records[at..at + run.max(1)].iter().map(|r| r.number.0));
        for record in &records[at..at + run.max(1)] {
            let own = known.fate(std::iter::once(record.number.0));
            check_fate(seed, record, own, together, outcomes);
        }
        at += run.max(1);
    }
}

fn check_fate(seed: u64, record: &FrameRecord, own: Fate, together: Fate, outcomes: &Outcomes) {
    let say =
        || format!("seed {seed}: {record:?}, truly {own:?}, with its neighbours {together:?}");
    let shown = outcomes
        .shown
        .iter()
        .find(|frame| frame.id.number == record.number);
    match record.fate {
        Fate::IntactUnrepaired => assert_eq!(own, Fate::Late, "{}", say()),
        Fate::IntactRequest => assert!(record.chunks_by_request > 0, "{}", say()),
        Fate::IntactParity => assert!(record.chunks_by_parity > 0, "{}", say()),
        // All of it came in the end, as sent first or repaired.
        Fate::Late => assert!(own == Fate::Late || record.complete.is_some(), "{}", say()),
        Fate::Mixed => assert!(own == Fate::Mixed || together == Fate::Mixed, "{}", say()),
        fate => assert_eq!(fate, own, "{}", say()),
    }
    assert_eq!(record.fate.is_intact(), shown.is_some(), "{}", say());
    assert_eq!(record.fate.is_shown(), record.shown.is_some(), "{}", say());
}

/// What truly became of the packets of each frame, as far as the viewer can
/// know of them.
struct KnownPackets {
    /// By frame: packets that arrived, damaged ones, lost ones, and those that
    /// nothing tells of.
    frames: BTreeMap<u64, [u64; 4]>,
}

impl KnownPackets {
    fn new(truth: &Truth) -> Self {
        let arrived: BTreeSet<_> = truth.arrived.iter().copied().collect();
        let known: BTreeSet<_> = accountable(truth, true).into_iter().collect();
        let mut frames = BTreeMap::<u64, [u64; 4]>::new();
        for (packet, chunk) in truth.sent.range((Channel::Media, 0)..(Channel::Repair, 0)) {
            let Some((frame, _)) = chunk else { continue };
            let what = match packet {
                packet if !known.contains(packet) => 3,
                packet if arrived.contains(packet) => 0,
                packet if truth.damaged.contains(packet) => 1,
                _ => 2,
            };
            frames.entry(u64::from(*frame)).or_default()[what] += 1;
        }
        Self { frames }
    }

    /// The fate of frames that were not shown in time: of all their packets
    /// together.
    fn fate(&self, frames: impl Iterator<Item = u64>) -> Fate {
        let mut all = [0; 4];
        for frame in frames {
            let own = self.frames.get(&frame).copied().unwrap_or([0, 0, 0, 1]);
            all.iter_mut()
                .zip(own)
                .for_each(|(sum, count)| *sum += count);
        }
        match all {
            [_, 0, 0, 0] => Fate::Late,
            [_, 0, 0, _] => Fate::TailUnknown,
            [_, _, 0, _] => Fate::Corrupt,
            [_, 0, _, _] => Fate::LostNetwork,
            _ => Fate::Mixed,
        }
    }
}

#[test]
fn intact_frames_are_the_frames_sent_and_the_counts_are_the_links_own() {
    for seed in seeds() {
        let mut rng = Rng::with_seed(seed);
        let scenario = scenario(&mut rng);
        let count = rng.usize(1..40);
        let sent = frames(&mut rng, count);
        let outcomes = pair::run(&scenario, &sent);
        if outcomes.truth.totals.is_none() {
            assert_eq!(outcomes.viewer.frames.sent, None, "seed {seed}");
            continue;
        }
        check_packets(seed, &outcomes);
        check_frames(seed, &sent, FrameNumber(0), &outcomes);
        check_records(seed, &outcomes);
    }
}

#[test]
fn a_clean_link_delivers_every_frame_and_the_first_one_first() {
    for seed in 0..100 {
        let mut rng = Rng::with_seed(seed);
        let sent = frames(&mut rng, 30);
        let outcomes = pair::run(&Scenario::default(), &sent);
        assert_eq!(outcomes.shown.len(), sent.len());
        assert_eq!(outcomes.shown[0].jpeg, sent[0]);
        assert_eq!(outcomes.viewer.frames.captured, Some(30));
        assert_eq!(outcomes.sender.frames.intact, outcomes.viewer.frames.intact);
        check_packets(seed, &outcomes);
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
        let outcomes = pair::run(&scenario, &sent);
        let intact = (outcomes.viewer.frames.intact, outcomes.viewer.frames.late);
        assert_eq!(intact, (Some(40), Some(0)), "seed {seed}");
        check_frames(seed, &sent, FrameNumber(0), &outcomes);
    }
}

#[test]
fn frame_numbers_cross_their_wrap() {
    for seed in 0..50 {
        let mut rng = Rng::with_seed(seed);
        let first = FrameNumber((1 << 32) - 10);
        let mut scenario = scenario(&mut rng);
        scenario.transmitter = transmitter::Config {
            first_frame: first,
            ..scenario.transmitter
        };
        let sent = frames(&mut rng, 30);
        let outcomes = pair::run(&scenario, &sent);
        for frame in &outcomes.shown {
            assert_eq!(
                frame.jpeg,
                sent[(frame.id.number.0 - first.0) as usize],
                "seed {seed}"
            );
        }
    }
}

#[test]
fn a_viewer_that_joins_late_counts_from_its_first_packet() {
    for seed in 0..200 {
        let mut rng = Rng::with_seed(seed);
        let mut scenario = scenario(&mut rng);
        scenario.forward.delay = scenario.forward.delay.min(Duration::from_millis(100));
        scenario.join = Duration::from_micros(rng.u64(200_000..600_000));
        let sent = frames(&mut rng, 40);
        let outcomes = pair::run(&scenario, &sent);
        if outcomes.truth.totals.is_none() || outcomes.shown.is_empty() {
            continue;
        }
        let expected = accountable(&outcomes.truth, false);
        let packets = &outcomes.viewer.packets;
        assert_eq!(packets.sent, Some(expected.len() as u64), "seed {seed}");
        assert!(
            outcomes.viewer.frames.before_joining > Some(0),
            "seed {seed}"
        );
        check_frames(seed, &sent, FrameNumber(0), &outcomes);
    }
}

#[test]
fn frames_lost_at_the_tail_are_counted() {
    let sent = vec![Bytes::from(vec![7; 5_000]); 30];
    let mtu = Impairment {
        mtu: Some(400),
        ..Impairment::default()
    };
    let outcomes = pair::run(
        &Scenario {
            forward: mtu,
            ..Scenario::default()
        },
        &sent,
    );
    let frames = &outcomes.viewer.frames;
    assert_eq!((frames.sent, frames.lost), (Some(30), Some(30)));
    check_packets(0, &outcomes);
}
