//! Viewers that come by themselves to a sender with a key, over a network that loses,
//! repeats and reorders what it carries: each agrees on keys of its own, whatever
//! happens to the handshake, the sender and the addresses.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use framegram_common::receiver::{self, Receiver, SinkOutcome};
use framegram_common::sender::{AcceptorConfig, Config, Event, Output, Sender};
use framegram_common::wire::native::{Envelope, Integrity, NO_DESTINATION};
use framegram_seal::{Refused, SEED, Secret, SenderSeal, Suite, ViewerSeal, key_text};

const MS: Duration = Duration::from_millis(1);

/// A key whose top bit is set is one that a handshake has agreed on.
const AGREED: u32 = 1 << 31;

/// The sender, as long as it runs.
struct Host {
    sender: Sender,
    seal: SenderSeal,
    /// The viewers by destination.
    admitted: Vec<SocketAddr>,
}

impl Host {
    /// Each start draws another stream, salt and seed.
    fn start(start: u8, max_peers: u16, now: Duration) -> Self {
        let config = Config {
            destinations: 0,
            interval: Some(33 * MS),
            retransmit: true,
            integrity: Integrity::Tag,
            acceptor: Some(AcceptorConfig {
                secret: (start.into(), 4),
                max_peers,
                accepts: true,
            }),
            ..Config::default()
        };
        let seal = SenderSeal::new(secret(), [start; 16], Suite::best());
        Self {
            sender: Sender::new(config, 70 + u64::from(start), now),
            seal: seal.accepting(0, [start; SEED]),
            admitted: Vec::new(),
        }
    }
}

struct Guest {
    receiver: Receiver,
    seal: ViewerSeal,
    address: SocketAddr,
    shown: u64,
}

/// What is on its way: when it arrives, where from, where to.
type Flight = BTreeMap<(Duration, u64), (SocketAddr, SocketAddr, Vec<u8>)>;

struct Scene {
    host: Host,
    guests: Vec<Guest>,
    flight: Flight,
    sent: u64,
    /// Everything that was carried, with whom it came from.
    recorded: Vec<(SocketAddr, Vec<u8>)>,
    rng: Rng,
    harm: f64,
    now: Duration,
}

fn secret() -> Secret {
    Secret::from_key(&key_text((1, 2))).unwrap()
}

fn host_at() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 5_005))
}

fn guest_at(index: usize) -> SocketAddr {
    SocketAddr::from(([198, 51, 100, index as u8], 4_000))
}

impl Scene {
    fn new(seed: u64, guests: usize, max_peers: u16, harm: f64) -> Self {
        let guests = (0..guests).map(|index| {
            let number = 100 + index as u64;
            let config = receiver::Config {
                integrity: Integrity::Tag,
                ..receiver::Config::default()
            };
            let mut receiver = Receiver::new(config, number, (5, 6), MS);
            receiver.connect(host_at(), MS);
            let seal = ViewerSeal::new(secret(), number, [index as u8; 16], Suite::best());
            Guest {
                receiver,
                seal: seal.connecting([index as u8; SEED]),
                address: guest_at(index),
                shown: 0,
            }
        });
        Self {
            host: Host::start(1, max_peers, MS),
            guests: guests.collect(),
            flight: Flight::new(),
            sent: 0,
            recorded: Vec::new(),
            rng: Rng::with_seed(seed),
            harm,
            now: MS,
        }
    }

    /// Puts a datagram on its way: it may get lost, be overtaken and come twice.
    fn carry(&mut self, from: SocketAddr, to: SocketAddr, datagram: &[u8]) {
        self.recorded.push((from, datagram.to_vec()));
        for copy in 0..2 {
            let is_there = match copy {
                0 => self.rng.f64() >= self.harm,
                _ => self.rng.f64() < self.harm / 2.0,
            };
            if is_there {
                let delay = 20.0 + self.rng.f64() * self.harm * 60.0;
                let at = self.now + MS.mul_f64(delay);
                self.sent += 1;
                let datagram = (from, to, datagram.to_vec());
                self.flight.insert((at, self.sent), datagram);
            }
        }
    }

    fn deliver(&mut self) {
        while let Some(first) = self.flight.first_entry()
            && first.key().0 <= self.now
        {
            let (from, to, mut datagram) = first.remove();
            self.hand(from, to, &mut datagram);
        }
    }

