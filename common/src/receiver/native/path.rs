//! The path to a sender's address: how much may be sent there, and until when.
//!
//! A source address is only a claim. Until the address has proved that it receives what is sent
//! there, it gets no more bytes than it sent, so that a viewer is no amplifier
//! (<https://www.rfc-editor.org/rfc/rfc9000#section-8>).

use std::hash::Hasher;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use siphasher::sip::SipHasher24;

use crate::wire::native::{HEADER, PathChallenge, PathResponse};

/// Nothing is sent to an address that is silent for this long: five times the longest interval
/// between sender reports.
const SILENT: Duration = Duration::from_secs(5);

/// The time between two challenges: a few round trips of a long path.
const CHALLENGE_EVERY: Duration = Duration::from_millis(200);

/// Bytes of a challenge, and of its response: viewer and nonce.
const CHALLENGE_LEN: usize = HEADER + 16;

/// The path to one address.
#[derive(Clone, Debug)]
pub(super) struct SenderPath {
    address: SocketAddr,
    /// What the address must send back to prove itself.
    nonce: u64,
    /// When the newest packet arrived from there.
    last_received: Duration,
    /// Bytes received from there, and bytes sent there.
    received: u64,
    sent: u64,
    is_proved: bool,
    /// When it may be challenged next.
    challenge_due: Duration,
}

impl SenderPath {
    /// The path to an address whose first packet arrives `now`. Without the secret, nobody
    /// elsewhere can know its nonce.
    pub(super) fn new(address: SocketAddr, secret: (u64, u64), stream: u64, now: Duration) -> Self {
        Self {
            address,
            nonce: nonce(address, secret, stream),
            last_received: now,
            received: 0,
            sent: 0,
            is_proved: false,
            challenge_due: now,
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// When the newest packet of the stream arrived from there.
    pub(super) fn last_received(&self) -> Duration {
        self.last_received
    }

    /// Whether the address has proved that it receives what is sent there.
    pub(super) fn is_proved(&self) -> bool {
        self.is_proved
    }

    /// Counts bytes received from there, valid or not.
    pub(super) fn record_received(&mut self, bytes: usize) {
        self.received += bytes as u64;
    }

    /// Records a packet of the stream from there.
    pub(super) fn record_packet(&mut self, now: Duration) {
        self.last_received = now;
    }

    /// Counts bytes sent there.
    pub(super) fn record_sent(&mut self, bytes: usize) {
        self.sent += bytes as u64;
    }

    /// Whether this many bytes may be sent there.
    pub(super) fn may_send(&self, bytes: usize, now: Duration) -> bool {
        let silent = now.saturating_sub(self.last_received) >= SILENT;
        let room = self.received.saturating_sub(self.sent);
        !silent && (self.is_proved || bytes as u64 <= room)
    }

    /// The challenge that is due.
    pub(super) fn challenge(&mut self, viewer: u64, now: Duration) -> Option<PathChallenge> {
        if self.is_proved || now < self.challenge_due || !self.may_send(CHALLENGE_LEN, now) {
            return None;
        }
        self.challenge_due = now + CHALLENGE_EVERY;
        Some(PathChallenge {
            viewer,
            nonce: self.nonce,
        })
    }

    /// Handles a response from there. Returns whether the address is proved.
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

    fn path(port: u16) -> SenderPath {
        SenderPath::new(SocketAddr::from(([192, 0, 2, 1], port)), (1, 2), 3, NOW)
    }

    #[test]
    fn an_unproved_path_carries_no_more_than_it_brought_and_a_silent_one_nothing() {
        let mut path = path(5);
        assert!(!path.may_send(1, NOW) && path.challenge(9, NOW).is_none());
        path.record_received(100);
        assert!(path.may_send(100, NOW) && !path.may_send(101, NOW));
        let challenge = path.challenge(9, NOW).unwrap();
        assert!(path.challenge(9, NOW).is_none(), "one at a time");
        path.record_sent(CHALLENGE_LEN);
        assert!(!path.may_send(100 - CHALLENGE_LEN + 1, NOW));
        let response = |nonce| PathResponse { viewer: 9, nonce };
        assert!(!path.handle_response(&response(challenge.nonce ^ 1)));
        assert!(path.handle_response(&response(challenge.nonce)));
        assert!(path.may_send(1 << 20, NOW + SILENT / 2));
        assert!(!path.may_send(1, NOW + SILENT));
        path.record_packet(NOW + SILENT);
        assert!(path.may_send(1, NOW + SILENT));
    }

    #[test]
    fn the_response_of_one_address_proves_no_other() {
        assert_ne!(path(5).nonce, path(6).nonce);
    }
}
