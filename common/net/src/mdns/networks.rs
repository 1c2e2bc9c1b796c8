//! Sockets in the groups of multicast DNS, on every network of this machine.
//!
//! The sockets are bound to the group addresses. They receive nothing that was
//! sent to this machine alone, so everything that they receive comes from a local
//! network (<https://www.rfc-editor.org/rfc/rfc6762#section-11>).

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use nix::ifaddrs::getifaddrs;
use nix::net::if_::{InterfaceFlags, if_nametoindex};
use socket2::{Domain, Protocol, Type};

use super::{GROUPS, PORT};
use crate::address::ip;
use crate::interface::Interface;
use crate::socket::{ListenOptions, Socket, Waker, wait};

/// Upper bound on networks. Machines with more are routers.
const MAX_NETWORKS: usize = 64;

/// Size of socket buffers: a handful of the longest messages.
const BUFFER: usize = 128 << 10;

/// Hop limit of messages (<https://www.rfc-editor.org/rfc/rfc6762#section-11>).
const HOPS: u8 = 255;

/// All networks of this machine, as of the last look at the interfaces.
#[derive(Debug, Default)]
pub struct LocalNetworks {
    networks: Vec<NetworkSocket>,
    /// The socket to read next. Sockets take turns, so that a busy network does
    /// not starve the others.
    next: usize,
}

#[derive(Debug)]
struct NetworkSocket {
    name: String,
    number: u32,
    addresses: Vec<IpAddr>,
    /// Group and socket for each protocol.
    sockets: Vec<(SocketAddr, Socket)>,
}

impl LocalNetworks {
    /// Opens sockets on all current networks. There are none if no interface is
    /// up.
    ///
    /// # Errors
    /// If there are networks, but the port cannot be opened on any of them.
    pub fn open() -> io::Result<Self> {
        let mut networks = Self::default();
        networks.look()?;
        Ok(networks)
    }

    /// Looks at the interfaces again, and opens sockets on new networks.
    pub fn look(&mut self) -> io::Result<()> {
        let mut failed = None;
        let mut networks = Vec::new();
        for (name, addresses) in interfaces()? {
            let Ok(number) = if_nametoindex(name.as_str()) else {
                continue;
            };
            let same = |known: &NetworkSocket| {
                known.name == name && known.number == number && known.addresses == addresses
            };
            if let Some(known) = self.networks.iter().position(same) {
                networks.push(self.networks.swap_remove(known));
                continue;
            }
            let mut sockets = Vec::new();
            for group in GROUPS {
                if addresses.iter().any(|own| own.is_ipv4() == group.is_ipv4()) {
                    match open(group, &name) {
                        Ok(opened) => sockets.push(opened),
                        Err(error) => {
                            failed.get_or_insert(error);
                        }
                    }
                }
            }
            if !sockets.is_empty() {
                networks.push(NetworkSocket {
                    name,
                    number,
                    addresses,
                    sockets,
                });
            }
        }
        self.networks = networks;
        match failed {
            Some(error) if self.networks.is_empty() => Err(error),
            _ => Ok(()),
        }
    }

    /// Index of each network's interface, and this machine's addresses there.
    pub fn all(&self) -> impl Iterator<Item = (u32, &[IpAddr])> {
        self.networks
            .iter()
            .map(|network| (network.number, network.addresses.as_slice()))
    }

    /// Returns the next datagram: its network and length. Datagrams from other
    /// ports than that of the groups want a unicast answer and are ignored
    /// (<https://www.rfc-editor.org/rfc/rfc6762#section-6.7>).
    pub fn receive(&mut self, buffer: &mut [u8]) -> Option<(u32, usize)> {
        let sockets = self.networks.iter().flat_map(|network| {
            let sockets = network.sockets.iter();
            sockets.map(|(_, socket)| (network.number, socket))
        });
        let sockets: Vec<_> = sockets.collect();
        for _ in 0..sockets.len() {
            self.next = (self.next + 1) % sockets.len();
            let (number, socket) = sockets[self.next];
            // An error refers to an earlier datagram.
            if let Ok(Some(received)) = socket.receive(buffer)
                && received.from.port() == PORT
            {
                return Some((number, received.len.min(buffer.len())));
            }
        }
        None
    }

