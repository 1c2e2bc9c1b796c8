//! UDP on Linux: the one module with sockets. Open, join, send in batches,
//! receive with the kernel's receive time, count what the kernel dropped.
//!
//! Knows nothing of packets or frames. Every call is on a `&self`, so that one
//! thread can send while another waits.

#![expect(
    clippy::disallowed_types,
    reason = "the one place that may have sockets"
)]

mod address;
mod option;
#[cfg(test)]
mod tests;
mod wait;

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg,
};
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Type};

use crate::os;
pub use address::{Interface, is_broadcast, local_addresses, resolve};
pub use wait::{Waker, wait};

/// The port that viewers listen on unless told otherwise.
pub const DEFAULT_PORT: u16 = 5005;

/// The largest payload a UDP datagram can carry, over IPv4: 65,535 bytes less
/// the IP and UDP headers. A buffer of this size receives any datagram whole.
pub const LARGEST_DATAGRAM: usize = 65_507;

/// The socket buffer to ask for by default: a quarter of a second at 125 Mbit/s,
/// and what Debian lets any program have.
pub const DEFAULT_BUFFER: usize = 4 << 20;

/// How a viewer listens.
#[derive(Clone, Debug)]
pub struct Listen {
    /// Where; a multicast group is joined. `[::]` takes IPv4 too, and becomes
    /// `0.0.0.0` on a machine without IPv6. `None`: `[::]` at [`DEFAULT_PORT`].
    pub address: Option<SocketAddr>,
    /// The interface on which a group is joined; `None`: as the routes say.
    pub interface: Option<Interface>,
    /// Receive buffer to ask the kernel for, in bytes.
    pub buffer: usize,
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            address: None,
            interface: None,
            buffer: DEFAULT_BUFFER,
        }
    }
}

/// How a sender sends.
#[derive(Clone, Debug)]
pub struct Towards {
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
    /// not fit the path is an error ([`is_too_big`]).
    pub fragment: bool,
    /// Whether the kernel may be handed many datagrams in one call. Packet
    /// filters on this machine then see them as one.
    pub batch: bool,
    /// Send buffer to ask the kernel for, in bytes.
    pub buffer: usize,
}

impl Default for Towards {
    fn default() -> Self {
        Self {
            broadcast: false,
            interface: None,
            multicast_hops: 1,
            multicast_loop: true,
            fragment: false,
            batch: true,
            buffer: DEFAULT_BUFFER,
        }
    }
}

/// One UDP socket.
#[derive(Debug)]
pub struct Socket {
    inner: socket2::Socket,
    domain: Domain,
    /// Cleared for good when the system turns out not to take batches.
    batch: AtomicBool,
    /// The kernel's 32-bit drop counter, extended.
    dropped: AtomicU64,
    /// The newest receive time, in nanoseconds of the monotonic clock.
    newest: AtomicU64,
}

/// A datagram that was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Bytes of it in the buffer; a buffer smaller than [`LARGEST_DATAGRAM`]
    /// may have lost the end of it.
    pub len: usize,
    /// Where it came from. IPv4 is IPv4, even on an IPv6 socket.
    pub from: SocketAddr,
    /// When the kernel received it, on the monotonic clock.
    pub arrival: Duration,
}

impl Socket {
    /// Opens a socket to receive on, and joins the group if the address is one.
    ///
    /// # Errors
    /// Where the address is in use or not of this machine, or the group cannot
    /// be joined on the interface.
    pub fn listen(listen: &Listen) -> io::Result<Self> {
        let address = listen
            .address
            .unwrap_or_else(|| (Ipv6Addr::UNSPECIFIED, DEFAULT_PORT).into());
        let socket = match Self::bound(address, listen) {
            Err(error) if address.ip() == Ipv6Addr::UNSPECIFIED && lacks_ipv6(&error) => {
                Self::bound((Ipv4Addr::UNSPECIFIED, address.port()).into(), listen)
            }
            other => other,
        };
        socket.map_err(|error| explained(&error, &format!("cannot listen on {address}")))
    }

    fn bound(mut address: SocketAddr, listen: &Listen) -> io::Result<Self> {
        let socket = Self::open(address)?;
        let inner = &socket.inner;
        inner.set_recv_buffer_size(listen.buffer)?;
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
        Ok(socket)
    }

    /// Opens a socket to send to one destination. It is connected to a single
    /// machine, so that the machine's refusals come back as errors; for a group
    /// or a broadcast the destination is named with every call of
    /// [`send`](Self::send).
    ///
    /// # Errors
    /// Where the destination cannot be reached from this machine, or is a
    /// broadcast address that was not meant as such.
    pub fn towards(mut destination: SocketAddr, towards: &Towards) -> io::Result<Self> {
        destination.set_ip(destination.ip().to_canonical());
        Self::opened_towards(destination, towards)
            .map_err(|error| explained(&error, &format!("cannot send to {destination}")))
    }

