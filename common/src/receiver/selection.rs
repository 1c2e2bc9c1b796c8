//! Selection: which session a datagram belongs to, and which stream is followed.

use std::net::SocketAddr;
use std::time::Duration;

use super::Receiver;
use super::native::{Joining, NativeSession};
use super::others::{MAX_OTHERS, StreamKey};
use super::output::{Event, Verdict};
use super::probation::CandidateKey;
use super::session::Session;
use crate::prefix::SourcePrefix;
use crate::wire::native::{Channel, Header, Packet};

/// A native stream that said bye.
#[derive(Clone, Copy, Debug)]
pub(super) struct EndedStream {
    number: u64,
    /// The sender's own id, if it has reported.
    id: Option<u64>,
    /// The number of media packets in the stream.
    media: u64,
}

impl EndedStream {
    fn of(session: &NativeSession) -> Self {
        Self {
            number: session.number(),
            id: session.id(),
            media: session.last_media(),
        }
    }

    /// Whether it was another stream with this number.
    pub(super) fn is_other(&self, number: u64, id: u64) -> bool {
        self.number == number && self.id.is_some_and(|own| own != id)
    }

    /// Whether a packet of it proves that the stream continues: the bye was forged.
    fn is_outlived_by(&self, header: &Header, packet: &Packet<'_>) -> bool {
        matches!(packet, Packet::Chunk(_)) && header.number.0 >= self.media
    }
}

