//! Addresses as people write them, and those of this machine.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};

use nix::ifaddrs::{InterfaceAddress, getifaddrs};
use nix::net::if_::{InterfaceFlags, if_nametoindex};
use nix::sys::socket::SockaddrStorage;
use socket2::{Domain, Protocol, Type};

use super::plain;

/// A network interface of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name, such as `eth0`.
    pub name: String,
    /// The kernel's number for it.
    pub index: u32,
    v4: Option<Ipv4Addr>,
}

impl Interface {
    /// The interface with this name or with this address.
    ///
    /// # Errors
    /// Where there is none; the message names those that there are.
    pub fn find(text: &str) -> io::Result<Self> {
        let all: Vec<_> = getifaddrs()?.collect();
        let address = text.parse::<IpAddr>().ok();
        let named = |interface: &&InterfaceAddress| match address {
            Some(address) => ip(interface.address.as_ref()) == Some(address),
            None => interface.interface_name == text,
        };
        let Some(found) = all.iter().find(named) else {
            let mut names: Vec<_> = all.iter().map(|one| one.interface_name.as_str()).collect();
            names.dedup();
            names.sort_unstable();
            names.dedup();
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!(
                    "no interface has the name or address {text}; there are {}",
                    names.join(", ")
                ),
            ));
        };
        let name = found.interface_name.clone();
        let v4 = match address {
            Some(IpAddr::V4(v4)) => Some(v4),
            _ => all
                .iter()
                .filter(|other| other.interface_name == name)
                .find_map(|other| match ip(other.address.as_ref())? {
                    IpAddr::V4(v4) => Some(v4),
                    IpAddr::V6(_) => None,
                }),
        };
        let index = if_nametoindex(name.as_str())?;
        Ok(Self { name, index, v4 })
    }

    /// The interface of this name as it is now: it may have been taken away and
    /// put back, and its addresses change. The address by which it was known is
    /// kept while it has it.
    ///
    /// # Errors
    /// Where it is gone.
    pub fn again(&self) -> io::Result<Self> {
        let found = Self::find(&self.name)?;
        let kept = self.v4.filter(|v4| {
            let of_it = |one: &InterfaceAddress| {
                one.interface_name == self.name && ip(one.address.as_ref()) == Some(IpAddr::V4(*v4))
            };
            getifaddrs().is_ok_and(|mut all| all.any(|one| of_it(&one)))
        });
        Ok(Self {
            v4: kept.or(found.v4),
            ..found
        })
    }

    /// Its IPv4 address, by which IPv4 knows it.
    pub(super) fn ipv4(&self) -> io::Result<Ipv4Addr> {
        self.v4.ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::AddrNotAvailable,
                format!("interface {self} has no IPv4 address"),
            )
        })
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)
    }
}

/// The socket address that a text means: `HOST:PORT`, `[IPv6]:PORT`, and, where
/// there is a default port, `HOST`, `IPv6`, `[IPv6]`; where an address of this
/// machine can be meant (`default_port` is given), also `PORT` and `:PORT`,
/// which are all its addresses. A host is an address or a name; an IPv6 address
/// may carry its interface (`fe80::1%eth0`). Of a name's several addresses the
/// one that the system puts first.
///
/// # Errors
/// Where the text has another form, or the name is not known.
pub fn resolve(text: &str, default_port: Option<u16>) -> io::Result<SocketAddr> {
    let (host, port) = split(text, default_port).ok_or_else(|| {
        let form = if default_port.is_some() {
            "HOST, HOST:PORT or [IPv6]:PORT"
        } else {
            "HOST:PORT or [IPv6]:PORT"
        };
        io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{text:?} is not an address: write it as {form}, with a port from 1 to 65535"),
        )
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

pub(super) fn split(text: &str, default_port: Option<u16>) -> Option<(&str, u16)> {
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

/// Whether datagrams to this address go to every machine of a network that this
/// machine is in.
#[must_use]
pub fn is_broadcast(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_broadcast() || is_routed_as_broadcast(v4),
        IpAddr::V6(_) => false,
    }
}

/// Asks the routes. What the interfaces tell does not say it: an address that
/// was set without a broadcast address has the network's highest one all the
/// same, and the peer of another stands in the same place as its broadcast
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
    // A route that prohibits an address does so either way.
    refused(connect(false)) && !refused(connect(true))
}

/// Nothing is sent there: a socket is connected to ask the routes.
const ANY_PORT: u16 = 9;

/// The addresses under which other machines may know this one: of every
/// interface that is up, without loopback and link-local ones, IPv4 first.
#[must_use]
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

/// An address of this machine or a group as another machine has to type it:
/// where it is one of a link, with an interface of that machine's own, for
/// which [`INTERFACE`] stands.
#[must_use]
pub fn as_typed_elsewhere(address: SocketAddr) -> String {
    match address {
        SocketAddr::V6(v6) if is_of_a_link(*v6.ip()) => {
            format!("[{}%{INTERFACE}]:{}", v6.ip(), v6.port())
        }
        other => other.to_string(),
    }
}

/// What stands for the interface of another machine.
pub const INTERFACE: &str = "INTERFACE";

/// Whether it means something on one link alone
/// (<https://www.rfc-editor.org/rfc/rfc4291#section-2.7>).
fn is_of_a_link(address: Ipv6Addr) -> bool {
    let scope = address.octets()[1] & 0x0f;
    address.is_unicast_link_local() || (address.is_multicast() && scope <= LINK_SCOPE)
}

/// The scope of groups that no router forwards.
const LINK_SCOPE: u8 = 2;

pub(super) fn ip(address: Option<&SockaddrStorage>) -> Option<IpAddr> {
    address.and_then(plain).map(|address| address.ip())
}
