//! What proves a stream, and what does not.

use super::*;

/// Datagrams that look like the beginning of a stream, and are not.
fn junk() -> Vec<Vec<u8>> {
    let mut random = fastrand::Rng::with_seed(3);
    let mut noise = |head: &[u8]| {
        let tail = std::iter::repeat_with(|| random.u8(..)).take(1_000);
        head.iter().copied().chain(tail).collect::<Vec<_>>()
    };
    let fragment = [0, 0, 0, 0, 65, 80, 40, 30, 0, 5, 0xc0, 0];
    let mut all = Vec::new();
    for sequence in [7, 900, 40_000] {
        let [high, low] = u16::to_be_bytes(sequence);
        let packet = [0x80, 26, high, low, 0, 0, 0, 9, 0, 0, 0, 5];
        all.push(noise(&[&packet[..], &fragment].concat()));
    }
    all.push(noise(&[0xff, 0xd8, 0xff]));
    all.push(noise(&[0xff, 0xd8, 0xff, 0xda, 0, 2]));
    all.push(jpeg(0)[..900].to_vec());
    all
}

#[test]
fn junk_that_looks_like_a_stream_is_counted_and_not_followed() {
    let mut receiver = receiver();
    let junk = junk();
    for (port, datagram) in junk.iter().enumerate() {
        receiver.handle_datagram(address(port as u16), datagram, at(0));
    }
    // Now all of it comes from one address.
    for datagram in &junk {
        receiver.handle_datagram(address(99), datagram, at(0));
    }
    assert_eq!(receiver.poll_event(), None);
    assert_eq!(receiver.format(0), None);
    receiver.finish();
    let statistics = receiver.statistics();
    assert_eq!(statistics.stream.followed, 0);
    let malformed = statistics.packets.malformed;
    assert_eq!(malformed, Some(2 * junk.len() as u64));
}

#[test]
fn a_stream_after_junk_from_the_same_address_loses_no_frame() {
    let bare = jpeg(1);
    let native = || {
        let mut sender = Sender::new(sender::Config::default(), 1234, Duration::ZERO);
        let (mut datagrams, mut out) = (Vec::new(), Vec::new());
        for frame in 0..3 {
            let jpeg = bare.clone().into();
            sender
                .handle_frame(jpeg, at(frame), None, at(frame))
                .unwrap();
            while let sender::Output::Transmit(transmit) = sender.poll_output(at(frame), &mut out) {
                let datagram = out.chunks(transmit.segment);
                datagrams.extend(datagram.map(|datagram| (frame, datagram.to_vec())));
            }
        }
        datagrams
    };
    let split = |size: usize| {
        let pieces = bare.chunks(size).map(<[u8]>::to_vec);
        let frame: Vec<_> = pieces.collect();
        (0..3).flat_map(move |number| frame.clone().into_iter().map(move |piece| (number, piece)))
    };
    let streams = [
        (Format::Rtp, packets(6, 65_530, 3)),
        (Format::Raw, split(bare.len()).collect()),
        (Format::Raw, split(700).collect()),
        (Format::Native, native()),
    ];
    for junk in junk() {
        for (format, stream) in &streams {
            let mut receiver = receiver();
            receiver.handle_datagram(address(9), &junk, at(0));
            let mut shown = 0;
            for (frame, datagram) in stream {
                receiver.handle_datagram(address(9), datagram, at(*frame));
                shown += show(&mut receiver, at(*frame));
            }
            receiver.handle_timeout(at(10));
            assert_eq!(receiver.format(0), Some(*format), "{:02x?}", &junk[..6]);
            assert_eq!(shown + show(&mut receiver, at(10)), 3, "{format:?}");
            let statistics = receiver.statistics();
            assert_eq!(statistics.frames.intact, Some(3), "{format:?}");
            assert_eq!(statistics.stream.followed, 1);
        }
    }
}

#[test]
fn a_stream_that_is_not_followed_is_counted_once_it_is_proved() {
    let mut receiver = receiver();
    let packets = packets(5, 7, 2);
    for (frame, datagram) in &packets {
        receiver.handle_datagram(address(9), datagram, at(*frame));
    }
    for (port, datagram) in junk().iter().enumerate() {
        receiver.handle_datagram(address(20 + port as u16), datagram, at(1));
    }
    receiver.handle_timeout(at(2));
    assert_eq!(receiver.statistics().stream.others, 0);
    for (frame, datagram) in &self::packets(6, 7, 1) {
        receiver.handle_datagram(address(10), datagram, at(*frame));
    }
    let statistics = receiver.statistics();
    assert_eq!(
        (statistics.stream.followed, statistics.stream.others),
        (1, 1)
    );
    let others = self::packets(6, 7, 1).len() as u64;
    assert_eq!(statistics.packets.foreign, Some(others));
}

#[test]
fn one_frame_of_one_packet_is_a_stream() {
    let mut receiver = receiver();
    let jpeg = jpeg(0);
    let picture = Picture::of(&jpeg).unwrap();
    let cuts = picture.cut(60_000);
    assert_eq!(cuts.len(), 1);
    let mut payload = Vec::new();
    picture.fragment(&jpeg, &cuts[0]).encode(&mut payload);
    let packet = wire::RtpPacket {
        sequence: 9,
        timestamp: 0,
        source: 5,
        marker: true,
        payload_type: wire::JPEG,
        payload: &payload,
    };
    let mut datagram = Vec::new();
    packet.encode(&mut datagram);
    receiver.handle_datagram(address(9), &datagram, at(0));
    assert_eq!(show(&mut receiver, at(0)), 1);
    assert_eq!(receiver.format(0), Some(Format::Rtp));
}
