//! Opens sockets: for viewers to listen, for senders to send.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Type};

use super::drops::Drops;
use super::membership::Membership;
use super::source_address::SourceAddresses;
use super::timestamps::Timestamps;
use super::{Socket, lock, options};
use crate::DEFAULT_PORT;
use crate::address::is_broadcast;
use crate::interface::Interface;

/// Default size of socket buffers in bytes: a quarter of a second at 125 Mbit/s.
/// Debian allows it for every program.
pub const DEFAULT_BUFFER: usize = 4 << 20;

/// How a viewer listens.
#[derive(Clone, Debug)]
pub struct ListenOptions {
    /// Address to listen at; a multicast group is joined. `[::]` accepts IPv4
    /// too, and becomes `0.0.0.0` on a machine without IPv6. `None`: `[::]` at
    /// [`DEFAULT_PORT`].
    pub address: Option<SocketAddr>,
    /// Interface on which a group is joined; `None` lets the routes choose.
    pub interface: Option<Interface>,
    /// Requested size of the receive buffer in bytes.
    pub buffer: usize,
    /// Requested size of the send buffer in bytes.
    pub send_buffer: usize,
    /// Whether IP may fragment datagrams ([`ConnectOptions::fragment`]).
    pub fragment: bool,
    /// For a group to which the socket also sends through the interface: the hop
    /// limit. Then only datagrams from that interface are received.
    pub group_hops: Option<u8>,
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self {
            address: None,
            interface: None,
            buffer: DEFAULT_BUFFER,
            send_buffer: DEFAULT_BUFFER,
            fragment: false,
            group_hops: None,
        }
    }
}

/// How a sender sends.
#[derive(Clone, Debug)]
pub struct ConnectOptions {
    /// Whether sending to a broadcast address is intended.
    pub broadcast: bool,
    /// Interface for a group or a broadcast; `None` lets the routes choose.
    pub interface: Option<Interface>,
    /// Hop limit of datagrams to a group, from 0 (this machine only) and 1 (this
    /// network) up to 255.
    pub multicast_hops: u8,
    /// Whether programs on this machine receive what is sent to a group.
    pub multicast_loop: bool,
    /// Whether IP may fragment datagrams. Otherwise a datagram that does not fit
    /// the path is an error ([`is_too_big`](super::is_too_big)).
    pub fragment: bool,
    /// Whether the kernel may take many datagrams in one call. Packet filters on
    /// this machine then see them as one.
    pub batch: bool,
    /// Requested size of the send buffer in bytes.
    pub buffer: usize,
    /// Requested size of the receive buffer in bytes.
    pub receive_buffer: usize,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            broadcast: false,
            interface: None,
            multicast_hops: 1,
            multicast_loop: true,
            fragment: false,
            batch: true,
            buffer: DEFAULT_BUFFER,
            receive_buffer: DEFAULT_BUFFER,
        }
    }
}

impl Socket {
    /// Opens a socket to receive on. Joins the group if the address is one.
    ///
    /// # Errors
    /// If the address is in use or does not belong to this machine, or the group
    /// cannot be joined on the interface.
    pub fn listen(listen: &ListenOptions) -> io::Result<Self> {
        let address = listen
            .address
            .unwrap_or_else(|| (Ipv6Addr::UNSPECIFIED, DEFAULT_PORT).into());
        let socket = match Self::bound(address, listen) {
            Err(error) if address.ip() == Ipv6Addr::UNSPECIFIED && lacks_ipv6(&error) => {
                Self::bound((Ipv4Addr::UNSPECIFIED, address.port()).into(), listen)
            }
            other => other,
        };
        socket.map_err(|error| {
            let mut what = format!("cannot listen on {address}");
            if error.raw_os_error() == Some(Errno::ENODEV as i32) {
                what += ", because no route leads there and no interface was named";
            }
            explained(&error, &what)
        })
    }

    fn bound(mut address: SocketAddr, listen: &ListenOptions) -> io::Result<Self> {
        let socket = Self::open(address)?;
        let inner = &socket.inner;
        inner.set_recv_buffer_size(listen.buffer)?;
        inner.set_send_buffer_size(listen.send_buffer)?;
        if listen.fragment {
            options::allow_fragments(inner, socket.domain)?;
            socket.batch.store(false, Ordering::Relaxed);
        }
        let interface = listen.interface.as_ref();
        if let (SocketAddr::V6(v6), Some(interface)) = (&mut address, interface)
            && v6.ip().is_multicast()
            && v6.scope_id() == 0
        {
            v6.set_scope_id(interface.index);
        }
        if address.ip().is_multicast() {
            // Several viewers on one machine may listen to one group.
            inner.set_reuse_address(true)?;
        }
        inner.bind(&address.into())?;
        if address.ip().is_unspecified() {
            options::tell_destinations(inner, socket.domain)?;
        }
        if let (Some(hops), Some(interface)) = (listen.group_hops, interface) {
            socket.send_to_group(address, interface, hops)?;
        }
        match address {
            SocketAddr::V4(v4) if v4.ip().is_multicast() => {
                let index = interface.map_or(0, |interface| interface.index);
                inner.join_multicast_v4_n(v4.ip(), &InterfaceIndexOrAddress::Index(index))?;
            }
            SocketAddr::V6(v6) if v6.ip().is_multicast() => {
                inner.join_multicast_v6(v6.ip(), v6.scope_id())?;
            }
            _ => {}
        }
        if address.ip().is_multicast() {
            let interface = listen.interface.clone();
            *lock(&socket.membership) = Some(Membership::new(address, interface));
        }
        Ok(socket)
    }

