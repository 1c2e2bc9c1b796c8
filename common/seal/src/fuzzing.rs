//! The fuzz target of sealed packets. It knows the key. `common/fuzz` runs it under libFuzzer.

pub mod srtp;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use framegram_common::seq::PacketNumber;
use framegram_common::wire::native::{
    Accept, Channel, Connect, Envelope, HEADER, Header, Integrity, NO_DESTINATION, Packet, SALT,
    SenderReport, WireHeader,
};

use crate::{SEED, Secret, SenderSeal, Suite, ViewerSeal, key_text};

/// Most operations of one run.
const MAX_OPERATIONS: usize = 200;

/// Most datagrams kept for replay.
const MAX_KEPT: usize = 16;

/// The viewers. The first has a fixed destination, the others connect.
const VIEWERS: usize = 3;

/// The destinations after the first belong to viewers that connect.
const FIRST: u16 = 1;

const STREAM: u32 = 7;

/// Bytes as choices. After their end, every choice is the first one.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn below(&mut self, count: usize) -> usize {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        usize::from(*first) % count.max(1)
    }

    fn bytes(&mut self) -> &[u8] {
        let len = self.below(256).min(self.0.len());
        let (taken, rest) = self.0.split_at(len);
        self.0 = rest;
        taken
    }
}

/// Both sides, and the datagrams sealed last.
struct Scene {
    sender: SenderSeal,
    viewers: Vec<ViewerSeal>,
    kept: Vec<Vec<u8>>,
    /// The datagrams opened so far. Each may be opened only once.
    opened: BTreeSet<Vec<u8>>,
    /// The next number of all packets.
    number: u64,
    now: Duration,
}

/// Runs a sender, a viewer with a fixed destination and two that connect. The bytes choose who
/// seals what, what arrives where, and what is changed on the way.
///
/// # Panics
/// If the bytes reveal a bug.
pub fn run(bytes: &[u8]) {
    let mut choices = Choices(bytes);
    let mut scene = Scene::new(Suite::ALL[choices.below(2)]);
    for _ in 0..MAX_OPERATIONS {
        if choices.0.is_empty() {
            break;
        }
        match choices.below(10) {
            0 => scene.now += Duration::from_millis(choices.below(256) as u64 * 20),
            1 => scene.sender.turn(scene.now),
            2 => scene.sender.forget(choices.below(4) as u16),
            3 => {
                let bytes = choices.bytes().to_vec();
                scene.deliver(&bytes, choices.below(VIEWERS + 1));
            }
            4 => scene.send_body(&mut choices),
            5 => scene.answer_body(&mut choices),
            6 => scene.ask(choices.below(VIEWERS)),
            7 => {
                let (viewer, destination) = (choices.below(VIEWERS), choices.below(4));
                scene.accept(viewer, destination as u16);
            }
            8 => {
                let at = choices.below(scene.kept.len());
                if let Some(mut datagram) = scene.kept.get(at).cloned() {
                    let bit = choices.below(256) * 8 + choices.below(8);
                    if let Some(byte) = datagram.get_mut(bit / 8) {
                        *byte ^= 1 << (bit % 8);
                    }
                    scene.deliver(&datagram, choices.below(VIEWERS + 1));
                }
            }
            _ => {
                let at = choices.below(scene.kept.len());
                if let Some(datagram) = scene.kept.get(at).cloned() {
                    scene.deliver(&datagram, choices.below(VIEWERS + 1));
                }
            }
        }
    }
}

impl Scene {
    fn new(suite: Suite) -> Self {
        let secret = Secret::from_key(&key_text((1, 2))).expect("a key");
        let viewers = (0..VIEWERS).map(|at| {
            let seal = ViewerSeal::new(secret.clone(), number(at), [at as u8; SALT], suite);
            match at {
                0 => seal,
                _ => seal.connecting([at as u8; SEED]),
            }
        });
        let viewers = viewers.collect();
        let sender = SenderSeal::new(secret, [9; SALT], suite);
        Self {
            sender: sender.accepting(FIRST, [9; SEED]),
            viewers,
            kept: Vec::new(),
            opened: BTreeSet::new(),
            number: 0,
            now: Duration::from_secs(1),
        }
    }

    /// Delivers a datagram to one of the viewers, or to the sender.
    fn deliver(&mut self, datagram: &[u8], to: usize) {
        let from = SocketAddr::from(([192, 0, 2, to as u8], 5_005));
        let mut packet = datagram.to_vec();
        let opened = match self.viewers.get_mut(to) {
            Some(viewer) => viewer.open(from, &mut packet, self.now),
            None => self.sender.open(from, &mut packet, self.now),
        };
        let Ok(length) = opened else {
            return;
        };
        let envelope = Envelope::of_sealed(datagram).expect("it is sealed");
        assert!(length >= HEADER && length < datagram.len());
        let _ = Packet::decode_by(&packet[..length], Integrity::Tag);
        // Requests and their answers may repeat: the viewer then must prove its address again.
        if !envelope.connects && envelope.destination != NO_DESTINATION {
            assert!(
                self.opened.insert(datagram.to_vec()),
                "it was opened before"
            );
        }
    }

