//! Who is served by a sender that listens: viewers that come by themselves and
//! prove first that they own their address.
//!
//! Nothing is kept of a viewer before it has sent back the cookie that it was
//! sent, so that forged addresses cost no memory; and no answer is longer than
//! what it answers, so that they are worth nothing to anyone else.

use std::collections::VecDeque;
use std::hash::Hasher;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use siphasher::sip::SipHasher24;

use crate::prefix::{SourcePrefix, crowds};
use crate::stats::Admission;
use crate::wire::native::{Challenge, Connect, Header, Packet, Reject, micros};
use crate::{PacketNumber, wire};

/// A viewer that says nothing for so long is gone: it reports several times a
/// second.
pub const SILENCE: Duration = Duration::from_secs(5);

/// Cookies are made for a span of so long, and taken in the next one too: far
/// longer than a round trip, and too short to collect them.
const COOKIE_SPAN: Duration = Duration::from_secs(10);

/// The most viewers that are remembered when they have fallen silent: more than
/// one network holds that is away for a while.
const MAX_SILENT: usize = 64;

/// The reason of a [`Reject`] that is for want of room.
const FULL: u16 = 1;

/// What a gate is told before it opens.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// The stream that is behind it.
    pub stream: u64,
    /// What cookies are made with, drawn at random.
    pub secret: (u64, u64),
    /// The most viewers at once.
    pub most: u16,
}

/// Viewers by place: from 0, below [`Config::most`].
#[derive(Debug)]
pub struct Acceptor {
    config: Config,
    places: Vec<Option<Guest>>,
    /// Viewers that have fallen silent, and the places they had, the oldest
    /// first: packet numbers of a place mean something to them when they are
    /// back.
    silent: VecDeque<(u64, usize)>,
    /// Packets to viewers that are not served.
    answers: u64,
    counts: Admission,
}

#[derive(Clone, Copy, Debug)]
struct Guest {
    viewer: u64,
    address: SocketAddr,
    heard: Duration,
    /// Grows from one that was admitted to the next.
    admission: u64,
}

impl Guest {
    fn household(&self) -> SourcePrefix {
        SourcePrefix::of(self.address.ip())
    }
}

/// What a datagram was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visit {
    /// From the viewer in this place, for the stream.
    Served(usize),
    /// The viewer is served from now on, from this place; it may have been
    /// before, from another address.
    Admitted(usize),
    /// The same, for one that had another place before it fell silent: packet
    /// numbers are to go on above those of any place.
    Moved(usize),
    /// The viewer is served from now on, from this place, instead of another
    /// one: all were taken, and most of them by viewers of one address.
    Succeeded(usize),
    /// The viewer in this place takes its leave.
    Left(usize),
    /// From somebody who has to prove the address first: there is an answer.
    Challenged,
    /// From a viewer for which there is no place: there is an answer.
    Refused,
    /// From nobody who is served.
    Foreign,
}

