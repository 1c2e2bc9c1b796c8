//! Handles datagrams from viewers: feedback, and viewers that connect and leave.

use std::net::SocketAddr;
use std::time::Duration;

use super::acceptor::Decision;
use super::destination::DestinationState;
use super::output::{Event, LeaveReason};
use super::retransmit_buffer::Asked;
use super::{Protocol, Sender, path_rate};
use crate::rate::first_rate;
use crate::wire::native::{Channel, Nack, Packet, WireHeader};

/// Upper bound on queued events. Nobody else is admitted before they are polled.
const MAX_EVENTS: usize = 64;

/// Upper bound on queued answers of the acceptor.
const MAX_ANSWERS: usize = 16;

impl Sender {
    /// Handles a datagram from a destination.
    pub fn handle_datagram(&mut self, destination: usize, datagram: &[u8], now: Duration) {
        let sound = match &mut self.protocol {
            Protocol::Native(_) => match Packet::decode_by(datagram, self.config.integrity) {
                Ok((header, packet)) => self.handle_packet(destination, &header, &packet, now),
                Err(_) => false,
            },
            Protocol::Rtp(rtp) => rtp.handle_control(datagram),
            Protocol::Raw => false,
        };
        self.counts.malformed += u64::from(!sound);
    }

    /// Handles a datagram from an address to the socket that viewers connect to
    /// ([`Config::acceptor`](super::Config::acceptor)).
    pub fn handle_incoming(&mut self, from: SocketAddr, datagram: &[u8], now: Duration) {
        let Some(acceptor) = &mut self.acceptor else {
            return;
        };
        if self.events.len() >= MAX_EVENTS || self.answers.len() >= MAX_ANSWERS {
            return;
        }
        let Ok((header, packet)) = Packet::decode_by(datagram, self.config.integrity) else {
            acceptor.record_foreign();
            return;
        };
        if self.finishing && matches!(packet, Packet::Connect(_)) {
            return;
        }
        let mut answer = Vec::new();
        let len = datagram.len();
        let decision = acceptor.handle_packet(from, (&header, &packet, len), now, &mut answer);
        if !answer.is_empty() {
            self.answers.push_back((from, answer));
        }
        let first = self.config.destinations;
        match decision {
            // The viewer's packet and ours crossed on the way.
            Decision::Peer(_) if matches!(packet, Packet::Connect(_)) => {}
            Decision::Peer(slot) => {
                let sound = self.handle_packet(first + slot, &header, &packet, now);
                self.counts.malformed += u64::from(!sound);
            }
            Decision::Admitted(slot) => self.admit(first + slot, from, false, now),
            Decision::Moved(slot) => self.admit(first + slot, from, true, now),
            Decision::Displaced(slot) => {
                self.dismiss(first + slot, LeaveReason::Displaced, now);
                // It may have had another slot before it fell silent.
                self.admit(first + slot, from, true, now);
            }
            Decision::Left(slot) => self.dismiss(first + slot, LeaveReason::Bye, now),
            Decision::Rejected => self.events.push_back(Event::Rejected { address: from }),
            Decision::Challenged | Decision::Foreign => {}
        }
    }

    /// Handles a native packet from a destination. Returns whether viewers send such packets for
    /// this stream.
    fn handle_packet(
        &mut self,
        destination: usize,
        header: &WireHeader,
        packet: &Packet<'_>,
        now: Duration,
    ) -> bool {
        let Some(to) = self.destinations.get_mut(destination) else {
            return true;
        };
        if header.stream != self.stream {
            return false;
        }
        match packet {
            Packet::ReceiverReport(report) if !report.is_possible() => return false,
            Packet::ReceiverReport(report) => {
                let media = to.numbers()[Channel::Media as usize];
                to.feedback.handle_report(report, header.sent, media, now);
                if to.compare_sizes(now) {
                    self.follow_paths();
                }
                self.replan(now);
            }
            Packet::Nack(nack) => self.handle_nack(destination, nack, now),
            Packet::PathChallenge(challenge) => to.feedback.handle_path_challenge(challenge, now),
            Packet::Connect(_) | Packet::ReceiverBye(_) => {}
            Packet::Chunk(_)
            | Packet::Retransmission(_)
            | Packet::Parity(_)
            | Packet::Tables(_)
            | Packet::SenderReport(_)
            | Packet::SenderBye(_)
            | Packet::Echo(_)
            | Packet::Challenge(_)
            | Packet::Reject(_)
            | Packet::Accept(_)
            | Packet::PathResponse(_) => return false,
            Packet::ArrivalReport(report) => {
                let next = to.numbers();
                if let Some(path) = &mut to.path
                    && path.handle_report(report, next, now)
                {
                    self.replan(now);
                }
            }
        }
        true
    }

