//! Streams of every format into a listener, in virtual time.

mod hostile;
mod proving;
mod raw;
mod sizes;

use turbojpeg::Subsamp;

use super::*;
use crate::sender::{self, Sender};
use crate::slices::encoder::{Settings, encode};
use crate::stats::Outcome;
use crate::wire::rtp::{self as wire, Control, SenderInfo};
use crate::wire::rtp_jpeg::Picture;

const MS: Duration = Duration::from_millis(1);

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], port))
}

fn listener() -> Listener {
    Listener::new(Config::default(), 77, Duration::ZERO)
}

/// One that shows nothing with holes.
fn strict() -> Listener {
    let mut config = Config::default();
    config.receiver.strict = true;
    Listener::new(config, 77, Duration::ZERO)
}

fn jpeg(seed: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    let pixels: Vec<u8> = std::iter::repeat_with(|| random.u8(..))
        .take(3 * 160 * 96)
        .collect();
    let settings = Settings {
        width: 160,
        height: 96,
        subsamp: Subsamp::Sub2x2,
        quality: 60,
        interval: 5,
        optimize: false,
    };
    encode(&pixels, &settings)
}

/// The packets of frames, each with the index of its frame.
fn packets(source: u32, sequence: u16, frames: u32) -> Vec<(u32, Vec<u8>)> {
    let mut sequence = sequence;
    let mut datagrams = Vec::new();
    for frame in 0..frames {
        let jpeg = jpeg(frame.into());
        let picture = Picture::of(&jpeg).unwrap();
        let cuts = picture.cut(1000);
        for (index, cut) in cuts.iter().enumerate() {
            let mut payload = Vec::new();
            picture.fragment(&jpeg, cut).encode(&mut payload);
            let packet = wire::Packet {
                sequence,
                timestamp: (u32::MAX - 4000).wrapping_add(frame * 3000),
                source,
                marker: index + 1 == cuts.len(),
                payload_type: wire::JPEG,
                payload: &payload,
            };
            let mut datagram = Vec::new();
            packet.encode(&mut datagram);
            datagrams.push((frame, datagram));
            sequence = sequence.wrapping_add(1);
        }
    }
    datagrams
}

/// Shows every frame at once; how many there were.
fn show(listener: &mut Listener, now: Duration) -> u64 {
    let mut shown = 0;
    while let Some(frame) = listener.poll_frame() {
        assert!(turbojpeg::decompress(&frame.jpeg, turbojpeg::PixelFormat::RGB).is_ok());
        listener.handle_outcome(frame.id, SinkOutcome::Shown { at: now });
        shown += 1;
    }
    shown
}

fn at(frame: u32) -> Duration {
    100 * MS + Duration::from_micros(u64::from(frame) * 33_333)
}

#[test]
fn every_packet_counts_and_every_frame_is_shown() {
    let mut listener = listener();
    for (frame, datagram) in packets(5, 65_500, 10) {
        listener.handle_datagram(address(9), &datagram, at(frame));
        show(&mut listener, at(frame));
    }
    let statistics = listener.statistics();
    assert_eq!(statistics.frames.intact, Some(10));
    assert_eq!(
        (statistics.frames.sent, statistics.frames.lost),
        (None, Some(0))
    );
    assert_eq!(statistics.packets.lost, Some(0));
    assert!(statistics.packets.received > Some(60));
    assert_eq!(statistics.stream.wire, Some("rtp"));
    assert_eq!(
        (statistics.stream.width, statistics.stream.height),
        (Some(160), Some(96))
    );
    assert!(statistics.jitter_ms.unwrap() < 0.1);
    assert_eq!(listener.format(), Some(Format::Rtp));
}

