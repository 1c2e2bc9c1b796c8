//! The viewer's side of the handshake: requests the stream of a listening sender, proves this
//! viewer's address, and requests again when the stream is gone.

use std::net::SocketAddr;
use std::time::Duration;

use crate::seq::PacketNumber;
use crate::wire::native::{
    Connect, Header, NO_DESTINATION, Packet, ReceiverBye, WireHeader, micros,
};

/// Time between the first two requests while nothing answers. It doubles with each request, up to
/// [`MAX_PAUSE`].
const MIN_PAUSE: Duration = Duration::from_millis(50);

/// The longest time between requests in the first minute: a person hardly notices it, and the load
/// is negligible.
const MAX_PAUSE: Duration = Duration::from_millis(250);

/// For this long after the first request an answer is likely at any time: a network that was down
/// is back within a minute, or stays down for long.
const EAGER: Duration = Duration::from_secs(60);

/// Time between requests after that.
const LONG_PAUSE: Duration = Duration::from_secs(5);

/// How often a viewer repeats its bye, since any datagram may be lost.
const BYES: usize = 3;

/// A viewer's side of the handshake with one sender.
#[derive(Debug)]
pub(super) struct Connector {
    viewer: u64,
    to: SocketAddr,
    cookie: u64,
    stream: u32,
    due: Duration,
    /// The requests since the stream was last received.
    attempt: Option<Attempt>,
    /// Set while it requests over a new path, although the stream may seem to be live.
    reconnecting: Option<Duration>,
    /// Byes still to send after this viewer has left.
    byes: Option<usize>,
    number: u64,
}

/// Requests that no stream has answered.
#[derive(Clone, Copy, Debug)]
struct Attempt {
    since: Duration,
    pause: Duration,
}

/// What a packet means to the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Not part of it.
    None,
    /// The address must be proved: a request is ready to send.
    Challenge,
    /// The sender serves this viewer.
    Accepted,
    /// The sender serves as many viewers as it may, which is this many.
    Rejected(u16),
}

impl Connector {
    /// Requests the stream of the sender at `to` from `now` on.
    pub(super) fn new(viewer: u64, to: SocketAddr, now: Duration) -> Self {
        Self {
            viewer,
            to,
            cookie: 0,
            stream: 0,
            due: now,
            attempt: None,
            reconnecting: None,
            byes: None,
            number: 0,
        }
    }

    /// The sender's address.
    pub(super) fn to(&self) -> SocketAddr {
        self.to
    }

    /// Requests at once: the sender's address may be a new one, or this machine's has changed.
    pub(super) fn reconnect(&mut self, to: SocketAddr, now: Duration) {
        // The cookie was for the old addresses.
        (self.to, self.cookie, self.due) = (to, 0, now);
        self.reconnecting = Some(now);
    }

    /// Whether it requests although the stream may seem to be live.
    pub(super) fn is_reconnecting(&self) -> bool {
        self.reconnecting.is_some()
    }

    /// Records that something arrived. What waited in the socket arrived over the old path.
    pub(super) fn record_arrival(&mut self, now: Duration) {
        self.reconnecting = self.reconnecting.filter(|since| now < *since);
    }

    /// Handles a packet that arrived at `now` while it requests.
    pub(super) fn handle_packet(
        &mut self,
        from: SocketAddr,
        header: &WireHeader,
        packet: &Packet<'_>,
        now: Duration,
    ) -> Answer {
        if from != self.to {
            return Answer::None;
        }
        match packet {
            Packet::Challenge(challenge) if challenge.viewer == self.viewer => {
                self.cookie = challenge.cookie;
                self.due = now;
                Answer::Challenge
            }
            Packet::Reject(refusal) if refusal.viewer == self.viewer => {
                Answer::Rejected(refusal.viewers)
            }
            Packet::Accept(accept) if accept.viewer == self.viewer => {
                self.stream = header.stream;
                Answer::Accepted
            }
            packet if packet.is_from_sender() => {
                self.stream = header.stream;
                if !packet.is_answer() {
                    // Once it is silent again, it is asked at once.
                    self.attempt = None;
                    self.due = self.due.min(now + MIN_PAUSE);
                }
                Answer::None
            }
            _ => Answer::None,
        }
    }

    /// Fills `out` with a request if one is due. Call it only while no stream is live.
    pub(super) fn poll_request(&mut self, now: Duration, out: &mut Vec<u8>) -> bool {
        if now < self.due {
            return false;
        }
        let attempt = self.attempt.get_or_insert(Attempt {
            since: now,
            pause: MIN_PAUSE,
        });
        let eager = now.saturating_sub(attempt.since) < EAGER;
        self.due = now + if eager { attempt.pause } else { LONG_PAUSE };
        attempt.pause = (attempt.pause * 2).min(MAX_PAUSE);
        let connect = Connect {
            viewer: self.viewer,
            cookie: self.cookie,
        };
        self.encode(&Packet::Connect(connect), now, out);
        true
    }

    /// When the next request is due, while no stream is live.
    pub(super) fn poll_timeout(&self) -> Duration {
        self.due
    }

