use fastrand::Rng;

use super::*;
use crate::chunk::ChunkedFrame;
use crate::frame::Frame;
use crate::wire::DEFAULT_DATAGRAM;

const NOW: Duration = Duration::ZERO;

fn frame(number: u64, len: usize) -> ChunkedFrame {
    let jpeg = (0..len)
        .map(|i| (i as u64 * 31 + number) as u8)
        .collect::<Vec<_>>();
    let number = FrameNumber(number);
    let frame = Frame {
        number,
        jpeg: Bytes::from(jpeg),
        captured: Duration::ZERO,
    };
    ChunkedFrame::new(frame, DEFAULT_DATAGRAM, 0, vec![]).unwrap()
}

fn insert(reassembly: &mut Reassembly, frame: &ChunkedFrame, index: usize) -> Insert {
    let origin = (Origin::Sent, 0);
    reassembly.insert(frame.number(), &frame.chunk(index), origin, NOW)
}

#[test]
fn a_frame_in_any_order_with_duplicates_is_the_frame_sent() {
    for seed in 0..200 {
        let mut rng = Rng::with_seed(seed);
        let sent = frame(seed, rng.usize(1..40_000));
        let mut order: Vec<_> = (0..sent.count()).chain(0..sent.count()).collect();
        rng.shuffle(&mut order);
        let mut reassembly = Reassembly::default();
        let inserted: Vec<_> = order
            .iter()
            .map(|index| insert(&mut reassembly, &sent, *index))
            .collect();
        let complete: Vec<_> = inserted
            .iter()
            .filter_map(|inserted| {
                if let Insert::Complete(frame) = inserted {
                    Some(frame)
                } else {
                    None
                }
            })
            .collect();
        assert_eq!(complete.len(), 1, "seed {seed}");
        for index in 0..sent.count() {
            let chunk = sent.chunk(index);
            assert_eq!(
                &complete[0].jpeg[index * sent.size()..][..chunk.data.len()],
                chunk.data
            );
        }
        let duplicates = inserted
            .iter()
            .filter(|inserted| **inserted == Insert::Duplicate)
            .count();
        assert_eq!(duplicates, sent.count());
    }
}

#[test]
fn a_chunk_that_contradicts_its_frame_is_refused() {
    let mut reassembly = Reassembly::default();
    let sent = frame(1, 5000);
    assert_eq!(insert(&mut reassembly, &sent, 0), Insert::Accepted(1));
    let refused = |reassembly: &mut Reassembly, other: Chunk<'_>| {
        let inserted = reassembly.insert(sent.number(), &other, (Origin::Sent, 0), NOW);
        assert_eq!(inserted, Insert::Mismatch);
    };
    let (inner, mut last) = (sent.chunk(1), sent.chunk(3));
    last.header.as_mut().unwrap().crc ^= 1;
    refused(&mut reassembly, last);
    refused(&mut reassembly, Chunk { count: 5, ..inner });
    let data = &inner.data[1..];
    refused(&mut reassembly, Chunk { data, ..inner });
    // A chunk with the header must fit the earlier ones without it.
    let mut reassembly = Reassembly::default();
    assert_eq!(insert(&mut reassembly, &sent, 2), Insert::Accepted(3));
    refused(&mut reassembly, Chunk { data, ..inner });
    let mut first = sent.chunk(0);
    first.header.as_mut().unwrap().size += 1;
    refused(&mut reassembly, first);
}

#[test]
fn a_frame_whose_checksum_fails_is_corrupt() {
    let mut reassembly = Reassembly::default();
    let sent = frame(1, 100);
    let damaged = vec![0; 100];
    let chunk = Chunk {
        data: &damaged,
        ..sent.chunk(0)
    };
    let inserted = reassembly.insert(sent.number(), &chunk, (Origin::Sent, 0), NOW);
    assert_eq!(inserted, Insert::Corrupt);
}

#[test]
fn a_frame_completed_after_it_was_given_up_is_late() {
    let mut reassembly = Reassembly::default();
    let sent = frame(1, 3000);
    insert(&mut reassembly, &sent, 0);
    insert(&mut reassembly, &sent, 1);
    assert!(reassembly.give_up(sent.number()).is_some());
    assert!(reassembly.give_up(sent.number()).is_none());
    assert_eq!(insert(&mut reassembly, &sent, 2), Insert::CompleteLate);
}

#[test]
fn the_late_original_of_a_repaired_chunk_is_reported_once() {
    let mut reassembly = Reassembly::default();
    let sent = frame(1, 3000);
    let repaired = reassembly.insert(sent.number(), &sent.chunk(1), (Origin::Parity, 0), NOW);
    assert_eq!(repaired, Insert::Accepted(2));
    let late = Insert::LateOriginal(Origin::Parity);
    assert_eq!(insert(&mut reassembly, &sent, 1), late);
    assert_eq!(insert(&mut reassembly, &sent, 1), Insert::Duplicate);
}

#[test]
fn stays_within_its_bounds_when_every_frame_is_incomplete() {
    let mut reassembly = Reassembly::default();
    for number in 0..2000 {
        insert(&mut reassembly, &frame(number, 300_000), 0);
        while let Some(oldest) = reassembly.excess() {
            reassembly.give_up(oldest);
        }
        reassembly.forget();
        assert!(reassembly.frames.len() <= MAX_FRAMES);
        assert!(reassembly.held_bytes <= MAX_HELD_BYTES + 300_000);
    }
    assert_eq!(
        insert(&mut reassembly, &frame(3, 100), 0),
        Insert::Forgotten
    );
}

#[test]
fn a_frame_has_the_longest_possible_length_until_its_header_arrives() {
    let mut reassembly = Reassembly::default();
    let sent = frame(1, 50_000);
    let count = sent.count();
    let look = |reassembly: &Reassembly| {
        let assembly = reassembly.get(sent.number()).unwrap();
        assert_eq!(assembly.size(), sent.size());
        let is_known = assembly.header().is_some();
        (is_known, assembly.count(), assembly.missing())
    };
    insert(&mut reassembly, &sent, 5);
    assert_eq!(look(&reassembly), (false, count, count - 1));
    assert_eq!(reassembly.held_bytes(), count * sent.size());
    insert(&mut reassembly, &sent, 8);
    assert_eq!(look(&reassembly), (true, count, count - 2));
    let assembly = reassembly.get(sent.number()).unwrap();
    assert_eq!(assembly.chunk(sent.number(), 5), Some(sent.chunk(5)));
    assert_eq!(assembly.chunk(sent.number(), 8), Some(sent.chunk(8)));
    assert_eq!(assembly.chunk(sent.number(), 0), None);
    assert_eq!(reassembly.held_bytes(), 50_000);
}
