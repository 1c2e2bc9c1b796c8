//! A session: one received stream of any format.

use std::net::SocketAddr;
use std::time::Duration;

use super::native::{LatencyBreakdown, NativeSession};
use super::plain::PlainState;
use super::playout::Playout;
use super::raw::RawSession;
use super::rtp::RtpSession;
use super::{SILENCE, SinkOutcome};
use crate::seq::FrameNumber;
use crate::stats::FrameRecord;
use crate::stats::Statistics;
use crate::wire::Format;

/// One stream.
#[derive(Debug)]
pub(super) enum Session {
    Native(Box<NativeSession>),
    Rtp(Box<RtpSession>),
    Raw(Box<RawSession>),
}

impl Session {
    pub(super) fn format(&self) -> Format {
        match self {
            Self::Native(_) => Format::Native,
            Self::Rtp(_) => Format::Rtp,
            Self::Raw(_) => Format::Raw,
        }
    }

    pub(super) fn native(&self) -> Option<&NativeSession> {
        match self {
            Self::Native(session) => Some(session),
            Self::Rtp(_) | Self::Raw(_) => None,
        }
    }

    pub(super) fn native_mut(&mut self) -> Option<&mut NativeSession> {
        match self {
            Self::Native(session) => Some(session),
            Self::Rtp(_) | Self::Raw(_) => None,
        }
    }

    /// What the formats other than the native one share.
    pub(super) fn plain(&self) -> Option<&PlainState> {
        match self {
            Self::Native(_) => None,
            Self::Rtp(session) => Some(session.state()),
            Self::Raw(session) => Some(session.state()),
        }
    }

    fn plain_mut(&mut self) -> Option<&mut PlainState> {
        match self {
            Self::Native(_) => None,
            Self::Rtp(session) => Some(session.state_mut()),
            Self::Raw(session) => Some(session.state_mut()),
        }
    }

    pub(super) fn number(&self) -> u64 {
        match self {
            Self::Native(session) => session.number(),
            Self::Rtp(session) => session.state().number(),
            Self::Raw(session) => session.state().number(),
        }
    }

    /// Where it comes from.
    pub(super) fn from(&self) -> SocketAddr {
        match self {
            Self::Native(session) => session.from(),
            Self::Rtp(session) => session.state().from(),
            Self::Raw(session) => session.state().from(),
        }
    }

    /// When its newest datagram arrived.
    pub(super) fn last_received(&self) -> Duration {
        match self {
            Self::Native(session) => session.last_received(),
            Self::Rtp(session) => session.state().last_received(),
            Self::Raw(session) => session.state().last_received(),
        }
    }

    /// Whether it seems to continue.
    pub(super) fn is_living(&self, now: Duration) -> bool {
        let is_recent = now.saturating_sub(self.last_received()) < SILENCE;
        match self {
            Self::Native(session) => session.is_living(now),
            Self::Rtp(session) => is_recent && !session.has_ended(),
            Self::Raw(_) => is_recent,
        }
    }

    /// Whether a stream of another format that began at `since` may replace it: it is native and
    /// brought no frames, or was silent before `since`. A stream that began earlier is no
    /// successor.
    pub(super) fn yields(&self, since: Duration, now: Duration) -> bool {
        match (self.native(), self.plain()) {
            (Some(session), _) => session.is_in_vain(now),
            (None, Some(state)) => {
                let silent = now.saturating_sub(state.last_received());
                since > state.last_received() && silent >= state.quiet_time()
            }
            (None, None) => false,
        }
    }

    /// Whether it is proven: for a native stream by media, otherwise by a complete frame or, for
    /// RTP, by two packets in sequence.
    pub(super) fn is_proven(&self) -> bool {
        match self {
            Self::Native(_) => true,
            Self::Rtp(session) => session.is_proven(),
            Self::Raw(session) => session.state().has_frames(),
        }
    }

    /// Whether a frame of it arrived.
    pub(super) fn has_frames(&self) -> bool {
        match self {
            Self::Native(session) => session.has_frames(),
            Self::Rtp(session) => session.state().has_frames(),
            Self::Raw(session) => session.state().has_frames(),
        }
    }