    /// Sends to the groups of one network, or of all. Errors are ignored: a
    /// datagram that was not sent is as good as lost, and will be asked for
    /// again.
    pub fn send(&self, number: Option<u32>, datagram: &[u8]) {
        for network in &self.networks {
            if number.is_none_or(|number| number == network.number) {
                for (group, socket) in &network.sockets {
                    let _ = socket.send(Some(*group), datagram, datagram.len());
                }
            }
        }
    }

    /// Waits for a datagram, like [`wait`].
    pub fn wait(&self, waker: &Waker, timeout: Duration) -> io::Result<()> {
        let sockets = self.networks.iter().flat_map(|network| &network.sockets);
        let sockets: Vec<_> = sockets.map(|(_, socket)| socket as _).collect();
        wait(&sockets, waker, Some(timeout)).map(drop)
    }
}

/// Tries to send an empty query to a group.
///
/// # Errors
/// If no interface reaches a group; the error is that of the first interface.
pub fn probe_local_network() -> io::Result<()> {
    let mut failed = None;
    for (name, addresses) in interfaces()? {
        for own in addresses {
            match ask_nothing(own, &name) {
                Ok(()) => return Ok(()),
                Err(error) => {
                    failed.get_or_insert(error);
                }
            }
        }
    }
    Err(failed.unwrap_or_else(|| {
        io::Error::new(
            io::ErrorKind::NotFound,
            "no network interface of this machine is up and has multicast",
        )
    }))
}

/// Sends a query without questions.
fn ask_nothing(own: IpAddr, interface: &str) -> io::Result<()> {
    let group = GROUPS[usize::from(own.is_ipv6())];
    let to = SocketAddr::new(group, PORT);
    let socket = socket2::Socket::new(Domain::for_address(to), Type::DGRAM, Some(Protocol::UDP))?;
    match own {
        IpAddr::V4(own) => socket.set_multicast_if_v4(&own)?,
        IpAddr::V6(_) => socket.set_multicast_if_v6(if_nametoindex(interface)?)?,
    }
    socket.send_to(&[0; 12], &to.into()).map(drop)
}

/// Interfaces that are up and support multicast, with their addresses, sorted.
fn interfaces() -> io::Result<Vec<(String, Vec<IpAddr>)>> {
    let wanted = InterfaceFlags::IFF_UP | InterfaceFlags::IFF_MULTICAST;
    let mut interfaces: Vec<(String, Vec<IpAddr>)> = Vec::new();
    for one in getifaddrs()? {
        if !one.flags.contains(wanted) || one.flags.contains(InterfaceFlags::IFF_LOOPBACK) {
            continue;
        }
        let Some(address) = ip(one.address.as_ref()) else {
            continue;
        };
        let room = interfaces.len() < MAX_NETWORKS;
        let known = interfaces
            .iter_mut()
            .find(|(name, _)| *name == one.interface_name);
        match known {
            Some((_, addresses)) => addresses.push(address),
            None if room => {
                interfaces.push((one.interface_name, vec![address]));
            }
            None => {}
        }
    }
    for (_, addresses) in &mut interfaces {
        addresses.sort_unstable();
    }
    Ok(interfaces)
}

fn open(group: IpAddr, name: &str) -> io::Result<(SocketAddr, Socket)> {
    let group = SocketAddr::new(group, PORT);
    let interface = Interface::find(name)?;
    let socket = Socket::listen(&ListenOptions {
        address: Some(group),
        interface: Some(interface),
        buffer: BUFFER,
        send_buffer: BUFFER,
        group_hops: Some(HOPS),
        ..ListenOptions::default()
    })?;
    // For IPv6, the bound address includes the scope.
    let group = socket.local_addr()?;
    Ok((group, socket))
}
