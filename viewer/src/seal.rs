//! The key of the streams: opens received packets before the receiver gets them, seals those that
//! are sent, and explains refusals.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use framegram_common::Statistics;
use framegram_common::stats::{DiscardReason, Discarded};
use framegram_net::random;
use framegram_seal::{Refusal, Refused, Secret, Srtp, SrtpKey, Suite, ViewerSeal};

/// One datagram may be a mistake, and reports are sent once a second.
const ENOUGH: u64 = 2;

/// A stream whose packets were opened has another key, or has ended, when none was opened for
/// this long: reports are sent twice a second.
const SILENCE: Duration = Duration::from_secs(3);

/// What opens the packets, by their format.
#[derive(Debug)]
enum Cipher {
    Native(Box<ViewerSeal>),
    Rtp(Box<Srtp>),
}

/// What was refused since a packet was opened.
#[derive(Clone, Copy, Debug, Default)]
struct Since {
    clear: Option<(SocketAddr, u64)>,
    other: Option<(SocketAddr, u64)>,
}

/// The seal, and what was refused.
#[derive(Debug)]
pub struct Seal {
    cipher: Cipher,
    /// The packet that was sealed last, or the RTP packet that was opened last.
    buffer: Vec<u8>,
    /// When the newest packet was opened.
    opened: Option<Duration>,
    /// Packets refused since then, and the sources of the last of them: without a key, and with
    /// another one.
    since: Since,
    /// The same of the whole run.
    clear: Option<SocketAddr>,
    other: Option<SocketAddr>,
    told: Option<String>,
}

impl Seal {
    /// Of the viewer with this number, for the native format. It may connect to the sender.
    pub(crate) fn native(secret: Secret, viewer: u64, suite: Suite, connects: bool) -> Self {
        let mut seal = ViewerSeal::new(secret, viewer, random(), suite);
        if connects {
            seal = seal.connecting(random());
        }
        Self::of(Cipher::Native(Box::new(seal)))
    }

    /// For RTP, with the key of a session description.
    ///
    /// # Errors
    /// If the cipher cannot be set up.
    pub(crate) fn srtp(key: &SrtpKey) -> Result<Self> {
        let srtp = Srtp::new(key).context("cannot use the key of the session description")?;
        Ok(Self::of(Cipher::Rtp(Box::new(srtp))))
    }

    fn of(cipher: Cipher) -> Self {
        Self {
            cipher,
            buffer: Vec::new(),
            opened: None,
            since: Since::default(),
            clear: None,
            other: None,
            told: None,
        }
    }

    /// A sealed packet; `None` if it cannot be sealed.
    pub(crate) fn seal(&mut self, packet: &[u8], now: Duration) -> Option<&[u8]> {
        let sealed = match &mut self.cipher {
            Cipher::Native(seal) => seal.seal(packet, now, &mut self.buffer),
            Cipher::Rtp(srtp) => {
                self.buffer.clear();
                srtp.seal_one(packet, &mut self.buffer)
            }
        };
        sealed.then_some(&*self.buffer)
    }

    /// A datagram, in its place, as a packet in the clear but for its CRC; `None`
    /// where it is refused.
    pub(crate) fn open<'a>(
        &mut self,
        from: SocketAddr,
        datagram: &'a mut [u8],
        now: Duration,
    ) -> Option<&'a mut [u8]> {
        let opened = match &mut self.cipher {
            Cipher::Native(seal) => seal.open(from, datagram, now),
            Cipher::Rtp(srtp) => srtp.open_in_place(datagram, now, &mut self.buffer),
        };
        match opened {
            Ok(length) => {
                (self.opened, self.since) = (Some(now), Since::default());
                return datagram.get_mut(..length);
            }
            Err(Refusal::Clear) => {
                self.clear = Some(from);
                count(&mut self.since.clear, from);
            }
            Err(Refusal::Unauthentic) => {
                self.other = Some(from);
                count(&mut self.since.other, from);
            }
            Err(Refusal::Replayed | Refusal::Early) => {}
        }
        None
    }

    /// The notice to print, once, when packets arrive and none can be opened.
    pub(crate) fn poll(&mut self, now: Duration) -> Option<String> {
        if self.told.is_some() || !self.is_shut(now) {
            return None;
        }
        let enough = |refused: Option<(SocketAddr, u64)>| {
            refused.filter(|(_, datagrams)| *datagrams >= ENOUGH)
        };
        let line = match (enough(self.since.other), enough(self.since.clear)) {
            (Some((from, _)), _) if self.is_rtp() => format!(
                "Packets arrive from {from}, but not with the key of this session description: \
                 take the one that its sender has written at its last start."
            ),
            (None, Some((from, _))) if self.is_rtp() => format!(
                "What arrives from {from} is no SRTP, and is not shown: remove --sdp, or give its \
                 sender --wire rtp, --key-file and --sdp."
            ),
            (Some((from, _)), _) => format!(
                "Packets arrive from {from}, but not with this key: give both programs the same \
                 --key-file."
            ),
            (None, Some((from, _))) => format!(
                "What arrives from {from} has no key, and is not shown: start its sender with the \
                 same --key-file, or this viewer without."
            ),
            (None, None) => return None,
        };
        self.told = Some(line.clone());
        Some(line)
    }

    /// Whether no packet was opened for so long that those refused may be of the stream.
    fn is_shut(&self, now: Duration) -> bool {
        let silent = |opened| now.saturating_sub(opened) >= SILENCE;
        self.opened.is_none_or(silent)
    }

    /// Whether packets are those of RTP.
    pub(crate) fn is_rtp(&self) -> bool {
        matches!(self.cipher, Cipher::Rtp(_))
    }

    fn refused(&self) -> Refused {
        match &self.cipher {
            Cipher::Native(seal) => seal.refused(),
            Cipher::Rtp(srtp) => srtp.refused(),
        }
    }

    /// What was said, while it is so.
    pub(crate) fn line(&self, now: Duration) -> Option<&String> {
        let Since { clear, other } = self.since;
        let is_so = self.is_shut(now) && clear.or(other).is_some();
        self.told.as_ref().filter(|_| is_so)
    }

    /// Fills in the counts of refused packets.
    pub(crate) fn fill(&self, statistics: &mut Statistics) {
        let refused = self.refused();
        statistics.packets.unauthentic = Some(refused.clear + refused.unauthentic);
        statistics.packets.replayed = Some(refused.replayed);
        statistics.packets.unknown_keys = Some(refused.early);
        let of = |reason, datagrams, from: Option<SocketAddr>| {
            from.map(|from| Discarded {
                reason,
                format: None,
                datagrams,
                from: from.to_string(),
            })
        };
        let clear = of(DiscardReason::Clear, refused.clear, self.clear);
        let other = of(DiscardReason::Key, refused.unauthentic, self.other);
        statistics.discarded.extend(clear.into_iter().chain(other));
    }
}

