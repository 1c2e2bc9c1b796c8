mod agreed;
mod vectors;

use std::net::SocketAddr;
use std::time::Duration;

use framegram_common::seq::PacketNumber;
use framegram_common::wire::native::{Channel, Envelope, Header, Packet, SALT, TAG, sign};

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const KEY: &str = "04HM-ASW9-NF6Y-ZZPW-QAC7-CN1J-20MB";
const STREAM: u32 = 0xa1a2_a3a4;
const VIEWER: u64 = 0x1122_3344_5566_7788;

fn secret() -> Secret {
    Secret::from_key(KEY).unwrap()
}

fn other_secret() -> Secret {
    Secret::from_key(&key_text((5, 6))).unwrap()
}

fn sender(suite: Suite) -> SenderSeal {
    SenderSeal::new(secret(), [7; SALT], suite)
}

fn viewer() -> ViewerSeal {
    ViewerSeal::new(secret(), VIEWER, [8; SALT], Suite::best())
}

/// A packet of every kind, in the clear, to one destination.
fn vectors() -> Vec<Vec<u8>> {
    let lines = include_str!("../../vectors/native-v1.txt").lines();
    let lines = lines.filter(|line| !line.starts_with('#'));
    let bytes = lines.map(|line| {
        let hex = line.split_once(' ').unwrap().1;
        let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        (0..hex.len()).step_by(2).map(byte).collect()
    });
    bytes.collect()
}

/// A packet of a channel in the clear, with this number.
fn numbered(channel: Channel, number: u64) -> Vec<u8> {
    addressed(channel, number, 2)
}

fn addressed(channel: Channel, number: u64, destination: u16) -> Vec<u8> {
    let vectors = vectors();
    let decoded = vectors.iter().map(|it| Packet::decode(it).unwrap());
    let mut of_channel = decoded.filter(|(header, packet)| {
        header.channel == channel && (channel != Channel::Control || is_report(packet))
    });
    let (_, packet) = of_channel.next().unwrap();
    let header = Header {
        stream: STREAM,
        destination,
        channel,
        number: PacketNumber(number),
        sent: 0,
    };
    let mut out = Vec::new();
    packet.encode(&header, &mut out);
    out
}

fn is_report(packet: &Packet<'_>) -> bool {
    matches!(packet, Packet::SenderReport(_))
}

fn sealed(seal: &mut SenderSeal, clear: &[u8], now: Duration) -> Vec<u8> {
    let mut out = Vec::new();
    seal.seal(clear, clear.len(), now, &mut out);
    assert!(out.len() >= clear.len() + OVERHEAD && out.len() <= clear.len() + REPORT_OVERHEAD);
    out
}

/// The address of every datagram.
fn from() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 5_005))
}

fn opened(seal: &mut ViewerSeal, datagram: &[u8], now: Duration) -> Result<Vec<u8>, Refusal> {
    let mut datagram = datagram.to_vec();
    let length = seal.open(from(), &mut datagram, now)?;
    datagram.truncate(length);
    // The CRC is not set; the test compares it.
    assert!(sign(&mut datagram));
    Ok(datagram)
}

/// Opens at the sender what a viewer has sent.
fn returned(seal: &mut SenderSeal, datagram: &[u8], now: Duration) -> Result<Vec<u8>, Refusal> {
    let mut datagram = datagram.to_vec();
    let length = seal.open(from(), &mut datagram, now)?;
    datagram.truncate(length);
    // The CRC is not set; the test compares it.
    assert!(sign(&mut datagram));
    Ok(datagram)
}

/// A viewer that has received the first report of a sender.
fn joined(sender: &mut SenderSeal) -> ViewerSeal {
    let mut viewer = viewer();
    let report = sealed(sender, &numbered(Channel::Control, 0), SECOND);
    opened(&mut viewer, &report, SECOND).unwrap();
    viewer
}

/// The packet without its header, since numbers may differ.
fn body(datagram: &[u8]) -> &[u8] {
    &datagram[framegram_common::wire::native::HEADER..]
}

