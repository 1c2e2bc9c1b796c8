//! Several senders at one port, each with a [`Listener`] of its own, side by
//! side.
//!
//! Inputs are `handle_*`, outputs `poll_*`, as for a listener; senders are
//! named by their place, from 0.

use std::net::SocketAddr;
use std::time::Duration;

use crate::listener::{Config, Listener};
use crate::prefix::{SourcePrefix, crowds};
use crate::reassembly::MAX_HELD_BYTES;
use crate::receiver::{Event, FrameId, ReceivedFrame, SILENCE, SinkOutcome};
use crate::stats::{Delays, DiscardReason, Discards, FrameRecord, Packets, Statistics};
use crate::wire::{Format, native, rtp, rtp_jpeg};

/// The most senders at once: more are none that a person looks at.
pub const MAX_SENDERS: usize = 64;

/// The most of them from one address: a machine may have many cameras, and the
/// rest is for the others.
pub const MAX_OF_ONE_ADDRESS: usize = MAX_SENDERS / 4 * 3;

/// The most bytes of frames that all senders hold together: as much as four of
/// the largest streams. Whoever holds the most loses its oldest incomplete
/// frames when there are more.
pub const MAX_HELD: usize = 4 * MAX_HELD_BYTES;

/// The most that may become senders and have proved nothing yet, and the most
/// of them from one address. Each may hold a frame of a bare JPEG, so they are
/// few; whoever fills them delays a sender by a frame.
const MAX_CANDIDATES: usize = 16;
const MAX_CANDIDATES_OF_ONE_ADDRESS: usize = 4;

/// Where all places are taken, a sender that is silent for so long gives its
/// place up; one that was there for a shorter time, after as long as it was
/// there.
const FORGOTTEN: Duration = Duration::from_secs(60);

/// But not before: a sender that has just begun may be held up.
const LEAST_FORGOTTEN: Duration = Duration::from_millis(250);

/// All senders of one port.
#[derive(Debug)]
pub struct Gallery {
    config: Config,
    viewer: u64,
    started: Duration,
    senders: Vec<Sender>,
    /// Those of which no listener has found a stream yet.
    candidates: Vec<Sender>,
    foreign: u64,
    malformed: u64,
    discards: Discards,
    socket_dropped: u64,
}

#[derive(Debug)]
struct Sender {
    address: SocketAddr,
    /// Of framegram's own format: its stream, by which it is known again when
    /// its address changes.
    stream: Option<u64>,
    begun: Duration,
    heard: Duration,
    /// Media came of it, not only words.
    has_media: bool,
    /// Bytes of frames that it holds.
    held: usize,
    listener: Listener,
}

impl Sender {
    fn prefix(&self) -> SourcePrefix {
        SourcePrefix::of(self.address.ip())
    }

    fn take(&mut self, from: SocketAddr, datagram: &[u8], now: Duration) {
        self.heard = now;
        self.listener.handle_datagram(from, datagram, now);
        self.held = self.listener.held_bytes();
        // Whoever knows its number is not yet its sender.
        if from != self.address && self.listener.from() == Some(from) {
            self.address = from;
        }
    }

    /// Whether another one may have its place.
    fn is_forgotten(&self, now: Duration) -> bool {
        let there = self.heard.saturating_sub(self.begun);
        let patience = there.clamp(LEAST_FORGOTTEN, FORGOTTEN);
        now.saturating_sub(self.heard) >= patience
    }
}

impl Gallery {
    /// A gallery for the viewer with this number, drawn at random, whose socket
    /// listens since `now`.
    #[must_use]
    pub fn new(config: Config, viewer: u64, now: Duration) -> Self {
        Self {
            config,
            viewer,
            started: now,
            senders: Vec::new(),
            candidates: Vec::new(),
            foreign: 0,
            malformed: 0,
            discards: Discards::default(),
            socket_dropped: 0,
        }
    }

    /// Takes a datagram that arrived at `now`.
    pub fn handle_datagram(&mut self, from: SocketAddr, datagram: &[u8], now: Duration) {
        if Format::of(datagram) == Some(Format::Rtp) && rtp::is_control(datagram) {
            // It comes from another port than what it is about.
            let same = |sender: &&mut Sender| sender.address.ip() == from.ip();
            let senders = self.senders.iter_mut().chain(&mut self.candidates);
            for sender in senders.filter(same) {
                sender.listener.handle_datagram(from, datagram, now);
            }
            return;
        }
        match self.find(from, datagram) {
            Some(place) => {
                self.senders[place].take(from, datagram, now);
            }
            None => self.offer(from, datagram, now),
        }
        self.shed(now);
    }

