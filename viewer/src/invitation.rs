//! Where this viewer listens, and what to type on the other machine.

use std::net::{IpAddr, SocketAddr};

use framegram_cli::invitation;

/// Says where a viewer listens at `local`, on a machine that has the addresses
/// `own`, and the sender's command that reaches it, with these arguments: a line each.
pub(crate) fn lines(local: SocketAddr, own: &[IpAddr], arguments: &str) -> Vec<String> {
    let mut lines = vec![if local.ip().is_unspecified() {
        let families = if local.is_ipv6() {
            "IPv6 and IPv4"
        } else {
            "IPv4"
        };
        format!("Waiting for a stream on port {}, {families}.", local.port())
    } else if local.ip().is_multicast() {
        format!("Waiting for a stream to the multicast group {local}.")
    } else {
        format!("Waiting for a stream to {local}.")
    }];
    lines.extend(invitation::lines(
        "To send one",
        &format!("framegram-send {arguments}"),
        local,
        own,
    ));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_where_it_listens_before_the_command() {
        for (local, first, command) in [
            (
                "[::]:5005",
                "Waiting for a stream on port 5005, IPv6 and IPv4.",
                "  framegram-send camera 192.168.1.5:5005",
            ),
            (
                "239.1.2.3:5005",
                "Waiting for a stream to the multicast group 239.1.2.3:5005.",
                "  framegram-send camera 239.1.2.3:5005",
            ),
        ] {
            let own = ["192.168.1.5".parse().unwrap()];
            let lines = lines(local.parse().unwrap(), &own, "camera");
            assert_eq!(lines[0], first);
            assert_eq!(lines[1], "To send one, type on the other machine:");
            assert_eq!(lines[2], command);
        }
    }
}