    fn keep(&mut self, datagram: Vec<u8>) {
        if datagram.is_empty() {
            return;
        }
        if self.kept.len() == MAX_KEPT {
            self.kept.remove(0);
        }
        self.kept.push(datagram);
    }

    fn header(&mut self, channel: Channel, destination: u16) -> Header {
        self.number += 1;
        Header {
            stream: STREAM,
            destination,
            channel,
            number: PacketNumber(self.number),
            sent: 0,
        }
    }

    /// The sender seals a packet of any kind with any body.
    fn send_body(&mut self, choices: &mut Choices<'_>) {
        let (kind, destination) = (choices.below(32), choices.below(4));
        let header = self.header(Channel::Control, destination as u16);
        let packet = Packet::SenderReport(SenderReport::default());
        let mut clear = with_body(&packet, &header, kind as u8, choices.bytes());
        if choices.below(2) == 1 {
            // As if it had no destination.
            clear[2..4].copy_from_slice(&NO_DESTINATION.to_be_bytes());
        }
        let mut sealed = Vec::new();
        self.sender.seal(&clear, clear.len(), self.now, &mut sealed);
        self.keep(sealed);
    }

    /// A viewer seals a packet of any kind with any body.
    fn answer_body(&mut self, choices: &mut Choices<'_>) {
        let (viewer, kind) = (choices.below(VIEWERS), choices.below(32));
        let header = self.header(Channel::Control, 0);
        let packet = Packet::Connect(Connect::default());
        let body = [&number(viewer).to_be_bytes(), choices.bytes()].concat();
        let clear = with_body(&packet, &header, kind as u8, &body);
        let mut sealed = Vec::new();
        self.viewers[viewer].seal(&clear, self.now, &mut sealed);
        self.keep(sealed);
    }

    /// A viewer asks for the stream, and its request arrives.
    fn ask(&mut self, viewer: usize) {
        let header = self.header(Channel::Control, NO_DESTINATION);
        let connect = Packet::Connect(Connect {
            viewer: number(viewer),
            cookie: 1,
        });
        let (mut clear, mut sealed) = (Vec::new(), Vec::new());
        connect.encode(&header, &mut clear);
        self.viewers[viewer].seal(&clear, self.now, &mut sealed);
        self.deliver(&sealed, VIEWERS);
        self.keep(sealed);
    }

    /// The sender answers a viewer.
    fn accept(&mut self, viewer: usize, destination: u16) {
        let header = self.header(Channel::Control, NO_DESTINATION);
        let accept = Packet::Accept(Accept {
            viewer: number(viewer),
            destination,
        });
        let (mut clear, mut sealed) = (Vec::new(), Vec::new());
        accept.encode(&header, &mut clear);
        self.sender.seal(&clear, clear.len(), self.now, &mut sealed);
        self.keep(sealed);
    }
}

/// The number of a viewer.
fn number(viewer: usize) -> u64 {
    100 + viewer as u64
}

/// A packet of any kind with any body.
fn with_body(packet: &Packet<'_>, header: &Header, kind: u8, body: &[u8]) -> Vec<u8> {
    let mut clear = Vec::new();
    packet.encode(WireHeader::from(header), &mut clear);
    clear.truncate(HEADER);
    clear[1] = clear[1] & !31 | kind;
    clear.extend_from_slice(body);
    clear
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The corpus, relative to this crate's folder.
    const CORPUS: &str = "../fuzz/corpus";

    include!("../../fuzz/corpus.rs");

    #[test]
    fn sealed() {
        try_all("sealed", run);
    }

    #[test]
    fn choices_lead_through_a_handshake_into_a_session() {
        let mut scene = Scene::new(Suite::best());
        scene.ask(1);
        scene.accept(1, 2);
        let accept = scene.kept.last().cloned().expect("it is accepted");
        scene.deliver(&accept, 1);
        let mut choices = Choices(&[5, 2, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        scene.send_body(&mut choices);
        let sealed = scene.kept.last().cloned().expect("it is sealed");
        scene.deliver(&sealed, 1);
        assert!(scene.opened.contains(&sealed));
        let refused = scene.viewers[1].refused();
        scene.deliver(&sealed, 1);
        assert_eq!(scene.viewers[1].refused().replayed, refused.replayed + 1);
        let mut again = sealed;
        assert_eq!(
            scene.viewers[2].open(
                SocketAddr::from(([192, 0, 2, 2], 5_005)),
                &mut again,
                scene.now
            ),
            Err(crate::Refusal::Early)
        );
    }
}
