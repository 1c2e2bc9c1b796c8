//! Larger networks than [`Hosts`](crate::hosts::Hosts) on one machine: a segment
//! with several hosts, and a host behind a NAT.

use crate::hosts::INTERFACE;
use crate::namespaces::Namespaces;
use crate::program::Start;

/// Several hosts on one Ethernet segment.
#[derive(Debug)]
pub struct Segment {
    namespaces: Namespaces,
}

impl Segment {
    /// A segment with this many hosts, each with an [`INTERFACE`] on it.
    ///
    /// # Panics
    /// If the user may not create network namespaces.
    pub fn new(hosts: u8) -> Self {
        let mut namespaces = Namespaces::new();
        let switch = namespaces.add("switch");
        namespaces.ip(switch, "link add bridge type bridge mcast_snooping 0");
        namespaces.ip(switch, "link set bridge up");
        for host in 0..hosts {
            let index = namespaces.add(&format!("host{host}"));
            let port = format!("port{host}");
            namespaces.join(switch, &port, index, INTERFACE);
            namespaces.ip(switch, &format!("link set {port} master bridge up"));
            for line in [
                "link set lo up".to_owned(),
                format!("link set {INTERFACE} up"),
                format!(
                    "address add {}/24 broadcast + dev {INTERFACE}",
                    Self::v4(host)
                ),
                format!("address add {}/64 dev {INTERFACE} nodad", Self::v6(host)),
                format!("route add 224.0.0.0/4 dev {INTERFACE}"),
            ] {
                namespaces.ip(index, &line);
            }
        }
        Self { namespaces }
    }

    /// The IPv4 address of a host, counted from 0.
    pub fn v4(host: u8) -> String {
        format!("10.78.5.{}", host + 1)
    }

    /// The IPv6 address of a host, counted from 0.
    pub fn v6(host: u8) -> String {
        format!("fd78::{}", host + 1)
    }

    /// Blocks everything that a host sends to multicast groups.
    ///
    /// # Panics
    /// If that fails.
    pub fn block_groups(&self, host: u8) {
        for rule in [
            "add table inet block",
            "add chain inet block out { type filter hook output priority 0 ; }",
            "add rule inet block out ip daddr 224.0.0.0/4 drop",
            "add rule inet block out ip6 daddr ff00::/8 drop",
        ] {
            let words: Vec<_> = std::iter::once("nft").chain(rule.split(' ')).collect();
            self.namespaces.run(1 + usize::from(host), &words);
        }
    }

    /// Limits the path towards a host to this rate, with this loss in percent.
    ///
    /// # Panics
    /// If that fails.
    pub fn narrow(&self, host: u8, mbit: u32, loss: u32) {
        let port = format!("port{host}");
        let shape =
            format!("tc qdisc add dev {port} root tbf rate {mbit}mbit burst 16kb latency 100ms");
        self.namespaces
            .run(0, &shape.split(' ').collect::<Vec<_>>());
        let drop = format!("add rule inet lossy in numgen random mod 100 < {loss} drop");
        for rule in [
            "add table inet lossy",
            "add chain inet lossy in { type filter hook prerouting priority -300 ; }",
            &drop,
        ] {
            let words: Vec<_> = std::iter::once("nft").chain(rule.split(' ')).collect();
            self.namespaces.run(1 + usize::from(host), &words);
        }
    }

    /// A program with these arguments on a host.
    pub fn start(&self, host: u8, program: &str, arguments: &str) -> Start {
        self.namespaces
            .start(1 + usize::from(host), program, arguments)
    }

    /// Runs a function on a host. Sockets that it opens belong to that host.
    ///
    /// # Panics
    /// If the function panics, or the namespace cannot be entered.
    pub fn on<T: Send>(&self, host: u8, act: impl FnOnce() -> T + Send) -> T {
        self.namespaces.enter(1 + usize::from(host), act)
    }
}

/// A host in a home network, its router, and a host outside, which sees only the
/// router's address.
#[derive(Debug)]
pub struct Home {
    namespaces: Namespaces,
}

impl Home {
    /// Address of the host outside.
    pub const WORLD: &str = "203.0.113.2";

    /// Outside address of the router.
    pub const ROUTER: &str = "203.0.113.1";

    /// Creates the hosts, joined by a router that translates addresses.
    ///
    /// # Panics
    /// If the user may not create network namespaces.
    #[expect(clippy::new_without_default, reason = "it changes the system")]
    pub fn new() -> Self {
        let mut namespaces = Namespaces::new();
        let [home, router, world] = ["home", "router", "world"].map(|name| namespaces.add(name));
        namespaces.join(router, "inside", home, INTERFACE);
        namespaces.join(router, "outside", world, INTERFACE);
        for host in [home, world] {
            namespaces.ip(host, "link set lo up");
            namespaces.ip(host, &format!("link set {INTERFACE} up"));
        }
        for name in ["inside", "outside"] {
            namespaces.ip(router, &format!("link set {name} up"));
        }
        namespaces.ip(home, &format!("address add 192.168.9.2/24 dev {INTERFACE}"));
        namespaces.ip(router, "address add 192.168.9.1/24 dev inside");
        namespaces.ip(
            router,
            &format!("address add {}/24 dev outside", Self::ROUTER),
        );
        namespaces.ip(
            world,
            &format!("address add {}/24 dev {INTERFACE}", Self::WORLD),
        );
        namespaces.ip(home, "route add default via 192.168.9.1");
        let forward = "echo 1 > /proc/sys/net/ipv4/ip_forward";
        namespaces.run(router, &["sh", "-c", forward]);
        for rule in [
            "add table ip nat",
            "add chain ip nat post { type nat hook postrouting priority 100 ; }",
            "add rule ip nat post oifname outside masquerade",
        ] {
            let words: Vec<_> = std::iter::once("nft").chain(rule.split(' ')).collect();
            namespaces.run(router, &words);
        }
        Self { namespaces }
    }

    /// A program with these arguments in the home network.
    pub fn at_home(&self, program: &str, arguments: &str) -> Start {
        self.namespaces.start(0, program, arguments)
    }

    /// A program with these arguments on the host outside.
    pub fn in_the_world(&self, program: &str, arguments: &str) -> Start {
        self.namespaces.start(2, program, arguments)
    }
}
