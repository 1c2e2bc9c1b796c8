//! UDP sockets on Linux: open, join groups, send in batches, receive with the
//! kernel's receive time, and count what the kernel dropped.
//!
//! All methods take `&self`, so that one thread can send while another one waits.

mod batch;
mod drops;
mod membership;
mod messages;
mod open;
mod options;
mod route;
mod source_address;
#[cfg(test)]
mod tests;
mod timestamps;
mod wait;

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, RecvMsg, SockaddrStorage, recvmsg};
use nix::sys::time::TimeSpec;
use socket2::Domain;

use crate::address::plain;
use drops::Drops;
use membership::Membership;
use messages::{OutgoingMessage, send_messages};
use source_address::{SourceAddresses, SourceControl};
use timestamps::{Reading, Timestamps};

pub use batch::Batch;
pub use open::{ConnectOptions, DEFAULT_BUFFER, ListenOptions};
pub use route::{RouteMonitor, largest_datagram};
pub(crate) use wait::is_writable;
pub use wait::{Pollable, Waker, wait};

/// One UDP socket.
#[derive(Debug)]
pub struct Socket {
    inner: socket2::Socket,
    domain: Domain,
    /// Cleared for good if the system does not support batches.
    batch: AtomicBool,
    drops: Mutex<Drops>,
    /// Source addresses for answers, on a socket that listens on all addresses.
    sources: SourceAddresses,
    /// The group that the socket has joined.
    membership: Mutex<Option<Membership>>,
    timestamps: Mutex<Timestamps>,
}

/// A received datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Its bytes in the buffer. If the buffer has less than 65,507 bytes, which
    /// is the most that UDP carries, the datagram may be truncated.
    pub len: usize,
    /// Source address. IPv4 addresses are IPv4 even on an IPv6 socket.
    pub from: SocketAddr,
    /// When the kernel received it, on the monotonic clock.
    pub arrival: Duration,
    /// Datagrams that the kernel had dropped by then ([`Socket::dropped`]). New
    /// drops happened between the previous datagram and this one.
    pub dropped: u64,
    /// The address of this machine that it was sent to, on a socket that listens
    /// on all addresses; `None` for a group.
    pub local: Option<IpAddr>,
}

impl Socket {
    /// Answers a datagram from the address that it was sent to.
    ///
    /// # Errors
    /// Those of [`send`](Self::send).
    pub fn reply(&self, received: &Received, datagram: &[u8]) -> io::Result<()> {
        let to = Some(received.from);
        self.send_from(received.local, to, &[DatagramRun::one(datagram)])
            .1
    }

    /// From now on, sends to this peer from the address that it wrote to. Call it
    /// only for peers that are served, because each is remembered.
    pub fn remember(&self, received: &Received) {
        if let Some(local) = received.local {
            self.sources.remember(received.from, local);
        }
    }

    /// Sends to this peer from the address that the routes choose.
    pub fn forget(&self, peer: SocketAddr) {
        self.sources.forget(peer);
    }

    /// Sends `datagrams`, which are concatenated in one buffer; each has
    /// `segment` bytes, except the last, which may be shorter. `to` is `None` on
    /// a connected socket. Waits at most a tenth of a second for room in the send
    /// buffer.
    ///
    /// # Errors
    /// The first error of the system; the remaining datagrams were not sent.
    /// Exception: if the error [`is_refused`], all datagrams were sent, and the
    /// error answers an earlier one.
    pub fn send(&self, to: Option<SocketAddr>, datagrams: &[u8], segment: usize) -> io::Result<()> {
        self.send_runs(to, &[DatagramRun { datagrams, segment }]).1
    }

