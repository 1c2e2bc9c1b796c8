//! One sender and several viewers in virtual time, each behind a link of its own. None of them
//! determines what the others get.

mod greed;

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;

use framegram_common::fec::Fec;
use framegram_common::receiver::{self, Output, SinkOutcome};
use framegram_common::sender::{self, Config, Volume};
use framegram_common::seq::{FrameSeq, PacketNumber};
use framegram_common::wire::native::{Channel, FrameNack, Header, Nack, Packet, ReceiverReport};
use framegram_common::{Receiver, Sender, Statistics};
use framegram_lab::impair::{Impairment, Link};

const STREAM: u64 = 7;
const MS: Duration = Duration::from_millis(1);
const START: Duration = Duration::from_secs(100);
const INTERVAL: Duration = Duration::from_micros(33_333);
/// The interval of the reports of those that only report.
const REPORT_EVERY: Duration = Duration::from_millis(200);

/// Who is at a destination.
enum Guest {
    /// A real viewer, with its latency and its link.
    Honest(receiver::Config, Impairment),
    /// Sends this report at intervals, until it falls silent.
    Says(ReceiverReport, Duration),
    /// Sends this report, and requests every frame again and again.
    Asks(ReceiverReport),
}

/// A guest, and what it gets.
struct Place {
    guest: Guest,
    receiver: Option<Receiver>,
    receiver_due: Option<Duration>,
    forward: Link,
    backward: Link,
    number: u64,
    due: Duration,
    /// UDP payload of media, repair and control packets that was sent to it, by second.
    sent: Vec<[u64; 3]>,
    /// The time from capture to sending, of each chunk.
    ages: Vec<Duration>,
    /// Parity shards and retransmitted chunks.
    repair: BTreeSet<(u64, u32)>,
}

/// Adjusts the frames to a rate by what the last ones cost, as the program does.
struct RateControl {
    bytes_per_second: f64,
    /// The volumes of the last second, at each frame.
    volumes: VecDeque<Volume>,
    costs: VecDeque<f64>,
}

impl RateControl {
    fn new(bytes_per_second: f64) -> Self {
        Self {
            bytes_per_second,
            volumes: VecDeque::new(),
            costs: VecDeque::from([1.3]),
        }
    }

    fn observe(&mut self, volume: Volume) {
        self.volumes.push_back(volume);
        if self.volumes.len() > 30 {
            let before = self.volumes.pop_front().unwrap();
            let sent = (volume.sent - before.sent) as f64;
            self.costs
                .push_back(sent / (volume.jpeg - before.jpeg).max(1) as f64);
        }
        if self.costs.len() > 120 {
            self.costs.pop_front();
        }
    }

    fn target(&self) -> usize {
        let cost = self.costs.iter().copied().fold(1.0, f64::max);
        (self.bytes_per_second * 0.95 / 30.0 / cost) as usize
    }
}

struct Scene {
    transmitter: Sender,
    rate: Option<RateControl>,
    /// Bytes of a frame where no rate limits them.
    natural: usize,
    /// Whether frames get no shorter, whatever the rate is.
    stubborn: bool,
    now: Duration,
    captured: Vec<Duration>,
    lengths: Vec<usize>,
    places: Vec<Place>,
}

impl Scene {
    fn new(config: Config, natural: usize, guests: Vec<Guest>) -> Self {
        let config = Config {
            destinations: guests.len(),
            interval: Some(INTERVAL),
            ..config
        };
        let rate = config
            .bitrate
            .map(|bitrate| RateControl::new(bitrate as f64 / 8.0));
        let place = |(at, guest): (usize, Guest)| {
            let (receiver, forward) = match &guest {
                Guest::Honest(config, forward) => {
                    let receiver = Receiver::new(config.clone(), 100 + at as u64, (1, 2), START);
                    (Some(receiver), forward.clone())
                }
                Guest::Says(..) | Guest::Asks(_) => (None, way()),
            };
            Place {
                guest,
                receiver,
                receiver_due: None,
                forward: Link::new(forward),
                backward: Link::new(way()),
                number: 0,
                due: START,
                sent: Vec::new(),
                ages: Vec::new(),
                repair: BTreeSet::new(),
            }
        };
        Self {
            transmitter: Sender::new(config, STREAM, START),
            rate,
            natural,
            stubborn: false,
            now: START,
            captured: Vec::new(),
            lengths: Vec::new(),
            places: guests.into_iter().enumerate().map(place).collect(),
        }
    }

