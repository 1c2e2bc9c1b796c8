//! Socket options that neither `nix` nor `socket2` offers.

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
sockopt_impl!(IpMtu, GetOnly, libc::IPPROTO_IP, libc::IP_MTU, i32);
sockopt_impl!(Ipv6Mtu, GetOnly, libc::IPPROTO_IPV6, libc::IPV6_MTU, i32);
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

/// Sets Don't Fragment. The mode is PROBE instead of DO: a forged "fragmentation
/// needed" cannot reduce the size, while a real one is still reported as an
/// error.
pub(super) fn forbid_fragments(socket: &Socket, domain: Domain) -> io::Result<()> {
    discover(
        socket,
        domain,
        libc::IP_PMTUDISC_PROBE,
        libc::IPV6_PMTUDISC_PROBE,
    )
}

/// Lets IP fragment datagrams.
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
    // On an IPv6 socket, for its IPv4 traffic.
    Ok(setsockopt(socket, IpMtuDiscover, &v4)?)
}

/// Requests the kernel's receive time with each datagram.
pub(super) fn stamp_arrivals(socket: &Socket) -> io::Result<()> {
    Ok(setsockopt(socket, ReceiveTimestampns, &true)?)
}

/// Requests with each datagram the number of datagrams dropped before it was
/// queued.
///
/// The kernel counts datagrams even if it received several as one (segmentation
/// offload), as long as it splits them before queueing. With receive offload
/// (`UDP_GRO`) it queues them unsplit and counts one drop for all of them. Packet
/// numbers do not tell how many these were, since the network may have lost some of
/// the missing ones. So this socket leaves receive offload off.
pub(super) fn tell_drops(socket: &Socket) -> io::Result<()> {
    Ok(setsockopt(socket, RxqOvfl, &1)?)
}

/// Requests with each datagram the address of this machine that it was sent to.
pub(super) fn tell_destinations(socket: &Socket, domain: Domain) -> io::Result<()> {
    let told = if domain == Domain::IPV6 {
        setsockopt(socket, Ipv6RecvPacketInfo, &true)
    } else {
        setsockopt(socket, Ipv4PacketInfo, &true)
    };
    Ok(told?)
}

/// The largest IP packet that leaves a connected socket in one piece, in bytes.
pub(super) fn mtu(socket: &Socket, domain: Domain) -> io::Result<usize> {
    let mtu = if domain == Domain::IPV6 {
        getsockopt(socket, Ipv6Mtu)?
    } else {
        getsockopt(socket, IpMtu)?
    };
    usize::try_from(mtu).map_err(|_| io::ErrorKind::InvalidData.into())
}

/// The kernel's 32-bit counter of datagrams that this socket dropped.
pub(super) fn dropped(socket: &Socket) -> Option<u32> {
    let memory = getsockopt(socket, MemoryInfo).ok()?;
    Some(memory[MEMINFO_DROPS])
}
