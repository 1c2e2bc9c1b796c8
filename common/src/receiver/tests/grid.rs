//! Several senders at one port, side by side.

use bytes::Bytes;

use super::*;

fn grid() -> Receiver {
    let config = Config {
        policy: Policy::Grid,
        ..Config::default()
    };
    Receiver::new(config, 9, (1, 2), Duration::ZERO)
}

fn address(number: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, (number >> 8) as u8, number as u8], 5005))
}

/// What a sender sends for a frame, including its first packets at the start.
fn frame(transmitter: &mut Sender, now: Duration) -> Vec<Vec<u8>> {
    let jpeg = Bytes::from_static(b"a frame");
    transmitter.handle_frame(jpeg, now, None, now).unwrap();
    let (mut datagrams, mut out) = (Vec::new(), Vec::new());
    while let sender::Output::Transmit(transmit) = transmitter.poll_output(now, &mut out) {
        datagrams.extend(out.chunks(transmit.segment).map(<[u8]>::to_vec));
    }
    datagrams
}

fn transmitter(stream: u64) -> Sender {
    let config = sender::Config {
        pace: false,
        ..sender::Config::default()
    };
    Sender::new(config, stream, Duration::ZERO)
}

#[test]
fn every_sender_is_shown_and_counted_by_itself() {
    let mut receiver = grid();
    let mut senders: Vec<_> = (0..16).map(transmitter).collect();
    for tick in 1..=10 {
        let now = 40 * MS * tick;
        for (number, sender) in senders.iter_mut().enumerate() {
            for datagram in frame(sender, now) {
                receiver.handle_datagram(address(number as u16), &datagram, now);
            }
        }
        receiver.handle_timeout(now);
        while let Some(frame) = receiver.poll_frame() {
            receiver.handle_outcome(frame.id, SinkOutcome::Shown { at: now });
        }
        while receiver.poll_event().is_some() {}
    }
    let each = receiver.tile_statistics();
    assert_eq!(each.len(), 16);
    for (number, statistics) in each.iter().enumerate() {
        assert_eq!(statistics.frames.intact, Some(10));
        assert_eq!(statistics.packets.lost, Some(0));
        let expected = format!("{number:016x}");
        assert_eq!(statistics.stream.number.as_deref(), Some(&*expected));
    }
    let all = receiver.statistics();
    assert_eq!((all.frames.intact, all.stream.followed), (Some(160), 16));
    assert_eq!(all.stream.number, None);
}

#[test]
fn two_senders_that_drew_one_stream_number_are_two_streams() {
    let ids = [7, (1 << 32) + 7];
    let mut receiver = grid();
    let mut senders = ids.map(transmitter);
    let mut shown = [0; 2];
    for tick in 1..=50 {
        let now = 40 * MS * tick;
        for (number, sender) in senders.iter_mut().enumerate() {
            for datagram in frame(sender, now) {
                receiver.handle_datagram(address(number as u16), &datagram, now);
            }
        }
        receiver.handle_timeout(now);
        while let Some(frame) = receiver.poll_frame() {
            let sender = ids.iter().position(|id| *id == frame.id.stream).unwrap();
            shown[sender] += 1;
            receiver.handle_outcome(frame.id, SinkOutcome::Shown { at: now });
        }
        while receiver.poll_event().is_some() {}
    }
    // The second one is known by its first report, which follows its first chunk.
    assert_eq!(shown, [50, 49]);
    let lost = |statistics: &Statistics| statistics.packets.lost;
    let lost: Vec<_> = receiver.tile_statistics().iter().map(lost).collect();
    assert_eq!(lost, [Some(0); 2]);
}

#[test]
fn socket_drops_are_not_attributed_to_a_stream_by_guess() {
    let mut receiver = grid();
    let mut senders = [transmitter(1), transmitter(2)];
    for tick in 1..=6 {
        let now = 40 * MS * tick;
        for (number, sender) in senders.iter_mut().enumerate() {
            let datagrams = frame(sender, now);
            match tick {
                // One is lost on the way, one is dropped here.
                2 if number == 0 => {}
                4 if number == 1 => receiver.handle_socket_drops(datagrams.len() as u64),
                _ => {
                    for datagram in datagrams {
                        receiver.handle_datagram(address(number as u16), &datagram, now);
                    }
                }
            }
        }
        receiver.handle_timeout(now);
        while let Some(frame) = receiver.poll_frame() {
            receiver.handle_outcome(frame.id, SinkOutcome::Shown { at: now });
        }
    }
    receiver.handle_timeout(Duration::from_secs(2));
    receiver.finish();
    let [first, second] = &receiver.tile_statistics()[..] else {
        panic!("two senders");
    };
    assert_eq!(
        (
            first.outcomes[Outcome::LostNetwork],
            first.outcomes[Outcome::LostUnknown]
        ),
        (Some(1), Some(0))
    );
    assert_eq!(
        (
            second.outcomes[Outcome::LostNetwork],
            second.outcomes[Outcome::LostUnknown]
        ),
        (Some(0), Some(1))
    );
    assert_eq!(second.packets.socket_dropped, None);
    let all = receiver.statistics();
    let dropped = all.packets.socket_dropped.expect("known");
    assert_eq!(second.packets.lost, Some(dropped));
    assert_eq!(all.packets.lost, first.packets.lost);
    assert_eq!(
        (
            all.outcomes[Outcome::LostNetwork],
            all.outcomes[Outcome::LostUnknown]
        ),
        (Some(1), Some(1))
    );
}