    fn hand(&mut self, from: SocketAddr, to: SocketAddr, datagram: &mut [u8]) {
        let now = self.now;
        if to == host_at() {
            if let Ok(length) = self.host.seal.open(from, datagram, now) {
                let packet = &datagram[..length];
                self.host.sender.handle_incoming(from, packet, now);
                self.send();
            }
            return;
        }
        let guest = self.guests.iter_mut().find(|guest| guest.address == to);
        if let Some(guest) = guest
            && let Ok(length) = guest.seal.open(from, datagram, now)
        {
            let packet = &datagram[..length];
            guest.receiver.handle_datagram(from, packet, now);
        }
    }

    fn send(&mut self) {
        let (now, mut out) = (self.now, Vec::new());
        loop {
            let (to, segment) = match self.host.sender.poll_output(now, &mut out) {
                Output::Transmit(it) => (self.host.admitted[it.destination], it.segment),
                Output::Answer(to) => (to, out.len()),
                Output::Event(event) => {
                    self.note(event);
                    continue;
                }
                Output::Timeout(_) => return,
            };
            let mut sealed = Vec::new();
            let segment = self.host.seal.seal(&out, segment, now, &mut sealed);
            for datagram in sealed.chunks(segment.max(1)) {
                self.carry(host_at(), to, datagram);
            }
        }
    }

    fn note(&mut self, event: Event) {
        match event {
            Event::Admitted {
                destination,
                address,
            } => {
                let admitted = &mut self.host.admitted;
                admitted.resize(admitted.len().max(destination + 1), address);
                admitted[destination] = address;
            }
            Event::Left { destination, .. } => self.host.seal.forget(destination as u16),
            _ => {}
        }
    }

    fn view(&mut self) {
        let now = self.now;
        for index in 0..self.guests.len() {
            self.guests[index].receiver.handle_timeout(now);
            loop {
                let guest = &mut self.guests[index];
                let transmit = match guest.receiver.poll_output(now) {
                    receiver::Output::Frame(frame) => {
                        guest.shown += 1;
                        let shown = SinkOutcome::Shown { at: now };
                        guest.receiver.handle_outcome(frame.id, shown);
                        continue;
                    }
                    receiver::Output::Transmit(transmit) => transmit,
                    receiver::Output::Timeout(_) => break,
                    receiver::Output::Event(_) | receiver::Output::Record(_) => continue,
                };
                let (from, mut sealed) = (guest.address, Vec::new());
                if guest.seal.seal(&transmit.datagram, now, &mut sealed) {
                    self.carry(from, transmit.to, &sealed);
                }
            }
        }
    }

    /// Runs for `ms` milliseconds, with a frame every 33.
    fn run(&mut self, ms: u32) {
        let jpeg = include_bytes!("../../../common/src/fuzzing/sliced.jpg");
        for _ in 0..ms {
            self.now += MS;
            if self.now.as_millis().is_multiple_of(33) {
                let now = self.now;
                let frame = Bytes::from_static(jpeg);
                // With no viewer there is nobody to send it to.
                let _ = self.host.sender.handle_frame(frame, now, Some(80), now);
            }
            self.deliver();
            self.send();
            self.view();
        }
    }

    /// Runs for so long. Returns the fewest frames that a viewer was shown meanwhile.
    fn shown(&mut self, ms: u32) -> u64 {
        let before: Vec<_> = self.guests.iter().map(|guest| guest.shown).collect();
        self.run(ms);
        let shown = self.guests.iter().zip(before);
        let shown = shown.map(|(guest, before)| guest.shown - before);
        shown.min().unwrap_or_default()
    }

    /// The numbers of the keys of what belongs to the stream.
    fn stream_keys(&self) -> impl Iterator<Item = u32> {
        let envelopes = self.recorded.iter().map(|(_, it)| Envelope::of_sealed(it));
        let envelopes = envelopes.map(|envelope| envelope.expect("it is sealed"));
        let of_stream = envelopes.filter(|it| match it.viewer {
            Some(_) => !it.connects,
            None => it.destination != NO_DESTINATION,
        });
        of_stream.map(|envelope| envelope.key)
    }
}

#[test]
fn a_stream_comes_and_comes_again_whatever_the_network_does_to_the_handshake() {
    for seed in 0..12 {
        let mut scene = Scene::new(seed, 3, 4, 0.25);
        scene.run(3_000);
        assert!(scene.shown(2_000) > 45, "seed {seed}: at first");
        // The sender starts again, at the same address.
        scene.host = Host::start(2, 4, scene.now);
        scene.run(6_000);
        assert!(scene.shown(2_000) > 45, "seed {seed}: another start");
        // A viewer is in another network.
        let moved = &mut scene.guests[0];
        moved.address = guest_at(77);
        moved.receiver.connect(host_at(), scene.now);
        scene.run(3_000);
        assert!(scene.shown(2_000) > 45, "seed {seed}: moved");
        // Nothing passes for longer than a place is kept.
        scene.harm = 1.0;
        scene.run(7_000);
        scene.harm = 0.25;
        scene.run(6_000);
        assert!(scene.shown(2_000) > 45, "seed {seed}: after an outage");
        for guest in &scene.guests {
            let Refused {
                clear, unauthentic, ..
            } = guest.seal.refused();
            assert_eq!((clear, unauthentic), (0, 0), "seed {seed}");
        }
        assert!(scene.stream_keys().all(|key| key & AGREED != 0));
    }
}

