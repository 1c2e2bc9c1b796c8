//! The viewer's side of a key.

use std::time::Duration;

use framegram_common::seq::PacketSeq;
use framegram_common::wire::native::{Channel, Envelope, SALT};

use crate::incoming::Incoming;
use crate::keys::{KeyNumber, Origin, StartKeys, Suite};
use crate::outgoing::{Outgoing, Turn};
use crate::secret::Secret;
use crate::trials::Trials;
use crate::{Refusal, Refused};

/// The most starts of senders that are remembered, so that what was recorded of
/// them shows nothing: of more, those that were silent for longest are forgotten.
const MAX_STARTS: usize = 128;

/// The most destinations of one start that are remembered: a viewer that connects
/// may be another one each time.
const MAX_DESTINATIONS: usize = 4;

/// For so long nothing comes before another destination is believed: what was sent
/// to another viewer is not for this one.
const SILENCE: Duration = Duration::from_millis(500);

/// Keys that are tried in a second for starts that are not known: each takes a few
/// microseconds.
const TRIALS: u32 = 2_000;

/// The same for starts that are known.
const KNOWN_TRIALS: u32 = 1_000;

/// Opens what senders send, and seals what this viewer sends to them.
#[derive(Debug)]
pub struct ViewerSeal {
    secret: Secret,
    /// What it connects with.
    own: StartKeys,
    connecting: Outgoing,
    viewer: u64,
    turn: Turn,
    /// The next packet numbers, of all streams together: a stream that is followed
    /// again goes on where it was.
    numbers: [u64; Channel::ALL.len()],
    starts: Vec<Start>,
    strangers: Trials,
    known: Trials,
    refused: Refused,
}

/// One start of a sender.
#[derive(Debug)]
struct Start {
    stream: u32,
    keys: StartKeys,
    /// That which this viewer is.
    destination: Option<u16>,
    destinations: Vec<(u16, Incoming)>,
    outgoing: Outgoing,
    turn: Turn,
    /// When something of it was taken last.
    taken: Duration,
}

impl ViewerSeal {
    /// The number of the viewer and the salt are drawn at random at each start.
    #[must_use]
    pub fn new(secret: Secret, viewer: u64, salt: [u8; SALT], suite: Suite) -> Self {
        Self {
            own: StartKeys::new(&secret, salt),
            secret,
            connecting: Outgoing::new(Origin::Connecting { viewer }),
            viewer,
            turn: Turn::new(suite),
            numbers: [0; 3],
            starts: Vec::new(),
            strangers: Trials::new(TRIALS),
            known: Trials::new(KNOWN_TRIALS),
            refused: Refused::default(),
        }
    }

    /// Replaces what is in `out` by a packet in the clear as a sealed one. Returns
    /// whether it can be sealed: not for a stream of which nothing has come.
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
        let packet = (&envelope, packet);
        if envelope.connects {
            return self
                .connecting
                .seal(&self.own, &mut self.turn, packet, now, out);
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

    /// Opens a datagram from a sender into `out`, as a packet in the clear.
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
        if envelope.viewer.is_some() {
            return Err(Refusal::Unauthentic);
        }
        let mut is_known = false;
        for start in &mut self.starts {
            if !start.may_be_of(&envelope) {
                continue;
            }
            is_known = true;
            out.clear();
            out.extend_from_slice(datagram);
            match start.open(&envelope, &mut self.known, now, out) {
                Err(Refusal::Unauthentic) => {}
                opened => return opened,
            }
        }
        let salt = match envelope.salt {
            _ if is_known => return Err(Refusal::Unauthentic),
            None => return Err(Refusal::Early),
            Some(salt) => salt,
        };
        let number = KeyNumber::of_wire(envelope.key).ok_or(Refusal::Unauthentic)?;
        if !self.strangers.take(now) {
            return Err(Refusal::Unauthentic);
        }
        let mut start = Start {
            stream: envelope.stream,
            keys: StartKeys::new(&self.secret, salt),
            destination: None,
            destinations: Vec::new(),
            outgoing: Outgoing::new(Origin::Viewer {
                viewer: self.viewer,
            }),
            turn: Turn::new(number.suite),
            taken: now,
        };
        out.clear();
        out.extend_from_slice(datagram);
        // It has been taken.
        start.open(&envelope, &mut Trials::new(1), now, out)?;
        // Who is not served is told of no stream.
        if envelope.stream != 0 {
            self.remember(start);
        }
        Ok(())
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

    /// The datagrams that were not taken so far.
    #[must_use]
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
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        let destination = envelope.destination;
        let is_other = self.destination.is_some_and(|own| own != destination);
        if is_other && now.saturating_sub(self.taken) < SILENCE {
            return Err(Refusal::Unauthentic);
        }
        let known = self.destinations.iter_mut();
        let known = known.map(|(known, incoming)| (*known, incoming));
        let known = known.into_iter().find(|(known, _)| *known == destination);
        if let Some((_, incoming)) = known {
            incoming.open(&self.keys, envelope, trials, now, out)?;
        } else {
            let mut incoming = Incoming::new(Origin::Sender { destination });
            incoming.open(&self.keys, envelope, trials, now, out)?;
            if self.destinations.len() >= MAX_DESTINATIONS {
                self.destinations.remove(0);
            }
            self.destinations.push((destination, incoming));
        }
        (self.destination, self.taken) = (Some(destination), now);
        Ok(())
    }
}