#[test]
fn a_sender_keeps_its_tile_when_its_address_changes() {
    let mut receiver = grid();
    let (mut sender, mut out) = (transmitter(7), Vec::new());
    let mut expected = address(1);
    for tick in 0..60 {
        let now = 10 * MS * tick;
        // Whoever only copies the sender's packets does not get its place.
        let (from, hears) = match tick {
            0..10 => (address(1), true),
            10..20 if tick % 2 == 0 => (address(1), true),
            10..20 => (address(3), false),
            _ => (address(2), true),
        };
        for datagram in frame(&mut sender, now) {
            receiver.handle_datagram(from, &datagram, now);
        }
        while receiver.poll_event().is_some() {}
        while let Some(to) = receiver.poll_transmit(now, &mut out) {
            if hears && to == from {
                sender.handle_datagram(0, &out, now);
            }
        }
        if tick == 59 {
            expected = address(2);
        }
        if tick < 20 || tick == 59 {
            let addresses = &receiver.tile_statistics()[0].stream.addresses;
            assert_eq!(*addresses, [expected.to_string()], "tick {tick}");
        }
    }
    assert_eq!(receiver.tiles(), 1);
}

#[test]
fn noise_takes_no_tile_and_many_senders_a_bounded_number() {
    let mut receiver = grid();
    let whole = frame(&mut transmitter(1), MS);
    for (number, datagram) in [&b""[..], b"FRAME", &[0x80; 40], &whole[0][1..]]
        .into_iter()
        .enumerate()
    {
        receiver.handle_datagram(address(number as u16), datagram, MS);
    }
    // Nor do bytes that only look like the beginning of a stream.
    let fragment = [
        0x80, 26, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 65, 80, 9, 9, 0, 9, 0, 0, 1,
    ];
    receiver.handle_datagram(address(20), &fragment, MS);
    receiver.handle_datagram(address(21), &[0xff, 0xd8, 0xff, 0xe0, 9], MS);
    let mut damaged = whole[0].clone();
    damaged[20] ^= 1;
    receiver.handle_datagram(address(9), &damaged, MS);
    assert!(receiver.tiles() == 0);
    assert_eq!(receiver.statistics().packets.malformed, Some(5));
    receiver.handle_datagram(address(9), &damaged, MS + SILENCE);
    assert_eq!(receiver.statistics().packets.malformed, Some(8));

    let most = MAX_TILES as u16;
    let begin = |receiver: &mut Receiver, number: u16, now| {
        for datagram in frame(&mut transmitter(u64::from(number) + 100), now) {
            receiver.handle_datagram(address(number), &datagram, now);
        }
    };
    for number in 0..most + 5 {
        begin(&mut receiver, number, MS * u32::from(number));
    }
    assert_eq!(receiver.tiles(), MAX_TILES);
    begin(&mut receiver, 999, MS + Duration::from_secs(60));
    assert_eq!(receiver.tiles(), MAX_TILES);
    assert_eq!(
        receiver.tile_statistics()[0].stream.addresses,
        [address(999).to_string()]
    );
}

#[test]
fn a_sender_of_another_format_has_a_tile_once_it_is_proven_and_loses_nothing() {
    let mut receiver = grid();
    let recorded: &[u8] = include_bytes!("../../../fixtures/gstreamer-420-640x360.rtp");
    let bare = include_bytes!("../../../fixtures/opencv-64x48.jpg");
    let datagrams = crate::wire::rtp_jpeg::tests_recorded::datagrams(recorded);
    for (index, datagram) in datagrams.iter().enumerate() {
        receiver.handle_datagram(address(1), datagram, MS * index as u32);
    }
    for (index, piece) in bare.chunks(300).enumerate() {
        assert_eq!(receiver.tiles(), 1, "at piece {index}");
        receiver.handle_datagram(address(2), piece, MS);
    }
    receiver.handle_timeout(MS * datagrams.len() as u32);
    while let Some(frame) = receiver.poll_frame() {
        receiver.handle_outcome(frame.id, SinkOutcome::Shown { at: MS });
    }
    let each = receiver.tile_statistics();
    let wires: Vec<_> = each.iter().map(|one| one.stream.wire).collect();
    assert_eq!(wires, [Some("rtp"), Some("raw")]);
    assert_eq!(each[0].packets.received, Some(datagrams.len() as u64));
    assert_eq!(each[1].frames.intact, Some(1));
    assert_eq!(receiver.statistics().packets.malformed, Some(0));
}
