//! Addresses that are allowed to send.

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

/// An address, or all addresses with a common prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix(IpNet);

impl Prefix {
    /// Whether the prefix contains the address. An IPv4 address is the same in the IPv6 form that
    /// some sockets report.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

impl FromStr for Prefix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let net = match text.parse::<IpAddr>() {
            Ok(address) => Ok(address.to_canonical().into()),
            Err(_) => text.parse(),
        };
        net.map(Self).map_err(|_| {
            format!("{text} is not an address, with or without a prefix length, such as 10.0.0.0/8")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(prefix: &str, address: &str) -> bool {
        let prefix: Prefix = prefix.parse().unwrap();
        prefix.contains(address.parse().unwrap())
    }

    #[test]
    fn compares_as_many_bits_as_the_prefix_says() {
        assert!(allows("10.1.2.3", "10.1.2.3"));
        assert!(!allows("10.1.2.3", "10.1.2.2"));
        assert!(allows("10.0.0.0/8", "10.255.0.1"));
        assert!(!allows("10.0.0.0/8", "11.0.0.1"));
        assert!(allows("192.168.1.129/25", "192.168.1.200"));
        assert!(!allows("192.168.1.129/25", "192.168.1.100"));
        assert!(allows("2001:db8::/32", "2001:db8:1::2"));
        assert!(!allows("2001:db8::/32", "2001:db9::2"));
    }

    #[test]
    fn a_prefix_of_length_0_contains_the_address_family() {
        assert!(allows("0.0.0.0/0", "8.8.8.8"));
        assert!(!allows("0.0.0.0/0", "::1"));
        assert!(allows("::/0", "::1"));
        assert!(!allows("::/0", "8.8.8.8"));
    }

    #[test]
    fn ipv4_is_known_in_ipv6_form() {
        assert!(allows("10.0.0.1", "::ffff:10.0.0.1"));
        assert!(allows("::ffff:10.0.0.1", "10.0.0.1"));
    }

    #[test]
    fn says_what_is_wrong() {
        for text in ["example", "10.0.0.0/33", "::/129", "::/", "10.0.0/8"] {
            let error = text.parse::<Prefix>().unwrap_err();
            assert!(
                error.starts_with(&format!("{text} is not an address")),
                "{error}"
            );
        }
    }
}
