//! Viewers that come by themselves: the socket that they share, who of them is
//! served, and what a person is told of it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use framegram_cli::invitation;
use framegram_common::sender::acceptor::{Acceptor, Config, Visit};
use framegram_common::stats::Admission;
use framegram_common::wire::DEFAULT_DATAGRAM;
use framegram_net::{
    DEFAULT_PORT, ListenOptions, Received, Socket, clock, local_addresses, resolve,
};

use crate::console::Console;

/// So many comings and goings are told at once; more of them are told one a
/// second, so that nobody outside can fill the screen.
const TOLD_AT_ONCE: u32 = 16;

/// Where viewers knock.
pub(crate) struct Door {
    socket: Arc<Socket>,
    gate: Acceptor,
    most: u16,
    answer: Vec<u8>,
    told: u32,
    told_since: Duration,
}

/// A datagram at the door.
pub(crate) struct Knock {
    pub(crate) received: Received,
    pub(crate) visit: Visit,
}

impl Door {
    /// Listens at `text` for viewers of a stream.
    ///
    /// # Errors
    /// Where that is no address of this machine, or another program has it.
    pub(crate) fn open(text: &str, most: u16, datagram: usize, stream: u64) -> Result<Self> {
        let address = resolve(text, Some(DEFAULT_PORT))?;
        if address.ip().is_multicast() {
            bail!("{text} is a multicast group: send to it, without --listen");
        }
        let listen = ListenOptions {
            address: Some(address),
            fragment: datagram > DEFAULT_DATAGRAM,
            ..ListenOptions::default()
        };
        let config = Config {
            stream,
            secret: (framegram_net::random_u64(), framegram_net::random_u64()),
            most,
        };
        Ok(Self {
            socket: Arc::new(Socket::listen(&listen)?),
            gate: Acceptor::new(config),
            most,
            answer: Vec::new(),
            told: 0,
            told_since: Duration::ZERO,
        })
    }

    pub(crate) fn socket(&self) -> &Arc<Socket> {
        &self.socket
    }

    /// Where it is.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// What to type where the viewer is.
    pub(crate) fn invitation(&self) -> Vec<String> {
        let Ok(local) = self.address() else {
            return Vec::new();
        };
        let heading = match self.most {
            1 => "One viewer may come. To view".to_owned(),
            most => format!("Up to {most} viewers may come. To view"),
        };
        invitation::lines(
            &heading,
            "framegram-view --connect",
            local,
            &local_addresses(),
        )
    }

    /// Takes the next datagram, and answers those who are not served.
    ///
    /// # Errors
    /// What the network said.
    pub(crate) fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<Knock>> {
        let Some(received) = self.socket.receive(buffer)? else {
            return Ok(None);
        };
        let len = received.len.min(buffer.len());
        let (from, now) = (received.from, clock::now());
        let visit = self
            .gate
            .handle_datagram(from, &buffer[..len], now, &mut self.answer);
        if !self.answer.is_empty() {
            // An answer that cannot be sent is as good as lost: it is asked for again.
            let _ = self.socket.reply(&received, &self.answer);
        }
        // Behind the gate: whoever is not served is not remembered.
        let served = matches!(
            visit,
            Visit::Served(_) | Visit::Admitted(_) | Visit::Moved(_) | Visit::Succeeded(_)
        );
        if served {
            self.socket.remember(&received);
        }
        Ok(Some(Knock { received, visit }))
    }

    /// The next viewer that has fallen silent.
    pub(crate) fn poll_gone(&mut self, now: Duration) -> Option<usize> {
        self.gate.poll_gone(now)
    }

    /// When there may be one.
    pub(crate) fn poll_timeout(&self) -> Option<Duration> {
        self.gate.poll_timeout()
    }

    /// Whether no viewer is there.
    pub(crate) fn is_unserved(&self) -> bool {
        self.gate.served() == 0
    }

    pub(crate) fn counts(&self) -> Admission {
        self.gate.counts()
    }

    /// Tells what happened to the viewer at an address.
    pub(crate) fn tell(&mut self, viewer: SocketAddr, what: &str, console: &Console) {
        let now = clock::now();
        let passed = now.saturating_sub(self.told_since).as_secs();
        if passed > 0 {
            self.told = self
                .told
                .saturating_sub(u32::try_from(passed).unwrap_or(u32::MAX));
            self.told_since = now;
        }
        if self.told < TOLD_AT_ONCE {
            self.told += 1;
            let (served, most) = (self.gate.served(), self.most);
            console.say(&format!(
                "the viewer at {viewer} {what}: {served} of {most}"
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invites_to_where_it_listens() {
        let door = Door::open("127.0.0.1:0", 3, DEFAULT_DATAGRAM, 1);
        assert!(door.is_err(), "port 0 cannot be typed");
        let free = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap().to_string();
        assert!(Door::open(&address, 3, DEFAULT_DATAGRAM, 1).is_err());
        drop(free);
        let door = Door::open(&address, 3, DEFAULT_DATAGRAM, 1).unwrap();
        assert_eq!(
            door.invitation(),
            [
                "Up to 3 viewers may come. To view, type on this machine:".to_owned(),
                format!("  framegram-view --connect {address}"),
            ]
        );
        assert!(Door::open("239.1.1.1:5005", 3, DEFAULT_DATAGRAM, 1).is_err());
    }
}
