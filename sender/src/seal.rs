//! The key of the stream: packets are sealed on their way out and opened on their
//! way in, and what is refused is told of. Of RTP it is a key of this start, which the
//! session description tells.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use framegram_cli::key;
use framegram_common::stats::Packets;
use framegram_net::random;
use framegram_seal::{OVERHEAD, REPORT_OVERHEAD, Refusal, SenderSeal, Srtp, SrtpKey, SrtpSuite};
use log::info;
use zeroize::Zeroizing;

use crate::args::{Options, Wire};
use crate::console::Console;

/// How long a viewer may take for its first report: it sends several within 0.1 s of the first
/// frame.
const ANSWERED: Duration = Duration::from_secs(3);

/// What packets of RTP are sealed with: the suite that all receivers have.
const SRTP: SrtpSuite = SrtpSuite::AesCm128HmacSha1_80;

/// What seals the packets, by their format.
enum Cipher {
    Native(Box<SenderSeal>),
    Rtp(Box<Srtp>, SrtpKey),
}

/// The seal, and what was said of it.
pub(crate) struct Seal {
    cipher: Cipher,
    /// The RTP packet that was opened last.
    buffer: Vec<u8>,
    /// Whether any packet of a viewer was opened.
    answered: bool,
    /// Whether a notice was printed: about packets without a key, and with another one.
    clear_told: bool,
    other_told: bool,
    silence_told: bool,
    since: Option<Duration>,
}

/// The seal for the secret in the options.
///
/// # Errors
/// If the secret cannot be used.
pub(crate) fn of(options: &Options, console: &Console) -> Result<Option<Seal>> {
    let Some(secret) = options.key.secret(|line| console.say(line))? else {
        return Ok(None);
    };
    let (cipher, name) = if options.wire == Wire::Rtp {
        let key = SrtpKey::derive(&secret, &random(), SRTP);
        let sealed = key.and_then(|key| Some((Srtp::new(&key)?, key)));
        let (srtp, key) = sealed.context("cannot derive a key for SRTP")?;
        (Cipher::Rtp(Box::new(srtp), key), SRTP.name())
    } else {
        let suite = key::suite()?;
        let mut seal = SenderSeal::new(secret, random(), suite);
        if options.listen.is_some() {
            let first = u16::try_from(options.destinations.len()).unwrap_or(u16::MAX);
            seal = seal.accepting(first, random());
        }
        (Cipher::Native(Box::new(seal)), suite.name())
    };
    info!("packets are sealed with {name}");
    Ok(Some(Seal {
        cipher,
        buffer: Vec::new(),
        answered: false,
        clear_told: false,
        other_told: false,
        silence_told: false,
        since: None,
    }))
}

/// Bytes of each datagram that the seal takes.
pub(crate) fn overhead(seal: Option<&Seal>) -> usize {
    seal.map_or(0, |seal| match &seal.cipher {
        Cipher::Native(_) => OVERHEAD,
        Cipher::Rtp(srtp, _) => srtp.overhead(),
    })
}

/// Bytes that the seal takes of a native sender report, which carries the salt too.
pub(crate) fn report_overhead(seal: Option<&Seal>) -> usize {
    seal.map_or(0, |_| REPORT_OVERHEAD)
}

impl Seal {
    /// What receivers of RTP are told of the key.
    pub(crate) fn attribute(&self) -> Option<Zeroizing<String>> {
        match &self.cipher {
            Cipher::Native(_) => None,
            Cipher::Rtp(_, key) => Some(key.attribute()),
        }
    }

    /// Appends packets of `segment` bytes each, but the last, as sealed ones. Returns the bytes of
    /// each of those.
    pub(crate) fn seal(
        &mut self,
        packets: &[u8],
        segment: usize,
        now: Duration,
        out: &mut Vec<u8>,
    ) -> usize {
        match &mut self.cipher {
            Cipher::Native(seal) => seal.seal(packets, segment, now, out),
            Cipher::Rtp(srtp, _) => srtp.seal(packets, segment, out),
        }
    }

    /// A datagram that came from `from`, in its place, as a packet in the clear but
    /// for its CRC. What a person should hear of it, if it is refused.
    ///
    /// # Errors
    /// Where it is refused.
    pub(crate) fn open<'a>(
        &mut self,
        from: SocketAddr,
        datagram: &'a mut [u8],
        now: Duration,
    ) -> Result<&'a [u8], Option<String>> {
        let opened = match &mut self.cipher {
            Cipher::Native(seal) => seal.open(from, datagram, now),
            Cipher::Rtp(srtp, _) => srtp.open_in_place(datagram, now, &mut self.buffer),
        };
        match opened {
            Ok(length) => {
                self.answered = true;
                Ok(&datagram[..length])
            }
            Err(refusal) => Err(self.notice(from, refusal)),
        }
    }

    /// What there is to say of the first datagram that is refused for a reason. Of RTP
    /// there is nothing: receivers may report in the clear, and nothing is wrong with
    /// that.
    fn notice(&mut self, from: SocketAddr, refusal: Refusal) -> Option<String> {
        if self.is_rtp() {
            return None;
        }
        let (told, why) = match refusal {
            Refusal::Clear => (
                &mut self.clear_told,
                "without a key: give the viewer there the same --key-file",
            ),
            Refusal::Unauthentic => (
                &mut self.other_told,
                "but not with this key: give both programs the same --key-file",
            ),
            // What viewers of an earlier start still send is no mistake of anybody.
            Refusal::Early | Refusal::Replayed => return None,
        };
        let is_news = !std::mem::replace(told, true);
        is_news.then(|| format!("Packets arrive from {from}, {why}."))
    }

    /// A viewer that came by itself is served no more.
    pub(crate) fn forget(&mut self, destination: usize) {
        if let (Cipher::Native(seal), Ok(destination)) =
            (&mut self.cipher, u16::try_from(destination))
        {
            seal.forget(destination);
        }
    }

    fn is_rtp(&self) -> bool {
        matches!(self.cipher, Cipher::Rtp(..))
    }

    /// What there is to say of viewers of which nothing was opened. Receivers of RTP
    /// need not report.
    pub(crate) fn silence(&mut self, now: Duration) -> Option<&'static str> {
        if self.is_rtp() {
            return None;
        }
        let since = *self.since.get_or_insert(now);
        let is_silent = !self.answered && now.saturating_sub(since) >= ANSWERED;
        let is_news = is_silent && !std::mem::replace(&mut self.silence_told, true);
        is_news.then_some(
            "No viewer has answered with this key yet: it needs the same --key-file, and reports \
             that get through.",
        )
    }

    /// Fills in the counts of refused packets.
    pub(crate) fn fill(&self, packets: &mut Packets) {
        let refused = match &self.cipher {
            Cipher::Native(seal) => seal.refused(),
            Cipher::Rtp(srtp, _) => srtp.refused(),
        };
        packets.unauthentic = Some(refused.clear + refused.unauthentic);
        packets.replayed = Some(refused.replayed);
        packets.unknown_keys = Some(refused.early);
    }
}
