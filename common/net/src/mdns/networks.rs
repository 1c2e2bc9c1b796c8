//! The groups of multicast DNS, on every network that this machine is in.
//!
//! Sockets are bound to the groups themselves: what is sent to this machine
//! alone does not reach them, and so comes from the networks that it is in
//! (<https://www.rfc-editor.org/rfc/rfc6762#section-11>).

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

/// Networks that are looked at: machines with more are routers.
const MAX_NETWORKS: usize = 64;

/// The buffers of a socket: a handful of the longest messages.
const BUFFER: usize = 128 << 10;

/// As far as the group is one of the network
/// (<https://www.rfc-editor.org/rfc/rfc6762#section-11>).
const HOPS: u8 = 255;

/// All networks of this machine, as of the last look.
#[derive(Debug, Default)]
pub struct LocalNetworks {
    networks: Vec<Network>,
    /// The socket that is read next, in turn: a busy network does not starve the
    /// others.
    next: usize,
}

#[derive(Debug)]
struct Network {
    name: String,
    number: u32,
    addresses: Vec<IpAddr>,
    /// By protocol, each with its group.
    sockets: Vec<(SocketAddr, Socket)>,
}

impl LocalNetworks {
    /// Those that there are now; none, where no interface is up.
    ///
    /// # Errors
    /// Where there are some and the port cannot be had on any.
    pub fn open() -> io::Result<Self> {
        let mut networks = Self::default();
        networks.look()?;
        Ok(networks)
    }

    /// Looks at the interfaces again, and opens sockets for what is new.
    pub fn look(&mut self) -> io::Result<()> {
        let mut failed = None;
        let mut networks = Vec::new();
        for (name, addresses) in interfaces()? {
            let Ok(number) = if_nametoindex(name.as_str()) else {
                continue;
            };
            let same = |known: &Network| {
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
                networks.push(Network {
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

    /// Their numbers, which are those of the interfaces, and this machine's
    /// addresses there.
    pub fn all(&self) -> impl Iterator<Item = (u32, &[IpAddr])> {
        self.networks
            .iter()
            .map(|network| (network.number, network.addresses.as_slice()))
    }

    /// The next datagram: the network that it came from, and its length. One
    /// that was not sent from the port of the groups wants an answer to its own
    /// address, and gets none
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
            // What the network says of an earlier one is no news.
            if let Ok(Some(received)) = socket.receive(buffer)
                && received.from.port() == PORT
            {
                return Some((number, received.len.min(buffer.len())));
            }
        }
        None
    }

    /// Sends to the groups of one network, or of all. What cannot be sent is as
    /// good as lost, and is asked for again.
    pub fn send(&self, number: Option<u32>, datagram: &[u8]) {
        for network in &self.networks {
            if number.is_none_or(|number| number == network.number) {
                for (group, socket) in &network.sockets {
                    let _ = socket.send(Some(*group), datagram, datagram.len());
                }
            }
        }
    }

    /// Waits for a datagram, as [`wait`] does.
    pub fn wait(&self, waker: &Waker, timeout: Duration) -> io::Result<()> {
        let sockets = self.networks.iter().flat_map(|network| &network.sockets);
        let sockets: Vec<_> = sockets.map(|(_, socket)| socket as _).collect();
        wait(&sockets, waker, Some(timeout)).map(drop)
    }
}

/// Tries to send a question to a group.
///
/// # Errors
/// Where no interface reaches one: what the system says of the first one.
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

/// Sends the header of a question, with no question behind it.
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

/// Interfaces that are up and have groups, each with its addresses, in order.
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
    // With the interface in it, where the protocol wants that.
    let group = socket.local_addr()?;
    Ok((group, socket))
}
