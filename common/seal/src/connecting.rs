//! The viewer's side of connecting: it agrees with the sender on keys of its own.

use std::time::Duration;

use framegram_common::wire::native::{Accept, Envelope, HANDSHAKE, SALT};

use crate::Refusal;
use crate::handshake::{Asking, Ephemerals, HandshakeSide, Psk};
use crate::keys::Suite;
use crate::session::{KeySession, KeySessions, Messages, SessionEnds};
use crate::trials::Trials;

/// Handshakes finished in a second. Each takes about 0.1 ms, and the other side has proved to have
/// the key.
const HANDSHAKES: u32 = 50;

/// The handshakes of a viewer and the resulting sessions.
#[derive(Debug)]
pub(crate) struct Connecting {
    psk: Psk,
    viewer: u64,
    ephemerals: Ephemerals,
    /// The handshake whose session is not in use yet.
    asking: Option<Asking>,
    sessions: KeySessions,
    handshakes: Trials,
}

impl Connecting {
    pub(crate) fn new(psk: Psk, viewer: u64, ephemerals: Ephemerals) -> Self {
        Self {
            psk,
            viewer,
            ephemerals,
            asking: None,
            sessions: KeySessions::default(),
            handshakes: Trials::new(HANDSHAKES),
        }
    }

    /// Returns the request for keys. It stays the same until they are in use.
    pub(crate) fn ask(&mut self) -> Option<[u8; HANDSHAKE]> {
        if self.asking.is_none() {
            let ephemeral = self.ephemerals.draw()?;
            self.asking = Asking::new(&self.psk, self.viewer, ephemeral);
        }
        self.asking.as_ref().map(Asking::message)
    }

    /// Takes the answer of a sender that serves this viewer.
    pub(crate) fn accept(
        &mut self,
        stream: u32,
        accept: Accept,
        answer: [u8; HANDSHAKE],
        start: ([u8; SALT], Suite),
        now: Duration,
    ) {
        let is_known = self
            .sessions
            .iter()
            .any(|session| session.messages.answer == answer);
        let Some(asking) = self.asking.as_ref().filter(|_| !is_known) else {
            return;
        };
        if accept.viewer != self.viewer || !self.handshakes.take(now) {
            return;
        }
        let Some(agreed) = asking.finish(&self.psk, self.viewer, &answer) else {
            return;
        };
        let place = SessionEnds {
            viewer: self.viewer,
            stream,
            destination: accept.destination,
        };
        let messages = Messages {
            asked: asking.message(),
            answer,
        };
        let session = KeySession::new(HandshakeSide::Viewer, place, (messages, &agreed), start);
        self.sessions.push(session);
    }

    /// Seals a packet for a stream and appends it. The newest keys seal it, which proves to the
    /// sender that this viewer has them.
    pub(crate) fn seal(
        &mut self,
        packet: (&Envelope, &[u8]),
        now: Duration,
        out: &mut Vec<u8>,
    ) -> bool {
        let stream = packet.0.stream;
        let mut sessions = self.sessions.iter_mut().rev();
        let Some(session) = sessions.find(|it| it.stream == stream) else {
            return false;
        };
        let sealed = session.seal(packet, now, out);
        let messages = session.messages;
        drop(sessions);
        self.forget(messages);
        sealed
    }

    /// Opens what a sender has sealed with the keys of a session.
    pub(crate) fn open(
        &mut self,
        envelope: &Envelope,
        trials: &mut Trials,
        now: Duration,
        datagram: &mut [u8],
    ) -> Result<usize, Refusal> {
        let of = |session: &KeySession| {
            session.stream == envelope.stream && session.destination == envelope.destination
        };
        let opened = self.sessions.open(envelope, of, trials, now, datagram);
        let (length, proved) = opened?;
        if let Some(messages) = proved {
            self.forget(messages);
        }
        Ok(length)
    }

    /// Forgets the private key of a handshake whose keys are in use.
    fn forget(&mut self, messages: Messages) {
        let is_it = |asking: &Asking| asking.message() == messages.asked;
        self.asking.take_if(|asking| is_it(asking));
    }
}
