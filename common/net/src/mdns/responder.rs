//! Announces a sender: probes whether its name is free, announces its address,
//! and answers queries.

use std::net::IpAddr;
use std::time::Duration;

use super::message::{A, AAAA, ANY, Data, Message, Name, PTR, Question, Record, SRV, TXT};
use super::{KEY_NEEDED, MAX_NAME, SERVICE, SERVICES};

/// Interval between probes for a name, and their number
/// (<https://www.rfc-editor.org/rfc/rfc6762#section-8.1>).
const PROBE_EVERY: Duration = Duration::from_millis(250);
const PROBES: u8 = 3;

/// Number of announcements, one second apart
/// (<https://www.rfc-editor.org/rfc/rfc6762#section-8.3>).
const NEWS: u8 = 2;

/// Minimum interval between answers
/// (<https://www.rfc-editor.org/rfc/rfc6762#section-6>).
const TELL_EVERY: Duration = Duration::from_secs(1);

/// Minimum interval between answers to a host that probes for the same name
/// (<https://www.rfc-editor.org/rfc/rfc6762#section-6>).
const DEFEND_EVERY: Duration = Duration::from_millis(250);

/// Delay of an answer, so that it serves further queries too.
const GATHER: Duration = Duration::from_millis(30);

/// Delay of the next attempt after losing a simultaneous probe.
const RETREAT: Duration = Duration::from_secs(1);

/// Upper bound on renamings and lost probes. Only an attacker causes more; they
/// are ignored.
const MAX_CHANGES: u32 = 15;

/// Time to live in seconds: of records with a host's address, and of others
/// (<https://www.rfc-editor.org/rfc/rfc6762#section-10>).
const HOST_TTL: u32 = 120;
const OTHER_TTL: u32 = 4_500;

/// Upper bound on addresses announced on one network.
const MAX_ADDRESSES: usize = 16;

/// Announces a name on all networks of a machine. Inputs are `handle_*`, outputs
/// `poll_*`. Networks are identified by number.
#[derive(Debug)]
pub struct Responder {
    wanted: String,
    /// From the second attempt on, the number is part of the name.
    attempt: u32,
    changes: u32,
    host: Name,
    port: u16,
    needs_key: bool,
    state: ResponderState,
    networks: Vec<LocalNetwork>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ResponderState {
    /// Number of probes sent, and when the next one is due.
    Probing(u8, Duration),
    /// Number of announcements sent, and when the next one is due.
    Telling(u8, Duration),
    Told,
}

/// A network of this machine.
#[derive(Debug)]
struct LocalNetwork {
    number: u32,
    addresses: Vec<IpAddr>,
    /// When an answer is due.
    due: Option<Duration>,
    told: Option<Duration>,
    /// Whether a probe or an announcement is still to be sent on this network.
    news: bool,
}

impl Responder {
    /// Announces `name`, of 1 to [`MAX_NAME`] bytes, for a sender at `port` of
    /// this machine. `host` is a random number that identifies the sender.
    pub fn new(name: &str, host: u64, port: u16, now: Duration) -> Self {
        let host = format!("framegram-{host:016x}");
        Self {
            wanted: name.to_owned(),
            attempt: 1,
            changes: 0,
            host: Name::of(&[&host, "local"]),
            port,
            needs_key: false,
            state: ResponderState::Probing(0, now),
            networks: Vec::new(),
        }
    }

    /// Announces that viewers need a key.
    pub fn with_key(self, needs_key: bool) -> Self {
        Self { needs_key, ..self }
    }

    /// The announced name.
    pub fn name(&self) -> String {
        if self.attempt == 1 {
            return self.wanted.clone();
        }
        let number = format!(" ({})", self.attempt);
        let mut end = self.wanted.len().min(MAX_NAME - number.len());
        while !self.wanted.is_char_boundary(end) {
            end -= 1;
        }
        format!("{}{number}", &self.wanted[..end])
    }

