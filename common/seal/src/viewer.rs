//! The viewer's side: opens streams, seals what the viewer sends.

use std::net::SocketAddr;
use std::time::Duration;

use framegram_common::seq::PacketSeq;
use framegram_common::wire::native::{Channel, Envelope, Integrity, NO_DESTINATION, Packet, SALT};

use crate::connecting::Connecting;
use crate::handshake::{Ephemerals, Psk};
use crate::incoming::Opener;
use crate::keys::{KeyNumber, PacketOrigin, SessionTag, StartKeys, Suite};
use crate::outgoing::{KeyTurn, Sealer};
use crate::secret::Secret;
use crate::trials::{Strangers, Trials};
use crate::{Refusal, Refused, SEED};

/// Most starts of senders that are remembered, so that a recording of them is refused. Beyond that,
/// those silent for longest are forgotten.
const MAX_STARTS: usize = 128;

/// Most destinations of one start that are remembered. A viewer that connects may get another one
/// each time.
const MAX_DESTINATIONS: usize = 4;

/// How long the own destination must be silent before another is accepted: packets to other viewers
/// are not for this one.
const SILENCE: Duration = Duration::from_millis(500);

/// Keys tried in a second for unknown starts. Each takes a few microseconds.
const TRIALS: u32 = 2_000;

/// Keys tried in a second for known starts.
const KNOWN_TRIALS: u32 = 1_000;

/// Opens what senders send, and seals what this viewer sends to them.
#[derive(Debug)]
pub struct ViewerSeal {
    secret: Secret,
    /// The keys of its requests for a stream.
    own: StartKeys,
    requests: Sealer,
    /// Its handshakes, if it connects.
    connecting: Option<Connecting>,
    viewer: u64,
    turn: KeyTurn,
    /// The next packet numbers, for all streams together, so that numbers continue when a stream is
    /// followed again.
    numbers: [u64; Channel::ALL.len()],
    starts: Vec<Start>,
    strangers: Strangers,
    known: Trials,
    refused: Refused,
}

/// One start of a sender.
#[derive(Debug)]
struct Start {
    stream: u32,
    keys: StartKeys,
    /// This viewer's destination.
    destination: Option<u16>,
    destinations: Vec<(u16, Opener)>,
    outgoing: Sealer,
    turn: KeyTurn,
    /// Time of the last packet taken.
    taken: Duration,
}

impl ViewerSeal {
    /// Number and salt of the viewer must be drawn at random at each start.
    pub fn new(secret: Secret, viewer: u64, salt: [u8; SALT], suite: Suite) -> Self {
        Self {
            own: StartKeys::new(&secret, salt),
            secret,
            requests: Sealer::new(PacketOrigin::Connecting { viewer }),
            connecting: None,
            viewer,
            turn: KeyTurn::new(suite),
            numbers: [0; 3],
            starts: Vec::new(),
            strangers: Strangers::new(TRIALS),
            known: Trials::new(KNOWN_TRIALS),
            refused: Refused::default(),
        }
    }

    /// Connects: agrees with the sender on keys of its own. The seed must be drawn at random at
    /// each start.
    pub fn connecting(self, seed: [u8; SEED]) -> Self {
        let (psk, ephemerals) = (Psk::new(&self.secret), Ephemerals::new(seed));
        let connecting = Connecting::new(psk, self.viewer, ephemerals);
        Self {
            connecting: Some(connecting),
            ..self
        }
    }

    /// Seals a packet and puts it into `out` in place of the old content. Returns false for a
    /// stream of which nothing has arrived.
    pub fn seal(&mut self, packet: &[u8], now: Duration, out: &mut Vec<u8>) -> bool {
        out.clear();
        let envelope = Envelope::of_clear(packet);
        let Some(envelope) = envelope.filter(|it| it.viewer == Some(self.viewer)) else {
            return false;
        };
        let next = &mut self.numbers[envelope.channel as usize];
        let envelope = Envelope {
            number: PacketSeq(*next as u32),
            ..envelope
        };
        *next += 1;
        if envelope.connects {
            let handshake = match &mut self.connecting {
                Some(connecting) => connecting.ask(),
                None => None,
            };
            if handshake.is_none() {
                return false;
            }
            let packet = (
                &Envelope {
                    handshake,
                    ..envelope
                },
                packet,
            );
            return self
                .requests
                .seal(&self.own, &mut self.turn, packet, now, out);
        }
        let packet = (&envelope, packet);
        if let Some(connecting) = &mut self.connecting {
            return connecting.seal(packet, now, out);
        }
        let starts = self.starts.iter_mut();
        let of_stream = starts.filter(|start| start.stream == envelope.stream);
        let newest = of_stream.max_by_key(|start| start.taken);
        newest.is_some_and(|start| {
            let Start {
                outgoing,
                keys,
                turn,
                ..
            } = start;
            outgoing.seal(keys, turn, packet, now, out)
        })
    }

    /// Opens a datagram from a sender in place. Returns the length of the packet in the clear,
    /// whose CRC is not set.
    ///
    /// # Errors
    /// Why it is refused. The datagram then has undefined content.
    pub fn open(
        &mut self,
        from: SocketAddr,
        datagram: &mut [u8],
        now: Duration,
    ) -> Result<usize, Refusal> {
        let opened = match Envelope::of_sealed(datagram) {
            None => Err(Refusal::Clear),
            Some(envelope) => self.open_sealed(&envelope, from, now, datagram),
        };
        self.refused.record(opened)
    }

