//! Viewers that come by themselves, and go.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::seq::PacketNumber;
use crate::wire::native::{
    Channel, Connect, Expected, Header, Packet, ReceiverBye, ReceiverReport,
};

const STREAM: u32 = 1;

/// A sender to this many destinations, and to this many viewers behind them.
fn sender(destinations: usize, max_peers: u16) -> Sender {
    let config = Config {
        destinations,
        pace: false,
        bitrate: Some(100_000),
        acceptor: Some(AcceptorConfig {
            secret: (1, 2),
            accepts: false,
            max_peers,
        }),
        ..Config::default()
    };
    Sender::new(config, STREAM.into(), Duration::ZERO)
}

fn address(viewer: u64) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, viewer as u8], 5_005))
}

fn encoded(stream: u32, packet: &Packet<'_>) -> Vec<u8> {
    let header = Header {
        stream,
        destination: 0,
        channel: packet.channel(),
        number: PacketNumber(0),
        sent: 0,
    };
    let mut datagram = Vec::new();
    packet.encode(&header, &mut datagram);
    datagram
}

fn hand(sender: &mut Sender, viewer: u64, packet: &Packet<'_>, now: Duration) {
    sender.handle_incoming(address(viewer), &encoded(STREAM, packet), now);
}

/// Lets a viewer connect: the output that follows from its cookie.
fn connect(sender: &mut Sender, viewer: u64, now: Duration) -> Output {
    let mut out = Vec::new();
    let connect = |cookie| Packet::Connect(Connect { viewer, cookie });
    hand(sender, viewer, &connect(0), now);
    let output = sender.poll_output(now, &mut out);
    assert_eq!(output, Output::Answer(address(viewer)));
    let Ok((_, Packet::Challenge(challenge))) = Packet::decode(&out) else {
        panic!("no challenge");
    };
    hand(sender, viewer, &connect(challenge.cookie), now);
    sender.poll_output(now, &mut out)
}

/// The same for one that is admitted: its destination.
fn admit(sender: &mut Sender, viewer: u64, now: Duration) -> usize {
    match connect(sender, viewer, now) {
        Output::Event(Event::Admitted {
            destination,
            address: at,
        }) => {
            assert_eq!(at, address(viewer));
            destination
        }
        output => panic!("{output:?}"),
    }
}

/// Lets a viewer leave.
fn leave(sender: &mut Sender, viewer: u64, now: Duration) -> Output {
    hand(
        sender,
        viewer,
        &Packet::ReceiverBye(ReceiverBye { viewer }),
        now,
    );
    sender.poll_output(now, &mut Vec::new())
}

/// Everything else that is to be sent by now: the headers.
fn drain(sender: &mut Sender, now: Duration) -> Vec<Header> {
    let (mut headers, mut out) = (Vec::new(), Vec::new());
    while let Output::Transmit(transmit) = sender.poll_output(now, &mut out) {
        for datagram in out.chunks(transmit.segment) {
            let (header, _) = Packet::decode(datagram).unwrap();
            assert_eq!(usize::from(header.destination), transmit.destination);
            headers.push(header.extend(&Expected::default()));
        }
    }
    headers
}

/// A frame, and the headers of all that is sent for it and by then.
fn send(sender: &mut Sender, now: Duration) -> Vec<Header> {
    let jpeg = Bytes::from_static(b"a frame");
    sender.handle_frame(jpeg, now, None, now).unwrap();
    drain(sender, now)
}

#[test]
fn packets_go_to_present_viewers_and_numbers_are_never_reused() {
    let mut sender = sender(1, 4);
    let mut seen = BTreeSet::new();
    for step in 0..40 {
        let now = 40 * MS * step;
        match step {
            10 | 30 => assert_eq!(admit(&mut sender, 7, now), 1),
            20 => {
                let left = Event::Left {
                    destination: 1,
                    reason: LeaveReason::Bye,
                };
                assert_eq!(leave(&mut sender, 7, now), Output::Event(left));
            }
            _ => {}
        }
        let headers = send(&mut sender, now);
        let served = (10..20).contains(&step) || step >= 30;
        let to: BTreeSet<_> = headers.iter().map(|header| header.destination).collect();
        let expected: &[u16] = if served { &[0, 1] } else { &[0] };
        assert!(to.iter().eq(expected), "step {step}: {to:?}");
        if step == 10 || step == 30 {
            // The first packet is about the stream.
            let control =
                |header: &Header| header.destination == 1 && header.channel == Channel::Control;
            assert!(headers.iter().any(control));
        }
        for header in headers {
            let number = (header.destination, header.channel, header.number);
            assert!(seen.insert(number), "{number:?} twice");
        }
    }
}

