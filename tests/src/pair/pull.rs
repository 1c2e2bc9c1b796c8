//! A viewer that comes by itself.

use std::net::SocketAddr;
use std::time::Duration;

use framegram_common::caller::{Answer, Caller};
use framegram_common::receiver::Receiver;
use framegram_common::sender::AcceptorConfig;

/// The viewer's side of the handshake.
#[derive(Debug)]
pub(super) struct Pull {
    caller: Caller,
}

/// How the sender admits it.
pub(super) const ACCEPTOR: AcceptorConfig = AcceptorConfig {
    secret: (1, 2),
    max_peers: 16,
};

/// Where the viewer is.
pub(super) fn viewer() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 2], 50_000))
}

impl Pull {
    /// The viewer with this number begins to ask at `join`.
    pub(super) fn new(viewer: u64, to: SocketAddr, join: Duration) -> Self {
        Self {
            caller: Caller::new(viewer, to, join),
        }
    }

    /// Whether a datagram of the sender is a word of the handshake.
    pub(super) fn takes(
        &mut self,
        from: SocketAddr,
        datagram: &[u8],
        receiver: &Receiver,
        now: Duration,
    ) -> bool {
        !receiver.is_living(now) && self.caller.handle_datagram(from, datagram, now) != Answer::None
    }

    /// Fills `out` with the viewer's question, if one is due.
    pub(super) fn poll_question(
        &mut self,
        receiver: &Receiver,
        now: Duration,
        out: &mut Vec<u8>,
    ) -> bool {
        !receiver.is_living(now) && self.caller.poll_transmit(now, out)
    }

    /// When it asks next.
    pub(super) fn poll_timeout(
        &self,
        receiver: Option<&Receiver>,
        now: Duration,
    ) -> Option<Duration> {
        let asks = receiver.is_some_and(|receiver| !receiver.is_living(now));
        asks.then(|| self.caller.poll_timeout())
    }
}