    /// Counts a datagram from an address that is not allowed.
    pub fn handle_foreign(&mut self, from: SocketAddr) {
        self.foreign += 1;
        self.discards.note(DiscardReason::Address, None, from, 1);
    }

    /// Takes the system's count of datagrams dropped in the socket's buffer.
    /// Whose they were nobody knows.
    pub fn handle_socket_drops(&mut self, total: u64) {
        if total > self.socket_dropped {
            self.socket_dropped = total;
            for sender in &mut self.senders {
                sender.listener.handle_shared_drops();
            }
        }
    }

    /// Does what is due by `now`.
    pub fn handle_timeout(&mut self, now: Duration) {
        for sender in &mut self.senders {
            sender.listener.handle_timeout(now);
            sender.held = sender.listener.held_bytes();
        }
        self.shed(now);
    }

    /// The next frame to be shown, and its sender.
    pub fn poll_frame(&mut self) -> Option<(usize, ReceivedFrame)> {
        let mut senders = self.senders.iter_mut().enumerate();
        senders.find_map(|(place, sender)| Some((place, sender.listener.poll_frame()?)))
    }

    /// The record of the next frame whose outcome is settled, of any sender; those
    /// of one are in the order of [`Listener::poll_record`].
    pub fn poll_record(&mut self) -> Option<FrameRecord> {
        let mut senders = self.senders.iter_mut();
        senders.find_map(|sender| sender.listener.poll_record())
    }

    /// Settles all frames as they stand, so that each has a record: nothing
    /// else is to be handled after that.
    pub fn finish(&mut self) {
        while !self.candidates.is_empty() {
            self.refute(0);
        }
        self.senders
            .iter_mut()
            .for_each(|sender| sender.listener.finish());
    }

    /// The next event, and its sender.
    pub fn poll_event(&mut self) -> Option<(usize, Event)> {
        for (place, sender) in self.senders.iter_mut().enumerate() {
            if let Some(event) = sender.listener.poll_event() {
                if let Event::Followed { stream, .. } = event {
                    let native = sender.listener.format() == Some(Format::Native);
                    sender.stream = native.then_some(stream);
                }
                return Some((place, event));
            }
        }
        None
    }

    /// Fills `out` with a datagram for a sender, if one is due.
    pub fn poll_transmit(&mut self, now: Duration, out: &mut Vec<u8>) -> Option<SocketAddr> {
        let mut senders = self.senders.iter_mut();
        senders.find_map(|sender| sender.listener.poll_transmit(now, out))
    }