#[test]
fn a_frame_with_a_hole_is_given_up_after_the_budget_and_the_next_one_shown() {
    let mut listener = strict();
    let packets = packets(5, 0, 3);
    let hole = packets.iter().position(|(frame, _)| *frame == 1).unwrap() + 1;
    for (index, (frame, datagram)) in packets.iter().enumerate() {
        if index != hole {
            listener.handle_datagram(address(9), datagram, at(*frame));
        }
    }
    assert_eq!(show(&mut listener, at(2)), 1);
    let due = listener.poll_timeout().unwrap();
    assert_eq!(due, at(1) + Config::default().receiver.budget);
    listener.handle_timeout(due);
    assert_eq!(show(&mut listener, due), 1);
    let statistics = listener.statistics();
    assert_eq!(
        (statistics.frames.intact, statistics.frames.incomplete),
        (Some(2), Some(1))
    );
    assert_eq!(
        (statistics.packets.lost, statistics.frames.lost),
        (Some(1), None)
    );
    // The one that was missing makes the frame late, and is no loss.
    listener.handle_datagram(address(9), &packets[hole].1, due + MS);
    let statistics = listener.statistics();
    assert_eq!(
        (
            statistics.outcomes[Outcome::Late],
            statistics.frames.incomplete
        ),
        (Some(1), Some(0))
    );
    assert_eq!(statistics.packets.lost, Some(0));
}

#[test]
fn what_arrived_of_a_frame_is_shown_when_it_is_given_up() {
    let mut listener = listener();
    let packets = packets(5, 0, 3);
    let hole = packets.iter().position(|(frame, _)| *frame == 1).unwrap() + 1;
    for (index, (frame, datagram)) in packets.iter().enumerate() {
        if index != hole {
            listener.handle_datagram(address(9), datagram, at(*frame));
        }
    }
    listener.handle_timeout(at(9));
    let frames: Vec<_> = std::iter::from_fn(|| listener.poll_frame()).collect();
    assert_eq!(frames.len(), 3);
    for frame in frames {
        assert_eq!(frame.stale.is_empty(), frame.id.number.0 != 1);
        listener.handle_outcome(frame.id, SinkOutcome::Shown { at: at(9) });
    }
    let statistics = listener.statistics();
    assert_eq!(
        (
            statistics.frames.intact,
            statistics.outcomes[Outcome::Concealed]
        ),
        (Some(2), Some(1))
    );
    assert_eq!(statistics.frames.incomplete, Some(0));
    let share = statistics.stale_share.unwrap();
    assert!(share > 0.0 && share < 0.4, "{share}");
}

#[test]
fn packets_out_of_order_and_twice_make_the_same_frames() {
    let mut listener = listener();
    let mut packets = packets(5, 65_530, 4);
    let len = packets.len();
    for index in (0..len - 3).step_by(4) {
        packets.swap(index, index + 3);
    }
    for (frame, datagram) in packets.iter().flat_map(|packet| [packet, packet]) {
        listener.handle_datagram(address(9), datagram, at(*frame));
        show(&mut listener, at(*frame));
    }
    let statistics = listener.statistics();
    assert_eq!(statistics.frames.intact, Some(4));
    assert_eq!(statistics.packets.duplicate, Some(len as u64));
    assert!(statistics.packets.reordered > Some(5));
    assert_eq!(statistics.packets.lost, Some(0));
}

#[test]
fn a_frame_joined_in_its_midst_is_not_lost() {
    let mut listener = listener();
    for (frame, datagram) in &packets(5, 7, 2)[2..] {
        listener.handle_datagram(address(9), datagram, at(*frame));
    }
    listener.handle_timeout(at(30));
    assert_eq!(show(&mut listener, at(30)), 1);
    assert_eq!(listener.statistics().frames.incomplete, Some(0));
}

#[test]
fn frames_without_a_marker_end_where_the_next_begins() {
    let mut listener = listener();
    for (frame, mut datagram) in packets(5, 7, 3) {
        datagram[1] &= 0x7f;
        listener.handle_datagram(address(9), &datagram, at(frame));
    }
    assert_eq!(show(&mut listener, at(2)), 2);
}

