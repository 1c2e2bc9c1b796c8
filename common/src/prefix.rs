//! Address prefixes, each of which belongs to one household or machine.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

/// The address or prefix of one household or machine: an IPv4 address, or the
/// upper 64 bits of an IPv6 address. Anyone can use as many addresses in a /64 as
/// they like (<https://www.rfc-editor.org/rfc/rfc6177#section-2>).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourcePrefix(IpAddr);

impl SourcePrefix {
    /// The prefix of an address.
    pub fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(v4) => v4.into(),
            IpAddr::V6(v6) => {
                let network = v6.to_bits() & !u128::from(u64::MAX);
                Ipv6Addr::from_bits(network).into()
            }
        })
    }
}

/// Chooses the prefixes of which one slot may be given to `newcomer` when all
/// slots are taken: those with the most slots, if they still have no fewer than
/// `newcomer` afterwards. `holders` has one entry for each slot. So one household
/// may take many slots while there is room, but cannot keep others out, and two
/// households do not displace each other in turn.
pub(crate) fn crowds(
    holders: impl Iterator<Item = SourcePrefix>,
    newcomer: SourcePrefix,
) -> Vec<SourcePrefix> {
    let mut held = HashMap::new();
    for holder in holders {
        *held.entry(holder).or_insert(0_usize) += 1;
    }
    let own = held.get(&newcomer).copied().unwrap_or(0);
    let most = held.values().copied().max().unwrap_or(0);
    let crowds = held.into_iter().filter(|(_, held)| *held == most);
    crowds
        .filter(|(_, held)| *held > own + 1)
        .map(|(holder, _)| holder)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> SourcePrefix {
        SourcePrefix::of(text.parse().unwrap())
    }

    #[test]
    fn one_household_is_one_prefix() {
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:0:0:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
    }

    #[test]
    fn a_prefix_with_many_slots_yields_until_all_have_as_many() {
        let [one, two, three] = ["192.0.2.1", "192.0.2.2", "192.0.2.3"].map(of);
        let crowds = |holders: &[SourcePrefix], newcomer| crowds(holders.iter().copied(), newcomer);
        assert_eq!(crowds(&[one, one, one, two], two), [one]);
        assert_eq!(crowds(&[one, one, two, two], two), []);
        assert_eq!(crowds(&[one, one, one, two], one), []);
        assert_eq!(crowds(&[one, one, two], three), [one]);
        assert_eq!(crowds(&[one, one, two, two], three).len(), 2);
        assert_eq!(crowds(&[one, two], three), []);
        assert_eq!(crowds(&[], three), []);
    }
}
