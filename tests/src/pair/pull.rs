//! A viewer that asks for its stream.

use std::net::SocketAddr;

use framegram_common::sender::AcceptorConfig;
use framegram_common::wire::native::Packet;

/// How the sender admits it.
pub(super) const ACCEPTOR: AcceptorConfig = AcceptorConfig {
    secret: (1, 2),
    max_peers: 16,
};

/// Where the viewer is.
pub(super) fn viewer() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 2], 50_000))
}

/// Whether a datagram of the sender is one of the handshake, which is no part of
/// its stream.
pub(super) fn is_handshake(datagram: &[u8]) -> bool {
    matches!(
        Packet::decode(datagram),
        Ok((_, Packet::Challenge(_) | Packet::Reject(_)))
    )
}
