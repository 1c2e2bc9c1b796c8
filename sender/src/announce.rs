//! Announces the sender's name on the local network: DNS-SD over mDNS
//! (<https://www.rfc-editor.org/rfc/rfc6763>).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use framegram_cli::threads::{Thread, Threads};
use framegram_net::mdns::{self, LocalNetworks, MAX_NAME, Responder, probe_local_network};
use framegram_net::{Waker, clock};

use crate::console::Console;

/// Interval at which the networks are checked: a name is back within seconds of its network.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Datagrams handled in a row before due messages are sent.
const BATCH: usize = 64;

/// The longest message (<https://www.rfc-editor.org/rfc/rfc6762#section-17>).
const LONGEST: usize = 9_000;

/// How often the goodbye is sent, since any message may be lost.
const LAST_WORDS: usize = 2;

/// How long the end waits for the goodbye to be sent.
const ENDING: Duration = Duration::from_millis(300);

/// A name that is announced until this is dropped.
pub(crate) struct Announcement {
    stop: Arc<AtomicBool>,
    waker: Waker,
    thread: Option<Thread<()>>,
}

impl Announcement {
    /// Announces a stream under `name` at an address of this machine. The announcement does not
    /// reveal the stream number.
    ///
    /// # Errors
    /// If another program has exclusive use of the port.
    pub(crate) fn new(
        name: &str,
        address: SocketAddr,
        needs_key: bool,
        console: &Arc<Console>,
        threads: &Threads,
    ) -> Result<Self> {
        let failed = || format!("cannot announce {name:?} on the local network");
        if address.ip().is_loopback() {
            console.say(&format!(
                "{name:?} cannot be found from other machines: {} is a loopback address",
                address.ip()
            ));
        }
        // It keeps announcing, since a network may come up later.
        if let Err(error) = probe_local_network() {
            console.say(&format!(
                "{name:?} cannot be found by name: {error}; --connect with the address works"
            ));
        }
        let waker = Waker::new().with_context(failed)?;
        let announcing = Announcing {
            networks: LocalNetworks::open().with_context(failed)?,
            // The number distinguishes two senders on one machine.
            responder: Responder::new(
                name,
                framegram_net::random_u64(),
                address.port(),
                clock::now(),
            )
            .with_key(needs_key),
            address,
            stop: Arc::new(AtomicBool::new(false)),
            waker: waker.clone(),
            console: Arc::clone(console),
        };
        let stop = Arc::clone(&announcing.stop);
        let thread = threads.spawn("announcing", move || announcing.run())?;
        Ok(Self {
            stop,
            waker,
            thread: Some(thread),
        })
    }
}

impl Drop for Announcement {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.waker.wake();
        // If no goodbye is sent by then, the announcement expires in two minutes.
        if let Some(thread) = self.thread.take() {
            let _ = thread.join_within(ENDING);
        }
    }
}

/// The state of the thread.
struct Announcing {
    networks: LocalNetworks,
    responder: Responder,
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    waker: Waker,
    console: Arc<Console>,
}

impl Announcing {
    fn run(mut self) {
        let (mut buffer, mut out) = ([0; LONGEST], Vec::new());
        let mut look = Duration::ZERO;
        while !self.stop.load(Ordering::Acquire) {
            let now = clock::now();
            if now >= look {
                look = now + LOOK_EVERY;
                // A network that cannot be opened now is tried again at the next check.
                let _ = self.networks.look();
                self.responder.handle_networks(&self.announced(), now);
            }
            for _ in 0..BATCH {
                let Some((network, len)) = self.networks.receive(&mut buffer) else {
                    break;
                };
                let datagram = &buffer[..len];
                let responder = &mut self.responder;
                if let Some(name) = responder.handle_datagram(network, datagram, clock::now()) {
                    self.console
                        .say(&format!("the name is taken: announced as {name:?}"));
                }
            }
            let now = clock::now();
            while let Some(network) = self.responder.poll_transmit(now, &mut out) {
                self.networks.send(Some(network), &out);
            }
            let due = self.responder.poll_timeout().unwrap_or(look).min(look);
            if let Err(error) = self.networks.wait(&self.waker, due.saturating_sub(now)) {
                self.console
                    .say(&format!("cannot announce on the local network: {error}"));
                return;
            }
        }
        for _ in 0..LAST_WORDS {
            if self.responder.leave(&mut out) {
                self.networks.send(None, &out);
            }
        }
    }

    /// The networks, each with the addresses where the sender listens.
    fn announced(&self) -> Vec<(u32, Vec<IpAddr>)> {
        let listens = |address: &IpAddr| {
            let all = self.address.ip().is_unspecified();
            if all {
                address.is_ipv4() || self.address.is_ipv6()
            } else {
                *address == self.address.ip()
            }
        };
        let networks = self.networks.all().map(|(number, addresses)| {
            let addresses = addresses.iter().copied().filter(listens);
            (number, addresses.collect::<Vec<_>>())
        });
        networks
            .filter(|(_, addresses)| !addresses.is_empty())
            .collect()
    }
}

/// Checks a name to announce.
///
/// # Errors
/// If it cannot be announced or typed.
pub(crate) fn parse_name(text: &str) -> Result<String, String> {
    if !mdns::is_name(text) {
        return Err(format!(
            "a name has 1 to {MAX_NAME} bytes of text, without dots, colons or backslashes"
        ));
    }
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_can_be_typed_where_addresses_can() {
        for name in ["kitchen", "Küche 2", &"x".repeat(63)] {
            assert_eq!(parse_name(name).as_deref(), Ok(name));
        }
        for name in [
            "",
            "a.b",
            "a:1",
            "a\\b",
            "a\nb",
            "a\u{202e}b",
            &"x".repeat(64),
        ] {
            assert!(parse_name(name).is_err(), "{name}");
        }
    }
}
