//! A viewer that comes by itself, and the gate of the sender that it asks.

use std::net::SocketAddr;
use std::time::Duration;

use framegram_common::caller::{Answer, Caller};
use framegram_common::receiver::Receiver;
use framegram_common::sender::Sender;
use framegram_common::sender::acceptor::{Acceptor, Config, Visit};

/// The handshake's two sides.
#[derive(Debug)]
pub(super) struct Pull {
    gate: Acceptor,
    caller: Caller,
    answer: Vec<u8>,
}

impl Pull {
    /// The viewer with this number begins to ask at `join`.
    pub(super) fn new(stream: u64, viewer: u64, to: SocketAddr, join: Duration) -> Self {
        let config = Config {
            stream,
            secret: (1, 2),
            most: 16,
        };
        Self {
            gate: Acceptor::new(config),
            caller: Caller::new(viewer, to, join),
            answer: Vec::new(),
        }
    }

    /// Takes what the viewer sent; gives the gate's answer, if there is one.
    pub(super) fn handle_viewer(
        &mut self,
        datagram: &[u8],
        transmitter: &mut Sender,
        now: Duration,
    ) -> Option<&[u8]> {
        let from = SocketAddr::from(([192, 0, 2, 2], 50_000));
        let visit = self
            .gate
            .handle_datagram(from, datagram, now, &mut self.answer);
        match visit {
            Visit::Served(place) => transmitter.handle_datagram(place, datagram, now),
            Visit::Admitted(place) => transmitter.open_destination(place, now),
            Visit::Moved(place) | Visit::Succeeded(place) => {
                transmitter.move_to_destination(place, now);
            }
            Visit::Left(place) => transmitter.close_destination(place),
            Visit::Challenged | Visit::Refused | Visit::Foreign => {}
        }
        (!self.answer.is_empty()).then_some(&self.answer)
    }

    /// Lets go of viewers that have fallen silent.
    pub(super) fn let_go(&mut self, transmitter: &mut Sender, now: Duration) {
        while let Some(place) = self.gate.poll_gone(now) {
            transmitter.close_destination(place);
        }
    }

    /// Whether a datagram of the sender is a word of the handshake.
    pub(super) fn takes(
        &mut self,
        from: SocketAddr,
        datagram: &[u8],
        receiver: &Receiver,
        now: Duration,
    ) -> bool {
        !receiver.is_living(now) && self.caller.handle_datagram(from, datagram, now) != Answer::None
    }

    /// Fills `out` with the viewer's question, if one is due.
    pub(super) fn poll_question(
        &mut self,
        receiver: &Receiver,
        now: Duration,
        out: &mut Vec<u8>,
    ) -> bool {
        !receiver.is_living(now) && self.caller.poll_transmit(now, out)
    }

    /// When either side has something to do.
    pub(super) fn poll_timeout(
        &self,
        receiver: Option<&Receiver>,
        now: Duration,
    ) -> Option<Duration> {
        let asks = receiver.is_some_and(|receiver| !receiver.is_living(now));
        let ask = asks.then(|| self.caller.poll_timeout());
        ask.into_iter().chain(self.gate.poll_timeout()).min()
    }
}
