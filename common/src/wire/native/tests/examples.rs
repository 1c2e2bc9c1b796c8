//! Packets as examples.

use super::*;

/// One packet of every kind, as the vectors of the format hold them.
pub(super) fn examples() -> Vec<(&'static str, Packet<'static>)> {
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
        // With the later numbers.
        ("sender-report", Packet::SenderReport(grown)),
    ]
}

pub(super) fn chunk() -> Chunk<'static> {
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

pub(super) fn inner_chunk() -> Chunk<'static> {
    Chunk {
        count: 3,
        restart_cycle: None,
        header: None,
        data: b"framegram v1",
        ..chunk()
    }
}
