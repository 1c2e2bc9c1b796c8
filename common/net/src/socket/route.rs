//! Addresses of this machine that come and go under a socket. A connected one
//! keeps the address that it was connected from, and sends in vain once that
//! is gone, or once the way leads over another network.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use nix::errno::Errno;
use socket2::{Domain, Protocol, Type};

use super::{Socket, plain_socket_address};

/// Time between two looks at the routes while something is wrong: a stream is
/// back within a second of its network, and three system calls are no load.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// When to look after a connected socket.
#[derive(Debug, Default)]
pub struct RouteMonitor {
    next: Duration,
}

impl RouteMonitor {
    /// Connects a socket to `to` anew, where the routes choose another address
    /// to leave from than the socket has. Returns whether it did. To be asked
    /// while something is wrong: it looks a few times a second.
    ///
    /// # Errors
    /// Where the way is known and the socket cannot take it.
    pub fn poll(&mut self, socket: &Socket, to: SocketAddr, now: Duration) -> io::Result<bool> {
        if !self.is_due(now) {
            return Ok(false);
        }
        let Ok(chosen) = source_towards(to) else {
            // No network, for now.
            return Ok(false);
        };
        if socket.local_addr()?.ip() == chosen.ip() {
            return Ok(false);
        }
        socket.reconnect(to)?;
        Ok(true)
    }

    /// Whether it is time to look again, from `now` on.
    pub fn is_due(&mut self, now: Duration) -> bool {
        let due = now >= self.next;
        if due {
            self.next = now + LOOK_EVERY;
        }
        due
    }
}

impl Socket {
    /// Connects to `to`, from the address that the routes choose now, and
    /// keeps everything else: what waits to be received, and all counts.
    ///
    /// # Errors
    /// Where there is no way, or `to` is of the other protocol.
    pub fn reconnect(&self, to: SocketAddr) -> io::Result<()> {
        rustix::net::connect_unspec(&self.inner)?;
        let connected = self.inner.connect(&to.into());
        if connected.is_err() {
            // It has a port by now, at which anybody would be heard.
            rustix::net::connect_unspec(&self.inner)?;
        }
        connected
    }
}

/// The address that datagrams to `to` leave from.
pub(super) fn source_towards(to: SocketAddr) -> io::Result<SocketAddr> {
    let socket = probe(to)?;
    socket.connect(&to.into())?;
    plain_socket_address(&socket)
}

/// Whether this machine has an address: a socket can be bound to it.
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

/// Whether the system may say this of an address that is gone, or of an
/// interface.
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
