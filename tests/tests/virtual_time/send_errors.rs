//! What the sender's own system refuses is not counted as loss in the network.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use framegram_common::Statistics;
use framegram_common::fec::Fec;
use framegram_common::receiver::{Output, Receiver, SinkOutcome};
use framegram_common::sender::{self, Sender};
use framegram_common::stats::Outcome;

const INTERVAL: Duration = Duration::from_millis(40);
const FRAMES: u32 = 100;
const CHUNKS: usize = 10;

/// Sends frames over a network without loss, from a system that accepts only the first datagrams of
/// each batch: as many as `takes` returns for the frame and the length of the batch. Returns the
/// figures of both sides, and how many datagrams were refused.
fn run(mut takes: impl FnMut(u32, usize) -> usize) -> (Statistics, Statistics, u64) {
    let config = sender::Config {
        interval: Some(INTERVAL),
        fec: Fec::Off,
        retransmit: false,
        ..sender::Config::default()
    };
    let start = Duration::from_secs(1);
    let mut transmitter = Sender::new(config, 0x5eed, start);
    let mut receiver = Receiver::new(Default::default(), 0x1e77, (1, 2), start);
    let jpeg = Bytes::from(vec![0xd8; CHUNKS * 1_300]);
    let mut refused = 0;
    let mut out = Vec::new();
    for step in 0..(FRAMES + 10) * 40 {
        let now = start + Duration::from_millis(1) * step;
        let frame = step / 40;
        if step % 40 == 0 && frame < FRAMES {
            let taken = transmitter.handle_frame(jpeg.clone(), now, None, now);
            taken.expect("it can be sent");
        }
        if frame == FRAMES {
            transmitter.finish(now);
        }
        while let sender::Output::Transmit(transmit) = transmitter.poll_output(now, &mut out) {
            let count = out.len().div_ceil(transmit.segment);
            let left = takes(frame, count).min(count);
            let cut = (left * transmit.segment).min(out.len());
            refused += (count - left) as u64;
            transmitter.handle_send_error(0, &out[cut..], transmit.segment);
            for datagram in out[..cut].chunks(transmit.segment) {
                receiver.handle_datagram(([192, 0, 2, 1], 5005).into(), datagram, now);
            }
        }
        receiver.handle_timeout(now);
        loop {
            match receiver.poll_output(now) {
                Output::Frame(frame) => {
                    receiver.handle_outcome(frame.id, SinkOutcome::Shown { at: now });
                }
                Output::Timeout(_) => break,
                Output::Transmit(_) | Output::Event(_) | Output::Record(_) => {}
            }
        }
    }
    (
        transmitter.statistics(start),
        receiver.statistics(),
        refused,
    )
}

/// Asserts that nothing counts as lost on the way, and that all frames are accounted for.
fn assert_accounts((sender, viewer, refused): &(Statistics, Statistics, u64)) {
    let packets = &viewer.packets;
    assert_eq!(packets.send_errors, Some(*refused), "{packets:?}");
    assert_eq!(sender.packets.send_errors, Some(*refused));
    assert_eq!((packets.lost, packets.corrupt), (Some(0), Some(0)));
    assert_eq!(packets.sent, packets.received);
    assert_eq!(packets.sent, sender.packets.sent);
    assert_eq!(sender.bytes.sent, viewer.bytes.received);
    assert_eq!(viewer.bytes.sent, viewer.bytes.received);
    let outcomes = &viewer.outcomes;
    assert!(
        sender.frames.not_sent <= outcomes[Outcome::NotSent],
        "{outcomes:?}"
    );
    let told = sender.frames.sent.zip(sender.frames.not_sent);
    assert_eq!(told.map(|(sent, not)| sent + not), Some(FRAMES.into()));
    assert_eq!(outcomes[Outcome::LostNetwork], Some(0), "{outcomes:?}");
    assert_eq!(
        (outcomes[Outcome::LostUnknown], viewer.frames.unaccounted),
        (Some(0), Some(0))
    );
    let intact = outcomes[Outcome::IntactUnrepaired].expect("counted")
        + outcomes[Outcome::NotSent].expect("counted");
    assert_eq!(intact, u64::from(FRAMES), "{outcomes:?}");
}

#[test]
fn a_network_outage_at_the_sender_makes_unsent_frames() {
    let gone: Range<u32> = 30..50;
    let ended = run(|frame, count| if gone.contains(&frame) { 0 } else { count });
    assert_accounts(&ended);
    assert_eq!(ended.1.outcomes[Outcome::NotSent], Some(gone.len() as u64));
    assert_eq!(ended.1.frames.lost, Some(gone.len() as u64));
    assert_eq!(ended.0.frames.not_sent, Some(gone.len() as u64));
}

#[test]
fn a_frame_of_which_a_part_was_refused_was_not_sent_as_it_is() {
    let mut batches = 0;
    let ended = run(|frame, count| {
        batches += u32::from(frame == 30);
        if frame == 30 && batches == 2 {
            0
        } else {
            count
        }
    });
    assert_accounts(&ended);
    assert_eq!(ended.1.outcomes[Outcome::NotSent], Some(1));
    assert_eq!(ended.1.frames.incomplete, Some(1));
    assert_eq!(ended.0.frames.not_sent, Some(0));
}

#[test]
fn send_errors_are_reported_before_more_packets() {
    for seed in 0..200 {
        let mut rng = Rng::with_seed(seed);
        let refusing = rng.f64() * 0.5;
        let ended = run(|frame, count| {
            // Reports and the bye are accepted, so that all of it is told in time.
            if frame < FRAMES && count > 1 && rng.f64() < refusing {
                rng.usize(..count)
            } else {
                count
            }
        });
        assert_accounts(&ended);
    }
}
