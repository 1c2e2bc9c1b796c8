use super::*;
use crate::wire::native::{ReceiverBye, ReceiverReport};

const STREAM: u32 = 7;

fn acceptor(max_peers: u16) -> Acceptor {
    let config = AcceptorConfig {
        secret: (1, 2),
        max_peers,
        accepts: false,
    };
    Acceptor::new(STREAM, 0, config)
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// What follows from a packet of `stream`, and the answer.
fn hand(
    acceptor: &mut Acceptor,
    from: SocketAddr,
    (stream, packet): (u32, &Packet<'_>),
    now: Duration,
) -> (Decision, Vec<u8>) {
    let header = Header {
        stream,
        destination: 0,
        channel: packet.channel(),
        number: PacketNumber(0),
        sent: 0,
    };
    let mut datagram = Vec::new();
    packet.encode(&header, &mut datagram);
    let mut answer = Vec::new();
    let packet = (&WireHeader::from(&header), packet, datagram.len());
    let decision = acceptor.handle_packet(from, packet, now, &mut answer);
    assert!(answer.len() <= datagram.len());
    (decision, answer)
}

/// Lets a viewer at `from` connect, as far as it is let.
fn connect(acceptor: &mut Acceptor, viewer: u64, from: &str, now: Duration) -> Vec<Decision> {
    let (mut cookie, mut decisions) = (0, Vec::new());
    loop {
        let packet = Packet::Connect(Connect { viewer, cookie });
        let (decision, answer) = hand(acceptor, address(from), (0, &packet), now);
        decisions.push(decision);
        if answer.is_empty() {
            return decisions;
        }
        let (header, packet) = Packet::decode(&answer).unwrap();
        let is_served = matches!(packet, Packet::Accept(_));
        assert!(
            is_served || header.stream == 0,
            "nobody outside is told the number"
        );
        match packet {
            Packet::Challenge(challenge) => cookie = challenge.cookie,
            _ => return decisions,
        }
    }
}

#[test]
fn a_viewer_is_served_once_it_has_sent_its_cookie_back() {
    let mut acceptor = acceptor(2);
    let now = Duration::from_secs(100);
    let decisions = connect(&mut acceptor, 11, "10.0.0.1:1000", now);
    assert_eq!(decisions, [Decision::Challenged, Decision::Admitted(0)]);
    let decisions = connect(&mut acceptor, 12, "[2001:db8::1]:1000", now);
    assert_eq!(decisions, [Decision::Challenged, Decision::Admitted(1)]);
    let decisions = connect(&mut acceptor, 13, "10.0.0.1:1001", now);
    assert_eq!(decisions, [Decision::Challenged, Decision::Rejected]);
    let counts = acceptor.counts();
    assert_eq!((counts.served, counts.admitted, counts.rejected), (2, 2, 1));
    assert_eq!((counts.challenged, counts.proven), (3, 3));
}

#[test]
fn a_viewer_that_is_served_is_told_so_where_that_is_wanted_and_again_when_it_asks_again() {
    let mut acceptor = Acceptor::new(
        STREAM,
        3,
        AcceptorConfig {
            secret: (1, 2),
            max_peers: 2,
            accepts: true,
        },
    );
    let (now, from) = (Duration::from_secs(100), address("10.0.0.1:1000"));
    connect(&mut acceptor, 10, "10.0.0.2:1000", now);
    let first = Packet::Connect(Connect {
        viewer: 11,
        cookie: 0,
    });
    let (decision, _) = hand(&mut acceptor, from, (0, &first), now);
    assert_eq!(decision, Decision::Challenged);
    let cookie = acceptor.cookie(11, from, span(now));
    let proven = Packet::Connect(Connect { viewer: 11, cookie });
    for expected in [Decision::Admitted(1), Decision::Peer(1)] {
        let (decision, answer) = hand(&mut acceptor, from, (0, &proven), now);
        assert_eq!(decision, expected);
        let (header, packet) = Packet::decode(&answer).unwrap();
        let accept = Accept {
            viewer: 11,
            destination: 4,
        };
        assert_eq!((header.stream, packet), (STREAM, Packet::Accept(accept)));
        assert_eq!(header.destination, NO_DESTINATION);
    }
}

#[test]
fn forged_addresses_are_counted_and_get_no_slot() {
    let mut acceptor = acceptor(1);
    let now = Duration::from_secs(1);
    for host in 0..200_u8 {
        let forged = SocketAddr::from(([198, 51, 100, host], 5005));
        let connect = Packet::Connect(Connect {
            viewer: 1,
            cookie: u64::from(host),
        });
        let (decision, _) = hand(&mut acceptor, forged, (0, &connect), now);
        assert_eq!(decision, Decision::Challenged);
    }
    let counts = acceptor.counts();
    assert_eq!((counts.challenged, counts.proven), (200, 0));
    assert_eq!(acceptor.served(), 0);
    assert!(acceptor.slots.is_empty());
}

#[test]
fn a_cookie_is_for_one_address_one_viewer_and_a_short_time() {
    let acceptor = acceptor(1);
    let now = Duration::from_secs(1_005);
    let (viewer, from) = (5, address("10.0.0.1:1000"));
    let cookie = acceptor.cookie(viewer, from, span(now));
    assert!(acceptor.is_cookie(cookie, viewer, from, now));
    assert!(acceptor.is_cookie(cookie, viewer, from, now + COOKIE_SPAN));
    assert!(!acceptor.is_cookie(cookie, viewer, from, now + 2 * COOKIE_SPAN));
    assert!(!acceptor.is_cookie(cookie, viewer + 1, from, now));
    for other in ["10.0.0.1:1001", "10.0.0.2:1000", "[::1]:1000"] {
        assert!(!acceptor.is_cookie(cookie, viewer, address(other), now));
    }
    assert!(!acceptor.is_cookie(0, viewer, from, now));
}

#[test]
fn a_slot_becomes_free_by_silence_and_by_bye() {
    let mut acceptor = acceptor(1);
    let from = "10.0.0.1:1000";
    connect(&mut acceptor, 11, from, Duration::ZERO);
    let report = Packet::ReceiverReport(ReceiverReport {
        viewer: 11,
        ..ReceiverReport::default()
    });
    let later = Duration::from_secs(4);
    let (decision, _) = hand(&mut acceptor, address(from), (STREAM, &report), later);
    assert_eq!(decision, Decision::Peer(0));
    assert_eq!(acceptor.poll_timeout(), Some(later + SILENCE));
    assert_eq!(acceptor.poll_silent(SILENCE), None);
    assert_eq!(acceptor.poll_silent(later + SILENCE), Some(0));
    assert_eq!(acceptor.poll_silent(later + SILENCE), None);
    assert_eq!(acceptor.served(), 0);

    connect(&mut acceptor, 12, from, later);
    let bye = |acceptor: &mut Acceptor, from: &str, viewer| {
        let bye = Packet::ReceiverBye(ReceiverBye { viewer });
        hand(acceptor, address(from), (STREAM, &bye), later).0
    };
    // Nobody else can send a viewer away: nobody else knows its number.
    assert_eq!(bye(&mut acceptor, from, 11), Decision::Foreign);
    assert_eq!(bye(&mut acceptor, "10.0.0.2:1000", 12), Decision::Foreign);
    assert_eq!(acceptor.served(), 1);
    assert_eq!(bye(&mut acceptor, from, 12), Decision::Left(0));
    assert_eq!((acceptor.served(), acceptor.counts().foreign), (0, 0));
}

#[test]
fn a_viewer_keeps_its_slot_when_its_address_changes() {
    let mut acceptor = acceptor(2);
    connect(&mut acceptor, 11, "10.0.0.1:1000", Duration::ZERO);
    let moved = connect(&mut acceptor, 11, "10.0.0.9:1000", Duration::ZERO);
    assert_eq!(moved, [Decision::Challenged, Decision::Admitted(0)]);
    // And another viewer at an address takes the slot of the one there.
    let restarted = connect(&mut acceptor, 12, "10.0.0.9:1000", Duration::ZERO);
    assert_eq!(restarted.last(), Some(&Decision::Admitted(0)));
    assert_eq!(acceptor.served(), 1);
}

#[test]
fn viewers_are_back_in_their_slots_after_an_outage_and_others_are_known_to_be_moved() {
    let mut acceptor = acceptor(2);
    let (one, two, three) = ("10.0.0.1:1000", "10.0.0.2:1000", "10.0.0.3:1000");
    let last = |decisions: Vec<Decision>| decisions.last().copied();
    connect(&mut acceptor, 11, one, Duration::ZERO);
    connect(&mut acceptor, 12, two, Duration::ZERO);
    let fall_silent = |acceptor: &mut Acceptor, now| {
        while acceptor.poll_silent(now).is_some() {}
        assert_eq!(acceptor.served(), 0);
    };
    fall_silent(&mut acceptor, SILENCE);
    // Whoever asks first: the numbers of a slot are one viewer's.
    let back = connect(&mut acceptor, 12, two, SILENCE);
    assert_eq!(last(back), Some(Decision::Admitted(1)));
    let back = connect(&mut acceptor, 11, one, SILENCE);
    assert_eq!(last(back), Some(Decision::Admitted(0)));

    fall_silent(&mut acceptor, 2 * SILENCE);
    let new = connect(&mut acceptor, 13, three, 2 * SILENCE);
    assert_eq!(last(new), Some(Decision::Admitted(0)));
    let back = connect(&mut acceptor, 11, one, 2 * SILENCE);
    assert_eq!(last(back), Some(Decision::Moved(1)));
}

#[test]
fn packets_that_no_viewer_sends_get_no_answer() {
    let mut acceptor = acceptor(1);
    let packets = [
        (STREAM, Packet::Challenge(Challenge::default())),
        (STREAM, Packet::ReceiverReport(ReceiverReport::default())),
        (STREAM + 1, Packet::ReceiverBye(ReceiverBye { viewer: 11 })),
    ];
    for (stream, packet) in packets {
        let from = address("10.0.0.1:1");
        let (decision, answer) = hand(&mut acceptor, from, (stream, &packet), SILENCE);
        assert_eq!(decision, Decision::Foreign);
        assert!(answer.is_empty());
    }
    assert_eq!(acceptor.counts().foreign, 3);
}
