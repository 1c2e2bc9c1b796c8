//! The key of the streams: what arrives is opened before the receiver has it, and
//! what answers it is sealed. What is refused is told of.

use std::net::SocketAddr;
use std::time::Duration;

use framegram_common::Statistics;
use framegram_common::stats::{DiscardReason, Discarded};
use framegram_net::random;
use framegram_seal::{Refusal, Secret, Suite, ViewerSeal};

/// One datagram may be anybody's mistake, and reports are sent once a second.
const ENOUGH: u64 = 2;

/// The seal, and what was refused.
#[derive(Debug)]
pub struct Seal {
    seal: ViewerSeal,
    /// The packet that was sealed last.
    buffer: Vec<u8>,
    /// Whether anything was opened.
    opened: bool,
    /// Where what was refused came from last: without a key, and with another one.
    clear: Option<SocketAddr>,
    other: Option<SocketAddr>,
    told: Option<String>,
}

impl Seal {
    /// Of the viewer with this number, which may connect to the sender.
    pub(crate) fn new(secret: Secret, viewer: u64, connects: bool) -> Self {
        let mut seal = ViewerSeal::new(secret, viewer, random(), Suite::best());
        if connects {
            seal = seal.connecting(random());
        }
        Self {
            seal,
            buffer: Vec::new(),
            opened: false,
            clear: None,
            other: None,
            told: None,
        }
    }

    /// A packet as it leaves; `None` where it cannot be sealed.
    pub(crate) fn seal(&mut self, packet: &[u8], now: Duration) -> Option<&[u8]> {
        let sealed = self.seal.seal(packet, now, &mut self.buffer);
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
        match self.seal.open(from, datagram, now) {
            Ok(length) => {
                self.opened = true;
                return datagram.get_mut(..length);
            }
            Err(Refusal::Clear) => self.clear = Some(from),
            Err(Refusal::Unauthentic) => self.other = Some(from),
            Err(Refusal::Replayed | Refusal::Early) => {}
        }
        None
    }

    /// What there is to say, once, while nothing was opened.
    pub(crate) fn poll(&mut self) -> Option<String> {
        if self.opened || self.told.is_some() {
            return None;
        }
        let refused = self.seal.refused();
        let line = match (self.other, self.clear) {
            (Some(from), _) => format!(
                "Packets arrive from {from}, but not with this key: give both programs the same \
                 --key-file."
            ),
            (None, Some(from)) if refused.clear >= ENOUGH => format!(
                "What arrives from {from} has no key, and is not shown: start its sender with the \
                 same --key-file, or this viewer without."
            ),
            (None, _) => return None,
        };
        self.told = Some(line.clone());
        Some(line)
    }

    /// What was said, while it is so.
    pub(crate) fn line(&self) -> Option<&String> {
        self.told.as_ref().filter(|_| !self.opened)
    }

    /// Fills in what was refused.
    pub(crate) fn fill(&self, statistics: &mut Statistics) {
        let refused = self.seal.refused();
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
