//! Ways that change: this machine's own address or interface, and the sender's
//! address where it was given by a name.

use std::net::SocketAddr;
use std::time::Duration;

use framegram_net::{self as net, Lookup, RouteMonitor};

use super::Network;
use crate::socket;

/// What it takes to find the way again.
#[derive(Debug)]
pub(super) struct Moving {
    upkeep: RouteMonitor,
    /// Of a sender that has a name.
    lookup: Option<Lookup>,
    /// Receive buffer of a socket that takes the place of another.
    buffer: usize,
    /// When something came last, or the viewer began.
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

    /// Something came, from the sender that is asked or to the group.
    pub(super) fn hear(&mut self, now: Duration) {
        self.heard = self.heard.max(now);
    }
}

impl Network {
    /// Looks a sender's name up again in silence, if there is a way to, and
    /// asks where it leads to by a socket with such a buffer.
    #[must_use]
    pub fn with_lookup(mut self, lookup: Option<Lookup>, buffer: usize) -> Self {
        self.moving.lookup = lookup;
        self.moving.buffer = buffer;
        self
    }

    /// Finds the way again while nothing comes: nothing says by itself that a
    /// membership is gone, or that answers go to an address that is.
    pub(super) fn tend(&mut self, now: Duration) {
        if now.saturating_sub(self.moving.heard) < SILENCE {
            return;
        }
        let Some(to) = self.connected else {
            if self.moving.upkeep.is_due(now) {
                for socket in self.sockets() {
                    // Where it cannot be joined now, it may be the next time.
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

    /// Hears the sender at this address from now on, if it is one machine's.
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

/// Silence after which the way is looked at: a few frames of a usual stream. Of
/// a slow one it is looked at in vain, which costs nothing.
const SILENCE: Duration = Duration::from_millis(300);
