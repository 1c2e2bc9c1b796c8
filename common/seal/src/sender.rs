//! The sender's side of a key.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use framegram_common::seq::PacketSeq;
use framegram_common::wire::native::{Envelope, NO_DESTINATION, SALT};

use crate::incoming::Incoming;
use crate::keys::{Origin, StartKeys, Suite};
use crate::outgoing::{Outgoing, Turn};
use crate::secret::Secret;
use crate::trials::Trials;
use crate::{Refusal, Refused};

/// The most viewers whose packets are told from replayed ones: of more, those
/// that were silent for longest are forgotten.
const MAX_VIEWERS: usize = 1_024;

/// Keys that are tried in a second for viewers that are not known: each takes a
/// few microseconds.
const TRIALS: u32 = 4_000;

/// The same for viewers that are known.
const KNOWN_TRIALS: u32 = 1_000;

/// Seals what one start of a sender sends, and opens what viewers send to it.
#[derive(Debug)]
pub struct SenderSeal {
    secret: Secret,
    keys: StartKeys,
    turn: Turn,
    destinations: BTreeMap<u16, Outgoing>,
    /// Packets to those who are not served.
    answers: u64,
    viewers: HashMap<u64, Viewer>,
    strangers: Trials,
    known: Trials,
    refused: Refused,
}

#[derive(Debug)]
struct Viewer {
    incoming: Incoming,
    /// When something of it was taken last.
    taken: Duration,
}

impl SenderSeal {
    /// The salt is drawn at random at each start: with the same one again, keys
    /// would serve twice.
    #[must_use]
    pub fn new(secret: Secret, salt: [u8; SALT], suite: Suite) -> Self {
        Self {
            keys: StartKeys::new(&secret, salt),
            secret,
            turn: Turn::new(suite),
            destinations: BTreeMap::new(),
            answers: 0,
            viewers: HashMap::new(),
            strangers: Trials::new(TRIALS),
            known: Trials::new(KNOWN_TRIALS),
            refused: Refused::default(),
        }
    }

    /// Goes on with other keys from the next packet on.
    pub fn turn(&mut self, now: Duration) {
        self.turn.advance(now);
    }

    /// Appends packets in the clear of `segment` bytes each, but the last, as sealed
    /// ones. Returns the bytes of each of those but the last. All of them are of
    /// kinds that grow alike.
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
            let sealed = self.seal_one(packet, now, out);
            debug_assert!(sealed, "no number is sealed twice");
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
        let number = if destination == NO_DESTINATION {
            let number = PacketSeq(self.answers as u32);
            self.answers += 1;
            number
        } else {
            envelope.number
        };
        let envelope = Envelope { number, ..envelope };
        let outgoing = self
            .destinations
            .entry(destination)
            .or_insert_with(|| Outgoing::new(Origin::Sender { destination }));
        outgoing.seal(&self.keys, &mut self.turn, (&envelope, packet), now, out)
    }

    /// Opens a datagram from a viewer into `out`, as a packet in the clear.
    ///
    /// # Errors
    /// Why it is not taken.
    pub fn open(
        &mut self,
        datagram: &[u8],
        now: Duration,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        let opened = self.open_any(datagram, now, out);
        self.refused.note(opened)
    }

    fn open_any(
        &mut self,
        datagram: &[u8],
        now: Duration,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        let envelope = Envelope::of_sealed(datagram).ok_or(Refusal::Clear)?;
        let viewer = envelope.viewer.ok_or(Refusal::Unauthentic)?;
        out.clear();
        out.extend_from_slice(datagram);
        if envelope.connects {
            return self.open_connect(viewer, &envelope, now, out);
        }
        if let Some(known) = self.viewers.get_mut(&viewer) {
            known
                .incoming
                .open(&self.keys, &envelope, &mut self.known, now, out)?;
            known.taken = now;
            return Ok(());
        }
        let mut incoming = Incoming::new(Origin::Viewer { viewer });
        incoming.open(&self.keys, &envelope, &mut self.strangers, now, out)?;
        self.remember(viewer, incoming, now);
        Ok(())
    }

    /// Opens a request, of which nothing is kept: whoever repeats it is asked to
    /// prove the address again.
    fn open_connect(
        &mut self,
        viewer: u64,
        envelope: &Envelope,
        now: Duration,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        let salt = envelope.salt.ok_or(Refusal::Unauthentic)?;
        if !self.strangers.take(now) {
            return Err(Refusal::Unauthentic);
        }
        let keys = StartKeys::new(&self.secret, salt);
        let mut incoming = Incoming::new(Origin::Connecting { viewer });
        // It has been taken.
        incoming.open(&keys, envelope, &mut Trials::new(1), now, out)
    }

    fn remember(&mut self, viewer: u64, incoming: Incoming, now: Duration) {
        if self.viewers.len() >= MAX_VIEWERS {
            let silent = self.viewers.iter().min_by_key(|(_, it)| it.taken);
            if let Some(silent) = silent.map(|(viewer, _)| *viewer) {
                self.viewers.remove(&silent);
            }
        }
        let taken = now;
        self.viewers.insert(viewer, Viewer { incoming, taken });
    }

    /// The datagrams that were not taken so far.
    #[must_use]
    pub fn refused(&self) -> Refused {
        self.refused
    }
}
