//! Admits viewers that connect, once they have proved that they own their address.
//!
//! Nothing is kept of a viewer before it has returned the cookie that it was sent, so forged
//! addresses cost no memory. No answer is longer than the packet that it answers, so the acceptor
//! amplifies nothing.

use std::collections::VecDeque;
use std::hash::Hasher;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use siphasher::sip::SipHasher24;

use crate::prefix::{SourcePrefix, crowds};
use crate::seq::PacketNumber;
use crate::stats::Admission;
use crate::wire::native::{
    Accept, Challenge, Connect, Header, NO_DESTINATION, Packet, Reject, WireHeader, micros,
};

/// A viewer that is silent for this long is gone: viewers report several times per second.
pub const SILENCE: Duration = Duration::from_secs(5);

/// Cookies are valid in the period of this length in which they were made, and in the next one: far
/// longer than a round trip, and too short to collect them.
const COOKIE_SPAN: Duration = Duration::from_secs(10);

/// Upper bound on remembered silent viewers: more than one network has that is down for a while.
const MAX_SILENT: usize = 64;

/// The reason of a [`Reject`]: all slots are taken.
const FULL: u16 = 1;

/// How viewers are admitted.
#[derive(Clone, Copy, Debug)]
pub struct AcceptorConfig {
    /// Secret of the cookies, drawn at random.
    pub secret: (u64, u64),
    /// Upper bound on viewers at a time.
    pub max_peers: u16,
    /// Whether a viewer that is served is told so by an accept: where there is a
    /// key, its own keys are agreed on by that.
    pub accepts: bool,
}

/// Viewers by slot, from 0 to below [`AcceptorConfig::max_peers`].
#[derive(Debug)]
pub(super) struct Acceptor {
    stream: u32,
    /// The destination of the first slot.
    first: u16,
    config: AcceptorConfig,
    slots: Vec<Option<AdmittedPeer>>,
    /// Silent viewers and the slots that they had, oldest first. When they return, they still know
    /// the packet numbers of that slot.
    silent: VecDeque<(u64, usize)>,
    /// The number of packets sent to viewers that are not served.
    answers: u64,
    counts: Admission,
}

#[derive(Clone, Copy, Debug)]
struct AdmittedPeer {
    viewer: u64,
    address: SocketAddr,
    received: Duration,
    /// Increases with each admission.
    order: u64,
}

impl AdmittedPeer {
    fn prefix(&self) -> SourcePrefix {
        SourcePrefix::of(self.address.ip())
    }
}

/// The decision about a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// It is from the viewer in this slot, for the stream.
    Peer(usize),
    /// The viewer is now served in this slot. It may have been served before, at another address.
    Admitted(usize),
    /// The same, for a viewer that had another slot before it fell silent: packet numbers must
    /// continue above those of every slot.
    Moved(usize),
    /// The viewer is now served in this slot in place of another one: all slots were taken, most of
    /// them by viewers of one address.
    Displaced(usize),
    /// The viewer in this slot leaves.
    Left(usize),
    /// The address must be proved first; there is an answer.
    Challenged,
    /// There is no slot; there is an answer.
    Rejected,
    /// The packet is from nobody who is served.
    Foreign,
}

impl Acceptor {
    /// Nobody is served yet.
    pub(super) fn new(stream: u32, first: u16, config: AcceptorConfig) -> Self {
        Self {
            stream,
            first,
            config,
            slots: Vec::new(),
            silent: VecDeque::new(),
            answers: 0,
            counts: Admission::default(),
        }
    }

