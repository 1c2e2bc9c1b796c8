//! Parses addresses as users type them, and lists those of this machine.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use nix::sys::socket::SockaddrStorage;
use socket2::{Domain, Protocol, Type};

/// Parses and resolves an address: `HOST:PORT`, `[IPv6]:PORT` and, if there is a
/// default port, `HOST`, `IPv6` and `[IPv6]`. With a default port, `PORT` and
/// `:PORT` stand for all addresses of this machine. A host is an address or a
/// name; an IPv6 address may have a scope (`fe80::1%eth0`). If a name has several
/// addresses, the system's first choice is returned.
///
/// # Errors
/// If the text has another form, or the name is not known.
pub fn resolve(text: &str, default_port: Option<u16>) -> io::Result<SocketAddr> {
    let (host, port) = split(text, default_port).ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidInput, malformed(text, default_port))
    })?;
    if host.is_empty() {
        return Ok((Ipv6Addr::UNSPECIFIED, port).into());
    }
    let unknown = |why: String| {
        let message = format!("{host} is not a known host{why}");
        io::Error::new(io::ErrorKind::NotFound, message)
    };
    (host, port)
        .to_socket_addrs()
        .map_err(|error| unknown(format!(": {error}")))?
        .next()
        .ok_or_else(|| unknown(String::new()))
}

pub(crate) fn split(text: &str, default_port: Option<u16>) -> Option<(&str, u16)> {
    let number = |port: &str| port.parse::<u16>().ok().filter(|&port| port != 0);
    if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        let port = match rest {
            "" => default_port?,
            _ => number(rest.strip_prefix(':')?)?,
        };
        return Some((host, port)).filter(|_| host.contains(':'));
    }
    let here = default_port.is_some();
    match text.split_once(':') {
        None if here && text.bytes().all(|byte| byte.is_ascii_digit()) => Some(("", number(text)?)),
        None => Some((text, default_port?)),
        Some((_, rest)) if rest.contains(':') => Some((text, default_port?)),
        Some((host, port)) => Some((host, number(port)?)).filter(|_| here || !host.is_empty()),
    }
}

/// Checks the form of an address that [`resolve`] takes: an unknown host is a failure, not wrong
/// usage.
///
/// # Errors
/// What is wrong with it.
pub fn check_form(text: &str, default_port: Option<u16>) -> Result<String, String> {
    match split(text, default_port) {
        Some(_) => Ok(text.to_owned()),
        None => Err(malformed(text, default_port)),
    }
}

fn malformed(text: &str, default_port: Option<u16>) -> String {
    let form = match default_port {
        Some(_) => "HOST, HOST:PORT or [IPv6]:PORT",
        None => "HOST:PORT or [IPv6]:PORT",
    };
    format!("{text:?} is not an address: write it as {form}, with a port from 1 to 65535")
}

/// Whether datagrams to this address reach all machines of a network of this
/// machine.
pub fn is_broadcast(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_broadcast() || is_routed_as_broadcast(v4),
        IpAddr::V6(_) => false,
    }
}

/// Asks the routing table, because the interfaces do not tell: an address without
/// a configured broadcast address still has one (the highest of its network), and
/// for a point-to-point address the peer takes the place of the broadcast
/// address.
fn is_routed_as_broadcast(v4: Ipv4Addr) -> bool {
    let connect = |broadcast| {
        let socket = socket2::Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_broadcast(broadcast)?;
        socket.connect(&SocketAddr::from((v4, ANY_PORT)).into())
    };
    let refused = |tried: io::Result<()>| {
        tried.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
    };
    // A route of type "prohibit" denies permission in both cases.
    refused(connect(false)) && !refused(connect(true))
}

/// Nothing is sent to this port. A socket is connected only to query the routes.
const ANY_PORT: u16 = 9;

/// Addresses by which other machines may reach this one: those of all interfaces
/// that are up, except loopback and link-local ones, IPv4 first.
pub fn local_addresses() -> Vec<IpAddr> {
    let Ok(all) = getifaddrs() else {
        return Vec::new();
    };
    let mut addresses: Vec<_> = all
        .filter(|one| one.flags.contains(InterfaceFlags::IFF_UP))
        .filter_map(|one| ip(one.address.as_ref()))
        .filter(|address| match address {
            IpAddr::V4(v4) => !v4.is_loopback() && !v4.is_link_local(),
            IpAddr::V6(v6) => !v6.is_loopback() && !v6.is_unicast_link_local(),
        })
        .collect();
    addresses.sort_by_key(IpAddr::is_ipv6);
    addresses
}

pub(crate) fn ip(address: Option<&SockaddrStorage>) -> Option<IpAddr> {
    address.and_then(plain).map(|address| address.ip())
}

pub(crate) fn plain(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| SocketAddr::from(*v4));
    let mut plain = v4.or_else(|| address.as_sockaddr_in6().map(|v6| SocketAddr::from(*v6)))?;
    if let Some(v4) = plain.is_ipv6().then(|| plain.ip().to_canonical())
        && v4.is_ipv4()
    {
        plain.set_ip(v4);
    }
    Some(plain)
}
