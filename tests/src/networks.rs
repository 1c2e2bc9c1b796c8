//! Larger networks on one machine than [`Hosts`](crate::hosts::Hosts): one with
//! several machines, and one behind a NAT.

use crate::hosts::INTERFACE;
use crate::namespaces::Namespaces;
use crate::program::Start;

/// Several hosts on one Ethernet segment.
#[derive(Debug)]
pub struct Segment {
    namespaces: Namespaces,
}

impl Segment {
    /// So many hosts, each with an [`INTERFACE`] on the segment.
    ///
    /// # Panics
    /// Where this user cannot make them.
    #[must_use]
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
    #[must_use]
    pub fn v4(host: u8) -> String {
        format!("10.78.5.{}", host + 1)
    }

    /// The IPv6 address of a host, counted from 0.
    #[must_use]
    pub fn v6(host: u8) -> String {
        format!("fd78::{}", host + 1)
    }

    /// Lets nothing of a host out that goes to a group.
    ///
    /// # Panics
    /// Where root cannot do that.
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

    /// Lets this much pass towards a host, which loses this share of it, in
    /// percent.
    ///
    /// # Panics
    /// Where root cannot do that.
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

    /// A program with these arguments, on a host.
    #[must_use]
    pub fn start(&self, host: u8, program: &str, arguments: &str) -> Start {
        self.namespaces
            .start(1 + usize::from(host), program, arguments)
    }

    /// Acts on a host: sockets that are opened there stay there.
    ///
    /// # Panics
    /// Where that panics, or root cannot enter the host.
    pub fn on<T: Send>(&self, host: u8, act: impl FnOnce() -> T + Send) -> T {
        self.namespaces.enter(1 + usize::from(host), act)
    }
}

/// A host in a home, its router, and a host in the world, which knows the
/// router's address alone.
#[derive(Debug)]
pub struct Home {
    namespaces: Namespaces,
}

impl Home {
    /// The address of the host in the world.
    pub const WORLD: &str = "203.0.113.2";

    /// The router's address in the world.
    pub const ROUTER: &str = "203.0.113.1";

    /// Joined, with a router that translates addresses.
    ///
    /// # Panics
    /// Where this user cannot make them.
    #[must_use]
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

    /// A program with these arguments at home.
    #[must_use]
    pub fn at_home(&self, program: &str, arguments: &str) -> Start {
        self.namespaces.start(0, program, arguments)
    }

    /// A program with these arguments in the world.
    #[must_use]
    pub fn in_the_world(&self, program: &str, arguments: &str) -> Start {
        self.namespaces.start(2, program, arguments)
    }
}
