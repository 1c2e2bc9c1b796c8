//! Senders that announce themselves on the local network: DNS-SD over mDNS
//! (<https://www.rfc-editor.org/rfc/rfc6763>).

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::time::Duration;

use anyhow::Context;
use framegram_common::os;
use framegram_common::udp::{self, SERVICE};
use mdns_sd::{Receiver, RecvTimeoutError, ResolvedService, ScopedIp, ServiceDaemon, ServiceEvent};

/// How long to listen for a list: answers may be held back for half a second
/// (<https://www.rfc-editor.org/rfc/rfc6762#section-6>), and questions are lost.
pub const LISTEN: Duration = Duration::from_millis(2500);

/// Between two looks at whether a person wants no more.
const LOOK: Duration = Duration::from_millis(100);

/// The most senders of a list: more are none that a person chooses from.
const MAX_SENDERS: usize = 256;

/// Looks for senders until it is dropped.
pub struct Search {
    daemon: ServiceDaemon,
    events: Receiver<ServiceEvent>,
    senders: BTreeMap<String, SocketAddr>,
}

impl Search {
    /// Begins to look.
    ///
    /// # Errors
    /// Where this machine has no multicast.
    pub fn new() -> anyhow::Result<Self> {
        let failed = "cannot look for senders on the local network";
        udp::probe_local_network().context(
            "cannot look for senders on the local network, but --connect HOST:PORT works without",
        )?;
        let daemon = ServiceDaemon::new().context(failed)?;
        let events = daemon.browse(SERVICE).context(failed)?;
        Ok(Self {
            daemon,
            events,
            senders: BTreeMap::new(),
        })
    }

    /// The senders that answer within `patience`, by name, unless `enough` says
    /// sooner that these will do.
    pub fn senders(
        &mut self,
        patience: Duration,
        mut enough: impl FnMut(&BTreeMap<String, SocketAddr>) -> bool,
    ) -> &BTreeMap<String, SocketAddr> {
        let begun = os::now();
        loop {
            let left = patience.saturating_sub(os::now().saturating_sub(begun));
            if left.is_zero() || enough(&self.senders) {
                return &self.senders;
            }
            match self.events.recv_timeout(left.min(LOOK)) {
                Ok(ServiceEvent::ServiceResolved(service)) => self.note(&service),
                Ok(ServiceEvent::ServiceRemoved(_, name)) => {
                    self.senders.remove(short(&name));
                }
                Ok(_) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return &self.senders,
            }
        }
    }

    fn note(&mut self, service: &ResolvedService) {
        let name = short(service.get_fullname());
        let addresses = service.get_addresses().iter();
        let best = addresses.min_by_key(|address| rank(address.to_ip_addr()));
        if let Some(best) = best
            && (self.senders.len() < MAX_SENDERS || self.senders.contains_key(name))
        {
            let address = located(best, service.get_port());
            self.senders.insert(name.to_owned(), address);
        }
    }
}

impl Drop for Search {
    fn drop(&mut self) {
        // The program goes on or ends whether or not the thread does.
        let _ = self.daemon.shutdown();
    }
}

/// Where the sender with this name is now.
///
/// # Errors
/// Where it does not answer within [`LISTEN`].
pub(crate) fn locate(name: &str) -> io::Result<SocketAddr> {
    let mut search = Search::new().map_err(io::Error::other)?;
    let found = search.senders(LISTEN, |senders| senders.contains_key(name));
    found
        .get(name)
        .copied()
        .ok_or(io::ErrorKind::NotFound.into())
}

/// The name without its service.
fn short(fullname: &str) -> &str {
    let service = fullname.find("._framegram");
    service.map_or(fullname, |at| &fullname[..at])
}

/// Which address to take where a sender has several: those that reach furthest
/// first, and of these the shorter ones.
fn rank(address: IpAddr) -> (u8, IpAddr) {
    let rank = match address {
        IpAddr::V4(v4) if !v4.is_loopback() && !v4.is_link_local() => 0,
        IpAddr::V6(v6) if !v6.is_loopback() && !v6.is_unicast_link_local() => 1,
        IpAddr::V4(v4) if v4.is_link_local() => 2,
        IpAddr::V6(v6) if v6.is_unicast_link_local() => 3,
        IpAddr::V4(_) | IpAddr::V6(_) => 4,
    };
    (rank, address)
}

fn located(address: &ScopedIp, port: u16) -> SocketAddr {
    match address {
        ScopedIp::V6(v6) if v6.addr().is_unicast_link_local() => {
            SocketAddrV6::new(*v6.addr(), port, 0, v6.scope_id().index).into()
        }
        other => SocketAddr::new(other.to_ip_addr(), port),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_address_that_reaches_furthest() {
        let mut all: Vec<IpAddr> = ["127.0.0.1", "fe80::1", "2001:db8::1", "192.168.1.5", "::1"]
            .iter()
            .map(|text| text.parse().unwrap())
            .collect();
        all.sort_by_key(|address| rank(*address));
        let order: Vec<_> = all.iter().map(ToString::to_string).collect();
        assert_eq!(
            order,
            ["192.168.1.5", "2001:db8::1", "fe80::1", "127.0.0.1", "::1"]
        );
    }

    #[test]
    fn knows_a_sender_by_its_own_name() {
        assert_eq!(short("my camera._framegram._udp.local."), "my camera");
    }
}
