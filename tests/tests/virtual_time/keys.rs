//! Everything that both sides send, sealed with a key: no key seals two packets with the same
//! number.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use framegram_common::fec::Fec;
use framegram_common::receiver::{self, Receiver, SinkOutcome};
use framegram_common::sender::{AcceptorConfig, Config, Event, Output, Rate, Sender};
use framegram_common::wire::native::{Channel, Envelope, HEADER, Integrity, Packet};
use framegram_seal::{Refusal, SEED, Secret, SenderSeal, Suite, ViewerSeal, key_text};

const MS: Duration = Duration::from_millis(1);
const SENT: u64 = 3_000;
const END: u64 = 5_000;

/// Two viewers at fixed destinations, and two that connect to a sender that has one free slot.
const FIXED: usize = 2;
const VIEWERS: usize = 4;

/// What makes a nonce: whose packet it is, its channel, its key and its number.
type Nonce = (Option<u64>, bool, u16, Channel, u32, u32);

/// The packets that were sealed.
#[derive(Default)]
struct Sealed {
    nonces: HashSet<Nonce>,
    kinds: HashSet<std::mem::Discriminant<Packet<'static>>>,
}

impl Sealed {
    fn record(&mut self, clear: &[u8], sealed: &[u8]) {
        let envelope = Envelope::of_sealed(sealed).expect("it is sealed");
        // A viewer's keys do not differ by destination.
        let destination = match envelope.viewer {
            Some(_) => 0,
            None => envelope.destination,
        };
        let nonce = (
            envelope.viewer,
            envelope.connects,
            destination,
            envelope.channel,
            envelope.key,
            envelope.number.0,
        );
        assert!(self.nonces.insert(nonce), "{nonce:?} is sealed twice");
        let bytes = Box::leak(clear.to_vec().into_boxed_slice());
        let (_, packet) = Packet::decode(bytes).expect("a packet");
        if self.kinds.insert(std::mem::discriminant(&packet)) {
            // A viewer's number stays in the clear.
            let viewer = envelope.viewer.map_or(0, |_| size_of::<u64>());
            let hidden = &sealed[envelope.clear()..];
            assert!(
                !is_seen(&clear[HEADER + viewer..], hidden),
                "its body can be seen: {packet:?}"
            );
        }
    }
}

/// Whether any eight bytes of a body, of which half are not 0, appear among those of a sealed packet.
fn is_seen(body: &[u8], sealed: &[u8]) -> bool {
    let telling = |part: &&[u8]| part.iter().filter(|byte| **byte != 0).count() >= 4;
    let mut parts = body.windows(8).filter(telling);
    parts.any(|part| sealed.windows(8).any(|of_sealed| of_sealed == part))
}

struct Scene {
    sender: Sender,
    seal: SenderSeal,
    viewers: Vec<(Receiver, ViewerSeal)>,
    /// The viewers in the slots behind the fixed destinations.
    admitted: Vec<SocketAddr>,
    sealed: Sealed,
    random: fastrand::Rng,
    now: Duration,
}

fn secret() -> Secret {
    Secret::from_key(&key_text((1, 2))).expect("a key")
}

fn viewer_at(index: usize) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 100 + index as u8], 4_000))
}

/// The sender's address, which is another one after an outage.
fn sender_at(now: Duration) -> SocketAddr {
    let host = if now < 1_500 * MS { 1 } else { 2 };
    SocketAddr::from(([192, 0, 2, host], 5_005))
}

fn is_out(now: Duration) -> bool {
    (1_500 * MS..1_900 * MS).contains(&now)
}

impl Scene {
    fn new(seed: u64) -> Self {
        let config = Config {
            destinations: FIXED,
            interval: Some(33 * MS),
            fec: Fec::Fixed(0.3),
            retransmit: true,
            rate: Rate::Auto { first: None },
            integrity: Integrity::Tag,
            acceptor: Some(AcceptorConfig {
                secret: (3, 4),
                max_peers: 1,
                accepts: true,
            }),
            ..Config::default()
        };
        let viewers = (0..VIEWERS).map(|index| {
            let number = 10 + index as u64;
            let config = receiver::Config {
                integrity: Integrity::Tag,
                ..receiver::Config::default()
            };
            let mut receiver = Receiver::new(config, number, (5, 6), MS);
            if index >= FIXED {
                receiver.connect(sender_at(Duration::ZERO), MS);
            }
            let salt = [index as u8; 16];
            let mut seal = ViewerSeal::new(secret(), number, salt, Suite::best());
            if index >= FIXED {
                seal = seal.connecting([index as u8; SEED]);
            }
            (receiver, seal)
        });
        Self {
            sender: Sender::new(config, 7, MS),
            seal: SenderSeal::new(secret(), [9; 16], Suite::best())
                .accepting(FIXED as u16, [9; SEED]),
            viewers: viewers.collect(),
            admitted: Vec::new(),
            sealed: Sealed::default(),
            random: fastrand::Rng::with_seed(seed),
            now: MS,
        }
    }