    /// When there is something to do again.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        let senders = self.senders.iter();
        senders
            .filter_map(|sender| sender.listener.poll_timeout())
            .min()
    }

    /// Tells what became of a frame that was polled; each has one outcome.
    pub fn handle_outcome(&mut self, place: usize, id: FrameId, outcome: SinkOutcome) {
        if let Some(sender) = self.senders.get_mut(place) {
            sender.listener.handle_outcome(id, outcome);
        }
    }

    /// How many senders there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.senders.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.senders.is_empty()
    }

    /// When something came last of the sender in this place.
    #[must_use]
    pub fn heard(&self, place: usize) -> Option<Duration> {
        self.senders.get(place).map(|sender| sender.heard)
    }

    /// Whether one of the senders is there.
    #[must_use]
    pub fn is_followed(&self, from: SocketAddr) -> bool {
        let mut senders = self.senders.iter();
        senders.any(|sender| sender.listener.is_followed(from))
    }

    /// The format that the sender in this place speaks.
    #[must_use]
    pub fn format(&self, place: usize) -> Option<Format> {
        self.senders.get(place)?.listener.format()
    }

    /// The counts so far of each sender.
    #[must_use]
    pub fn each(&self) -> Vec<Statistics> {
        let shared = self.senders.len() > 1;
        let of = |sender: &Sender| {
            let mut statistics = sender.listener.statistics();
            statistics.stream.addresses = vec![sender.address.to_string()];
            if shared {
                statistics.packets.socket_dropped = None;
            } else {
                self.tell_drops(&mut statistics.packets);
            }
            statistics
        };
        self.senders.iter().map(of).collect()
    }

    /// The counts so far of all senders together; of what differs from one to
    /// the other nothing.
    #[must_use]
    pub fn all(&self) -> Statistics {
        let mut each = self
            .senders
            .iter()
            .map(|sender| sender.listener.statistics());
        let mut all = each.next().unwrap_or_default();
        let mut longest = all.duration_s;
        for other in each {
            longest = longest.max(other.duration_s);
            all.add(&other);
            all.stream.followed += other.stream.followed;
        }
        let intervals = all.intervals();
        all.duration_s = longest;
        let rate = |amount: Option<u64>| {
            amount
                .filter(|_| longest > 0.0)
                .map(|amount| amount as f64 / longest)
        };
        all.fps = intervals
            .filter(|_| longest > 0.0)
            .map(|intervals| intervals / longest);
        all.bitrate_bps = rate(all.bytes.received).map(|bytes| bytes * 8.0);
        let packets = &mut all.packets;
        packets.foreign = Some(packets.foreign.unwrap_or(0) + self.foreign);
        packets.malformed = Some(packets.malformed.unwrap_or(0) + self.malformed);
        let waiting: Vec<_> = self
            .candidates
            .iter()
            .map(|one| one.listener.discards())
            .collect();
        all.discarded = self.discards.with(&waiting).figures();
        self.tell_drops(packets);
        all.stream.addresses = self
            .senders
            .iter()
            .map(|sender| sender.address.to_string())
            .collect();
        if self.senders.len() > 1 {
            let stream = &mut all.stream;
            (stream.number, stream.wire, stream.quality) = (None, None, None);
            (stream.width, stream.height) = (None, None);
            (all.jitter_ms, all.latency_ms) = (None, None);
            (all.delays_ms, all.clock) = (Delays::default(), None);
        }
        all
    }

    /// What the socket dropped was found missing, and was not lost on the way.
    fn tell_drops(&self, packets: &mut Packets) {
        let left = |lost: u64| lost.saturating_sub(self.socket_dropped);
        packets.lost = packets.lost.map(left);
        packets.socket_dropped = Some(self.socket_dropped);
    }

    /// The place of the sender that a datagram is from.
    fn find(&self, from: SocketAddr, datagram: &[u8]) -> Option<usize> {
        let mut senders = self.senders.iter();
        let known = senders.position(|sender| sender.address == from);
        if known.is_some() || self.only(Format::Native).is_some() {
            return known;
        }
        // Its address may have changed.
        let (header, _) = native::Packet::decode(datagram)
            .ok()
            .filter(|(_, packet)| packet.is_from_sender())?;
        let mut senders = self.senders.iter();
        senders.position(|sender| sender.stream == Some(header.stream))
    }

    /// Takes a datagram of what may be a sender. One of framegram's own format
    /// begins with a packet, which its checksum proves; nobody has a place
    /// before media came, nor where all are taken before a frame did.
    fn offer(&mut self, from: SocketAddr, datagram: &[u8], now: Duration) {
        let silent = |sender: &Sender| now.saturating_sub(sender.heard) >= SILENCE;
        while let Some(index) = self.candidates.iter().position(silent) {
            self.refute(index);
        }
        let known = self
            .candidates
            .iter()
            .position(|candidate| candidate.address == from);
        let claimed = Format::of(datagram);
        let only = claimed.and_then(|claimed| self.only(claimed));
        let packet = native::Packet::decode(datagram).ok();
        let packet = packet.filter(|(_, packet)| packet.is_from_sender());
        let is_media = matches!(packet, Some((_, native::Packet::Chunk(_))));
        let begins = match claimed {
            Some(_) if only.is_some() => false,
            Some(Format::Rtp) => rtp::Packet::decode(datagram)
                .is_ok_and(|packet| rtp_jpeg::Fragment::decode(packet.payload).is_ok()),
            Some(Format::Raw) => true,
            Some(Format::Native) => packet.is_some(),
            None => false,
        };
        if known.is_none() && !begins {
            self.malformed += 1;
            let why = only.map_or(DiscardReason::Unknown, |_| DiscardReason::Format);
            self.discards.note(why, claimed, from, 1);
            return;
        }
        let stream = packet.map(|(header, _)| header.stream);
        let index = known.unwrap_or_else(|| self.begin(from, stream, now));
        let candidate = &mut self.candidates[index];
        candidate.take(from, datagram, now);
        candidate.has_media |= match candidate.listener.format() {
            Some(Format::Native) => is_media,
            Some(_) => true,
            None => false,
        };
        let has_room = self.senders.len() < MAX_SENDERS;
        let candidate = &self.candidates[index];
        if candidate.listener.has_frames() || has_room && candidate.has_media {
            let sender = self.candidates.swap_remove(index);
            // Where there is no room, its datagrams count as all others do.
            self.malformed += u64::from(!self.settle(sender, now));
        }
    }

    /// Begins to look at what may become a sender. Where there are too many,
    /// the one silent for longest goes: of its own address, or of any.
    fn begin(&mut self, from: SocketAddr, stream: Option<u64>, now: Duration) -> usize {
        let prefix = SourcePrefix::of(from.ip());
        let of_one = |sender: &&Sender| sender.prefix() == prefix;
        let own = self.candidates.iter().filter(of_one).count();
        let is_full = self.candidates.len() >= MAX_CANDIDATES;
        if is_full || own >= MAX_CANDIDATES_OF_ONE_ADDRESS {
            let all = self.candidates.iter().enumerate();
            let oldest = all
                .filter(|(_, sender)| own < MAX_CANDIDATES_OF_ONE_ADDRESS || of_one(sender))
                .min_by_key(|(_, sender)| sender.heard)
                .map(|(index, _)| index);
            if let Some(oldest) = oldest {
                self.refute(oldest);
            }
        }
        self.candidates.push(self.sender(from, stream, now));
        self.candidates.len() - 1
    }

    /// The one format that is taken, where it is another than this.
    fn only(&self, format: Format) -> Option<Format> {
        self.config.format.filter(|only| *only != format)
    }

    /// Gives up what may have become a sender.
    fn refute(&mut self, index: usize) {
        let mut candidate = self.candidates.swap_remove(index);
        candidate.listener.finish();
        let packets = candidate.listener.statistics().packets;
        self.malformed += packets.malformed.unwrap_or(0);
        self.discards = self.discards.with([&candidate.listener.discards()]);
    }

    fn sender(&self, address: SocketAddr, stream: Option<u64>, now: Duration) -> Sender {
        Sender {
            address,
            stream,
            begun: now,
            heard: now,
            has_media: false,
            held: 0,
            listener: Listener::new(self.config.clone(), self.viewer, self.started),
        }
    }

    /// Gives a sender a place: a free one, or that of another one. Returns
    /// whether there is one.
    fn settle(&mut self, sender: Sender, now: Duration) -> bool {
        let prefix = sender.prefix();
        let of_one = |other: &&Sender| other.prefix() == prefix;
        let crowds_out = self.senders.iter().filter(of_one).count() >= MAX_OF_ONE_ADDRESS;
        if self.senders.len() < MAX_SENDERS && !crowds_out {
            self.senders.push(sender);
            return true;
        }
        if !sender.listener.has_frames() {
            return false;
        }
        let Some(place) = self.displaced(prefix, crowds_out, now) else {
            return false;
        };
        self.senders[place] = sender;
        true
    }

    /// The place of the sender that one with frames may take: of those without
    /// a frame, and then of those that are forgotten, the one silent for
    /// longest; or else the newest of those who crowd it out.
    fn displaced(&self, prefix: SourcePrefix, own: bool, now: Duration) -> Option<usize> {
        let places = || {
            let places = self.senders.iter().enumerate();
            places.filter(move |(_, sender)| !own || sender.prefix() == prefix)
        };
        let is_empty = |sender: &Sender| !sender.listener.has_frames();
        let useless = places().filter(|(_, sender)| is_empty(sender) || sender.is_forgotten(now));
        let useless =
            useless.max_by_key(|(_, sender)| (is_empty(sender), now.saturating_sub(sender.heard)));
        if let Some((place, _)) = useless {
            return Some(place);
        }
        let crowds = crowds(self.senders.iter().map(Sender::prefix), prefix);
        places()
            .filter(|(_, sender)| crowds.contains(&sender.prefix()))
            .max_by_key(|(_, sender)| sender.begun)
            .map(|(place, _)| place)
    }

    /// Lets go of frames while all hold too much: of whoever holds the most.
    fn shed(&mut self, now: Duration) {
        loop {
            let all = || self.senders.iter().chain(&self.candidates);
            if all().map(|sender| sender.held).sum::<usize>() <= MAX_HELD {
                return;
            }
            let all = self.senders.iter_mut().chain(&mut self.candidates);
            let Some(largest) = all.max_by_key(|sender| sender.held) else {
                return;
            };
            if !largest.listener.shed(now) {
                return;
            }
            largest.held = largest.listener.held_bytes();
        }
    }
}

#[cfg(test)]
mod tests;