impl Acceptor {
    /// Nobody is served yet.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            config,
            places: Vec::new(),
            silent: VecDeque::new(),
            answers: 0,
            counts: Admission::default(),
        }
    }

    /// Takes a datagram that arrived at `now`. `out` is filled with the answer
    /// to it, if there is one, and otherwise empty.
    pub fn handle_datagram(
        &mut self,
        from: SocketAddr,
        datagram: &[u8],
        now: Duration,
        out: &mut Vec<u8>,
    ) -> Visit {
        out.clear();
        let visit = match Packet::decode(datagram) {
            Ok((_, Packet::Connect(connect))) => {
                self.handle_connect(&connect, from, datagram.len(), now, out)
            }
            Ok((header, packet)) if header.stream == self.config.stream => {
                let place = packet.viewer().and_then(|viewer| self.find(viewer, from));
                match (place, packet) {
                    // The same last word again: it is said several times.
                    (None, Packet::ReceiverBye(_)) => return Visit::Foreign,
                    (None, _) => Visit::Foreign,
                    (Some(place), Packet::ReceiverBye(_)) => {
                        self.places[place] = None;
                        Visit::Left(place)
                    }
                    (Some(place), _) => {
                        self.hear(place, now);
                        Visit::Served(place)
                    }
                }
            }
            _ => Visit::Foreign,
        };
        self.counts.foreign += u64::from(visit == Visit::Foreign);
        visit
    }

    /// The next viewer that has been silent for too long: nobody is in its
    /// place any more.
    pub fn poll_gone(&mut self, now: Duration) -> Option<usize> {
        let place = self.places.iter().position(|guest| {
            guest.is_some_and(|guest| now.saturating_sub(guest.heard) >= SILENCE)
        })?;
        let gone = self.places[place].take()?;
        self.silent.push_back((gone.viewer, place));
        if self.silent.len() > MAX_SILENT {
            self.silent.pop_front();
        }
        Some(place)
    }

    /// When [`Acceptor::poll_gone`] may have something.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        let guests = self.places.iter().flatten();
        guests.map(|guest| guest.heard + SILENCE).min()
    }

    /// How many viewers are served.
    #[must_use]
    pub fn served(&self) -> usize {
        self.places.iter().flatten().count()
    }

    /// The counts so far.
    #[must_use]
    pub fn counts(&self) -> Admission {
        Admission {
            served: self.served() as u64,
            ..self.counts
        }
    }

    fn handle_connect(
        &mut self,
        connect: &Connect,
        from: SocketAddr,
        len: usize,
        now: Duration,
        out: &mut Vec<u8>,
    ) -> Visit {
        let Connect { viewer, cookie } = *connect;
        // One that is served is asked again: who but asks, from an address that
        // may be forged, does not show that anything still arrives there.
        if !self.is_cookie(cookie, viewer, from, now) {
            let cookie = self.cookie(viewer, from, span(now));
            self.counts.challenged += 1;
            self.answer(&Packet::Challenge(Challenge { viewer, cookie }), now, out);
            debug_assert!(out.len() <= len);
            return Visit::Challenged;
        }
        if let Some(place) = self.find(viewer, from) {
            // Its word and ours crossed on the way.
            self.hear(place, now);
            return Visit::Served(place);
        }
        self.counts.proven += 1;
        let Some((place, free)) = self.place_for(viewer, from) else {
            self.counts.refused += 1;
            let refusal = Reject {
                viewer,
                reason: FULL,
                viewers: self.config.most,
            };
            self.answer(&Packet::Reject(refusal), now, out);
            debug_assert!(out.len() <= len);
            return Visit::Refused;
        };
        self.counts.admitted += 1;
        self.places[place] = Some(Guest {
            viewer,
            address: from,
            heard: now,
            admission: self.counts.admitted,
        });
        let before = self.silent.iter().position(|(silent, _)| *silent == viewer);
        let before = before.and_then(|before| self.silent.remove(before));
        match before {
            _ if !free => Visit::Succeeded(place),
            Some((_, before)) if before != place => Visit::Moved(place),
            _ => Visit::Admitted(place),
        }
    }

    /// A place for a viewer that has proved its address, and whether it is
    /// free: its own, where it or another one of that address is served or it
    /// was served before; or one of nobody, at last one that a silent viewer may
    /// come back to; or one of somebody with more of them.
    fn place_for(&mut self, viewer: u64, from: SocketAddr) -> Option<(usize, bool)> {
        let own = |guest: &Option<Guest>| {
            guest.is_some_and(|guest| guest.viewer == viewer || guest.address == from)
        };
        let mut places = self.places.iter();
        if let Some(place) = places.position(own) {
            return Some((place, true));
        }
        let is_free = |place: usize| self.places.get(place).is_some_and(Option::is_none);
        let mut silent = self.silent.iter();
        if let Some((_, place)) =
            silent.find(|(silent, place)| *silent == viewer && is_free(*place))
        {
            return Some((*place, true));
        }
        let is_kept = |place: usize| self.silent.iter().any(|(_, kept)| *kept == place);
        if let Some(place) =
            (0..self.places.len()).find(|place| is_free(*place) && !is_kept(*place))
        {
            return Some((place, true));
        }
        if self.places.len() < usize::from(self.config.most) {
            self.places.push(None);
            return Some((self.places.len() - 1, true));
        }
        let mut silent = self.silent.iter().map(|(_, place)| *place);
        let free = silent.find(|place| is_free(*place));
        let free = free.map(|place| (place, true));
        free.or_else(|| self.crowded(from).map(|place| (place, false)))
    }

    /// Where all places are taken: the newest of those who crowd out the one at
    /// `from`.
    fn crowded(&self, from: SocketAddr) -> Option<usize> {
        let holders = self.places.iter().flatten().map(Guest::household);
        let crowds = crowds(holders, SourcePrefix::of(from.ip()));
        let places = self.places.iter().enumerate();
        let guests = places.filter_map(|(place, guest)| Some((place, (*guest)?)));
        guests
            .filter(|(_, guest)| crowds.contains(&guest.household()))
            .max_by_key(|(_, guest)| guest.admission)
            .map(|(place, _)| place)
    }

    fn find(&self, viewer: u64, from: SocketAddr) -> Option<usize> {
        self.places.iter().position(|guest| {
            guest.is_some_and(|guest| guest.viewer == viewer && guest.address == from)
        })
    }

    fn hear(&mut self, place: usize, now: Duration) {
        if let Some(Some(guest)) = self.places.get_mut(place) {
            guest.heard = now;
        }
    }

    fn answer(&mut self, packet: &Packet<'_>, now: Duration, out: &mut Vec<u8>) {
        let header = Header {
            // Who is not served is not told which stream there is.
            stream: 0,
            // No place that is served has it, so numbers never meet.
            destination: wire::native::NO_DESTINATION,
            channel: packet.channel(),
            number: PacketNumber(self.answers),
            sent: micros(now),
        };
        self.answers += 1;
        packet.encode(&header, out);
    }

    fn is_cookie(&self, cookie: u64, viewer: u64, from: SocketAddr, now: Duration) -> bool {
        let span = span(now);
        [Some(span), span.checked_sub(1)]
            .into_iter()
            .flatten()
            .any(|span| self.cookie(viewer, from, span) == cookie)
    }

    /// What a viewer at an address is to send back. Never 0, which stands for
    /// no cookie.
    fn cookie(&self, viewer: u64, from: SocketAddr, span: u64) -> u64 {
        let (first, second) = self.config.secret;
        let mut hasher = SipHasher24::new_with_keys(first, second);
        match from.ip() {
            IpAddr::V4(ip) => hasher.write(&ip.octets()),
            IpAddr::V6(ip) => hasher.write(&ip.octets()),
        }
        hasher.write_u16(from.port());
        hasher.write_u64(viewer);
        hasher.write_u64(span);
        hasher.finish().max(1)
    }
}

fn span(now: Duration) -> u64 {
    now.as_secs() / COOKIE_SPAN.as_secs()
}

#[cfg(test)]
mod tests;