    fn send(&mut self) {
        let (now, mut out, mut sealed) = (self.now, Vec::new(), Vec::new());
        loop {
            let (to, segment) = match self.sender.poll_output(now, &mut out) {
                Output::Transmit(it) if it.destination < FIXED => {
                    (viewer_at(it.destination), it.segment)
                }
                Output::Transmit(it) => (self.admitted[it.destination - FIXED], it.segment),
                Output::Answer(to) => (to, out.len()),
                Output::Event(Event::Admitted {
                    destination,
                    address,
                }) => {
                    self.admitted.resize(destination - FIXED + 1, address);
                    self.admitted[destination - FIXED] = address;
                    continue;
                }
                Output::Event(Event::Left { destination, .. }) => {
                    self.seal.forget(destination as u16);
                    continue;
                }
                Output::Event(_) => continue,
                Output::Timeout(_) => return,
            };
            sealed.clear();
            let sealed_segment = self.seal.seal(&out, segment, now, &mut sealed);
            let index = (0..VIEWERS).find(|index| viewer_at(*index) == to);
            let index = index.expect("one of the viewers");
            for (clear, sealed) in out.chunks(segment).zip(sealed.chunks(sealed_segment)) {
                self.sealed.record(clear, sealed);
                if is_out(now) || self.random.f64() < 0.1 {
                    continue;
                }
                let (receiver, seal) = &mut self.viewers[index];
                let mut opened = sealed.to_vec();
                if let Ok(length) = seal.open(sender_at(now), &mut opened, now) {
                    receiver.handle_datagram(sender_at(now), &opened[..length], now);
                }
            }
        }
    }

    fn view(&mut self) {
        let now = self.now;
        for index in 0..VIEWERS {
            self.viewers[index].0.handle_timeout(now);
            loop {
                let (receiver, seal) = &mut self.viewers[index];
                let transmit = match receiver.poll_output(now) {
                    receiver::Output::Frame(frame) => {
                        receiver.handle_outcome(frame.id, SinkOutcome::Shown { at: now });
                        continue;
                    }
                    receiver::Output::Transmit(transmit) => transmit,
                    receiver::Output::Timeout(_) => break,
                    receiver::Output::Event(_) | receiver::Output::Record(_) => continue,
                };
                let mut sealed = Vec::new();
                if !seal.seal(&transmit.datagram, now, &mut sealed) {
                    continue;
                }
                self.sealed.record(&transmit.datagram, &sealed);
                if is_out(now) {
                    continue;
                }
                let opened = self.seal.open(viewer_at(index), &mut sealed, now);
                let opened = match opened {
                    // It repeats its bye, and its keys are forgotten.
                    Err(Refusal::Early) if index >= FIXED => continue,
                    opened => &sealed[..opened.expect("authentic")],
                };
                if index < FIXED {
                    self.sender.handle_datagram(index, opened, now);
                } else {
                    self.sender.handle_incoming(viewer_at(index), opened, now);
                }
            }
        }
    }
}

#[test]
fn no_key_seals_two_packets_of_one_number() {
    let many_chunks = include_bytes!("../../../sample-media/lossy-second.jpg");
    let slices = include_bytes!("../../../common/src/fuzzing/sliced.jpg");
    let jpegs = [Bytes::from_static(many_chunks), Bytes::from_static(slices)];
    for seed in 0..4 {
        let mut scene = Scene::new(seed);
        for tick in 1..END {
            scene.now = tick as u32 * MS;
            if tick < SENT && tick % 33 == 0 {
                let now = scene.now;
                let jpeg = jpegs[tick as usize / 33 % 2].clone();
                // The rate may hold back some frames.
                let _ = scene.sender.handle_frame(jpeg, now, Some(80), now);
            }
            match tick {
                1_000 | 1_300 => scene.seal.turn(scene.now),
                2_500 => {
                    for (receiver, _) in &mut scene.viewers[FIXED..] {
                        receiver.leave();
                    }
                }
                SENT => scene.sender.finish(scene.now),
                _ => {}
            }
            scene.send();
            scene.view();
        }
        for (receiver, _) in &mut scene.viewers[..FIXED] {
            receiver.finish();
            let statistics = receiver.statistics();
            assert!(
                statistics.frames.shown > Some(40),
                "{:?}",
                statistics.frames
            );
            assert_eq!(statistics.stream.followed, 1);
        }
        let kinds = scene.sealed.kinds.len();
        assert_eq!(kinds, 17, "each kind is sent: {:?}", scene.sealed.kinds);
        assert!(scene.sealed.nonces.len() > 1_000);
    }
}
