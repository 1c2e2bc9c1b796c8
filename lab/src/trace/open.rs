//! Datagrams of which is not known yet what they are: what comes before the
//! media of a stream is of it only once the stream is followed.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

/// The most datagrams that are kept: a minute of a stream that sends nothing but
/// its totals.
const MOST: usize = 64;

/// The most bytes of them: datagrams of control are small, and who sends others
/// has them judged at once.
const MOST_BYTES: usize = 128 << 10;

/// A datagram that is kept.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) from: SocketAddr,
    pub(super) datagram: Vec<u8>,
    pub(super) arrival: Duration,
}

/// All that are kept, in the order of their arrival.
#[derive(Debug, Default)]
pub(super) struct Open {
    kept: VecDeque<Kept>,
    bytes: usize,
}

impl Open {
    /// Keeps a datagram.
    pub(super) fn keep(&mut self, from: SocketAddr, datagram: &[u8], arrival: Duration) {
        self.bytes += datagram.len();
        self.kept.push_back(Kept {
            from,
            datagram: datagram.to_vec(),
            arrival,
        });
    }

    /// The oldest one, if there are more than there may be.
    pub(super) fn excess(&mut self) -> Option<Kept> {
        let much = self.kept.len() > MOST || self.bytes > MOST_BYTES;
        much.then(|| self.first()).flatten()
    }

    /// The oldest one.
    pub(super) fn first(&mut self) -> Option<Kept> {
        let kept = self.kept.pop_front()?;
        self.bytes -= kept.datagram.len();
        Some(kept)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }
}
