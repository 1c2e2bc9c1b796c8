//! UDP on Linux: open, join, send in batches, receive with the kernel's receive
//! time, count what the kernel dropped.
//!
//! Every call is on a `&self`, so that one thread can send while another waits.

mod batch;
mod drops;
mod membership;
mod open;
mod options;
mod route;
mod source_address;
#[cfg(test)]
mod tests;
mod timestamps;
mod wait;

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, RecvMsg, SockaddrStorage, recvmsg, sendmsg,
};
use nix::sys::time::TimeSpec;
use socket2::Domain;

use crate::address::plain;
use drops::Drops;
use membership::Membership;
use source_address::{Source, SourceAddresses};
use timestamps::{Reading, Timestamps};

pub use batch::Batch;
pub use open::{ConnectOptions, DEFAULT_BUFFER, ListenOptions};
pub use route::RouteMonitor;
pub(crate) use wait::is_writable;
pub use wait::{Pollable, Waker, wait};

/// One UDP socket.
#[derive(Debug)]
pub struct Socket {
    inner: socket2::Socket,
    domain: Domain,
    /// Cleared for good when the system turns out not to take batches.
    batch: AtomicBool,
    drops: Mutex<Drops>,
    /// Where to answer from; on a socket that listens on all addresses.
    sources: SourceAddresses,
    /// The group that it listens to.
    membership: Mutex<Option<Membership>>,
    timestamps: Mutex<Timestamps>,
}

/// A datagram that was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Bytes of it in the buffer; a buffer of less than 65,507 bytes, the most
    /// that UDP carries, may have lost the end of it.
    pub len: usize,
    /// Where it came from. IPv4 is IPv4, even on an IPv6 socket.
    pub from: SocketAddr,
    /// When the kernel received it, on the monotonic clock.
    pub arrival: Duration,
    /// Datagrams that the kernel had dropped by then ([`Socket::dropped`]):
    /// those that are new lie between the one received before and this one.
    pub dropped: u64,
    /// The address of this machine that it came to, on a socket that listens on
    /// all of them; `None` where that was a group's.
    pub local: Option<IpAddr>,
}

impl Socket {
    /// Answers a datagram from the address that it came to.
    ///
    /// # Errors
    /// As for [`send`](Self::send).
    pub fn reply(&self, received: &Received, datagram: &[u8]) -> io::Result<()> {
        let to = Some(received.from);
        self.send_from(received.local, to, datagram, datagram.len())
            .1
    }

    /// Sends to a peer from the address that this datagram of it came to, from
    /// now on. For peers that are served: each is remembered.
    pub fn remember(&self, received: &Received) {
        if let Some(local) = received.local {
            self.sources.remember(received.from, local);
        }
    }

    /// Sends to a peer as the routes say.
    pub fn forget(&self, peer: SocketAddr) {
        self.sources.forget(peer);
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
        self.send_some(to, datagrams, segment).1
    }

    /// As [`send`](Self::send); tells as well how many of them were sent.
    pub fn send_some(
        &self,
        to: Option<SocketAddr>,
        datagrams: &[u8],
        segment: usize,
    ) -> (usize, io::Result<()>) {
        let source = to.and_then(|to| self.sources.source(to));
        self.send_from(source, to, datagrams, segment)
    }

    fn send_from(
        &self,
        source: Option<IpAddr>,
        to: Option<SocketAddr>,
        datagrams: &[u8],
        segment: usize,
    ) -> (usize, io::Result<()>) {
        let segment = segment.max(1);
        let v6 = self.domain == Domain::IPV6;
        let mut call = Call {
            socket: self,
            peer: to,
            to: to.map(|to| SockaddrStorage::from(self.native(to))),
            source: source.map(|source| (source, Source::new(source, v6))),
            refused: None,
            sent: 0,
        };
        let sent = self.send_all(&mut call, datagrams, segment);
        let sent = sent.and(call.refused.map_or(Ok(()), Err));
        (call.sent, sent.map_err(io::Error::from))
    }

