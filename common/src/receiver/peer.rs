//! An address that a viewer may send to: how much, and until when.
//!
//! A source address is only a claim. Until the address has proved that it
//! receives what is sent there, no more bytes go to it than came from it, so
//! that a viewer is of no use as an amplifier.

use std::hash::Hasher;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use siphasher::sip::SipHasher24;

use crate::wire::native::{HEADER, PathChallenge, PathResponse};

/// Nothing is sent to an address that has been silent for so long: five times
/// the longest time between a sender's totals.
const SILENT: Duration = Duration::from_secs(5);

/// The time between two challenges: a few round trips of a long path.
const CHALLENGE_EVERY: Duration = Duration::from_millis(200);

/// Bytes of a challenge, and of its answer: viewer and nonce.
const CHALLENGE_LEN: usize = HEADER + 16;

/// One address.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    address: SocketAddr,
    /// What it sends back to prove itself.
    nonce: u64,
    /// When the newest packet came from there.
    heard: Duration,
    /// Bytes that came from there, and that went there.
    received: u64,
    sent: u64,
    is_proved: bool,
    /// When it may be challenged again.
    challenge_due: Duration,
}

impl Peer {
    /// An address of which the first packet comes `now`. Nobody elsewhere can
    /// know its nonce without the secret.
    pub(super) fn new(address: SocketAddr, secret: (u64, u64), stream: u64, now: Duration) -> Self {
        Self {
            address,
            nonce: nonce(address, secret, stream),
            heard: now,
            received: 0,
            sent: 0,
            is_proved: false,
            challenge_due: now,
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// When the newest packet of the stream came from there.
    pub(super) fn heard(&self) -> Duration {
        self.heard
    }

    /// Whether it has proved that it receives what is sent there.
    pub(super) fn is_proved(&self) -> bool {
        self.is_proved
    }

    /// Notes bytes that came from there, whatever they are worth.
    pub(super) fn note_bytes(&mut self, bytes: usize) {
        self.received += bytes as u64;
    }

    /// Notes that a packet of the stream comes from there.
    pub(super) fn note_heard(&mut self, now: Duration) {
        self.heard = now;
    }

    /// Notes bytes that go there.
    pub(super) fn note_sent(&mut self, bytes: usize) {
        self.sent += bytes as u64;
    }

    /// Whether so many bytes may go there.
    pub(super) fn may_take(&self, bytes: usize, now: Duration) -> bool {
        let silent = now.saturating_sub(self.heard) >= SILENT;
        let room = self.received.saturating_sub(self.sent);
        !silent && (self.is_proved || bytes as u64 <= room)
    }

    /// The challenge that is due.
    pub(super) fn challenge(&mut self, viewer: u64, now: Duration) -> Option<PathChallenge> {
        if self.is_proved || now < self.challenge_due || !self.may_take(CHALLENGE_LEN, now) {
            return None;
        }
        self.challenge_due = now + CHALLENGE_EVERY;
        Some(PathChallenge {
            viewer,
            nonce: self.nonce,
        })
    }

    /// Takes an answer that came from there. Returns whether it proves the
    /// address.
    pub(super) fn handle_response(&mut self, response: &PathResponse) -> bool {
        self.is_proved |= response.nonce == self.nonce;
        self.is_proved
    }
}

fn nonce(address: SocketAddr, (first, second): (u64, u64), stream: u64) -> u64 {
    let mut hasher = SipHasher24::new_with_keys(first, second);
    match address.ip() {
        IpAddr::V4(ip) => hasher.write(&ip.octets()),
        IpAddr::V6(ip) => hasher.write(&ip.octets()),
    }
    hasher.write_u16(address.port());
    hasher.write_u64(stream);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(7);

    fn peer(port: u16) -> Peer {
        Peer::new(SocketAddr::from(([192, 0, 2, 1], port)), (1, 2), 3, NOW)
    }

    #[test]
    fn takes_no_more_than_came_until_it_has_proved_itself_and_nothing_once_it_is_silent() {
        let mut peer = peer(5);
        assert!(!peer.may_take(1, NOW) && peer.challenge(9, NOW).is_none());
        peer.note_bytes(100);
        assert!(peer.may_take(100, NOW) && !peer.may_take(101, NOW));
        let challenge = peer.challenge(9, NOW).unwrap();
        assert!(peer.challenge(9, NOW).is_none(), "one at a time");
        peer.note_sent(CHALLENGE_LEN);
        assert!(!peer.may_take(60, NOW));
        let answer = |nonce| PathResponse { viewer: 9, nonce };
        assert!(!peer.handle_response(&answer(challenge.nonce ^ 1)));
        assert!(peer.handle_response(&answer(challenge.nonce)));
        assert!(peer.may_take(1 << 20, NOW + SILENT / 2));
        assert!(!peer.may_take(1, NOW + SILENT));
        peer.note_heard(NOW + SILENT);
        assert!(peer.may_take(1, NOW + SILENT));
    }

    #[test]
    fn the_answer_of_one_address_proves_no_other() {
        assert_ne!(peer(5).nonce, peer(6).nonce);
    }
}
