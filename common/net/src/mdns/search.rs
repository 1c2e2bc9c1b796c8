//! Searches the local network for senders.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6};
use std::time::Duration;

use super::message::{Data, Message, Name, PTR, Question};
use super::{KEY_NEEDED, SERVICE, is_name};

/// Upper bound on senders kept: more than a user would choose from.
pub const MAX_SENDERS: usize = 256;

/// Time until the second query. Each interval is twice as long as the one before
/// (<https://www.rfc-editor.org/rfc/rfc6762#section-5.2>) ...
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// ... up to this one, which a user still waits for.
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

/// The senders that answered, by name.
#[derive(Debug)]
pub struct Search {
    /// Name of the only sender to find; `None` for all.
    wanted: Option<String>,
    due: Duration,
    pause: Duration,
    senders: BTreeMap<String, SocketAddr>,
    /// Those of the senders that need a key.
    keyed: BTreeSet<String>,
}

impl Search {
    /// Starts the search at `now`: for all senders, or only for the one with the
    /// name `wanted`. Then no other sender can take its place in the bounded
    /// list.
    pub fn new(wanted: Option<&str>, now: Duration) -> Self {
        Self {
            wanted: wanted.map(str::to_owned),
            due: now,
            pause: ASK_AGAIN,
            senders: BTreeMap::new(),
            keyed: BTreeSet::new(),
        }
    }

    /// Takes a datagram from the group of a network; `network` is the index of
    /// its interface.
    pub fn handle_datagram(&mut self, network: u32, datagram: &[u8]) {
        let Some(message) = Message::decode(datagram).filter(|message| message.is_response) else {
            return;
        };
        let addresses = |host: &Name| {
            let records = message.records.iter();
            let addresses = records.filter_map(|record| match record.data {
                Data::Address(address) if record.name == *host && record.ttl > 0 => Some(address),
                _ => None,
            });
            let addresses = addresses.filter(|address| is_of_one_machine(*address));
            addresses.min_by_key(|address| rank(*address))
        };
        for record in &message.records {
            let Data::Service(port, host) = &record.data else {
                continue;
            };
            let Some(name) = record.name.label_before(&SERVICE) else {
                continue;
            };
            if self.wanted.as_ref().is_some_and(|wanted| wanted != name) {
                continue;
            }
            if record.ttl == 0 {
                self.senders.remove(name);
                self.keyed.remove(name);
                continue;
            }
            let free = self.senders.len() < MAX_SENDERS || self.senders.contains_key(name);
            if let Some(address) = addresses(host)
                && free
                && *port != 0
                && is_name(name)
            {
                let address = located(address, *port, network);
                self.senders.insert(name.to_owned(), address);
                let mut records = message.records.iter();
                let needs_key = records.any(|it| it.name == record.name && asks_for_key(&it.data));
                if needs_key {
                    self.keyed.insert(name.to_owned());
                } else {
                    self.keyed.remove(name);
                }
            }
        }
    }

    /// Fills `out` with a query for all networks, if one is due.
    pub fn poll_transmit(&mut self, now: Duration, out: &mut Vec<u8>) -> bool {
        if now < self.due {
            return false;
        }
        self.due = now + self.pause;
        self.pause = (2 * self.pause).min(LONGEST_PAUSE);
        let question = Question {
            name: Name::of(&SERVICE),
            kind: PTR,
        };
        let query = Message {
            questions: vec![question],
            ..Message::default()
        };
        query.encode(out);
        true
    }

    /// When the next query is due.
    pub fn poll_timeout(&self) -> Duration {
        self.due
    }

    /// The senders found.
    pub fn senders(&self) -> &BTreeMap<String, SocketAddr> {
        &self.senders
    }

    /// Whether a sender needs a key.
    pub fn needs_key(&self, name: &str) -> bool {
        self.keyed.contains(name)
    }
}

/// Whether a text record says that a key is needed.
fn asks_for_key(data: &Data) -> bool {
    let Data::Text(text) = data else {
        return false;
    };
    let mut rest = &text[..];
    while let Some((length, behind)) = rest.split_first() {
        let Some((entry, others)) = behind.split_at_checked(usize::from(*length)) else {
            return false;
        };
        if entry == KEY_NEEDED.as_bytes() {
            return true;
        }
        rest = others;
    }
    false
}

/// Whether another machine can have this address.
fn is_of_one_machine(address: IpAddr) -> bool {
    let all = address == IpAddr::V4(Ipv4Addr::BROADCAST);
    let own = address.is_loopback() || address.is_unspecified();
    !(all || own || address.is_multicast()) && address == address.to_canonical()
}

