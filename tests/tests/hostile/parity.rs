//! Forged parity.

use super::*;
use framegram_common::fec::Fec;
use framegram_common::seq::FrameSeq;
use framegram_common::stats::Outcome;
use framegram_common::wire::native::{MAX_CHUNKS, Parity};

/// Makes one or more fields false.
fn lie(parity: &mut Parity<'_>, shard: &mut Vec<u8>, rng: &mut Rng) {
    match rng.u8(..8) {
        0 => {
            let at = rng.usize(..parity.counts.len());
            parity.counts[at] = rng.u16(1..400);
        }
        1 => parity.block = parity.block.wrapping_add(rng.u16(..3)),
        2 => {
            parity.first = FrameSeq::new(
                parity
                    .first
                    .bits()
                    .wrapping_add(rng.u32(..4))
                    .wrapping_sub(2),
            );
        }
        3 => parity.shards = rng.u16(parity.index + 1..MAX_CHUNKS as u16),
        4 => parity.index = rng.u16(..parity.shards),
        5 => {
            let len = rng.usize(9..700) * 2;
            shard.resize(len, 0);
        }
        6 => {
            let at = rng.usize(..shard.len());
            shard[at] ^= rng.u8(1..);
        }
        _ => rng.fill(shard),
    }
}

#[test]
fn no_frame_is_called_intact_that_is_not_the_frame_sent() {
    for seed in 0..400 {
        let mut rng = Rng::with_seed(seed);
        let most = [1_500, 6_000, 40_000][rng.usize(..3)];
        let sent = random_frames(&mut rng, 20, most);
        let lies = [0.1, 0.5, 1.0][rng.usize(..3)];
        let (watched, memory) = measure(|| {
            tampered(
                &sent,
                sender::Config {
                    fec: Fec::Fixed(0.3),
                    ..sender::Config::default()
                },
                receiver::Config::default(),
                |datagram, _| match Packet::decode(datagram).unwrap() {
                    (header, Packet::Parity(mut parity)) if rng.f64() < lies => {
                        let mut shard = parity.shard.to_vec();
                        for _ in 0..rng.usize(1..4) {
                            lie(&mut parity, &mut shard, &mut rng);
                        }
                        parity.shard = &shard;
                        vec![again(header, &Packet::Parity(parity))]
                    }
                    (_, Packet::Chunk(_)) if rng.u8(..10) == 0 => Vec::new(),
                    _ => vec![datagram.to_vec()],
                },
            )
        });
        assert_true(seed, &watched, &sent);
        assert_bounded(&format!("seed {seed}"), memory, MOST_MEMORY);
        let statistics = watched.statistics();
        let (frames, outcomes) = (&statistics.frames, &statistics.outcomes);
        let ended = [
            frames.shown,
            frames.incomplete,
            frames.lost,
            outcomes[Outcome::Late],
            outcomes[Outcome::Skipped],
            outcomes[Outcome::Undecodable],
        ];
        let all = ended.iter().map(|count| count.unwrap()).sum::<u64>();
        assert_eq!(frames.sent, Some(all), "seed {seed}: {frames:?}");
    }
}

/// Work for nothing: one chunk of one frame, and a code of the greatest length that can be claimed.
#[test]
fn one_datagram_does_not_cause_a_code_of_gigabytes() {
    for (counts, shards, size) in [
        (vec![1], MAX_CHUNKS, 60_000),
        (vec![1; 16], MAX_CHUNKS, 60_000),
        (vec![2], MAX_CHUNKS, 1_400),
        (vec![1], 1 << 10, 60_000),
    ] {
        let shard = vec![0x5a; size];
        let mut forger = Forger::new();
        let mut watched = Watched::new(receiver::Config::default());
        let data = [0; 100];
        for number in 0..16 {
            let chunk = claim(FrameNumber(number), 200, 100, 0, &data);
            watched.take(&forger.datagram(&Packet::Chunk(chunk), START), START);
        }
        // The frames above lack one of two chunks. Nothing of the frames below arrived.
        for first in 0..32_u32 {
            let parity = Parity {
                block: first as u16,
                first: FrameSeq::new(first),
                counts: counts.clone(),
                shards: shards as u16,
                index: 0,
                shard: &shard,
            };
            let datagram = forger.datagram(&Packet::Parity(parity), START);
            let ((), memory) = measure(|| watched.take(&datagram, START));
            let most = (64 << 10) + 200 * datagram.len();
            assert!(memory.taken < most, "{counts:?}, {shards}: {memory:?}");
        }
    }
}

/// All the work for one datagram: a long frame that lacks one chunk, and again and again one false
/// shard to reconstruct it from.
#[test]
fn forged_parity_does_not_cause_unbounded_work() {
    let (data, shard) = (vec![0; 1_000], vec![0x5a; 1_030]);
    let mut forger = Forger::new();
    let mut watched = Watched::new(receiver::Config {
        playout_delay: Duration::from_secs(30),
        ..receiver::Config::default()
    });
    for index in 0..1_999 {
        let chunk = claim(FrameNumber(0), 2_000_000, 1_000, index, &data);
        watched.take(&forger.datagram(&Packet::Chunk(chunk), START), START);
    }
    let ((), memory) = measure(|| {
        for block in 0..500 {
            let parity = Parity {
                block,
                first: FrameSeq::new(0),
                counts: vec![2_000],
                shards: 64,
                index: 1,
                shard: &shard,
            };
            watched.take(&forger.datagram(&Packet::Parity(parity), START), START);
        }
    });
    assert!(memory.taken < 64 << 20, "{memory:?}");
}

/// Blocks and shards without limit, of frames that are waited for.
#[test]
fn memory_is_bounded_under_a_flood_of_parity() {
    for (shards, size) in [(MAX_CHUNKS, 30), (MAX_CHUNKS, 1_400), (64, 30_000)] {
        let shard = vec![0; size];
        let (_, memory) = measure(|| {
            let mut forger = Forger::new();
            let mut watched = Watched::new(receiver::Config {
                playout_delay: Duration::from_secs(30),
                ..receiver::Config::default()
            });
            let data = [0; 1_000];
            let chunk = claim(FrameNumber(0), 1_000_000, 1_000, 0, &data);
            watched.take(&forger.datagram(&Packet::Chunk(chunk), START), START);
            let mut now = START;
            for turn in 0..20_000_u32 {
                let parity = Parity {
                    block: (turn / 300) as u16,
                    first: FrameSeq::new(0),
                    counts: vec![1_000],
                    shards: shards as u16,
                    index: (turn % 300) as u16 % shards as u16,
                    shard: &shard,
                };
                watched.take(&forger.datagram(&Packet::Parity(parity), now), now);
                now += Duration::from_micros(10);
            }
        });
        assert_bounded(&format!("{shards} shards of {size}"), memory, MOST_MEMORY);
    }
}
