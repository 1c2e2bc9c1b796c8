//! Which address of this machine each peer knows, so that answers come from
//! there. A machine has several (IPv6 privacy addresses, a second network), the
//! routes choose another than the peer wrote to, and its connected socket then
//! drops the answer.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};

use nix::libc;
use nix::sys::socket::{ControlMessage, ControlMessageOwned};

/// Peers remembered: a viewer answers the one sender that it follows; the others
/// are strangers, of whom there may be any number.
const PEERS: usize = 8;

/// The newest peers, newest first, each with the address that it wrote to.
#[derive(Debug, Default)]
pub(super) struct Paths(Mutex<Vec<(SocketAddr, IpAddr)>>);

impl Paths {
    /// Keeps what a datagram `from` a peer told of the address it came to.
    pub(super) fn note(&self, from: SocketAddr, control: &ControlMessageOwned) {
        let Some(local) = destination(control) else {
            return;
        };
        let mut paths = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match paths.iter().position(|(peer, _)| *peer == from) {
            Some(at) => paths[..=at].rotate_right(1),
            None => {
                paths.truncate(PEERS - 1);
                paths.insert(0, (from, local));
            }
        }
        paths[0].1 = local;
    }

    /// The address to send from to that peer.
    pub(super) fn source(&self, to: SocketAddr) -> Option<IpAddr> {
        let paths = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = paths.iter().find(|(peer, _)| *peer == to);
        found.map(|&(_, local)| local)
    }
}

/// A source address as the kernel takes it along with a datagram.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source {
    V4(libc::in_pktinfo),
    V6(libc::in6_pktinfo),
}

impl Source {
    /// `address` for a socket of its family, or for an IPv6 one.
    pub(super) fn new(address: IpAddr, v6_socket: bool) -> Self {
        match address {
            IpAddr::V4(v4) if !v6_socket => Self::V4(libc::in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: libc::in_addr {
                    s_addr: u32::from_ne_bytes(v4.octets()),
                },
                ipi_addr: libc::in_addr { s_addr: 0 },
            }),
            IpAddr::V4(v4) => Self::mapped(v4.to_ipv6_mapped().octets()),
            IpAddr::V6(v6) => Self::mapped(v6.octets()),
        }
    }

    fn mapped(octets: [u8; 16]) -> Self {
        Self::V6(libc::in6_pktinfo {
            ipi6_addr: libc::in6_addr { s6_addr: octets },
            ipi6_ifindex: 0,
        })
    }

    pub(super) fn control(&self) -> ControlMessage<'_> {
        match self {
            Self::V4(info) => ControlMessage::Ipv4PacketInfo(info),
            Self::V6(info) => ControlMessage::Ipv6PacketInfo(info),
        }
    }
}

/// The address of this machine that a datagram came to, unless it was a group's.
fn destination(control: &ControlMessageOwned) -> Option<IpAddr> {
    let address: IpAddr = match control {
        ControlMessageOwned::Ipv4PacketInfo(info) => info.ipi_spec_dst.s_addr.to_ne_bytes().into(),
        ControlMessageOwned::Ipv6PacketInfo(info) => IpAddr::from(info.ipi6_addr.s6_addr),
        _ => return None,
    };
    let address = address.to_canonical();
    (!address.is_multicast() && !address.is_unspecified()).then_some(address)
}
