//! A sender and viewers on paths that carry less than the source could make, or
//! much more.

use std::time::Duration;

use framegram_common::sender::Rate;
use framegram_common::stats::Outcome;
use framegram_lab::impair::Impairment;
use framegram_tests::adapting::{HeldBack, INTERVAL, Run, Source, percentile, play};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// Seeds of the sources: all with `FRAMEGRAM_ALL_SEEDS`.
fn seeds() -> std::ops::Range<u64> {
    match std::env::var_os("FRAMEGRAM_ALL_SEEDS") {
        Some(_) => 0..10,
        None => 0..2,
    }
}

fn source(natural: fn(Duration) -> usize, seconds: u32, seed: u64) -> Source {
    Source {
        every: INTERVAL,
        held_back: HeldBack::Replaced,
        late: Duration::ZERO,
        pattern: None,
        natural,
        plays: seconds * SECOND,
        rate: Rate::Auto { first: None },
        seed,
    }
}

/// Plays to one viewer.
fn play_one(source: Source, path: Impairment, changes: &[(Duration, u64)]) -> Run {
    play(source, &[path], changes).remove(0).run
}

/// A path as tbf shapes it with a small bucket.
fn bucket(rate: u64) -> Impairment {
    Impairment {
        rate: Some(rate),
        queue: 100 * MS,
        bucket: 16_384,
        delay: MS,
        ..Impairment::default()
    }
}

/// What a stream makes of a path with a token bucket, two seconds after it came to
/// carry this many bits a second: the part used, the longest queue at the 95th
/// percentile, the part of the datagrams lost.
fn check_bucket(case: &str, run: &Run, rate: u64, from: Duration, to: Duration) {
    let used = run.rate(from + 2 * SECOND, to) / rate as f64;
    let queue = run.queue(95, from + 2 * SECOND, to);
    let first = run.dropped(from, from + 2 * SECOND);
    let dropped = run.dropped(from + 2 * SECOND, to);
    println!("{case}: {used:.3} used, queue {queue:?}, {first:.4} and {dropped:.4} dropped");
    assert!((0.85..=1.0).contains(&used), "{case}: {used}");
    assert!(queue <= 25 * MS, "{case}: {queue:?}");
    assert!(dropped < 0.005, "{case}: {dropped}");
    // The first frame shows what the path carries.
    assert!(from > Duration::ZERO || first < 0.005, "{case}: {first}");
}

#[test]
fn a_token_bucket_does_not_hide_what_a_path_carries() {
    for seed in seeds() {
        for (rate, natural) in [
            (20_000_000, (|_| 250_000) as fn(Duration) -> usize),
            (3_000_000, |_| 35_000),
        ] {
            let run = play_one(source(natural, 12, seed), bucket(rate), &[]);
            let case = format!("{rate} bit/s, seed {seed}");
            check_bucket(&case, &run, rate, Duration::ZERO, 12 * SECOND);
        }
    }
}

#[test]
fn behind_a_token_bucket_a_stream_follows_what_the_path_comes_to_carry() {
    for seed in seeds() {
        let changes = [(12 * SECOND, 5_000_000), (24 * SECOND, 50_000_000)];
        let run = play_one(source(|_| 250_000, 36, seed), bucket(20_000_000), &changes);
        let rates = [(0, 20_000_000), (12, 5_000_000), (24, 50_000_000)];
        for (from, rate) in rates {
            let case = format!("{rate} bit/s, seed {seed}");
            check_bucket(&case, &run, rate, from * SECOND, (from + 12) * SECOND);
        }
    }
}

/// Frames that pass the bucket, and now and then a scene of large ones.
fn scenes(at: Duration) -> usize {
    if at.as_secs() % 5 == 4 { 60_000 } else { 6_000 }
}

