//! Which chunks are requested when, in virtual time.

use bytes::Bytes;

use super::timing::{LATENESS_MARGIN, MAX_ROUNDS, MIN_REORDERING};
use super::*;
use crate::chunk::ChunkedFrame;
use crate::frame::Frame;
use crate::reassembly::{Assembly, Origin, Reassembly};
use crate::wire::native::{FRAME_NACK_LEN, GAP_LEN, NACK_BODY};
use crate::wire::{DEFAULT_DATAGRAM, MIN_DATAGRAM};

const MS: Duration = Duration::from_millis(1);
const RTT: Duration = Duration::from_millis(10);
const DEADLINE: Duration = Duration::from_millis(100);
const FRAME: FrameNumber = FrameNumber(7);

/// A frame of ten chunks or more, its NACK generator, and its received chunks.
struct Scene {
    nack: NackGenerator,
    reassembly: Reassembly,
    sent: ChunkedFrame,
    /// When its last chunk is due.
    all_due: Duration,
    /// Parity shards that arrived.
    parity: usize,
}

impl Scene {
    fn new(chunks: usize) -> Self {
        let frame = Frame {
            number: FRAME,
            jpeg: Bytes::from(vec![7; chunks * 1_300]),
            captured: Duration::ZERO,
        };
        let mut nack = NackGenerator::default();
        nack.record_rtt(RTT);
        Self {
            nack,
            reassembly: Reassembly::default(),
            sent: ChunkedFrame::new(frame, DEFAULT_DATAGRAM, 0, vec![]).unwrap(),
            all_due: 5 * MS,
            parity: 0,
        }
    }

    fn count(&self) -> u16 {
        self.sent.count() as u16
    }

    fn arrives(&mut self, index: u16, now: Duration) {
        let chunk = self.sent.chunk(index.into());
        self.reassembly
            .insert(FRAME, &chunk, (Origin::Sent, 0), now);
        let reached = self.reassembly.get(FRAME).map_or(0, Assembly::reached);
        self.nack.record_progress(FRAME, reached, now);
    }

    /// A retransmission arrives.
    fn is_resent(&mut self, index: u16, now: Duration) {
        let chunk = self.sent.chunk(index.into());
        self.nack.record_retransmission(FRAME, &chunk, now);
        self.arrives(index, now);
    }

    fn incomplete(&self) -> impl Iterator<Item = IncompleteFrame<'_>> {
        let assembly = self.reassembly.get(FRAME);
        let missing = assembly.map_or(1, Assembly::missing);
        std::iter::once(IncompleteFrame {
            number: FRAME,
            assembly,
            deadline: DEADLINE,
            all_due: self.all_due,
            short_of: missing.saturating_sub(self.parity),
        })
    }

    fn due(&self) -> Option<Duration> {
        self.nack.due(self.incomplete())
    }

    /// The NACK sent `now`, over a path without loss.
    fn poll(&mut self, now: Duration) -> Option<FrameNack> {
        self.poll_within(DEFAULT_DATAGRAM, now)
    }

    fn poll_within(&mut self, datagram: usize, now: Duration) -> Option<FrameNack> {
        let mut nack = std::mem::take(&mut self.nack);
        let model = LossModel::new(0.0, 1.0);
        let polled = nack.poll(self.incomplete(), model, datagram, now);
        self.nack = nack;
        let (_, mut frames) = polled?;
        assert_eq!(frames.len(), 1);
        frames.pop()
    }

    /// The next NACK from a time on, without its copies, and its time.
    fn next(&mut self, from: Duration) -> Option<(Duration, FrameNack)> {
        let mut now = from;
        for _ in 0..100 {
            now = now.max(self.due()?);
            let number = self.nack.number;
            if let Some(want) = self.poll(now)
                && self.nack.number != number
            {
                return Some((now, want));
            }
        }
        panic!("does not come to rest");
    }
}

#[test]
fn an_overtaken_chunk_is_requested_after_the_reordering_time() {
    let mut scene = Scene::new(10);
    for index in [0, 1, 3] {
        scene.arrives(index, MS);
    }
    // The end of the frame is due later, too late for the same number of rounds.
    scene.all_due = 70 * MS;
    assert_eq!(scene.due(), Some(MS + MIN_REORDERING));
    assert!(scene.poll(2 * MS).is_none());
    let want = scene.poll(MS + MIN_REORDERING).unwrap();
    assert_eq!(want.gaps, [(2, 1)]);
    let rest = 70 * MS + MIN_REORDERING;
    scene.arrives(2, 4 * MS);
    let (at, want) = scene.next(4 * MS).unwrap();
    assert_eq!((at, want.gaps), (rest, vec![(4, scene.count() - 4)]));
}

#[test]
fn a_chunk_overtaken_by_three_packets_is_requested_at_once_unless_the_path_reorders() {
    let mut scene = Scene::new(10);
    (0..5)
        .filter(|index| *index != 2)
        .for_each(|index| scene.arrives(index, MS));
    scene.all_due = 70 * MS;
    assert_eq!(scene.due(), Some(MS + MIN_REORDERING));
    scene.arrives(5, 2 * MS);
    assert_eq!(scene.due(), Some(2 * MS));
    scene.nack.record_lateness(MS / 2);
    assert_eq!(
        scene.due(),
        Some(2 * MS + (MS / 2).mul_f64(LATENESS_MARGIN))
    );
}

#[test]
fn requests_wait_for_the_end_of_the_frame_if_that_costs_no_round() {
    let mut scene = Scene::new(10);
    (0..6)
        .filter(|index| *index != 2)
        .for_each(|index| scene.arrives(index, MS));
    assert_eq!(scene.due(), Some(scene.all_due));
    assert_eq!(scene.poll(scene.all_due).unwrap().gaps, [(2, 1)]);
}

