//! Viewers that connect: keys of their own.

use framegram_common::wire::native::{Accept, Connect, HANDSHAKE, NO_DESTINATION, ReceiverReport};

use super::*;

const OTHER: u64 = VIEWER + 1;

fn listening(salt: u8) -> SenderSeal {
    let seal = SenderSeal::new(secret(), [salt; SALT], Suite::best());
    seal.accepting(1, [salt; SEED])
}

fn connecting(number: u64) -> ViewerSeal {
    let seal = ViewerSeal::new(secret(), number, [number as u8; SALT], Suite::best());
    seal.connecting([number as u8; SEED])
}

fn encoded(packet: &Packet<'_>, destination: u16, number: u64) -> Vec<u8> {
    let header = Header {
        stream: STREAM,
        destination,
        channel: packet.channel(),
        number: PacketNumber(number),
        sent: 0,
    };
    let mut out = Vec::new();
    packet.encode(&header, &mut out);
    out
}

/// A viewer's request, sealed.
fn request(viewer: &mut ViewerSeal, number: u64) -> Vec<u8> {
    let connect = Packet::Connect(Connect {
        viewer: number,
        cookie: 5,
    });
    let mut out = Vec::new();
    assert!(viewer.seal(&encoded(&connect, NO_DESTINATION, 0), SECOND, &mut out));
    out
}

/// The answer of a sender that serves the viewer, sealed.
fn answer(sender: &mut SenderSeal, viewer: u64, destination: u16) -> Vec<u8> {
    let accept = Packet::Accept(Accept {
        viewer,
        destination,
    });
    let mut out = Vec::new();
    let packet = encoded(&accept, NO_DESTINATION, 0);
    sender.seal(&packet, packet.len(), SECOND, &mut out);
    out
}

/// A viewer's report, sealed, and the sender's result of opening it.
fn report(viewer: &mut ViewerSeal, number: u64, sender: &mut SenderSeal) -> Result<(), Refusal> {
    let report = Packet::ReceiverReport(ReceiverReport {
        viewer: number,
        ..ReceiverReport::default()
    });
    let mut out = Vec::new();
    assert!(viewer.seal(&encoded(&report, 1, 0), SECOND, &mut out));
    returned(sender, &out, SECOND).map(drop)
}

fn handshake(datagram: &[u8]) -> [u8; HANDSHAKE] {
    let envelope = Envelope::of_sealed(datagram).unwrap();
    envelope.handshake.unwrap()
}

/// Gets a viewer accepted as a destination. Returns the request and the answer.
fn accepted(
    sender: &mut SenderSeal,
    (viewer, number): (&mut ViewerSeal, u64),
    destination: u16,
) -> [Vec<u8>; 2] {
    let asked = request(viewer, number);
    returned(sender, &asked, SECOND).unwrap();
    let answered = answer(sender, number, destination);
    opened(viewer, &answered, SECOND).unwrap();
    [asked, answered]
}

/// A sealed packet of a frame.
fn chunk(sender: &mut SenderSeal, destination: u16, number: u64) -> Vec<u8> {
    let clear = addressed(Channel::Media, number, destination);
    sealed(sender, &clear, SECOND)
}

#[test]
fn a_viewer_that_connects_has_keys_of_its_own() {
    let mut sender = listening(1);
    let (mut one, mut other) = (connecting(VIEWER), connecting(OTHER));
    accepted(&mut sender, (&mut one, VIEWER), 1);
    accepted(&mut sender, (&mut other, OTHER), 2);
    for number in 0..3 {
        let (to_one, to_other) = (chunk(&mut sender, 1, number), chunk(&mut sender, 2, number));
        assert!(opened(&mut one, &to_one, SECOND).is_ok());
        assert_eq!(opened(&mut other, &to_one, SECOND), Err(Refusal::Early));
        assert!(opened(&mut other, &to_other, SECOND).is_ok());
        assert_eq!(opened(&mut one, &to_one, SECOND), Err(Refusal::Replayed));
    }
    assert_eq!(report(&mut one, VIEWER, &mut sender), Ok(()));
    assert_eq!(report(&mut other, OTHER, &mut sender), Ok(()));
    // A viewer with a fixed destination uses the shared key.
    let mut fixed = viewer();
    let clear = addressed(Channel::Control, 0, 0);
    let totals = sealed(&mut sender, &clear, SECOND);
    assert!(opened(&mut fixed, &totals, SECOND).is_ok());
}

