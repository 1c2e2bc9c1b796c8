//! Datagrams that have arrived: allowed or not, opened if they are sealed, and taken
//! by the receiver.

use framegram_common::receiver::{Policy, Port, Verdict};
use framegram_net::{Batch, Received};

use super::Network;

impl Network {
    /// Takes datagrams of RTCP from their own socket. Returns whether there may be
    /// more.
    pub(super) fn receive_rtcp(&mut self, batch: &mut Batch) -> bool {
        let received = self.rtcp_socket.as_ref().map(|it| it.receive_batch(batch));
        if !matches!(received, Some(Ok(()))) {
            // What the network says of an answer that did not arrive is no news.
            return false;
        }
        for (received, datagram) in batch.iter() {
            if self.is_allowed(&received) {
                self.open(received, datagram, Self::take_rtcp);
            }
        }
        batch.is_full()
    }

    /// Takes a packet of RTCP in the clear, from its own socket.
    fn take_rtcp(&mut self, received: Received, datagram: &[u8]) {
        let (from, arrival) = (received.from, received.arrival);
        self.receiver.handle_rtcp_datagram(from, datagram, arrival);
        self.record(&received, datagram, None, Port::Rtcp);
    }

    /// Takes a datagram, if it is allowed.
    pub(super) fn take(&mut self, received: Received, datagram: &[u8]) {
        self.receiver.handle_socket_drops(received.dropped);
        if self.is_allowed(&received) {
            self.open(received, datagram, Self::take_packet);
        }
    }

    /// Has a datagram taken as a packet in the clear, if it is not refused.
    fn open(
        &mut self,
        received: Received,
        datagram: &[u8],
        take: impl Fn(&mut Self, Received, &[u8]),
    ) {
        let Some(mut seal) = self.seal.take() else {
            take(self, received, datagram);
            return;
        };
        if let Some(packet) = seal.open(received.from, datagram, received.arrival) {
            take(self, received, packet);
        }
        self.seal = Some(seal);
    }

    /// Takes a packet in the clear.
    fn take_packet(&mut self, received: Received, datagram: &[u8]) {
        self.moving.hear(received.arrival);
        let session = self.receiver.session_of(0);
        let verdict = self
            .receiver
            .handle_datagram(received.from, datagram, received.arrival);
        if self.receiver.session_of(0) != session {
            self.trace_followed(received.arrival);
        }
        let from = received.from;
        if !self.receiver.follows(from) {
            self.unusable.insert(from, datagram, received.arrival);
        } else if self.policy == Policy::Grid {
            self.unusable.clear_from(from);
        } else {
            self.unusable.clear();
        }
        self.record(&received, datagram, verdict, Port::Media);
    }

    fn is_allowed(&mut self, received: &Received) -> bool {
        let ip = received.from.ip();
        if self.allow.is_empty() || self.allow.iter().any(|prefix| prefix.contains(ip)) {
            return true;
        }
        self.receiver.handle_disallowed(received.from);
        if let Some(tracer) = &mut self.tracer {
            tracer.record_foreign(received);
        }
        false
    }

    /// Notes a datagram that the receiver took.
    pub(super) fn record(
        &mut self,
        received: &Received,
        datagram: &[u8],
        verdict: Option<Verdict>,
        port: Port,
    ) {
        self.latest = Some(*received);
        // Strangers are not remembered.
        if self.receiver.is_followed(received.from) {
            self.socket_of(port).remember(received);
        }
        // A trace is of the stream in the first tile.
        let own = self.policy == Policy::Follow || self.receiver.from(0) == Some(received.from);
        let verdict = if own { verdict } else { Some(Verdict::Foreign) };
        if let Some(tracer) = &mut self.tracer {
            tracer.record_datagram(received, datagram, verdict);
        }
    }
}