    fn send_to_group(&self, group: SocketAddr, interface: &Interface, hops: u8) -> io::Result<()> {
        if group.is_ipv4() {
            self.inner.set_multicast_if_v4(&interface.ipv4()?)?;
            self.inner.set_multicast_ttl_v4(hops.into())?;
            self.inner.set_multicast_all_v4(false)
        } else {
            self.inner.set_multicast_if_v6(interface.index)?;
            self.inner.set_multicast_hops_v6(hops.into())?;
            self.inner.set_multicast_all_v6(false)
        }
    }

    /// Opens a socket to send to one destination. For a single machine, the
    /// socket is connected, so that "connection refused" is reported. For a group
    /// or a broadcast, each call of [`send`](Self::send) names the destination.
    ///
    /// # Errors
    /// If the destination cannot be reached, or is a broadcast address without
    /// `broadcast` set.
    pub fn connect(mut destination: SocketAddr, options: &ConnectOptions) -> io::Result<Self> {
        destination.set_ip(destination.ip().to_canonical());
        Self::opened_towards(destination, options)
            .map_err(|error| explained(&error, &destination.to_string()))
    }

    fn opened_towards(destination: SocketAddr, options: &ConnectOptions) -> io::Result<Self> {
        let socket = Self::open(destination)?;
        let inner = &socket.inner;
        inner.set_send_buffer_size(options.buffer)?;
        inner.set_recv_buffer_size(options.receive_buffer)?;
        socket.batch.store(options.batch, Ordering::Relaxed);
        if options.fragment {
            options::allow_fragments(inner, socket.domain)?;
            socket.batch.store(false, Ordering::Relaxed);
        }
        let broadcast = is_broadcast(destination.ip());
        if broadcast && !options.broadcast {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "it is a broadcast address, but broadcasts were not requested",
            ));
        }
        inner.set_broadcast(broadcast)?;
        let hops = u32::from(options.multicast_hops);
        let interface = options.interface.as_ref();
        match destination {
            SocketAddr::V4(v4) if v4.ip().is_multicast() => {
                inner.set_multicast_ttl_v4(hops)?;
                inner.set_multicast_loop_v4(options.multicast_loop)?;
                if let Some(interface) = interface {
                    inner.set_multicast_if_v4(&interface.ipv4()?)?;
                }
            }
            SocketAddr::V6(v6) if v6.ip().is_multicast() => {
                inner.set_multicast_hops_v6(hops)?;
                inner.set_multicast_loop_v6(options.multicast_loop)?;
                if let Some(interface) = interface {
                    inner.set_multicast_if_v6(interface.index)?;
                }
            }
            _ if broadcast => {
                if let Some(interface) = interface {
                    inner.bind(&SocketAddr::from((interface.ipv4()?, 0)).into())?;
                }
            }
            _ => inner.connect(&destination.into())?,
        }
        Ok(socket)
    }

    fn open(address: SocketAddr) -> io::Result<Self> {
        let domain = Domain::for_address(address);
        let inner = socket2::Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
        if domain == Domain::IPV6 {
            inner.set_only_v6(address.ip() != Ipv6Addr::UNSPECIFIED)?;
        }
        inner.set_write_timeout(Some(SEND_TIMEOUT))?;
        options::forbid_fragments(&inner, domain)?;
        options::stamp_arrivals(&inner)?;
        options::tell_drops(&inner)?;
        Ok(Self {
            inner,
            domain,
            batch: AtomicBool::new(true),
            drops: Mutex::new(Drops::default()),
            sources: SourceAddresses::default(),
            membership: Mutex::new(None),
            timestamps: Mutex::new(Timestamps::begin()),
        })
    }
}

/// Longest wait for room in the send buffer: three frames at 30 per second. Later
/// datagrams are no longer live.
const SEND_TIMEOUT: Duration = Duration::from_millis(100);

fn lacks_ipv6(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::EAFNOSUPPORT as i32)
        || error.kind() == io::ErrorKind::AddrNotAvailable
}

fn explained(error: &io::Error, what: &str) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}
