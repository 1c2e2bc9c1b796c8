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

    /// The format of a datagram: what its sender speaks, who is held to it
    /// until he has been silent, since the middle of a bare JPEG may begin with
    /// any byte. What is not known of anyone is native, and damaged.
    pub(super) fn recognise(&mut self, from: SocketAddr, datagram: &[u8], now: Duration) -> Format {
        if let Some(only) = self.only {
            return only;
        }
        let known = self
            .senders
            .iter_mut()
            .find(|sender| sender.address == from);
        let claimed = Format::of(datagram);
        if let Some(sender) = known {
            if now.saturating_sub(sender.heard) >= SILENCE {
                sender.format = claimed.unwrap_or(sender.format);
            }
            sender.heard = now;
            return sender.format;
        }
        let Some(format) = claimed else {
            return Format::Native;
        };
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
        format
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
    fn a_sender_is_held_to_its_format_until_it_is_silent() {
        let mut formats = Formats::new(None);
        let mut of = |port, bytes: &[u8], ms| formats.recognise(address(port), bytes, ms * MS);
        assert_eq!(of(1, &[0xff, 0xd8, 0xff], 0), Format::Raw);
        assert_eq!(of(1, &[0x80, 26], 1), Format::Raw);
        assert_eq!(of(1, b"F", 2), Format::Raw);
        assert_eq!(of(2, &[0x80, 26], 3), Format::Rtp);
        assert_eq!(of(3, b"F", 3), Format::Native);
        assert_eq!(of(3, &[0xff, 0xd8], 4), Format::Native);
        assert_eq!(of(4, &[0, 1], 4), Format::Native);
        assert_eq!(of(4, &[0xff, 0xd8], 5), Format::Raw);
        let later = 2 + SILENCE.as_millis() as u32;
        assert_eq!(of(1, &[0x80, 26], later), Format::Rtp);
    }

    #[test]
    fn many_senders_push_out_the_one_silent_for_longest() {
        let mut formats = Formats::new(None);
        for port in 1..=MAX_SENDERS as u16 + 1 {
            formats.recognise(
                address(port),
                &[0xff, 0xd8],
                Duration::from_micros(port.into()),
            );
        }
        assert_eq!(formats.senders.len(), MAX_SENDERS);
        assert_eq!(formats.recognise(address(2), &[0x80], MS), Format::Raw);
        assert_eq!(formats.recognise(address(1), &[0x80], MS), Format::Rtp);
    }

    #[test]
    fn one_format_alone_is_what_everything_is() {
        let mut formats = Formats::new(Some(Format::Raw));
        assert_eq!(formats.recognise(address(1), b"F", MS), Format::Raw);
    }
}
