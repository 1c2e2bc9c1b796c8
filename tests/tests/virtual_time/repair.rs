//! What is done against loss, packet by packet: the two state machines, and what they send.

mod nack;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use framegram_common::chunk::chunk_capacity;
use framegram_common::fec::Fec;
use framegram_common::frame::MAX_FRAME_BYTES;
use framegram_common::receiver::{self, Output, SinkOutcome};
use framegram_common::sender::{self, Config};
use framegram_common::seq::{FrameSeq, PacketNumber};
use framegram_common::wire::DEFAULT_DATAGRAM;
use framegram_common::wire::native::{Channel, FrameNack, Header, Nack, Packet, ReceiverReport};
use framegram_common::{Receiver, Sender};
use framegram_lab::impair::Impairment;
use framegram_tests::pair::{Scenario, run};

const STREAM: u64 = 3;
const VIEWER: u64 = 4;
const INTERVAL: Duration = Duration::from_millis(33);
const MILLISECOND: Duration = Duration::from_millis(1);

/// A datagram, and when it was sent.
type Sent = (Duration, Vec<u8>);

fn config() -> Config {
    Config {
        interval: Some(INTERVAL),
        ..Config::default()
    }
}

fn transmitter(config: Config) -> Sender {
    Sender::new(config, STREAM, Duration::ZERO)
}

/// A frame of this many chunks.
fn frame(chunks: usize) -> Bytes {
    Bytes::from(vec![7; chunks * chunk_capacity(DEFAULT_DATAGRAM) - 9])
}

/// All that is sent until `end`, and when.
fn drain(transmitter: &mut Sender, from: Duration, end: Duration) -> Vec<Sent> {
    let (mut now, mut out, mut sent) = (from, Vec::new(), Vec::new());
    while now < end {
        while let sender::Output::Transmit(transmit) = transmitter.poll_output(now, &mut out) {
            sent.extend(
                out.chunks(transmit.segment)
                    .map(|bytes| (now, bytes.to_vec())),
            );
        }
        now = transmitter.poll_timeout().map_or(end, |at| at.max(now));
    }
    sent
}

/// Sends this many frames of this many chunks.
fn send(transmitter: &mut Sender, frames: u32, chunks: usize) -> Vec<Sent> {
    let sent = (0..frames).flat_map(|number| {
        let now = INTERVAL * number;
        transmitter
            .handle_frame(frame(chunks), now, None, now)
            .unwrap();
        drain(transmitter, now, now + INTERVAL)
    });
    sent.collect()
}

fn packet(sent: &Sent) -> Packet<'_> {
    Packet::decode(&sent.1).unwrap().1
}

