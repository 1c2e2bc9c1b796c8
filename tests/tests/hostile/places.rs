//! Strangers at the gate of a sender that listens.

use framegram_common::caller::Caller;
use framegram_common::sender::acceptor::{Acceptor, Config, SILENCE, Visit};
use framegram_common::wire::native::{Connect, NO_DESTINATION, ReceiverReport};

use super::*;

const GATE: ([u8; 4], u16) = ([192, 0, 2, 200], 5005);

fn gate(most: u16) -> Acceptor {
    Acceptor::new(Config {
        stream: STREAM,
        secret: (1, 2),
        most,
    })
}

/// Lets a viewer come in, as far as the gate lets it. Returns whether it is
/// served.
fn come(gate: &mut Acceptor, viewer: u64, from: SocketAddr, now: Duration) -> bool {
    let mut caller = Caller::new(viewer, GATE.into(), now);
    let (mut asked, mut answer) = (Vec::new(), Vec::new());
    let mut visit = Visit::Foreign;
    while caller.poll_transmit(now, &mut asked) {
        visit = gate.handle_datagram(from, &asked, now, &mut answer);
        assert!(answer.len() <= asked.len());
        caller.handle_datagram(GATE.into(), &answer, now);
    }
    !matches!(visit, Visit::Refused | Visit::Foreign | Visit::Challenged)
}

/// Whether the viewer's report is taken.
fn reports(gate: &mut Acceptor, viewer: u64, from: SocketAddr, now: Duration) -> bool {
    let report = ReceiverReport {
        viewer,
        ..ReceiverReport::default()
    };
    let datagram = Forger::new().datagram(&Packet::ReceiverReport(report), now);
    let visit = gate.handle_datagram(from, &datagram, now, &mut Vec::new());
    matches!(visit, Visit::Served(_))
}

#[test]
fn one_address_takes_all_places_only_while_nobody_else_wants_one() {
    let mut gate = gate(16);
    for port in 1..=16 {
        let free = come(
            &mut gate,
            port.into(),
            at(66, port),
            START + MS * port.into(),
        );
        assert!(free, "{port}: free places are for anyone");
    }
    assert!(!come(&mut gate, 17, at(66, 17), START), "all are taken");
    // Others are let in until all have as many.
    for host in 1..=15 {
        let now = START + SILENCE / 2;
        assert!(come(&mut gate, 100 + u64::from(host), at(host, 9), now));
    }
    assert!(!come(&mut gate, 99, at(99, 9), START + SILENCE / 2));
    assert_eq!(gate.served(), 16);
    let stays = (1..=16).filter(|&port| reports(&mut gate, port.into(), at(66, port), START));
    assert_eq!(stays.collect::<Vec<_>>(), [1], "the first that came stays");
}

#[test]
fn two_households_share_what_there_is() {
    let mut gate = gate(5);
    for port in 1..=5 {
        assert!(come(&mut gate, port.into(), at(66, port), START));
    }
    let came = (1..=5).filter(|&port| come(&mut gate, 10 + u64::from(port), at(7, port), START));
    assert_eq!(came.count(), 2);
    let came =
        (1..=5).filter(|&port| come(&mut gate, 20 + u64::from(port), at(66, 20 + port), START));
    assert_eq!(came.count(), 0, "nobody is turned out in turns");
}

/// All addresses of a network that one household has are one.
#[test]
fn a_prefix_of_ipv6_is_one_address() {
    let mut gate = gate(4);
    let address = |text: &str| text.parse::<SocketAddr>().unwrap();
    for host in 1..=4 {
        let from = address(&format!("[2001:db8:0:1::{host}]:5005"));
        assert!(come(&mut gate, host, from, START));
    }
    let fifth = address("[2001:db8:0:1:ffff::5]:5005");
    assert!(!come(&mut gate, 5, fifth, START));
    assert!(come(&mut gate, 6, address("[2001:db8:0:2::1]:5005"), START));
}

/// Whoever proved an address once cannot keep the stream flowing to it under a
/// forged one.
#[test]
fn asking_alone_keeps_no_place() {
    let mut gate = gate(1);
    let (viewer, from) = (1, at(1, 9));
    assert!(come(&mut gate, viewer, from, START));
    let mut kept = Duration::ZERO;
    for tick in 1..60 {
        let now = START + SILENCE / 2 * tick;
        for cookie in [0, 99] {
            let packet = Packet::Connect(Connect { viewer, cookie });
            let header = Header {
                stream: STREAM,
                destination: NO_DESTINATION,
                channel: packet.channel(),
                number: PacketNumber(0),
                sent: 0,
            };
            let (mut datagram, mut answer) = (Vec::new(), Vec::new());
            packet.encode(&header, &mut datagram);
            gate.handle_datagram(from, &datagram, now, &mut answer);
            assert!(answer.len() <= datagram.len());
        }
        while gate.poll_gone(now).is_some() {}
        if gate.served() == 1 {
            kept = now - START;
        }
    }
    assert!(kept < SILENCE, "the place was kept for {kept:?}");

    // Reports do, and so does a cookie that came back.
    assert!(come(&mut gate, viewer, from, START));
    for tick in 1..60 {
        let now = START + SILENCE / 2 * tick;
        assert!(reports(&mut gate, viewer, from, now));
        assert_eq!(gate.poll_gone(now), None);
    }
    for tick in 60..120 {
        let now = START + SILENCE / 2 * tick;
        assert!(come(&mut gate, viewer, from, now));
        assert_eq!(gate.poll_gone(now), None);
    }
}

const MS: Duration = Duration::from_millis(1);