#[test]
fn every_kind_of_a_stream_is_sealed_and_opened_with_either_cipher() {
    for suite in Suite::ALL {
        let mut sender = sender(suite);
        let mut viewer = joined(&mut sender);
        for (at, clear) in (1_u64..).zip(vectors()) {
            let (header, packet) = Packet::decode(&clear).unwrap();
            if matches!(packet, Packet::Connect(_)) || packet.is_answer() {
                continue;
            }
            let header = Header {
                stream: STREAM,
                destination: 2,
                channel: header.channel,
                number: PacketNumber(at),
                sent: 5,
            };
            let mut clear = Vec::new();
            packet.encode(&header, &mut clear);
            if packet.viewer().is_none() {
                let sealed = sealed(&mut sender, &clear, SECOND);
                assert_eq!(opened(&mut viewer, &sealed, SECOND).unwrap(), clear);
            } else {
                let mut sealed = Vec::new();
                assert!(viewer.seal(&clear, SECOND, &mut sealed), "{packet:?}");
                let out = returned(&mut sender, &sealed, SECOND).unwrap();
                assert_eq!(body(&out), body(&clear));
                Packet::decode(&out).unwrap();
            }
        }
        let none = Refused::default();
        assert_eq!((sender.refused(), viewer.refused()), (none, none));
    }
}

#[test]
fn no_bit_can_be_changed() {
    let mut sender = sender(Suite::best());
    let mut viewer = joined(&mut sender);
    let mut flipped = 0;
    for (channel, number) in [(Channel::Media, 0), (Channel::Control, 1)] {
        let whole = sealed(&mut sender, &numbered(channel, number), SECOND);
        for bit in 0..whole.len() * 8 {
            let mut wrong = whole.clone();
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert!(opened(&mut viewer, &wrong, SECOND).is_err(), "bit {bit}");
            flipped += 1;
        }
        for length in 0..whole.len() {
            assert!(opened(&mut viewer, &whole[..length], SECOND).is_err());
            flipped += 1;
        }
        opened(&mut viewer, &whole, SECOND).unwrap();
    }
    let Refused {
        clear,
        unauthentic,
        replayed,
        early,
    } = viewer.refused();
    // Some bits change its format or stream.
    assert_eq!(clear + unauthentic + early, flipped);
    assert_eq!(replayed, 0);
}

#[test]
fn each_packet_is_taken_once() {
    let mut sender = sender(Suite::best());
    let mut viewer = viewer();
    let mut recorded = vec![sealed(&mut sender, &numbered(Channel::Control, 0), SECOND)];
    for number in 0..3_000 {
        recorded.push(sealed(
            &mut sender,
            &numbered(Channel::Media, number),
            SECOND,
        ));
    }
    for datagram in &recorded {
        opened(&mut viewer, datagram, SECOND).unwrap();
    }
    let later = 100 * SECOND;
    for datagram in &recorded {
        assert_eq!(opened(&mut viewer, datagram, later), Err(Refusal::Replayed));
    }
    assert_eq!(viewer.refused().replayed, recorded.len() as u64);
    // The other direction.
    let report = vectors().into_iter().find(|it| it[1] & 31 == 8).unwrap();
    let mut out = Vec::new();
    assert!(viewer.seal(&report, SECOND, &mut out));
    assert!(returned(&mut sender, &out, SECOND).is_ok());
    assert_eq!(returned(&mut sender, &out, SECOND), Err(Refusal::Replayed));
}

#[test]
fn distinguishes_another_key_no_key_and_an_unknown_start() {
    let mut sender = sender(Suite::best());
    let report = sealed(&mut sender, &numbered(Channel::Control, 0), SECOND);
    let chunk = sealed(&mut sender, &numbered(Channel::Media, 0), SECOND);
    let mut other = ViewerSeal::new(other_secret(), VIEWER, [8; SALT], Suite::best());
    let open = |viewer: &mut ViewerSeal, datagram| opened(viewer, datagram, SECOND).unwrap_err();
    assert_eq!(open(&mut other, &report), Refusal::Unauthentic);
    assert_eq!(open(&mut other, &chunk), Refusal::Early);
    assert_eq!(open(&mut viewer(), &chunk), Refusal::Early);
    let clear = numbered(Channel::Media, 0);
    assert_eq!(open(&mut viewer(), &clear), Refusal::Clear);
    assert_eq!(open(&mut viewer(), b"\x80\x1a"), Refusal::Clear);
    let mut out = Vec::new();
    let connect = vectors().into_iter().find(|it| it[1] & 31 == 10).unwrap();
    assert_eq!(returned(&mut sender, &connect, SECOND), Err(Refusal::Clear));
    let mut other = other.connecting([1; SEED]);
    assert!(other.seal(&connect, SECOND, &mut out));
    let refused = returned(&mut sender, &out, SECOND);
    assert_eq!(refused, Err(Refusal::Unauthentic));
    // A viewer cannot seal for an unknown stream.
    let nack = vectors().into_iter().find(|it| it[1] & 31 == 9).unwrap();
    assert!(!viewer().seal(&nack, SECOND, &mut out));
}