    /// Sets the current networks, each with the addresses to announce on it.
    pub fn handle_networks(&mut self, networks: &[(u32, Vec<IpAddr>)], now: Duration) {
        let mut changed = false;
        let is_new = |number: &u32| self.networks.iter().all(|known| known.number != *number);
        let joined = networks.iter().any(|(number, _)| is_new(number));
        let networks = networks.iter().map(|(number, addresses)| {
            let addresses: Vec<_> = addresses.iter().copied().take(MAX_ADDRESSES).collect();
            let known = self
                .networks
                .iter()
                .find(|known| known.number == *number && known.addresses == addresses);
            changed |= known.is_none();
            LocalNetwork {
                number: *number,
                addresses,
                due: known.and_then(|known| known.due),
                told: known.and_then(|known| known.told),
                news: known.is_none_or(|known| known.news),
            }
        });
        self.networks = networks.collect();
        match self.state {
            ResponderState::Probing(..) => {}
            // The name may be taken on the new network.
            _ if joined => self.begin(ResponderState::Probing(0, now)),
            _ if changed => self.begin(ResponderState::Telling(0, now)),
            _ => {}
        }
    }

    /// Takes a datagram from the group of a network.
    pub fn handle_datagram(
        &mut self,
        network: u32,
        datagram: &[u8],
        now: Duration,
    ) -> Option<String> {
        let message = Message::decode(datagram)?;
        let rival = message.records.iter().find_map(|record| self.rival(record));
        if message.is_response {
            return rival.and_then(|_| self.rename(now));
        }
        let defending = rival.is_some();
        match (rival, self.state) {
            // The greater claim wins
            // (https://www.rfc-editor.org/rfc/rfc6762#section-8.2).
            (Some(claim), ResponderState::Probing(..))
                if claim > self.claim() && self.changes < MAX_CHANGES =>
            {
                self.changes += 1;
                self.begin(ResponderState::Probing(0, now + RETREAT));
            }
            _ if matches!(self.state, ResponderState::Probing(..)) => {}
            _ if self.is_asked(&message) => {
                let networks = self.networks.iter_mut();
                for network in networks.filter(|known| known.number == network) {
                    let (gather, pause) = if defending {
                        (Duration::ZERO, DEFEND_EVERY)
                    } else {
                        (GATHER, TELL_EVERY)
                    };
                    let free = network.told.map_or(Duration::ZERO, |told| told + pause);
                    let due = (now + gather).max(free);
                    network.due = Some(network.due.map_or(due, |before| before.min(due)));
                }
            }
            _ => {}
        }
        None
    }

    /// Fills `out` with a datagram for the group of a network, if one is due.
    /// Returns the network.
    pub fn poll_transmit(&mut self, now: Duration, out: &mut Vec<u8>) -> Option<u32> {
        self.advance(now);
        let probing = matches!(self.state, ResponderState::Probing(..));
        let ready = match self.state {
            ResponderState::Probing(_, at) | ResponderState::Telling(_, at) => now >= at,
            ResponderState::Told => false,
        };
        let network = self.networks.iter_mut().find(|network| {
            let asked = network.due.is_some_and(|due| due <= now);
            (ready && network.news) || (asked && !probing)
        })?;
        (network.news, network.due) = (false, None);
        let number = network.number;
        if probing {
            self.probe().encode(out);
        } else {
            network.told = Some(now);
            let addresses = network.addresses.clone();
            self.answer(&addresses, HOST_TTL, OTHER_TTL).encode(out);
        }
        Some(number)
    }

    /// When the next datagram may be due.
    pub fn poll_timeout(&self) -> Option<Duration> {
        let probing = matches!(self.state, ResponderState::Probing(..));
        let answers = self.networks.iter().filter_map(|network| network.due);
        let step = match self.state {
            ResponderState::Probing(_, at) | ResponderState::Telling(_, at) => Some(at),
            ResponderState::Told => None,
        };
        answers.filter(|_| !probing).chain(step).min()
    }

    /// Fills `out` with the goodbye message for all networks. Returns false if
    /// there is nothing to withdraw.
    pub fn leave(&self, out: &mut Vec<u8>) -> bool {
        self.answer(&[], 0, 0).encode(out);
        !matches!(self.state, ResponderState::Probing(..))
    }

    /// Advances to the next probe or announcement after the current one has been
    /// sent on all networks.
    fn advance(&mut self, now: Duration) {
        if self.networks.iter().any(|network| network.news) {
            return;
        }
        let next = match self.state {
            ResponderState::Probing(asked, at) if now >= at => {
                if asked + 1 < PROBES {
                    ResponderState::Probing(asked + 1, at.max(now) + PROBE_EVERY)
                } else {
                    ResponderState::Telling(0, now + PROBE_EVERY)
                }
            }
            ResponderState::Telling(told, at) if now >= at => {
                if told + 1 < NEWS {
                    ResponderState::Telling(told + 1, now + TELL_EVERY)
                } else {
                    ResponderState::Told
                }
            }
            _ => return,
        };
        self.begin(next);
    }

