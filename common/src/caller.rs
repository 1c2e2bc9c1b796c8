//! A viewer that comes by itself: asks a sender that listens for its stream,
//! proves its address, and asks again when the stream is gone.

use std::net::SocketAddr;
use std::time::Duration;

use crate::seq::PacketNumber;
use crate::wire::native::{Connect, Header, NO_DESTINATION, Packet, ReceiverBye, micros};

/// Time between the first two questions while nothing answers. It doubles with
/// each, up to [`MOST_PAUSE`].
const LEAST_PAUSE: Duration = Duration::from_millis(50);

/// The longest time between questions in the first while: a person hardly
/// notices it, and it is no load to anyone.
const MOST_PAUSE: Duration = Duration::from_millis(250);

/// For so long after the first question an answer is likely at any time: a
/// network that was away is back within a minute, or away for long.
const EAGER: Duration = Duration::from_secs(60);

/// Time between questions after that.
const LONG_PAUSE: Duration = Duration::from_secs(5);

/// A viewer's side of the handshake with one sender.
#[derive(Debug)]
pub struct Caller {
    viewer: u64,
    to: SocketAddr,
    cookie: u64,
    stream: u64,
    due: Duration,
    /// The questions since the stream was heard last.
    asking: Option<Asking>,
    number: u64,
}

/// Questions that nothing has answered with a stream.
#[derive(Clone, Copy, Debug)]
struct Asking {
    since: Duration,
    pause: Duration,
}

/// What a sender's datagram said of the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nothing: it is for others to read.
    None,
    /// The address is to be proved: there is something to send.
    Challenge,
    /// The sender serves as many viewers as it may, which is so many.
    Reject(u16),
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
            asking: None,
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
            Ok((_, Packet::Challenge(challenge))) if challenge.viewer == self.viewer => {
                self.cookie = challenge.cookie;
                self.due = now;
                Answer::Challenge
            }
            Ok((_, Packet::Reject(refusal))) if refusal.viewer == self.viewer => {
                Answer::Reject(refusal.viewers)
            }
            Ok((header, packet)) if packet.is_from_sender() => {
                self.stream = header.stream;
                if !matches!(packet, Packet::Challenge(_) | Packet::Reject(_)) {
                    // Once it falls silent again, it is asked for at once.
                    self.asking = None;
                    self.due = self.due.min(now + LEAST_PAUSE);
                }
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
        let asking = self.asking.get_or_insert(Asking {
            since: now,
            pause: LEAST_PAUSE,
        });
        let eager = now.saturating_sub(asking.since) < EAGER;
        self.due = now + if eager { asking.pause } else { LONG_PAUSE };
        asking.pause = (asking.pause * 2).min(MOST_PAUSE);
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
        self.encode(&Packet::ReceiverBye(ReceiverBye { viewer }), now, out);
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
    use crate::wire::native::{Challenge, Reject, SenderReport};

    const NOW: Duration = Duration::from_secs(1);

    fn caller() -> Caller {
        Caller::new(3, "192.0.2.1:5005".parse().unwrap(), NOW)
    }

    fn said(packet: &Packet<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        let header = Header {
            stream: 0,
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
        assert_eq!(caller.poll_timeout(), NOW + LEAST_PAUSE);
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
        assert_eq!((header.stream, connect.cookie), (0, 77));
    }

    /// When it asks, from a time on, if nothing answers.
    fn questions(caller: &mut Caller, from: Duration, until: Duration) -> Vec<Duration> {
        let mut asked = Vec::new();
        let mut now = from;
        while now < until {
            if caller.poll_transmit(now, &mut Vec::new()) {
                asked.push(now);
            }
            now = caller.poll_timeout();
        }
        asked
    }

    #[test]
    fn asks_often_for_a_minute_seldom_after_it_and_often_again_after_a_stream() {
        let mut caller = caller();
        let asked = questions(&mut caller, NOW, NOW + 3 * EAGER);
        let pauses: Vec<_> = asked.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let millis = |pauses: &[Duration]| pauses.iter().map(Duration::as_millis).collect();
        let first: Vec<u128> = millis(&pauses[..4]);
        assert_eq!(first, [50, 100, 200, 250]);
        for (at, pause) in asked.iter().zip(&pauses).skip(3) {
            let eager = *at < NOW + EAGER;
            let then = if eager { MOST_PAUSE } else { LONG_PAUSE };
            assert_eq!(*pause, then, "at {at:?}");
        }
        let heard = caller.poll_timeout();
        let resent = said(&Packet::ReceiverBye(ReceiverBye { viewer: 3 }));
        caller.handle_datagram(caller.to(), &resent, heard);
        assert!(caller.poll_timeout() >= heard, "no word of a sender");
        let totals = said(&Packet::SenderReport(SenderReport::default()));
        caller.handle_datagram(caller.to(), &totals, heard);
        let asked = questions(&mut caller, heard + LONG_PAUSE, heard + 2 * EAGER);
        assert_eq!(asked[1] - asked[0], LEAST_PAUSE);
        assert_eq!(asked[5] - asked[4], MOST_PAUSE);
    }

    #[test]
    fn believes_the_sender_alone_and_what_is_said_to_it_alone() {
        let mut caller = caller();
        let refusal = |viewer| {
            said(&Packet::Reject(Reject {
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
            Answer::Reject(4)
        );
    }
}
