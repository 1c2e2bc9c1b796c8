//! The receiving endpoint of one port: distinguishes formats and sources, puts new sources on
//! probation, keeps a session for each stream that is shown, and hands out frames.
//!
//! Datagrams, outcomes and the time come in through `handle_*`. All output comes from
//! [`Receiver::poll_output`]: call it until it returns [`Output::Timeout`].

mod connector;
mod demux;
mod figures;
mod formats;
mod grid;
mod namesakes;
mod native;
mod others;
mod output;
mod plain;
mod playout;
mod probation;
mod raw;
mod rtp;
mod selection;
mod session;
mod tile;

pub use grid::{MAX_TILES, MAX_TILES_OF_ONE_ADDRESS};
pub use others::MAX_OTHERS;
pub use output::{Event, FrameId, Output, Port, ReceivedFrame, SinkOutcome, Transmit, Verdict};

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use crate::reassembly::MAX_HELD_BYTES;
use crate::stats::{DiscardReason, Discards, FrameRecord};
use crate::wire::Format;
use crate::wire::native::Integrity;
use connector::Connector;
use demux::RtcpPeers;
use formats::FormatCache;
use namesakes::Namesakes;
use others::Others;
use probation::Probation;
use rtp::RtpSession;
use selection::EndedStream;
use session::Session;
use tile::Tile;

/// A stream is silent when none of its packets arrive for this long. Longer than the interval
/// between sender reports of any stream.
pub const SILENCE: Duration = Duration::from_millis(1500);

/// The first reports are sent faster. Repair needs the RTT, and a single measurement may mislead.
pub const EAGER_REPORTS: u32 = 5;

/// Upper bound on the bytes of frames that all streams hold together: four of the largest frames.
/// Above it, the stream that holds the most loses its oldest incomplete frames.
pub const MAX_HELD: usize = 4 * MAX_HELD_BYTES;

/// Upper bound on queued events. Above it, events about streams that are not followed are dropped.
const MAX_EVENTS: usize = 256;

/// Upper bound on open connections: one for each tile.
pub const MAX_CONNECTIONS: usize = MAX_TILES;

/// Which streams are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// One at a time: the first, and another after that has ended.
    #[default]
    Follow,
    /// All, side by side in tiles.
    Grid,
}

/// The settings of a receiver. Fields will be added: end a literal with `..Config::default()`.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which streams are shown.
    pub policy: Policy,
    /// The only format that is accepted. `None`: each sender's format is detected from its first
    /// bytes.
    pub format: Option<Format>,
    /// Width and height in pixels from a session description, for RTP above 2,040 pixels.
    pub size: Option<(u16, u16)>,
    /// How long an incomplete frame is waited for, from the arrival of its first chunk or from when
    /// it was due.
    pub playout_delay: Duration,
    /// Whether missing chunks are requested from a sender that answers.
    pub nack: bool,
    /// Whether only complete frames are shown, and none with holes.
    pub strict: bool,
    /// How the integrity of native packets is known.
    pub integrity: Integrity,
    /// Bytes that the socket's buffer holds; 0 where that is not known.
    pub socket_buffer: usize,
    /// Identifies the clock of this machine to a given stream: a sender with the same identity
    /// reads the same clock. `None` if unknown.
    pub clock_id: fn(u64) -> Option<u64>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            policy: Policy::Follow,
            format: None,
            size: None,
            playout_delay: Duration::from_millis(60),
            nack: true,
            strict: false,
            integrity: Integrity::Checksum,
            socket_buffer: 0,
            clock_id: |_| None,
        }
    }
}

