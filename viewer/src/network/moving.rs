//! Changes of the path: of this machine's address or interface, and of the sender's address if it
//! was given by name.

use std::net::SocketAddr;
use std::time::Duration;

use framegram_net::{self as net, Lookup, RouteMonitor};

use super::Network;
use crate::socket;

/// State for restoring the path.
#[derive(Debug)]
pub(super) struct Moving {
    upkeep: RouteMonitor,
    /// Looks up a sender that was given by name.
    lookup: Option<Lookup>,
    /// Receive buffer of a replacement socket.
    buffer: usize,
    /// When the last datagram arrived, or the viewer started.
    heard: Duration,
}

impl Moving {
    pub(super) fn new(now: Duration) -> Self {
        Self {
            upkeep: RouteMonitor::default(),
            lookup: None,
            buffer: net::DEFAULT_BUFFER,
            heard: now,
        }
    }

    /// Records a datagram from the connected sender or to the group. Returns the silence before it.
    pub(super) fn hear(&mut self, now: Duration) -> Duration {
        let silence = now.saturating_sub(self.heard);
        self.heard = self.heard.max(now);
        silence
    }
}

impl Network {
    /// Looks the sender's name up again during silence, and connects to its new address from a
    /// socket with this receive buffer.
    pub fn with_lookup(mut self, lookup: Option<Lookup>, buffer: usize) -> Self {
        self.moving.lookup = lookup;
        self.moving.buffer = buffer;
        self
    }

    /// Restores the path during silence. Nothing else reports that a group membership is lost, or
    /// that the local address has changed.
    pub(super) fn tend(&mut self, now: Duration) {
        if now.saturating_sub(self.moving.heard) < SILENCE {
            return;
        }
        let Some(to) = self.connected else {
            if self.moving.upkeep.is_due(now) {
                for socket in self.sockets() {
                    // If the group cannot be joined now, it is tried again next time.
                    let _ = socket.refresh_membership();
                }
            }
            return;
        };
        if let Ok(true) = self.moving.upkeep.poll(&self.socket, to, now) {
            self.console.say(&format!(
                "The address of this machine has changed; connecting to {to} again."
            ));
            self.ask_at(to, now);
        }
        let heard = self.moving.heard;
        let lookup = self.moving.lookup.as_mut();
        if let Some(found) = lookup.and_then(|lookup| lookup.poll(heard, now))
            && found != to
            && self.go_to(found).is_ok()
        {
            self.console.say(&format!(
                "The name resolves to another address; connecting to {found}."
            ));
            self.ask_at(found, now);
        }
    }

    fn ask_at(&mut self, to: SocketAddr, now: Duration) {
        self.receiver.connect(to, now);
        self.connected = Some(to);
    }

    /// Connects to this address from now on, if it belongs to a single machine.
    fn go_to(&mut self, to: SocketAddr) -> anyhow::Result<()> {
        let ip = to.ip();
        anyhow::ensure!(!ip.is_multicast() && !ip.is_unspecified() && !net::is_broadcast(ip));
        if self.socket.local_addr()?.is_ipv4() == to.is_ipv4() {
            self.socket.reconnect(to)?;
        } else {
            let socket = socket::towards(to, self.moving.buffer)?;
            socket.continue_drops_of(&self.socket);
            self.socket = socket;
        }
        Ok(())
    }
}

/// Silence after which the path is checked: a few frames of a typical stream. For a slow stream the
/// check is unnecessary and costs nothing.
const SILENCE: Duration = Duration::from_millis(300);
