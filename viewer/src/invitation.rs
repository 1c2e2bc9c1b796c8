//! What to type on the other machine.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use framegram_common::udp;

/// Says where a viewer listens at `local`, on a machine that has the addresses
/// `own`, and the sender's command that reaches it: a line each.
pub(crate) fn lines(local: SocketAddr, own: &[IpAddr]) -> Vec<String> {
    let everywhere = local.ip().is_unspecified();
    let mut lines = vec![if everywhere {
        let families = if local.is_ipv6() {
            "IPv6 and IPv4"
        } else {
            "IPv4"
        };
        format!("Waiting for a stream on port {}, {families}.", local.port())
    } else if local.ip().is_multicast() {
        format!("Waiting for a stream to the group {local}.")
    } else {
        format!("Waiting for a stream to {local}.")
    }];
    let mut targets: Vec<IpAddr> = if everywhere {
        own.iter()
            .copied()
            .filter(|address| address.is_ipv4() || local.is_ipv6())
            .take(MOST_ADDRESSES)
            .collect()
    } else {
        vec![local.ip()]
    };
    if targets.is_empty() {
        targets.push(if local.is_ipv4() || everywhere {
            Ipv4Addr::LOCALHOST.into()
        } else {
            Ipv6Addr::LOCALHOST.into()
        });
    }
    let alone = targets.iter().all(IpAddr::is_loopback);
    lines.push(if alone {
        "To send to it, type on this machine:".to_owned()
    } else if targets.len() == 1 {
        "To send to it, type on the other machine:".to_owned()
    } else {
        "To send to it, type on the other machine one of:".to_owned()
    });
    lines.extend(targets.iter().map(|&ip| {
        let target = udp::as_typed_elsewhere(SocketAddr::new(ip, local.port()));
        format!("  framegram-send camera {target}")
    }));
    if lines.iter().any(|line| line.contains(udp::INTERFACE)) {
        lines.push(format!(
            "There, {} is that machine's own that leads here, such as eth0.",
            udp::INTERFACE
        ));
    }
    lines
}

/// More addresses than these confuse more than they help.
const MOST_ADDRESSES: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn invite(local: &str, own: &[&str]) -> Vec<String> {
        let own: Vec<IpAddr> = own.iter().map(|ip| ip.parse().unwrap()).collect();
        lines(local.parse().unwrap(), &own)
    }

    #[test]
    fn gives_the_command_for_each_of_the_machine_s_addresses() {
        assert_eq!(
            invite("[::]:5005", &["192.168.1.5", "2001:db8::5"]),
            [
                "Waiting for a stream on port 5005, IPv6 and IPv4.",
                "To send to it, type on the other machine one of:",
                "  framegram-send camera 192.168.1.5:5005",
                "  framegram-send camera [2001:db8::5]:5005",
            ]
        );
        assert_eq!(
            invite("0.0.0.0:6000", &["192.168.1.5", "2001:db8::5"])[1..],
            [
                "To send to it, type on the other machine:",
                "  framegram-send camera 192.168.1.5:6000",
            ]
        );
    }

    #[test]
    fn gives_the_address_listened_on_where_it_is_one() {
        assert_eq!(
            invite("239.1.2.3:5005", &["192.168.1.5"]),
            [
                "Waiting for a stream to the group 239.1.2.3:5005.",
                "To send to it, type on the other machine:",
                "  framegram-send camera 239.1.2.3:5005",
            ]
        );
        assert_eq!(
            invite("[::1]:5005", &["192.168.1.5"])[1..],
            [
                "To send to it, type on this machine:",
                "  framegram-send camera [::1]:5005",
            ]
        );
    }

    #[test]
    fn the_number_of_an_interface_means_nothing_on_another_machine() {
        for local in ["[ff02::1234%3]:5005", "[fe80::7%3]:5005"] {
            let lines = invite(local, &[]);
            let typed = local.replace("%3", "%INTERFACE");
            assert_eq!(lines[2], format!("  framegram-send camera {typed}"));
            assert!(lines[3].contains("INTERFACE is that machine's own"));
        }
        let lines = invite("[ff05::1234]:5005", &[]);
        assert_eq!(lines[2..], ["  framegram-send camera [ff05::1234]:5005"]);
    }

    #[test]
    fn a_machine_without_a_network_can_still_talk_to_itself() {
        let lines = invite("[::]:5005", &[]);
        assert_eq!(lines[2], "  framegram-send camera 127.0.0.1:5005");
    }
}
