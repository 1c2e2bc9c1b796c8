//! The format of each source, kept once it is proven.

use std::hash::Hasher;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use siphasher::sip::SipHasher24;

use super::SILENCE;
use crate::wire::Format;

/// Upper bound on sources whose format is remembered.
const MAX_SOURCES: usize = 64;

/// The formats of the sources that sent recently.
#[derive(Debug)]
pub(super) struct FormatCache {
    only: Option<Format>,
    sources: Vec<KnownSource>,
}

#[derive(Debug)]
struct KnownSource {
    address: SocketAddr,
    format: Format,
    last_received: Duration,
}

impl FormatCache {
    /// With `only`, every source has that format.
    pub(super) fn new(only: Option<Format>) -> Self {
        Self {
            only,
            sources: Vec::new(),
        }
    }

    /// The format of a datagram, if known. A source keeps its proven format until it has been
    /// silent, since the middle of a bare JPEG may begin with any byte.
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
            .sources
            .iter()
            .position(|source| source.address == from)?;
        let source = &mut self.sources[index];
        let silent = now.saturating_sub(source.last_received) >= SILENCE;
        if silent && Format::of(datagram).is_some_and(|claimed| claimed != source.format) {
            self.sources.swap_remove(index);
            return None;
        }
        source.last_received = now;
        Some(source.format)
    }

    /// Pins a source to a proven format.
    pub(super) fn pin(&mut self, from: SocketAddr, format: Format, now: Duration) {
        self.sources.retain(|source| source.address != from);
        if self.sources.len() == MAX_SOURCES {
            let oldest = self
                .sources
                .iter()
                .enumerate()
                .min_by_key(|(_, source)| source.last_received);
            let oldest = oldest.map_or(0, |(index, _)| index);
            self.sources.swap_remove(oldest);
        }
        self.sources.push(KnownSource {
            address: from,
            format,
            last_received: now,
        });
    }
}

/// A number for the stream of an address whose format has no stream numbers.
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
    fn a_source_keeps_its_format_until_it_is_silent() {
        let mut formats = FormatCache::new(None);
        assert_eq!(formats.known(address(1), &[0xff, 0xd8, 0xff], MS), None);
        formats.pin(address(1), Format::Raw, MS);
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
    fn many_sources_push_out_the_one_silent_for_longest() {
        let mut formats = FormatCache::new(None);
        for port in 1..=MAX_SOURCES as u16 + 1 {
            let now = Duration::from_micros(port.into());
            formats.pin(address(port), Format::Raw, now);
        }
        assert_eq!(formats.sources.len(), MAX_SOURCES);
        assert_eq!(formats.known(address(2), &[0x80], MS), Some(Format::Raw));
        assert_eq!(formats.known(address(1), &[0x80], MS), None);
    }

    #[test]
    fn with_a_single_format_every_source_has_it() {
        let mut formats = FormatCache::new(Some(Format::Raw));
        assert_eq!(formats.known(address(1), b"F", MS), Some(Format::Raw));
    }
}
