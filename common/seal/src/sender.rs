//! The sender's side: seals its stream, opens what viewers send.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::time::Duration;

use framegram_common::seq::PacketSeq;
use framegram_common::wire::native::{Envelope, HANDSHAKE, NO_DESTINATION, Packet, SALT};

use crate::guests::Guests;
use crate::handshake::{Ephemerals, Psk};
use crate::incoming::Opener;
use crate::keys::{PacketOrigin, SessionTag, StartKeys, Suite};
use crate::outgoing::{KeyTurn, Sealer};
use crate::secret::Secret;
use crate::trials::{Strangers, Trials};
use crate::{Refusal, Refused, SEED};

/// Most viewers whose packet numbers are remembered against replay. Beyond that, the viewers silent
/// for longest are forgotten.
const MAX_VIEWERS: usize = 1_024;

/// Keys tried in a second for unknown viewers. Each takes a few microseconds.
const TRIALS: u32 = 4_000;

/// Keys tried in a second for known viewers.
const KNOWN_TRIALS: u32 = 1_000;

/// Seals what one start of a sender sends, and opens what viewers send to it.
#[derive(Debug)]
pub struct SenderSeal {
    secret: Secret,
    keys: StartKeys,
    suite: Suite,
    turn: KeyTurn,
    destinations: BTreeMap<u16, Sealer>,
    /// Number of the next packet to a viewer that is not served.
    answers: u64,
    viewers: HashMap<u64, Viewer>,
    /// The viewers that connect, if allowed.
    guests: Option<Guests>,
    strangers: Strangers,
    known: Trials,
    refused: Refused,
}

#[derive(Debug)]
struct Viewer {
    incoming: Opener,
    /// Time of the last packet taken.
    taken: Duration,
}

impl SenderSeal {
    /// The salt must be drawn at random at each start. The same salt again would repeat keys.
    pub fn new(secret: Secret, salt: [u8; SALT], suite: Suite) -> Self {
        Self {
            keys: StartKeys::new(&secret, salt),
            secret,
            suite,
            turn: KeyTurn::new(suite),
            destinations: BTreeMap::new(),
            answers: 0,
            viewers: HashMap::new(),
            guests: None,
            strangers: Strangers::new(TRIALS),
            known: Trials::new(KNOWN_TRIALS),
            refused: Refused::default(),
        }
    }

    /// Agrees with each viewer that connects on keys of its own. Their destinations begin at
    /// `first`. The seed must be drawn at random at each start.
    pub fn accepting(self, first: u16, seed: [u8; SEED]) -> Self {
        let guests = Guests::new(Psk::new(&self.secret), first, Ephemerals::new(seed));
        Self {
            guests: Some(guests),
            ..self
        }
    }

    /// Advances to the next keys, from the next packet on.
    pub fn turn(&mut self, now: Duration) {
        self.turn.advance(now);
        if let Some(guests) = &mut self.guests {
            guests.turn(now);
        }
    }

    /// Forgets the keys of a viewer that connected and is no longer served.
    pub fn forget(&mut self, destination: u16) {
        if let Some(guests) = &mut self.guests {
            guests.forget(destination);
        }
    }

    /// Seals packets and appends them. Each has `segment` bytes, except for the last, and all are
    /// of kinds that grow by the same number of bytes. Returns the bytes of each sealed packet but
    /// the last. Appends nothing for a viewer that has not agreed on keys.
    pub fn seal(
        &mut self,
        packets: &[u8],
        segment: usize,
        now: Duration,
        out: &mut Vec<u8>,
    ) -> usize {
        let start = out.len();
        let mut sealed_segment = 0;
        for packet in packets.chunks(segment.max(1)) {
            let before = out.len();
            self.seal_one(packet, now, out);
            if before == start {
                sealed_segment = out.len() - start;
            }
        }
        sealed_segment
    }

