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

/// What opens the packets, by their format.
#[derive(Debug)]
enum Cipher {
    Native(Box<ViewerSeal>),
    Rtp(Box<Srtp>),
}

/// The seal, and what was refused.
#[derive(Debug)]
pub struct Seal {
    cipher: Cipher,
    /// The packet that was sealed last, or the RTP packet that was opened last.
    buffer: Vec<u8>,
    /// Whether any packet was opened.
    opened: bool,
    /// The source of the last refused packets: without a key, and with another one.
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
            opened: false,
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
                self.opened = true;
                return datagram.get_mut(..length);
            }
            Err(Refusal::Clear) => self.clear = Some(from),
            Err(Refusal::Unauthentic) => self.other = Some(from),
            Err(Refusal::Replayed | Refusal::Early) => {}
        }
        None
    }

    /// The notice to print, once, while no packet was opened.
    pub(crate) fn poll(&mut self) -> Option<String> {
        if self.opened || self.told.is_some() {
            return None;
        }
        let refused = self.refused();
        let line = match (self.other, self.clear) {
            (Some(from), _) if self.is_rtp() => {
                if refused.unauthentic < ENOUGH {
                    return None;
                }
                format!(
                    "Packets arrive from {from}, but not with the key of this session \
                     description: take the one that its sender has written at its last start."
                )
            }
            (None, Some(from)) if self.is_rtp() => format!(
                "What arrives from {from} is no SRTP, and is not shown: remove --sdp, or give its \
                 sender --wire rtp, --key-file and --sdp."
            ),
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
    pub(crate) fn line(&self) -> Option<&String> {
        self.told.as_ref().filter(|_| !self.opened)
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
