//! A sender under hostile feedback: NACKs in a flood, repeated NACKs, NACKs for frames that
//! never existed or with absurd gaps, and reports with arbitrary values.

use super::*;
use framegram_common::seq::FrameSeq;
use framegram_common::wire::native::{
    FrameNack, MAX_GAPS, MAX_NACK_FRAMES, Nack, PathChallenge, ReceiverReport,
};

/// How many bytes a sender may retransmit at once, beyond those of the frames themselves. Three of
/// the largest frames may be retransmitted where they are more.
const CREDIT: u64 = 64 << 10;

/// A sender that is attacked between its frames.
struct Attacked {
    transmitter: Sender,
    forger: Forger,
    now: Duration,
    buffer: Vec<u8>,
    /// UDP payload of media, repair and control packets.
    sent: [u64; 3],
}

impl Attacked {
    fn new() -> Self {
        let config = sender::Config {
            interval: Some(INTERVAL),
            fec: framegram_common::fec::Fec::Off,
            ..sender::Config::default()
        };
        Self {
            transmitter: Sender::new(config, STREAM, START),
            forger: Forger::new(),
            now: START,
            buffer: Vec::new(),
            sent: [0; 3],
        }
    }

    fn take(&mut self, packet: &Packet<'_>) {
        let datagram = self.forger.datagram(packet, self.now);
        self.transmitter.handle_datagram(0, &datagram, self.now);
    }

    fn report(&mut self, report: ReceiverReport) {
        self.take(&Packet::ReceiverReport(report));
    }

    fn send(&mut self, jpeg: &Bytes) {
        let taken = self
            .transmitter
            .handle_frame(jpeg.clone(), self.now, None, self.now);
        taken.unwrap();
        self.drain();
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.drain();
    }

    fn drain(&mut self) {
        while let sender::Output::Transmit(transmit) =
            self.transmitter.poll_output(self.now, &mut self.buffer)
        {
            for datagram in self.buffer.chunks(transmit.segment) {
                let (_, packet) = Packet::decode(datagram).unwrap();
                self.sent[packet.channel() as usize] += datagram.len() as u64;
            }
        }
    }
}

fn honest() -> ReceiverReport {
    ReceiverReport {
        viewer: VIEWER,
        rtt: 2_000,
        playout_delay: 60_000,
        ..ReceiverReport::default()
    }
}

#[test]
fn a_flood_of_nacks_gets_no_more_than_the_retransmission_budget() {
    for seed in 0..40 {
        let mut rng = Rng::with_seed(seed);
        let len = [1_000, 20_000, 400_000][rng.usize(..3)];
        let jpeg = Bytes::from(vec![7; len]);
        let mut attacked = Attacked::new();
        attacked.report(honest());
        let frames = 20;
        let (_, memory) = measure(|| {
            let mut number = 0;
            for frame in 0..frames {
                attacked.send(&jpeg);
                for _ in 0..60 {
                    let want = |rng: &mut Rng| FrameNack {
                        frame: match rng.u8(..4) {
                            0 => FrameSeq::new(rng.u32(..)),
                            1 => FrameSeq::new(frame + rng.u32(..100)),
                            _ => FrameSeq::new(frame.saturating_sub(rng.u32(..3))),
                        },
                        extra: rng.u8(..),
                        gaps: (0..rng.usize(..MAX_GAPS / MAX_NACK_FRAMES))
                            .map(|_| (rng.u16(..), rng.u16(..)))
                            .collect(),
                    };
                    let wants = (0..rng.usize(..MAX_NACK_FRAMES))
                        .map(|_| want(&mut rng))
                        .collect();
                    number += rng.u32(..2);
                    attacked.take(&Packet::Nack(Nack {
                        viewer: rng.u64(..3),
                        number,
                        frames: wants,
                    }));
                    attacked.pass(Duration::from_micros(500));
                }
            }
        });
        let [media, repair, control] = attacked.sent;
        let jpegs = u64::from(frames) * len as u64;
        assert!(media < jpegs * 11 / 10 + 10_000, "seed {seed}: {media}");
        // Headers add a tenth. The credit is counted in complete datagrams.
        let most = jpegs + CREDIT.max(3 * len as u64);
        assert!(repair <= most, "seed {seed}: {repair} of {most}");
        assert!(repair > 0, "seed {seed}: no honest request was answered");
        assert!(control < 10_000, "seed {seed}: {control}");
        assert_bounded(&format!("seed {seed}"), memory, 32 << 20);
    }
}

#[test]
fn a_request_that_is_repeated_is_answered_once() {
    let jpeg = Bytes::from(vec![7; 50_000]);
    let mut attacked = Attacked::new();
    attacked.report(honest());
    (0..3).for_each(|_| attacked.send(&jpeg));
    attacked.pass(Duration::from_millis(20));
    let before = attacked.sent[1];
    let request = Nack {
        viewer: VIEWER,
        number: 1,
        frames: vec![FrameNack {
            frame: FrameSeq::new(2),
            extra: 0,
            gaps: vec![(3, 2)],
        }],
    };
    for _ in 0..1_000 {
        attacked.take(&Packet::Nack(request.clone()));
        attacked.pass(Duration::from_micros(100));
    }
    let answered = attacked.sent[1] - before;
    assert!((2_000..3_100).contains(&answered), "{answered}");
}