/// An attacker who has recorded everything and later gets the key: it runs both sides again, with
/// all that was sent in the clear, but without the private keys.
#[test]
fn a_recording_cannot_be_read_with_the_key() {
    let mut sender = listening(1);
    let mut viewer = connecting(VIEWER);
    let [asked, answered] = accepted(&mut sender, (&mut viewer, VIEWER), 1);
    let recorded: Vec<_> = (0..9).map(|number| chunk(&mut sender, 1, number)).collect();
    // As the viewer: with the same number and salt, but another seed.
    let late = ViewerSeal::new(secret(), VIEWER, [VIEWER as u8; SALT], Suite::best());
    let mut late = late.connecting([9; SEED]);
    assert_ne!(handshake(&request(&mut late, VIEWER)), handshake(&asked));
    assert!(
        opened(&mut late, &answered, SECOND).is_ok(),
        "the key is right"
    );
    for datagram in &recorded {
        assert_eq!(opened(&mut late, datagram, SECOND), Err(Refusal::Early));
    }
    // As a viewer that does not connect: the shared key opens nothing.
    let mut joined = joined(&mut SenderSeal::new(secret(), [1; SALT], Suite::best()));
    for datagram in &recorded {
        assert!(opened(&mut joined, datagram, SECOND).is_err());
    }
    // As a sender with the recorded request.
    let seal = SenderSeal::new(secret(), [1; SALT], Suite::best());
    let mut again = seal.accepting(1, [9; SEED]);
    returned(&mut again, &asked, SECOND).unwrap();
    assert_ne!(
        handshake(&answer(&mut again, VIEWER, 1)),
        handshake(&answered)
    );
    assert_ne!(chunk(&mut again, 1, 0), recorded[0]);
}

#[test]
fn a_viewer_that_connects_refuses_streams_sealed_with_the_shared_key() {
    let mut viewer = connecting(VIEWER);
    let mut sender = sender(Suite::best());
    for channel in [Channel::Control, Channel::Media] {
        let datagram = sealed(&mut sender, &numbered(channel, 0), SECOND);
        let refused = opened(&mut viewer, &datagram, SECOND);
        assert_eq!(refused, Err(Refusal::Unauthentic));
    }
}

#[test]
fn a_repeated_request_gets_the_same_answer_and_a_spent_one_gets_none() {
    let mut sender = listening(1);
    let mut viewer = connecting(VIEWER);
    let [asked, answered] = accepted(&mut sender, (&mut viewer, VIEWER), 1);
    let again = request(&mut viewer, VIEWER);
    assert_eq!(
        handshake(&again),
        handshake(&asked),
        "until the keys are in use"
    );
    returned(&mut sender, &again, SECOND).unwrap();
    let repeated = answer(&mut sender, VIEWER, 1);
    assert_eq!(handshake(&repeated), handshake(&answered));
    assert!(opened(&mut viewer, &repeated, SECOND).is_ok());
    assert_eq!(report(&mut viewer, VIEWER, &mut sender), Ok(()));
    // From now on, that request can only be a replay.
    for datagram in [&asked, &again] {
        let refused = returned(&mut sender, datagram, SECOND);
        assert_eq!(refused, Err(Refusal::Replayed));
    }
    assert!(answer(&mut sender, VIEWER, 1).is_empty());
    let next = request(&mut viewer, VIEWER);
    assert_ne!(handshake(&next), handshake(&asked));
    let to_viewer = chunk(&mut sender, 1, 0);
    assert!(opened(&mut viewer, &to_viewer, SECOND).is_ok());
}

/// The old keys serve until the viewer has proved to have the new ones: the answer may be lost, or
/// the request may be a replay.
#[test]
fn new_keys_replace_old_ones_once_the_viewer_has_proved_to_have_them() {
    let mut sender = listening(1);
    let mut viewer = connecting(VIEWER);
    accepted(&mut sender, (&mut viewer, VIEWER), 1);
    report(&mut viewer, VIEWER, &mut sender).unwrap();
    let mut number = 0;
    let mut session = |sender: &mut SenderSeal| {
        number += 1;
        let datagram = chunk(sender, 1, number);
        let key = Envelope::of_sealed(&datagram).unwrap().key;
        (datagram, key)
    };
    let (_, old) = session(&mut sender);
    // The answer is lost.
    let asked = request(&mut viewer, VIEWER);
    returned(&mut sender, &asked, SECOND).unwrap();
    let lost = answer(&mut sender, VIEWER, 1);
    let (datagram, key) = session(&mut sender);
    assert_eq!(key, old);
    assert!(opened(&mut viewer, &datagram, SECOND).is_ok());
    assert_eq!(report(&mut viewer, VIEWER, &mut sender), Ok(()));
    // The answer arrives, and overtakes a packet sent before it.
    let (held, key) = session(&mut sender);
    assert_eq!(key, old);
    assert!(opened(&mut viewer, &lost, SECOND).is_ok());
    assert_eq!(report(&mut viewer, VIEWER, &mut sender), Ok(()));
    let (datagram, new) = session(&mut sender);
    assert_ne!(new, old);
    assert!(opened(&mut viewer, &datagram, SECOND).is_ok());
    assert!(opened(&mut viewer, &held, SECOND).is_ok());
}

#[test]
fn a_restarted_sender_answers_the_same_request_with_other_keys() {
    let mut viewer = connecting(VIEWER);
    let mut sender = listening(1);
    let [asked, _] = accepted(&mut sender, (&mut viewer, VIEWER), 1);
    drop(sender);
    let mut sender = listening(2);
    let again = request(&mut viewer, VIEWER);
    assert_eq!(handshake(&again), handshake(&asked));
    returned(&mut sender, &again, SECOND).unwrap();
    opened(&mut viewer, &answer(&mut sender, VIEWER, 1), SECOND).unwrap();
    let datagram = chunk(&mut sender, 1, 0);
    assert!(opened(&mut viewer, &datagram, SECOND).is_ok());
    assert_eq!(report(&mut viewer, VIEWER, &mut sender), Ok(()));
}

