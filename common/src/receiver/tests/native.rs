//! A native stream.

use super::*;
use crate::seq::FrameNumber;
use crate::wire::native::Packet;

const SENDER: &str = "192.0.2.1:5005";
const MIRROR: &str = "192.0.2.2:5005";

/// Gives the receiver everything that is due by `now`.
fn transmit(transmitter: &mut Sender, receiver: &mut Receiver, now: Duration) {
    let mut out = Vec::new();
    while let sender::Output::Transmit(transmit) = transmitter.poll_output(now, &mut out) {
        for datagram in out.chunks(transmit.segment) {
            receiver.handle_datagram(SENDER.parse().unwrap(), datagram, now);
        }
    }
}

#[test]
fn a_viewer_ignores_its_own_reflected_packets_and_ends() {
    let config = sender::Config {
        pace: false,
        ..sender::Config::default()
    };
    let mut transmitter = Sender::new(config, 1, Duration::ZERO);
    let mut receiver = Receiver::new(Config::default(), 2, (1, 2), Duration::ZERO);
    let (mut report, mut reports) = (Vec::new(), 0);
    for tick in 0..600 {
        let now = Duration::from_millis(10) * tick;
        if tick == 0 {
            // As many bytes as all reports take, since the address is not proved.
            let jpeg = bytes::Bytes::from_static(&[1; 20_000]);
            transmitter.handle_frame(jpeg, now, None, now).unwrap();
        }
        if tick == 500 {
            transmitter.finish(now);
        }
        transmit(&mut transmitter, &mut receiver, now);
        receiver.handle_timeout(now);
        while let Some(to) = receiver.poll_transmit(now, &mut report) {
            assert_eq!(to, SENDER.parse().unwrap());
            receiver.handle_datagram(MIRROR.parse().unwrap(), &report, now);
            reports += 1;
        }
    }
    let statistics = receiver.statistics();
    assert!(reports > 20);
    assert_eq!(statistics.packets.malformed, Some(reports));
    assert_eq!(statistics.packets.received, statistics.packets.sent);
    let mut events = std::iter::from_fn(|| receiver.poll_event());
    assert!(events.any(|event| event == Event::Ended { tile: 0, stream: 1 }));
}

#[test]
fn bytes_sent_are_known_after_the_bye() {
    let mut transmitter = Sender::new(sender::Config::default(), 1, Duration::ZERO);
    let mut receiver = Receiver::new(Config::default(), 2, (1, 2), Duration::ZERO);
    for tick in 0..100 {
        let now = Duration::from_millis(10) * tick;
        let jpeg = bytes::Bytes::from_static(&[1; 5_000]);
        transmitter.handle_frame(jpeg, now, None, now).unwrap();
        transmit(&mut transmitter, &mut receiver, now);
        // A sender report from long ago would count fewer packets than were received since.
        assert_eq!(receiver.statistics().bytes.sent, None);
    }
    let mut now = Duration::from_secs(1);
    transmitter.finish(now);
    transmit(&mut transmitter, &mut receiver, now);
    assert_eq!(receiver.statistics().bytes.sent, None, "media may follow");
    for _ in 0..30 {
        now += Duration::from_millis(10);
        transmit(&mut transmitter, &mut receiver, now);
        receiver.handle_timeout(now);
    }
    let bytes = receiver.statistics().bytes;
    assert!(bytes.sent > Some(500_000));
    assert_eq!(bytes.sent, bytes.received);
    assert_eq!(bytes.sent, transmitter.statistics(now).bytes.sent);
}

