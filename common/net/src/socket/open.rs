//! Opening sockets: how a viewer listens, how a sender sends.

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

/// The socket buffer to ask for by default: a quarter of a second at 125 Mbit/s,
/// and what Debian lets any program have.
pub const DEFAULT_BUFFER: usize = 4 << 20;

/// How a viewer listens.
#[derive(Clone, Debug)]
pub struct ListenOptions {
    /// Where; a multicast group is joined. `[::]` takes IPv4 too, and becomes
    /// `0.0.0.0` on a machine without IPv6. `None`: `[::]` at [`DEFAULT_PORT`].
    pub address: Option<SocketAddr>,
    /// The interface on which a group is joined; `None`: as the routes say.
    pub interface: Option<Interface>,
    /// Receive buffer to ask the kernel for, in bytes.
    pub buffer: usize,
    /// Send buffer to ask the kernel for, in bytes.
    pub send_buffer: usize,
    /// Whether IP may cut what is sent into fragments ([`ConnectOptions::fragment`]).
    pub fragment: bool,
    /// For a group that is sent to as well, by the interface: how many routers
    /// a datagram passes, plus one. Then only what comes by that interface is
    /// heard.
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
    /// Whether a broadcast address is meant as such.
    pub broadcast: bool,
    /// The interface for a group or a broadcast; `None`: as the routes say.
    pub interface: Option<Interface>,
    /// How many routers a datagram to a group passes, plus one: 0 (this
    /// machine), 1 (this network) to 255.
    pub multicast_hops: u8,
    /// Whether programs on this machine hear what is sent to a group.
    pub multicast_loop: bool,
    /// Whether IP may cut a datagram into fragments. Otherwise one that does
    /// not fit the path is an error ([`is_too_big`](super::is_too_big)).
    pub fragment: bool,
    /// Whether the kernel may be handed many datagrams in one call. Packet
    /// filters on this machine then see them as one.
    pub batch: bool,
    /// Send buffer to ask the kernel for, in bytes.
    pub buffer: usize,
    /// Receive buffer to ask the kernel for, in bytes.
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
    /// Opens a socket to receive on, and joins the group if the address is one.
    ///
    /// # Errors
    /// Where the address is in use or not of this machine, or the group cannot
    /// be joined on the interface.
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
                what += ", since no route says by which interface, and none was named";
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
            // Several viewers of one group on one machine.
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

    /// Opens a socket to send to one destination. It is connected to a single
    /// machine, so that the machine's refusals come back as errors; for a group
    /// or a broadcast the destination is named with every call of
    /// [`send`](Self::send).
    ///
    /// # Errors
    /// Where the destination cannot be reached from this machine, or is a
    /// broadcast address that was not meant as such.
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
                "a broadcast address, and broadcasts were not asked for",
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

/// How long a full send buffer holds up a call: three frames at 30 a second;
/// what is sent later is not live any more.
const SEND_TIMEOUT: Duration = Duration::from_millis(100);

fn lacks_ipv6(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::EAFNOSUPPORT as i32)
        || error.kind() == io::ErrorKind::AddrNotAvailable
}

fn explained(error: &io::Error, what: &str) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}
