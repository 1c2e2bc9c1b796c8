//! Sessions: the keys that one viewer and a sender have agreed on in a handshake, and nobody else
//! has.

use std::time::Duration;

use framegram_common::wire::native::{Envelope, HANDSHAKE, SALT};

use crate::Refusal;
use crate::handshake::{Agreed, HandshakeSide};
use crate::incoming::Opener;
use crate::keys::{PacketOrigin, SessionTag, StartKeys, Suite};
use crate::outgoing::{KeyTurn, Sealer};
use crate::trials::Trials;

/// Most sessions of one viewer and a sender: the one in use, the one before, whose packets may be
/// overtaken, and the next one, which the other side may not have yet.
const MAX_SESSIONS: usize = 3;

/// The two messages of a handshake.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Messages {
    pub(crate) asked: [u8; HANDSHAKE],
    pub(crate) answer: [u8; HANDSHAKE],
}

/// The keys that one handshake has agreed on.
#[derive(Debug)]
pub(crate) struct KeySession {
    pub(crate) messages: Messages,
    pub(crate) stream: u32,
    pub(crate) destination: u16,
    keys: StartKeys,
    turn: KeyTurn,
    incoming: Opener,
    outgoing: Sealer,
    /// Whether the other side has proved to have the keys.
    is_proved: bool,
}

/// The ends of a session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SessionEnds {
    pub(crate) viewer: u64,
    pub(crate) stream: u32,
    pub(crate) destination: u16,
}

impl KeySession {
    pub(crate) fn new(
        side: HandshakeSide,
        place: SessionEnds,
        (messages, agreed): (Messages, &Agreed),
        (salt, suite): ([u8; SALT], Suite),
    ) -> Self {
        let SessionEnds {
            viewer,
            stream,
            destination,
        } = place;
        let (viewers, senders) = (
            PacketOrigin::Viewer { viewer },
            PacketOrigin::Sender { destination },
        );
        let (incoming, outgoing) = match side {
            HandshakeSide::Sender => (viewers, senders),
            HandshakeSide::Viewer => (senders, viewers),
        };
        Self {
            messages,
            stream,
            destination,
            keys: agreed.keys(salt),
            turn: KeyTurn::new(suite),
            incoming: Opener::new(incoming),
            outgoing: Sealer::new(outgoing),
            is_proved: false,
        }
    }

    pub(crate) fn turn(&mut self, now: Duration) {
        self.turn.advance(now);
    }

    /// Seals a packet and appends it, if its number is above the last one.
    pub(crate) fn seal(
        &mut self,
        packet: (&Envelope, &[u8]),
        now: Duration,
        out: &mut Vec<u8>,
    ) -> bool {
        self.outgoing
            .seal(&self.keys, &mut self.turn, packet, now, out)
    }
}

/// The sessions of one viewer and a sender, oldest first.
#[derive(Debug, Default)]
pub(crate) struct KeySessions(Vec<KeySession>);

impl KeySessions {
    /// Adds a session and, if there is no room, removes the oldest that is not in use.
    pub(crate) fn push(&mut self, session: KeySession) {
        let proved = self.0.iter().rposition(|it| it.is_proved);
        if self.0.len() >= MAX_SESSIONS {
            self.0.remove(usize::from(proved == Some(0)));
        }
        self.0.push(session);
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &KeySession> {
        self.0.iter()
    }

    pub(crate) fn iter_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut KeySession> {
        self.0.iter_mut()
    }

    /// The newest session that the other side has proved to have; without one, the newest.
    pub(crate) fn proved(&mut self) -> Option<&mut KeySession> {
        let at = self.0.iter().rposition(|it| it.is_proved);
        match at {
            Some(at) => self.0.get_mut(at),
            None => self.0.last_mut(),
        }
    }

    /// Opens a datagram in place with the keys of its session. Returns the length of the packet
    /// and, for the first packet of a session, the messages of its handshake.
    pub(crate) fn open(
        &mut self,
        envelope: &Envelope,
        of: impl Fn(&KeySession) -> bool,
        trials: &mut Trials,
        now: Duration,
        datagram: &mut [u8],
    ) -> Result<(usize, Option<Messages>), Refusal> {
        let tag = SessionTag::of_wire(envelope.key);
        let is_of = |it: &&mut KeySession| it.keys.session() == tag && of(it);
        let mut left = self.0.iter_mut().rev().filter(is_of).peekable();
        let mut refusal = Refusal::Early;
        let mut copy = Vec::new();
        while let Some(session) = left.next() {
            // A failed trial overwrites the datagram.
            if left.peek().is_some() {
                copy.clear();
                copy.extend_from_slice(datagram);
            }
            let opened = session
                .incoming
                .open(&session.keys, envelope, trials, now, datagram);
            match opened {
                Ok(length) => {
                    let is_first = !std::mem::replace(&mut session.is_proved, true);
                    return Ok((length, is_first.then_some(session.messages)));
                }
                Err(Refusal::Unauthentic) => {
                    refusal = Refusal::Unauthentic;
                    if left.peek().is_some() {
                        datagram.copy_from_slice(&copy);
                    }
                }
                Err(refusal) => return Err(refusal),
            }
        }
        Err(refusal)
    }
}
