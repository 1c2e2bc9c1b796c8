//! Receiving: datagrams from the sockets, over the impaired link, into the receiver.

use std::time::Duration;

use framegram_cli::numbers::or_none;
use framegram_common::receiver::{Policy, Port, Verdict};
use framegram_common::wire::Format;
use framegram_common::wire::native::sign;
use framegram_lab::impair::ImpairedLinks;
use framegram_net::{Batch, Received, Socket};
use log::info;

use super::Network;
use crate::socket::delayed;

impl Network {
    /// Receives from the sockets, for a bounded number of datagrams, and from the impaired link
    /// what is due by `now`. Returns whether there may be more.
    pub(super) fn receive(&mut self, batch: &mut Batch, now: Duration) -> std::io::Result<bool> {
        for _ in 0..MOST_BATCHES {
            let is_left = self.ready.socket && self.receive_batch(batch)?;
            if !is_left {
                self.take_due(now);
                let idle = self.connections.poll_timeout();
                if !self.ready.others && idle.is_none_or(|due| due > now) {
                    return Ok(false);
                }
                let more = self.receive_connected();
                return Ok(self.receive_rtcp(batch) || more);
            }
        }
        Ok(true)
    }

    /// Receives one batch. Returns whether there may be more.
    fn receive_batch(&mut self, batch: &mut Batch) -> std::io::Result<bool> {
        self.socket.receive_batch(batch)?;
        for (received, datagram) in batch.iter_mut() {
            if self.connections.has(received.from) {
                // A peer with a connection sends no datagrams from the same port.
                self.receiver.handle_disallowed(received.from);
            } else if self.impaired.is_some() {
                self.take_due(received.arrival);
                if let Some(impaired) = &mut self.impaired {
                    impaired.push(0, datagram, received, received.arrival);
                }
            } else {
                self.take(received, datagram);
            }
        }
        Ok(batch.is_full())
    }

    /// Receives from the impaired link what is due by `now`.
    fn take_due(&mut self, now: Duration) {
        while let Some((_, mut passed)) = self.impaired.as_mut().and_then(|it| it.poll(now)) {
            self.take(delayed(&passed), &mut passed.datagram);
        }
    }

    /// Receives RTCP from its own socket. Returns whether there may be more.
    fn receive_rtcp(&mut self, batch: &mut Batch) -> bool {
        let received = self.rtcp_socket.as_ref().map(|it| it.receive_batch(batch));
        if !matches!(received, Some(Ok(()))) {
            // An error here is about an earlier reply that was not delivered.
            return false;
        }
        for (received, datagram) in batch.iter_mut() {
            if self.is_allowed(&received) {
                self.open(received, datagram, Self::take_rtcp);
            }
        }
        batch.is_full()
    }

    /// Handles an RTCP packet in the clear, from the socket for RTCP.
    fn take_rtcp(&mut self, received: Received, datagram: &[u8]) {
        let (from, arrival) = (received.from, received.arrival);
        self.receiver.handle_rtcp_datagram(from, datagram, arrival);
        self.record(&received, datagram, None, Port::Rtcp);
    }

    /// Handles a datagram, if its address is allowed.
    pub(super) fn take(&mut self, received: Received, datagram: &mut [u8]) {
        self.receiver.handle_socket_drops(received.dropped);
        if self.is_allowed(&received) {
            self.open(received, datagram, Self::take_packet);
        }
    }

    /// Has a datagram handled as a packet in the clear, unless the seal refuses it.
    fn open(
        &mut self,
        received: Received,
        datagram: &mut [u8],
        handle: impl Fn(&mut Self, Received, &[u8]),
    ) {
        let Some(mut seal) = self.seal.take() else {
            handle(self, received, datagram);
            return;
        };
        if let Some(packet) = seal.open(received.from, datagram, received.arrival) {
            if self.tracer.is_some() && !seal.is_rtp() {
                // A trace is read without the key.
                sign(packet);
            }
            handle(self, received, packet);
        }
        self.seal = Some(seal);
    }

    /// Handles a packet in the clear.
    fn take_packet(&mut self, received: Received, datagram: &[u8]) {
        if self.moving.hear(received.arrival) >= LONG_SILENCE {
            // The sinks are told at once that the stream goes on.
            self.next_news = received.arrival;
        }
        let verdict = self
            .receiver
            .handle_datagram(received.from, datagram, received.arrival);
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

    pub(super) fn is_allowed(&mut self, received: &Received) -> bool {
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

    /// Traces a datagram that the receiver accepted.
    fn record(
        &mut self,
        received: &Received,
        datagram: &[u8],
        verdict: Option<Verdict>,
        port: Port,
    ) {
        self.latest = Some(*received);
        // Addresses of strangers are not recorded.
        if self.receiver.is_followed(received.from) {
            self.socket_of(port).remember(received);
        }
        let Some(tracer) = &mut self.tracer else {
            return;
        };
        let receiver = &self.receiver;
        let mut tiles = 0..receiver.tiles();
        let tile = match self.policy {
            Policy::Follow => Some(0),
            Policy::Grid => tiles.find(|&tile| receiver.from(tile) == Some(received.from)),
        };
        match tile {
            Some(tile) => {
                tracer.record_followed(receiver, tile, received.arrival);
                tracer.record_datagram(tile, received, datagram, verdict);
            }
            None => tracer.record_other(received, datagram, verdict),
        }
    }

    /// Opens the socket for RTCP once there is an RTP stream. If another program has the port, the
    /// stream is shown without reports.
    pub(super) fn listen_for_rtcp(&mut self, tile: usize) {
        if self.receiver.format(tile) == Some(Format::Rtp)
            && let Some(listen) = self.rtcp_listen.take()
        {
            let opened = Socket::listen(&listen);
            info!(
                "RTCP at {}: {}",
                or_none(listen.address),
                opened
                    .as_ref()
                    .map_or_else(ToString::to_string, |_| "open".to_owned())
            );
            self.rtcp_socket = opened.ok();
        }
    }

    pub(super) fn count_drops(&mut self) {
        // Datagrams on the impaired link arrived before the latest drops.
        let held = self.impaired.as_ref().and_then(ImpairedLinks::poll_timeout);
        if let Some(total) = self.socket.dropped().filter(|_| held.is_none()) {
            self.receiver.handle_socket_drops(total);
            if let Some(tracer) = &mut self.tracer {
                tracer.record_drops(total);
            }
        }
    }
}

/// Silence after which a datagram is news.
const LONG_SILENCE: Duration = Duration::from_secs(1);

/// Batches received in a row: a large frame, so that outcomes and stop requests wait for at most a
/// millisecond.
const MOST_BATCHES: usize = 8;
