//! Which sender speaks which format.

use std::hash::Hasher;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use siphasher::sip::SipHasher24;

use crate::receiver::SILENCE;
use crate::wire::Format;

/// The most senders whose format is remembered.
const MAX_SENDERS: usize = 64;

/// The formats of the senders heard of late.
#[derive(Debug)]
pub(super) struct Formats {
    only: Option<Format>,
    senders: Vec<Sender>,
}

#[derive(Debug)]
struct Sender {
    address: SocketAddr,
    format: Format,
    heard: Duration,
}

impl Formats {
    /// Everything is in the format `only`, if there is one.
    pub(super) fn new(only: Option<Format>) -> Self {
        Self {
            only,
            senders: Vec::new(),
        }
    }

    /// The format of a datagram, where it is known: its sender is held to the
    /// one that was proved until it has been silent, since the middle of a bare
    /// JPEG may begin with any byte.
    pub(super) fn known(
        &mut self,
        from: SocketAddr,
        datagram: &[u8],
        now: Duration,
    ) -> Option<Format> {
        if self.only.is_some() {
            return self.only;
        }
        let index = self
            .senders
            .iter()
            .position(|sender| sender.address == from)?;
        let sender = &mut self.senders[index];
        let silent = now.saturating_sub(sender.heard) >= SILENCE;
        if silent && Format::of(datagram).is_some_and(|claimed| claimed != sender.format) {
            self.senders.swap_remove(index);
            return None;
        }
        sender.heard = now;
        Some(sender.format)
    }

    /// Holds a sender to the format that something of it proved.
    pub(super) fn hold(&mut self, from: SocketAddr, format: Format, now: Duration) {
        self.senders.retain(|sender| sender.address != from);
        if self.senders.len() == MAX_SENDERS {
            let oldest = self
                .senders
                .iter()
                .enumerate()
                .min_by_key(|(_, sender)| sender.heard);
            let oldest = oldest.map_or(0, |(index, _)| index);
            self.senders.swap_remove(oldest);
        }
        self.senders.push(Sender {
            address: from,
            format,
            heard: now,
        });
    }
}

/// A number for the stream of an address that has none of its own.
pub(super) fn number(address: SocketAddr, key: u64) -> u64 {
    let mut hasher = SipHasher24::new_with_keys(key, key);
    match address.ip() {
        IpAddr::V4(ip) => hasher.write(&ip.octets()),
        IpAddr::V6(ip) => hasher.write(&ip.octets()),
    }
    hasher.write_u16(address.port());
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[test]
    fn a_sender_is_held_to_what_it_proved_until_it_is_silent() {
        let mut formats = Formats::new(None);
        assert_eq!(formats.known(address(1), &[0xff, 0xd8, 0xff], MS), None);
        formats.hold(address(1), Format::Raw, MS);
        let mut of = |port, bytes: &[u8], ms| formats.known(address(port), bytes, ms * MS);
        assert_eq!(of(1, &[0x80, 26], 2), Some(Format::Raw));
        assert_eq!(of(1, b"F", 3), Some(Format::Raw));
        assert_eq!(of(2, &[0x80, 26], 4), None);
        let later = 3 + SILENCE.as_millis() as u32;
        assert_eq!(of(1, &[0, 0], later), Some(Format::Raw));
        assert_eq!(of(1, &[0x80, 26], 2 * later), None);
        assert_eq!(of(1, &[0, 0], 2 * later), None);
    }

    #[test]
    fn many_senders_push_out_the_one_silent_for_longest() {
        let mut formats = Formats::new(None);
        for port in 1..=MAX_SENDERS as u16 + 1 {
            let now = Duration::from_micros(port.into());
            formats.hold(address(port), Format::Raw, now);
        }
        assert_eq!(formats.senders.len(), MAX_SENDERS);
        assert_eq!(formats.known(address(2), &[0x80], MS), Some(Format::Raw));
        assert_eq!(formats.known(address(1), &[0x80], MS), None);
    }

    #[test]
    fn one_format_alone_is_what_everything_is() {
        let mut formats = Formats::new(Some(Format::Raw));
        assert_eq!(formats.known(address(1), b"F", MS), Some(Format::Raw));
    }
}
