//! Waits for datagrams, another thread, or a point in time.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::time::TimeSpec;

use super::Socket;

/// Ends a [`wait`] from another thread. Clones wake the same wait. A wake before
/// the wait is not lost.
#[derive(Clone, Debug)]
pub struct Waker(Arc<EventFd>);

impl Waker {
    /// Creates a waker.
    ///
    /// # Errors
    /// If no file descriptor is available.
    pub fn new() -> io::Result<Self> {
        let flags = EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC;
        Ok(Self(Arc::new(EventFd::from_value_and_flags(0, flags)?)))
    }

    /// Ends the current wait, or the next one.
    pub fn wake(&self) {
        // It fails only if the counter is full, and then the wait ends anyway.
        let _ = self.0.write(1);
    }
}

/// An object that [`wait`] can wait for.
pub trait Pollable {
    /// The file descriptor, and the events to wait for.
    fn poll_fd(&self) -> PollFd<'_>;
}

impl Pollable for Socket {
    fn poll_fd(&self) -> PollFd<'_> {
        PollFd::new(self.as_fd(), PollFlags::POLLIN)
    }
}

/// Waits until one of the sockets is ready or has an error, the waker is woken, a
/// signal was handled, or `timeout` has passed, with the nanosecond resolution of
/// the kernel's timers. Returns for each socket whether it is ready.
pub fn wait(
    sockets: &[&dyn Pollable],
    waker: &Waker,
    timeout: Option<Duration>,
) -> io::Result<Vec<bool>> {
    let mut waited: Vec<_> = sockets
        .iter()
        .map(|socket| socket.poll_fd())
        .chain([PollFd::new(waker.0.as_fd(), PollFlags::POLLIN)])
        .collect();
    match ppoll(&mut waited, timeout.map(TimeSpec::from), None) {
        Ok(0) | Err(Errno::EINTR) => return Ok(vec![false; sockets.len()]),
        Ok(_) => {}
        Err(errno) => return Err(errno.into()),
    }
    let woken = waited.pop().and_then(|waker| waker.any()) == Some(true);
    if woken {
        // EAGAIN: another wait on the same waker consumed the wake.
        let _ = waker.0.read();
    }
    let has = |waited: PollFd<'_>| waited.any() != Some(false);
    Ok(waited.into_iter().map(has).collect())
}

/// Whether a socket has a datagram or an error.
pub(super) fn is_ready(socket: &Socket) -> bool {
    has(socket.as_fd(), PollFlags::POLLIN)
}

/// Whether a socket has room in its send buffer, or an error.
pub(crate) fn is_writable(socket: BorrowedFd<'_>) -> bool {
    has(socket, PollFlags::POLLOUT)
}

fn has(socket: BorrowedFd<'_>, events: PollFlags) -> bool {
    let mut waited = [PollFd::new(socket, events)];
    !matches!(
        ppoll(&mut waited, Some(TimeSpec::from(Duration::ZERO)), None),
        Ok(0)
    )
}