#[test]
fn small_frames_that_pass_a_token_bucket_prove_nothing_of_large_ones() {
    for seed in seeds() {
        let run = play_one(source(scenes, 30, seed), bucket(3_000_000), &[]);
        // The first large frame has 60,000 bytes, more than queue and bucket hold. It is captured
        // within an interval of the fourth second, and has left before the next one.
        let met = 4 * SECOND + 2 * INTERVAL;
        let first = run.passed.iter().filter(|it| it.at < met);
        let first = first.filter(|it| it.waited.is_none()).count();
        let queue = run.queue(95, met, 30 * SECOND);
        let dropped = run.dropped(met, 30 * SECOND);
        println!("seed {seed}: {first} dropped of the first, then queue {queue:?}, {dropped:.4}");
        assert!(first <= 60_000 / 1_452, "seed {seed}: {first}");
        assert!(dropped < 0.005, "seed {seed}: {dropped}");
    }
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
        let run = play_one(source(|_| 250_000, 12, 0), path, &[]);
        let used = run.rate(2 * SECOND, 12 * SECOND) / rate as f64;
        let late = run.delay(95, 2 * SECOND);
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

/// Flat scenes, and after each one of frames ten times as long: the first after 3 s, the
/// second after 17 s, when the long frames before it are no longer recent.
fn cuts(at: Duration) -> usize {
    match at.as_secs() {
        3..5 | 17..20 => 200_000,
        _ => 20_000,
    }
}

#[test]
fn a_path_that_was_never_seen_to_queue_limits_no_frame() {
    for seed in seeds() {
        for rate in [1_000_000_000, 100_000_000] {
            let path = Impairment {
                rate: Some(rate),
                queue: 20 * MS,
                delay: MS / 10,
                ..Impairment::default()
            };
            let auto = source(cuts, 20, seed);
            let fixed = Source {
                rate: Rate::Fixed,
                ..auto
            };
            let [auto, fixed] = [auto, fixed].map(|it| play_one(it, path.clone(), &[]));
            let sent = [&auto, &fixed].map(|run| run.rate(Duration::ZERO, 20 * SECOND));
            let delays = [&auto, &fixed].map(|run| [50, 99].map(|at| run.delay(at, SECOND)));
            let case = format!("{rate} bit/s, seed {seed}");
            println!("{case}: {sent:.0?} bit/s, p50 and p99 {delays:?}");
            assert_eq!(auto.shortened, [], "{case}");
            assert_eq!(auto.frames, fixed.frames, "{case}");
            let long = Duration::ZERO..20 * SECOND;
            for run in [&auto, &fixed] {
                assert_eq!(run.dropped(long.start, long.end), 0.0, "{case}");
                // The last frame may still be on its way.
                assert!(run.complete.len() + 1 >= run.frames, "{case}");
            }
            assert!(
                (0.99..1.01).contains(&(sent[0] / sent[1])),
                "{case}: {sent:?}"
            );
            for (auto, fixed) in delays[0].iter().zip(delays[1]) {
                assert!(*auto <= fixed + MS, "{case}: {delays:?}");
            }
        }
    }
}

/// Frames that nothing limits, and from the third second on ones that a path of
/// 20 Mbit/s does not carry.
fn too_much(at: Duration) -> usize {
    if at.as_secs() < 3 { 12_000 } else { 250_000 }
}

#[test]
fn of_the_frames_that_meet_a_limit_one_is_late() {
    for seed in seeds() {
        let path = Impairment {
            rate: Some(20_000_000),
            queue: 300 * MS,
            delay: MS,
            ..Impairment::default()
        };
        let run = play_one(source(too_much, 8, seed), path, &[]);
        let late = run.complete.iter().filter(|(_, took)| *took > 2 * INTERVAL);
        let late: Vec<_> = late.collect();
        let queue = run.queue(95, 3 * SECOND + 150 * MS, 8 * SECOND);
        let used = run.rate(4 * SECOND, 8 * SECOND) / 20e6;
        println!("seed {seed}: {late:?} late, then queue {queue:?}, {used:.3} used");
        assert!(late.len() <= 1, "seed {seed}: {late:?}");
        assert!(queue <= 25 * MS, "seed {seed}: {queue:?}");
        assert!(used >= 0.85, "seed {seed}: {used}");
        assert_eq!(run.dropped(Duration::ZERO, 8 * SECOND), 0.0, "seed {seed}");
    }
}

#[test]
fn on_a_wide_path_a_frame_leaves_at_once() {
    let path = Impairment {
        delay: MS / 10,
        ..Impairment::default()
    };
    let run = play_one(source(|_| 200_000, 5, 0), path, &[]);
    let leaving = percentile(run.leaving[60..].to_vec(), 99);
    println!("99 % leave within {leaving:?}, rate {:?}", run.rates.last());
    assert!(leaving < 2 * MS, "{leaving:?}");
    // The last frame may still be on its way.
    assert!(run.complete.len() + 1 >= run.frames, "{run:?}");
}

#[test]
fn a_slow_viewer_is_sent_fewer_frames_and_takes_nothing_from_another() {
    for seed in seeds() {
        let clean = Impairment {
            delay: MS,
            ..Impairment::default()
        };
        let slow = Impairment {
            loss: 0.05,
            rate: Some(10_000_000),
            queue: 300 * MS,
            delay: 10 * MS,
            seed,
            ..Impairment::default()
        };
        let stream = source(|_| 60_000, 12, seed);
        let alone = play(stream, std::slice::from_ref(&clean), &[])
            .remove(0)
            .run;
        let mut both = play(stream, &[slow, clean], &[]);
        let (beside, slow) = (both.remove(1).run, both.remove(0));
        let sent = |run: &Run| run.rate(Duration::ZERO, 12 * SECOND);
        let ratio = sent(&beside) / sent(&alone);
        let delays = [&alone, &beside].map(|run| run.delay(95, 2 * SECOND));
        let seen = slow.receiver.statistics();
        let frames = seen.frames.sent.unwrap();
        let complete = slow.run.complete.len() as u64;
        println!(
            "seed {seed}: bytes {ratio:.4}, delay {delays:?}; the slow one: {complete} of {frames} \
             frames complete in {:?}, {:.0} bit/s",
            slow.run.delay(95, 2 * SECOND),
            sent(&slow.run),
        );
        assert!((0.97..=1.03).contains(&ratio), "seed {seed}: {ratio}");
        assert!(
            delays[1] <= delays[0].mul_f64(1.03),
            "seed {seed}: {delays:?}"
        );
        assert!(beside.complete.len() + 1 >= beside.frames, "seed {seed}");
        // Fewer frames, and these complete but for some before the path was known.
        assert!(complete > 120 && complete + 10 >= frames, "seed {seed}");
        // Those left out are none that it waits for.
        assert_eq!(seen.frames.unaccounted, Some(0), "{:?}", seen.frames);
        assert!(seen.outcomes[Outcome::Replaced] > Some(60));
        assert_eq!(seen.outcomes[Outcome::Corrupt], Some(0), "seed {seed}");
        // It knows how far apart its frames are.
        let told = seen.paths[0].frame_interval_ms.unwrap();
        let captured: Vec<_> = slow.run.complete.iter().map(|(at, _)| *at).collect();
        let newest = &captured[captured.len() - TOLD_FRAMES - 1..];
        let mean = (newest[TOLD_FRAMES] - newest[0]).as_secs_f64() * 1e3 / TOLD_FRAMES as f64;
        println!("seed {seed}: {mean:.1} ms from frame to frame, told {told:.1} ms");
        assert!((told / mean - 1.0).abs() < 0.25, "{told} ms, {mean} ms");
    }
}

/// The told interval is a mean over about this many of the newest frames.
const TOLD_FRAMES: usize = 16;

#[test]
fn slow_viewers_share_a_second_encoding_and_get_all_of_its_frames() {
    for seed in seeds() {
        let clean = Impairment {
            delay: MS,
            ..Impairment::default()
        };
        let slow = |rate, loss| Impairment {
            loss,
            rate: Some(rate),
            queue: 300 * MS,
            delay: 10 * MS,
            seed,
            ..Impairment::default()
        };
        let stream = source(|_| 200_000, 14, seed);
        let alone = play(stream, std::slice::from_ref(&clean), &[])
            .remove(0)
            .run;
        let paths = [slow(10_000_000, 0.05), clean, slow(12_000_000, 0.0)];
        let mut all = play(stream, &paths, &[]);
        let beside = all.remove(1).run;
        let sent = |run: &Run| run.rate(Duration::ZERO, 14 * SECOND);
        let ratio = sent(&beside) / sent(&alone);
        let delays = [&alone, &beside].map(|run| run.delay(95, 2 * SECOND));
        println!("seed {seed}: bytes {ratio:.4}, delay {delays:?}");
        assert!((0.97..=1.03).contains(&ratio), "seed {seed}: {ratio}");
        assert!(
            delays[1] <= delays[0].mul_f64(1.03),
            "seed {seed}: {delays:?}"
        );
        assert!(beside.complete.len() + 1 >= beside.frames, "seed {seed}");
        for slow in all {
            let run = &slow.run;
            let seen = slow.receiver.statistics();
            let after = |(at, _): &&(Duration, Duration)| *at >= 6 * SECOND;
            let complete = run.complete.iter().filter(after).count();
            let share = complete as f64 / (8.0 / INTERVAL.as_secs_f64());
            let (queue, delay) = (
                run.queue(95, 6 * SECOND, 14 * SECOND),
                run.delay(95, 6 * SECOND),
            );
            println!(
                "seed {seed}: {share:.2} of the frames, queue {queue:?}, delay {delay:?}, {:.0} bit/s",
                run.rate(6 * SECOND, 14 * SECOND)
            );
            // Its path carries a quarter of the first encoding.
            assert!(share > 0.9, "seed {seed}: {share}");
            assert_eq!(seen.frames.unaccounted, Some(0), "{:?}", seen.frames);
            assert_eq!(seen.outcomes[Outcome::Corrupt], Some(0), "seed {seed}");
        }
    }
}

/// A source that makes 22 frames a second in place of the 30 that it tells.
const SLOW: Duration = Duration::from_millis(45);

/// How late a sender is at most, and the part of the path that it uses nevertheless.
const LATE_USES: [(Duration, f64); 3] = [
    (Duration::ZERO, 0.85),
    (Duration::from_millis(5), 0.85),
    (Duration::from_millis(20), 0.7),
];

/// Checks that a source that could make three times as much uses this part of a path of 10 Mbit/s.
fn check_used(stream: Source, least: f64) {
    let run = play_one(stream, bucket(10_000_000), &[]);
    let (from, to) = (2 * SECOND, stream.plays);
    let used = run.rate(from, to) / 10e6;
    let (queue, dropped) = (run.queue(95, from, to), run.dropped(from, to));
    let case = format!("{stream:?}: {used:.3} used, queue {queue:?}, {dropped:.4} dropped");
    println!("{case}");
    assert!((least..=1.0).contains(&used), "{case}");
    assert!(dropped < 0.005, "{case}");
}

#[test]
fn a_sender_that_waits_for_the_processor_or_its_source_fills_its_path() {
    for (seed, (late, least)) in seeds().flat_map(|seed| LATE_USES.map(|case| (seed, case))) {
        for held_back in [HeldBack::Replaced, HeldBack::Wait(3)] {
            for every in [INTERVAL, SLOW] {
                let stream = Source {
                    every,
                    held_back,
                    late,
                    ..source(|_| 125_000, 12, seed)
                };
                check_used(stream, least);
            }
        }
    }
}

#[test]
fn what_an_encoder_makes_fills_the_path_too() {
    for (every, held_back) in [(INTERVAL, HeldBack::Wait(3)), (SLOW, HeldBack::Replaced)] {
        let stream = Source {
            every,
            held_back,
            late: 5 * MS,
            pattern: Some((1_280, 720)),
            ..source(|_| 0, 8, 0)
        };
        check_used(stream, 0.85);
    }
}
