//! Streams of every format: counted, shown, and one of them followed.

use super::*;

#[test]
fn every_packet_counts_and_every_frame_is_shown() {
    let mut receiver = receiver();
    for (frame, datagram) in packets(5, 65_500, 10) {
        receiver.handle_datagram(address(9), &datagram, at(frame));
        show(&mut receiver, at(frame));
    }
    let statistics = receiver.statistics();
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
    assert_eq!(receiver.format(0), Some(Format::Rtp));
}

#[test]
fn a_frame_with_a_hole_is_given_up_after_the_playout_delay_and_the_next_one_shown() {
    let mut receiver = strict();
    let packets = packets(5, 0, 3);
    let hole = packets.iter().position(|(frame, _)| *frame == 1).unwrap() + 1;
    for (index, (frame, datagram)) in packets.iter().enumerate() {
        if index != hole {
            receiver.handle_datagram(address(9), datagram, at(*frame));
        }
    }
    assert_eq!(show(&mut receiver, at(2)), 1);
    let due = receiver.poll_timeout(Duration::ZERO).unwrap();
    assert_eq!(due, at(1) + Config::default().playout_delay);
    receiver.handle_timeout(due);
    assert_eq!(show(&mut receiver, due), 1);
    let statistics = receiver.statistics();
    assert_eq!(
        (statistics.frames.intact, statistics.frames.incomplete),
        (Some(2), Some(1))
    );
    assert_eq!(
        (statistics.packets.lost, statistics.frames.lost),
        (Some(1), None)
    );
    // The packet that was missing makes the frame late, and does not count as lost.
    receiver.handle_datagram(address(9), &packets[hole].1, due + MS);
    let statistics = receiver.statistics();
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
fn the_received_part_of_a_frame_is_shown_when_it_is_given_up() {
    let mut receiver = receiver();
    let packets = packets(5, 0, 3);
    let hole = packets.iter().position(|(frame, _)| *frame == 1).unwrap() + 1;
    for (index, (frame, datagram)) in packets.iter().enumerate() {
        if index != hole {
            receiver.handle_datagram(address(9), datagram, at(*frame));
        }
    }
    receiver.handle_timeout(at(9));
    let frames: Vec<_> = std::iter::from_fn(|| receiver.poll_frame()).collect();
    assert_eq!(frames.len(), 3);
    for frame in frames {
        assert_eq!(frame.stale.is_empty(), frame.id.number.0 != 1);
        receiver.handle_outcome(frame.id, SinkOutcome::Shown { at: at(9) });
    }
    let statistics = receiver.statistics();
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
    let mut receiver = receiver();
    let mut packets = packets(5, 65_530, 4);
    let len = packets.len();
    for index in (0..len - 3).step_by(4) {
        packets.swap(index, index + 3);
    }
    for (frame, datagram) in packets.iter().flat_map(|packet| [packet, packet]) {
        receiver.handle_datagram(address(9), datagram, at(*frame));
        show(&mut receiver, at(*frame));
    }
    let statistics = receiver.statistics();
    assert_eq!(statistics.frames.intact, Some(4));
    assert_eq!(statistics.packets.duplicate, Some(len as u64));
    assert!(statistics.packets.reordered > Some(5));
    assert_eq!(statistics.packets.lost, Some(0));
}

#[test]
fn a_frame_that_was_being_sent_on_joining_is_not_lost() {
    let mut receiver = receiver();
    for (frame, datagram) in &packets(5, 7, 2)[2..] {
        receiver.handle_datagram(address(9), datagram, at(*frame));
    }
    receiver.handle_timeout(at(30));
    assert_eq!(show(&mut receiver, at(30)), 1);
    assert_eq!(receiver.statistics().frames.incomplete, Some(0));
}

#[test]
fn frames_without_a_marker_end_where_the_next_begins() {
    let mut receiver = receiver();
    for (frame, mut datagram) in packets(5, 7, 3) {
        datagram[1] &= 0x7f;
        receiver.handle_datagram(address(9), &datagram, at(frame));
    }
    assert_eq!(show(&mut receiver, at(2)), 2);
}

#[test]
fn reports_answer_the_sender_s_own_and_a_bye_ends() {
    let mut receiver = receiver();
    let mut out = Vec::new();
    let packets = packets(5, 65_530, 2);
    for (index, (frame, datagram)) in packets.iter().enumerate() {
        if index != 3 {
            receiver.handle_datagram(address(10), datagram, at(*frame));
        }
    }
    assert_eq!(receiver.poll_transmit(at(2), &mut out), None);
    let info = SenderInfo {
        source: 5,
        ntp: 0x0001_0002_0003_0004,
        ..SenderInfo::default()
    };
    let mut control = Vec::new();
    wire::encode_sender(&info, "sender", &mut control);
    receiver.handle_datagram(address(11), &control, at(2));
    let due = receiver.poll_timeout(Duration::ZERO).unwrap();
    let to = receiver.poll_transmit(due.max(at(2)) + 500 * MS, &mut out);
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
    receiver.handle_datagram(elsewhere, &control, at(3));
    receiver.handle_timeout(at(10));
    assert!(!receiver.statistics().stream.ended);
    receiver.handle_datagram(address(11), &control, at(10));
    receiver.handle_timeout(at(20));
    assert!(receiver.statistics().stream.ended);
    let events: Vec<_> = std::iter::from_fn(|| receiver.poll_event()).collect();
    assert_eq!(events.last(), Some(&Event::Ended { tile: 0, stream: 5 }));
}

#[test]
fn a_sender_that_returns_with_its_old_number_is_a_new_stream() {
    let mut receiver = receiver();
    for (frame, datagram) in packets(5, 7, 2) {
        receiver.handle_datagram(address(9), &datagram, at(frame));
        show(&mut receiver, at(frame));
    }
    let mut bye = Vec::new();
    let info = SenderInfo {
        source: 5,
        ..SenderInfo::default()
    };
    wire::encode_bye(&info, "camera", &mut bye);
    receiver.handle_datagram(address(9), &bye, at(2));
    receiver.handle_timeout(at(10));
    for (frame, datagram) in packets(5, 40_000, 3) {
        receiver.handle_datagram(address(9), &datagram, at(frame + 90));
        show(&mut receiver, at(frame + 90));
    }
    let statistics = receiver.statistics();
    assert_eq!(
        (statistics.frames.intact, statistics.stream.followed),
        (Some(5), 2)
    );
    assert_eq!(statistics.packets.lost, Some(0));
}

#[test]
fn formats_at_one_port_are_distinguished_and_the_first_is_followed() {
    let mut receiver = receiver();
    let mut native = Sender::new(sender::Config::default(), 1234, Duration::ZERO);
    let bare = jpeg(1);
    let mut out = Vec::new();
    for (index, (frame, datagram)) in packets(5, 7, 3).into_iter().enumerate() {
        receiver.handle_datagram(address(1), &datagram, at(frame));
        if index == 0 {
            continue;
        }
        receiver.handle_datagram(address(2), &bare, at(frame));
        native
            .handle_frame(bare.clone().into(), at(frame), None, at(frame))
            .unwrap();
        while let sender::Output::Transmit(transmit) = native.poll_output(at(frame), &mut out) {
            for datagram in out.chunks(transmit.segment) {
                receiver.handle_datagram(address(3), datagram, at(frame));
            }
        }
        show(&mut receiver, at(frame));
    }
    let statistics = receiver.statistics();
    assert_eq!(statistics.frames.intact, Some(3));
    assert_eq!(
        (statistics.stream.followed, statistics.stream.others),
        (1, 2)
    );
    assert!(statistics.packets.foreign > Some(20));
    assert_eq!(statistics.packets.malformed, Some(0));

    // When the first falls silent, the next one that sends takes its place.
    native.finish(at(90));
    native
        .handle_frame(bare.into(), at(90), None, at(90))
        .unwrap();
    while let sender::Output::Transmit(transmit) = native.poll_output(at(90), &mut out) {
        for datagram in out.chunks(transmit.segment) {
            receiver.handle_datagram(address(3), datagram, at(90));
        }
    }
    receiver.handle_timeout(at(100));
    assert!(show(&mut receiver, at(100)) > 0);
    assert_eq!(receiver.format(0), Some(Format::Native));
    assert_eq!(receiver.statistics().stream.wire, Some("native"));
    assert_eq!(receiver.statistics().stream.followed, 2);
}
