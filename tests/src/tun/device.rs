//! A TUN device: a network interface whose packets this program reads and
//! writes (<https://docs.kernel.org/networking/tuntap.html>).

#![expect(
    unsafe_code,
    reason = "the request that creates the device has no safe wrapper"
)]

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::OpenOptionsExt;

use framegram_net::Pollable;
use nix::libc;
use nix::poll::{PollFd, PollFlags};

/// Largest IP packet in bytes.
pub(super) const MAX_PACKET: usize = 65_535;

/// Longest interface name in bytes, with its terminating zero.
const NAME: usize = libc::IFNAMSIZ;

/// `struct ifreq` of `linux/if.h`, as [`SET_INTERFACE`] reads and writes it.
#[repr(C)]
struct InterfaceRequest {
    name: [u8; NAME],
    flags: libc::c_short,
    rest: [u8; 22],
}

/// `_IOW('T', 202, int)` of `linux/if_tun.h`.
const SET_INTERFACE: libc::Ioctl = 0x4004_54ca;

nix::ioctl_write_ptr_bad!(set_interface, SET_INTERFACE, InterfaceRequest);

/// A TUN device in the network namespace in which it was created. Dropping it
/// removes the device.
#[derive(Debug)]
pub struct Tun(File);

impl Tun {
    /// Creates a device with this name that carries IP packets. It is down and
    /// has no address.
    ///
    /// # Errors
    /// If the user lacks the permission, the name is taken or invalid, or the
    /// kernel has no TUN support.
    pub fn open(name: &str) -> io::Result<Self> {
        let explained = |error: io::Error| {
            io::Error::new(
                error.kind(),
                format!("cannot create the TUN device {name}: {error}"),
            )
        };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open("/dev/net/tun")
            .map_err(explained)?;
        let mut request = InterfaceRequest {
            name: [0; NAME],
            flags: (libc::IFF_TUN | libc::IFF_NO_PI) as libc::c_short,
            rest: [0; 22],
        };
        if name.is_empty() || name.len() >= NAME {
            return Err(explained(ErrorKind::InvalidInput.into()));
        }
        request.name[..name.len()].copy_from_slice(name.as_bytes());
        // SAFETY: the kernel reads and writes a `struct ifreq`, whose size and
        // layout `InterfaceRequest` has, and keeps no pointer to it.
        unsafe { set_interface(file.as_raw_fd(), &raw const request) }
            .map_err(|errno| explained(errno.into()))?;
        Ok(Self(file))
    }

    /// The next packet that leaves through the interface.
    ///
    /// # Errors
    /// The error of `read`.
    pub(super) fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match (&self.0).read(buffer) {
            Ok(len) => Ok(Some(len)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Delivers a packet through the interface. A packet that the kernel rejects
    /// is lost: an invalid one, or any while the interface is down.
    pub(super) fn send(&self, packet: &[u8]) -> io::Result<()> {
        match (&self.0).write(packet) {
            Err(error) if error.raw_os_error() == Some(libc::EBADFD) => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }
}

impl Pollable for Tun {
    fn poll_fd(&self) -> PollFd<'_> {
        PollFd::new(self.0.as_fd(), PollFlags::POLLIN)
    }
}