#[test]
fn a_viewer_that_returns_as_another_destination_never_gets_a_reused_number() {
    let mut sender = sender(0, 2);
    let mut highest = BTreeMap::new();
    let mut of_the_viewer = |headers: Vec<Header>, destination: u16| {
        for header in headers {
            if header.destination == destination {
                let before = highest.insert(header.channel, header.number);
                assert!(before < Some(header.number), "{header:?} after {before:?}");
            }
        }
    };
    assert_eq!(admit(&mut sender, 11, Duration::ZERO), 0);
    for step in 0..20 {
        of_the_viewer(send(&mut sender, 40 * MS * step), 0);
    }
    // The second came later, and has lower numbers.
    let now = 800 * MS;
    assert_eq!(admit(&mut sender, 12, now), 1);
    of_the_viewer(send(&mut sender, now), 0);
    let now = now + SILENCE;
    for destination in [0, 1] {
        let left = Event::Left {
            destination,
            reason: LeaveReason::Silent,
        };
        let output = sender.poll_output(now, &mut Vec::new());
        assert_eq!(output, Output::Event(left));
    }
    assert_eq!(admit(&mut sender, 13, now), 0);
    assert_eq!(admit(&mut sender, 11, now), 1);
    for step in 0..20 {
        of_the_viewer(send(&mut sender, now + 40 * MS * step), 1);
    }
}

#[test]
fn frames_without_viewers_are_dropped() {
    let mut sender = sender(0, 1);
    for step in 0..50 {
        let now = 40 * MS * step;
        assert_eq!(send(&mut sender, now), []);
        assert!(!sender.is_held_back(now));
    }
    let now = 2_000 * MS;
    admit(&mut sender, 7, now);
    assert!(!send(&mut sender, now).is_empty());
    leave(&mut sender, 7, now);
    sender.finish(now);
    assert_eq!(drain(&mut sender, now), []);
    assert!(sender.is_finished());
    assert_eq!(sender.statistics(now).frames.sent, Some(51));
}

#[test]
fn parity_is_planned_for_present_viewers() {
    let mut sender = sender(1, 1);
    admit(&mut sender, 7, Duration::ZERO);
    let report = |viewer, loss_ppm| {
        Packet::ReceiverReport(ReceiverReport {
            viewer,
            loss_ppm,
            rtt: 20_000,
            playout_delay: 60_000,
            ..ReceiverReport::default()
        })
    };
    sender.handle_datagram(0, &encoded(STREAM, &report(5, 1_000)), MS);
    hand(&mut sender, 7, &report(7, 200_000), MS);
    let loss = |sender: &Sender, destination: usize| {
        let paths = sender.plan.destinations[destination].as_ref()?;
        Some(paths[0].loss.unwrap().loss())
    };
    assert!(loss(&sender, 0).unwrap() < 0.01);
    assert!(loss(&sender, 1).unwrap() > 0.1);
    assert!(sender.plan.is_shared);
    leave(&mut sender, 7, MS);
    assert_eq!(loss(&sender, 1), None);
    // Who falls silent is forgotten, though nobody else reports.
    send(&mut sender, Duration::from_secs(6));
    let presumed = sender.plan.destinations[0].as_ref().unwrap();
    assert!(presumed.len() == 1 && presumed[0].loss.is_none());
    assert!(!sender.plan.is_shared);
}

#[test]
fn a_viewer_without_a_slot_is_rejected() {
    let mut sender = sender(0, 1);
    admit(&mut sender, 7, MS);
    let rejected = Event::Rejected {
        address: address(8),
    };
    assert_eq!(connect(&mut sender, 8, MS), Output::Event(rejected));
    let mut out = Vec::new();
    assert_eq!(sender.poll_output(MS, &mut out), Output::Answer(address(8)));
    assert!(matches!(
        Packet::decode(&out),
        Ok((_, Packet::Reject(refusal))) if refusal.viewers == 1
    ));
    let admission = sender.statistics(MS).admission.unwrap();
    assert_eq!((admission.served, admission.rejected), (1, 1));
}

#[test]
fn nobody_is_admitted_to_a_stream_that_ends() {
    let mut sender = sender(0, 2);
    admit(&mut sender, 7, MS);
    send(&mut sender, MS);
    sender.finish(2 * MS);
    let connect = Packet::Connect(Connect {
        viewer: 8,
        cookie: 0,
    });
    hand(&mut sender, 8, &connect, 2 * MS);
    let mut now = 2 * MS;
    while !sender.is_finished() {
        assert!(drain(&mut sender, now).iter().all(|to| to.destination == 0));
        now += MS;
    }
    assert!(now < Duration::from_secs(1), "{now:?}");
}

#[test]
fn events_and_answers_that_nobody_polls_are_bounded() {
    let mut sender = sender(0, 1);
    for viewer in 0..1_000 {
        let connect = Packet::Connect(Connect { viewer, cookie: 0 });
        hand(&mut sender, viewer % 250, &connect, MS);
    }
    let mut answers = 0;
    while let Output::Answer(_) = sender.poll_output(MS, &mut Vec::new()) {
        answers += 1;
    }
    assert!((1..100).contains(&answers), "{answers}");
}
