//! What the viewer counted, compared with what the link really did.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use framegram_common::stats::{FrameRecord, Outcome};
use framegram_common::wire::native::Channel;
use framegram_tests::pair::Results;
use framegram_tests::truth::{Key, Truth};

/// Checks all counts, of the streams that were followed.
pub(crate) fn check(seed: u64, sent: &[Bytes], results: &Results) {
    // A sender of which no media arrived has only its own counts.
    if results.viewer.stream.followed == 0 {
        assert!(
            results.shown.is_empty() && results.records.is_empty(),
            "seed {seed}"
        );
        return;
    }
    let followed = || results.truths.iter().filter(|truth| truth.followed);
    check_packets(seed, results);
    let mut first_of_life = 0;
    for truth in &results.truths {
        if truth.followed {
            check_shown(seed, truth, &sent[first_of_life..], results);
            check_records(seed, truth, results);
        }
        first_of_life += frames_sent(truth);
    }
    let told = followed().count() > 0 && followed().all(|truth| truth.totals.is_some());
    let frames = &results.viewer.frames;
    assert_eq!(frames.sent.is_some(), told, "seed {seed}");
    check_sums(seed, results);
}

/// How many frames the stream's sender handed to the network.
fn frames_sent(truth: &Truth) -> usize {
    let frames = truth.sent.values().flatten();
    frames
        .map(|(frame, _)| *frame as usize + 1)
        .max()
        .unwrap_or(0)
}

fn check_packets(seed: u64, results: &Results) {
    let packets = &results.viewer.packets;
    let (mut sent, mut received, mut copies, mut reordered) = (0, 0, 0, 0);
    let (mut lost, mut corrupt, mut socket_dropped) = (0, 0, 0);
    let mut told_apart = true;
    for truth in results.truths.iter().filter(|truth| truth.followed) {
        let accountable = truth.accountable();
        let arrived = truth.received();
        let missing: BTreeSet<_> = accountable.difference(&arrived).copied().collect();
        sent += accountable.len() as u64;
        received += arrived.len() as u64;
        copies += truth.arrived.len() as u64;
        reordered += truth.reordered();
        let dropped = missing.iter().filter(|key| truth.dropped.contains_key(key));
        let dropped = dropped.count();
        // A drop of the socket buffer behind all that is known may account for a packet that the
        // network lost.
        told_apart &= truth.dropped.keys().all(|key| accountable.contains(key));
        corrupt += truth.corrupt;
        socket_dropped += dropped as u64;
        lost += (missing.len() - dropped) as u64;
    }
    let counted = [
        ("received", packets.received, received),
        ("duplicate", packets.duplicate, copies - received),
        ("reordered", packets.reordered, reordered),
        ("corrupt", packets.corrupt, corrupt),
    ];
    let (counted_lost, counted_dropped) = (packets.lost, packets.socket_dropped);
    if results.viewer.stream.followed > 0 {
        for (name, counted, truly) in counted {
            assert_eq!(counted, Some(truly), "seed {seed}: {name}");
        }
        let apart = counted_lost.zip(counted_dropped);
        if told_apart {
            assert_eq!(apart, Some((lost, socket_dropped)), "seed {seed}");
        } else {
            let sum = apart.map(|(lost, dropped)| lost + dropped);
            assert_eq!(sum, Some(lost + socket_dropped), "seed {seed}");
        }
    }
    if packets.sent.is_some() {
        assert_eq!(packets.sent, Some(sent), "seed {seed}");
    }
}

fn check_shown(seed: u64, truth: &Truth, sent: &[Bytes], results: &Results) {
    let mut newest = None;
    let shown = results.shown.iter();
    for frame in shown.filter(|frame| frame.id.stream == truth.stream) {
        let number = frame.id.number;
        assert_eq!(
            frame.jpeg, sent[number.0 as usize],
            "seed {seed}: frame {number:?} is not the one sent"
        );
        assert!(
            newest < Some(number),
            "seed {seed}: {number:?} after a newer one"
        );
        newest = Some(number);
    }
}

