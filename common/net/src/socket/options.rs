//! The socket options that neither `nix` nor `socket2` knows by name.

use std::io;

use nix::libc;
use nix::sys::socket::sockopt::{Ipv4PacketInfo, Ipv6RecvPacketInfo, ReceiveTimestampns, RxqOvfl};
use nix::sys::socket::{getsockopt, setsockopt};
use nix::{getsockopt_impl, setsockopt_impl, sockopt_impl};
use socket2::{Domain, Socket};

sockopt_impl!(
    IpMtuDiscover,
    SetOnly,
    libc::IPPROTO_IP,
    libc::IP_MTU_DISCOVER,
    i32
);
sockopt_impl!(
    Ipv6MtuDiscover,
    SetOnly,
    libc::IPPROTO_IPV6,
    libc::IPV6_MTU_DISCOVER,
    i32
);
sockopt_impl!(
    MemoryInfo,
    GetOnly,
    libc::SOL_SOCKET,
    libc::SO_MEMINFO,
    [u32; MEMINFO_LEN]
);

/// `SK_MEMINFO_VARS` and `SK_MEMINFO_DROPS` of `linux/sock_diag.h`.
const MEMINFO_LEN: usize = 9;
const MEMINFO_DROPS: usize = 8;

/// Sets Don't Fragment. PROBE, not DO: a forged "fragmentation needed" cannot
/// hold the size down, a true one is told as an error all the same.
pub(super) fn forbid_fragments(socket: &Socket, domain: Domain) -> io::Result<()> {
    discover(
        socket,
        domain,
        libc::IP_PMTUDISC_PROBE,
        libc::IPV6_PMTUDISC_PROBE,
    )
}

/// Lets IP cut datagrams into fragments.
pub(super) fn allow_fragments(socket: &Socket, domain: Domain) -> io::Result<()> {
    discover(
        socket,
        domain,
        libc::IP_PMTUDISC_DONT,
        libc::IPV6_PMTUDISC_DONT,
    )
}

fn discover(socket: &Socket, domain: Domain, v4: i32, v6: i32) -> io::Result<()> {
    if domain == Domain::IPV6 {
        setsockopt(socket, Ipv6MtuDiscover, &v6)?;
    }
    // On an IPv6 socket, for the IPv4 that passes through it.
    Ok(setsockopt(socket, IpMtuDiscover, &v4)?)
}

/// Has the kernel tell when it received each datagram.
pub(super) fn stamp_arrivals(socket: &Socket) -> io::Result<()> {
    Ok(setsockopt(socket, ReceiveTimestampns, &true)?)
}

/// Has the kernel tell with each datagram how many it had dropped when it queued
/// that one.
///
/// It counts datagrams, even where it was handed many in one piece (segmentation
/// offload), as long as it takes them apart before it queues them. With receive
/// offload (`UDP_GRO`) it queues the piece as a whole, and counts one drop for all
/// that is in it: this socket leaves that off.
pub(super) fn tell_drops(socket: &Socket) -> io::Result<()> {
    Ok(setsockopt(socket, RxqOvfl, &1)?)
}

/// Has the kernel tell which address of this machine each datagram came to.
pub(super) fn tell_destinations(socket: &Socket, domain: Domain) -> io::Result<()> {
    let told = if domain == Domain::IPV6 {
        setsockopt(socket, Ipv6RecvPacketInfo, &true)
    } else {
        setsockopt(socket, Ipv4PacketInfo, &true)
    };
    Ok(told?)
}

/// The kernel's 32-bit counter of datagrams that this socket did not take.
pub(super) fn dropped(socket: &Socket) -> Option<u32> {
    let memory = getsockopt(socket, MemoryInfo).ok()?;
    Some(memory[MEMINFO_DROPS])
}