    fn send_all(&self, call: &mut Call<'_>, datagrams: &[u8], segment: usize) -> Result<(), Errno> {
        for batch in datagrams.chunks(segment * batch_len(segment)) {
            let mut singly = true;
            if batch.len() > segment && self.batch.load(Ordering::Relaxed) {
                match call.send(batch, Some(segment)) {
                    Err(errno) if cannot_batch(errno) => {}
                    sent => {
                        sent?;
                        singly = false;
                    }
                }
            }
            if singly {
                for datagram in batch.chunks(segment) {
                    call.send(datagram, None)?;
                }
                // Older kernels say the same of a datagram that is too big:
                // batches are given up only when they passed one by one.
                self.batch
                    .fetch_and(batch.len() <= segment, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    /// The next datagram in the receive buffer, or `None` where there is none.
    ///
    /// # Errors
    /// What the network said of an earlier datagram on a connected socket
    /// ([`is_refused`], [`is_too_big`]): told once, and not about this one.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<Received>> {
        let mut control = nix::cmsg_space!(TimeSpec, libc::in6_pktinfo, u32);
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
                Err(Errno::EAGAIN) => {
                    lock(&self.timestamps).record_empty();
                    return Ok(None);
                }
                Err(errno) => return Err(errno.into()),
            };
            if let Some(received) = self.received(&message, Reading::now())? {
                return Ok(Some(received));
            }
        }
    }

    /// What is told with a datagram that was received. `None` where it has no
    /// address.
    fn received(
        &self,
        message: &RecvMsg<'_, '_, SockaddrStorage>,
        reading: Reading,
    ) -> io::Result<Option<Received>> {
        let Some(from) = message.address.as_ref().and_then(plain) else {
            return Ok(None);
        };
        let mut stamp = None;
        let mut dropped = None;
        let mut local = None;
        for control in message.cmsgs()? {
            match control {
                ControlMessageOwned::ScmTimestampns(time) => stamp = Some(time.into()),
                ControlMessageOwned::RxqOvfl(counter) => dropped = Some(counter),
                other => local = local.or(source_address::destination(&other)),
            }
        }
        Ok(Some(Received {
            len: message.bytes,
            from,
            arrival: lock(&self.timestamps).arrival(stamp, reading),
            dropped: lock(&self.drops).record(dropped),
            local,
        }))
    }

    /// Datagrams that the kernel dropped because this socket's receive buffer
    /// was full, since it was opened; the few with a false UDP checksum are
    /// among them. `None` where the kernel does not tell, and while something
    /// waits to be received, which will tell by itself what was dropped before
    /// it.
    pub fn dropped(&self) -> Option<u64> {
        let counter = options::dropped(&self.inner)?;
        // In this order: what was dropped behind a datagram is not to be
        // counted before it.
        (!wait::is_ready(self)).then(|| lock(&self.drops).record(Some(counter)))
    }

    /// Counts on from what another socket, whose place this one takes, lost.
    pub fn continue_drops_of(&self, before: &Self) {
        let lost = lock(&before.drops).record(None);
        lock(&self.drops).begin_at(lost);
    }

    /// The address and port that the socket is bound to.
    ///
    /// # Errors
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        plain_socket_address(&self.inner)
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

/// One call of [`Socket::send`].
struct Call<'a> {
    socket: &'a Socket,
    peer: Option<SocketAddr>,
    to: Option<SockaddrStorage>,
    source: Option<(IpAddr, Source)>,
    refused: Option<Errno>,
    /// Datagrams that were sent.
    sent: usize,
}

impl Call<'_> {
    /// Hands over one datagram, or several of `segment` bytes each.
    fn send(&mut self, bytes: &[u8], segment: Option<usize>) -> Result<(), Errno> {
        let segment = segment.and_then(|segment| u16::try_from(segment).ok());
        loop {
            let source = self.source.as_ref().map(|(_, source)| source.control());
            let segments = segment.as_ref().map(ControlMessage::UdpGsoSegments);
            let control: Vec<_> = source.into_iter().chain(segments).collect();
            let sent = sendmsg(
                self.socket.inner.as_raw_fd(),
                &[IoSlice::new(bytes)],
                &control,
                MsgFlags::empty(),
                self.to.as_ref(),
            );
            match sent {
                Ok(_) => {
                    self.sent += segment.map_or(1, |segment| bytes.len().div_ceil(segment.into()));
                    return Ok(());
                }
                Err(Errno::EINTR) => {}
                // It tells of an earlier datagram, once, and keeps this one back.
                Err(errno @ Errno::ECONNREFUSED) => self.refused = Some(errno),
                Err(errno) if route::may_be(errno) && self.has_lost_source() => {}
                Err(errno) => return Err(errno),
            }
        }
    }

    /// Whether it was to be sent from an address that this machine does not
    /// have any more: then it goes as the routes say.
    fn has_lost_source(&mut self) -> bool {
        let lost = self.source.take_if(|(source, _)| !route::is_own(*source));
        if let (Some(_), Some(peer)) = (&lost, self.peer) {
            self.socket.forget(peer);
        }
        lost.is_some()
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

/// Whether the system says this where an address or an interface of this
/// machine is gone, or the network is.
#[must_use]
pub fn is_route_change(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    errno.is_some_and(route::may_be)
}

/// Whether a datagram was too big for the system or the path.
#[must_use]
pub fn is_too_big(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::EMSGSIZE as i32)
}

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

/// What a socket is bound to.
fn plain_socket_address(socket: &socket2::Socket) -> io::Result<SocketAddr> {
    let address = socket.local_addr()?.as_socket();
    address.ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