    /// Like [`send`](Self::send), but several runs of datagrams, in as few calls as possible. Also
    /// returns how many datagrams were sent.
    pub fn send_runs(
        &self,
        to: Option<SocketAddr>,
        runs: &[DatagramRun<'_>],
    ) -> (usize, io::Result<()>) {
        let source = to.and_then(|to| self.sources.source(to));
        self.send_from(source, to, runs)
    }

    fn send_from(
        &self,
        source: Option<IpAddr>,
        to: Option<SocketAddr>,
        runs: &[DatagramRun<'_>],
    ) -> (usize, io::Result<()>) {
        let v6 = self.domain == Domain::IPV6;
        let mut call = Call {
            socket: self,
            peer: to,
            to: to.map(|to| SockaddrStorage::from(self.native(to))),
            source: source.map(|source| (source, SourceControl::new(source, v6))),
            refused: None,
            sent: 0,
        };
        let sent = self.send_all(&mut call, runs);
        let sent = sent.and(call.refused.map_or(Ok(()), Err));
        (call.sent, sent.map_err(io::Error::from))
    }

    fn send_all(&self, call: &mut Call<'_>, runs: &[DatagramRun<'_>]) -> Result<(), Errno> {
        let batch = self.batch.load(Ordering::Relaxed);
        let messages = runs.iter().flat_map(|run| run.messages(batch));
        let messages: Vec<_> = messages.collect();
        let mut left = &messages[..];
        while let Some(first) = left.first() {
            let taken = match (call.send(left), first.segment) {
                (Err(errno), Some(segment)) if cannot_batch(errno) => {
                    let segment = segment.into();
                    let datagrams = first.bytes.chunks(segment).map(OutgoingMessage::single);
                    let datagrams: Vec<_> = datagrams.collect();
                    let mut singly = &datagrams[..];
                    while !singly.is_empty() {
                        singly = &singly[call.send(singly)?..];
                    }
                    // Older kernels return the same error for a datagram that is too
                    // big. So batches are given up only after the datagrams could be
                    // sent one by one.
                    self.batch.store(false, Ordering::Relaxed);
                    1
                }
                (taken, _) => taken?,
            };
            left = &left[taken..];
        }
        Ok(())
    }

    /// Returns the next datagram in the receive buffer; `None` if there is none.
    ///
    /// # Errors
    /// An error that the network returned for an earlier datagram on a connected
    /// socket ([`is_refused`], [`is_too_big`]). It is returned once and does not
    /// refer to this datagram.
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

    /// Address and ancillary data of a received datagram. `None` if it has no
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

    /// Datagrams dropped since the socket was opened because its receive buffer
    /// was full; the few with a wrong UDP checksum count too. `None` if the
    /// kernel does not tell, or while a datagram waits to be received: it will
    /// carry the count of drops before it.
    pub fn dropped(&self) -> Option<u64> {
        let counter = options::dropped(&self.inner)?;
        // Read before checking for datagrams, so that drops after a datagram are
        // never counted before it.
        (!wait::is_ready(self)).then(|| lock(&self.drops).record(Some(counter)))
    }

    /// Continues the drop count of `before`, a socket that this one replaces.
    pub fn continue_drops_of(&self, before: &Self) {
        let lost = lock(&before.drops).record(None);
        lock(&self.drops).begin_at(lost);
    }

    /// The address and port that the socket is bound to.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        plain_socket_address(&self.inner)
    }

    /// Size of the receive buffer in bytes of datagrams: the size asked for,
    /// unless the system's limit is lower (`net.core.rmem_max`).
    pub fn receive_buffer(&self) -> io::Result<usize> {
        // Linux keeps and returns twice the value, for its own bookkeeping.
        Ok(self.inner.recv_buffer_size()? / 2)
    }

    /// Size of the send buffer in bytes of datagrams (limit:
    /// `net.core.wmem_max`).
    pub fn send_buffer(&self) -> io::Result<usize> {
        Ok(self.inner.send_buffer_size()? / 2)
    }

    /// `address` in the family of this socket.
    fn native(&self, address: SocketAddr) -> SocketAddr {
        match address.ip() {
            IpAddr::V4(v4) if self.domain == Domain::IPV6 => {
                (v4.to_ipv6_mapped(), address.port()).into()
            }
            _ => address,
        }
    }
}