#[test]
fn reports_answer_the_sender_s_own_and_a_farewell_ends() {
    let mut listener = listener();
    let mut out = Vec::new();
    let packets = packets(5, 65_530, 2);
    for (index, (frame, datagram)) in packets.iter().enumerate() {
        if index != 3 {
            listener.handle_datagram(address(10), datagram, at(*frame));
        }
    }
    assert_eq!(listener.poll_transmit(at(2), &mut out), None);
    let info = SenderInfo {
        source: 5,
        ntp: 0x0001_0002_0003_0004,
        ..SenderInfo::default()
    };
    let mut control = Vec::new();
    wire::encode_sender(&info, "sender", &mut control);
    listener.handle_datagram(address(11), &control, at(2));
    let due = listener.poll_timeout().unwrap();
    let to = listener.poll_transmit(due.max(at(2)) + 500 * MS, &mut out);
    assert_eq!(to, Some(address(11)));
    let Control::Receiver { blocks, .. } = &Control::decode(&out).unwrap()[0] else {
        panic!("no report");
    };
    assert_eq!((blocks[0].source, blocks[0].lost), (5, 1));
    assert_eq!(blocks[0].highest, 65_530 + packets.len() as u32 - 1);
    assert_eq!(blocks[0].last_report, 0x0002_0003);
    assert_eq!(blocks[0].delay, 32_768);
    assert_eq!(
        u64::from(blocks[0].fraction_lost),
        256 / packets.len() as u64
    );

    control.clear();
    wire::encode_bye(&info, "sender", &mut control);
    let elsewhere = SocketAddr::from(([10, 0, 0, 2], 11));
    listener.handle_datagram(elsewhere, &control, at(3));
    listener.handle_timeout(at(10));
    assert!(!listener.statistics().stream.ended);
    listener.handle_datagram(address(11), &control, at(10));
    listener.handle_timeout(at(20));
    assert!(listener.statistics().stream.ended);
    let events: Vec<_> = std::iter::from_fn(|| listener.poll_event()).collect();
    assert_eq!(events.last(), Some(&Event::Ended { stream: 5 }));
}

#[test]
fn a_sender_that_comes_back_under_its_number_is_another_stream() {
    let mut listener = listener();
    for (frame, datagram) in packets(5, 7, 2) {
        listener.handle_datagram(address(9), &datagram, at(frame));
        show(&mut listener, at(frame));
    }
    let mut bye = Vec::new();
    let info = SenderInfo {
        source: 5,
        ..SenderInfo::default()
    };
    wire::encode_bye(&info, "camera", &mut bye);
    listener.handle_datagram(address(9), &bye, at(2));
    listener.handle_timeout(at(10));
    for (frame, datagram) in packets(5, 40_000, 3) {
        listener.handle_datagram(address(9), &datagram, at(frame + 90));
        show(&mut listener, at(frame + 90));
    }
    let statistics = listener.statistics();
    assert_eq!(
        (statistics.frames.intact, statistics.stream.followed),
        (Some(5), 2)
    );
    assert_eq!(statistics.packets.lost, Some(0));
}

#[test]
fn formats_at_one_port_are_told_apart_and_the_first_is_followed() {
    let mut listener = listener();
    let mut native = Sender::new(sender::Config::default(), 1234, Duration::ZERO);
    let bare = jpeg(1);
    let mut out = Vec::new();
    for (index, (frame, datagram)) in packets(5, 7, 3).into_iter().enumerate() {
        listener.handle_datagram(address(1), &datagram, at(frame));
        if index == 0 {
            continue;
        }
        listener.handle_datagram(address(2), &bare, at(frame));
        native
            .handle_frame(bare.clone().into(), at(frame), None, at(frame))
            .unwrap();
        while let Some(transmit) = native.poll_transmit(at(frame), &mut out) {
            for datagram in out.chunks(transmit.segment) {
                listener.handle_datagram(address(3), datagram, at(frame));
            }
        }
        show(&mut listener, at(frame));
    }
    let statistics = listener.statistics();
    assert_eq!(statistics.frames.intact, Some(3));
    assert_eq!(
        (statistics.stream.followed, statistics.stream.others),
        (1, 2)
    );
    assert!(statistics.packets.foreign > Some(20));
    assert_eq!(statistics.packets.malformed, Some(0));

    // When the first falls silent, the next one heard takes its place.
    native.finish(at(90));
    native
        .handle_frame(bare.into(), at(90), None, at(90))
        .unwrap();
    while let Some(transmit) = native.poll_transmit(at(90), &mut out) {
        for datagram in out.chunks(transmit.segment) {
            listener.handle_datagram(address(3), datagram, at(90));
        }
    }
    listener.handle_timeout(at(100));
    assert!(show(&mut listener, at(100)) > 0);
    assert_eq!(listener.format(), Some(Format::Native));
    assert_eq!(listener.statistics().stream.wire, Some("native"));
    assert_eq!(listener.statistics().stream.followed, 2);
}
