//! Remembers the address of this machine that each peer wrote to, so that answers
//! come from there. A machine may have several addresses (IPv6 privacy addresses,
//! a second network). If the routes chose another one, the peer's connected
//! socket would drop the answer.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::libc;
use nix::sys::socket::ControlMessageOwned;

/// Upper bound on peers: as many as a sender can serve, and far more than the
/// senders of a grid. They take a few megabytes, and only if that many are
/// served.
const MAX_PEERS: usize = 1 << 16;

/// The peers that are served, with the address that each wrote to. The owner of
/// the socket decides which peers are served, so strangers take no memory.
#[derive(Debug, Default)]
pub(super) struct SourceAddresses(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    peers: HashMap<SocketAddr, SourceAddress>,
    /// Counts uses, to find the oldest entry.
    clock: u64,
}

#[derive(Debug)]
struct SourceAddress {
    local: IpAddr,
    remembered: u64,
}

impl SourceAddresses {
    /// Remembers the address that a peer wrote to.
    pub(super) fn remember(&self, peer: SocketAddr, local: IpAddr) {
        let mut known = self.known();
        known.clock += 1;
        let remembered = known.clock;
        if known.peers.len() >= MAX_PEERS && !known.peers.contains_key(&peer) {
            let oldest = known
                .peers
                .iter()
                .min_by_key(|(_, source)| source.remembered);
            if let Some(oldest) = oldest.map(|(peer, _)| *peer) {
                known.peers.remove(&oldest);
            }
        }
        known
            .peers
            .insert(peer, SourceAddress { local, remembered });
    }

    /// Forgets a peer.
    pub(super) fn forget(&self, peer: SocketAddr) {
        self.known().peers.remove(&peer);
    }

    /// The source address for datagrams to a peer.
    pub(super) fn source(&self, to: SocketAddr) -> Option<IpAddr> {
        self.known().peers.get(&to).map(|source| source.local)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A source address as ancillary data of a datagram.
#[derive(Clone, Copy, Debug)]
pub(super) enum SourceControl {
    V4(libc::in_pktinfo),
    V6(libc::in6_pktinfo),
}

impl SourceControl {
    /// `address` for a socket of its family or for an IPv6 socket.
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
}

/// The address of this machine that a datagram was sent to, unless that was a
/// group.
pub(super) fn destination(control: &ControlMessageOwned) -> Option<IpAddr> {
    let address: IpAddr = match control {
        ControlMessageOwned::Ipv4PacketInfo(info) => info.ipi_spec_dst.s_addr.to_ne_bytes().into(),
        ControlMessageOwned::Ipv6PacketInfo(info) => IpAddr::from(info.ipi6_addr.s6_addr),
        _ => return None,
    };
    let address = address.to_canonical();
    (!address.is_multicast() && !address.is_unspecified()).then_some(address)
}