/// The receiving endpoint of one port.
#[derive(Debug)]
pub struct Receiver {
    config: Config,
    viewer: u64,
    secret: (u64, u64),
    /// When its socket began to listen.
    started: Duration,
    connector: Option<Connector>,
    /// The peers of open connections.
    connections: Vec<SocketAddr>,
    formats: FormatCache,
    probation: Probation,
    /// One, unless all streams are shown.
    tiles: Vec<Tile>,
    others: Others,
    namesakes: Namesakes,
    /// Streams that said bye. Their late packets start no new session.
    ended: VecDeque<EndedStream>,
    /// Datagrams that belong to no followed stream.
    malformed: u64,
    foreign: u64,
    discarded: Discards,
    socket_drops: u64,
    rtcp_peers: RtcpPeers,
    /// How many streams have been followed.
    sessions: u64,
    events: VecDeque<Event>,
}

impl Receiver {
    /// Creates a receiver whose socket has listened since `now`. Draw the viewer's number and the
    /// secret at random. Keep the secret: whoever knows it can prove addresses that are not its
    /// own.
    pub fn new(config: Config, viewer: u64, secret: (u64, u64), now: Duration) -> Self {
        let tile = (config.policy == Policy::Follow).then(|| Tile::new(now, now));
        Self {
            viewer,
            secret,
            started: now,
            connector: None,
            connections: Vec::new(),
            formats: FormatCache::new(config.format),
            probation: Probation::default(),
            tiles: tile.into_iter().collect(),
            others: Others::default(),
            namesakes: Namesakes::default(),
            ended: VecDeque::new(),
            malformed: 0,
            foreign: 0,
            discarded: Discards::default(),
            socket_drops: 0,
            rtcp_peers: RtcpPeers::default(),
            sessions: 0,
            events: VecDeque::new(),
            config,
        }
    }

    /// Requests the stream of the sender at `to` from `now` on, while no stream is live. Call it
    /// again when the sender's address or this machine's has changed: it then sends a request at
    /// once.
    pub fn connect(&mut self, to: SocketAddr, now: Duration) {
        match &mut self.connector {
            Some(connector) => connector.reconnect(to, now),
            None => self.connector = Some(Connector::new(self.viewer, to, now)),
        }
    }

    /// Sends a bye to the connected sender and stops requesting its stream.
    pub fn leave(&mut self) {
        if let Some(connector) = &mut self.connector {
            connector.leave();
        }
    }

    /// Reports that a connection to `peer` is open, which loses nothing and keeps the order, as TCP
    /// does. For native streams that begin to arrive from this peer, the receiver waits as long as
    /// it takes and sends no NACKs. At most [`MAX_CONNECTIONS`] are kept.
    pub fn handle_connected(&mut self, peer: SocketAddr) {
        if self.connections.len() < MAX_CONNECTIONS {
            self.connections.push(peer);
        }
    }

    /// Reports that the connection to `peer` is closed.
    pub fn handle_disconnected(&mut self, peer: SocketAddr) {
        self.connections.retain(|known| *known != peer);
    }

    /// Handles a datagram that arrived at `now` on the media port. Returns what it was, unless its
    /// format is not the native one.
    pub fn handle_datagram(
        &mut self,
        from: SocketAddr,
        datagram: &[u8],
        now: Duration,
    ) -> Option<Verdict> {
        self.rtcp_peers.remove(from);
        self.handle(from, datagram, now)
    }

    /// Handles a datagram that arrived on the next port, which is that of RTCP.
    pub fn handle_rtcp_datagram(&mut self, from: SocketAddr, datagram: &[u8], now: Duration) {
        self.rtcp_peers.insert(from);
        self.handle(from, datagram, now);
    }

    /// Counts a datagram from an address that is not allowed.
    pub fn handle_disallowed(&mut self, from: SocketAddr) {
        self.foreign += 1;
        self.discarded.record(DiscardReason::Address, None, from, 1);
    }

