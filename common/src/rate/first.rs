//! The first rate on a path, before anything is known of it.

use std::net::IpAddr;

/// In bits per second: small frames at 30 per second fit most access lines.
const FIRST_RATE: u64 = 5_000_000;

/// The rate in bits per second at which a stream to an address begins; `None` on the
/// local network, where nothing limits it until a limit is seen.
pub fn first_rate(address: IpAddr) -> Option<u64> {
    (!is_local(address)).then_some(FIRST_RATE)
}

/// Whether an address belongs to this machine or to a private network.
pub fn is_local(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            v4.is_loopback()
                || v4.is_private()
                || v4.is_link_local()
                || v4.is_multicast()
                || v4.is_broadcast()
        }
        IpAddr::V6(v6) => {
            v6.is_loopback()
                || v6.is_unique_local()
                || v6.is_unicast_link_local()
                || v6.is_multicast()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_streams_beyond_the_local_network_begin_with_a_limit() {
        let first = |text: &str| first_rate(text.parse().unwrap());
        for local in [
            "127.0.0.1",
            "192.168.1.5",
            "169.254.0.1",
            "239.1.2.3",
            "::1",
            "fe80::1",
        ] {
            assert_eq!(first(local), None, "{local}");
        }
        for mapped in ["::ffff:10.0.0.1", "fd77::1"] {
            assert_eq!(first(mapped), None, "{mapped}");
        }
        for public in ["192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1"] {
            assert_eq!(first(public), Some(FIRST_RATE), "{public}");
        }
    }
}
