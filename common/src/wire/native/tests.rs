mod examples;
mod media;

use proptest::prelude::*;

use super::*;
use crate::seq::FrameSeq;
use examples::{chunk, examples};

fn header(channel: Channel) -> Header {
    Header {
        stream: 0xa1a2_a3a4,
        destination: 2,
        channel,
        number: PacketNumber((1 << 32) + 77),
        sent: (1 << 32) + 1_500_400,
    }
}

fn encoded(packet: &Packet<'_>) -> Vec<u8> {
    let mut datagram = Vec::new();
    packet.encode(&header(packet.channel()), &mut datagram);
    datagram
}

#[test]
fn every_kind_survives_the_wire() {
    for (name, packet) in examples() {
        let datagram = encoded(&packet);
        let decoded = Packet::decode(&datagram).unwrap();
        let header = header(packet.channel());
        assert_eq!(decoded, (WireHeader::from(&header), packet), "{name}");
        let numbers = [(1 << 32) - 1_000; 3];
        let expected = Expected {
            numbers,
            sent: 1 << 32,
        };
        assert_eq!(decoded.0.extend(&expected), header);
    }
}

#[test]
fn equals_the_vectors_of_version_1() {
    let vectors = include_str!("../../../vectors/native-v1.txt");
    let written: Vec<(&str, &str)> = vectors
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| line.split_once(' ').unwrap())
        .collect();
    let made: Vec<(&str, String)> = examples()
        .iter()
        .map(|(name, packet)| {
            (
                *name,
                encoded(packet)
                    .iter()
                    .map(|byte| format!("{byte:02x}"))
                    .collect(),
            )
        })
        .collect();
    for ((name, made), (written_name, written)) in made.iter().zip(&written) {
        assert_eq!((name, made.as_str()), (written_name, *written));
    }
    assert_eq!(made.len(), written.len());
}

#[test]
fn ignores_what_a_later_sender_adds_behind_totals() {
    let (_, totals) = examples().remove(4);
    let mut datagram = encoded(&totals);
    datagram.extend_from_slice(b"later");
    let crc = checksum(&datagram, datagram[KIND]);
    datagram[CRC].copy_from_slice(&crc.to_be_bytes());
    assert_eq!(Packet::decode(&datagram).unwrap().1, totals);
}

#[test]
fn refuses_what_it_cannot_read_with_the_reason() {
    let good = encoded(&Packet::Chunk(chunk()));
    let with = |at: usize, byte: u8| {
        let mut datagram = good.clone();
        datagram[at] = byte;
        assert!(sign(&mut datagram));
        Packet::decode(&datagram).unwrap_err()
    };
    assert_eq!(with(0, 0x80), WireError::UnknownFormat(0x80));
    assert_eq!(with(KIND, 0x81), WireError::Version { got: 2 });
    assert_eq!(with(KIND, 0x5f), WireError::Kind(31));
    assert_eq!(
        Packet::decode(&good[..19]).unwrap_err(),
        WireError::Short {
            what: "header",
            expected: 20,
            got: 19
        }
    );
}

#[test]
fn each_packet_identifies_its_sender() {
    let id = 0x1122_3344_5566_7788;
    for (name, packet) in examples() {
        let is_viewers = matches!(
            name,
            "receiver-report"
                | "nack"
                | "connect"
                | "receiver-bye"
                | "path-challenge"
                | "arrival-report"
        );
        assert_eq!(packet.viewer(), is_viewers.then_some(id), "{name}");
        assert_eq!(packet.is_from_sender(), !is_viewers, "{name}");
    }
}

#[test]
fn a_sender_report_knows_how_long_it_is() {
    for (name, packet) in examples() {
        if let Packet::SenderReport(report) = packet {
            assert_eq!(report.datagram_len(), encoded(&packet).len(), "{name}");
        }
    }
}

#[test]
fn a_nack_names_as_many_frames_and_gaps_as_it_may_and_no_more() {
    let nack = |gaps: &[usize]| {
        let frames = gaps.iter().enumerate().map(|(at, gaps)| FrameNack {
            frame: FrameSeq::new(at as u32),
            extra: 0,
            gaps: vec![(0, 1); *gaps],
        });
        Packet::Nack(Nack {
            frames: frames.collect(),
            ..Nack::default()
        })
    };
    let refused = |datagram: &[u8]| match Packet::decode(datagram) {
        Ok(_) => None,
        Err(WireError::Range { field, got }) => Some((field, got)),
        Err(other) => panic!("{other}"),
    };
    let mut full = encoded(&nack(&[0; MAX_NACK_FRAMES]));
    assert_eq!(refused(&full), None);
    full[HEADER + 12] += 1;
    full.extend([0; FRAME_NACK_LEN]);
    assert!(sign(&mut full));
    assert_eq!(refused(&full), Some(("frames of a NACK", 65)));
    assert_eq!(refused(&encoded(&nack(&[128, 127]))), None);
    let datagram = encoded(&nack(&[128, 128]));
    assert_eq!(refused(&datagram), Some(("gaps of a NACK", 256)));
    assert!(!sign(&mut [0; HEADER - 1]) && sign(&mut [0; HEADER]));
}

#[test]
fn a_packet_is_encrypted_with_the_key_that_it_names_and_corrupt_if_only_that_bit_flipped() {
    let mut datagram = encoded(&Packet::Chunk(chunk()));
    datagram[KIND] |= ENCRYPTED;
    let error = Packet::decode(&datagram).unwrap_err();
    assert!(matches!(error, WireError::Checksum { .. }));
    datagram[CRC].copy_from_slice(&3_u32.to_be_bytes());
    assert_eq!(
        Packet::decode(&datagram).unwrap_err(),
        WireError::Encrypted(3)
    );
    datagram[KIND] &= !ENCRYPTED;
    let error = Packet::decode(&datagram).unwrap_err();
    assert!(matches!(error, WireError::Checksum { got: 3, .. }));
}

#[test]
fn times_and_channels_are_as_they_are_written() {
    assert_eq!(micros(Duration::from_millis(1_500)), 1_500_000);
    assert_eq!(micros(Duration::MAX), u64::MAX);
    let names = Channel::ALL.map(Channel::name);
    assert_eq!(names, ["media", "repair", "control"]);
}

proptest! {
    #[test]
    fn any_bytes_are_decoded_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Packet::decode(&bytes);
    }

    #[test]
    fn any_body_with_a_valid_header_is_decoded_or_refused(
        kind in 0_u8..32,
        body in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut datagram = encoded(&Packet::Chunk(chunk()));
        datagram.truncate(HEADER);
        datagram[KIND] = VERSION << VERSION_SHIFT | kind;
        datagram.extend_from_slice(&body);
        let crc = checksum(&datagram, datagram[KIND]);
        datagram[CRC].copy_from_slice(&crc.to_be_bytes());
        if let Ok((header, packet)) = Packet::decode(&datagram) {
            let mut again = Vec::new();
            packet.encode(header, &mut again);
            prop_assert_eq!(Packet::decode(&again).unwrap(), (header, packet));
        }
    }

    #[test]
    fn up_to_three_flipped_bits_are_always_noticed(
        bits in prop::collection::btree_set(0_usize..8 * 52, 1..=3),
    ) {
        let mut datagram = encoded(&Packet::Chunk(chunk()));
        prop_assert_eq!(datagram.len(), 52);
        for bit in bits {
            datagram[bit / 8] ^= 1 << (bit % 8);
        }
        prop_assert!(Packet::decode(&datagram).is_err());
    }
}