    /// Records the system's count of datagrams that the socket has dropped since it was opened.
    pub fn handle_socket_drops(&mut self, total: u64) {
        let new = total.saturating_sub(self.socket_drops);
        if new == 0 {
            return;
        }
        self.socket_drops += new;
        let mut sessions = self.tiles.iter_mut().filter_map(|it| it.session.as_mut());
        if self.config.policy == Policy::Grid {
            // Nobody knows which stream they belonged to.
            sessions.for_each(Session::handle_shared_drops);
        } else if let Some(session) = sessions
            .next()
            // They may include the first packets of a stream.
            .or_else(|| self.probation.newest_native_mut())
        {
            session.handle_socket_drops(new);
        }
    }

    /// Does what is due by `now`. Nothing that arrived earlier may follow, so call it when the
    /// socket is empty. Call [`poll_output`](Self::poll_output) after every datagram.
    pub fn handle_timeout(&mut self, now: Duration) {
        self.probation.handle_timeout(now);
        for tile in 0..self.tiles.len() {
            self.handle_tile_timeout(tile, now);
        }
        self.shed(now);
    }

    /// Records what a sink did with a frame. Each frame has one outcome.
    pub fn handle_outcome(&mut self, id: FrameId, outcome: SinkOutcome) {
        let mut tiles = self.tiles.iter_mut();
        tiles.any(|tile| tile.handle_outcome(id, outcome));
    }

    /// Settles all frames as they stand, so that each has a record. Handle nothing afterwards.
    pub fn finish(&mut self) {
        self.probation.finish();
        self.tiles.iter_mut().for_each(Tile::finish);
    }

    /// Returns the next output. After every input, and at the time that the last
    /// [`Output::Timeout`] named, call it until it returns [`Output::Timeout`] again.
    #[must_use]
    pub fn poll_output(&mut self, now: Duration) -> Output {
        if let Some(frame) = self.poll_frame() {
            return Output::Frame(frame);
        }
        if let Some(event) = self.poll_event() {
            return Output::Event(event);
        }
        if let Some(record) = self.poll_record() {
            return Output::Record(record);
        }
        let mut datagram = Vec::new();
        if let Some(to) = self.poll_transmit(now, &mut datagram) {
            let port = self.rtcp_peers.port(to);
            return Output::Transmit(Transmit { to, port, datagram });
        }
        Output::Timeout(self.poll_timeout(now))
    }