#[test]
fn keys_turn_by_time_by_number_and_on_demand() {
    let mut sender = sender(Suite::best());
    let mut viewer = joined(&mut sender);
    let key = |datagram: &[u8]| Envelope::of_sealed(datagram).unwrap().key & 0xff_ffff;
    let mut send = |sender: &mut SenderSeal, number, now| {
        let datagram = sealed(sender, &numbered(Channel::Media, number), now);
        assert_eq!(opened(&mut viewer, &datagram, now).map(drop), Ok(()));
        key(&datagram)
    };
    assert_eq!(send(&mut sender, 0, SECOND), 0);
    assert_eq!(send(&mut sender, 1, 3_600 * SECOND), 0);
    assert_eq!(send(&mut sender, 2, 3_601 * SECOND), 1);
    sender.turn(3_602 * SECOND);
    let now = 3_603 * SECOND;
    assert_eq!(send(&mut sender, 3, now), 2);
    assert_eq!(send(&mut sender, 3 + (1 << 28) - 1, now), 2);
    assert_eq!(send(&mut sender, 3 + (1 << 28), now), 3);
    // Packets overtaken by one turn are taken, older ones are not.
    let held = sealed(&mut sender, &numbered(Channel::Media, 4 + (1 << 28)), now);
    sender.turn(now);
    send(&mut sender, 5 + (1 << 28), now);
    assert!(opened(&mut viewer, &held, now).is_ok());
    let held = sealed(&mut sender, &numbered(Channel::Media, 6 + (1 << 28)), now);
    for number in 7..9 {
        sender.turn(now);
        let next = sealed(
            &mut sender,
            &numbered(Channel::Media, number + (1 << 28)),
            now,
        );
        assert!(opened(&mut viewer, &next, now).is_ok());
    }
    assert_eq!(opened(&mut viewer, &held, now), Err(Refusal::Unauthentic));
    // A viewer that joins now needs only a report.
    let mut late = self::viewer();
    let report = sealed(&mut sender, &numbered(Channel::Control, 9), now);
    assert!(opened(&mut late, &report, now).is_ok());
    let chunk = sealed(&mut sender, &numbered(Channel::Media, 9 + (1 << 28)), now);
    assert!(opened(&mut late, &chunk, now).is_ok());
}

#[test]
fn numbers_go_on_across_32_bits() {
    let mut sender = sender(Suite::best());
    let mut viewer = joined(&mut sender);
    let mut number = 0_u64;
    while number < 3 << 32 {
        let datagram = sealed(&mut sender, &numbered(Channel::Media, number), SECOND);
        assert!(opened(&mut viewer, &datagram, SECOND).is_ok(), "{number}");
        assert_eq!(
            opened(&mut viewer, &datagram, SECOND),
            Err(Refusal::Replayed)
        );
        number += (1 << 31) - 5;
    }
}

/// Late by two seconds of 1.5 Gbit/s, or of two thousand reports and requests a second.
#[test]
fn packets_that_others_overtook_are_taken_within_the_window() {
    let windows = [
        (Channel::Media, 1 << 18),
        (Channel::Repair, 1 << 18),
        (Channel::Control, 1 << 12),
    ];
    for (channel, window) in windows {
        let mut sender = sender(Suite::best());
        let mut viewer = joined(&mut sender);
        let mut send = |number| sealed(&mut sender, &numbered(channel, number), SECOND);
        let late = [1, 2, 3].map(&mut send);
        let newest = send(window + 1);
        assert!(opened(&mut viewer, &newest, SECOND).is_ok());
        let taken = late.map(|datagram| opened(&mut viewer, &datagram, SECOND));
        assert_eq!(taken[0], Err(Refusal::Replayed), "{channel:?}");
        assert!(taken[1].is_ok() && taken[2].is_ok(), "{channel:?}");
    }
}

