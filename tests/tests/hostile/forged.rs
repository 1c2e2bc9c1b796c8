//! Forged counts, byes and packet numbers.

use super::*;
use framegram_common::wire::native::{Echo, SenderReport, Tables};

/// Any number; awkward ones are more likely.
fn any(rng: &mut Rng) -> u64 {
    match rng.u8(..6) {
        0 => 0,
        1 => u64::MAX,
        2 => u64::MAX / 2 + rng.u64(..3),
        3 => 1 << rng.u32(..64),
        4 => rng.u64(..100),
        _ => rng.u64(..),
    }
}

fn forged_totals(rng: &mut Rng) -> SenderReport {
    SenderReport {
        frames_captured: any(rng),
        frames_replaced: any(rng),
        frames_not_sent: any(rng),
        frames_sent: any(rng),
        media: any(rng),
        repair: any(rng),
        control: any(rng),
        bytes: any(rng),
        jpeg_bytes: any(rng),
        started: any(rng),
        sent_high: any(rng) as u32,
        id: any(rng),
        clock_id: any(rng),
        interval: any(rng) as u32,
        kept: any(rng) as u32,
        spread: any(rng) as u32,
        send_errors: any(rng),
        unsent_first: any(rng),
        unsent_end: any(rng),
        encode_p50: any(rng) as u32,
        encode_p95: any(rng) as u32,
        encode_p99: any(rng) as u32,
        encode_max: any(rng) as u32,
        send_p50: any(rng) as u32,
        send_p95: any(rng) as u32,
        send_p99: any(rng) as u32,
        send_max: any(rng) as u32,
        arrivals_every: any(rng) as u32,
    }
}

#[test]
fn forged_reports_byes_and_echoes_have_no_effect() {
    for seed in 0..1_000 {
        let mut rng = Rng::with_seed(seed);
        let mut forger = Forger::new();
        let mut watched = Watched::new(receiver::Config::default());
        let mut now = START;
        let ((), memory) = measure(|| {
            for _ in 0..60 {
                let data = [0; 100];
                let packet = match rng.u8(..6) {
                    0 => Packet::SenderReport(forged_totals(&mut rng)),
                    1 => Packet::SenderBye(forged_totals(&mut rng)),
                    2 => Packet::Echo(Echo {
                        viewer: if rng.bool() { VIEWER } else { any(&mut rng) },
                        report_sent: any(&mut rng) as u32,
                        report_received: any(&mut rng),
                    }),
                    3 => Packet::Tables(Tables {
                        set: rng.u16(1..),
                        quality: Some(rng.u8(1..=100)),
                        part: 0,
                        parts: 1,
                        header: &data,
                    }),
                    _ => {
                        let number = FrameNumber(any(&mut rng));
                        let mut chunk = claim(number, 300, 100, rng.u16(..3), &data);
                        if let Some(header) = &mut chunk.header {
                            header.captured = any(&mut rng) as u32;
                        }
                        Packet::Chunk(chunk)
                    }
                };
                let leap = if rng.u8(..4) == 0 { any(&mut rng) } else { 0 };
                let number = &mut forger.numbers[packet.channel() as usize];
                *number = number.wrapping_add(leap) % (u64::MAX - 1);
                let mut datagram = forger.datagram(&packet, now);
                if rng.bool() {
                    let (mut header, packet) = Packet::decode(&datagram).unwrap();
                    header.sent = any(&mut rng) as u32;
                    datagram = again(header, &packet);
                }
                watched.take(&datagram, now);
                now += Duration::from_micros(rng.u64(..50_000));
                let statistics = watched.statistics();
                assert_eq!(statistics.frames.intact, Some(0), "seed {seed}");
            }
        });
        assert_bounded(&format!("seed {seed}"), memory, 16 << 20);
    }
}

#[test]
fn a_genuine_stream_survives_forged_sender_reports() {
    for seed in 0..200 {
        let mut rng = Rng::with_seed(seed);
        let sent = random_frames(&mut rng, 30, 10_000);
        let mut forger = Forger::new();
        forger.numbers = [1 << 20; 3];
        let mut mangled = 0;
        let watched = tampered(
            &sent,
            sender::Config::default(),
            receiver::Config::default(),
            |datagram, now| {
                let mut arriving = vec![datagram.to_vec()];
                if rng.u8(..10) == 0 {
                    let totals = SenderReport {
                        frames_sent: 1 << rng.u32(24..64),
                        ..forged_totals(&mut rng)
                    };
                    arriving.push(forger.datagram(&Packet::SenderReport(totals), now));
                    mangled += 1;
                }
                arriving
            },
        );
        assert_true(seed, &watched, &sent);
        // Counts that no stream can have are malformed, and change nothing.
        assert_eq!(watched.statistics().packets.malformed, Some(mangled));
        assert_eq!(watched.shown.len(), sent.len(), "seed {seed}");
    }
}

#[test]
fn streams_without_number_are_not_remembered_without_bound() {
    let data = [0; 100];
    let (_, memory) = measure(|| {
        let mut watched = Watched::new(receiver::Config::default());
        let mut now = START;
        for stream in 0..20_000_u64 {
            let mut forger = Forger::new();
            forger.stream = stream;
            let chunk = claim(FrameNumber(0), 300, 100, 0, &data);
            watched.take(&forger.datagram(&Packet::Chunk(chunk), now), now);
            if stream % 3 == 0 {
                let bye = Packet::SenderBye(SenderReport::default());
                watched.take(&forger.datagram(&bye, now), now);
            }
            now += Duration::from_millis(stream % 200);
        }
        watched
    });
    assert_bounded("streams", memory, 16 << 20);
}