    /// Plays this many seconds.
    fn play(mut self, seconds: u32) -> Self {
        let (mut frame, mut waiting) = (START, None);
        let end = START + Duration::from_secs(seconds.into());
        while self.now < end {
            if self.now >= frame {
                waiting = Some(frame);
                frame += INTERVAL;
            }
            // As in the program, what the rate holds back is waited for, and then the newest frame
            // is sent.
            if !self.transmitter.is_held_back(self.now)
                && let Some(captured) = waiting.take()
            {
                self.send(captured);
            }
            self.drain();
            let next = self.places.iter().filter_map(Place::next);
            let next = next.chain(self.transmitter.poll_timeout()).chain([frame]);
            self.now = next.min().unwrap().max(self.now + MS / 10);
        }
        self
    }

    fn send(&mut self, captured: Duration) {
        if let Some(rate) = &mut self.rate {
            rate.observe(self.transmitter.volume());
        }
        let target = self.rate.as_ref().map_or(self.natural, RateControl::target);
        let len = match self.stubborn {
            true => self.natural,
            false => target.min(self.natural) * 95 / 100,
        };
        let jpeg = Bytes::from(vec![self.captured.len() as u8; len]);
        let sent = self
            .transmitter
            .handle_frame(jpeg, captured, None, self.now);
        sent.unwrap();
        self.captured.push(captured);
        self.lengths.push(len);
    }

    fn drain(&mut self) {
        let (now, mut out) = (self.now, Vec::new());
        while let sender::Output::Transmit(transmit) = self.transmitter.poll_output(now, &mut out) {
            let place = &mut self.places[transmit.destination];
            for datagram in out.chunks(transmit.segment) {
                let (header, packet) = Packet::decode(datagram).unwrap();
                let second = (now - START).as_secs() as usize;
                if place.sent.len() <= second {
                    place.sent.resize(second + 1, [0; 3]);
                }
                place.sent[second][header.channel as usize] += datagram.len() as u64;
                if let Packet::Chunk(chunk) = &packet {
                    place
                        .ages
                        .push(now - self.captured[chunk.frame.bits() as usize]);
                }
                if let Packet::Parity(parity) = &packet {
                    place
                        .repair
                        .insert((parity.block.into(), parity.index.into()));
                }
                place.forward.send(datagram, now);
            }
        }
        for (at, place) in self.places.iter_mut().enumerate() {
            place.live(at, now);
            while let Some(datagram) = place.backward.poll(now) {
                self.transmitter.handle_datagram(at, &datagram, now);
            }
        }
    }

    fn bytes(&self, place: usize, channel: Channel) -> u64 {
        let seconds = &self.places[place].sent;
        seconds.iter().map(|sent| sent[channel as usize]).sum()
    }

    /// Bytes that were sent to a place within these seconds, in all channels.
    fn between(&self, place: usize, seconds: std::ops::Range<usize>) -> u64 {
        let sent = &self.places[place].sent[seconds];
        sent.iter().flatten().sum()
    }

    /// The age below which this share of the chunks of the second half was sent.
    fn age(&self, place: usize, share: f64) -> Duration {
        let ages = &self.places[place].ages;
        let mut ages = ages[ages.len() / 2..].to_vec();
        ages.sort_unstable();
        ages[((ages.len() - 1) as f64 * share) as usize]
    }

