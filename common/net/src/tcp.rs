//! Packets over TCP, each preceded by its length in two bytes, big-endian
//! (<https://www.rfc-editor.org/rfc/rfc4571#section-2>).

pub(crate) mod incoming;
#[cfg(test)]
mod tests;

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};
use socket2::{Domain, Protocol, Type};

use self::incoming::ReadBuffer;
use crate::socket::{Pollable, is_writable};

/// Bytes that the kernel takes beyond what it has sent. The limit is low, so that
/// a frame waits where a newer one can still replace it, and high enough to keep
/// the connection busy until this program wakes up.
const MAX_UNSENT: u32 = 16 << 10;

/// A connection whose peer acknowledges nothing for this long is broken. An image
/// this old is of no use.
const USER_TIMEOUT: Duration = Duration::from_secs(8);

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 16;

/// A connection. No call blocks.
#[derive(Debug)]
pub struct Connection {
    socket: socket2::Socket,
    peer: SocketAddr,
    is_established: bool,
    /// Whether the kernel had room at the last check.
    is_ready: bool,
    incoming: ReadBuffer,
    /// Bytes for the kernel, and how many of them it has taken.
    outgoing: Vec<u8>,
    taken: usize,
}

impl Connection {
    /// Starts to connect.
    ///
    /// # Errors
    /// If there is no route to `peer`.
    pub fn connect(peer: SocketAddr) -> io::Result<Self> {
        let socket = open(peer)?;
        match socket.connect(&peer.into()) {
            Err(error) if error.raw_os_error() != Some(Errno::EINPROGRESS as i32) => Err(error),
            _ => Self::new(socket, peer, false),
        }
    }

    fn new(socket: socket2::Socket, peer: SocketAddr, is_established: bool) -> io::Result<Self> {
        socket.set_tcp_nodelay(true)?;
        socket.set_tcp_notsent_lowat(MAX_UNSENT)?;
        socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
        Ok(Self {
            socket,
            peer,
            is_established,
            is_ready: is_established,
            incoming: ReadBuffer::default(),
            outgoing: Vec::new(),
            taken: 0,
        })
    }

    /// Address of the other end. IPv4 addresses are IPv4 even on an IPv6 socket.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Address of this end.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        let address = self.socket.local_addr()?.as_socket();
        address.ok_or_else(|| ErrorKind::AddrNotAvailable.into())
    }

    /// Whether the connection is established.
    pub fn is_established(&self) -> bool {
        self.is_established
    }

    /// Whether the kernel has sent nearly everything that it was given, so that
    /// new data leaves soon.
    pub fn is_ready(&self) -> bool {
        self.is_ready
    }

    /// Number of bytes that the kernel has not taken yet.
    pub fn waiting(&self) -> usize {
        self.outgoing.len() - self.taken
    }

    /// Appends `packets`, which are concatenated in one buffer; each has
    /// `segment` bytes, except the last, which may be shorter. Packets of more
    /// than 65,535 bytes are skipped. The caller must bound what waits.
    pub fn push(&mut self, packets: &[u8], segment: usize) {
        for packet in packets.chunks(segment.max(1)) {
            if let Ok(len) = u16::try_from(packet.len()) {
                self.outgoing.extend_from_slice(&len.to_be_bytes());
                self.outgoing.extend_from_slice(packet);
            }
        }
    }

    /// Gives the kernel as much as it takes.
    ///
    /// # Errors
    /// If the connection failed or is broken.
    pub fn flush(&mut self) -> io::Result<()> {
        if !self.is_established && !self.is_made()? {
            return Ok(());
        }
        while self.waiting() > 0 {
            match (&self.socket).write(&self.outgoing[self.taken..]) {
                Ok(taken) => self.taken += taken,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if self.waiting() == 0 {
            self.outgoing.clear();
            self.taken = 0;
        }
        self.is_ready = self.waiting() == 0 && is_writable(self.socket.as_fd());
        Ok(())
    }

    /// Checks whether the connection is established.
    fn is_made(&mut self) -> io::Result<bool> {
        if let Some(error) = self.socket.take_error()? {
            return Err(error);
        }
        self.is_established = self.socket.peer_addr().is_ok();
        Ok(self.is_established)
    }

    /// Returns the next packet, if a complete one has arrived.
    ///
    /// # Errors
    /// `UnexpectedEof` if the other end has closed the connection, `InvalidData`
    /// for an invalid length, otherwise the reason why the connection is broken.
    pub fn receive(&mut self) -> io::Result<Option<&mut [u8]>> {
        if !self.is_established {
            return Ok(None);
        }
        while !self.incoming.has_packet()? {
            match (&self.socket).read(self.incoming.room()) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(read) => self.incoming.fill(read),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(self.incoming.take())
    }

    /// What has arrived and is no complete packet yet.
    pub fn pending(&self) -> &[u8] {
        self.incoming.bytes()
    }

    /// Closes the sending direction. The other end reads everything sent before.
    pub fn finish(&self) {
        // A broken connection is closed anyway.
        let _ = self.socket.shutdown(std::net::Shutdown::Write);
    }
}

impl Pollable for Connection {
    fn poll_fd(&self) -> PollFd<'_> {
        let mut events = PollFlags::POLLIN;
        events.set(PollFlags::POLLOUT, !self.is_ready);
        PollFd::new(self.socket.as_fd(), events)
    }
}

/// A listening socket.
#[derive(Debug)]
pub struct TcpListener {
    socket: socket2::Socket,
}

impl TcpListener {
    /// Listens at an address. `[::]` accepts IPv4 too, and becomes `0.0.0.0` on a
    /// machine without IPv6.
    ///
    /// # Errors
    /// If the address is in use or does not belong to this machine.
    pub fn listen(address: SocketAddr) -> io::Result<Self> {
        match Self::bound(address) {
            Err(_) if address.ip() == Ipv6Addr::UNSPECIFIED => {
                Self::bound((Ipv4Addr::UNSPECIFIED, address.port()).into())
            }
            other => other,
        }
    }

    fn bound(address: SocketAddr) -> io::Result<Self> {
        let socket = open(address)?;
        if address.is_ipv6() {
            socket.set_only_v6(address.ip() != Ipv6Addr::UNSPECIFIED)?;
        }
        // The port may still have connections of a previous run.
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(Self { socket })
    }

    /// The address that it listens at.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        let address = self.socket.local_addr()?.as_socket();
        address.ok_or_else(|| ErrorKind::AddrNotAvailable.into())
    }

    /// Accepts the next connection; `None` if none waits. Connections that were
    /// aborted meanwhile are skipped.
    pub fn accept(&self) -> io::Result<Option<Connection>> {
        loop {
            let (socket, from) = match self.socket.accept() {
                Ok(accepted) => accepted,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let Some(mut peer) = from.as_socket() else {
                continue;
            };
            peer.set_ip(peer.ip().to_canonical());
            socket.set_nonblocking(true)?;
            return Connection::new(socket, peer, true).map(Some);
        }
    }
}

impl Pollable for TcpListener {
    fn poll_fd(&self) -> PollFd<'_> {
        PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn open(address: SocketAddr) -> io::Result<socket2::Socket> {
    let domain = Domain::for_address(address);
    let socket = socket2::Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}