#[test]
fn a_path_that_reorders_is_given_more_time_but_not_without_end() {
    let mut scene = Scene::new(10);
    scene.nack.record_lateness(8 * MS);
    assert_eq!(scene.nack.reordering(), 10 * MS);
    scene.nack.record_lateness(DEADLINE);
    assert_eq!(scene.nack.reordering(), MAX_REORDERING);
    // Once the path stops reordering, that is forgotten.
    for _ in 0..5_000 {
        scene.nack.record_lateness(Duration::ZERO);
    }
    assert_eq!(scene.nack.reordering(), MIN_REORDERING);
}

#[test]
fn a_frame_of_which_nothing_arrives_is_requested_completely() {
    let mut scene = Scene::new(10);
    let (at, want) = scene.next(Duration::ZERO).unwrap();
    assert_eq!(at, scene.all_due + MIN_REORDERING);
    assert_eq!((want.frame, want.gaps), (FRAME.seq(), vec![]));
}

#[test]
fn chunks_that_cannot_arrive_in_time_are_not_requested() {
    let mut scene = Scene::new(10);
    scene.arrives(0, MS);
    scene.all_due = DEADLINE - RTT - MIN_REORDERING;
    assert_eq!(scene.due(), Some(DEADLINE - RTT));
    scene.all_due += MS;
    assert_eq!(scene.due(), None);
    assert!(scene.poll(DEADLINE).is_none());
}

#[test]
fn chunks_that_received_parity_replaces_are_not_requested() {
    let mut scene = Scene::new(10);
    for index in (0..scene.count()).filter(|index| ![2, 5, 8].contains(index)) {
        scene.arrives(index, MS);
    }
    scene.parity = 2;
    let (first, want) = scene.next(MS).unwrap();
    assert_eq!(want.gaps, [(2, 1)]);
    scene.parity = 3;
    assert_eq!(scene.next(first), None);
}

#[test]
fn a_lost_retransmission_is_requested_again_after_the_rtt() {
    let mut scene = Scene::new(10);
    for index in (0..scene.count()).filter(|index| *index != 4) {
        scene.arrives(index, MS);
    }
    let (first, _) = scene.next(MS).unwrap();
    let (second, want) = scene.next(first).unwrap();
    assert_eq!(want.gaps, [(4, 1)]);
    let expected = first + RTT + RESPONSE_TIME + MIN_REORDERING;
    assert_eq!(second, expected);
    // While there is time, and no more often than is worth it.
    let mut rounds = 2;
    let mut at = second;
    while let Some((next, _)) = scene.next(at) {
        assert!(next >= at + RTT && next + RTT <= DEADLINE);
        (at, rounds) = (next, rounds + 1);
    }
    assert!((4..=MAX_ROUNDS).contains(&rounds), "{rounds}");
}

#[test]
fn a_later_packet_of_a_burst_reveals_the_missing_ones() {
    let mut scene = Scene::new(10);
    for index in (0..scene.count()).filter(|index| ![2, 5, 8].contains(index)) {
        scene.arrives(index, MS);
    }
    let (first, want) = scene.next(MS).unwrap();
    assert_eq!(want.gaps, [(2, 1), (5, 1), (8, 1)]);
    // The first of the three is lost, the others arrive.
    let came = first + RTT + MS;
    scene.is_resent(5, came);
    scene.is_resent(8, came + MS);
    let (second, want) = scene.next(came).unwrap();
    assert_eq!(want.gaps, [(2, 1)]);
    assert_eq!(second, came + MIN_REORDERING);
}

#[test]
fn chunks_requested_during_an_outage_are_requested_again_at_once() {
    for outage in [false, true] {
        let mut scene = Scene::new(10);
        for index in (0..scene.count()).filter(|index| *index != 4) {
            scene.arrives(index, MS);
        }
        let (first, _) = scene.next(MS).unwrap();
        let now = first + NACK_EVERY;
        if outage {
            scene.nack.handle_outage_end();
        }
        let (second, _) = scene.next(now).unwrap();
        assert_eq!(second == now, outage, "{second:?}");
    }
}

#[test]
fn a_nack_fits_its_datagram() {
    let mut scene = Scene::new(600);
    for index in (0..scene.count()).step_by(2) {
        scene.arrives(index, MS);
    }
    let now = scene.all_due + MIN_REORDERING;
    let want = scene.poll_within(MIN_DATAGRAM, now).unwrap();
    let longest = HEADER + NACK_BODY + FRAME_NACK_LEN + GAP_LEN * want.gaps.len();
    assert!(longest <= MIN_DATAGRAM && longest + GAP_LEN > MIN_DATAGRAM);
}

#[test]
fn copies_of_a_nack_follow_where_packets_are_lost() {
    let mut scene = Scene::new(10);
    scene.arrives(0, MS);
    let now = scene.all_due + MIN_REORDERING;
    let model = LossModel::new(0.2, 3.0);
    let mut nack = std::mem::take(&mut scene.nack);
    let (number, _) = nack
        .poll(scene.incomplete(), model, DEFAULT_DATAGRAM, now)
        .unwrap();
    let mut copies = 0;
    for tick in 1..=80 {
        let now = now + COPY_EVERY * tick / 4;
        let frames = scene.incomplete();
        let polled = nack.poll(frames, model, DEFAULT_DATAGRAM, now);
        copies += usize::from(polled.is_some_and(|(copy, _)| copy == number));
    }
    assert_eq!(copies, model.request_copies() - 1);
}
