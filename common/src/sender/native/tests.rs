//! Destinations that come and go.

use super::*;
use crate::wire::native::Header;

const MS: Duration = Duration::from_millis(1);

fn transmitter(destinations: usize) -> NativeSender {
    let config = Config {
        destinations,
        pace: false,
        bitrate: Some(100_000),
        ..Config::default()
    };
    NativeSender::new(config, 1, Duration::ZERO)
}

/// A frame, and the headers of all that is sent for it and by then.
fn send(transmitter: &mut NativeSender, now: Duration) -> Vec<Header> {
    let jpeg = Bytes::from_static(b"a frame");
    transmitter.handle_frame(jpeg, now, None, now).unwrap();
    let (mut headers, mut out) = (Vec::new(), Vec::new());
    while let Some(transmit) = transmitter.poll_transmit(now, &mut out) {
        for datagram in out.chunks(transmit.segment) {
            let (header, _) = Packet::decode(datagram).unwrap();
            assert_eq!(usize::from(header.destination), transmit.destination);
            headers.push(header);
        }
    }
    headers
}

#[test]
fn packets_go_to_open_destinations_and_their_numbers_never_come_again() {
    let mut transmitter = transmitter(1);
    let to = |headers: &[Header]| {
        let mut to: Vec<_> = headers.iter().map(|header| header.destination).collect();
        to.sort_unstable();
        to.dedup();
        to
    };
    let mut seen = std::collections::BTreeSet::new();
    for step in 0..40 {
        let now = 40 * MS * step;
        match step {
            10 => transmitter.open_destination(1, now),
            20 => transmitter.close_destination(1),
            30 => transmitter.open_destination(1, now),
            _ => {}
        }
        let headers = send(&mut transmitter, now);
        let open = (10..20).contains(&step) || step >= 30;
        let expected: &[u16] = if open { &[0, 1] } else { &[0] };
        assert_eq!(to(&headers), expected, "step {step}");
        if step == 10 || step == 30 {
            // The first word is about the stream.
            let control = |header: &Header| {
                header.destination == 1 && header.channel == crate::wire::native::Channel::Control
            };
            assert!(headers.iter().any(control));
        }
        for header in headers {
            let number = (header.destination, header.channel, header.number);
            assert!(seen.insert(number), "{number:?} twice");
        }
    }
}

#[test]
fn a_viewer_that_comes_back_elsewhere_never_meets_a_number_again() {
    let mut transmitter = transmitter(2);
    // The second came later, and has lower numbers.
    transmitter.close_destination(1);
    let mut highest = std::collections::BTreeMap::new();
    for step in 0..40 {
        let now = 40 * MS * step;
        match step {
            10 => transmitter.open_destination(1, now),
            20 => {
                transmitter.close_destination(0);
                transmitter.move_to_destination(1, now);
            }
            _ => {}
        }
        for header in send(&mut transmitter, now) {
            // The viewer of the first destination, and after that of the second.
            if header.destination == 0 || step >= 20 {
                let before = highest.insert(header.channel, header.number);
                assert!(before < Some(header.number), "{header:?} after {before:?}");
            }
        }
    }
}

#[test]
fn frames_for_nobody_are_let_go() {
    let mut transmitter = transmitter(0);
    for step in 0..50 {
        let now = 40 * MS * step;
        assert_eq!(send(&mut transmitter, now), []);
        assert!(!transmitter.is_held_back(now));
    }
    let now = 2_000 * MS;
    transmitter.open_destination(0, now);
    assert!(!send(&mut transmitter, now).is_empty());
    transmitter.close_destination(0);
    transmitter.finish(now);
    let mut out = Vec::new();
    assert_eq!(transmitter.poll_transmit(now, &mut out), None);
    assert!(transmitter.is_finished());
    assert_eq!(transmitter.statistics(now).frames.sent, Some(51));
}

#[test]
fn parity_is_planned_for_those_who_are_there() {
    let mut transmitter = transmitter(1);
    transmitter.open_destination(1, Duration::ZERO);
    let report = |loss_ppm| {
        let packet = Packet::ReceiverReport(crate::wire::native::ReceiverReport {
            viewer: 5,
            loss_ppm,
            rtt: 20_000,
            playout_delay: 60_000,
            ..Default::default()
        });
        let header = Header {
            stream: 1,
            destination: 0,
            channel: packet.channel(),
            number: crate::PacketNumber(0),
            sent: 0,
        };
        let mut datagram = Vec::new();
        packet.encode(&header, &mut datagram);
        datagram
    };
    transmitter.handle_datagram(0, &report(1_000), MS);
    transmitter.handle_datagram(1, &report(200_000), MS);
    let path = |transmitter: &NativeSender, now: Duration, destination: usize| {
        transmitter.paths(now)[destination]
            .clone()
            .map(|paths| paths[0])
    };
    let loss = |path: Option<PathEstimate>| path.unwrap().loss.unwrap().loss();
    assert!(loss(path(&transmitter, MS, 0)) < 0.01);
    assert!(loss(path(&transmitter, MS, 1)) > 0.1);
    transmitter.close_destination(1);
    assert_eq!(path(&transmitter, MS, 1), None);
    // Who falls silent is forgotten, though nobody else reports.
    let later = Duration::from_secs(6);
    assert_eq!(transmitter.paths(later), [Some(vec![]), None]);
}
