//! No datagram is longer than the limit, of whatever kind and however much it
//! has to say; and nothing that waits to be sent grows without a bound.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use framegram_common::fec::Fec;
use framegram_common::jpeg::MAX_TABLES;
use framegram_common::receiver::{self, Output, SinkOutcome};
use framegram_common::sender::{self, Config, FrameError, MAX_WAITING_FRAMES};
use framegram_common::wire::native::Packet;
use framegram_common::wire::{DEFAULT_DATAGRAM, Format, MAX_DATAGRAM, MIN_DATAGRAM};
use framegram_common::{Receiver, Sender};

const MS: Duration = Duration::from_millis(1);
const INTERVAL: Duration = Duration::from_millis(40);

/// A grey picture of 32 by 16 in eight restart slices.
const SLICED: &[u8] = include_bytes!("../src/fuzzing/sliced.jpg");

/// The picture with quantization tables that nobody uses, so that its header is
/// at least so long, and with noise behind its end.
fn sliced(header: usize, len: usize, rng: &mut Rng) -> Bytes {
    let mut jpeg = SLICED[..2].to_vec();
    while jpeg.len() + 155 < header {
        jpeg.extend([0xff, 0xdb, 0, 67, 3]);
        jpeg.extend(std::iter::repeat_with(|| rng.u8(1..)).take(64));
    }
    jpeg.extend(&SLICED[2..]);
    let noise = len.saturating_sub(jpeg.len());
    jpeg.extend(std::iter::repeat_with(|| rng.u8(..0xd0)).take(noise));
    jpeg.into()
}

/// A picture that every format carries, of about 10 kB.
fn picture() -> Bytes {
    let mut rng = Rng::with_seed(2);
    let pixels: Vec<u8> = std::iter::repeat_with(|| rng.u8(..))
        .take(3 * 160 * 96)
        .collect();
    let image = turbojpeg::Image {
        pixels: &pixels[..],
        width: 160,
        pitch: 3 * 160,
        height: 96,
        format: turbojpeg::PixelFormat::RGB,
    };
    let jpeg = turbojpeg::compress(image, 60, turbojpeg::Subsamp::Sub2x2).unwrap();
    Bytes::copy_from_slice(&jpeg)
}

/// The longest datagram of each kind.
#[derive(Default)]
struct Longest(Vec<(&'static str, usize)>);

impl Longest {
    fn record(&mut self, datagram: &[u8]) {
        let kind = match Packet::decode(datagram).unwrap().1 {
            Packet::Chunk(_) => "chunk",
            Packet::Retransmission(_) => "resent",
            Packet::Parity(_) => "parity",
            Packet::Tables(_) => "tables",
            Packet::SenderReport(_) => "totals",
            Packet::SenderBye(_) => "bye",
            Packet::Echo(_) => "reply",
            Packet::ReceiverReport(_) => "report",
            Packet::Nack(_) => "request",
            Packet::ArrivalReport(_) => "arrivals",
            Packet::Connect(_) | Packet::Challenge(_) => "handshake",
            Packet::Reject(_) | Packet::Accept(_) => "handshake",
            Packet::ReceiverBye(_) => "handshake",
            Packet::PathChallenge(_) | Packet::PathResponse(_) => "handshake",
        };
        match self.0.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, longest)) => *longest = datagram.len().max(*longest),
            None => self.0.push((kind, datagram.len())),
        }
    }
}

/// A stream over a bad path; the longest datagrams of the sender and of the
/// viewer, and how many frames the viewer handed out.
fn play(datagram: usize, header: usize, seed: u64) -> (Longest, Longest, u64) {
    let mut rng = Rng::with_seed(seed);
    let config = Config {
        datagram,
        interval: Some(INTERVAL),
        ..Config::default()
    };
    let mut transmitter = Sender::new(config, 1, Duration::ZERO);
    let mut receiver = Receiver::new(receiver::Config::default(), 2, (1, 2), Duration::ZERO);
    let from = SocketAddr::from(([192, 0, 2, 1], 5000));
    let (mut sent, mut back) = (Longest::default(), Longest::default());
    let (mut out, mut shown) = (Vec::new(), 0);
    for frame in 0..40_u32 {
        let mut now = INTERVAL * frame;
        let len = [1_000, 60_000, 400_000][rng.usize(..3)];
        let jpeg = sliced(header, len, &mut rng);
        transmitter.handle_frame(jpeg, now, Some(80), now).unwrap();
        if frame == 39 {
            transmitter.finish(now);
        }
        while now < INTERVAL * (frame + 1) {
            while let sender::Output::Transmit(transmit) = transmitter.poll_output(now, &mut out) {
                for datagram in out.chunks(transmit.segment) {
                    sent.record(datagram);
                    // Every other chunk is lost at times: as many gaps as can be.
                    if rng.u8(..100) >= if frame % 4 == 3 { 50 } else { 5 } {
                        receiver.handle_datagram(from, datagram, now);
                    }
                }
            }
            receiver.handle_timeout(now);
            loop {
                match receiver.poll_output(now) {
                    Output::Frame(frame) => {
                        shown += 1;
                        receiver.handle_outcome(frame.id, SinkOutcome::Shown { at: now });
                    }
                    Output::Transmit(transmit) => {
                        back.record(&transmit.datagram);
                        transmitter.handle_datagram(0, &transmit.datagram, now);
                    }
                    Output::Event(_) | Output::Record(_) => {}
                    Output::Timeout(_) => break,
                }
            }
            now += MS / 2;
        }
    }
    (sent, back, shown)
}

