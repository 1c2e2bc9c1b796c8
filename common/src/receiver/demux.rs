//! Demultiplexing: the one place where an incoming datagram is decoded and assigned to its session.

use std::net::SocketAddr;
use std::time::Duration;

use super::connector::Answer;
use super::grid::MAX_TILES;
use super::others::StreamKey;
use super::output::{Event, Port, Verdict};
use super::probation::CandidateKey;
use super::raw::RawSession;
use super::rtp::{self, RtpSession};
use super::session::Session;
use super::{Policy, Receiver, formats};
use crate::stats::DiscardReason;
use crate::wire::native::{Expected, Packet, WireHeader, micros};
use crate::wire::rtp::Control;
use crate::wire::{Format, WireError, rtp as rtp_wire};

/// The addresses that last sent to the RTCP port. Replies to them leave from that port.
#[derive(Debug, Default)]
pub(super) struct RtcpPeers(Vec<SocketAddr>);

impl RtcpPeers {
    pub(super) fn insert(&mut self, from: SocketAddr) {
        self.remove(from);
        if self.0.len() == MAX_TILES {
            self.0.remove(0);
        }
        self.0.push(from);
    }

    pub(super) fn remove(&mut self, from: SocketAddr) {
        self.0.retain(|peer| *peer != from);
    }

    pub(super) fn port(&self, to: SocketAddr) -> Port {
        if self.0.contains(&to) {
            Port::Rtcp
        } else {
            Port::Media
        }
    }
}

impl Receiver {
    /// Handles a datagram. Returns what it was, if it is of the native format.
    pub(super) fn handle(
        &mut self,
        from: SocketAddr,
        datagram: &[u8],
        now: Duration,
    ) -> Option<Verdict> {
        self.probation.handle_timeout(now);
        let mut verdict = None;
        match self.formats.known(from, datagram, now) {
            Some(Format::Native) => match Packet::decode_by(datagram, self.config.integrity) {
                Ok(packet) => verdict = Some(self.handle_native(from, packet, datagram.len(), now)),
                Err(error) => {
                    verdict = Some(self.handle_undecodable(from, &error));
                    if self.config.format.is_some() {
                        self.record_undecodable(from, datagram, &error);
                    }
                }
            },
            Some(Format::Rtp) => self.handle_rtp(from, datagram, now),
            Some(Format::Raw) => self.handle_raw(from, datagram, now),
            None => verdict = self.handle_unknown(from, datagram, now),
        }
        if let Some(tile) = self.tile_at(from) {
            self.handle_tile_timeout(tile, now);
        }
        self.shed(now);
        verdict
    }

    /// Handles a datagram of a source whose format is not proven. Any bytes may continue a bare
    /// JPEG that has begun, and still be what they look like. The first format that is proven is
    /// right.
    fn handle_unknown(
        &mut self,
        from: SocketAddr,
        datagram: &[u8],
        now: Duration,
    ) -> Option<Verdict> {
        let error = match Packet::decode_by(datagram, self.config.integrity) {
            Ok(packet) => {
                self.formats.pin(from, Format::Native, now);
                return Some(self.handle_native(from, packet, datagram.len(), now));
            }
            Err(error) => error,
        };
        let within_jpeg = self.probation.is_within_jpeg(from);
        match Format::of(datagram) {
            Some(Format::Raw) => self.handle_raw(from, datagram, now),
            Some(Format::Rtp) if !within_jpeg => self.handle_rtp(from, datagram, now),
            _ if within_jpeg => {
                if let Some(packet) = rtp::decode(datagram) {
                    self.handle_rtp_packet(from, packet, datagram.len(), now);
                }
                // Unless that proved the format.
                if self.probation.is_within_jpeg(from) {
                    self.handle_raw(from, datagram, now);
                }
            }
            _ => {
                let verdict = self.handle_undecodable(from, &error);
                self.record_undecodable(from, datagram, &error);
                return Some(verdict);
            }
        }
        None
    }

