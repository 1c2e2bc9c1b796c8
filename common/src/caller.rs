//! A viewer that comes by itself: asks a sender that listens for its stream,
//! proves its address, and asks again when the stream is gone.

use std::net::SocketAddr;
use std::time::Duration;

use crate::seq::PacketNumber;
use crate::wire::native::{Connect, Header, Leave, NO_DESTINATION, Packet, micros};

/// Time between questions while nothing answers: as often as a person would
/// not notice, and no load to anyone.
const ASK_EVERY: Duration = Duration::from_millis(500);

/// A viewer's side of the handshake with one sender.
#[derive(Debug)]
pub struct Caller {
    viewer: u64,
    to: SocketAddr,
    cookie: u64,
    stream: u64,
    due: Duration,
    number: u64,
}

/// What a sender's datagram said of the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nothing: it is for others to read.
    None,
    /// The address is to be proved: there is something to send.
    Challenge,
    /// The sender serves as many viewers as it may, which is so many.
    Refusal(u16),
}

impl Caller {
    /// Asks the sender at `to`, from `now` on, for the viewer with this number.
    #[must_use]
    pub fn new(viewer: u64, to: SocketAddr, now: Duration) -> Self {
        Self {
            viewer,
            to,
            cookie: 0,
            stream: 0,
            due: now,
            number: 0,
        }
    }

    /// The sender's address.
    #[must_use]
    pub fn to(&self) -> SocketAddr {
        self.to
    }

    /// Asks at once: at another address if it is one, or because this machine
    /// has another one by now.
    pub fn ask_at(&mut self, to: SocketAddr, now: Duration) {
        // The cookie was for the old addresses.
        (self.to, self.cookie, self.due) = (to, 0, now);
    }

    /// Takes a datagram that arrived at `now`, and says what it answers.
    pub fn handle_datagram(&mut self, from: SocketAddr, datagram: &[u8], now: Duration) -> Answer {
        if from != self.to {
            return Answer::None;
        }
        match Packet::decode(datagram) {
            Ok((header, Packet::Challenge(challenge))) if challenge.viewer == self.viewer => {
                (self.cookie, self.stream) = (challenge.cookie, header.stream);
                self.due = now;
                Answer::Challenge
            }
            Ok((_, Packet::Refusal(refusal))) if refusal.viewer == self.viewer => {
                Answer::Refusal(refusal.viewers)
            }
            Ok((header, packet)) if packet.is_from_sender() => {
                self.stream = header.stream;
                Answer::None
            }
            _ => Answer::None,
        }
    }

    /// Fills `out` with a question if one is due. To be asked only while no
    /// stream lives.
    pub fn poll_transmit(&mut self, now: Duration, out: &mut Vec<u8>) -> bool {
        if now < self.due {
            return false;
        }
        self.due = now + ASK_EVERY;
        let connect = Connect {
            viewer: self.viewer,
            cookie: self.cookie,
        };
        self.encode(&Packet::Connect(connect), now, out);
        true
    }

    /// When the next question is due, while no stream lives.
    #[must_use]
    pub fn poll_timeout(&self) -> Duration {
        self.due
    }

    /// Fills `out` with the word that this viewer wants no more.
    pub fn leave(&mut self, now: Duration, out: &mut Vec<u8>) {
        let viewer = self.viewer;
        self.encode(&Packet::Leave(Leave { viewer }), now, out);
    }

    fn encode(&mut self, packet: &Packet<'_>, now: Duration, out: &mut Vec<u8>) {
        out.clear();
        let header = Header {
            stream: self.stream,
            destination: NO_DESTINATION,
            channel: packet.channel(),
            number: PacketNumber(self.number),
            sent: micros(now),
        };
        self.number += 1;
        packet.encode(&header, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::native::{Challenge, Refusal};

    const NOW: Duration = Duration::from_secs(1);

    fn caller() -> Caller {
        Caller::new(3, "192.0.2.1:5005".parse().unwrap(), NOW)
    }

    fn said(packet: &Packet<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        let header = Header {
            stream: 9,
            destination: NO_DESTINATION,
            channel: packet.channel(),
            number: PacketNumber(0),
            sent: 0,
        };
        packet.encode(&header, &mut out);
        out
    }

    #[test]
    fn asks_at_intervals_and_at_once_with_a_new_cookie() {
        let (mut caller, mut out) = (caller(), Vec::new());
        assert!(caller.poll_transmit(NOW, &mut out));
        assert!(!caller.poll_transmit(NOW, &mut out));
        assert_eq!(caller.poll_timeout(), NOW + ASK_EVERY);
        let challenge = said(&Packet::Challenge(Challenge {
            viewer: 3,
            cookie: 77,
        }));
        let answer = caller.handle_datagram(caller.to(), &challenge, NOW);
        assert_eq!(answer, Answer::Challenge);
        assert!(caller.poll_transmit(NOW, &mut out));
        let Ok((header, Packet::Connect(connect))) = Packet::decode(&out) else {
            panic!("no question");
        };
        assert_eq!((header.stream, connect.cookie), (9, 77));
    }

    #[test]
    fn believes_the_sender_alone_and_what_is_said_to_it_alone() {
        let mut caller = caller();
        let refusal = |viewer| {
            said(&Packet::Refusal(Refusal {
                viewer,
                reason: 1,
                viewers: 4,
            }))
        };
        let other = "192.0.2.2:5005".parse().unwrap();
        assert_eq!(
            caller.handle_datagram(other, &refusal(3), NOW),
            Answer::None
        );
        let to = caller.to();
        assert_eq!(caller.handle_datagram(to, &refusal(4), NOW), Answer::None);
        assert_eq!(
            caller.handle_datagram(to, &refusal(3), NOW),
            Answer::Refusal(4)
        );
    }
}
