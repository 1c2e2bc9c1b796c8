//! A viewer sends no more to an unknown address than came from there.

use super::*;

/// One packet of each kind that a sender sends.
fn kinds(rng: &mut Rng) -> Vec<(&'static str, Packet<'static>)> {
    static DATA: [u8; 1_400] = [0; 1_400];
    let number = FrameNumber(rng.u64(..4));
    let len = rng.usize(1..1_400);
    let chunk = claim(number, 2 * len, len, 0, &DATA);
    let totals = SenderReport {
        frames_sent: rng.u64(..10),
        interval: 33_333,
        kept: 100_000,
        ..SenderReport::default()
    };
    vec![
        ("totals", Packet::SenderReport(totals)),
        ("bye", Packet::SenderBye(totals)),
        (
            "challenge",
            Packet::Challenge(Challenge {
                viewer: VIEWER,
                cookie: 1,
            }),
        ),
        (
            "refusal",
            Packet::Reject(Reject {
                viewer: VIEWER,
                reason: 1,
                viewers: 1,
            }),
        ),
        (
            "reply",
            Packet::Echo(Echo {
                viewer: VIEWER,
                report_sent: 1,
                report_received: 1,
            }),
        ),
        (
            "tables",
            Packet::Tables(Tables {
                set: 1,
                quality: None,
                part: 0,
                parts: 1,
                header: &DATA[..6],
            }),
        ),
        (
            "report",
            Packet::ReceiverReport(ReceiverReport {
                viewer: VIEWER,
                ..ReceiverReport::default()
            }),
        ),
        ("chunk", Packet::Chunk(chunk)),
        ("resent", Packet::Retransmission(chunk)),
    ]
}

#[test]
fn one_media_datagram_gets_no_more_bytes_than_it_had_and_any_other_gets_none() {
    let mut rng = Rng::with_seed(1);
    for (name, packet) in kinds(&mut rng) {
        let mut stage = Stage::new();
        stage.forge(stranger(), &packet, 0);
        stage.rest(Duration::from_secs(90));
        let (came, went) = (stage.came[&stranger()], stage.went_to(stranger()));
        assert!(went <= came, "{name}: {went} for {came}");
        let media = packet.channel() != Channel::Control;
        assert!(media || went == 0, "{name} drew {went}");
    }
}

#[test]
fn no_address_gets_more_bytes_than_it_sent() {
    for seed in 0..60 {
        let mut rng = Rng::with_seed(seed);
        let mut stage = Stage::new();
        let mut numbers = [0; 3];
        for _ in 0..rng.usize(1..200) {
            let from = SocketAddr::from(([198, 51, 100, rng.u8(..3)], 7));
            let kinds = kinds(&mut rng);
            let (_, packet) = &kinds[rng.usize(..kinds.len())];
            let header = Header {
                stream: rng.u32(..3),
                destination: 0,
                channel: packet.channel(),
                number: PacketNumber(numbers[packet.channel() as usize]),
                sent: micros(stage.now),
            };
            numbers[packet.channel() as usize] += rng.u64(..3);
            let datagram = again(&header, packet);
            stage.arrive(from, &datagram);
            for (to, went) in &stage.went {
                let came = stage.came.get(to).copied().unwrap_or(0);
                assert!(*went <= came, "seed {seed}: {went} to {to} for {came}");
            }
            stage.now += rng.u32(..300) * MS;
            stage.drain();
        }
        stage.rest(Duration::from_secs(6));
        let silent = stage.went.clone();
        stage.rest(Duration::from_secs(60));
        assert_eq!(stage.went, silent, "seed {seed}");
    }
}

#[test]
fn a_silent_sender_gets_no_packets() {
    let mut stage = Stage::new();
    stage.play(60);
    stage.forth = false;
    stage.pass(5 * Duration::from_secs(1));
    let before = stage.went_to(sender());
    stage.pass(60 * Duration::from_secs(1));
    assert_eq!(stage.went_to(sender()), before);
    // The address is sent to again once the sender is back.
    stage.forth = true;
    stage.play(30);
    assert!(stage.went_to(sender()) > before);
}

/// A slow stream of small frames has fewer bytes than the reports to it. Its sender proves its
/// address.
#[test]
fn a_sender_of_few_bytes_proves_its_address_and_gets_reports() {
    let mut stage = Stage::new();
    for _ in 0..20 {
        let now = stage.now;
        let tiny = Bytes::from_static(b"tiny");
        stage
            .transmitter
            .handle_frame(tiny, now, None, now)
            .unwrap();
        stage.pass(500 * MS);
    }
    // Five reports a second.
    assert!(stage.went_to(sender()) > 45 * 228, "{:?}", stage.went);
    assert!(stage.went_to(sender()) > stage.came[&sender()]);
}

#[test]
fn a_stranger_without_frames_blocks_no_stream() {
    let mut rng = Rng::with_seed(7);
    for (name, packet) in kinds(&mut rng) {
        let mut stage = Stage::new();
        let mut forger = Forger::new();
        forger.stream = 99;
        let mut talk = |stage: &mut Stage| {
            let datagram = forger.datagram(&packet, stage.now);
            stage.arrive(stranger(), &datagram);
        };
        for _ in 0..3 {
            talk(&mut stage);
            stage.pass(700 * MS);
        }
        for _ in 0..60 {
            talk(&mut stage);
            stage.play(3);
        }
        let missed = 180 - stage.shown.len();
        assert!(missed <= 30, "{name}: {missed} frames were not shown");
    }
}
