//! The network interfaces of this machine.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr};

use nix::ifaddrs::{InterfaceAddress, getifaddrs};
use nix::net::if_::if_nametoindex;

use crate::address::ip;

/// A network interface of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Name, such as `eth0`.
    pub name: String,
    /// Index in the kernel.
    pub index: u32,
    v4: Option<Ipv4Addr>,
}

impl Interface {
    /// Finds the interface with this name or address.
    ///
    /// # Errors
    /// If there is none; the message lists those that exist.
    pub fn find(text: &str) -> io::Result<Self> {
        let all: Vec<_> = getifaddrs()?.collect();
        let address = text.parse::<IpAddr>().ok();
        let named = |interface: &&InterfaceAddress| match address {
            Some(address) => ip(interface.address.as_ref()) == Some(address),
            None => interface.interface_name == text,
        };
        let Some(found) = all.iter().find(named) else {
            let mut names: Vec<_> = all.iter().map(|one| one.interface_name.as_str()).collect();
            names.dedup();
            names.sort_unstable();
            names.dedup();
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!(
                    "no interface has the name or address {text}; there are {}",
                    names.join(", ")
                ),
            ));
        };
        let name = found.interface_name.clone();
        let v4 = match address {
            Some(IpAddr::V4(v4)) => Some(v4),
            _ => all
                .iter()
                .filter(|other| other.interface_name == name)
                .find_map(|other| match ip(other.address.as_ref())? {
                    IpAddr::V4(v4) => Some(v4),
                    IpAddr::V6(_) => None,
                }),
        };
        let index = if_nametoindex(name.as_str())?;
        Ok(Self { name, index, v4 })
    }

    /// The current state of the interface with this name: it may have been
    /// removed and added again, and its addresses change. The known IPv4 address
    /// is kept as long as the interface has it.
    ///
    /// # Errors
    /// If the interface is gone.
    pub fn refresh(&self) -> io::Result<Self> {
        let found = Self::find(&self.name)?;
        let kept = self.v4.filter(|v4| {
            let of_it = |one: &InterfaceAddress| {
                one.interface_name == self.name && ip(one.address.as_ref()) == Some(IpAddr::V4(*v4))
            };
            getifaddrs().is_ok_and(|mut all| all.any(|one| of_it(&one)))
        });
        Ok(Self {
            v4: kept.or(found.v4),
            ..found
        })
    }

    /// The IPv4 address, which identifies the interface in IPv4 calls.
    pub(crate) fn ipv4(&self) -> io::Result<Ipv4Addr> {
        self.v4.ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::AddrNotAvailable,
                format!("interface {self} has no IPv4 address"),
            )
        })
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)
    }
}