    fn open_sealed(
        &mut self,
        envelope: &Envelope,
        from: SocketAddr,
        now: Duration,
        datagram: &mut [u8],
    ) -> Result<usize, Refusal> {
        if envelope.viewer.is_some() {
            return Err(Refusal::Unauthentic);
        }
        if let Some(connecting) = &mut self.connecting {
            if SessionTag::of_wire(envelope.key).is_some() {
                return connecting.open(envelope, &mut self.known, now, datagram);
            }
            return self.open_answer(envelope, from, now, datagram);
        }
        // Only viewers that connect get these packets.
        if envelope.destination == NO_DESTINATION {
            return Err(Refusal::Unauthentic);
        }
        let may_be_of = |start: &&mut Start| start.may_be_of(envelope);
        let mut left = self.starts.iter_mut().filter(may_be_of).peekable();
        let is_known = left.peek().is_some();
        let mut copy = Vec::new();
        while let Some(start) = left.next() {
            // A failed trial overwrites the datagram.
            if left.peek().is_some() {
                copy.clear();
                copy.extend_from_slice(datagram);
            }
            match start.open(envelope, &mut self.known, now, datagram) {
                Err(Refusal::Unauthentic) if left.peek().is_some() => {
                    datagram.copy_from_slice(&copy);
                }
                opened => return opened,
            }
        }
        let salt = match envelope.salt {
            _ if is_known => return Err(Refusal::Unauthentic),
            None => return Err(Refusal::Early),
            Some(salt) => salt,
        };
        let number = KeyNumber::of_wire(envelope.key).ok_or(Refusal::Unauthentic)?;
        let mut opened = None;
        let length = self.strangers.open(from, now, |trial| {
            let start = opened.insert(Start {
                stream: envelope.stream,
                keys: StartKeys::new(&self.secret, salt),
                destination: None,
                destinations: Vec::new(),
                outgoing: Sealer::new(PacketOrigin::Viewer {
                    viewer: self.viewer,
                }),
                turn: KeyTurn::new(number.suite),
                taken: now,
            });
            start.open(envelope, trial, now, datagram)
        })?;
        opened.into_iter().for_each(|start| self.remember(start));
        Ok(length)
    }

    /// Opens the answer of a sender to this viewer's request. Nothing else is sealed with keys that
    /// others also have.
    fn open_answer(
        &mut self,
        envelope: &Envelope,
        from: SocketAddr,
        now: Duration,
        datagram: &mut [u8],
    ) -> Result<usize, Refusal> {
        let destination = envelope.destination;
        let salt = envelope.salt.filter(|_| destination == NO_DESTINATION);
        let salt = salt.ok_or(Refusal::Unauthentic)?;
        let number = KeyNumber::of_wire(envelope.key).ok_or(Refusal::Unauthentic)?;
        let length = self.strangers.open(from, now, |trial| {
            let keys = StartKeys::new(&self.secret, salt);
            let mut incoming = Opener::new(PacketOrigin::Sender { destination });
            incoming.open(&keys, envelope, trial, now, datagram)
        })?;
        if let Some(answer) = envelope.handshake
            && let Some(connecting) = &mut self.connecting
            && let Ok((header, Packet::Accept(accept))) =
                Packet::decode_by(&datagram[..length], Integrity::Tag)
        {
            let start = (salt, number.suite);
            connecting.accept(header.stream, accept, answer, start, now);
        }
        Ok(length)
    }

    fn remember(&mut self, start: Start) {
        if self.starts.len() >= MAX_STARTS {
            let silent = self.starts.iter().enumerate();
            let silent = silent.min_by_key(|(_, start)| start.taken);
            if let Some((silent, _)) = silent {
                self.starts.swap_remove(silent);
            }
        }
        self.starts.push(start);
    }

    /// Counts of the datagrams refused so far.
    pub fn refused(&self) -> Refused {
        self.refused
    }
}

impl Start {
    fn may_be_of(&self, envelope: &Envelope) -> bool {
        let same_salt = envelope.salt.is_none_or(|salt| salt == self.keys.salt());
        self.stream == envelope.stream && same_salt
    }

    fn open(
        &mut self,
        envelope: &Envelope,
        trials: &mut Trials,
        now: Duration,
        datagram: &mut [u8],
    ) -> Result<usize, Refusal> {
        let destination = envelope.destination;
        let is_other = self.destination.is_some_and(|own| own != destination);
        if is_other && now.saturating_sub(self.taken) < SILENCE {
            return Err(Refusal::Unauthentic);
        }
        let known = self.destinations.iter_mut();
        let known = known.map(|(known, incoming)| (*known, incoming));
        let known = known.into_iter().find(|(known, _)| *known == destination);
        let length = if let Some((_, incoming)) = known {
            incoming.open(&self.keys, envelope, trials, now, datagram)?
        } else {
            let mut incoming = Opener::new(PacketOrigin::Sender { destination });
            let length = incoming.open(&self.keys, envelope, trials, now, datagram)?;
            if self.destinations.len() >= MAX_DESTINATIONS {
                self.destinations.remove(0);
            }
            self.destinations.push((destination, incoming));
            length
        };
        (self.destination, self.taken) = (Some(destination), now);
        Ok(length)
    }
}