    /// Handles a native packet, of the handshake or of a stream.
    fn handle_native(
        &mut self,
        from: SocketAddr,
        (header, packet): (WireHeader, Packet<'_>),
        len: usize,
        now: Duration,
    ) -> Verdict {
        let asks = self.asks(now);
        if let Some(connector) = &mut self.connector {
            connector.record_arrival(now);
            // A viewer that a stream comes to may agree on other keys for it.
            if asks || matches!(packet, Packet::Accept(_)) {
                match connector.handle_packet(from, &header, &packet, now) {
                    Answer::None => {}
                    Answer::Challenge | Answer::Accepted => return Verdict::Foreign,
                    Answer::Rejected(viewers) => {
                        self.push_event(Event::Rejected { viewers });
                        return Verdict::Foreign;
                    }
                }
            }
        }
        let number = self.stream_number(from, &header, &packet);
        let tile = self.tile_of(from, number, &packet);
        let header = header.extend(&self.expected(tile, number, from, now));
        let key = CandidateKey {
            format: Format::Native,
            number,
            from,
        };
        let verdict = self.select_native(tile, key, (&header, &packet), len, now);
        self.foreign += u64::from(verdict == Verdict::Foreign);
        self.malformed += u64::from(verdict == Verdict::Malformed);
        verdict
    }

    /// Counts a native datagram that is no packet. If it comes from the address of a followed
    /// stream, it is corrupt.
    fn handle_undecodable(&mut self, from: SocketAddr, error: &WireError) -> Verdict {
        let corrupt = match error {
            WireError::Checksum { .. }
            | WireError::UnknownFormat(_)
            | WireError::Short { what: "header", .. } => true,
            WireError::Version { .. }
            | WireError::Kind(_)
            | WireError::Encrypted(_)
            | WireError::Short { .. }
            | WireError::Range { .. } => false,
        };
        let tile = self.tile_at(from);
        let session = tile.and_then(|tile| self.tiles[tile].session.as_mut());
        let session = session.and_then(Session::native_mut);
        if let Some(session) = session.filter(|it| corrupt && it.from() == from) {
            session.handle_corrupt();
            return Verdict::Corrupt;
        }
        self.malformed += 1;
        Verdict::Malformed
    }

    fn handle_rtp(&mut self, from: SocketAddr, datagram: &[u8], now: Duration) {
        if rtp_wire::is_control(datagram) {
            let Ok(controls) = Control::decode(datagram) else {
                self.refuse(from, datagram);
                return;
            };
            // RTCP comes from another port than the media it describes.
            let tiles = self.tiles.iter_mut().filter_map(|it| it.session.as_mut());
            for session in tiles.chain(self.probation.sessions()) {
                if let Session::Rtp(session) = session {
                    session.handle_control(&controls, (from, datagram.len()), now);
                }
            }
            return;
        }
        match rtp::decode(datagram) {
            Some(packet) => self.handle_rtp_packet(from, packet, datagram.len(), now),
            None => self.refuse(from, datagram),
        }
    }

    fn handle_rtp_packet(
        &mut self,
        from: SocketAddr,
        (packet, fragment): rtp::JpegPacket<'_>,
        len: usize,
        now: Duration,
    ) {
        let key = CandidateKey {
            format: Format::Rtp,
            number: packet.source.into(),
            from,
        };
        let (viewer, config) = (self.viewer, self.config.clone());
        let begin = || {
            let session = RtpSession::new(packet.source, from, viewer, &config, now);
            Session::Rtp(Box::new(session))
        };
        let take = |session: &mut Session| match session {
            Session::Rtp(session) => session.handle_packet(&packet, &fragment, from, len, now),
            Session::Native(_) | Session::Raw(_) => false,
        };
        self.select_plain(key, begin, take, now);
    }

    fn handle_raw(&mut self, from: SocketAddr, datagram: &[u8], now: Duration) {
        let key = CandidateKey {
            format: Format::Raw,
            number: formats::number(from, self.viewer),
            from,
        };
        let begins = Format::of(datagram) == Some(Format::Raw);
        let session = self.tile_at(from).and_then(|tile| self.session(tile));
        let is_known = session.is_some_and(|session| session.number() == key.number);
        if !is_known && !begins && !self.probation.is_within_jpeg(from) {
            self.refuse(from, datagram);
            return;
        }
        let playout_delay = self.config.playout_delay;
        let begin = || {
            let session = RawSession::new(key.number, from, playout_delay, now);
            Session::Raw(Box::new(session))
        };
        let take = |session: &mut Session| match session {
            Session::Raw(session) => session.handle_datagram(from, datagram, now),
            Session::Native(_) | Session::Rtp(_) => false,
        };
        self.select_plain(key, begin, take, now);
    }

    /// The tile of the source at an address.
    pub(super) fn tile_at(&self, from: SocketAddr) -> Option<usize> {
        match self.config.policy {
            Policy::Follow => Some(0),
            Policy::Grid => self.tiles.iter().position(|it| it.from() == Some(from)),
        }
    }

    /// The tile of a native packet, whose source's address may have changed.
    fn tile_of(&self, from: SocketAddr, number: u64, packet: &Packet<'_>) -> Option<usize> {
        self.tile_at(from).or_else(|| {
            let mut tiles = self.tiles.iter();
            let same = |session: &Session| session.native().is_some() && session.number() == number;
            let moved = tiles.position(|tile| tile.session.as_ref().is_some_and(same));
            moved.filter(|_| packet.is_from_sender())
        })
    }

    /// What the next packet of a native stream must match. It reflects only packets that are
    /// believed, so a stranger cannot change it.
    fn expected(
        &self,
        tile: Option<usize>,
        number: u64,
        from: SocketAddr,
        now: Duration,
    ) -> Expected {
        let followed = tile.and_then(|tile| self.session(tile));
        let followed = followed.filter(|session| session.number() == number);
        let session = followed.or_else(|| self.probation.native(number, from));
        match session.and_then(Session::native) {
            Some(session) => session.expected(now),
            None => Expected {
                numbers: self
                    .others
                    .passed(StreamKey::native(number))
                    .unwrap_or_default()
                    .ends(),
                // Right if both run on one clock, and otherwise as good as any value.
                sent: micros(now),
            },
        }
    }

    /// Records why a datagram is not taken that is no native packet in the clear.
    fn record_undecodable(&mut self, from: SocketAddr, datagram: &[u8], error: &WireError) {
        if matches!(error, WireError::Encrypted(_)) {
            self.discarded.record(DiscardReason::Key, None, from, 1);
        } else {
            self.record_discarded(from, datagram);
        }
    }

    /// Counts a datagram that is not of the required format.
    fn refuse(&mut self, from: SocketAddr, datagram: &[u8]) {
        self.malformed += 1;
        self.record_discarded(from, datagram);
    }

    /// Records why a datagram is not taken: its format is unknown, or not the required one. If a
    /// stream is followed, it may be corrupt.
    fn record_discarded(&mut self, from: SocketAddr, datagram: &[u8]) {
        let other = self.config.format.zip(Format::of(datagram));
        match other.filter(|(only, claimed)| only != claimed) {
            Some((_, claimed)) => {
                self.discarded
                    .record(DiscardReason::Format, Some(claimed), from, 1);
            }
            None if self.sessions == 0 || self.tile_at(from).is_none() => {
                self.discarded.record(DiscardReason::Unknown, None, from, 1);
            }
            None => {}
        }
    }
}