/// Counts one more refused datagram.
fn count(refused: &mut Option<(SocketAddr, u64)>, from: SocketAddr) {
    let before = refused.map_or(0, |(_, datagrams)| datagrams);
    *refused = Some((from, before + 1));
}

#[cfg(test)]
mod tests {
    use framegram_common::seq::PacketNumber;
    use framegram_common::wire::native::{Channel, Header, Packet, SenderReport};
    use framegram_seal::{SenderSeal, key_text};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn secret(key: u64) -> Secret {
        Secret::from_key(&key_text((key, 2))).unwrap()
    }

    /// A start of a sender.
    struct Start {
        from: SocketAddr,
        seal: SenderSeal,
        sent: u64,
    }

    impl Start {
        fn new(key: u64, port: u16) -> Self {
            Self {
                from: SocketAddr::from(([192, 0, 2, 1], port)),
                seal: SenderSeal::new(secret(key), [port as u8; 16], Suite::best()),
                sent: 0,
            }
        }

        /// Its next report, in the clear.
        fn report(&mut self) -> Vec<u8> {
            let header = Header {
                stream: u32::from(self.from.port()),
                destination: 0,
                channel: Channel::Control,
                number: PacketNumber(self.sent),
                sent: 0,
            };
            self.sent += 1;
            let mut packet = Vec::new();
            Packet::SenderReport(SenderReport::default()).encode(&header, &mut packet);
            packet
        }

        /// Has the viewer receive its next report. Returns whether it was opened.
        fn send_to(&mut self, viewer: &mut Seal, now: Duration) -> bool {
            let (report, mut sealed) = (self.report(), Vec::new());
            self.seal.seal(&report, report.len(), now, &mut sealed);
            viewer.open(self.from, &mut sealed, now).is_some()
        }
    }

    #[test]
    fn another_key_is_reported_once_even_after_a_stream_of_this_one() {
        let mut viewer = Seal::native(secret(1), 4, Suite::best(), false);
        let (mut own, mut other) = (Start::new(1, 5_000), Start::new(9, 5_001));
        assert!(own.send_to(&mut viewer, SECOND));
        // Beside a stream that continues, a stranger's packets are only counted.
        for now in 2..20 {
            assert!(own.send_to(&mut viewer, now * SECOND));
            assert!(!other.send_to(&mut viewer, now * SECOND));
            assert_eq!(viewer.poll(now * SECOND), None);
        }
        // The sender starts again, with another key.
        assert!(!other.send_to(&mut viewer, 20 * SECOND));
        assert_eq!(viewer.poll(21 * SECOND), None);
        assert!(!other.send_to(&mut viewer, 22 * SECOND));
        let told = viewer.poll(22 * SECOND).unwrap();
        assert!(told.contains("192.0.2.1:5001, but not with this key"));
        assert_eq!(viewer.line(22 * SECOND), Some(&told));
        assert!(!other.send_to(&mut viewer, 23 * SECOND));
        assert_eq!(viewer.poll(23 * SECOND), None, "it is told once");
        // And again, with the right one.
        assert!(own.send_to(&mut viewer, 24 * SECOND));
        assert_eq!(viewer.line(24 * SECOND), None);
        assert_eq!(viewer.line(60 * SECOND), None);
    }

    #[test]
    fn packets_without_a_key_are_reported_and_one_may_be_a_mistake() {
        let mut viewer = Seal::native(secret(1), 4, Suite::best(), false);
        let mut start = Start::new(1, 5_000);
        let (from, mut report) = (start.from, start.report());
        assert!(viewer.open(from, &mut report, SECOND).is_none());
        assert_eq!(viewer.poll(SECOND), None);
        assert!(viewer.open(from, &mut report, SECOND).is_none());
        let told = viewer.poll(SECOND).unwrap();
        assert!(told.contains("has no key, and is not shown"), "{told}");
    }
}