/// Preference among the addresses of a sender: farther reach first, then the
/// shorter address.
fn rank(address: IpAddr) -> (u8, IpAddr) {
    let rank = match address {
        IpAddr::V4(v4) if !v4.is_link_local() => 0,
        IpAddr::V6(v6) if !v6.is_unicast_link_local() => 1,
        IpAddr::V4(_) => 2,
        IpAddr::V6(_) => 3,
    };
    (rank, address)
}

fn located(address: IpAddr, port: u16, network: u32) -> SocketAddr {
    match address {
        IpAddr::V6(v6) if v6.is_unicast_link_local() => {
            SocketAddrV6::new(v6, port, 0, network).into()
        }
        other => SocketAddr::new(other, port),
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::Record;
    use super::*;

    fn announced(name: &str, ttl: u32) -> Vec<u8> {
        at(name, [192, 0, 2, 1].into(), ttl)
    }

    fn at(name: &str, address: IpAddr, ttl: u32) -> Vec<u8> {
        let host = Name::of(&["host", "local"]);
        let record = |name: Name, data| Record { name, ttl, data };
        let labels: Vec<_> = std::iter::once(name).chain(SERVICE).collect();
        let message = Message {
            is_response: true,
            questions: Vec::new(),
            records: vec![
                record(Name::of(&labels), Data::Service(5005, host.clone())),
                record(host, Data::Address(address)),
            ],
        };
        let mut out = Vec::new();
        message.encode(&mut out);
        out
    }

    #[test]
    fn takes_the_address_that_reaches_furthest() {
        let mut all: Vec<IpAddr> = ["169.254.1.1", "fe80::1", "2001:db8::1", "192.168.1.5"]
            .iter()
            .map(|text| text.parse().unwrap())
            .collect();
        all.sort_by_key(|address| rank(*address));
        let order: Vec<_> = all.iter().map(ToString::to_string).collect();
        assert_eq!(
            order,
            ["192.168.1.5", "2001:db8::1", "169.254.1.1", "fe80::1"]
        );
    }

    #[test]
    fn names_with_control_or_invisible_characters_are_refused() {
        let mut search = Search::new(None, Duration::ZERO);
        for name in [
            "\u{1b}]0;owned\u{7}\u{1b}[2J",
            "kitchen\t192.0.2.9:1",
            "a\nb",
            "a\rb",
            "\u{9b}31m",
            "abc\u{202e}cba",
            "\u{2066}a",
            "a\u{2028}b",
            "\u{200f}",
            "a\u{7f}",
            "a\u{e0041}",
            "192.0.2.9:5005",
            "a\\b",
        ] {
            search.handle_datagram(1, &announced(name, 120));
        }
        assert!(search.senders().is_empty(), "{:?}", search.senders());
        for name in ["kitchen", "Küche 2", "厨房", "a b"] {
            search.handle_datagram(1, &announced(name, 120));
        }
        assert_eq!(search.senders().len(), 4);
        search.handle_datagram(1, &announced("kitchen", 0));
        assert_eq!(search.senders().len(), 3);
    }

    #[test]
    fn addresses_of_no_other_machine_are_ignored() {
        let mut search = Search::new(None, Duration::ZERO);
        for address in [
            "127.0.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.251",
            "::",
            "::1",
            "ff02::1",
            "::ffff:127.0.0.1",
        ] {
            search.handle_datagram(1, &at("kitchen", address.parse().unwrap(), 120));
        }
        assert!(search.senders().is_empty(), "{:?}", search.senders());
    }

    #[test]
    fn forged_answers_take_no_more_than_their_places() {
        let mut search = Search::new(None, Duration::ZERO);
        for number in 0..5_000 {
            search.handle_datagram(1, &announced(&format!("forged {number}"), 120));
        }
        assert_eq!(search.senders().len(), MAX_SENDERS);
        let mut search = Search::new(Some("kitchen"), Duration::ZERO);
        for name in ["other", "kitchen"] {
            search.handle_datagram(1, &announced(name, 120));
        }
        let names: Vec<_> = search.senders().keys().collect();
        assert_eq!(names, ["kitchen"]);
    }

    #[test]
    fn queries_become_less_and_less_frequent() {
        let (mut search, mut out) = (Search::new(None, Duration::ZERO), Vec::new());
        let mut asked = Vec::new();
        for second in 0..40 {
            if search.poll_transmit(Duration::from_secs(second), &mut out) {
                asked.push(second);
            }
        }
        assert_eq!(asked, [0, 1, 3, 7, 15, 23, 31, 39]);
    }
}
