//! A tile: the stream that it shows, and what is kept of earlier streams.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use super::native::LatencyBreakdown;
use super::session::Session;
use super::{FrameId, ReceivedFrame, SinkOutcome};
use crate::stats::FrameRecord;
use crate::stats::{Side, Statistics};

/// Upper bound on kept records of a stream that two others followed: more than are open when one
/// ends.
const MAX_RECORDS: usize = 4096;

/// One tile.
#[derive(Debug)]
pub(super) struct Tile {
    /// When its source began.
    pub(super) begun: Duration,
    /// When a new stream could first have been followed at once.
    pub(super) free_since: Duration,
    pub(super) session: Option<Session>,
    /// The previous session, whose frames may still wait to be shown.
    previous: Option<Session>,
    /// The counts of earlier sessions.
    before: Option<Statistics>,
    /// The latency of earlier sessions.
    latency_before: LatencyBreakdown,
    /// Records of the session before the previous one.
    records: VecDeque<FrameRecord>,
    followed: u64,
    /// Bytes of frames that its sessions hold.
    pub(super) held: usize,
}

impl Tile {
    /// A tile whose source began at `begun`. A stream that began after `free_since` is followed
    /// from its start.
    pub(super) fn new(begun: Duration, free_since: Duration) -> Self {
        Self {
            begun,
            free_since,
            session: None,
            previous: None,
            before: None,
            latency_before: LatencyBreakdown::default(),
            records: VecDeque::new(),
            followed: 0,
            held: 0,
        }
    }

    /// How many streams it has followed.
    pub(super) fn followed(&self) -> u64 {
        self.followed
    }

    /// Where its stream comes from.
    pub(super) fn from(&self) -> Option<SocketAddr> {
        self.session.as_ref().map(Session::from)
    }

    /// When its newest datagram arrived.
    pub(super) fn last_received(&self) -> Option<Duration> {
        self.session.as_ref().map(Session::last_received)
    }

    /// Whether its stream continues.
    pub(super) fn is_living(&self, now: Duration) -> bool {
        let session = self.session.as_ref();
        session.is_some_and(|session| session.is_living(now))
    }

    /// Whether a frame of its stream arrived.
    pub(super) fn has_frames(&self) -> bool {
        self.session.as_ref().is_some_and(Session::has_frames)
    }

    /// When an unknown stream could first have been followed at once.
    pub(super) fn free_since(&self) -> Duration {
        self.free_since
            .max(self.last_received().unwrap_or_default())
    }

    /// Shows a session from now on.
    pub(super) fn follow(&mut self, session: Session) {
        self.followed += 1;
        self.session = Some(session);
    }

    /// Keeps a session that another one replaces.
    pub(super) fn retire(&mut self, mut session: Session, now: Duration) {
        session.close(now);
        // Its last frames are still to be shown.
        let Some(mut older) = self.previous.replace(session) else {
            return;
        };
        if let Some(session) = older.native_mut() {
            session.settle(true);
        }
        let records = std::iter::from_fn(|| older.poll_record());
        self.records.extend(records.take(MAX_RECORDS));
        let mut statistics = older.statistics(&self.latency_before);
        if let Some(session) = older.native() {
            self.latency_before.add(&session.latency());
        }
        if let Some(before) = &self.before {
            statistics.add(before);
        }
        self.before = Some(statistics);
    }

    /// Does what is due by `now`. Returns whether that ends the stream.
    pub(super) fn handle_timeout(&mut self, now: Duration) -> bool {
        let session = self.session.as_mut();
        let ended = session.is_some_and(|session| session.handle_timeout(now));
        self.held = self.sessions().map(Session::held_bytes).sum();
        ended
    }

    /// Records what a sink did with a frame. Returns whether it is one of this tile.
    pub(super) fn handle_outcome(&mut self, id: FrameId, outcome: SinkOutcome) -> bool {
        let mut sessions = self.sessions_mut();
        let session = sessions.find(|session| session.playout().session() == id.session);
        session.is_some_and(|session| session.handle_outcome(id.number, outcome))
    }

    /// Settles all frames as they stand.
    pub(super) fn finish(&mut self) {
        self.sessions_mut().for_each(Session::finish);
    }

    pub(super) fn poll_frame(&mut self, tile: usize) -> Option<ReceivedFrame> {
        let mut sessions = self.sessions_mut();
        sessions.find_map(|session| session.playout_mut().poll(tile))
    }

    pub(super) fn poll_record(&mut self) -> Option<FrameRecord> {
        let record = self.records.pop_front();
        record.or_else(|| self.sessions_mut().find_map(Session::poll_record))
    }

    /// Releases what costs least. Returns whether there was anything to release.
    pub(super) fn shed(&mut self, now: Duration) -> bool {
        let shed = self.sessions_mut().any(|session| session.shed(now));
        self.held = self.sessions().map(Session::held_bytes).sum();
        shed
    }

    /// The counts of all its streams. Before the first, the stream on probation stands in: for a
    /// sender whose frames are all lost, nothing else is known.
    pub(super) fn statistics(&self, unproven: Option<Statistics>) -> Statistics {
        let mut latency = self.latency_before.clone();
        let previous = self.previous.as_ref().map(|previous| {
            let statistics = previous.statistics(&latency);
            if let Some(session) = previous.native() {
                latency.add(&session.latency());
            }
            statistics
        });
        let session = self.session.as_ref();
        let session = session.map(|session| session.statistics(&latency));
        let newest_first = [session.or(unproven), previous, self.before.clone()];
        let mut all = newest_first.into_iter().flatten();
        let mut statistics = all.next().unwrap_or_default();
        all.for_each(|before| statistics.add(&before));
        statistics.stream.side = Side::Viewer;
        statistics.stream.followed = self.followed;
        statistics
    }

    /// Its sessions, older ones first.
    fn sessions(&self) -> impl Iterator<Item = &Session> {
        self.previous.iter().chain(&self.session)
    }

    fn sessions_mut(&mut self) -> impl Iterator<Item = &mut Session> {
        self.previous.iter_mut().chain(&mut self.session)
    }
}
