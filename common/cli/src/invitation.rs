//! The commands to type on another machine to reach this one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Upper bound on addresses that are listed. More confuse the user.
const MAX_ADDRESSES: usize = 4;

/// Placeholder for the other machine's interface.
const INTERFACE: &str = "INTERFACE";

/// The scope of groups that no router forwards.
const LINK_SCOPE: u8 = 2;

/// The commands that reach a socket at `local`, on a machine with the addresses
/// `own`: a line that starts with `heading` and says where to type them, then
/// `command` with each address on a line.
pub fn lines(heading: &str, command: &str, local: SocketAddr, own: &[IpAddr]) -> Vec<String> {
    let everywhere = local.ip().is_unspecified();
    let mut targets: Vec<IpAddr> = if everywhere {
        own.iter()
            .copied()
            .filter(|address| address.is_ipv4() || local.is_ipv6())
            .take(MAX_ADDRESSES)
            .collect()
    } else {
        vec![local.ip()]
    };
    if targets.is_empty() {
        targets.push(Ipv4Addr::LOCALHOST.into());
    }
    let place = if targets.iter().all(IpAddr::is_loopback) {
        "on this machine"
    } else if targets.len() == 1 {
        "on the other machine"
    } else {
        "on the other machine one of"
    };
    let typed = targets
        .iter()
        .map(|&ip| typed_elsewhere(SocketAddr::new(ip, local.port())));
    let mut lines = vec![format!("{heading}, type {place}:")];
    lines.extend(typed.map(|address| format!("  {command} {address}")));
    if lines.iter().any(|line| line.contains(INTERFACE)) {
        lines.push(format!(
            "Replace {INTERFACE} by that machine's own interface, such as eth0."
        ));
    }
    lines
}

/// An address of this machine, or a group, as another machine must type it. If it
/// is link-local, it needs an interface of that machine.
fn typed_elsewhere(address: SocketAddr) -> String {
    match address {
        SocketAddr::V6(v6) if is_link_scoped(*v6.ip()) => {
            format!("[{}%{INTERFACE}]:{}", v6.ip(), v6.port())
        }
        other => other.to_string(),
    }
}

/// Whether the address is valid only on one link
/// (<https://www.rfc-editor.org/rfc/rfc4291#section-2.7>).
fn is_link_scoped(address: Ipv6Addr) -> bool {
    let scope = address.octets()[1] & 0x0f;
    address.is_unicast_link_local() || (address.is_multicast() && scope <= LINK_SCOPE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invite(local: &str, own: &[&str]) -> Vec<String> {
        let own: Vec<IpAddr> = own.iter().map(|ip| ip.parse().unwrap()).collect();
        lines(
            "To send",
            "framegram-send camera",
            local.parse().unwrap(),
            &own,
        )
    }

    #[test]
    fn gives_the_command_for_each_of_the_machine_s_addresses() {
        assert_eq!(
            invite("[::]:5005", &["192.168.1.5", "2001:db8::5"]),
            [
                "To send, type on the other machine one of:",
                "  framegram-send camera 192.168.1.5:5005",
                "  framegram-send camera [2001:db8::5]:5005",
            ]
        );
        assert_eq!(
            invite("0.0.0.0:6000", &["192.168.1.5", "2001:db8::5"]),
            [
                "To send, type on the other machine:",
                "  framegram-send camera 192.168.1.5:6000",
            ]
        );
    }

    #[test]
    fn gives_the_address_listened_on_where_it_is_one() {
        assert_eq!(
            invite("239.1.2.3:5005", &["192.168.1.5"]),
            [
                "To send, type on the other machine:",
                "  framegram-send camera 239.1.2.3:5005",
            ]
        );
        assert_eq!(
            invite("[::1]:5005", &["192.168.1.5"]),
            [
                "To send, type on this machine:",
                "  framegram-send camera [::1]:5005",
            ]
        );
    }

    #[test]
    fn the_scope_of_an_address_is_replaced_for_another_machine() {
        for local in ["[ff02::1234%3]:5005", "[fe80::7%3]:5005"] {
            let lines = invite(local, &[]);
            let typed = local.replace("%3", "%INTERFACE");
            assert_eq!(lines[1], format!("  framegram-send camera {typed}"));
            assert!(lines[2].contains("by that machine's own interface"));
        }
        let lines = invite("[ff05::1234]:5005", &[]);
        assert_eq!(lines[1..], ["  framegram-send camera [ff05::1234]:5005"]);
    }

    #[test]
    fn a_machine_without_a_network_can_still_talk_to_itself() {
        let lines = invite("[::]:5005", &[]);
        assert_eq!(lines[1], "  framegram-send camera 127.0.0.1:5005");
    }
}
