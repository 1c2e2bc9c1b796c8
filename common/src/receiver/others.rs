//! Streams that arrive and are not followed.

use std::net::SocketAddr;
use std::time::Duration;

use crate::stats::JoinPoint;
use crate::wire::native::Header;

/// Upper bound on remembered streams.
pub const MAX_OTHERS: usize = 64;

/// Identifies a stream. Native streams go by number only, since their address may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StreamKey {
    number: u64,
    from: Option<SocketAddr>,
}

impl StreamKey {
    pub(super) fn native(number: u64) -> Self {
        Self { number, from: None }
    }

    pub(super) fn plain(number: u64, from: SocketAddr) -> Self {
        let from = Some(from);
        Self { number, from }
    }

    pub(super) fn number(self) -> u64 {
        self.number
    }
}

/// The streams that are not followed.
#[derive(Debug, Default)]
pub(super) struct Others(Vec<Other>);

#[derive(Debug)]
struct Other {
    key: StreamKey,
    /// When it began, and when it was last received.
    since: Duration,
    last_received: Duration,
    /// It has been followed before.
    was_followed: bool,
    /// The packets that arrived meanwhile.
    passed: JoinPoint,
}

impl Others {
    /// How many were never followed.
    pub(super) fn count(&self) -> u64 {
        self.0.iter().filter(|other| !other.was_followed).count() as u64
    }

    /// Whether the list is full, so that streams may be forgotten.
    pub(super) fn is_full(&self) -> bool {
        self.0.len() >= MAX_OTHERS
    }

    /// When a stream began, if it is known.
    pub(super) fn since(&self, key: StreamKey) -> Option<Duration> {
        self.find(key).map(|index| self.0[index].since)
    }

    /// The packets of a stream that arrived while another one was followed.
    pub(super) fn passed(&self, key: StreamKey) -> Option<JoinPoint> {
        self.find(key).map(|index| self.0[index].passed)
    }

    /// Records a datagram of a stream that began at `since`. Returns whether the stream is new.
    pub(super) fn record(&mut self, key: StreamKey, since: Duration, now: Duration) -> bool {
        if let Some(index) = self.find(key) {
            self.0[index].last_received = now;
            return false;
        }
        self.push(Other {
            key,
            since,
            last_received: now,
            was_followed: false,
            passed: JoinPoint::default(),
        });
        true
    }

    /// Records a native packet of a known stream.
    pub(super) fn record_packet(&mut self, key: StreamKey, header: &Header) {
        if let Some(index) = self.find(key) {
            self.0[index].passed.record(header);
        }
    }

    /// Sets the packets that arrived while a stream was on probation.
    pub(super) fn set_passed(&mut self, key: StreamKey, passed: JoinPoint) {
        if let Some(index) = self.find(key) {
            self.0[index].passed = passed;
        }
    }

    /// Records the stream that was followed. When it returns, it has been there all along, so it
    /// does not alternate with the one that is followed now.
    pub(super) fn record_followed(
        &mut self,
        key: StreamKey,
        (since, last_received): (Duration, Duration),
    ) {
        self.remove(key);
        self.push(Other {
            key,
            since,
            last_received,
            was_followed: true,
            passed: JoinPoint::default(),
        });
    }

    pub(super) fn remove(&mut self, key: StreamKey) {
        self.0.retain(|other| other.key != key);
    }

    fn find(&self, key: StreamKey) -> Option<usize> {
        self.0.iter().position(|other| other.key == key)
    }

    fn push(&mut self, other: Other) {
        let oldest = self.0.iter().enumerate();
        let oldest = oldest.min_by_key(|(_, other)| other.last_received);
        if let Some((oldest, _)) = oldest.filter(|_| self.is_full()) {
            self.0.swap_remove(oldest);
        }
        self.0.push(other);
    }
}
