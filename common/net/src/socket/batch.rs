//! Receives many datagrams in one call.

use std::array;
use std::io::{self, IoSliceMut};
use std::os::fd::AsRawFd;

use nix::cmsg_space;
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg};
use nix::sys::time::TimeSpec;

use super::timestamps::Reading;
use super::{Received, Socket, lock};

/// Datagrams per call. At this number, a call costs a tenth of processing the
/// datagrams.
const DATAGRAMS: usize = 32;

/// Buffers for the datagrams of one call.
#[derive(Debug)]
pub struct Batch {
    /// `longest` bytes per datagram. The system provides memory as they are
    /// written.
    bytes: Vec<u8>,
    longest: usize,
    /// The received datagrams, each with the index of its buffer.
    received: Vec<(usize, Received)>,
    count: usize,
}

impl Batch {
    /// For datagrams of at most `longest` bytes.
    pub fn new(longest: usize) -> Self {
        Self {
            bytes: vec![0; longest * DATAGRAMS],
            longest,
            received: Vec::with_capacity(DATAGRAMS),
            count: 0,
        }
    }

    /// Whether there may be more datagrams after the call.
    pub fn is_full(&self) -> bool {
        self.count == DATAGRAMS
    }

    /// The datagrams, in order of arrival.
    pub fn iter(&self) -> impl Iterator<Item = (Received, &[u8])> {
        self.received.iter().map(|(index, received)| {
            let begin = index * self.longest;
            let end = begin + received.len.min(self.longest);
            (*received, &self.bytes[begin..end])
        })
    }

    /// The same, to be changed in their places.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (Received, &mut [u8])> {
        let buffers = self.bytes.chunks_exact_mut(self.longest.max(1));
        let mut buffers = buffers.enumerate();
        self.received.iter().filter_map(move |(index, received)| {
            let (_, buffer) = buffers.find(|(at, _)| at == index)?;
            let len = received.len.min(buffer.len());
            Some((*received, &mut buffer[..len]))
        })
    }
}

impl Socket {
    /// Replaces the content of the batch by the datagrams in the receive buffer,
    /// as many as fit.
    ///
    /// # Errors
    /// Those of [`receive`](Self::receive).
    pub fn receive_batch(&self, batch: &mut Batch) -> io::Result<()> {
        batch.received.clear();
        batch.count = 0;
        let mut buffers = batch.bytes.chunks_exact_mut(batch.longest.max(1));
        let mut slices: [_; DATAGRAMS] =
            array::from_fn(|_| [IoSliceMut::new(buffers.next().unwrap_or_default())]);
        // Created for each call, because the kernel overwrites the lengths.
        let control = cmsg_space!(TimeSpec, libc::in6_pktinfo, u32);
        let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(DATAGRAMS, Some(control));
        let flags = MsgFlags::MSG_DONTWAIT;
        let fd = self.inner.as_raw_fd();
        let messages = match recvmmsg(fd, &mut headers, slices.iter_mut(), flags, None) {
            Ok(messages) => messages,
            // Not an error: the next wait ends at once.
            Err(Errno::EINTR) => return Ok(()),
            Err(Errno::EAGAIN) => {
                lock(&self.timestamps).record_empty();
                return Ok(());
            }
            Err(errno) => return Err(errno.into()),
        };
        let reading = Reading::now();
        for (index, message) in messages.enumerate() {
            let received = self.received(&message, reading)?;
            batch
                .received
                .extend(received.map(|received| (index, received)));
            batch.count += 1;
        }
        if !batch.is_full() {
            lock(&self.timestamps).record_empty();
        }
        Ok(())
    }
}