    fn handle_nack(&mut self, destination: usize, nack: &Nack, now: Duration) {
        let Protocol::Native(native) = &mut self.protocol else {
            return;
        };
        let to = &mut self.destinations[destination];
        if !self.config.retransmit || !to.feedback.is_new(nack) {
            return;
        }
        if to.path.as_ref().is_some_and(|path| path.is_overrun(now)) {
            // What the queue holds arrives, and more of it would not be in time.
            return;
        }
        let path = to.feedback.path_to(nack.viewer, now).unwrap_or_default();
        // Waiting answers use part of the room.
        let mut room = u64::MAX;
        if self.plan.is_shared {
            to.forget_sent(now);
            let waiting = self.pacer.answers_waiting(destination);
            room = to.repair_room().saturating_sub(waiting);
        }
        for frame in &nack.frames {
            let next = native.next_frame(destination, self.next_frame);
            let number = frame.frame.extend(next);
            let asked = Asked {
                destination,
                now,
                rtt: path.rtt.unwrap_or_default(),
                playout_delay: path.playout_delay,
                unsent: self.pacer.first_chunk(destination),
            };
            let mut packets = native.answer(number, frame, asked);
            let affordable = packets.iter().take_while(|packet| {
                let left = room.checked_sub(packet.len() as u64);
                let affordable = left.is_some() && to.feedback.spend(packet.len());
                room = left.unwrap_or(room);
                affordable
            });
            let affordable = affordable.count();
            packets.truncate(affordable);
            if affordable > 0 {
                to.feedback.prolong();
            }
            self.pacer.push_answer(packets, destination, now);
        }
    }

    /// Serves a viewer from now on. If it has `moved`, it was served as another destination before.
    fn admit(&mut self, destination: usize, address: SocketAddr, moved: bool, now: Duration) {
        self.open_destination(destination, address, now);
        if moved {
            // Its packet numbers continue above those of all slots, or it would take packets for
            // duplicates.
            let numbers = self.destinations.iter().map(DestinationState::numbers);
            let above = numbers.reduce(|a, b| std::array::from_fn(|at| a[at].max(b[at])));
            if let (Some(to), Some(above)) = (self.destinations.get_mut(destination), above) {
                to.skip_to(above);
            }
        }
        self.events.push_back(Event::Admitted {
            destination,
            address,
        });
    }

    /// Stops serving a viewer.
    pub(super) fn dismiss(&mut self, destination: usize, reason: LeaveReason, now: Duration) {
        self.close_destination(destination, now);
        self.events.push_back(Event::Left {
            destination,
            reason,
        });
    }

    /// Opens this destination. Its packet numbers continue where they ended when it was last open.
    /// Destinations are first opened in the order of their numbers.
    fn open_destination(&mut self, destination: usize, address: SocketAddr, now: Duration) {
        if destination == self.destinations.len() {
            let path = path_rate(&self.config, now);
            let new = DestinationState::new(destination as u16, &self.plan, path, now);
            self.destinations.push(new);
        }
        if let Some(to) = self.destinations.get_mut(destination) {
            if let Some(path) = &mut to.path {
                path.set_first(first_rate(address.ip()));
            }
            to.open(now);
            self.follow_paths();
            self.forget(destination, now);
        }
    }

    /// Closes this destination.
    fn close_destination(&mut self, destination: usize, now: Duration) {
        if let Some(to) = self.destinations.get_mut(destination) {
            to.close();
            self.follow_paths();
            self.pacer.forget(destination);
            self.forget(destination, now);
        }
    }

    fn forget(&mut self, destination: usize, now: Duration) {
        self.second.forget(destination);
        if let Protocol::Native(native) = &mut self.protocol {
            native.forget(destination);
        }
        self.replan(now);
    }
}
