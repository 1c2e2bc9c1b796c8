//! Several senders at one port, each with a [`Listener`] of its own, side by
//! side.
//!
//! Inputs are `handle_*`, outputs `poll_*`, as for a listener; senders are
//! named by their place, from 0.

use std::net::SocketAddr;
use std::time::Duration;

use crate::listener::{Config, Listener};
use crate::receiver::{self, Event, FrameId, Outcome, ReceivedFrame};
use crate::statistics::Statistics;
use crate::wire::{Format, native, rtp, rtp_jpeg};

/// The most senders at once: more are none that a person looks at.
pub const MAX_SENDERS: usize = 64;

/// Where all places are taken, a sender that is silent for so long gives its
/// place up.
const FORGOTTEN: Duration = Duration::from_secs(60);

/// All senders of one port.
#[derive(Debug)]
pub struct Gallery {
    config: Config,
    viewer: u64,
    started: Duration,
    senders: Vec<Sender>,
    foreign: u64,
    malformed: u64,
    socket_dropped: u64,
}

#[derive(Debug)]
struct Sender {
    address: SocketAddr,
    /// Of framegram's own format: its stream, by which it is known again when
    /// its address changes.
    stream: Option<u64>,
    heard: Duration,
    listener: Listener,
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
            foreign: 0,
            malformed: 0,
            socket_dropped: 0,
        }
    }

    /// Takes a datagram that arrived at `now`.
    pub fn handle_datagram(&mut self, from: SocketAddr, datagram: &[u8], now: Duration) {
        if Format::of(datagram) == Some(Format::Rtp) && rtp::is_control(datagram) {
            // It comes from another port than what it is about.
            let same = |sender: &&mut Sender| sender.address.ip() == from.ip();
            for sender in self.senders.iter_mut().filter(same) {
                sender.listener.handle_datagram(from, datagram, now);
            }
            return;
        }
        match self.find(from, datagram, now) {
            Some(place) => {
                let sender = &mut self.senders[place];
                sender.heard = now;
                sender.listener.handle_datagram(from, datagram, now);
            }
            None => self.malformed += 1,
        }
    }

    /// Counts a datagram from an address that is not allowed.
    pub fn handle_foreign(&mut self) {
        self.foreign += 1;
    }

    /// Takes the system's count of datagrams dropped in the socket's buffer.
    /// Whose they were nobody knows.
    pub fn handle_socket_drops(&mut self, total: u64) {
        self.socket_dropped = self.socket_dropped.max(total);
    }

    /// Does what is due by `now`.
    pub fn handle_timeout(&mut self, now: Duration) {
        for sender in &mut self.senders {
            sender.listener.handle_timeout(now);
        }
    }

    /// The next frame to be shown, and its sender.
    pub fn poll_frame(&mut self) -> Option<(usize, ReceivedFrame)> {
        let mut senders = self.senders.iter_mut().enumerate();
        senders.find_map(|(place, sender)| Some((place, sender.listener.poll_frame()?)))
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

    /// Tells what became of a frame that was polled; each has one fate.
    pub fn handle_fate(&mut self, place: usize, id: FrameId, outcome: Outcome) {
        if let Some(sender) = self.senders.get_mut(place) {
            sender.listener.handle_fate(id, outcome);
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

    /// The counts so far of each sender.
    #[must_use]
    pub fn each(&self) -> Vec<Statistics> {
        let shared = self.senders.len() > 1;
        let of = |sender: &Sender| {
            let mut statistics = sender.listener.statistics();
            statistics.stream.addresses = vec![sender.address.to_string()];
            if shared {
                statistics.packets.socket_dropped = None;
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
            receiver::add(&mut all, &other);
            all.stream.followed += other.stream.followed;
        }
        all.duration_s = longest;
        let rate = |amount: Option<u64>| {
            amount
                .filter(|_| longest > 0.0)
                .map(|amount| amount as f64 / longest)
        };
        all.fps = rate(all.frames.shown);
        all.bitrate_bps = rate(all.bytes.received).map(|bytes| bytes * 8.0);
        let packets = &mut all.packets;
        packets.foreign = Some(packets.foreign.unwrap_or(0) + self.foreign);
        packets.malformed = Some(packets.malformed.unwrap_or(0) + self.malformed);
        let dropped = packets.lost.map(|lost| lost.min(self.socket_dropped));
        packets.lost = packets
            .lost
            .zip(dropped)
            .map(|(lost, dropped)| lost - dropped);
        packets.socket_dropped = Some(self.socket_dropped);
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
        }
        all
    }

    /// The place of the sender that a datagram is from, which may be new.
    fn find(&mut self, from: SocketAddr, datagram: &[u8], now: Duration) -> Option<usize> {
        let known = self
            .senders
            .iter()
            .position(|sender| sender.address == from);
        if known.is_some() {
            return known;
        }
        // Only what is whole can begin something.
        let stream = match Format::of(datagram)? {
            Format::Native => {
                let (header, packet) = native::Packet::decode(datagram).ok()?;
                Some(header.stream)
                    .filter(|_| packet.is_from_sender())?
                    .into()
            }
            Format::Rtp => {
                let packet = rtp::Packet::decode(datagram).ok()?;
                rtp_jpeg::Fragment::decode(packet.payload).ok()?;
                None
            }
            Format::Raw => None,
        };
        let mut places = self.senders.iter();
        let moved = places.position(|sender| stream.is_some() && sender.stream == stream);
        if let Some(place) = moved {
            self.senders[place].address = from;
            return Some(place);
        }
        let sender = Sender {
            address: from,
            stream,
            heard: now,
            listener: Listener::new(self.config.clone(), self.viewer, self.started),
        };
        if self.senders.len() < MAX_SENDERS {
            self.senders.push(sender);
            return Some(self.senders.len() - 1);
        }
        let silent = |sender: &Sender| now.saturating_sub(sender.heard);
        let (place, longest) =
            (self.senders.iter().map(silent).enumerate()).max_by_key(|(_, silence)| *silence)?;
        (longest >= FORGOTTEN).then(|| {
            self.senders[place] = sender;
            place
        })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::transmitter::{self, Transmitter};

    const MS: Duration = Duration::from_millis(1);

    fn gallery() -> Gallery {
        Gallery::new(Config::default(), 9, Duration::ZERO)
    }

    fn address(number: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, (number >> 8) as u8, number as u8], 5005))
    }

    /// What a sender sends for a frame, and with it at its start.
    fn frame(transmitter: &mut Transmitter, now: Duration) -> Vec<Vec<u8>> {
        let jpeg = Bytes::from_static(b"a frame");
        transmitter.handle_frame(jpeg, now, None, now).unwrap();
        let (mut datagrams, mut out) = (Vec::new(), Vec::new());
        while let Some(transmit) = transmitter.poll_transmit(now, &mut out) {
            datagrams.extend(out.chunks(transmit.segment).map(<[u8]>::to_vec));
        }
        datagrams
    }

    fn transmitter(stream: u64) -> Transmitter {
        let config = transmitter::Config {
            pace: false,
            ..transmitter::Config::default()
        };
        Transmitter::new(config, stream, Duration::ZERO)
    }

    #[test]
    fn every_sender_is_shown_and_counted_by_itself() {
        let mut gallery = gallery();
        let mut senders: Vec<_> = (0..16).map(transmitter).collect();
        for tick in 1..=10 {
            let now = 40 * MS * tick;
            for (number, sender) in senders.iter_mut().enumerate() {
                for datagram in frame(sender, now) {
                    gallery.handle_datagram(address(number as u16), &datagram, now);
                }
            }
            gallery.handle_timeout(now);
            while let Some((place, frame)) = gallery.poll_frame() {
                gallery.handle_fate(place, frame.id, Outcome::Shown { at: now });
            }
            while gallery.poll_event().is_some() {}
        }
        let each = gallery.each();
        assert_eq!(each.len(), 16);
        for (number, statistics) in each.iter().enumerate() {
            assert_eq!(statistics.frames.intact, Some(10));
            assert_eq!(statistics.packets.lost, Some(0));
            let expected = format!("{number:016x}");
            assert_eq!(statistics.stream.number.as_deref(), Some(&*expected));
        }
        let all = gallery.all();
        assert_eq!((all.frames.intact, all.stream.followed), (Some(160), 16));
        assert_eq!(all.stream.number, None);
    }

    #[test]
    fn a_sender_keeps_its_place_when_its_address_changes() {
        let mut gallery = gallery();
        let mut sender = transmitter(7);
        for from in [address(1), address(2)] {
            for datagram in frame(&mut sender, MS) {
                gallery.handle_datagram(from, &datagram, MS);
            }
            while gallery.poll_event().is_some() {}
        }
        assert_eq!(gallery.len(), 1);
        assert_eq!(gallery.each()[0].stream.addresses, ["10.0.0.2:5005"]);
    }

    #[test]
    fn noise_takes_no_place_and_many_senders_a_bounded_number() {
        let mut gallery = gallery();
        let whole = frame(&mut transmitter(1), MS);
        for (number, datagram) in [&b""[..], b"FRAME", &[0x80; 40], &whole[0][1..]]
            .into_iter()
            .enumerate()
        {
            gallery.handle_datagram(address(number as u16), datagram, MS);
        }
        let mut damaged = whole[0].clone();
        damaged[20] ^= 1;
        gallery.handle_datagram(address(9), &damaged, MS);
        assert!(gallery.is_empty());
        assert_eq!(gallery.all().packets.malformed, Some(5));

        let most = MAX_SENDERS as u16;
        let begin = |gallery: &mut Gallery, number: u16, now| {
            for datagram in frame(&mut transmitter(u64::from(number) + 100), now) {
                gallery.handle_datagram(address(number), &datagram, now);
            }
        };
        for number in 0..most + 5 {
            begin(&mut gallery, number, MS * u32::from(number));
        }
        assert_eq!(gallery.len(), MAX_SENDERS);
        begin(&mut gallery, 999, MS + FORGOTTEN);
        assert_eq!(gallery.len(), MAX_SENDERS);
        assert_eq!(
            gallery.each()[0].stream.addresses,
            [address(999).to_string()]
        );
    }
}