    fn opened_towards(destination: SocketAddr, towards: &Towards) -> io::Result<Self> {
        let socket = Self::open(destination)?;
        let inner = &socket.inner;
        inner.set_send_buffer_size(towards.buffer)?;
        socket.batch.store(towards.batch, Ordering::Relaxed);
        if towards.fragment {
            option::allow_fragments(inner, socket.domain)?;
            socket.batch.store(false, Ordering::Relaxed);
        }
        let broadcast = is_broadcast(destination.ip());
        if broadcast && !towards.broadcast {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "it is a broadcast address, and --broadcast does not say that it is meant",
            ));
        }
        inner.set_broadcast(broadcast)?;
        let hops = u32::from(towards.multicast_hops);
        let interface = towards.interface.as_ref();
        match destination {
            SocketAddr::V4(v4) if v4.ip().is_multicast() => {
                inner.set_multicast_ttl_v4(hops)?;
                inner.set_multicast_loop_v4(towards.multicast_loop)?;
                if let Some(interface) = interface {
                    inner.set_multicast_if_v4(&interface.ipv4()?)?;
                }
            }
            SocketAddr::V6(v6) if v6.ip().is_multicast() => {
                inner.set_multicast_hops_v6(hops)?;
                inner.set_multicast_loop_v6(towards.multicast_loop)?;
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
        option::forbid_fragments(&inner, domain)?;
        option::stamp_arrivals(&inner)?;
        Ok(Self {
            inner,
            domain,
            batch: AtomicBool::new(true),
            dropped: AtomicU64::new(0),
            newest: AtomicU64::new(nanoseconds(os::now())),
        })
    }

    /// Sends `datagrams`: one after the other in one buffer, each of `segment`
    /// bytes but the last, which may be shorter. `to` is `None` on a connected
    /// socket. Waits at most a tenth of a second for room in the send buffer.
    ///
    /// # Errors
    /// The first that the system told; the datagrams behind it were not sent.
    /// But all were sent when the error [`is_refused`]: that is the answer to
    /// an earlier datagram.
    pub fn send(&self, to: Option<SocketAddr>, datagrams: &[u8], segment: usize) -> io::Result<()> {
        let to = to.map(|to| SockaddrStorage::from(self.native(to)));
        let segment = segment.max(1);
        let mut refused: Option<Errno> = None;
        for batch in datagrams.chunks(segment * batch_len(segment)) {
            if batch.len() > segment && self.batch.load(Ordering::Relaxed) {
                match self.send_once(to.as_ref(), batch, Some(segment), &mut refused) {
                    Err(errno) if cannot_batch(errno) => {}
                    other => {
                        other?;
                        continue;
                    }
                }
                // Older kernels say the same of a datagram that is too big:
                // batches are given up only when they pass one by one.
                self.send_singly(to.as_ref(), batch, segment, &mut refused)?;
                self.batch.store(false, Ordering::Relaxed);
            } else {
                self.send_singly(to.as_ref(), batch, segment, &mut refused)?;
            }
        }
        refused.map_or(Ok(()), |errno| Err(errno.into()))
    }

    fn send_singly(
        &self,
        to: Option<&SockaddrStorage>,
        datagrams: &[u8],
        segment: usize,
        refused: &mut Option<Errno>,
    ) -> Result<(), Errno> {
        datagrams
            .chunks(segment)
            .try_for_each(|datagram| self.send_once(to, datagram, None, refused))
    }

    fn send_once(
        &self,
        to: Option<&SockaddrStorage>,
        bytes: &[u8],
        segment: Option<usize>,
        refused: &mut Option<Errno>,
    ) -> Result<(), Errno> {
        let segment = segment.and_then(|segment| u16::try_from(segment).ok());
        let control = segment.as_ref().map(ControlMessage::UdpGsoSegments);
        loop {
            let sent = sendmsg(
                self.inner.as_raw_fd(),
                &[IoSlice::new(bytes)],
                control.as_slice(),
                MsgFlags::empty(),
                to,
            );
            match sent {
                Ok(_) => return Ok(()),
                Err(Errno::EINTR) => {}
                // It tells of an earlier datagram, once, and keeps this one back.
                Err(errno @ Errno::ECONNREFUSED) => *refused = Some(errno),
                Err(errno) => return Err(errno),
            }
        }
    }

    /// The next datagram in the receive buffer, or `None` where there is none.
    ///
    /// # Errors
    /// What the network said of an earlier datagram on a connected socket
    /// ([`is_refused`], [`is_too_big`]): told once, and not about this one.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<Received>> {
        let mut control = nix::cmsg_space!(TimeSpec);
        loop {
            let mut buffers = [IoSliceMut::new(buffer)];
            let message = match recvmsg::<SockaddrStorage>(
                self.inner.as_raw_fd(),
                &mut buffers,
                Some(&mut control),
                MsgFlags::MSG_DONTWAIT,
            ) {
                Ok(message) => message,
                Err(Errno::EINTR) => continue,
                Err(Errno::EAGAIN) => return Ok(None),
                Err(errno) => return Err(errno.into()),
            };
            let Some(from) = message.address.as_ref().and_then(plain) else {
                continue;
            };
            let stamp = message.cmsgs()?.find_map(|control| match control {
                ControlMessageOwned::ScmTimestampns(stamp) => Some(Duration::from(stamp)),
                _ => None,
            });
            return Ok(Some(Received {
                len: message.bytes,
                from,
                arrival: self.arrival(stamp),
            }));
        }
    }

    /// The kernel's receive time on the monotonic clock: never in the future
    /// and never before that of the datagram received before it, whatever is
    /// done to the calendar clock that it was taken from.
    fn arrival(&self, stamp: Option<Duration>) -> Duration {
        let now = os::now();
        let calendar = clock_gettime(ClockId::CLOCK_REALTIME).map(Duration::from);
        let age = match (calendar, stamp) {
            (Ok(calendar), Some(stamp)) => calendar.saturating_sub(stamp),
            _ => Duration::ZERO,
        };
        let arrival = nanoseconds(now.saturating_sub(age));
        let newest = self.newest.fetch_max(arrival, Ordering::Relaxed);
        Duration::from_nanos(arrival.max(newest))
    }

    /// Datagrams that the kernel dropped because this socket's receive buffer
    /// was full, since it was opened; the few with a false UDP checksum are
    /// among them. `None` where the kernel does not tell.
    pub fn dropped(&self) -> Option<u64> {
        let counter = option::dropped(&self.inner)?;
        let extended = |before: u64| {
            let more = counter.wrapping_sub(before as u32);
            Some(before + u64::from(more))
        };
        let update = self
            .dropped
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, extended);
        update.ok().and_then(extended)
    }

    /// The address and port that the socket is bound to.
    ///
    /// # Errors
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        let address = self.inner.local_addr()?;
        address
            .as_socket()
            .ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
    }

    /// Bytes of datagrams that the receive buffer takes: as many as asked for,
    /// unless the system allows fewer (`net.core.rmem_max`).
    ///
    /// # Errors
    /// What the system says.
    pub fn receive_buffer(&self) -> io::Result<usize> {
        // Linux keeps and tells twice the value, for its own bookkeeping.
        Ok(self.inner.recv_buffer_size()? / 2)
    }

    /// Bytes of datagrams that the send buffer takes (`net.core.wmem_max`).
    ///
    /// # Errors
    /// What the system says.
    pub fn send_buffer(&self) -> io::Result<usize> {
        Ok(self.inner.send_buffer_size()? / 2)
    }

    /// `address` in the form that this socket's family takes.
    fn native(&self, address: SocketAddr) -> SocketAddr {
        match address.ip() {
            IpAddr::V4(v4) if self.domain == Domain::IPV6 => {
                (v4.to_ipv6_mapped(), address.port()).into()
            }
            _ => address,
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

/// Whether nothing listens at the destination: the other end may not have
/// started yet, or may start again.
#[must_use]
pub fn is_refused(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ConnectionRefused
}

/// Whether a datagram was too big for the system or the path.
#[must_use]
pub fn is_too_big(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::EMSGSIZE as i32)
}

/// How long a full send buffer holds up a call: three frames at 30 a second;
/// what is sent later is not live any more.
const SEND_TIMEOUT: Duration = Duration::from_millis(100);

/// Linux takes at most 64 datagrams in one call (`UDP_MAX_SEGMENTS`; newer
/// kernels twice that) ...
const BATCH_DATAGRAMS: usize = 64;

/// ... and together they must be less than the largest IP packet.
const BATCH_BYTES: usize = 65_000;

fn batch_len(segment: usize) -> usize {
    (BATCH_BYTES / segment).clamp(1, BATCH_DATAGRAMS)
}

/// What the kernel says where it, the driver or the path does not take batches.
fn cannot_batch(errno: Errno) -> bool {
    matches!(errno, Errno::EIO | Errno::EINVAL | Errno::EOPNOTSUPP)
}

fn lacks_ipv6(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::EAFNOSUPPORT as i32)
        || error.kind() == io::ErrorKind::AddrNotAvailable
}

fn plain(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| SocketAddr::from(*v4));
    let mut plain = v4.or_else(|| address.as_sockaddr_in6().map(|v6| SocketAddr::from(*v6)))?;
    if let Some(v4) = plain.is_ipv6().then(|| plain.ip().to_canonical())
        && v4.is_ipv4()
    {
        plain.set_ip(v4);
    }
    Some(plain)
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn explained(error: &io::Error, what: &str) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}
