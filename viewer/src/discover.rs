//! Senders that announce themselves on the local network: DNS-SD over mDNS
//! (<https://www.rfc-editor.org/rfc/rfc6763>).

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use framegram_cli::console::Console;
use framegram_cli::pipe::StandardOutput;
use framegram_cli::stop::Stop;
use framegram_net::mdns::{self, LocalNetworks};
use framegram_net::{self as net, Lookup, Waker, clock};

use crate::args::SenderAddress;

/// How long to listen for a list. Answers may be delayed by half a second
/// (<https://www.rfc-editor.org/rfc/rfc6762#section-6>), and questions may be lost.
pub const LISTEN: Duration = Duration::from_millis(2500);

/// Interval at which the search checks whether it was stopped.
const LOOK: Duration = Duration::from_millis(100);

/// Interval at which the search checks the networks, since one may come up meanwhile.
const LOOK_AT_NETWORKS: Duration = Duration::from_secs(2);

/// Datagrams handled in a row before the time is checked.
const BATCH: usize = 64;

/// The longest message (<https://www.rfc-editor.org/rfc/rfc6762#section-17>).
const LONGEST: usize = 9_000;

/// Searches for senders while it is polled.
pub struct SenderSearch {
    networks: LocalNetworks,
    search: mdns::Search,
    waker: Waker,
    looked: Duration,
}

impl SenderSearch {
    /// Starts a search for the sender with this name, or for all.
    ///
    /// # Errors
    /// If this machine has no multicast.
    pub fn new(wanted: Option<&str>) -> anyhow::Result<Self> {
        let failed = "cannot look for senders on the local network";
        mdns::probe_local_network().context(
            "cannot look for senders on the local network, but --connect HOST:PORT works without",
        )?;
        let now = clock::now();
        Ok(Self {
            networks: LocalNetworks::open().context(failed)?,
            search: mdns::Search::new(wanted, now),
            waker: Waker::new().context(failed)?,
            looked: now,
        })
    }

    /// The senders that answer within `patience`, by name. Returns earlier once `enough` is
    /// satisfied.
    pub fn senders(
        &mut self,
        patience: Duration,
        mut enough: impl FnMut(&BTreeMap<String, SocketAddr>) -> bool,
    ) -> anyhow::Result<&BTreeMap<String, SocketAddr>> {
        let (mut buffer, mut out) = ([0; LONGEST], Vec::new());
        let begun = clock::now();
        loop {
            let now = clock::now();
            let left = patience.saturating_sub(now.saturating_sub(begun));
            if left.is_zero() || enough(self.search.senders()) {
                return Ok(self.search.senders());
            }
            if now.saturating_sub(self.looked) >= LOOK_AT_NETWORKS {
                self.looked = now;
                // A network that cannot be opened now is tried again at the next check.
                let _ = self.networks.look();
            }
            while self.search.poll_transmit(now, &mut out) {
                self.networks.send(None, &out);
            }
            let mut received = 0;
            while received < BATCH
                && let Some((network, len)) = self.networks.receive(&mut buffer)
            {
                received += 1;
                self.search.handle_datagram(network, &buffer[..len]);
            }
            if received == 0 {
                let due = self.search.poll_timeout().saturating_sub(now);
                let patience = left.min(LOOK).min(due);
                self.networks
                    .wait(&self.waker, patience)
                    .context("cannot wait for answers")?;
            }
        }
    }
}

/// Writes the senders that announce themselves to standard output, one per line.
pub(crate) fn list(stop: &Stop) -> anyhow::Result<()> {
    let mut search = SenderSearch::new(None)?;
    let stopped = |_: &_| stop.is_stopped();
    let senders = search.senders(LISTEN, stopped)?.clone();
    if senders.is_empty() {
        bail!(
            "no sender announces itself on this network: start one with framegram-send --listen \
             :5005 --announce NAME SOURCE"
        );
    }
    for (name, address) in senders {
        let key = if search.search.needs_key(&name) {
            "\tneeds a key"
        } else {
            ""
        };
        writeln!(StandardOutput, "{name}\t{address}{key}")?;
    }
    Ok(())
}

/// The address of a sender; `None` if the search was stopped.
pub(crate) fn find(
    sender: &SenderAddress,
    wait: Option<Duration>,
    stop: &Stop,
    console: &Console,
) -> anyhow::Result<Option<SocketAddr>> {
    let name = match sender {
        SenderAddress::Name(name) => name,
        SenderAddress::Address(text) => {
            let address = net::resolve(text, None)?;
            if address.ip().is_multicast() {
                bail!("{text} is a multicast group: type framegram-view {text}, without --connect");
            }
            return Ok(Some(address));
        }
    };
    console.say(&format!("Searching for {name:?} on the local network."));
    let mut search = SenderSearch::new(Some(name))?;
    let found = search.senders(wait.unwrap_or(Duration::MAX), |senders| {
        senders.contains_key(name) || stop.is_stopped()
    })?;
    match found.get(name) {
        Some(address) => Ok(Some(*address)),
        None if stop.is_stopped() => Ok(None),
        None => bail!(
            "no sender announces the name {name:?}: framegram-view discover lists those that \
             there are"
        ),
    }
}

/// How to find a sender again, if it has a name.
pub(crate) fn lookup(sender: &SenderAddress) -> Option<Lookup> {
    match sender {
        SenderAddress::Address(text) => Lookup::of(text, None),
        SenderAddress::Name(name) => {
            let name = name.clone();
            Some(Lookup::new(move || locate(&name)))
        }
    }
}

/// The present address of the sender with this name.
///
/// # Errors
/// If it does not answer within [`LISTEN`].
fn locate(name: &str) -> io::Result<SocketAddr> {
    let mut search = SenderSearch::new(Some(name)).map_err(io::Error::other)?;
    let found = search.senders(LISTEN, |senders| senders.contains_key(name));
    let found = found.map_err(io::Error::other)?;
    found
        .get(name)
        .copied()
        .ok_or(io::ErrorKind::NotFound.into())
}