/// Checks that each frame has one record, in order, and that its outcome agrees with what the link
/// did to its packets.
fn check_records(seed: u64, truth: &Truth, results: &Results) {
    let all = results.records.iter();
    let all: Vec<_> = all.filter(|record| record.stream == truth.stream).collect();
    let records: Vec<_> = all
        .iter()
        .copied()
        .filter(|record| record.outcome != Outcome::BeforeJoining)
        .collect();
    let of_frames = |(key, chunk): (&(Channel, u64), &Option<(u32, u16)>)| {
        chunk
            .filter(|_| truth.arrived.contains(key))
            .map(|(frame, _)| u64::from(frame))
    };
    let arrived: BTreeSet<_> = truth.sent.iter().filter_map(of_frames).collect();
    let told = truth.totals.map_or(0, |(.., frames)| frames);
    // Parity may have reconstructed a frame of which no chunk arrived.
    let rebuilt = records.iter().filter(|record| record.chunks_by_parity > 0);
    let rebuilt = rebuilt.map(|record| record.number.0 + 1).max().unwrap_or(0);
    assert!(rebuilt <= frames_sent(truth) as u64, "seed {seed}");
    let end = arrived
        .last()
        .map_or(0, |last| last + 1)
        .max(told)
        .max(rebuilt);
    let numbers: Vec<_> = records.iter().map(|record| record.number.0).collect();
    let first = if !truth.from_start() {
        let joined = u64::from(all.len() > records.len());
        let lowest = arrived.first().map(|lowest| lowest + joined);
        let first = numbers.first().copied().unwrap_or(end);
        assert!(
            lowest.is_none_or(|lowest| first <= lowest),
            "seed {seed}: {first}, {arrived:?}"
        );
        first
    } else {
        0
    };
    assert_eq!(numbers, (first..end).collect::<Vec<_>>(), "seed {seed}");
    let known = KnownPackets::new(truth);
    for record in &records {
        // The viewer may not know of all packets of the first frame and of the last.
        if let Some(lost) = known.lost(record.number.0) {
            let all = record.chunks.map_or(lost, u64::from);
            let counted = record.chunks_lost.map_or(all, u64::from);
            assert_eq!(counted, lost, "seed {seed}: {record:?}");
        }
    }
    let mut at = 0;
    while at < records.len() {
        // Where no packet of several consecutive frames arrived in its first transmission, and
        // nothing of one of them, only the packets of all of them together are known.
        let absent = |record: &&FrameRecord| record.chunks_lost == record.chunks;
        let run = records[at..].iter().copied().take_while(absent).count();
        let together = known.outcome(records[at..at + run.max(1)].iter().map(|r| r.number.0));
        for record in &records[at..at + run.max(1)] {
            let own = known.outcome(std::iter::once(record.number.0));
            let hazy = known.is_hazy(record.number.0);
            check_outcome(seed, record, (own, together, hazy), results);
        }
        at += run.max(1);
    }
}

/// Checks the outcome of a frame against the fate of its `own` packets and of those of its
/// neighbours `together`. In a `hazy` gap, nothing distinguishes the packets that were lost from
/// those that were dropped.
fn check_outcome(
    seed: u64,
    record: &FrameRecord,
    (own, together, hazy): (Outcome, Outcome, bool),
    results: &Results,
) {
    let say =
        || format!("seed {seed}: {record:?}, truly {own:?}, with its neighbours {together:?}");
    let shown = results
        .shown
        .iter()
        .find(|frame| frame.id.stream == record.stream && frame.id.number == record.number);
    match record.outcome {
        Outcome::IntactUnrepaired => assert_eq!(own, Outcome::Late, "{}", say()),
        // What was repaired was lost, and not only late.
        Outcome::IntactRetransmission => assert!(
            record.chunks_by_retransmission > 0 && own != Outcome::Late,
            "{}",
            say()
        ),
        Outcome::IntactParity => assert!(
            record.chunks_by_parity > 0 && own != Outcome::Late,
            "{}",
            say()
        ),
        // All of it arrived in the end, from the first transmission or repaired.
        Outcome::Late => assert!(
            own == Outcome::Late || record.complete.is_some(),
            "{}",
            say()
        ),
        Outcome::LostUnknown => {
            let mixed = own == Outcome::LostUnknown || together == Outcome::LostUnknown || hazy;
            assert!(mixed, "{}", say());
        }
        outcome => assert_eq!(outcome, own, "{}", say()),
    }
    assert_eq!(record.outcome.is_intact(), shown.is_some(), "{}", say());
    assert_eq!(
        record.outcome.is_shown(),
        record.shown.is_some(),
        "{}",
        say()
    );
}