    /// Handles a packet in a datagram of `len` bytes that arrived at `now`. Appends the answer, if
    /// any, to `out`.
    pub(super) fn handle_packet(
        &mut self,
        from: SocketAddr,
        (header, packet, len): (&WireHeader, &Packet<'_>, usize),
        now: Duration,
        out: &mut Vec<u8>,
    ) -> Decision {
        if let Packet::Connect(connect) = packet {
            return self.handle_connect(connect, from, len, now, out);
        }
        let ours = header.stream == self.stream;
        let viewer = packet.viewer().filter(|_| ours);
        match (viewer.and_then(|viewer| self.find(viewer, from)), packet) {
            // A repeated bye: it is sent several times.
            (None, Packet::ReceiverBye(_)) if ours => Decision::Foreign,
            (None, _) => {
                self.record_foreign();
                Decision::Foreign
            }
            (Some(slot), Packet::ReceiverBye(_)) => {
                self.slots[slot] = None;
                Decision::Left(slot)
            }
            (Some(slot), _) => {
                self.refresh(slot, now);
                Decision::Peer(slot)
            }
        }
    }

    /// Counts a datagram from nobody who is served.
    pub(super) fn record_foreign(&mut self) {
        self.counts.foreign += 1;
    }

    /// The slot of the next viewer that has been silent for too long. The slot becomes free.
    pub(super) fn poll_silent(&mut self, now: Duration) -> Option<usize> {
        let silent = |peer: &AdmittedPeer| now.saturating_sub(peer.received) >= SILENCE;
        let mut slots = self.slots.iter();
        let slot = slots.position(|slot| slot.as_ref().is_some_and(silent))?;
        let gone = self.slots[slot].take()?;
        self.silent.push_back((gone.viewer, slot));
        if self.silent.len() > MAX_SILENT {
            self.silent.pop_front();
        }
        Some(slot)
    }

    /// When [`Acceptor::poll_silent`] is next due.
    pub(super) fn poll_timeout(&self) -> Option<Duration> {
        let peers = self.slots.iter().flatten();
        peers.map(|peer| peer.received + SILENCE).min()
    }

    /// The number of viewers served.
    pub(super) fn served(&self) -> usize {
        self.slots.iter().flatten().count()
    }

    /// The counts so far.
    pub(super) fn counts(&self) -> Admission {
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
    ) -> Decision {
        let Connect { viewer, cookie } = *connect;
        // A served viewer is challenged again: a mere request, whose source address may be forged,
        // does not prove that anything arrives there.
        if !self.is_cookie(cookie, viewer, from, now) {
            let cookie = self.cookie(viewer, from, span(now));
            self.counts.challenged += 1;
            self.answer(
                0,
                &Packet::Challenge(Challenge { viewer, cookie }),
                now,
                out,
            );
            debug_assert!(out.len() <= len);
            return Decision::Challenged;
        }
        if let Some(slot) = self.find(viewer, from) {
            // The viewer's packet and ours crossed on the way.
            self.refresh(slot, now);
            self.accept(slot, viewer, now, out);
            return Decision::Peer(slot);
        }
        self.counts.proven += 1;
        let Some((slot, free)) = self.slot_for(viewer, from) else {
            self.counts.rejected += 1;
            let refusal = Reject {
                viewer,
                reason: FULL,
                viewers: self.config.max_peers,
            };
            self.answer(0, &Packet::Reject(refusal), now, out);
            debug_assert!(out.len() <= len);
            return Decision::Rejected;
        };
        self.counts.admitted += 1;
        self.slots[slot] = Some(AdmittedPeer {
            viewer,
            address: from,
            received: now,
            order: self.counts.admitted,
        });
        self.accept(slot, viewer, now, out);
        debug_assert!(out.len() <= len);
        let before = self.silent.iter().position(|(silent, _)| *silent == viewer);
        let before = before.and_then(|before| self.silent.remove(before));
        match before {
            _ if !free => Decision::Displaced(slot),
            Some((_, before)) if before != slot => Decision::Moved(slot),
            _ => Decision::Admitted(slot),
        }
    }

    /// A slot for a viewer that has proved its address, and whether the slot is free. First choice:
    /// the viewer's own slot, if it or another viewer at its address is served, or if it was served
    /// before. Then a free slot, those to which a silent viewer may return last. Otherwise the slot
    /// of a prefix that has more slots.
    fn slot_for(&mut self, viewer: u64, from: SocketAddr) -> Option<(usize, bool)> {
        let own = |peer: &AdmittedPeer| peer.viewer == viewer || peer.address == from;
        let mut slots = self.slots.iter();
        if let Some(slot) = slots.position(|slot| slot.as_ref().is_some_and(own)) {
            return Some((slot, true));
        }
        let is_free = |slot: &usize| self.slots.get(*slot).is_some_and(Option::is_none);
        let mut silent = self.silent.iter();
        if let Some((_, slot)) = silent.find(|(silent, slot)| *silent == viewer && is_free(slot)) {
            return Some((*slot, true));
        }
        let is_kept = |slot: &usize| self.silent.iter().any(|(_, kept)| kept == slot);
        if let Some(slot) = (0..self.slots.len()).find(|slot| is_free(slot) && !is_kept(slot)) {
            return Some((slot, true));
        }
        if self.slots.len() < usize::from(self.config.max_peers) {
            self.slots.push(None);
            return Some((self.slots.len() - 1, true));
        }
        let mut silent = self.silent.iter().map(|(_, slot)| *slot);
        let free = silent.find(is_free);
        let free = free.map(|slot| (slot, true));
        free.or_else(|| self.crowded(from).map(|slot| (slot, false)))
    }

    /// If all slots are taken: the slot of the newest viewer of a prefix that crowds out the one at
    /// `from`.
    fn crowded(&self, from: SocketAddr) -> Option<usize> {
        let holders = self.slots.iter().flatten().map(AdmittedPeer::prefix);
        let crowds = crowds(holders, SourcePrefix::of(from.ip()));
        let slots = self.slots.iter().enumerate();
        let peers = slots.filter_map(|(slot, peer)| Some((slot, (*peer)?)));
        peers
            .filter(|(_, peer)| crowds.contains(&peer.prefix()))
            .max_by_key(|(_, peer)| peer.order)
            .map(|(slot, _)| slot)
    }

    fn find(&self, viewer: u64, from: SocketAddr) -> Option<usize> {
        let is_it = |peer: &AdmittedPeer| peer.viewer == viewer && peer.address == from;
        let mut slots = self.slots.iter();
        slots.position(|slot| slot.as_ref().is_some_and(is_it))
    }

    fn refresh(&mut self, slot: usize, now: Duration) {
        if let Some(Some(peer)) = self.slots.get_mut(slot) {
            peer.received = now;
        }
    }

    fn accept(&mut self, slot: usize, viewer: u64, now: Duration, out: &mut Vec<u8>) {
        if self.config.accepts {
            let destination = self.first + slot as u16;
            let accept = Packet::Accept(Accept {
                viewer,
                destination,
            });
            self.answer(self.stream, &accept, now, out);
        }
    }

    /// Who is not served is not told which `stream` there is: it is 0 then.
    fn answer(&mut self, stream: u32, packet: &Packet<'_>, now: Duration, out: &mut Vec<u8>) {
        let header = Header {
            stream,
            destination: NO_DESTINATION,
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

    /// The cookie for a viewer at an address. Never 0, which stands for no cookie.
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