    fn begin(&mut self, state: ResponderState) {
        self.state = state;
        self.networks
            .iter_mut()
            .for_each(|network| network.news = true);
    }

    fn rename(&mut self, now: Duration) -> Option<String> {
        if self.changes >= MAX_CHANGES {
            return None;
        }
        self.changes += 1;
        self.attempt += 1;
        self.begin(ResponderState::Probing(0, now));
        Some(self.name())
    }

    /// The claim in another machine's record of a service with this name, in wire
    /// format.
    fn rival(&self, record: &Record) -> Option<Vec<u8>> {
        let Data::Service(port, host) = &record.data else {
            return None;
        };
        let own = (self.port, &self.host);
        let rival = record.name == self.instance() && record.ttl > 0 && (*port, host) != own;
        rival.then(|| claim(*port, host))
    }

    fn claim(&self) -> Vec<u8> {
        claim(self.port, &self.host)
    }

    fn instance(&self) -> Name {
        let name = self.name();
        let labels: Vec<_> = std::iter::once(name.as_str()).chain(SERVICE).collect();
        Name::of(&labels)
    }

    /// Whether a query asks for this service and does not list it as known.
    fn is_asked(&self, query: &Message) -> bool {
        let instance = self.instance();
        let service = Name::of(&SERVICE);
        let known = query.records.iter().any(|record| {
            // A known answer counts while at least half of its time to live is
            // left (https://www.rfc-editor.org/rfc/rfc6762#section-7.1).
            record.name == service
                && record.ttl >= OTHER_TTL / 2
                && matches!(&record.data, Data::Pointer(to) if *to == instance)
        });
        query.questions.iter().any(|Question { name, kind }| {
            let kinds: &[u16] = if *name == service && !known || *name == Name::of(&SERVICES) {
                &[PTR, ANY]
            } else if *name == instance {
                &[SRV, TXT, ANY]
            } else if *name == self.host {
                &[A, AAAA, ANY]
            } else {
                &[]
            };
            kinds.contains(kind)
        })
    }

    fn probe(&self) -> Message {
        let name = self.instance();
        Message {
            is_response: false,
            questions: vec![Question {
                name: name.clone(),
                kind: ANY,
            }],
            records: vec![Record {
                name,
                ttl: HOST_TTL,
                data: Data::Service(self.port, self.host.clone()),
            }],
        }
    }

    /// An answer with all records. It fits one datagram and saves a second query.
    fn answer(&self, addresses: &[IpAddr], host_ttl: u32, other_ttl: u32) -> Message {
        let (service, name) = (Name::of(&SERVICE), self.instance());
        let record = |name: &Name, ttl, data| Record {
            name: name.clone(),
            ttl,
            data,
        };
        let key = self.needs_key.then_some(KEY_NEEDED);
        let text = ["txtvers=1", "wire=native"].into_iter().chain(key);
        let text = text.map(|text| {
            let len = [text.len() as u8];
            [&len[..], text.as_bytes()].concat()
        });
        let text: Vec<_> = text.collect();
        let mut records = vec![
            record(&service, other_ttl, Data::Pointer(name.clone())),
            record(&name, host_ttl, Data::Service(self.port, self.host.clone())),
            record(&name, other_ttl, Data::Text(text.concat())),
            record(
                &Name::of(&SERVICES),
                other_ttl,
                Data::Pointer(service.clone()),
            ),
        ];
        if other_ttl == 0 {
            // Several hosts may offer this service type.
            records.pop();
        }
        let addresses = addresses.iter().map(|address| Data::Address(*address));
        records.extend(addresses.map(|data| record(&self.host, host_ttl, data)));
        Message {
            is_response: true,
            questions: Vec::new(),
            records,
        }
    }
}

/// Data of the record for comparison, without priority and weight, which are 0.
fn claim(port: u16, host: &Name) -> Vec<u8> {
    [&port.to_be_bytes()[..], host.bytes()].concat()
}

#[cfg(test)]
mod tests;
