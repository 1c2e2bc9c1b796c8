//! Senders that come over TCP: the same packets, in connections.

use std::net::SocketAddr;
use std::time::Duration;

use framegram_common::receiver::{MAX_CONNECTIONS, Receiver};
use framegram_net::{Connection, Pollable, Received, TcpListener, clock};
use log::info;

use super::Network;

/// A connection without a packet for this long is closed. A stream has several sender reports per
/// second. Single bytes do not keep a connection open.
const IDLE: Duration = Duration::from_secs(10);

/// Upper bound on feedback that waits for a sender that does not read it: many times what is
/// usually in flight.
const MAX_FEEDBACK: usize = 64 << 10;

/// Packets received in a row from one connection: a large frame, so that the others get their turn.
const MOST_TAKEN: usize = 64;

/// Connections accepted in a row.
const MOST_ACCEPTED: usize = 8;

/// The connections of a viewer, at most [`MAX_CONNECTIONS`].
#[derive(Debug, Default)]
pub(super) struct Connections {
    listener: Option<TcpListener>,
    open: Vec<Open>,
}

#[derive(Debug)]
struct Open {
    connection: Connection,
    /// When the connection was made or its newest packet arrived.
    heard: Duration,
    /// A packet came.
    has_spoken: bool,
}

impl Connections {
    pub(super) fn new(listener: Option<TcpListener>) -> Self {
        Self {
            listener,
            open: Vec::new(),
        }
    }

    /// The sockets to poll.
    pub(super) fn pollables(&self) -> impl Iterator<Item = &dyn Pollable> {
        let listener = self.listener.iter().map(|listener| listener as _);
        let open = self.open.iter().map(|open| &open.connection as _);
        listener.chain(open)
    }

    /// When the next connection is closed for its silence.
    pub(super) fn poll_timeout(&self) -> Option<Duration> {
        self.open.iter().map(|open| open.heard + IDLE).min()
    }

    /// Whether there is a connection to this peer.
    pub(super) fn has(&self, peer: SocketAddr) -> bool {
        self.open.iter().any(|open| open.connection.peer() == peer)
    }

    /// Sends to a peer, if there is a connection to it. Returns whether there is one.
    pub(super) fn send(&mut self, to: SocketAddr, packet: &[u8]) -> bool {
        let open = self
            .open
            .iter_mut()
            .find(|open| open.connection.peer() == to);
        let Some(Open { connection, .. }) = open else {
            return false;
        };
        if connection.waiting() < MAX_FEEDBACK {
            connection.push(packet, packet.len());
            // Reading from a broken connection reports the error.
            let _ = connection.flush();
        }
        true
    }

    /// Accepts new connections. If there are too many, closes the one that is silent for longest,
    /// unless its stream is followed.
    fn accept(&mut self, receiver: &mut Receiver, is_allowed: impl Fn(SocketAddr) -> bool) {
        for _ in 0..MOST_ACCEPTED {
            let accepted = self.listener.as_ref().map(TcpListener::accept);
            let Some(Ok(Some(connection))) = accepted else {
                return;
            };
            let peer = connection.peer();
            if !is_allowed(peer) {
                receiver.handle_disallowed(peer);
                continue;
            }
            if self.open.len() >= MAX_CONNECTIONS {
                let others = self.open.iter().enumerate();
                let others =
                    others.filter(|(_, open)| !receiver.is_followed(open.connection.peer()));
                let Some((silent, _)) = others.min_by_key(|(_, open)| open.heard) else {
                    continue;
                };
                let silent = self.open.swap_remove(silent);
                receiver.handle_disconnected(silent.connection.peer());
            }
            info!("a connection from {peer}");
            receiver.handle_connected(peer);
            let heard = clock::now();
            self.open.push(Open {
                connection,
                heard,
                has_spoken: false,
            });
        }
    }
}

impl Network {
    /// Receives from the connections, for a bounded number of packets. Returns whether there may be
    /// more.
    pub(super) fn receive_connected(&mut self) -> bool {
        let allow = &self.allow;
        self.connections.accept(&mut self.receiver, |from| {
            allow.is_empty() || allow.iter().any(|prefix| prefix.contains(from.ip()))
        });
        let mut open = std::mem::take(&mut self.connections.open);
        let mut more = false;
        open.retain_mut(|open| match self.receive_from(open) {
            Ok(all) => {
                more |= !all;
                true
            }
            Err(error) => {
                let peer = open.connection.peer();
                info!("the connection from {peer} is closed: {error}");
                self.receiver.handle_disconnected(peer);
                false
            }
        });
        self.connections.open = open;
        more
    }

    /// Receives packets of one connection. Returns whether it has no more.
    fn receive_from(&mut self, open: &mut Open) -> std::io::Result<bool> {
        let Open {
            connection,
            heard,
            has_spoken,
        } = open;
        if !connection.is_ready() {
            connection.flush()?;
        }
        let from = connection.peer();
        for _ in 0..MOST_TAKEN {
            let packet = match connection.receive() {
                Ok(Some(packet)) => packet,
                other => {
                    let error = other.err();
                    if !*has_spoken {
                        self.unusable.insert_connection(from, connection.pending());
                    }
                    if let Some(error) = error {
                        return Err(error);
                    }
                    let silent = clock::now().saturating_sub(*heard) >= IDLE;
                    let closed = silent.then(|| std::io::ErrorKind::TimedOut.into());
                    return closed.map_or(Ok(true), Err);
                }
            };
            *has_spoken = true;
            let received = Received {
                len: packet.len(),
                from,
                arrival: clock::now(),
                dropped: 0,
                local: None,
            };
            *heard = received.arrival;
            self.take(received, packet);
        }
        Ok(false)
    }
}
