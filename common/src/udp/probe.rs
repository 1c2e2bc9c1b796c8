//! Whether this machine can send to a group at all.

use std::io;
use std::net::{IpAddr, SocketAddr};

use nix::ifaddrs::getifaddrs;
use nix::net::if_::{InterfaceFlags, if_nametoindex};
use socket2::{Domain, Protocol, Type};

use super::plain;
use crate::mdns::{GROUPS, PORT};

/// A question for nothing: the header of one, with no question behind it.
const NO_QUESTION: [u8; 12] = [0; 12];

/// Tries to ask for names on the local network.
///
/// # Errors
/// Where no interface reaches it: what the system says of the first one.
pub fn probe_local_network() -> io::Result<()> {
    let mut failed = None;
    let wanted = InterfaceFlags::IFF_UP | InterfaceFlags::IFF_MULTICAST;
    for one in getifaddrs()? {
        if !one.flags.contains(wanted) || one.flags.contains(InterfaceFlags::IFF_LOOPBACK) {
            continue;
        }
        let Some(address) = one.address.as_ref().and_then(plain) else {
            continue;
        };
        match ask(address.ip(), &one.interface_name) {
            Ok(()) => return Ok(()),
            Err(error) => {
                failed.get_or_insert(error);
            }
        }
    }
    Err(failed.unwrap_or_else(|| {
        io::Error::new(
            io::ErrorKind::NotFound,
            "no network interface of this machine is up and has multicast",
        )
    }))
}

fn ask(own: IpAddr, interface: &str) -> io::Result<()> {
    let group = GROUPS[usize::from(own.is_ipv6())];
    let to = SocketAddr::new(group, PORT);
    let socket = socket2::Socket::new(Domain::for_address(to), Type::DGRAM, Some(Protocol::UDP))?;
    match own {
        IpAddr::V4(own) => socket.set_multicast_if_v4(&own)?,
        IpAddr::V6(_) => socket.set_multicast_if_v6(if_nametoindex(interface)?)?,
    }
    socket.send_to(&NO_QUESTION, &to.into()).map(drop)
}
