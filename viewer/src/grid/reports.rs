//! RTP's reports, which come to the next port unless they come to the same.

use std::net::SocketAddr;

use framegram_common::gallery::MAX_SENDERS;
use framegram_net::{ListenOptions, Received, Socket};

/// The socket for them, and who was heard on it: answers go out by it.
pub(super) struct Reports {
    /// Where it is to be, once there is a sender of RTP.
    listen: Option<ListenOptions>,
    socket: Option<Socket>,
    heard: Vec<SocketAddr>,
}

impl Reports {
    pub(super) fn new(listen: Option<ListenOptions>) -> Self {
        Self {
            listen,
            socket: None,
            heard: Vec::new(),
        }
    }

    /// Opens the socket. Where another program has the port, streams are shown
    /// without reports.
    pub(super) fn open(&mut self) {
        if let Some(listen) = self.listen.take() {
            self.socket = Socket::listen(&listen).ok();
        }
    }

    pub(super) fn socket(&self) -> Option<&Socket> {
        self.socket.as_ref()
    }

    /// The next one.
    pub(super) fn receive(&mut self, buffer: &mut [u8]) -> Option<Received> {
        // What the network says of an answer that did not arrive is no news.
        let received = self.socket.as_ref()?.receive(buffer).ok()??;
        self.heard.retain(|from| *from != received.from);
        if self.heard.len() == MAX_SENDERS {
            self.heard.remove(0);
        }
        self.heard.push(received.from);
        Some(received)
    }

    /// The socket by which to answer, if it is this one.
    pub(super) fn towards(&self, to: SocketAddr) -> Option<&Socket> {
        self.socket.as_ref().filter(|_| self.heard.contains(&to))
    }
}
