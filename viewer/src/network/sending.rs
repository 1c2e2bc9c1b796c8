//! Sending: the receiver's datagrams, sealed, to the sockets and connections.

use framegram_common::receiver::{Port, Transmit};
use framegram_net::{Socket, clock};

use super::Network;

impl Network {
    pub(super) fn send(&mut self, transmit: &Transmit) {
        if self.is_over {
            return;
        }
        let mut datagram = &*transmit.datagram;
        let mut seal = self.seal.take();
        if let Some(seal) = &mut seal {
            match seal.seal(datagram, clock::now()) {
                Some(sealed) => datagram = sealed,
                None => datagram = &[],
            }
        }
        if !datagram.is_empty() {
            self.send_datagram(transmit, datagram);
        }
        self.seal = seal;
    }

    fn send_datagram(&mut self, transmit: &Transmit, datagram: &[u8]) {
        let to = transmit.to;
        if self.connections.send(to, datagram) {
            return;
        }
        let socket = self.socket_of(transmit.port);
        let sent = match self.latest.filter(|latest| latest.from == to) {
            Some(latest) => socket.reply(&latest, datagram),
            None if self.connected == Some(to) => socket.send(None, datagram, datagram.len()),
            None => socket.send(Some(to), datagram, datagram.len()),
        };
        if let Some(notice) = self.unsent.record(to, sent) {
            self.console.say(&notice);
        }
    }

    pub(super) fn socket_of(&self, port: Port) -> &Socket {
        let rtcp = self.rtcp_socket.as_ref();
        rtcp.filter(|_| port == Port::Rtcp).unwrap_or(&self.socket)
    }

    pub(super) fn sockets(&self) -> impl Iterator<Item = &Socket> {
        std::iter::once(&self.socket).chain(&self.rtcp_socket)
    }
}