    /// Says bye. Should every bye get lost, the sender notices by timeout.
    pub(super) fn leave(&mut self) {
        self.byes = Some(BYES);
    }

    /// Whether this viewer leaves, or has left.
    pub(super) fn is_leaving(&self) -> bool {
        self.byes.is_some()
    }

    /// Fills `out` with a bye, if one is left to send.
    pub(super) fn poll_bye(&mut self, now: Duration, out: &mut Vec<u8>) -> bool {
        let Some(left) = self.byes.and_then(|byes| byes.checked_sub(1)) else {
            return false;
        };
        self.byes = Some(left);
        let viewer = self.viewer;
        self.encode(&Packet::ReceiverBye(ReceiverBye { viewer }), now, out);
        true
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
    use crate::wire::native::{Accept, Challenge, Reject, SenderReport};

    const NOW: Duration = Duration::from_secs(1);

    impl Connector {
        fn handle_bytes(&mut self, from: SocketAddr, datagram: &[u8], now: Duration) -> Answer {
            let (header, packet) = Packet::decode(datagram).unwrap();
            self.handle_packet(from, &header, &packet, now)
        }
    }

    fn connector() -> Connector {
        Connector::new(3, "192.0.2.1:5005".parse().unwrap(), NOW)
    }

    fn encoded(packet: &Packet<'_>) -> Vec<u8> {
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
        let (mut connector, mut out) = (connector(), Vec::new());
        assert!(connector.poll_request(NOW, &mut out));
        assert!(!connector.poll_request(NOW, &mut out));
        assert_eq!(connector.poll_timeout(), NOW + MIN_PAUSE);
        let challenge = encoded(&Packet::Challenge(Challenge {
            viewer: 3,
            cookie: 77,
        }));
        let answer = connector.handle_bytes(connector.to(), &challenge, NOW);
        assert_eq!(answer, Answer::Challenge);
        assert!(connector.poll_request(NOW, &mut out));
        let Ok((header, Packet::Connect(connect))) = Packet::decode(&out) else {
            panic!("no question");
        };
        assert_eq!((header.stream, connect.cookie), (0, 77));
    }

    /// The times of requests from `from` to `until`, while nothing answers.
    fn requests(connector: &mut Connector, from: Duration, until: Duration) -> Vec<Duration> {
        let mut sent = Vec::new();
        let mut now = from;
        while now < until {
            if connector.poll_request(now, &mut Vec::new()) {
                sent.push(now);
            }
            now = connector.poll_timeout();
        }
        sent
    }

    #[test]
    fn asks_often_for_a_minute_seldom_after_it_and_often_again_after_a_stream() {
        let mut connector = connector();
        let sent = requests(&mut connector, NOW, NOW + 3 * EAGER);
        let pauses: Vec<_> = sent.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let millis = |pauses: &[Duration]| pauses.iter().map(Duration::as_millis).collect();
        let first: Vec<u128> = millis(&pauses[..4]);
        assert_eq!(first, [50, 100, 200, 250]);
        for (at, pause) in sent.iter().zip(&pauses).skip(3) {
            let eager = *at < NOW + EAGER;
            let then = if eager { MAX_PAUSE } else { LONG_PAUSE };
            assert_eq!(*pause, then, "at {at:?}");
        }
        let heard = connector.poll_timeout();
        let resent = encoded(&Packet::ReceiverBye(ReceiverBye { viewer: 3 }));
        connector.handle_bytes(connector.to(), &resent, heard);
        assert!(connector.poll_timeout() >= heard, "no word of a sender");
        let totals = encoded(&Packet::SenderReport(SenderReport::default()));
        connector.handle_bytes(connector.to(), &totals, heard);
        let sent = requests(&mut connector, heard + LONG_PAUSE, heard + 2 * EAGER);
        assert_eq!(sent[1] - sent[0], MIN_PAUSE);
        assert_eq!(sent[5] - sent[4], MAX_PAUSE);
    }

    #[test]
    fn accepts_packets_of_its_sender_addressed_to_it_only() {
        let mut connector = connector();
        let reject = |viewer| {
            encoded(&Packet::Reject(Reject {
                viewer,
                reason: 1,
                viewers: 4,
            }))
        };
        let other = "192.0.2.2:5005".parse().unwrap();
        assert_eq!(connector.handle_bytes(other, &reject(3), NOW), Answer::None);
        let to = connector.to();
        assert_eq!(connector.handle_bytes(to, &reject(4), NOW), Answer::None);
        assert_eq!(
            connector.handle_bytes(to, &reject(3), NOW),
            Answer::Rejected(4)
        );
        let accept = |viewer| {
            let destination = 1;
            encoded(&Packet::Accept(Accept {
                viewer,
                destination,
            }))
        };
        assert_eq!(connector.handle_bytes(other, &accept(3), NOW), Answer::None);
        assert_eq!(connector.handle_bytes(to, &accept(4), NOW), Answer::None);
        let answer = connector.handle_bytes(to, &accept(3), NOW);
        assert_eq!(answer, Answer::Accepted);
    }
}
