//! A viewer that connects to the sender.

use std::net::SocketAddr;

use framegram_common::sender::AcceptorConfig;
use framegram_common::wire::native::Packet;

/// The sender's settings for viewers that connect.
pub(super) const ACCEPTOR: AcceptorConfig = AcceptorConfig {
    secret: (1, 2),
    max_peers: 16,
    accepts: false,
};

/// The viewer's address.
pub(super) fn viewer() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 2], 50_000))
}

/// Whether a datagram of the sender belongs to the handshake, which is not part
/// of the stream.
pub(super) fn is_handshake(datagram: &[u8]) -> bool {
    Packet::decode(datagram).is_ok_and(|(_, packet)| packet.is_answer())
}
