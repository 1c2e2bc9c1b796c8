//! Addresses that are allowed to send.

use std::net::IpAddr;
use std::str::FromStr;

/// An address, or all that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    bits: u128,
    length: u32,
    v4: bool,
}

impl Prefix {
    /// Whether the address is among those meant. An IPv4 address is the same in
    /// the IPv6 form that some sockets give it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let (bits, v4) = bits(address.to_canonical());
        let differ = bits ^ self.bits;
        v4 == self.v4 && (self.length == 0 || differ >> (u128::BITS - self.length) == 0)
    }
}

impl FromStr for Prefix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address
            .parse()
            .map_err(|_| format!("{address} is no IPv4 or IPv6 address"))?;
        let (bits, v4) = bits(address.to_canonical());
        let most = if v4 { 32 } else { 128 };
        let length = match length {
            None => most,
            Some(length) => length
                .parse()
                .ok()
                .filter(|length| *length <= most)
                .ok_or_else(|| format!("a prefix is 0 to {most} bits long, not {length}"))?,
        };
        Ok(Self { bits, length, v4 })
    }
}

/// The address from the highest bit down, and whether it is IPv4.
fn bits(address: IpAddr) -> (u128, bool) {
    match address {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()) << 96, true),
        IpAddr::V6(v6) => (v6.to_bits(), false),
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
    fn nothing_of_a_prefix_is_the_whole_family() {
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
        for (text, part) in [
            ("example", "no IPv4"),
            ("10.0.0.0/33", "0 to 32"),
            ("::/129", "0 to 128"),
            ("::/", "0 to 128"),
        ] {
            let error = text.parse::<Prefix>().unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
