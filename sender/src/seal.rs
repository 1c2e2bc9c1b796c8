//! The key of the stream: seals packets that are sent, opens those received, and explains refusals.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use framegram_common::stats::Packets;
use framegram_net::random;
use framegram_seal::{OVERHEAD, REPORT_OVERHEAD, Refusal, SenderSeal, Suite};
use log::info;

use crate::args::Options;
use crate::console::Console;

/// How long a viewer may take for its first report: it sends several within 0.1 s of the first
/// frame.
const ANSWERED: Duration = Duration::from_secs(3);

/// The seal, and the notices printed.
pub(crate) struct Seal {
    seal: SenderSeal,
    /// The packet that was last opened or sealed.
    buffer: Vec<u8>,
    /// Whether any packet of a viewer was opened.
    answered: bool,
    refusal_told: bool,
    silence_told: bool,
    since: Option<Duration>,
}

/// The seal for the secret in the options.
///
/// # Errors
/// If the secret cannot be used.
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

/// Bytes of each datagram that the seal takes.
pub(crate) fn overhead(seal: Option<&Seal>) -> usize {
    seal.map_or(0, |_| OVERHEAD)
}

/// Bytes of a sender report that the seal takes, including the salt.
pub(crate) fn report_overhead(seal: Option<&Seal>) -> usize {
    seal.map_or(0, |_| REPORT_OVERHEAD)
}

impl Seal {
    /// Seals packets, each but the last of `segment` bytes. Returns them with the new segment
    /// length.
    pub(crate) fn seal(&mut self, packets: &[u8], segment: usize, now: Duration) -> (&[u8], usize) {
        self.buffer.clear();
        let segment = self.seal.seal(packets, segment, now, &mut self.buffer);
        (&self.buffer, segment)
    }

    /// Opens a datagram from `from`.
    ///
    /// # Errors
    /// If it is refused, with a notice for the user, if any.
    pub(crate) fn open(
        &mut self,
        from: SocketAddr,
        datagram: &[u8],
        now: Duration,
    ) -> Result<&[u8], Option<String>> {
        self.buffer.clear();
        self.buffer.extend_from_slice(datagram);
        match self.seal.open(from, &mut self.buffer, now) {
            Ok(length) => {
                self.answered = true;
                Ok(&self.buffer[..length])
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

    /// The notice about viewers of which no packet was opened.
    pub(crate) fn silence(&mut self, now: Duration) -> Option<&'static str> {
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
        let refused = self.seal.refused();
        packets.unauthentic = Some(refused.clear + refused.unauthentic);
        packets.replayed = Some(refused.replayed);
        packets.unknown_keys = Some(refused.early);
    }
}
