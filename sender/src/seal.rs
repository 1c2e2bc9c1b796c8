//! The key of the stream: packets are sealed on their way out and opened on their
//! way in, and what is refused is told of.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use framegram_common::stats::Packets;
use framegram_net::random;
use framegram_seal::{OVERHEAD, REPORT_OVERHEAD, Refusal, SenderSeal, Suite};
use log::info;

use crate::args::Options;
use crate::console::Console;

/// How long a viewer may take for its first report: several are sent within 0.1 s
/// of the first frame.
const ANSWERED: Duration = Duration::from_secs(3);

/// The seal, and what was said of it.
pub(crate) struct Seal {
    seal: SenderSeal,
    /// The packets that were sealed last.
    buffer: Vec<u8>,
    /// Whether a packet of a viewer was opened.
    answered: bool,
    refusal_told: bool,
    silence_told: bool,
    since: Option<Duration>,
}

/// That of the secret that is given.
///
/// # Errors
/// Where it cannot be used.
pub(crate) fn of(options: &Options, console: &Console) -> Result<Option<Seal>> {
    let secret = options.key.secret(|line| console.say(line))?;
    Ok(secret.map(|secret| {
        let suite = Suite::best();
        info!("packets are sealed with {}", suite.name());
        let mut seal = SenderSeal::new(secret, random(), suite);
        if options.listen.is_some() {
            let first = u16::try_from(options.destinations.len()).unwrap_or(u16::MAX);
            seal = seal.accepting(first, random());
        }
        Seal {
            seal,
            buffer: Vec::new(),
            answered: false,
            refusal_told: false,
            silence_told: false,
            since: None,
        }
    }))
}

/// Bytes that the seal takes of each datagram.
pub(crate) fn overhead(seal: Option<&Seal>) -> usize {
    seal.map_or(0, |_| OVERHEAD)
}

/// Bytes that the seal takes of a sender report, which carries the salt too.
pub(crate) fn report_overhead(seal: Option<&Seal>) -> usize {
    seal.map_or(0, |_| REPORT_OVERHEAD)
}

impl Seal {
    /// Packets of `segment` bytes each, but the last, as sealed ones, and the bytes
    /// of each of those.
    pub(crate) fn seal(&mut self, packets: &[u8], segment: usize, now: Duration) -> (&[u8], usize) {
        self.buffer.clear();
        let segment = self.seal.seal(packets, segment, now, &mut self.buffer);
        (&self.buffer, segment)
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
        match self.seal.open(from, datagram, now) {
            Ok(length) => {
                self.answered = true;
                Ok(&datagram[..length])
            }
            Err(refusal) => Err(self.notice(from, refusal)),
        }
    }

    /// A viewer that came by itself is served no more.
    pub(crate) fn forget(&mut self, destination: usize) {
        if let Ok(destination) = u16::try_from(destination) {
            self.seal.forget(destination);
        }
    }

    /// What there is to say of the first datagram that is refused.
    fn notice(&mut self, from: SocketAddr, refusal: Refusal) -> Option<String> {
        let why = match refusal {
            Refusal::Clear => "without a key: give the viewer there the same --key-file",
            Refusal::Unauthentic => "but not with this key: give both programs the same --key-file",
            // What viewers of an earlier start still send is no mistake of anybody.
            Refusal::Early | Refusal::Replayed => return None,
        };
        let is_news = !std::mem::replace(&mut self.refusal_told, true);
        is_news.then(|| format!("Packets arrive from {from}, {why}."))
    }

    /// What there is to say of viewers of which nothing was opened.
    pub(crate) fn silence(&mut self, now: Duration) -> Option<&'static str> {
        let since = *self.since.get_or_insert(now);
        let is_silent = !self.answered && now.saturating_sub(since) >= ANSWERED;
        let is_news = is_silent && !std::mem::replace(&mut self.silence_told, true);
        is_news.then_some(
            "No viewer has answered with this key yet: it needs the same --key-file, and reports \
             that get through.",
        )
    }

    /// Fills in what was refused.
    pub(crate) fn fill(&self, packets: &mut Packets) {
        let refused = self.seal.refused();
        packets.unauthentic = Some(refused.clear + refused.unauthentic);
        packets.replayed = Some(refused.replayed);
        packets.unknown_keys = Some(refused.early);
    }
}