    /// The share of frames that a viewer got intact.
    fn intact(&self, place: usize) -> f64 {
        let statistics = self.statistics(place);
        let intact = statistics.frames.intact.unwrap_or(0) as f64;
        intact / self.captured.len() as f64
    }

    fn statistics(&self, place: usize) -> Statistics {
        self.places[place].receiver.as_ref().unwrap().statistics()
    }

    /// The mean length of a frame in the second half.
    fn length(&self) -> usize {
        let half = &self.lengths[self.lengths.len() / 2..];
        half.iter().sum::<usize>() / half.len()
    }
}

impl Place {
    fn next(&self) -> Option<Duration> {
        let says = match &self.guest {
            Guest::Honest(..) => None,
            Guest::Says(_, until) => (self.due < START + *until).then_some(self.due),
            Guest::Asks(_) => Some(self.due),
        };
        [
            self.receiver_due,
            says,
            self.forward.poll_timeout(),
            self.backward.poll_timeout(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn live(&mut self, at: usize, now: Duration) {
        let sender = SocketAddr::from(([192, 0, 2, 1], 5000));
        while let Some(datagram) = self.forward.poll(now) {
            match &mut self.receiver {
                Some(receiver) => {
                    receiver.handle_datagram(sender, &datagram, now);
                }
                None => self.hear(at, &datagram, now),
            }
        }
        if let Some(receiver) = &mut self.receiver {
            receiver.handle_timeout(now);
            self.receiver_due = loop {
                match receiver.poll_output(now) {
                    Output::Frame(frame) => {
                        receiver.handle_outcome(frame.id, SinkOutcome::Shown { at: now });
                    }
                    Output::Transmit(transmit) => {
                        self.backward.send(&transmit.datagram, now);
                    }
                    Output::Event(_) | Output::Record(_) => {}
                    Output::Timeout(due) => break due,
                }
            };
        }
        let report = match &self.guest {
            Guest::Says(report, until) if now < START + *until => *report,
            Guest::Asks(report) => *report,
            Guest::Honest(..) | Guest::Says(..) => return,
        };
        if now >= self.due {
            self.due = now + REPORT_EVERY;
            self.say(at, &Packet::ReceiverReport(report), now);
        }
    }

    /// A guest that requests hears the last chunk of a frame, and requests the last three frames
    /// again, twice.
    fn hear(&mut self, at: usize, datagram: &[u8], now: Duration) {
        let Guest::Asks(report) = &self.guest else {
            return;
        };
        let viewer = report.viewer;
        if let Ok((_, Packet::Chunk(chunk))) = Packet::decode(datagram)
            && chunk.index + 1 == chunk.count
        {
            for copy in 0..2 {
                let wants = (0..3).map(|back| FrameNack {
                    frame: FrameSeq::new(chunk.frame.bits().saturating_sub(back)),
                    extra: 32,
                    gaps: Vec::new(),
                });
                let request = Nack {
                    viewer,
                    number: 2 * chunk.frame.bits() + copy,
                    frames: wants.collect(),
                };
                self.say(at, &Packet::Nack(request), now);
            }
        }
    }

    fn say(&mut self, at: usize, packet: &Packet<'_>, now: Duration) {
        let header = Header {
            stream: STREAM as u32,
            destination: at as u16,
            channel: packet.channel(),
            number: PacketNumber(self.number),
            sent: now.as_micros() as u64,
        };
        self.number += 1;
        let mut datagram = Vec::new();
        packet.encode(&header, &mut datagram);
        self.backward.send(&datagram, now);
    }
}

/// 10 ms in each direction, without loss.
fn way() -> Impairment {
    "delay=10ms".parse().unwrap()
}

fn honest(link: &str) -> Guest {
    patient(60, link)
}

fn patient(latency: u32, link: &str) -> Guest {
    let config = receiver::Config {
        playout_delay: latency * MS,
        ..receiver::Config::default()
    };
    Guest::Honest(config, link.parse().unwrap())
}

/// A report of a viewer that never existed.
fn report(loss: f64, rtt: Duration, budget: Duration) -> ReceiverReport {
    ReceiverReport {
        viewer: 1,
        loss_ppm: (loss * 1e6) as u32,
        burst_milli: 1_000,
        rtt: rtt.as_micros() as u32,
        playout_delay: budget.as_micros() as u32,
        ..ReceiverReport::default()
    }
}

fn liar(loss: f64, rtt: Duration, budget: Duration) -> Guest {
    Guest::Says(report(loss, rtt, budget), Duration::from_secs(1_000))
}

const LITTLE_LOSS: &str = "loss=1%,delay=10ms,seed=3";

#[test]
fn a_viewer_that_is_gone_is_forgotten() {
    let gone = Guest::Says(report(0.4, 200 * MS, 60 * MS), Duration::from_secs(2));
    let scene = Scene::new(Config::default(), 60_000, vec![honest(LITTLE_LOSS), gone]).play(14);
    let (with, after) = (scene.between(0, 1..2), scene.between(0, 9..14) / 5);
    let alone = Scene::new(Config::default(), 60_000, vec![honest(LITTLE_LOSS)]).play(14);
    let alone = alone.between(0, 9..14) / 5;
    assert!(
        after * 100 <= alone * 103,
        "{with} then {after}, alone {alone}"
    );
    // What is sent to its old address is what goes to a viewer that never reported.
    let silent = Guest::Says(report(0.4, 200 * MS, 60 * MS), Duration::ZERO);
    let silent = Scene::new(Config::default(), 60_000, vec![honest(LITTLE_LOSS), silent]).play(14);
    let (other, silent) = (scene.between(1, 9..14) / 5, silent.between(1, 9..14) / 5);
    assert!(
        other * 100 <= silent * 103,
        "{other}, to a silent one {silent}"
    );
}

#[test]
fn a_viewers_claims_affect_only_its_own_stream() {
    let alone = Scene::new(Config::default(), 60_000, vec![honest(LITTLE_LOSS)]).play(6);
    let alone_bytes = alone.between(0, 1..6);
    let second = Duration::from_secs(1);
    let lies = [
        liar(1.0, second, 60 * MS),
        liar(1.0, MS, 60 * MS),
        liar(1.0, 4_000 * second, 4_000 * second),
        liar(0.5, 20 * MS, MS / 1000),
        liar(0.0, MS / 1000, 4_000 * second),
    ];
    for (number, lie) in lies.into_iter().enumerate() {
        let scene = Scene::new(Config::default(), 60_000, vec![honest(LITTLE_LOSS), lie]).play(6);
        let bytes = scene.between(0, 1..6);
        assert!(
            bytes * 100 <= alone_bytes * 110,
            "lie {number}: {bytes} bytes, alone {alone_bytes}"
        );
        assert!(
            scene.intact(0) + 0.01 >= alone.intact(0),
            "lie {number}: {} intact, alone {}",
            scene.intact(0),
            alone.intact(0)
        );
    }
}

#[test]
fn each_viewer_is_answered_for_as_long_as_it_waits_itself() {
    // So far away that one round of NACKs takes longer than the budget of the others.
    let far = "loss=3%,delay=140ms,seed=9";
    let config = || Config {
        fec: Fec::Off,
        ..Config::default()
    };
    let alone = Scene::new(config(), 60_000, vec![patient(500, far)]).play(12);
    let near = "loss=6%,delay=10ms,seed=3";
    let beside = Scene::new(config(), 60_000, vec![patient(500, far), honest(near)]).play(12);
    let (alone, beside) = (alone.intact(0), beside.intact(0));
    assert!(alone > 0.85, "alone {alone}");
    assert!(
        beside + 0.02 >= alone,
        "beside another {beside}, alone {alone}"
    );
}
