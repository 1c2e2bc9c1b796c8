//! Attackers of a sender that admits viewers which connect to it.

use framegram_common::sender::{AcceptorConfig, Output, SILENCE};
use framegram_common::wire::native::{Connect, NO_DESTINATION, ReceiverReport};

use super::*;

fn listening(max_peers: u16) -> Sender {
    let config = sender::Config {
        destinations: 0,
        acceptor: Some(AcceptorConfig {
            secret: (1, 2),
            max_peers,
            accepts: false,
        }),
        ..sender::Config::default()
    };
    Sender::new(config, STREAM, START)
}

/// Hands a packet to the sender. Returns the answer, if there is one.
fn hand(sender: &mut Sender, from: SocketAddr, packet: &[u8], now: Duration) -> Option<Vec<u8>> {
    sender.handle_incoming(from, packet, now);
    let (mut answer, mut out) = (None, Vec::new());
    loop {
        match sender.poll_output(now, &mut out) {
            Output::Answer(to) => {
                assert!(to == from && out.len() <= packet.len());
                answer = Some(out.clone());
            }
            Output::Transmit(_) | Output::Event(_) => {}
            Output::Timeout(_) => return answer,
        }
    }
}

/// The packet of a viewer that asks to be served.
fn connect(viewer: u64, cookie: u64) -> Vec<u8> {
    let packet = Packet::Connect(Connect { viewer, cookie });
    let header = Header {
        stream: STREAM as u32,
        destination: NO_DESTINATION,
        channel: packet.channel(),
        number: PacketNumber(0),
        sent: 0,
    };
    let mut datagram = Vec::new();
    packet.encode(&header, &mut datagram);
    datagram
}

/// Connects a viewer as far as the sender permits. Returns whether it is served.
fn come(sender: &mut Sender, viewer: u64, from: SocketAddr, now: Duration) -> bool {
    let mut cookie = 0;
    loop {
        let Some(answer) = hand(sender, from, &connect(viewer, cookie), now) else {
            return true;
        };
        match Packet::decode(&answer).unwrap().1 {
            Packet::Challenge(challenge) => cookie = challenge.cookie,
            _ => return false,
        }
    }
}

/// Whether the sender accepts the viewer's report.
fn reports(sender: &mut Sender, viewer: u64, from: SocketAddr, now: Duration) -> bool {
    let foreign = |sender: &Sender| sender.statistics(now).admission.unwrap().foreign;
    let before = foreign(sender);
    let report = ReceiverReport {
        viewer,
        ..ReceiverReport::default()
    };
    let datagram = Forger::new().datagram(&Packet::ReceiverReport(report), now);
    hand(sender, from, &datagram, now);
    foreign(sender) == before
}

#[test]
fn one_address_takes_all_slots_only_while_nobody_else_wants_one() {
    let mut sender = listening(16);
    for port in 1..=16 {
        let free = come(
            &mut sender,
            port.into(),
            at(66, port),
            START + MS * port.into(),
        );
        assert!(free, "{port}: free places are for anyone");
    }
    assert!(!come(&mut sender, 17, at(66, 17), START), "all are taken");
    // Others are admitted until all have equally many.
    for host in 1..=15 {
        let now = START + SILENCE / 2;
        assert!(come(&mut sender, 100 + u64::from(host), at(host, 9), now));
    }
    assert!(!come(&mut sender, 99, at(99, 9), START + SILENCE / 2));
    assert_eq!(sender.admitted(), 16);
    let stays = (1..=16).filter(|&port| reports(&mut sender, port.into(), at(66, port), START));
    assert_eq!(stays.collect::<Vec<_>>(), [1], "the first that came stays");
}

#[test]
fn two_households_share_what_there_is() {
    let mut sender = listening(5);
    for port in 1..=5 {
        assert!(come(&mut sender, port.into(), at(66, port), START));
    }
    let came = (1..=5).filter(|&port| come(&mut sender, 10 + u64::from(port), at(7, port), START));
    assert_eq!(came.count(), 2);
    let came =
        (1..=5).filter(|&port| come(&mut sender, 20 + u64::from(port), at(66, 20 + port), START));
    assert_eq!(came.count(), 0, "nobody is turned out in turns");
}

/// All addresses of a network that one household has count as one.
#[test]
fn a_prefix_of_ipv6_is_one_address() {
    let mut sender = listening(4);
    let address = |text: &str| text.parse::<SocketAddr>().unwrap();
    for host in 1..=4 {
        let from = address(&format!("[2001:db8:0:1::{host}]:5005"));
        assert!(come(&mut sender, host, from, START));
    }
    let fifth = address("[2001:db8:0:1:ffff::5]:5005");
    assert!(!come(&mut sender, 5, fifth, START));
    assert!(come(
        &mut sender,
        6,
        address("[2001:db8:0:2::1]:5005"),
        START
    ));
}

/// A viewer that proved an address once cannot keep the stream flowing to it from a forged address.
#[test]
fn a_request_without_proof_takes_no_slot() {
    let mut sender = listening(1);
    let (viewer, from) = (1, at(1, 9));
    assert!(come(&mut sender, viewer, from, START));
    let mut kept = Duration::ZERO;
    for tick in 1..60 {
        let now = START + SILENCE / 2 * tick;
        for cookie in [0, 99] {
            hand(&mut sender, from, &connect(viewer, cookie), now);
        }
        if sender.admitted() == 1 {
            kept = now - START;
        }
    }
    assert!(kept < SILENCE, "the place was kept for {kept:?}");

    // A report counts, and so does a cookie that was returned.
    assert!(come(&mut sender, viewer, from, START));
    for tick in 1..60 {
        let now = START + SILENCE / 2 * tick;
        assert!(reports(&mut sender, viewer, from, now));
        assert_eq!(sender.admitted(), 1);
    }
    for tick in 60..120 {
        let now = START + SILENCE / 2 * tick;
        assert!(come(&mut sender, viewer, from, now));
        assert_eq!(sender.admitted(), 1);
    }
}

const MS: Duration = Duration::from_millis(1);