    fn poll_frame(&mut self) -> Option<ReceivedFrame> {
        let mut tiles = self.tiles.iter_mut().enumerate();
        tiles.find_map(|(index, tile)| tile.poll_frame(index))
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn poll_record(&mut self) -> Option<FrameRecord> {
        self.tiles.iter_mut().find_map(Tile::poll_record)
    }

    fn poll_transmit(&mut self, now: Duration, out: &mut Vec<u8>) -> Option<SocketAddr> {
        out.clear();
        let asks = self.asks(now);
        if let Some(connector) = &mut self.connector
            && (connector.poll_bye(now, out) || asks && connector.poll_request(now, out))
        {
            return Some(connector.to());
        }
        let mut sessions = self.tiles.iter_mut().filter_map(|it| it.session.as_mut());
        sessions.find_map(|session| session.poll_transmit(now, out))
    }

    /// The time that [`Output::Timeout`] names.
    pub fn poll_timeout(&self, now: Duration) -> Option<Duration> {
        let connector = self.connector.as_ref().filter(|_| self.asks(now));
        let sessions = self.tiles.iter().filter_map(|it| it.session.as_ref());
        let sessions = sessions.filter_map(Session::poll_timeout);
        sessions.chain(connector.map(Connector::poll_timeout)).min()
    }

    /// Whether to request the sender's stream.
    fn asks(&self, now: Duration) -> bool {
        let connector = self.connector.as_ref();
        connector.is_some_and(|it| !it.is_leaving())
            && (connector.is_some_and(Connector::is_reconnecting) || !self.is_living(now))
    }

    /// Whether a native stream is followed and seems to continue.
    pub fn is_living(&self, now: Duration) -> bool {
        let mut sessions = self.tiles.iter().filter_map(|it| it.session.as_ref());
        sessions.any(|session| session.native().is_some() && session.is_living(now))
    }

    /// Whether the followed native stream has brought no frame for long enough: another one that
    /// brings frames replaces it.
    pub fn is_in_vain(&self, now: Duration) -> bool {
        let mut sessions = self.tiles.iter().filter_map(|it| it.session.as_ref());
        let native = sessions.find_map(Session::native);
        native.is_some_and(|session| session.is_in_vain(now))
    }

    /// Whether a followed stream, or its RTCP, comes from this address. Replies must then leave
    /// from the local address that it sends to.
    pub fn is_followed(&self, from: SocketAddr) -> bool {
        let mut sessions = self.tiles.iter().filter_map(|it| it.session.as_ref());
        sessions.any(|session| match session {
            Session::Native(_) => session.from() == from,
            Session::Rtp(_) | Session::Raw(_) => session.from().ip() == from.ip(),
        })
    }

    /// The session in a tile. Each stream that is followed there gets a new one.
    pub fn session_of(&self, tile: usize) -> Option<u64> {
        self.session(tile)
            .map(|session| session.playout().session())
    }

    /// How many tiles there are: one, unless all streams are shown.
    pub fn tiles(&self) -> usize {
        self.tiles.len()
    }

    /// The number of the stream in a tile.
    pub fn stream(&self, tile: usize) -> Option<u64> {
        self.session(tile).map(Session::number)
    }

    /// Whether a followed stream may own datagrams from this address. In a grid, only a stream that
    /// comes from this address.
    pub fn follows(&self, from: SocketAddr) -> bool {
        let tile = self.tile_at(from);
        tile.is_some_and(|tile| self.session(tile).is_some())
    }

    /// The format of the stream in a tile.
    pub fn format(&self, tile: usize) -> Option<Format> {
        self.session(tile).map(Session::format)
    }

    /// Where the stream in a tile comes from.
    pub fn from(&self, tile: usize) -> Option<SocketAddr> {
        self.session(tile).map(Session::from)
    }

    /// When the newest datagram of the stream in a tile arrived.
    pub fn last_received(&self, tile: usize) -> Option<Duration> {
        self.session(tile).map(Session::last_received)
    }

    /// Whether RTP frames arrive whose size only a session description tells.
    pub fn lacks_size(&self) -> bool {
        self.any_rtp(RtpSession::lacks_size)
    }

    /// Whether the RTP frames that arrive are fields of interlaced video, each with every other row
    /// of a picture.
    pub fn has_fields(&self) -> bool {
        self.any_rtp(RtpSession::has_fields)
    }

    fn any_rtp(&self, is_so: impl Fn(&RtpSession) -> bool) -> bool {
        let mut sessions = self.tiles.iter().filter_map(|it| it.session.as_ref());
        sessions.any(|session| matches!(session, Session::Rtp(session) if is_so(session)))
    }

    fn session(&self, tile: usize) -> Option<&Session> {
        self.tiles.get(tile)?.session.as_ref()
    }

    /// Releases frames of the session that holds the most, until all together hold few enough.
    fn shed(&mut self, now: Duration) {
        loop {
            let unproven = self.probation.held_bytes();
            let held = self.tiles.iter().map(|tile| tile.held).sum::<usize>();
            if held + unproven <= MAX_HELD {
                return;
            }
            let largest = self.tiles.iter_mut().max_by_key(|tile| tile.held);
            let shed = match largest {
                Some(tile) if tile.held >= unproven => tile.shed(now),
                Some(_) | None => self.probation.shed(),
            };
            if !shed {
                return;
            }
        }
    }

    /// Queues an event, unless the queue is full.
    fn push_event(&mut self, event: Event) {
        let is_minor = matches!(event, Event::Other { .. });
        if !is_minor || self.events.len() < MAX_EVENTS {
            self.events.push_back(event);
        }
    }
}

#[cfg(test)]
mod tests;
