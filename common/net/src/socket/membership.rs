//! Membership of a multicast group. It belongs to an interface, ends with it, and
//! does not follow the routes.

use std::io;
use std::net::{IpAddr, SocketAddr};

use nix::ifaddrs::getifaddrs;
use nix::net::if_::if_nametoindex;
use socket2::InterfaceIndexOrAddress;

use super::route::source_towards;
use super::{Socket, lock};
use crate::address::ip;
use crate::interface::Interface;

/// A group, and where it was joined.
#[derive(Debug)]
pub(super) struct Membership {
    group: SocketAddr,
    /// The interface to join on; `None` lets the routes choose.
    interface: Option<Interface>,
    /// The interface on which it was joined.
    by: Option<Way>,
}

/// An interface, with the address that identifies it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Way {
    index: u32,
    address: Option<IpAddr>,
}

impl Membership {
    pub(super) fn new(group: SocketAddr, interface: Option<Interface>) -> Self {
        let mut membership = Self {
            group,
            interface,
            by: None,
        };
        membership.by = membership.way().ok();
        membership
    }

    /// The interface on which the group should be joined now.
    fn way(&self) -> io::Result<Way> {
        if let Some(interface) = &self.interface {
            let interface = interface.refresh()?;
            return Ok(Way {
                index: interface.index,
                address: interface.ipv4().ok().map(IpAddr::from),
            });
        }
        let address = source_towards(self.group)?.ip();
        let mut all = getifaddrs()?;
        let own = all.find(|one| ip(one.address.as_ref()) == Some(address));
        let name = own.map(|one| one.interface_name).unwrap_or_default();
        Ok(Way {
            index: if_nametoindex(name.as_str())?,
            address: Some(address),
        })
    }

    fn leave(&self, socket: &socket2::Socket, way: Way) -> io::Result<()> {
        match self.group.ip() {
            IpAddr::V4(group) => {
                socket.leave_multicast_v4_n(&group, &InterfaceIndexOrAddress::Index(way.index))
            }
            IpAddr::V6(group) => socket.leave_multicast_v6(&group, way.index),
        }
    }

    fn join(&self, socket: &socket2::Socket, index: u32) -> io::Result<()> {
        match self.group.ip() {
            IpAddr::V4(group) => {
                socket.join_multicast_v4_n(&group, &InterfaceIndexOrAddress::Index(index))
            }
            IpAddr::V6(group) => socket.join_multicast_v6(&group, index),
        }
    }
}

impl Socket {
    /// Joins the group again if the interface for it has changed or has another
    /// address. Returns whether it did. Call it a few times per second while
    /// nothing arrives.
    ///
    /// # Errors
    /// If the group cannot be joined. The next call tries again.
    pub fn refresh_membership(&self) -> io::Result<bool> {
        let mut membership = lock(&self.membership);
        let Some(membership) = &mut *membership else {
            return Ok(false);
        };
        let Ok(way) = membership.way() else {
            // There is no network now. Join again when there is one.
            membership.by = None;
            return Ok(false);
        };
        if membership.by == Some(way) {
            return Ok(false);
        }
        // If the interface is gone, so is the membership, but the socket may
        // still keep a record of it.
        for index in [membership.by.map_or(0, |by| by.index), way.index, 0] {
            let _ = membership.leave(&self.inner, Way { index, ..way });
        }
        membership.join(&self.inner, way.index)?;
        membership.by = Some(way);
        Ok(true)
    }
}