/// Datagrams that are concatenated in one buffer; each has `segment` bytes, except the last, which
/// may be shorter.
#[derive(Clone, Copy, Debug)]
pub struct DatagramRun<'a> {
    /// The datagrams.
    pub datagrams: &'a [u8],
    /// Bytes of each but the last.
    pub segment: usize,
}

impl<'a> DatagramRun<'a> {
    fn one(datagram: &'a [u8]) -> Self {
        Self {
            datagrams: datagram,
            segment: datagram.len(),
        }
    }

    /// How many datagrams there are.
    pub fn count(&self) -> usize {
        self.datagrams.len().div_ceil(self.segment.max(1))
    }

    /// The messages that carry it, in batches or not.
    fn messages(self, batch: bool) -> impl Iterator<Item = OutgoingMessage<'a>> {
        let segment = self.segment.max(1);
        let most = if batch { batch_len(segment) } else { 1 };
        let messages = self.datagrams.chunks(segment * most);
        messages.map(move |bytes| OutgoingMessage {
            bytes,
            segment: (bytes.len() > segment).then_some(segment as u16),
        })
    }
}

impl<'a> OutgoingMessage<'a> {
    fn single(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            segment: None,
        }
    }

    fn datagrams(&self) -> usize {
        let segment = self.segment.map(usize::from);
        segment.map_or(1, |segment| self.bytes.len().div_ceil(segment))
    }
}

/// One call of [`Socket::send`].
struct Call<'a> {
    socket: &'a Socket,
    peer: Option<SocketAddr>,
    to: Option<SockaddrStorage>,
    source: Option<(IpAddr, SourceControl)>,
    refused: Option<Errno>,
    /// Number of datagrams sent.
    sent: usize,
}

impl Call<'_> {
    /// Sends the first messages of these, at least one. Returns how many.
    fn send(&mut self, messages: &[OutgoingMessage<'_>]) -> Result<usize, Errno> {
        loop {
            let source = self.source.as_ref().map(|(_, source)| source);
            match send_messages(self.socket.as_fd(), self.to.as_ref(), source, messages) {
                Ok(sent) => {
                    let datagrams = messages[..sent].iter().map(OutgoingMessage::datagrams);
                    self.sent += datagrams.sum::<usize>();
                    return Ok(sent);
                }
                Err(Errno::EINTR) => {}
                // The error belongs to an earlier datagram, but this one was not
                // sent: send it again.
                Err(errno @ Errno::ECONNREFUSED) => self.refused = Some(errno),
                Err(errno) if route::may_be(errno) && self.has_lost_source() => {}
                Err(errno) => return Err(errno),
            }
        }
    }

    /// Whether it should be sent from an address that this machine no longer has.
    /// If so, the routes choose the address.
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

/// Whether nothing listens at the destination. The other end may not have started
/// yet, or may restart.
pub fn is_refused(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ConnectionRefused
}

/// Whether the error can mean that an address, an interface or the network of
/// this machine is gone.
pub fn is_route_change(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    errno.is_some_and(route::may_be)
}

/// Whether a datagram was too big for the system or the path.
pub fn is_too_big(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::EMSGSIZE as i32)
}

/// Upper bound on the datagrams of one call. Linux takes at most 64
/// (`UDP_MAX_SEGMENTS`; newer kernels take twice as many) ...
const BATCH_DATAGRAMS: usize = 64;

/// ... and together they must be smaller than the largest IP packet.
const BATCH_BYTES: usize = 65_000;

fn batch_len(segment: usize) -> usize {
    (BATCH_BYTES / segment).clamp(1, BATCH_DATAGRAMS)
}

/// Whether the error means that the kernel, the driver or the path does not
/// support batches.
fn cannot_batch(errno: Errno) -> bool {
    matches!(errno, Errno::EIO | Errno::EINVAL | Errno::EOPNOTSUPP)
}

/// The address that a socket is bound to.
fn plain_socket_address(socket: &socket2::Socket) -> io::Result<SocketAddr> {
    let address = socket.local_addr()?.as_socket();
    address.ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