#[test]
fn many_viewers_come_at_once() {
    let mut scene = Scene::new(1, 60, 60, 0.1);
    scene.run(3_000);
    assert_eq!(scene.host.sender.admitted(), 60);
    assert!(scene.shown(2_000) > 50);
    let refused = scene.host.seal.refused();
    assert_eq!((refused.clear, refused.unauthentic), (0, 0));
    for guest in &scene.guests {
        // The handshake is no stranger's.
        let foreign = guest.receiver.statistics().packets.foreign;
        assert_eq!(foreign, Some(0));
    }
}

/// Somebody on the path has recorded all, and sends it again to both sides, from
/// where it came, for as long as a cookie is valid: requests too.
#[test]
fn what_was_recorded_changes_nothing_while_it_runs_and_afterwards() {
    for seed in 0..4 {
        let mut scene = Scene::new(seed, 2, 2, 0.0);
        scene.run(2_000);
        let before: Vec<_> = scene.guests.iter().map(|guest| guest.shown).collect();
        let recorded = std::mem::take(&mut scene.recorded);
        let mut order: Vec<_> = (0..recorded.len()).collect();
        scene.rng.shuffle(&mut order);
        for index in order {
            let (from, datagram) = &recorded[index];
            let guests: Vec<_> = scene.guests.iter().map(|guest| guest.address).collect();
            let to = if *from == host_at() {
                guests
            } else {
                vec![host_at()]
            };
            for to in to {
                scene.hand(*from, to, &mut datagram.clone());
            }
            if index.is_multiple_of(8) {
                scene.run(1);
            }
        }
        scene.run(500);
        let elapsed = scene.now.as_millis() as u64 - 2_000;
        for (guest, before) in scene.guests.iter_mut().zip(before) {
            let shown = guest.shown - before;
            // Each frame of that time once, but for those at its ends.
            assert!(shown.abs_diff(elapsed / 33) <= 4, "{shown} in {elapsed} ms");
            guest.receiver.finish();
            let statistics = guest.receiver.statistics();
            assert_eq!(statistics.stream.followed, 1);
            assert_eq!(statistics.packets.duplicate, Some(0));
        }
        assert_eq!(scene.host.sender.admitted(), 2);
    }
}

/// The same with the key, and with everything that both sides drew in the open.
#[test]
fn who_gets_the_key_later_reads_nothing_of_what_was_recorded() {
    let mut scene = Scene::new(3, 2, 2, 0.0);
    scene.run(3_000);
    let mut tried = 0;
    for (from, datagram) in &scene.recorded {
        let envelope = Envelope::of_sealed(datagram).unwrap();
        if envelope.connects || envelope.destination == NO_DESTINATION {
            continue;
        }
        tried += 1;
        // The handshakes are handed in first, as they were recorded.
        let seal = ViewerSeal::new(secret(), 100, [0; 16], Suite::best());
        let mut connecting = seal.connecting([99; SEED]);
        let seal = ViewerSeal::new(secret(), 100, [0; 16], Suite::best());
        let mut listening = seal;
        let seal = SenderSeal::new(secret(), [1; 16], Suite::best());
        let mut sender = seal.accepting(0, [98; SEED]);
        let handshake = scene.recorded.iter().filter(|(_, it)| {
            let envelope = Envelope::of_sealed(it).unwrap();
            envelope.connects || envelope.destination == NO_DESTINATION
        });
        for (from, datagram) in handshake {
            let now = scene.now;
            // Of no use to anybody: both sides have forgotten their private keys.
            let _ = connecting.open(*from, &mut datagram.clone(), now);
            let _ = sender.open(*from, &mut datagram.clone(), now);
        }
        let now = scene.now;
        assert!(connecting.open(*from, &mut datagram.clone(), now).is_err());
        assert!(listening.open(*from, &mut datagram.clone(), now).is_err());
        assert!(sender.open(*from, &mut datagram.clone(), now).is_err());
        if tried == 200 {
            break;
        }
    }
    assert_eq!(tried, 200);
}
