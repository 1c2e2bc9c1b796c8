//! Follows changes of this machine's addresses. A connected socket keeps its
//! source address. It sends in vain once that address is gone or the route leads
//! through another network.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use nix::errno::Errno;
use socket2::{Domain, Protocol, Type};

use super::{Socket, plain_socket_address};

/// Interval between looks at the routes while something is wrong. A stream
/// resumes within a second of its network, and three system calls are a
/// negligible load.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Checks the source address of a connected socket from time to time.
#[derive(Debug, Default)]
pub struct RouteMonitor {
    next: Duration,
}

impl RouteMonitor {
    /// Reconnects a socket to `to` if the routes choose a different source
    /// address than it has. Returns whether it did. Call it while something is
    /// wrong; it looks at the routes a few times per second.
    ///
    /// # Errors
    /// If there is a route, but reconnecting fails.
    pub fn poll(&mut self, socket: &Socket, to: SocketAddr, now: Duration) -> io::Result<bool> {
        if !self.is_due(now) {
            return Ok(false);
        }
        let Ok(chosen) = source_towards(to) else {
            // There is no network now.
            return Ok(false);
        };
        if socket.local_addr()?.ip() == chosen.ip() {
            return Ok(false);
        }
        socket.reconnect(to)?;
        Ok(true)
    }

    /// Whether the next look is due at `now`. If so, schedules the one after it.
    pub fn is_due(&mut self, now: Duration) -> bool {
        let due = now >= self.next;
        if due {
            self.next = now + LOOK_EVERY;
        }
        due
    }
}

impl Socket {
    /// Connects to `to` from the address that the routes choose now. Received
    /// datagrams and all counters are kept.
    ///
    /// # Errors
    /// If there is no route, or `to` is of the other protocol.
    pub fn reconnect(&self, to: SocketAddr) -> io::Result<()> {
        rustix::net::connect_unspec(&self.inner)?;
        let connected = self.inner.connect(&to.into());
        if connected.is_err() {
            // The failed call bound a port, where anyone could send to this
            // socket.
            rustix::net::connect_unspec(&self.inner)?;
        }
        connected
    }
}

/// The source address of datagrams to `to`.
pub(super) fn source_towards(to: SocketAddr) -> io::Result<SocketAddr> {
    let socket = probe(to)?;
    socket.connect(&to.into())?;
    plain_socket_address(&socket)
}

/// Whether this machine has the address: a socket can be bound to it.
pub(super) fn is_own(address: IpAddr) -> bool {
    let address = SocketAddr::new(address, 0);
    let bound = probe(address).and_then(|socket| socket.bind(&address.into()));
    !bound.is_err_and(|error| error.kind() == io::ErrorKind::AddrNotAvailable)
}

fn probe(towards: SocketAddr) -> io::Result<socket2::Socket> {
    socket2::Socket::new(
        Domain::for_address(towards),
        Type::DGRAM,
        Some(Protocol::UDP),
    )
}

/// Whether the error can mean that an address or an interface is gone.
pub(super) fn may_be(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::EINVAL
            | Errno::EADDRNOTAVAIL
            | Errno::EDESTADDRREQ
            | Errno::ENETUNREACH
            | Errno::EHOSTUNREACH
            | Errno::ENETDOWN
            | Errno::ENODEV
            | Errno::ENXIO
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_addresses_that_are_its_own() {
        assert!(is_own([127, 0, 0, 1].into()));
        assert!(!is_own([192, 0, 2, 1].into()));
    }

    #[test]
    fn looks_a_few_times_a_second() {
        let mut upkeep = RouteMonitor::default();
        let looks = (0..1_000).filter(|&at| upkeep.is_due(Duration::from_millis(at)));
        assert_eq!(looks.count(), 5);
    }
}