fn count(sent: &[Sent], of: impl Fn(&Packet<'_>) -> bool) -> usize {
    sent.iter().filter(|sent| of(&packet(sent))).count()
}

fn is_parity(packet: &Packet<'_>) -> bool {
    matches!(packet, Packet::Parity(_))
}

fn is_chunk(packet: &Packet<'_>) -> bool {
    matches!(packet, Packet::Chunk(_))
}

/// What a viewer reports about the path.
fn report(number: u64, loss: f64, queueing: Duration) -> Vec<u8> {
    let report = Packet::ReceiverReport(ReceiverReport {
        viewer: VIEWER,
        loss_ppm: (loss * 1e6) as u32,
        burst_milli: 1_000,
        rtt: 200_000,
        queueing: queueing.as_micros() as u32,
        playout_delay: 60_000,
        ..ReceiverReport::default()
    });
    said(number, &report)
}

/// A viewer's packet.
fn said(number: u64, packet: &Packet<'_>) -> Vec<u8> {
    let mut datagram = Vec::new();
    let header = Header {
        stream: STREAM as u32,
        destination: 0,
        channel: Channel::Control,
        number: PacketNumber(number),
        sent: 0,
    };
    packet.encode(&header, &mut datagram);
    datagram
}

#[test]
fn a_fixed_share_of_parity_is_met_for_frames_of_every_size() {
    for chunks in [1, 3, 10, 33, 150] {
        for share in [0.1, 0.25, 1.0] {
            let mut transmitter = transmitter(Config {
                fec: Fec::Fixed(share),
                ..config()
            });
            let sent = send(&mut transmitter, 100, chunks);
            let wanted = 100.0 * chunks as f64 * share;
            let parity = count(&sent, is_parity) as f64;
            // At the end, less than the parity of one block is still to be sent.
            let owed = 4.0 * chunks as f64 * share + 1.0;
            assert!(
                (parity - wanted).abs() <= owed,
                "{chunks}, {share}: {parity}"
            );
        }
    }
}

#[test]
fn parity_that_is_off_is_off_and_without_a_report_there_is_some() {
    for chunks in [1, 10, 150] {
        let mut off = transmitter(Config {
            fec: Fec::Off,
            ..config()
        });
        assert_eq!(count(&send(&mut off, 50, chunks), is_parity), 0);
        let sent = send(&mut transmitter(config()), 50, chunks);
        let parity = count(&sent, is_parity);
        assert!(parity * 50 > count(&sent, is_chunk), "{chunks}: {parity}");
    }
}

#[test]
fn the_longest_frame_is_protected_too() {
    let mut transmitter = transmitter(Config {
        fec: Fec::Fixed(0.2),
        ..config()
    });
    let jpeg = Bytes::from(vec![7; MAX_FRAME_BYTES]);
    let now = Duration::ZERO;
    transmitter.handle_frame(jpeg, now, None, now).unwrap();
    let sent = drain(&mut transmitter, now, INTERVAL);
    let (chunks, parity) = (count(&sent, is_chunk), count(&sent, is_parity));
    assert!(parity * 5 + 5 > chunks, "{parity} for {chunks}");
}

#[test]
fn small_frames_share_their_parity() {
    let mut transmitter = transmitter(config());
    transmitter.handle_datagram(0, &report(0, 0.05, Duration::ZERO), Duration::ZERO);
    let sent = send(&mut transmitter, 50, 1);
    let spans = sent.iter().filter_map(|sent| match packet(sent) {
        Packet::Parity(parity) => Some(parity.counts.len()),
        _ => None,
    });
    assert_eq!(spans.max(), Some(2), "as many as the budget has time for");
}

#[test]
fn more_loss_takes_more_parity_but_not_where_the_path_is_full() {
    let parity = |queueing| {
        let mut transmitter = transmitter(config());
        for (number, loss) in [0.01, 0.1].into_iter().enumerate() {
            let queueing = if number > 0 { queueing } else { Duration::ZERO };
            let report = report(number as u64, loss, queueing);
            transmitter.handle_datagram(0, &report, Duration::ZERO);
        }
        count(&send(&mut transmitter, 20, 100), is_parity)
    };
    let (noisy, full) = (parity(Duration::ZERO), parity(30 * MILLISECOND));
    assert!(
        noisy > 2 * full,
        "{noisy} where it is noisy, {full} where full"
    );
}

#[test]
fn a_frame_is_spread_over_at_most_half_its_interval_and_not_at_all_without_pacing() {
    for (pace, most) in [(true, INTERVAL / 2), (false, Duration::ZERO)] {
        let mut transmitter = transmitter(Config { pace, ..config() });
        for number in 0..3 {
            let start = INTERVAL * number;
            transmitter
                .handle_frame(frame(100), start, None, start)
                .unwrap();
            let sent = drain(&mut transmitter, start, start + INTERVAL);
            let repair_and_media = sent
                .iter()
                .filter(|sent| is_chunk(&packet(sent)) || is_parity(&packet(sent)));
            let last = repair_and_media.map(|(at, _)| *at).max().unwrap();
            assert!(last - start <= most, "{:?}", last - start);
            assert_eq!(pace, last > start);
        }
    }
}

#[test]
fn the_tail_of_a_frame_does_not_delay_the_next() {
    let mut transmitter = transmitter(config());
    send(&mut transmitter, 1, 100);
    transmitter
        .handle_frame(frame(100), INTERVAL, None, INTERVAL)
        .unwrap();
    // The next frame comes long before its time.
    let early = INTERVAL + 2 * MILLISECOND;
    drain(&mut transmitter, INTERVAL, early);
    transmitter
        .handle_frame(frame(100), early, None, early)
        .unwrap();
    let sent = drain(&mut transmitter, early, early + INTERVAL);
    let at = |number: u32| {
        sent.iter().filter_map(move |sent| match packet(sent) {
            Packet::Chunk(chunk) if chunk.frame.bits() == number => Some(sent.0),
            _ => None,
        })
    };
    assert_eq!(at(1).max(), Some(early));
    assert_eq!(at(2).min(), Some(early));
}
