//! Follows changes of this machine's addresses. A connected socket keeps its
//! source address. It sends in vain once that address is gone or the route leads
//! through another network.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use nix::errno::Errno;
use socket2::{Domain, Protocol, Type};

use super::{Socket, options, plain_socket_address};

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

/// The largest datagram, in bytes of UDP payload, that the interface towards `to`
/// carries in one piece; less where the system knows that the path carries less.
///
/// # Errors
/// Where there is no way.
pub fn largest_datagram(to: SocketAddr) -> io::Result<usize> {
    let to = SocketAddr::new(to.ip().to_canonical(), to.port());
    let socket = probe(to)?;
    socket.connect(&to.into())?;
    let headers = if to.is_ipv4() { IPV4_UDP } else { IPV6_UDP };
    let mtu = options::mtu(&socket, Domain::for_address(to))?;
    Ok(mtu.saturating_sub(headers).min(MAX_UDP))
}

/// Bytes of the headers of IPv4, without options, and UDP.
const IPV4_UDP: usize = 20 + 8;

/// Bytes of the headers of IPv6, without extensions, and UDP.
const IPV6_UDP: usize = 40 + 8;

/// The most that UDP over IPv4 carries.
const MAX_UDP: usize = u16::MAX as usize - IPV4_UDP;

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
    use std::net::Ipv6Addr;

    use super::*;

    #[test]
    fn knows_the_addresses_that_are_its_own() {
        assert!(is_own([127, 0, 0, 1].into()));
        assert!(!is_own([192, 0, 2, 1].into()));
    }

    #[test]
    fn the_loopback_interface_carries_the_largest_datagrams() {
        let to = |ip: IpAddr| largest_datagram(SocketAddr::new(ip, 9)).expect("a way");
        assert_eq!(to([127, 0, 0, 1].into()), 65_507);
        if is_own(Ipv6Addr::LOCALHOST.into()) {
            assert_eq!(to(Ipv6Addr::LOCALHOST.into()), 65_488);
        }
    }

    #[test]
    fn looks_a_few_times_a_second() {
        let mut upkeep = RouteMonitor::default();
        let looks = (0..1_000).filter(|&at| upkeep.is_due(Duration::from_millis(at)));
        assert_eq!(looks.count(), 5);
    }
}
