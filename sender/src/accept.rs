//! The socket that viewers connect to (`--listen`), and the notices about them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use framegram_cli::invitation;
use framegram_cli::numbers::or_none;
use framegram_common::wire::DEFAULT_DATAGRAM;
use framegram_net::{
    DEFAULT_PORT, ListenOptions, Received, Socket, clock, local_addresses, resolve,
};
use log::info;

use crate::console::Console;

/// This many notices about viewers may be printed at once, further ones at one per second, so that
/// no stranger can flood the terminal.
const MAX_NOTICES: u32 = 16;

/// The socket at which viewers are accepted.
pub(crate) struct AcceptSocket {
    socket: Arc<Socket>,
    most: u16,
    /// What viewers type for the key, if they need one.
    key: Option<&'static str>,
    /// The datagram that is being handled.
    received: Option<Received>,
    /// A datagram may be waiting.
    readable: bool,
    notices: u32,
    notices_since: Duration,
}

impl AcceptSocket {
    /// Listens at `text` for viewers of a stream, who type `key` if they need one.
    ///
    /// # Errors
    /// If it is not an address of this machine, or is in use.
    pub(crate) fn open(
        text: &str,
        most: u16,
        datagram: usize,
        key: Option<&'static str>,
    ) -> Result<Self> {
        let address = resolve(text, Some(DEFAULT_PORT))?;
        if address.ip().is_multicast() {
            bail!("{text} is a multicast group: give it as DEST, without --listen");
        }
        let listen = ListenOptions {
            address: Some(address),
            fragment: datagram > DEFAULT_DATAGRAM,
            ..ListenOptions::default()
        };
        let socket = Socket::listen(&listen)?;
        info!("accepting viewers at {}", or_none(socket.local_addr().ok()));
        Ok(Self {
            socket: Arc::new(socket),
            most,
            key,
            received: None,
            readable: true,
            notices: 0,
            notices_since: Duration::ZERO,
        })
    }

    /// Marks the socket as readable.
    pub(crate) fn set_readable(&mut self) {
        self.readable = true;
    }

    pub(crate) fn socket(&self) -> &Arc<Socket> {
        &self.socket
    }

    /// The local address.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// What to type on the viewer's machine.
    pub(crate) fn invitation(&self) -> Vec<String> {
        let Ok(local) = self.address() else {
            return Vec::new();
        };
        let heading = match self.most {
            1 => "Waiting for one viewer. To connect".to_owned(),
            most => format!("Waiting for up to {most} viewers. To connect"),
        };
        let viewer = match self.key {
            Some(key) => format!("framegram-view {key} --connect"),
            None => "framegram-view --connect".to_owned(),
        };
        invitation::lines(&heading, &viewer, local, &local_addresses())
    }

    /// Receives the next datagram.
    ///
    /// # Errors
    /// An error that the network reports.
    pub(crate) fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<Received>> {
        if !self.readable {
            return Ok(None);
        }
        self.received = self.socket.receive(buffer)?;
        self.readable = self.received.is_some();
        Ok(self.received)
    }

    /// Answers the sender of the datagram received last.
    pub(crate) fn answer(&self, to: SocketAddr, answer: &[u8]) {
        if let Some(received) = self.received.filter(|received| received.from == to) {
            // An answer that cannot be sent counts as lost: the viewer sends its request again.
            let _ = self.socket.reply(&received, answer);
        }
    }

    /// Sends to a served viewer from the address that its last datagram arrived at.
    pub(crate) fn remember(&self, viewer: SocketAddr) {
        if let Some(received) = self.received.filter(|received| received.from == viewer) {
            self.socket.remember(&received);
        }
    }

    /// Prints a notice about the viewer at an address.
    pub(crate) fn notify(
        &mut self,
        viewer: SocketAddr,
        what: &str,
        served: usize,
        console: &Console,
    ) {
        let now = clock::now();
        let passed = now.saturating_sub(self.notices_since).as_secs();
        if passed > 0 {
            self.notices = self
                .notices
                .saturating_sub(u32::try_from(passed).unwrap_or(u32::MAX));
            self.notices_since = now;
        }
        if self.notices < MAX_NOTICES {
            self.notices += 1;
            let most = self.most;
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
        let accept = AcceptSocket::open("127.0.0.1:0", 3, DEFAULT_DATAGRAM, None);
        assert!(accept.is_err(), "port 0 cannot be typed");
        let free = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap().to_string();
        assert!(AcceptSocket::open(&address, 3, DEFAULT_DATAGRAM, None).is_err());
        drop(free);
        let accept = AcceptSocket::open(&address, 3, DEFAULT_DATAGRAM, None).unwrap();
        assert_eq!(
            accept.invitation(),
            [
                "Waiting for up to 3 viewers. To connect, type on this machine:".to_owned(),
                format!("  framegram-view --connect {address}"),
            ]
        );
        assert!(AcceptSocket::open("239.1.1.1:5005", 3, DEFAULT_DATAGRAM, None).is_err());
    }
}
