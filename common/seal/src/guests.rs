//! The sender's side of viewers that connect: a handshake gives each its own keys.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use framegram_common::wire::native::{Accept, Envelope, HANDSHAKE, SALT};

use crate::Refusal;
use crate::handshake::{self, Ephemerals, HandshakeSide, Psk};
use crate::keys::Suite;
use crate::session::{KeySession, KeySessions, Messages, SessionEnds};
use crate::trials::Trials;

/// Handshakes a second. Each takes about 0.1 ms, and only viewers with the key and a proved address
/// get one.
const HANDSHAKES: u32 = 200;

/// Messages of viewers that the state machine has not answered yet. It keeps no more answers.
const MAX_ASKED: usize = 16;

/// Messages that are refused because their sessions have been used: as many as there can be while a
/// cookie is valid.
const MAX_SPENT: usize = 20 * HANDSHAKES as usize;

/// The viewers that connect. There are at most as many as the state machine has destinations.
#[derive(Debug)]
pub(crate) struct Guests {
    psk: Psk,
    /// Their first destination. What is sent to a destination below can be opened with the shared
    /// key.
    first: u16,
    ephemerals: Ephemerals,
    asked: VecDeque<(u64, [u8; HANDSHAKE])>,
    /// Their sessions, by viewer.
    guests: HashMap<u64, Guest>,
    viewers: BTreeMap<u16, u64>,
    spent: VecDeque<[u8; HANDSHAKE]>,
    handshakes: Trials,
}

#[derive(Debug)]
struct Guest {
    destination: u16,
    sessions: KeySessions,
}

impl Guests {
    pub(crate) fn new(psk: Psk, first: u16, ephemerals: Ephemerals) -> Self {
        Self {
            psk,
            first,
            ephemerals,
            asked: VecDeque::new(),
            guests: HashMap::new(),
            viewers: BTreeMap::new(),
            spent: VecDeque::new(),
            handshakes: Trials::new(HANDSHAKES),
        }
    }

    /// Whether a destination belongs to a viewer that connects.
    pub(crate) fn has(&self, destination: u16) -> bool {
        destination >= self.first
    }

    /// Takes the message of a viewer that asks for the stream. Nothing is agreed on until the state
    /// machine accepts the viewer.
    pub(crate) fn ask(&mut self, viewer: u64, message: [u8; HANDSHAKE]) -> Result<(), Refusal> {
        if self.spent.contains(&message) {
            return Err(Refusal::Replayed);
        }
        if !handshake::is_authentic(&self.psk, viewer, &message) {
            return Err(Refusal::Unauthentic);
        }
        self.asked.retain(|(asked, _)| *asked != viewer);
        if self.asked.len() >= MAX_ASKED {
            self.asked.pop_front();
        }
        self.asked.push_back((viewer, message));
        Ok(())
    }

    /// Returns the handshake message for a viewer that is accepted. The same request gets the same
    /// answer.
    pub(crate) fn accept(
        &mut self,
        stream: u32,
        accept: Accept,
        start: ([u8; SALT], Suite),
        now: Duration,
    ) -> Option<[u8; HANDSHAKE]> {
        let Accept {
            viewer,
            destination,
        } = accept;
        let at = self.asked.iter().position(|(asked, _)| *asked == viewer)?;
        let (_, asked) = self.asked.remove(at)?;
        let guest = self.guests.get(&viewer);
        let guest = guest.filter(|guest| guest.destination == destination);
        let mut sessions = guest.into_iter().flat_map(|guest| guest.sessions.iter());
        if let Some(session) = sessions.find(|it| it.messages.asked == asked) {
            return Some(session.messages.answer);
        }
        drop(sessions);
        if !self.has(destination) || !self.handshakes.take(now) {
            return None;
        }
        let ephemeral = self.ephemerals.draw()?;
        let (answer, agreed) = handshake::answer(&self.psk, viewer, &asked, &ephemeral)?;
        let place = SessionEnds {
            viewer,
            stream,
            destination,
        };
        let messages = Messages { asked, answer };
        let session = KeySession::new(HandshakeSide::Sender, place, (messages, &agreed), start);
        self.settle(viewer, destination).sessions.push(session);
        Some(answer)
    }

    /// Gives a destination to a viewer. Another viewer that had it loses its keys.
    fn settle(&mut self, viewer: u64, destination: u16) -> &mut Guest {
        if let Some(other) = self.viewers.insert(destination, viewer)
            && other != viewer
        {
            self.guests.remove(&other);
        }
        let new = || Guest {
            destination,
            sessions: KeySessions::default(),
        };
        let guest = self.guests.entry(viewer).or_insert_with(new);
        if guest.destination != destination {
            self.viewers.remove(&guest.destination);
            *guest = new();
        }
        guest
    }

    /// Forgets the keys of a viewer that is no longer served.
    pub(crate) fn forget(&mut self, destination: u16) {
        if let Some(viewer) = self.viewers.remove(&destination) {
            self.guests.remove(&viewer);
        }
    }

    /// Advances to the next keys.
    pub(crate) fn turn(&mut self, now: Duration) {
        for guest in self.guests.values_mut() {
            guest.sessions.iter_mut().for_each(|it| it.turn(now));
        }
    }

    /// The session that seals packets to a destination: the newest that the viewer has proved to
    /// have.
    pub(crate) fn session(&mut self, destination: u16) -> Option<&mut KeySession> {
        let viewer = self.viewers.get(&destination)?;
        self.guests.get_mut(viewer)?.sessions.proved()
    }

    /// Opens what a viewer has sealed with the keys of a session.
    pub(crate) fn open(
        &mut self,
        viewer: u64,
        envelope: &Envelope,
        trials: &mut Trials,
        now: Duration,
        datagram: &mut [u8],
    ) -> Result<usize, Refusal> {
        let guest = self.guests.get_mut(&viewer).ok_or(Refusal::Early)?;
        let of = |session: &KeySession| session.stream == envelope.stream;
        let opened = guest.sessions.open(envelope, of, trials, now, datagram);
        let (length, proved) = opened?;
        if let Some(messages) = proved {
            if self.spent.len() >= MAX_SPENT {
                self.spent.pop_front();
            }
            self.spent.push_back(messages.asked);
        }
        Ok(length)
    }
}
