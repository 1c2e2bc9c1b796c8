//! Datagrams that are not classified yet. Those that arrive before the media of a
//! stream belong to it only once the stream is followed.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

/// Upper bound on kept datagrams: a minute of a stream that sends only sender
/// reports.
const MOST: usize = 64;

/// Upper bound on their bytes. Control packets are small; if larger ones arrive,
/// the oldest are classified at once.
const MOST_BYTES: usize = 128 << 10;

/// A datagram that is kept.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) from: SocketAddr,
    pub(super) datagram: Vec<u8>,
    pub(super) arrival: Duration,
}

/// The kept datagrams, in order of arrival.
#[derive(Debug, Default)]
pub(super) struct OpenDatagrams {
    kept: VecDeque<Kept>,
    bytes: usize,
}

impl OpenDatagrams {
    /// Keeps a datagram.
    pub(super) fn keep(&mut self, from: SocketAddr, datagram: &[u8], arrival: Duration) {
        self.bytes += datagram.len();
        self.kept.push_back(Kept {
            from,
            datagram: datagram.to_vec(),
            arrival,
        });
    }

    /// Removes the oldest one if a limit is exceeded.
    pub(super) fn excess(&mut self) -> Option<Kept> {
        let much = self.kept.len() > MOST || self.bytes > MOST_BYTES;
        much.then(|| self.first()).flatten()
    }

    /// Removes the oldest one.
    pub(super) fn first(&mut self) -> Option<Kept> {
        let kept = self.kept.pop_front()?;
        self.bytes -= kept.datagram.len();
        Some(kept)
    }

    /// Number of kept datagrams.
    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }
}
