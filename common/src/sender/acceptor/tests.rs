use super::*;
use crate::caller::{Answer, Caller};
use crate::wire::native::{ReceiverBye, ReceiverReport};

const STREAM: u64 = 7;
const GATE: &str = "192.0.2.1:5005";

fn gate(most: u16) -> Acceptor {
    Acceptor::new(Config {
        stream: STREAM,
        secret: (1, 2),
        most,
    })
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn encoded(stream: u64, packet: &Packet<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    let header = Header {
        stream,
        destination: 0,
        channel: packet.channel(),
        number: PacketNumber(0),
        sent: 0,
    };
    packet.encode(&header, &mut out);
    out
}

/// Lets a viewer at `from` come in, as far as the gate lets it.
fn come(gate: &mut Acceptor, viewer: u64, from: &str, now: Duration) -> Vec<Visit> {
    let mut caller = Caller::new(viewer, address(GATE), now);
    let (mut asked, mut answer, mut visits) = (Vec::new(), Vec::new(), Vec::new());
    while caller.poll_transmit(now, &mut asked) {
        visits.push(gate.handle_datagram(address(from), &asked, now, &mut answer));
        assert!(answer.len() <= asked.len());
        if !answer.is_empty() {
            let (header, _) = Packet::decode(&answer).unwrap();
            assert_eq!(header.stream, 0, "nobody outside is told the number");
            let heard = caller.handle_datagram(address(GATE), &answer, now);
            assert_ne!(heard, Answer::None);
        }
    }
    visits
}

#[test]
fn a_viewer_is_served_once_it_has_sent_its_cookie_back() {
    let mut gate = gate(2);
    let now = Duration::from_secs(100);
    let visits = come(&mut gate, 11, "10.0.0.1:1000", now);
    assert_eq!(visits, [Visit::Challenged, Visit::Admitted(0)]);
    let visits = come(&mut gate, 12, "[2001:db8::1]:1000", now);
    assert_eq!(visits, [Visit::Challenged, Visit::Admitted(1)]);
    let visits = come(&mut gate, 13, "10.0.0.1:1001", now);
    assert_eq!(visits, [Visit::Challenged, Visit::Refused]);
    let counts = gate.counts();
    assert_eq!((counts.served, counts.admitted, counts.refused), (2, 2, 1));
    assert_eq!((counts.challenged, counts.proven), (3, 3));
}

#[test]
fn forged_addresses_are_counted_and_get_no_place() {
    let mut gate = gate(1);
    let mut out = Vec::new();
    let now = Duration::from_secs(1);
    for host in 0..200_u8 {
        let forged = SocketAddr::from(([198, 51, 100, host], 5005));
        let connect = Packet::Connect(Connect {
            viewer: 1,
            cookie: u64::from(host),
        });
        let asked = encoded(0, &connect);
        let visit = gate.handle_datagram(forged, &asked, now, &mut out);
        assert_eq!(visit, Visit::Challenged);
        assert!(out.len() <= asked.len());
    }
    let counts = gate.counts();
    assert_eq!((counts.challenged, counts.proven), (200, 0));
    assert_eq!(gate.served(), 0);
    assert!(gate.places.is_empty());
}

#[test]
fn a_cookie_is_for_one_address_one_viewer_and_a_short_time() {
    let gate = gate(1);
    let now = Duration::from_secs(1_005);
    let (viewer, from) = (5, address("10.0.0.1:1000"));
    let cookie = gate.cookie(viewer, from, span(now));
    assert!(gate.is_cookie(cookie, viewer, from, now));
    assert!(gate.is_cookie(cookie, viewer, from, now + COOKIE_SPAN));
    assert!(!gate.is_cookie(cookie, viewer, from, now + 2 * COOKIE_SPAN));
    assert!(!gate.is_cookie(cookie, viewer + 1, from, now));
    for other in ["10.0.0.1:1001", "10.0.0.2:1000", "[::1]:1000"] {
        assert!(!gate.is_cookie(cookie, viewer, address(other), now));
    }
    assert!(!gate.is_cookie(0, viewer, from, now));
}

#[test]
fn a_place_becomes_free_by_silence_and_by_leave() {
    let mut gate = gate(1);
    let from = "10.0.0.1:1000";
    come(&mut gate, 11, from, Duration::ZERO);
    let report = Packet::ReceiverReport(ReceiverReport {
        viewer: 11,
        ..ReceiverReport::default()
    });
    let mut out = Vec::new();
    let later = Duration::from_secs(4);
    let visit = gate.handle_datagram(address(from), &encoded(STREAM, &report), later, &mut out);
    assert_eq!(visit, Visit::Served(0));
    assert_eq!(gate.poll_timeout(), Some(later + SILENCE));
    assert_eq!(gate.poll_gone(SILENCE), None);
    assert_eq!(gate.poll_gone(later + SILENCE), Some(0));
    assert_eq!((gate.poll_gone(later + SILENCE), gate.served()), (None, 0));

    come(&mut gate, 12, from, later);
    let leave = |viewer| encoded(STREAM, &Packet::ReceiverBye(ReceiverBye { viewer }));
    // Nobody else can send a viewer away: nobody else knows its number.
    let visit = gate.handle_datagram(address(from), &leave(11), later, &mut out);
    assert_eq!(visit, Visit::Foreign);
    let visit = gate.handle_datagram(address("10.0.0.2:1000"), &leave(12), later, &mut out);
    assert_eq!(visit, Visit::Foreign);
    let visit = gate.handle_datagram(address(from), &leave(12), later, &mut out);
    assert_eq!((visit, gate.served()), (Visit::Left(0), 0));
}

#[test]
fn a_viewer_keeps_its_place_when_its_address_changes() {
    let mut gate = gate(2);
    come(&mut gate, 11, "10.0.0.1:1000", Duration::ZERO);
    let moved = come(&mut gate, 11, "10.0.0.9:1000", Duration::ZERO);
    assert_eq!(moved, [Visit::Challenged, Visit::Admitted(0)]);
    // And another viewer at an address takes the place of the one there.
    let restarted = come(&mut gate, 12, "10.0.0.9:1000", Duration::ZERO);
    assert_eq!(restarted.last(), Some(&Visit::Admitted(0)));
    assert_eq!(gate.served(), 1);
}

#[test]
fn viewers_are_back_in_their_places_after_an_outage_and_others_are_known_to_be_moved() {
    let mut gate = gate(2);
    let (one, two, three) = ("10.0.0.1:1000", "10.0.0.2:1000", "10.0.0.3:1000");
    let last = |visits: Vec<Visit>| visits.last().copied();
    come(&mut gate, 11, one, Duration::ZERO);
    come(&mut gate, 12, two, Duration::ZERO);
    let fall_silent = |gate: &mut Acceptor, now| {
        while gate.poll_gone(now).is_some() {}
        assert_eq!(gate.served(), 0);
    };
    fall_silent(&mut gate, SILENCE);
    // Whoever asks first: the numbers of a place are one viewer's.
    let back = come(&mut gate, 12, two, SILENCE);
    assert_eq!(last(back), Some(Visit::Admitted(1)));
    let back = come(&mut gate, 11, one, SILENCE);
    assert_eq!(last(back), Some(Visit::Admitted(0)));

    fall_silent(&mut gate, 2 * SILENCE);
    let new = come(&mut gate, 13, three, 2 * SILENCE);
    assert_eq!(last(new), Some(Visit::Admitted(0)));
    let back = come(&mut gate, 11, one, 2 * SILENCE);
    assert_eq!(last(back), Some(Visit::Moved(1)));
}

#[test]
fn what_is_no_word_of_a_viewer_gets_no_answer() {
    let mut gate = gate(1);
    let mut out = Vec::new();
    let challenge = Packet::Challenge(Challenge::default());
    for datagram in [b"".to_vec(), b"FRAME".to_vec(), encoded(STREAM, &challenge)] {
        let visit = gate.handle_datagram(address("10.0.0.1:1"), &datagram, SILENCE, &mut out);
        assert_eq!(visit, Visit::Foreign);
        assert!(out.is_empty());
    }
    assert_eq!(gate.counts().foreign, 3);
}