    pub(crate) fn seal_one(&mut self, packet: &[u8], now: Duration, out: &mut Vec<u8>) -> bool {
        let Some(envelope) = Envelope::of_clear(packet).filter(|it| it.viewer.is_none()) else {
            return false;
        };
        let destination = envelope.destination;
        if destination != NO_DESTINATION
            && let Some(guests) = self.guests.as_mut().filter(|it| it.has(destination))
        {
            let session = guests.session(destination);
            return session.is_some_and(|it| it.seal((&envelope, packet), now, out));
        }
        let handshake = match envelope.handshake {
            Some(_) => match self.accept(packet, now) {
                None => return false,
                answer => answer,
            },
            None => None,
        };
        let number = if destination == NO_DESTINATION {
            let number = PacketSeq(self.answers as u32);
            self.answers += 1;
            number
        } else {
            envelope.number
        };
        let envelope = Envelope {
            number,
            handshake,
            ..envelope
        };
        let outgoing = self
            .destinations
            .entry(destination)
            .or_insert_with(|| Sealer::new(PacketOrigin::Sender { destination }));
        outgoing.seal(&self.keys, &mut self.turn, (&envelope, packet), now, out)
    }

    /// The handshake message to a viewer that is accepted.
    fn accept(&mut self, packet: &[u8], now: Duration) -> Option<[u8; HANDSHAKE]> {
        let (header, packet) = Packet::decode(packet).ok()?;
        let Packet::Accept(accept) = packet else {
            return None;
        };
        let start = (self.keys.salt(), self.suite);
        let guests = self.guests.as_mut()?;
        guests.accept(header.stream, accept, start, now)
    }

    /// Opens a datagram from a viewer in place. Returns the length of the packet in the clear,
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
        let viewer = envelope.viewer.ok_or(Refusal::Unauthentic)?;
        if envelope.connects {
            return self.open_connect(viewer, envelope, from, now, datagram);
        }
        if SessionTag::of_wire(envelope.key).is_some() {
            let guests = self.guests.as_mut().ok_or(Refusal::Early)?;
            return guests.open(viewer, envelope, &mut self.known, now, datagram);
        }
        if let Some(known) = self.viewers.get_mut(&viewer) {
            let incoming = &mut known.incoming;
            let length = incoming.open(&self.keys, envelope, &mut self.known, now, datagram)?;
            known.taken = now;
            return Ok(length);
        }
        let mut incoming = Opener::new(PacketOrigin::Viewer { viewer });
        let opened = self.strangers.open(from, now, |trial| {
            incoming.open(&self.keys, envelope, trial, now, datagram)
        });
        let length = opened?;
        self.remember(viewer, incoming, now);
        Ok(length)
    }

    /// Opens a request. Its number is not remembered before the state machine accepts it: whoever
    /// repeats it must prove the address again.
    fn open_connect(
        &mut self,
        viewer: u64,
        envelope: &Envelope,
        from: SocketAddr,
        now: Duration,
        datagram: &mut [u8],
    ) -> Result<usize, Refusal> {
        let salt = envelope.salt.ok_or(Refusal::Unauthentic)?;
        let length = self.strangers.open(from, now, |trial| {
            let keys = StartKeys::new(&self.secret, salt);
            let mut incoming = Opener::new(PacketOrigin::Connecting { viewer });
            incoming.open(&keys, envelope, trial, now, datagram)
        })?;
        if let Some((guests, message)) = self.guests.as_mut().zip(envelope.handshake) {
            guests.ask(viewer, message)?;
        }
        Ok(length)
    }

    fn remember(&mut self, viewer: u64, incoming: Opener, now: Duration) {
        if self.viewers.len() >= MAX_VIEWERS {
            let silent = self.viewers.iter().min_by_key(|(_, it)| it.taken);
            if let Some(silent) = silent.map(|(viewer, _)| *viewer) {
                self.viewers.remove(&silent);
            }
        }
        let taken = now;
        self.viewers.insert(viewer, Viewer { incoming, taken });
    }

    /// Counts of the datagrams refused so far.
    pub fn refused(&self) -> Refused {
        self.refused
    }
}