/// Checks that the frame counts are those of the records, and add up.
fn check_sums(seed: u64, results: &Results) {
    let (frames, outcomes) = (&results.viewer.frames, &results.viewer.outcomes);
    if results.viewer.stream.followed == 0 {
        return;
    }
    let of = |outcome| {
        results
            .records
            .iter()
            .filter(|record| record.outcome == outcome)
            .count() as u64
    };
    // The sender tells these.
    let told = [Outcome::NotSent, Outcome::BeforeJoining, Outcome::Replaced];
    for outcome in Outcome::all().filter(|outcome| !told.contains(outcome)) {
        let counted = outcomes[outcome];
        assert_eq!(Some(of(outcome)), counted, "seed {seed}: {}", outcome.key());
    }
    assert_eq!(
        frames.intact,
        Some(results.shown.len() as u64),
        "seed {seed}"
    );
    let Some(sent) = frames.sent else {
        assert_eq!(
            (outcomes[Outcome::BeforeJoining], frames.unaccounted),
            (None, None),
            "seed {seed}"
        );
        return;
    };
    let ended = [
        frames.shown,
        frames.incomplete,
        frames.lost,
        outcomes[Outcome::Late],
        outcomes[Outcome::Skipped],
        outcomes[Outcome::Undecodable],
        outcomes[Outcome::BeforeJoining],
    ];
    let ended = ended.iter().map(|count| count.unwrap()).sum::<u64>();
    assert_eq!(ended, sent, "seed {seed}: {frames:?}");
    assert_eq!(frames.unaccounted, Some(0), "seed {seed}: {outcomes:?}");
}

/// What really became of the packets of each frame, as far as the viewer can know them.
struct KnownPackets {
    /// By frame, the number of packets that arrived, that were lost or arrived corrupt, that were
    /// dropped in the socket buffer, and whose fate is unknown.
    frames: BTreeMap<u64, [u64; 4]>,
    /// The frames around a gap with packets that were lost and packets that the socket buffer
    /// dropped.
    hazy: BTreeSet<u64>,
}

impl KnownPackets {
    fn new(truth: &Truth) -> Self {
        let arrived = truth.received();
        let known = truth.accountable();
        let mut frames = BTreeMap::<u64, [u64; 4]>::new();
        for (packet, chunk) in truth.sent.range((Channel::Media, 0)..(Channel::Repair, 0)) {
            let Some((frame, _)) = chunk else { continue };
            let what = match packet {
                packet if !known.contains(packet) => 3,
                packet if arrived.contains(packet) => 0,
                packet if truth.dropped.contains_key(packet) => 2,
                _ => 1,
            };
            frames.entry(u64::from(*frame)).or_default()[what] += 1;
        }
        for (frame, chunks) in &truth.chunks {
            let known = frames.entry(u64::from(*frame)).or_default();
            // A sender that is killed does not send the rest.
            known[3] += (*chunks as u64).saturating_sub(known.iter().sum());
        }
        let hazy = hazy(truth, &arrived);
        Self { frames, hazy }
    }

    /// How many chunks of a frame did not arrive when first sent, if the fate of all is known.
    fn lost(&self, frame: u64) -> Option<u64> {
        let [_, lost, dropped, unknown] = self.frames.get(&frame)?;
        (*unknown == 0).then_some(lost + dropped)
    }

    fn is_hazy(&self, frame: u64) -> bool {
        self.hazy.contains(&frame)
    }

    /// The outcome of frames that were not shown in time, from all their packets together.
    fn outcome(&self, frames: impl Iterator<Item = u64>) -> Outcome {
        let mut all = [0; 4];
        for frame in frames {
            let own = self.frames.get(&frame).copied().unwrap_or([0, 0, 0, 1]);
            all.iter_mut()
                .zip(own)
                .for_each(|(sum, count)| *sum += count);
        }
        match all {
            [_, 0, 0, 0] => Outcome::Late,
            [_, 0, 0, _] => Outcome::TailUnknown,
            [_, _, 0, _] => Outcome::LostNetwork,
            [_, 0, _, _] => Outcome::LostSocket,
            _ => Outcome::LostUnknown,
        }
    }
}

/// The frames with packets between the last one of a channel that arrived before the socket buffer
/// was full and the first one after it, if the network lost a packet of any channel there too. The
/// system counts the datagrams that it drops, but does not name them.
fn hazy(truth: &Truth, arrived: &BTreeSet<Key>) -> BTreeSet<u64> {
    let (Some(first), Some(last)) = (truth.dropped.values().min(), truth.dropped.values().max())
    else {
        return BTreeSet::new();
    };
    let (before, after) = (&truth.arrived[..*first], &truth.arrived[*last..]);
    let mut gap = BTreeSet::new();
    for channel in [Channel::Media, Channel::Repair, Channel::Control] {
        let own = |key: &&Key| key.0 == channel;
        let from = before.iter().rfind(own).copied().unwrap_or((channel, 0));
        let to = after.iter().find(own).copied();
        let to = to.unwrap_or((channel, u64::MAX));
        gap.extend(truth.sent.range(from..=to).map(|(key, _)| *key));
    }
    let lost = |key: &&Key| !arrived.contains(key) && !truth.dropped.contains_key(key);
    if !gap.iter().any(|key| lost(&key)) {
        return BTreeSet::new();
    }
    let frames = gap.iter().filter_map(|key| truth.sent[key]);
    frames.map(|(frame, _)| u64::from(frame)).collect()
}