    /// Whether it is a bare JPEG session in the middle of a JPEG.
    pub(super) fn is_within_jpeg(&self) -> bool {
        matches!(self, Self::Raw(session) if session.is_within_jpeg())
    }

    /// Whether packets with its number now belong to another stream.
    pub(super) fn is_over(&self, now: Duration) -> bool {
        matches!(self, Self::Rtp(session) if session.is_over(now))
    }

    pub(super) fn handle_socket_drops(&mut self, datagrams: u64) {
        if let Some(session) = self.native_mut() {
            session.handle_socket_drops(datagrams);
        } else if let Some(state) = self.plain_mut() {
            state.record_socket_drops(datagrams);
        }
    }

    /// Records that a shared socket dropped datagrams, which may belong to any stream.
    pub(super) fn handle_shared_drops(&mut self) {
        if let Some(session) = self.native_mut() {
            session.handle_shared_drops();
        }
    }

    /// Gives up what is past its deadline. Returns whether that ends the stream.
    pub(super) fn handle_timeout(&mut self, now: Duration) -> bool {
        match self {
            Self::Native(session) => session.handle_timeout(now),
            Self::Rtp(session) => session.handle_timeout(now),
            Self::Raw(session) => {
                session.handle_timeout(now);
                false
            }
        }
    }

    /// Records what a sink did with a frame. Returns whether its outcome was open.
    pub(super) fn handle_outcome(&mut self, number: FrameNumber, outcome: SinkOutcome) -> bool {
        match self {
            Self::Native(session) => session.handle_outcome(number, outcome),
            Self::Rtp(session) => session.state_mut().handle_outcome(number, outcome),
            Self::Raw(session) => session.state_mut().handle_outcome(number, outcome),
        }
    }

    /// Ends it for another stream.
    pub(super) fn close(&mut self, now: Duration) {
        match self {
            Self::Native(session) => session.close(now),
            Self::Rtp(session) => session.end(),
            Self::Raw(session) => session.end(),
        }
    }

    /// Settles all frames as they stand.
    pub(super) fn finish(&mut self) {
        if let Some(session) = self.native_mut() {
            session.finish();
        }
    }

    pub(super) fn playout(&self) -> &Playout {
        match self {
            Self::Native(session) => session.playout(),
            Self::Rtp(session) => &session.state().playout,
            Self::Raw(session) => &session.state().playout,
        }
    }

    pub(super) fn playout_mut(&mut self) -> &mut Playout {
        match self {
            Self::Native(session) => session.playout_mut(),
            Self::Rtp(session) => &mut session.state_mut().playout,
            Self::Raw(session) => &mut session.state_mut().playout,
        }
    }

    pub(super) fn poll_record(&mut self) -> Option<FrameRecord> {
        self.native_mut()?.poll_record()
    }

    /// Fills `out` with the next datagram for the sender. Returns its destination.
    pub(super) fn poll_transmit(&mut self, now: Duration, out: &mut Vec<u8>) -> Option<SocketAddr> {
        match self {
            Self::Native(session) => session.poll_transmit(now, out),
            Self::Rtp(session) => session.poll_transmit(now, out),
            Self::Raw(_) => None,
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Duration> {
        match self {
            Self::Native(session) => session.poll_timeout(),
            Self::Rtp(session) => session.poll_timeout(),
            Self::Raw(session) => session.poll_timeout(),
        }
    }

    /// Bytes of frames that it holds.
    pub(super) fn held_bytes(&self) -> usize {
        match self {
            Self::Native(session) => session.held_bytes(),
            Self::Rtp(session) => session.held_bytes(),
            Self::Raw(session) => session.held_bytes(),
        }
    }

    /// Releases what costs least. Returns whether there was anything to release.
    pub(super) fn shed(&mut self, now: Duration) -> bool {
        match self {
            Self::Native(session) => session.shed(now),
            Self::Rtp(session) => session.shed(now),
            Self::Raw(session) => {
                let held = session.is_within_jpeg();
                session.end();
                held
            }
        }
    }

    /// The counts. Delays include those of the streams followed `earlier`.
    pub(super) fn statistics(&self, earlier: &LatencyBreakdown) -> Statistics {
        match self {
            Self::Native(session) => session.statistics(earlier),
            Self::Rtp(session) => session.statistics(),
            Self::Raw(session) => session.statistics(),
        }
    }
}