impl Receiver {
    /// Passes a native packet of `len` bytes to its session, if that is followed or is from now on.
    pub(super) fn select_native(
        &mut self,
        tile: Option<usize>,
        candidate_key: CandidateKey,
        (header, packet): (&Header, &Packet<'_>),
        len: usize,
        now: Duration,
    ) -> Verdict {
        let CandidateKey { number, from, .. } = candidate_key;
        let followed = tile.and_then(|tile| self.session(tile));
        let followed = followed.and_then(Session::native);
        let same = followed.filter(|session| session.number() == number);
        let is_revived = same.is_some_and(|session| {
            let ended = session.has_ended() && session.from() == from;
            ended && EndedStream::of(session).is_outlived_by(header, packet)
        });
        if same.is_some() && !is_revived {
            return self.handle_followed(tile, header, packet, (from, len), now);
        }
        if packet.is_answer() || !packet.is_from_sender() {
            return Verdict::Foreign;
        }
        let key = StreamKey::native(number);
        let mut ended = self.ended.iter();
        if ended.any(|it| it.number == number && !it.is_outlived_by(header, packet)) {
            self.others.record_packet(key, header);
            return Verdict::Foreign;
        }
        let is_living = tile.is_some_and(|tile| self.tiles[tile].is_living(now));
        let is_in_vain = is_living && followed.is_some_and(|session| session.is_in_vain(now));
        if is_living && !is_in_vain {
            self.record_other_packet(header, candidate_key, now);
            return Verdict::Foreign;
        }
        // If it is a known stream, its packets were not examined meanwhile, and a namesake's would
        // be taken for them.
        let passed = self.others.passed(key);
        let is_namesake = number > u64::from(u32::MAX);
        let is_known = is_in_vain || is_revived || is_namesake || passed.is_some();
        let is_known = is_known || self.others.is_full();
        let joining = Joining {
            number,
            from,
            free_since: match tile {
                _ if is_known => None,
                Some(tile) => Some(self.tiles[tile].free_since()),
                None => Some(self.started),
            },
            passed: passed.unwrap_or_default(),
            is_ordered: self.connections.contains(&from),
        };
        let (identity, config) = ((self.viewer, self.secret), &self.config);
        let begin = || {
            let session = NativeSession::new(joining, identity, config, now);
            Session::Native(Box::new(session))
        };
        let is_media = header.channel != Channel::Control;
        if is_media && !is_in_vain && (tile.is_some() || self.has_room(SourcePrefix::of(from.ip())))
        {
            let candidate = self.probation.take_native(candidate_key);
            let begun = candidate.as_ref().map_or(now, |candidate| candidate.begun);
            let session = candidate.map_or_else(begin, |candidate| candidate.session);
            let tile = self.admit(tile, session, (begun, now));
            return self.handle_followed(tile, header, packet, (from, len), now);
        }
        let candidate = self.probation.enter(candidate_key, now, begin);
        candidate.passed.record(header);
        let Some(session) = candidate.session.native_mut() else {
            return Verdict::Foreign;
        };
        let verdict = session.handle_packet(header, packet, (from, len), now);
        if is_media {
            session.handle_timeout(now);
        }
        let has_frames = session.has_frames();
        let taken = matches!(verdict, Verdict::Received | Verdict::Duplicate);
        candidate.datagrams += u64::from(taken);
        if has_frames && let Some(candidate) = self.probation.take_native(candidate_key) {
            self.admit(tile, candidate.session, (candidate.begun, now));
        }
        if taken { Verdict::Open } else { verdict }
    }

    fn handle_followed(
        &mut self,
        tile: Option<usize>,
        header: &Header,
        packet: &Packet<'_>,
        source: (SocketAddr, usize),
        now: Duration,
    ) -> Verdict {
        let session = tile.and_then(|tile| self.tiles[tile].session.as_mut());
        let session = session.and_then(Session::native_mut);
        session.map_or(Verdict::Foreign, |session| {
            session.handle_packet(header, packet, source, now)
        })
    }

    /// Passes a datagram of RTP or of bare JPEGs to its session by `take`, which returns whether it
    /// fits: the followed session, or one on probation. `begin` makes a session if there is none.
    pub(super) fn select_plain(
        &mut self,
        key: CandidateKey,
        begin: impl FnOnce() -> Session,
        take: impl Fn(&mut Session) -> bool,
        now: Duration,
    ) {
        let from = key.from;
        let tile = self.tile_at(from);
        let session = tile.and_then(|tile| self.tiles[tile].session.as_mut());
        // Knowing its number does not make an address its sender.
        let same = |session: &&mut Session| {
            (session.format(), session.number(), session.from()) == (key.format, key.number, from)
                && !session.is_over(now)
        };
        if let Some(session) = session.filter(same) {
            let fits = take(session);
            self.malformed += u64::from(!fits);
            return;
        }
        let other = StreamKey::plain(key.number, from);
        let known = self.others.since(other);
        let since = known.or_else(|| self.probation.begun(key)).unwrap_or(now);
        let followed = tile.and_then(|tile| self.session(tile));
        let is_living =
            followed.is_some_and(|session| session.is_living(now) && !session.yields(since, now));
        if is_living && known.is_some() {
            self.record_other(other, (from, since), 1, now);
            return;
        }
        let needs_frames = tile.is_none() && !self.has_room(SourcePrefix::of(from.ip()));
        let mut fits = false;
        let proven = self
            .probation
            .offer(key, now, needs_frames, begin, |session| {
                fits = take(session);
                fits
            });
        self.malformed += u64::from(!fits);
        let Some(proven) = proven else {
            return;
        };
        self.formats.pin(from, key.format, now);
        if is_living {
            self.record_other(other, (from, since), proven.datagrams, now);
        } else {
            self.admit(tile, proven.session, (proven.begun, now));
        }
    }

    /// Follows a session that began at `begun`, in this tile or in a new one. Returns the tile;
    /// `None` if none is free.
    fn admit(
        &mut self,
        tile: Option<usize>,
        mut session: Session,
        (begun, now): (Duration, Duration),
    ) -> Option<usize> {
        let made = tile.or_else(|| self.make_tile(&session, begun, now));
        let Some(tile) = made else {
            self.malformed += 1;
            return None;
        };
        let (number, from) = (session.number(), session.from());
        self.sessions += 1;
        session.playout_mut().set_session(self.sessions);
        let mut key = StreamKey::plain(number, from);
        if let Some(session) = session.native_mut() {
            session.follow(now);
            key = StreamKey::native(number);
            let free_since = session.free_since().unwrap_or(now);
            self.tiles[tile].free_since = self.tiles[tile].free_since.max(free_since);
            self.ended.retain(|ended| ended.number != number);
        }
        if let Some(before) = self.tiles[tile].session.take() {
            self.retire(tile, before, now);
        }
        self.others.remove(key);
        self.tiles[tile].follow(session);
        self.push_event(Event::Followed {
            tile,
            stream: number,
            from,
            again: self.tiles[tile].followed() > 1,
        });
        Some(tile)
    }

    /// Another stream replaces this one.
    fn retire(&mut self, tile: usize, session: Session, now: Duration) {
        if let Some(state) = session.plain() {
            let key = StreamKey::plain(state.number(), state.from());
            let span = (state.begun(), state.last_received());
            self.others.record_followed(key, span);
        }
        if let Some(session) = session.native()
            && session.has_said_bye()
            && !session.has_ended()
        {
            let ended = EndedStream::of(session);
            self.record_end(tile, ended);
        }
        self.tiles[tile].retire(session, now);
    }

    /// Does what is due in a tile by `now`.
    pub(super) fn handle_tile_timeout(&mut self, tile: usize, now: Duration) {
        if !self.tiles[tile].handle_timeout(now) {
            return;
        }
        let Some(session) = self.session(tile) else {
            return;
        };
        let stream = session.number();
        match session.native().map(EndedStream::of) {
            Some(ended) => {
                self.tiles[tile].free_since = now;
                self.record_end(tile, ended);
            }
            None => self.push_event(Event::Ended { tile, stream }),
        }
    }

    fn record_end(&mut self, tile: usize, ended: EndedStream) {
        self.ended.push_back(ended);
        if self.ended.len() > MAX_OTHERS {
            self.ended.pop_front();
        }
        let stream = ended.number;
        self.push_event(Event::Ended { tile, stream });
    }

    /// Counts a native packet of a stream that is not followed while another one is.
    fn record_other_packet(&mut self, header: &Header, candidate_key: CandidateKey, now: Duration) {
        let CandidateKey { number, from, .. } = candidate_key;
        let key = StreamKey::native(number);
        let candidate = self.probation.take_native(candidate_key);
        let packets = candidate
            .as_ref()
            .map_or(0, |candidate| candidate.datagrams);
        let since = candidate.as_ref().map_or(now, |candidate| candidate.begun);
        self.record_other(key, (from, since), packets, now);
        if let Some(candidate) = candidate {
            self.others.set_passed(key, candidate.passed);
        }
        self.others.record_packet(key, header);
    }

    /// Counts datagrams of a stream that began at `since` and is not followed while another one is.
    fn record_other(
        &mut self,
        key: StreamKey,
        (from, since): (SocketAddr, Duration),
        datagrams: u64,
        now: Duration,
    ) {
        self.foreign += datagrams;
        if self.others.record(key, since, now) {
            let stream = key.number();
            self.push_event(Event::Other { stream, from });
        }
    }
}