#[test]
fn nacks_for_frames_never_sent_get_no_answer() {
    let mut attacked = Attacked::new();
    attacked.report(honest());
    attacked.send(&Bytes::from(vec![7; 50_000]));
    attacked.pass(Duration::from_millis(20));
    let before = attacked.sent;
    for number in 0..1_000 {
        let wants = (0..MAX_NACK_FRAMES as u32).map(|at| FrameNack {
            frame: FrameSeq::new(1 + number * 64 + at),
            extra: 255,
            gaps: vec![(0, u16::MAX)],
        });
        attacked.take(&Packet::Nack(Nack {
            viewer: VIEWER,
            number,
            frames: wants.collect(),
        }));
        attacked.drain();
    }
    assert_eq!(attacked.sent, before);
}

/// Responses are no longer than the challenges that cause them, and no more of them are sent than
/// honest viewers ask for. They displace no media.
#[test]
fn a_flood_of_path_challenges_gets_few_responses() {
    let mut attacked = Attacked::new();
    let mut came = 0;
    let mut flood = |attacked: &mut Attacked, count: u64| {
        for nonce in 0..count {
            let viewer = nonce % 3;
            let challenge = Packet::PathChallenge(PathChallenge { viewer, nonce });
            came += attacked.forger.datagram(&challenge, attacked.now).len() as u64;
            attacked.take(&challenge);
        }
        came
    };
    attacked.pass(Duration::from_millis(1));
    // First all at once, then over two seconds.
    let before = attacked.sent[2];
    let challenged = flood(&mut attacked, 10_000);
    attacked.drain();
    let at_once = attacked.sent[2] - before;
    assert!(at_once > 0, "no answer");
    assert!(
        at_once <= 16 * 52,
        "{at_once} bytes at once for {challenged}"
    );
    for _ in 0..2_000 {
        flood(&mut attacked, 5);
        attacked.pass(Duration::from_millis(1));
    }
    let [media, repair, control] = attacked.sent;
    assert_eq!((media, repair), (0, 0));
    assert!(control < 12 * 16 * 52, "{control} bytes in two seconds");
}

/// The viewer asks the sender to keep frames for an hour.
#[test]
fn memory_is_bounded_whatever_a_viewer_reports() {
    let jpeg = Bytes::from(vec![7; 200]);
    let mut attacked = Attacked::new();
    let (_, memory) = measure(|| {
        attacked.report(ReceiverReport {
            playout_delay: u32::MAX,
            ..honest()
        });
        for _ in 0..100_000 {
            attacked.send(&jpeg);
            attacked.pass(Duration::from_millis(5));
        }
    });
    assert_bounded("kept", memory, 4 << 20);
}

#[test]
fn reports_may_say_anything() {
    for seed in 0..300 {
        let mut rng = Rng::with_seed(seed);
        let mut attacked = Attacked::new();
        let config = sender::Config {
            interval: Some(INTERVAL),
            ..sender::Config::default()
        };
        attacked.transmitter = Sender::new(config, STREAM, START);
        let mut count_rng = rng.fork();
        let mut any = || match rng.u8(..4) {
            0 => 0,
            1 => u32::MAX,
            2 => rng.u32(..1_000),
            _ => rng.u32(..),
        };
        for viewer in 0..100 {
            let most = if viewer % 10 == 9 { u64::MAX } else { 1 << 48 };
            let counts = [0, any().into(), most];
            let mut count = || counts[count_rng.usize(..counts.len())];
            attacked.report(ReceiverReport {
                viewer,
                loss_ppm: any(),
                burst_milli: any(),
                rtt: any(),
                queueing: any(),
                playout_delay: any(),
                media_received: count(),
                packets_received: count(),
                packets_lost: count(),
                socket_dropped: count(),
                frames_shown: count(),
                frames_lost: count(),
                frames_skipped: count(),
                ..ReceiverReport::default()
            });
            if viewer % 10 == 0 {
                attacked.send(&Bytes::from(vec![7; 3_000]));
                attacked.pass(Duration::from_millis(10));
            }
        }
        // No loss causes more parity than media.
        let [media, repair, control] = attacked.sent;
        assert!(
            repair <= 4 * media + 50_000,
            "seed {seed}: {repair} for {media}"
        );
        assert!(control < 20_000, "seed {seed}: {control}");
        // Figures that the programs show can be computed of those that are believed.
        let statistics = attacked.transmitter.statistics(attacked.now);
        assert!(!statistics.viewers.is_empty());
        assert!(statistics.packets.malformed > Some(0));
        for viewer in &statistics.viewers {
            let is_share = |share: Option<f64>| share.is_none_or(|it| (0.0..=1.0).contains(&it));
            assert!(is_share(viewer.frames_lost()) && is_share(viewer.packets_lost()));
        }
    }
}