#[test]
#[should_panic(expected = "no number is sealed twice")]
fn a_number_is_not_sealed_again() {
    let mut sender = sender(Suite::best());
    for _ in 0..2 {
        sealed(&mut sender, &numbered(Channel::Media, 3), SECOND);
    }
}

#[test]
fn bodies_are_not_visible() {
    let mut sender = sender(Suite::best());
    for clear in vectors() {
        let (_, packet) = Packet::decode(&clear).unwrap();
        if packet.viewer().is_some() || matches!(packet, Packet::Accept(_)) {
            continue;
        }
        let mut seal = self::sender(Suite::best());
        let sealed = sealed(&mut seal, &clear, SECOND);
        let envelope = Envelope::of_sealed(&sealed).unwrap();
        let hidden = &sealed[envelope.clear()..];
        let seen = body(&clear)
            .windows(4)
            .filter(|part| part.iter().any(|byte| *byte != 0))
            .any(|part| hidden.windows(4).any(|of_sealed| of_sealed == part));
        assert!(!seen, "{packet:?}");
    }
    // Equal bodies differ, and so do two starts.
    let first = sealed(&mut sender, &numbered(Channel::Media, 0), SECOND);
    let second = sealed(&mut sender, &numbered(Channel::Media, 1), SECOND);
    assert_ne!(body(&first), body(&second));
    let mut again = SenderSeal::new(secret(), [9; SALT], Suite::best());
    let restarted = sealed(&mut again, &numbered(Channel::Media, 0), SECOND);
    assert_ne!(body(&first), body(&restarted));
}

#[test]
fn packets_to_another_viewer_are_not_taken_unless_all_others_are_silent() {
    let mut sender = sender(Suite::best());
    let mut viewer = joined(&mut sender);
    let mut open = |sender: &mut SenderSeal, number, now| {
        let other = sealed(sender, &addressed(Channel::Media, number, 3), now);
        opened(&mut viewer, &other, now).map(drop)
    };
    assert_eq!(open(&mut sender, 0, SECOND), Err(Refusal::Unauthentic));
    assert_eq!(open(&mut sender, 1, 2 * SECOND), Ok(()));
}

#[test]
fn strangers_cost_no_memory_and_few_keys() {
    let mut sender = sender(Suite::best());
    let mut viewer = joined(&mut sender);
    let starts = 3_000_u64;
    for salt in 0..starts {
        let bytes = [salt.to_be_bytes(), salt.to_be_bytes()].concat();
        let salt = bytes.try_into().unwrap();
        let mut forged = SenderSeal::new(other_secret(), salt, Suite::best());
        let report = sealed(&mut forged, &numbered(Channel::Control, 0), SECOND);
        let refused = opened(&mut viewer, &report, SECOND);
        assert_eq!(refused, Err(Refusal::Unauthentic));
    }
    assert_eq!(viewer.refused().unauthentic, starts);
    // A known viewer is not held up by them.
    let chunk = sealed(&mut sender, &numbered(Channel::Media, 0), SECOND);
    assert!(opened(&mut viewer, &chunk, SECOND).is_ok());
    // The longest datagram costs no more than any other.
    let mut long = chunk;
    long.resize(65_507, 0);
    assert!(opened(&mut viewer, &long, SECOND).is_err());
    assert_eq!(TAG, OVERHEAD);
}

proptest::proptest! {
    /// The other side has the key, too, and may seal anything.
    #[test]
    fn any_bytes_are_refused_or_opened(
        bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200),
        kind in 0_u8..32,
    ) {
        let mut sender = sender(Suite::best());
        let mut viewer = joined(&mut sender);
        let mut datagram = vec![b'F', 1 << 6 | 1 << 5 | kind, 0, 2, 0xa1, 0xa2, 0xa3, 0xa4];
        datagram.extend_from_slice(&bytes);
        let mut out = Vec::new();
        proptest::prop_assert!(opened(&mut viewer, &datagram, SECOND).is_err());
        proptest::prop_assert!(opened(&mut viewer, &bytes, SECOND).is_err());
        proptest::prop_assert!(returned(&mut sender, &datagram, SECOND).is_err());
        datagram[1] &= !(1 << 5);
        viewer.seal(&datagram, SECOND, &mut out);
        sender.seal_one(&datagram, SECOND, &mut out);
    }
}
