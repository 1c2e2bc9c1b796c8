//! Compares predictions with real runs.

mod scene;

use std::time::Duration;

use framegram_common::receiver;
use framegram_common::wire::Format;

use self::scene::{Scene, bursts, random};
use super::drive::sender_address;
use super::*;
use crate::impair::Impairment;
use crate::trace::{
    ChunkPlace, Datagram, DatagramContent, Disposition, Entry, PacketBody, Recorder, TraceReader,
    Why, block,
};

const USUAL: Setting = Setting {
    fec: Fec::Auto,
    rtt: Some(Duration::from_millis(20)),
    latency: Duration::from_millis(60),
    pace: true,
};

const NOTHING: Setting = Setting {
    fec: Fec::Off,
    rtt: None,
    ..USUAL
};

fn parity(share: f64) -> Setting {
    Setting {
        fec: Fec::Fixed(share),
        ..NOTHING
    }
}

fn scene(impairment: Impairment) -> Scene {
    Scene {
        frames: 450,
        chunks: (10, 25),
        impairment,
        both_ways: true,
        outage: Duration::ZERO..Duration::ZERO,
    }
}

/// Paths with different kinds of loss.
fn paths() -> [(&'static str, Impairment); 5] {
    let jitter = Impairment {
        jitter: Duration::from_millis(4),
        ..random(0.03)
    };
    [
        ("1 % random", random(0.01)),
        ("5 % random", random(0.05)),
        ("5 % in bursts of packets", bursts(0.0105, 0.2, None)),
        (
            "5 % in bursts of time",
            bursts(0.005, 0.1, Some(Duration::from_millis(1))),
        ),
        ("3 % and jitter", jitter),
    ]
}

#[test]
fn without_repair_a_replay_gives_exactly_the_traced_result() {
    for (name, impairment) in paths() {
        let scene = scene(impairment);
        let (was, trace) = scene.truly(&NOTHING, 1);
        let stream = TracedStream::read(&trace[..]).unwrap();
        assert_eq!(stream.part, Completeness::Complete, "{name}");
        assert_eq!(stream.frames(), was.frames, "{name}");
        assert_eq!(stream.settled, (was.frames, was.complete), "{name}");
        let told = replay(&stream, &NOTHING, 0);
        // With reordering, a chunk may arrive so close to the deadline that
        // microseconds decide, which the trace does not have.
        let most = if name.contains("jitter") {
            was.frames / 100
        } else {
            0
        };
        assert!(
            told.complete.abs_diff(was.complete) <= most,
            "{name}: {told:?}"
        );
        let cost = (told.overhead() - was.overhead()).abs();
        assert!(cost < 0.001, "{name}: {told:?} {was:?}");
    }
}

#[test]
fn a_traced_stream_takes_at_most_six_bytes_per_datagram_and_ten_with_reordering() {
    for (name, impairment) in paths() {
        let most = if name.contains("jitter") { 10 } else { 6 };
        let (_, trace, (sent, lost)) = scene(impairment).counted(&USUAL, 1);
        let datagrams = usize::try_from(sent - lost).unwrap();
        let size = trace.len();
        assert!(size < datagrams * most, "{name}: {size} for {datagrams}");
    }
}

#[test]
fn a_replay_with_the_traced_settings_is_right_within_one_percent() {
    for (name, impairment) in paths() {
        let scene = scene(impairment);
        for traced in [USUAL, parity(0.2)] {
            let (was, trace) = scene.truly(&traced, 1);
            let stream = TracedStream::read(&trace[..]).unwrap();
            let told = replay(&stream, &traced, 0);
            let off = told.complete.abs_diff(was.complete);
            assert!(off <= was.frames / 100, "{name}: {told:?} {was:?}");
        }
    }
}

#[test]
fn a_replay_predicts_other_settings_from_any_traced_ones() {
    let settings = [
        NOTHING,
        parity(0.1),
        parity(0.3),
        USUAL,
        Setting { rtt: None, ..USUAL },
        Setting {
            fec: Fec::Off,
            rtt: Some(Duration::from_millis(100)),
            latency: Duration::from_millis(150),
            ..USUAL
        },
        Setting {
            pace: false,
            ..parity(0.1)
        },
    ];
    let mut offs = Vec::new();
    for (name, impairment) in paths() {
        let scene = scene(impairment);
        let truth = settings.map(|setting| {
            let runs = (1..=3).map(|seed| scene.truly(&setting, seed).0.complete);
            runs.sum::<u64>() as f64 / 3.0
        });
        for traced in [USUAL, NOTHING] {
            let trace = scene.truly(&traced, 1).1;
            let stream = TracedStream::read(&trace[..]).unwrap();
            for (setting, truth) in settings.iter().zip(truth) {
                let told = replay(&stream, setting, 0);
                let off = (told.complete as f64 - truth) / told.frames as f64;
                // The trace is one random run of a path, the truth the mean of
                // other runs. A trace does not tell whether bursts last in time
                // or in packets, and pacing depends on that.
                let most = if setting.pace { 0.05 } else { 0.1 };
                assert!(off.abs() <= most, "{name}: {off} {told:?} {setting:?}");
                offs.push(off.abs());
            }
        }
    }
    let mean = offs.iter().sum::<f64>() / offs.len() as f64;
    assert!(mean < 0.015, "{mean}");
}

#[test]
fn sent_and_lost_packets_are_exact_through_outages() {
    let millis = Duration::from_millis;
    for (from, to) in [(0, 0), (1_000, 1_100), (1_000, 2_000), (2_010, 5_000)] {
        for (name, impairment) in [("none", random(0.0)), ("5 % random", random(0.05))] {
            for both_ways in [false, true] {
                let scene = Scene {
                    both_ways,
                    outage: millis(from)..millis(to),
                    ..scene(impairment.clone())
                };
                for traced in [USUAL, NOTHING] {
                    let (was, trace, counts) = scene.counted(&traced, 1);
                    let at = format!("{name}, out from {from} to {to}, {traced:?}");
                    let stream = TracedStream::read(&trace[..]).unwrap();
                    assert_eq!(stream.datagrams, counts, "{at}");
                    assert_eq!(stream.frames(), was.frames, "{at}");
                    // Every chunk has a slot.
                    let chunks = stream.frames.iter();
                    let chunks = chunks.map(|it| u64::from(it.len.div_ceil(it.size.into())));
                    assert_eq!(stream.media.len() as u64, chunks.sum::<u64>(), "{at}");
                }
            }
        }
    }
}

#[test]
fn the_longer_of_two_streams_is_replayed_and_the_other_is_reported() {
    let (_, long) = scene(random(0.05)).truly(&NOTHING, 1);
    let short = Scene {
        frames: 60,
        ..scene(random(0.05))
    };
    let (_, short) = short.truly(&NOTHING, 1);
    let blocks = |trace: &[u8]| {
        let mut reader = TraceReader::new(trace).unwrap();
        let entries: Vec<_> = std::iter::from_fn(|| reader.next_entry().unwrap()).collect();
        let kept = |entry: &&Entry| !matches!(entry, Entry::End { .. });
        let entries: Vec<_> = entries.iter().filter(kept).copied().collect();
        let mut blocks = Vec::new();
        for some in entries.chunks(1_000) {
            block::put(&block::entries(some), &mut blocks);
        }
        blocks
    };
    let (long, short) = (blocks(&long), blocks(&short));
    for (one, other, which) in [(&long, &short, 1), (&short, &long, 2)] {
        let trace = [&block::head()[..], one, other].concat();
        let stream = TracedStream::read(&trace[..]).unwrap();
        assert_eq!((stream.streams, stream.frames()), ((2, which), 450));
    }
}

#[test]
fn a_trace_without_a_complete_frame_is_reported_as_cut_off_or_damaged() {
    let (_, trace) = scene(random(0.05)).truly(&USUAL, 1);
    let mut damaged = trace.clone();
    damaged[30] ^= 1;
    for (trace, says) in [(&trace[..1_000], "cut off"), (&damaged, "damaged")] {
        let error = TracedStream::read(trace).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
    let more = [&trace[..], b"more"].concat();
    let stream = TracedStream::read(&more[..]).unwrap();
    assert_eq!(stream.junk, Some(trace.len() as u64));
    assert_eq!(stream.part, Completeness::Complete);
}

#[test]
fn more_parity_never_saves_less() {
    for (name, impairment) in paths() {
        let trace = scene(impairment).truly(&USUAL, 1).1;
        let stream = TracedStream::read(&trace[..]).unwrap();
        let shares = [0.0, 0.05, 0.1, 0.2, 0.3, 0.5];
        // Chance may cost a single replay one more frame.
        let told = shares.map(|share| {
            let replays = (0..4).map(|seed| replay(&stream, &parity(share), seed));
            replays.collect::<Vec<_>>()
        });
        let complete = told
            .each_ref()
            .map(|told| told.iter().map(|it| it.complete).sum::<u64>());
        assert!(complete.is_sorted(), "{name}: {complete:?}");
        let cost = told.map(|told| told[0].overhead());
        assert!(cost.is_sorted(), "{name}: {cost:?}");
    }
}

#[test]
fn the_same_seed_gives_the_same_answer() {
    let trace = scene(random(0.1)).truly(&NOTHING, 1).1;
    let tell = |seed| {
        let stream = TracedStream::read(&trace[..]).unwrap();
        [parity(0.1), USUAL].map(|setting| replay(&stream, &setting, seed))
    };
    assert_eq!(tell(5), tell(5));
    let others: Vec<_> = (6..16).map(tell).collect();
    assert!(others.iter().any(|other| *other != tell(5)));
}

#[test]
fn a_trace_that_was_cut_off_is_replayed_up_to_the_cut() {
    let (_, trace) = scene(random(0.05)).truly(&USUAL, 1);
    let stream = TracedStream::read(&trace[..trace.len() / 2]).unwrap();
    assert!(
        matches!(stream.part, Completeness::Broken(_)),
        "{:?}",
        stream.part
    );
    let frames = stream.frames();
    assert!((150..300).contains(&frames), "{frames}");
    assert!(replay(&stream, &USUAL, 0).complete + 5 >= frames);
}

#[test]
fn a_long_trace_is_replayed_in_stretches_from_all_over_it() {
    let long = Scene {
        frames: 4_000,
        chunks: (60, 100),
        ..scene(random(0.002))
    };
    let (was, trace) = long.truly(&NOTHING, 1);
    let stream = TracedStream::read(&trace[..]).unwrap();
    let (all, some) = (stream.frames(), stream.replayed());
    assert!(all == 4_000 && some < 3_000, "{some}");
    let chosen: Vec<_> = stream.chosen().collect();
    assert!(chosen[0] == 0 && *chosen.last().unwrap() > 3_000);
    let told = replay(&stream, &NOTHING, 0);
    assert_eq!(told.frames, some);
    let shares = [was, told].map(|of| of.complete as f64 / of.frames as f64);
    assert!((shares[0] - shares[1]).abs() < 0.02, "{shares:?}");
}

#[test]
fn nothing_to_replay_is_an_error_that_says_so() {
    let mut recorder = Recorder::new(&receiver::Config::default(), 1 << 20, AT);
    recorder.finish(Why::Over, AT);
    let empty = recorder.poll_block().unwrap();
    assert!(matches!(
        TracedStream::read(&empty[..]),
        Err(TracedStreamError::Empty)
    ));
    let mut recorder = Recorder::new(&receiver::Config::default(), 1 << 20, AT);
    recorder.record_followed(1, Format::Raw, sender_address(), AT);
    recorder.record_datagram(sender_address(), &[0xff, 0xd8], None, AT);
    recorder.finish(Why::Over, AT);
    let raw = recorder.poll_block().unwrap();
    assert!(matches!(
        TracedStream::read(&raw[..]),
        Err(TracedStreamError::Foreign)
    ));
    let one = Scene {
        frames: 1,
        ..scene(random(0.0))
    };
    let one = TracedStream::read(&one.truly(&USUAL, 1).1[..]);
    assert!(matches!(one, Err(TracedStreamError::Short)), "{one:?}");
    assert!(matches!(
        TracedStream::read(&b"RIFF...."[..]),
        Err(TracedStreamError::Trace(crate::trace::TraceError::NoTrace))
    ));
}

#[test]
fn a_trace_of_nonsense_takes_no_longer_than_others() {
    let chunk = |at: u64| {
        let place = ChunkPlace {
            frame: at * 9_000,
            index: 0,
            frame_len: 16 << 20,
            size: 512,
            captured: 10,
        };
        Entry::Datagram(Datagram {
            arrival: at,
            len: 578,
            disposition: Disposition::Received,
            content: DatagramContent::Native {
                number: at << 30,
                sent: 50,
                body: PacketBody::Chunk(place),
            },
        })
    };
    let entries: Vec<_> = (1..3_000).map(chunk).collect();
    let mut trace = block::head();
    entries
        .chunks(1_000)
        .for_each(|some| block::put(&block::entries(some), &mut trace));
    let stream = TracedStream::read(&trace[..]).unwrap();
    assert!(stream.replayed() < 10, "{}", stream.replayed());
    let told = replay(&stream, &NOTHING, 0);
    assert_eq!((told.frames, told.complete), (stream.replayed(), 0));
}

const AT: Duration = Duration::from_secs(1);