#[test]
fn forgets_the_keys_of_viewers_that_leave_or_move() {
    let mut sender = listening(1);
    let mut viewer = connecting(VIEWER);
    let mut other = connecting(OTHER);
    accepted(&mut sender, (&mut viewer, VIEWER), 1);
    report(&mut viewer, VIEWER, &mut sender).unwrap();
    // Another viewer gets its destination.
    accepted(&mut sender, (&mut other, OTHER), 1);
    let refused = report(&mut viewer, VIEWER, &mut sender);
    assert_eq!(refused, Err(Refusal::Early));
    let datagram = chunk(&mut sender, 1, 0);
    assert!(opened(&mut other, &datagram, SECOND).is_ok());
    // It gets another destination.
    report(&mut other, OTHER, &mut sender).unwrap();
    accepted(&mut sender, (&mut other, OTHER), 3);
    let mut out = Vec::new();
    let clear = addressed(Channel::Media, 1, 1);
    sender.seal(&clear, clear.len(), SECOND, &mut out);
    assert!(out.is_empty(), "the destination is not in use");
    let datagram = chunk(&mut sender, 3, 0);
    assert!(opened(&mut other, &datagram, SECOND).is_ok());
    sender.forget(3);
    let refused = report(&mut other, OTHER, &mut sender);
    assert_eq!(refused, Err(Refusal::Early));
}

#[test]
fn accepts_only_viewers_that_asked_and_few_in_a_second() {
    let mut sender = listening(1);
    assert!(answer(&mut sender, VIEWER, 1).is_empty());
    let mut most = 0;
    for number in 1..400 {
        let mut viewer = connecting(number);
        returned(&mut sender, &request(&mut viewer, number), SECOND).unwrap();
        most += usize::from(!answer(&mut sender, number, number as u16).is_empty());
    }
    assert_eq!(most, 200);
    // The state machine answers none of them: only the last ones are known.
    let later = 2 * SECOND;
    for number in 1_000..1_100 {
        let mut viewer = connecting(number);
        returned(&mut sender, &request(&mut viewer, number), later).unwrap();
    }
    let mut waiting = (1_000..1_100).filter(|number| {
        let accept = Packet::Accept(Accept {
            viewer: *number,
            destination: 7,
        });
        let packet = encoded(&accept, NO_DESTINATION, 0);
        let mut out = Vec::new();
        sender.seal(&packet, packet.len(), later, &mut out);
        !out.is_empty()
    });
    assert_eq!(waiting.next(), Some(1_084));
    assert_eq!(waiting.count(), 15);
}

#[test]
fn few_passphrases_can_be_tried_in_a_second() {
    let mut sender = listening(1);
    let mut tried = 0;
    for _ in 0..200 {
        let wrong = ViewerSeal::new(other_secret(), OTHER, [3; SALT], Suite::best());
        let mut wrong = wrong.connecting([3; SEED]);
        let refused = returned(&mut sender, &request(&mut wrong, OTHER), SECOND);
        assert_eq!(refused, Err(Refusal::Unauthentic));
        // The right one would be refused, too.
        let mut viewer = connecting(VIEWER);
        let asked = request(&mut viewer, VIEWER);
        tried += u32::from(returned(&mut sender, &asked, SECOND).is_ok());
    }
    assert_eq!(tried, crate::trials::FAILURES - 1);
    // From elsewhere, and a second later, the right one is accepted.
    let elsewhere = SocketAddr::from(([192, 0, 2, 2], 5_005));
    let mut asked = request(&mut connecting(VIEWER), VIEWER);
    assert!(sender.open(elsewhere, &mut asked, SECOND).is_ok());
    let asked = request(&mut connecting(VIEWER), VIEWER);
    assert!(returned(&mut sender, &asked, 2 * SECOND).is_ok());
}

#[test]
fn no_bit_of_a_handshake_can_be_changed() {
    let mut sender = listening(1);
    let mut viewer = connecting(VIEWER);
    let asked = request(&mut viewer, VIEWER);
    for bit in 0..asked.len() * 8 {
        let mut wrong = asked.clone();
        wrong[bit / 8] ^= 1 << (bit % 8);
        let now = bit as u32 * SECOND;
        assert!(returned(&mut sender, &wrong, now).is_err(), "bit {bit}");
    }
    returned(&mut sender, &asked, SECOND).unwrap();
    let answered = answer(&mut sender, VIEWER, 1);
    for bit in 0..answered.len() * 8 {
        let mut wrong = answered.clone();
        wrong[bit / 8] ^= 1 << (bit % 8);
        let now = bit as u32 * SECOND;
        assert!(opened(&mut viewer, &wrong, now).is_err(), "bit {bit}");
    }
    opened(&mut viewer, &answered, SECOND).unwrap();
    let datagram = chunk(&mut sender, 1, 0);
    assert!(opened(&mut viewer, &datagram, SECOND).is_ok());
}
