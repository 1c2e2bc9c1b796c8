//! Sends several messages in one call (`sendmmsg`), each with its own ancillary data.

// nix gives all messages of a call the same ancillary data, and rustix has none for segments.
#![allow(unsafe_code)]

use std::io::IoSlice;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::{mem, ptr};

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{SockaddrLike, SockaddrStorage};

use super::source_address::SourceControl;

/// Upper bound on the messages of a call.
const MAX_MESSAGES: usize = 64;

/// A datagram, or several that the system separates: each has `segment` bytes, except the last,
/// which may be shorter.
#[derive(Clone, Copy, Debug)]
pub(super) struct OutgoingMessage<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) segment: Option<u16>,
}

/// Room for a source address and the length of segments, aligned as the system wants it.
#[repr(C, align(8))]
struct Ancillary {
    bytes: [u8; ROOM],
    len: usize,
}

const ROOM: usize = 128;

impl Ancillary {
    fn new(source: Option<&SourceControl>, segment: Option<u16>) -> Self {
        let mut all = Self {
            bytes: [0; ROOM],
            len: 0,
        };
        match source {
            Some(SourceControl::V4(info)) => all.push(libc::IPPROTO_IP, libc::IP_PKTINFO, *info),
            Some(SourceControl::V6(info)) => {
                all.push(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, *info);
            }
            None => {}
        }
        if let Some(segment) = segment {
            all.push(libc::SOL_UDP, libc::UDP_SEGMENT, segment);
        }
        all
    }

    fn push<T: Copy>(&mut self, level: i32, kind: i32, value: T) {
        let bytes = mem::size_of::<T>() as libc::c_uint;
        // SAFETY: the macros only compute.
        let (len, space) = unsafe { (libc::CMSG_LEN(bytes), libc::CMSG_SPACE(bytes) as usize) };
        let Some(free) = self.bytes.get_mut(self.len..self.len + space) else {
            debug_assert!(false, "{space} bytes more");
            return;
        };
        let header = free.as_mut_ptr().cast::<libc::cmsghdr>();
        // SAFETY: `free` holds the header and, where `CMSG_DATA` points, the value. It is aligned
        // for the header: the array is, and every `space` is a multiple of that.
        unsafe {
            (*header).cmsg_len = len as _;
            (*header).cmsg_level = level;
            (*header).cmsg_type = kind;
            ptr::write_unaligned(libc::CMSG_DATA(header).cast::<T>(), value);
        }
        self.len += space;
    }
}

/// Sends messages in order, at most [`MAX_MESSAGES`]. Returns how many were sent.
///
/// # Errors
/// That of the first message; there is none if it was sent.
pub(super) fn send_messages(
    socket: BorrowedFd<'_>,
    to: Option<&SockaddrStorage>,
    source: Option<&SourceControl>,
    messages: &[OutgoingMessage<'_>],
) -> Result<usize, Errno> {
    let messages = &messages[..messages.len().min(MAX_MESSAGES)];
    let bytes = messages.iter().map(|message| IoSlice::new(message.bytes));
    let mut bytes: Vec<_> = bytes.collect();
    let ancillary = messages
        .iter()
        .map(|message| Ancillary::new(source, message.segment));
    let mut ancillary: Vec<_> = ancillary.collect();
    let headers = bytes
        .iter_mut()
        .zip(&mut ancillary)
        .map(|(bytes, ancillary)| {
            // SAFETY: zeros are a valid header; some systems have private padding in it.
            let mut header: libc::mmsghdr = unsafe { mem::zeroed() };
            let message = &mut header.msg_hdr;
            message.msg_name = to.map_or(ptr::null_mut(), |to| to.as_ptr().cast_mut().cast());
            message.msg_namelen = to.map_or(0, SockaddrLike::len);
            message.msg_iov = ptr::from_mut(bytes).cast();
            message.msg_iovlen = 1;
            if ancillary.len > 0 {
                message.msg_control = ancillary.bytes.as_mut_ptr().cast();
                message.msg_controllen = ancillary.len as _;
            }
            header
        });
    let mut headers: Vec<_> = headers.collect();
    let count = headers.len() as libc::c_uint;
    // SAFETY: every header points to an address, bytes and ancillary data that live until the end
    // of this function, with their lengths. The system only reads them and writes to the headers.
    let sent = unsafe { libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), count, 0) };
    Errno::result(sent).map(|sent| sent as usize)
}
