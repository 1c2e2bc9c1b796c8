mod examples;
mod media;

use proptest::prelude::*;

use super::*;
use crate::seq::FrameSeq;

/// One packet of every kind, as the vectors of the format hold them.
fn examples() -> Vec<(&'static str, Packet<'static>)> {
    let totals = SenderReport {
        frames_captured: 1002,
        frames_replaced: 1,
        frames_not_sent: 1,
        frames_sent: 1000,
        media: 36_000,
        repair: 700,
        control: 34,
        bytes: 53_000_000,
        jpeg_bytes: 50_000_000,
        started: 1_000_000,
        sent_high: 1,
        id: 0x5152_5354_a1a2_a3a4,
        clock_id: 0x0123_4567_89ab_cdef,
        interval: 33_333,
        kept: 75_000,
        spread: 15_000,
        ..SenderReport::default()
    };
    let grown = SenderReport {
        send_errors: 3,
        unsent_first: 35_000,
        unsent_end: 35_002,
        encode_p50: 4_000,
        encode_p95: 6_000,
        encode_p99: 7_500,
        encode_max: 11_000,
        send_p50: 40,
        send_p95: 110,
        send_p99: 300,
        send_max: 2_000,
        arrivals_every: 20_000,
        ..totals
    };
    let report = ReceiverReport {
        viewer: 0x1122_3344_5566_7788,
        media_expected: 36_000,
        media_received: 35_990,
        repair_received: 699,
        packets_received: 36_700,
        packets_lost: 11,
        frames_shown: 1000,
        frames_intact: 1000,
        loss_ppm: 278,
        burst_milli: 1250,
        rtt: 20_000,
        jitter: 140,
        playout_delay: 60_000,
        ..ReceiverReport::default()
    };
    let want = FrameNack {
        frame: FrameSeq::new(999),
        extra: 1,
        gaps: vec![(3, 2), (17, 1)],
    };
    let request = Nack {
        viewer: report.viewer,
        number: 5,
        frames: vec![want],
    };
    let parity = Parity {
        first: FrameSeq::new(998),
        block: 40,
        counts: vec![2, 3],
        shards: 4,
        index: 1,
        shard: &[0x5a; 32],
    };
    let jpeg_header = &[0xff, 0xd8, 0xff, 0xda, 0x00, 0x02];
    let reply = Echo {
        viewer: report.viewer,
        report_sent: 2_000_000,
        report_received: 2_010_000,
    };
    let connect = Connect {
        viewer: report.viewer,
        cookie: 0,
    };
    let challenge = Challenge {
        viewer: report.viewer,
        cookie: 0xfeed_f00d_dead_beef,
    };
    let refusal = Reject {
        viewer: report.viewer,
        reason: 1,
        viewers: 8,
    };
    let leave = ReceiverBye {
        viewer: report.viewer,
    };
    let path_challenge = PathChallenge {
        viewer: report.viewer,
        nonce: 0x0bad_cafe_0bad_f00d,
    };
    let arrived = |is_repair, number, at| Arrived {
        is_repair,
        number,
        at,
    };
    let arrivals = ArrivalReport {
        viewer: report.viewer,
        buffer: 4_194_304,
        dropped: 2,
        marked: 0,
        packets: vec![
            arrived(false, 35_990, 2_000_000),
            arrived(false, 35_991, 2_000_012),
            arrived(true, 699, 2_000_020),
            arrived(false, 35_994, 2_001_000),
            arrived(false, 35_993, 2_001_100),
        ],
    };
    let path_response = PathResponse {
        viewer: report.viewer,
        nonce: path_challenge.nonce,
    };
    vec![
        ("chunk", Packet::Chunk(chunk())),
        ("retransmission", Packet::Retransmission(inner_chunk())),
        ("parity", Packet::Parity(parity)),
        (
            "tables",
            Packet::Tables(Tables {
                set: 3,
                quality: Some(80),
                part: 0,
                parts: 1,
                header: jpeg_header,
            }),
        ),
        ("sender-report", Packet::SenderReport(totals)),
        ("sender-bye", Packet::SenderBye(totals)),
        ("echo", Packet::Echo(reply)),
        ("receiver-report", Packet::ReceiverReport(report)),
        ("nack", Packet::Nack(request)),
        ("connect", Packet::Connect(connect)),
        ("challenge", Packet::Challenge(challenge)),
        ("reject", Packet::Reject(refusal)),
        ("receiver-bye", Packet::ReceiverBye(leave)),
        ("path-challenge", Packet::PathChallenge(path_challenge)),
        ("path-response", Packet::PathResponse(path_response)),
        ("arrival-report", Packet::ArrivalReport(arrivals)),
        (
            "accept",
            Packet::Accept(Accept {
                viewer: 0x1122_3344_5566_7788,
                destination: 2,
            }),
        ),
        // With the numbers that came later.
        ("sender-report", Packet::SenderReport(grown)),
    ]
}

fn chunk() -> Chunk<'static> {
    Chunk {
        frame: FrameSeq::new(999),
        index: 1,
        count: 2,
        restart_cycle: Some(0),
        header: Some(FrameHeader {
            len: 20,
            crc: 0xdead_beef,
            captured: 1_500_000,
            size: 12,
            tables: 3,
        }),
        data: b"frame\xff\xd3g",
    }
}

fn inner_chunk() -> Chunk<'static> {
    Chunk {
        count: 3,
        restart_cycle: None,
        header: None,
        data: b"framegram v1",
        ..chunk()
    }
}

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
fn each_packet_tells_who_sent_it() {
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