#[test]
fn every_kind_of_datagram_keeps_to_the_limit() {
    let limits = [
        MIN_DATAGRAM,
        641,
        700,
        1_232,
        DEFAULT_DATAGRAM,
        9_000,
        MAX_DATAGRAM,
    ];
    let mut kinds = std::collections::BTreeSet::new();
    for (seed, limit) in limits.into_iter().enumerate() {
        for header in [155, 629, 2_000, MAX_TABLES - 80] {
            let (sent, back, shown) = play(limit, header, seed as u64);
            assert!(shown > 20, "{shown} at {limit}, header {header}");
            for (kind, longest) in sent.0 {
                assert!(
                    longest <= limit,
                    "{kind}: {longest} of {limit}, header {header}"
                );
                kinds.insert(kind);
            }
            // Over IPv6 too, and where the path is narrow.
            let limit = limit.min(DEFAULT_DATAGRAM);
            for (kind, longest) in back.0 {
                assert!(
                    longest <= limit,
                    "{kind}: {longest} of {limit}, header {header}"
                );
                kinds.insert(kind);
            }
        }
    }
    assert_eq!(kinds.len(), 9, "{kinds:?}");
}

#[test]
fn tables_in_parts_decode_frames_whose_own_header_is_lost() {
    let (limit, mut out) = (MIN_DATAGRAM, Vec::new());
    let config = Config {
        datagram: limit,
        interval: Some(INTERVAL),
        fec: Fec::Off,
        retransmit: false,
        ..Config::default()
    };
    let mut transmitter = Sender::new(config, 1, Duration::ZERO);
    let mut receiver = Receiver::new(receiver::Config::default(), 2, (1, 2), Duration::ZERO);
    let from = SocketAddr::from(([192, 0, 2, 1], 5000));
    let (mut parts, mut shown, mut rng) = (0, 0, Rng::with_seed(1));
    let jpeg = sliced(2_000, 0, &mut rng);
    for frame in 0..20 {
        let now = INTERVAL * frame;
        transmitter
            .handle_frame(jpeg.clone(), now, None, now)
            .unwrap();
        let end = now + INTERVAL;
        let mut at = now;
        while at < end {
            while let sender::Output::Transmit(transmit) = transmitter.poll_output(at, &mut out) {
                for datagram in out.chunks(transmit.segment) {
                    let packet = Packet::decode(datagram).unwrap().1;
                    if let Packet::Tables(tables) = &packet {
                        parts += 1;
                        assert!(tables.parts > 1);
                        // Each copy loses another part.
                        if u32::from(tables.part) == frame % u32::from(tables.parts) {
                            continue;
                        }
                    }
                    if !matches!(&packet, Packet::Chunk(chunk) if chunk.index == 0) {
                        receiver.handle_datagram(from, datagram, at);
                    }
                }
            }
            receiver.handle_timeout(at);
            loop {
                match receiver.poll_output(at) {
                    Output::Frame(frame) => {
                        shown += 1;
                        receiver.handle_outcome(frame.id, SinkOutcome::Shown { at });
                    }
                    Output::Timeout(_) => break,
                    Output::Transmit(_) | Output::Event(_) | Output::Record(_) => {}
                }
            }
            at += MS;
        }
    }
    assert!(parts >= 12, "{parts}");
    assert!(shown >= 17, "{shown} of 20");
    assert_eq!(receiver.statistics().packets.malformed, Some(0));
}

#[test]
fn what_waits_for_the_rate_is_bounded_and_the_rest_is_counted() {
    let config = Config {
        bitrate: Some(64_000),
        interval: Some(INTERVAL),
        ..Config::default()
    };
    let mut out = Vec::new();
    let jpeg = picture();
    for format in [Format::Native, Format::Rtp, Format::Raw] {
        let config = Config {
            format,
            datagram: [DEFAULT_DATAGRAM, MAX_DATAGRAM][usize::from(format == Format::Raw)],
            ..config
        };
        let mut sender = Sender::new(config, 1, Duration::ZERO);
        let (mut taken, mut refused, mut left) = (0, 0, 0);
        for frame in 0..2_500_u32 {
            let now = INTERVAL * frame;
            match sender.handle_frame(jpeg.clone(), now, None, now) {
                Ok(_) => taken += 1,
                Err(FrameError::Waiting) => refused += 1,
                Err(error) => panic!("{format:?}: {error}"),
            }
            while let sender::Output::Transmit(_) = sender.poll_output(now, &mut out) {
                left += out.len();
            }
        }
        let now = INTERVAL * 2_500;
        let frames = sender.statistics(now).frames;
        let counted = (frames.sent, frames.not_sent);
        assert_eq!(counted, (Some(taken), Some(refused)), "{format:?}");
        // All but those that may wait have left; RTP leaves out the header.
        let may_wait = MAX_WAITING_FRAMES as u64 + 1;
        let had_left = (taken - may_wait) * (jpeg.len() as u64 - 700);
        assert!(
            had_left <= left as u64,
            "{format:?}: {taken} taken, {left} bytes left"
        );
        assert!(
            taken > 40 && refused > 2_000,
            "{format:?}: {taken} and {refused}"
        );
    }
}

#[test]
fn what_nobody_polls_is_bounded_too() {
    let mut transmitter = Sender::new(Config::default(), 1, Duration::ZERO);
    let jpeg = sliced(629, 10_000, &mut Rng::with_seed(2));
    let taken = (0..1_000).filter(|_| {
        let taken = transmitter.handle_frame(jpeg.clone(), MS, None, MS);
        taken.is_ok()
    });
    assert_eq!(taken.count(), MAX_WAITING_FRAMES);
}