/// How long after frame 20 was sent frame 21 is handed out, when a chunk of frame 20 is lost for
/// good and the playout delay is 300 ms, with or without feedback to the
/// sender.
fn held_up(heard: bool) -> Duration {
    let interval = Duration::from_millis(40);
    let config = sender::Config {
        interval: Some(interval),
        fec: crate::fec::Fec::Off,
        ..sender::Config::default()
    };
    let mut transmitter = Sender::new(config, 1, Duration::ZERO);
    let config = Config {
        playout_delay: BUDGET,
        ..Config::default()
    };
    let mut receiver = Receiver::new(config, 2, (1, 2), Duration::ZERO);
    let mut out = Vec::new();
    for tick in 0..1_500 {
        let now = Duration::from_millis(1) * tick;
        if tick % 40 == 0 {
            let jpeg = bytes::Bytes::from_static(&[1; 5_000]);
            transmitter.handle_frame(jpeg, now, None, now).unwrap();
        }
        while let sender::Output::Transmit(transmit) = transmitter.poll_output(now, &mut out) {
            for datagram in out.chunks(transmit.segment) {
                let lost = match Packet::decode(datagram).unwrap().1 {
                    Packet::Chunk(chunk) => {
                        let frame = chunk.frame.extend(FrameNumber(20));
                        frame == FrameNumber(20) && chunk.index == 1
                    }
                    Packet::Retransmission(_) => true,
                    _ => false,
                };
                if !lost {
                    receiver.handle_datagram(SENDER.parse().unwrap(), datagram, now);
                }
            }
        }
        receiver.handle_timeout(now);
        while let Some(frame) = receiver.poll_frame() {
            if frame.id.number == FrameNumber(21) {
                return now - interval * 20;
            }
        }
        while receiver.poll_transmit(now, &mut out).is_some() {
            if heard {
                transmitter.handle_datagram(0, &out, now);
            }
        }
    }
    panic!("the frame behind is never handed out");
}

const BUDGET: Duration = Duration::from_millis(300);

#[test]
fn a_frame_that_cannot_be_repaired_delays_no_newer_frame() {
    // A sender that got no feedback keeps frames for 60 ms, and the stream is not new any more.
    let unheard = held_up(false);
    assert!(unheard < Duration::from_millis(100), "{unheard:?}");
    let heard = held_up(true);
    assert!(heard >= BUDGET, "{heard:?}");
}

#[test]
fn over_a_connection_a_frame_is_waited_for_and_one_that_cannot_come_is_not() {
    let config = sender::Config {
        pace: false,
        fec: crate::fec::Fec::Off,
        retransmit: false,
        interval: Some(40 * MS),
        ..sender::Config::default()
    };
    let mut transmitter = Sender::new(config, 1, Duration::ZERO);
    let mut receiver = Receiver::new(Config::default(), 2, (1, 2), Duration::ZERO);
    let from = SENDER.parse().unwrap();
    receiver.handle_connected(from);
    let (mut out, mut packets) = (Vec::new(), Vec::new());
    for frame in 0..4 {
        let now = 40 * MS * frame;
        let jpeg = bytes::Bytes::from_static(&[1; 5_000]);
        transmitter.handle_frame(jpeg, now, None, now).unwrap();
        while let sender::Output::Transmit(transmit) = transmitter.poll_output(now, &mut out) {
            let all = out.chunks(transmit.segment).map(<[u8]>::to_vec);
            let all = all.map(|packet| (frame, packet));
            packets.extend(all.filter(|(_, packet)| {
                let chunk = Packet::decode(packet).unwrap().1;
                matches!(chunk, Packet::Chunk(_))
            }));
        }
    }
    // The connection stalls within the second frame; the third was never written.
    packets.retain(|(frame, _)| *frame != 2);
    let (mut now, mut handed_out) = (Duration::ZERO, Vec::new());
    for (at, (frame, packet)) in packets.iter().enumerate() {
        now += match at {
            6 => 2_000 * MS,
            _ => MS,
        };
        receiver.handle_timeout(now);
        receiver.handle_datagram(from, packet, now);
        receiver.handle_timeout(now);
        while let Some(shown) = receiver.poll_frame() {
            handed_out.push((shown.id.number.0, *frame));
        }
        while receiver.poll_transmit(now, &mut out).is_some() {
            let packet = Packet::decode(&out).unwrap().1;
            assert!(!matches!(packet, Packet::Nack(_)), "{packet:?}");
        }
    }
    assert_eq!(handed_out, [(0, 0), (1, 1), (3, 3)]);
}
