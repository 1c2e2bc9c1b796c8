//! Seals RTP and RTCP as SRTP and SRTCP (<https://www.rfc-editor.org/rfc/rfc3711>) and opens them.
//!
//! [`Srtp`] takes the place that [`SenderSeal`](crate::SenderSeal) and
//! [`ViewerSeal`](crate::ViewerSeal) have for the native format. Both sides use the key of a
//! session description, an [`SrtpKey`].

mod key;
mod sources;

use std::time::Duration;

use framegram_common::wire::rtp::is_control;
use libsrtp::{MasterKey, ProtectionProfile, RecvSession, SendSession, SrtpError, StreamConfig};

pub use self::key::{CryptoError, SrtpKey, SrtpSuite};
use self::sources::SrtpSources;
use crate::trials::Trials;
use crate::{Refusal, Refused};

/// Packets in the replay window of a source: two seconds at 8,192 packets a second, which is 95
/// Mbit/s in packets for Ethernet. The 16-bit packet numbers allow at most twice as many.
const WINDOW: u16 = 1 << 14;

/// Trials in a second of packets from unknown sources, or with an unexpected rollover counter. Each
/// takes a few microseconds.
const TRIALS: u32 = 4_000;

/// Trials for one packet, so that others have their turn.
const TRIALS_OF_PACKET: u32 = 16;

/// Rollover counters to search, from the expected one on: two days at 6,000 packets a second.
const MAX_ROLLOVERS: u32 = 1 << 14;

/// Silence of a source after which its rollover counter is searched.
const SILENCE: Duration = Duration::from_millis(500);

/// The shortest RTP header, and the shortest RTCP header with its source.
const MIN_MEDIA: usize = 12;
const MIN_CONTROL: usize = 8;

/// The kind of a packet, from its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PacketKind {
    Media,
    Control,
}

/// Seals what this side sends, and opens what the other side sends.
pub struct Srtp {
    config: StreamConfig,
    suite: SrtpSuite,
    outgoing: SendSession,
    incoming: RecvSession,
    /// The source of this side's packets, from the first packet on.
    own: Option<u32>,
    sources: SrtpSources,
    trials: Trials,
    /// Where the search for rollover counters continues.
    cursor: u32,
    /// Scratch memory of the cipher.
    buffer: Vec<u8>,
    refused: Refused,
}

impl Srtp {
    /// Creates both directions with this key. `None` only if the cipher cannot be set up.
    pub fn new(key: &SrtpKey) -> Option<Self> {
        let (profile, control) = match key.suite() {
            SrtpSuite::AesCm128HmacSha1_80 => (
                ProtectionProfile::Aes128CmHmacSha180,
                ProtectionProfile::Aes128CmHmacSha180,
            ),
            // https://www.rfc-editor.org/rfc/rfc4568#section-6.2.2
            SrtpSuite::AesCm128HmacSha1_32 => (
                ProtectionProfile::Aes128CmHmacSha132,
                ProtectionProfile::Aes128CmHmacSha180,
            ),
            SrtpSuite::AeadAes128Gcm => (
                ProtectionProfile::AeadAes128Gcm,
                ProtectionProfile::AeadAes128Gcm,
            ),
        };
        let (master, salt) = key.parts();
        let keys = vec![MasterKey::new(master, salt, &None)];
        let mut config = StreamConfig::new(keys, &profile, &control);
        config.set_replay_window_size(WINDOW);
        let mut sends = config.clone();
        // The same sealed packets of a frame go to every destination.
        sends.allow_send_repeat(true);
        let mut outgoing = SendSession::new();
        outgoing.add_stream(None, &sends).ok()?;
        Some(Self {
            config,
            suite: key.suite(),
            outgoing,
            incoming: RecvSession::new(),
            own: None,
            sources: SrtpSources::default(),
            trials: Trials::new(TRIALS),
            cursor: 0,
            buffer: Vec::new(),
            refused: Refused::default(),
        })
    }

    /// Bytes that sealing adds to a packet of a frame.
    pub fn overhead(&self) -> usize {
        self.suite.overhead()
    }

    /// Seals packets and appends them. Each has `segment` bytes, except for the last, and either
    /// all are RTP or all RTCP. Returns the bytes of each sealed packet but the last.
    pub fn seal(&mut self, packets: &[u8], segment: usize, out: &mut Vec<u8>) -> usize {
        let start = out.len();
        let mut sealed_segment = 0;
        for packet in packets.chunks(segment.max(1)) {
            let before = out.len();
            let sealed = self.seal_one(packet, out);
            debug_assert!(sealed, "what this side sends is RTP or RTCP");
            if before == start {
                sealed_segment = out.len() - start;
            }
        }
        sealed_segment
    }

    /// Seals a packet and appends it. Returns false if it cannot be sealed.
    pub fn seal_one(&mut self, packet: &[u8], out: &mut Vec<u8>) -> bool {
        let Some((kind, source)) = kind_of(packet) else {
            return false;
        };
        self.own = Some(source);
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        buffer.extend_from_slice(packet);
        let sealed = match kind {
            PacketKind::Media => self.outgoing.rtp_protect(buffer),
            PacketKind::Control => self.outgoing.rtcp_protect(buffer),
        };
        let Ok(sealed) = sealed else {
            return false;
        };
        out.extend_from_slice(&sealed);
        self.buffer = sealed;
        true
    }

    /// Opens a datagram from the other side into `out`.
    ///
    /// # Errors
    /// Why it is refused. `out` then has undefined content.
    pub fn open(
        &mut self,
        datagram: &[u8],
        now: Duration,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        let opened = self.open_any(datagram, now, out);
        self.refused.record(opened)
    }

    /// Opens a datagram from the other side in place, using `scratch`. Returns the bytes of the
    /// packet in the clear.
    ///
    /// # Errors
    /// Why it is refused. The datagram is then unchanged.
    pub fn open_in_place(
        &mut self,
        datagram: &mut [u8],
        now: Duration,
        scratch: &mut Vec<u8>,
    ) -> Result<usize, Refusal> {
        self.open(datagram, now, scratch)?;
        let length = scratch.len();
        let packet = datagram.get_mut(..length).ok_or(Refusal::Unauthentic)?;
        packet.copy_from_slice(scratch);
        Ok(length)
    }

    fn open_any(
        &mut self,
        datagram: &[u8],
        now: Duration,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        let (kind, source) = kind_of(datagram).ok_or(Refusal::Clear)?;
        // Both sides have the same key, so a stranger could send back what this side sent.
        if self.own == Some(source) || kind == PacketKind::Control && !self.is_encrypted(datagram) {
            return Err(Refusal::Unauthentic);
        }
        let is_known = self.sources.contains(source);
        if !is_known {
            let added = self.trials.take(now).then(|| {
                let added = self.incoming.add_stream(Some(source), &self.config);
                added.is_ok()
            });
            if added != Some(true) {
                return Err(Refusal::Unauthentic);
            }
        }
        let mut opened = self.unprotect(kind, datagram, out);
        if opened == Err(Refusal::Unauthentic)
            && kind == PacketKind::Media
            && self.sources.is_silent(source, now)
        {
            opened = self.search(source, datagram, now, out);
        }
        match opened {
            Ok(()) => self.remember(source, kind, now),
            Err(_) if !is_known => self.forget(source),
            Err(_) => {}
        }
        opened
    }

    /// Whether a packet of SRTCP says that it is encrypted. Others are refused: not every cipher
    /// authenticates this bit.
    fn is_encrypted(&self, datagram: &[u8]) -> bool {
        let flag = datagram.len().checked_sub(self.suite.control_trailer());
        flag.is_some_and(|flag| datagram[flag] & ENCRYPTED != 0)
    }

    fn unprotect(
        &mut self,
        kind: PacketKind,
        datagram: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        buffer.extend_from_slice(datagram);
        let opened = match kind {
            PacketKind::Media => self.incoming.rtp_unprotect(buffer),
            PacketKind::Control => self.incoming.rtcp_unprotect(buffer),
        };
        match opened {
            Ok(packet) => {
                self.buffer = std::mem::replace(out, packet);
                Ok(())
            }
            Err(SrtpError::InvalidPacketIndex) => Err(Refusal::Replayed),
            Err(_) => Err(Refusal::Unauthentic),
        }
    }

    /// Tries other rollover counters: this side may have joined late, or have missed more packets
    /// than 16 bits count.
    fn search(
        &mut self,
        source: u32,
        datagram: &[u8],
        now: Duration,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        let at = self.incoming.get_roc(source).unwrap_or(0);
        for tried in 0..TRIALS_OF_PACKET {
            if !self.trials.take(now) {
                break;
            }
            let step = match tried {
                0 => 0,
                _ => {
                    self.cursor = (self.cursor + 1) % MAX_ROLLOVERS;
                    self.cursor
                }
            };
            let Some(rollovers) = at.checked_add(1 + step) else {
                continue;
            };
            if self.incoming.set_roc(source, rollovers).is_ok()
                && self.unprotect(PacketKind::Media, datagram, out).is_ok()
            {
                self.cursor = 0;
                return Ok(());
            }
        }
        // Otherwise the last one tried would stay.
        let _ = self.incoming.set_roc(source, at);
        Err(Refusal::Unauthentic)
    }

    fn remember(&mut self, source: u32, kind: PacketKind, now: Duration) {
        let is_media = kind == PacketKind::Media;
        if let Some(forgotten) = self.sources.record(source, is_media, now) {
            let _ = self.incoming.remove_stream(forgotten);
        }
    }

    fn forget(&mut self, source: u32) {
        let _ = self.incoming.remove_stream(source);
    }

    /// Counts of the datagrams refused so far.
    pub fn refused(&self) -> Refused {
        self.refused
    }
}

impl std::fmt::Debug for Srtp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Srtp")
            .field("suite", &self.suite)
            .field("sources", &self.sources)
            .finish_non_exhaustive()
    }
}

/// The bit that says that a packet of SRTCP is encrypted, in the first byte of its index
/// (<https://www.rfc-editor.org/rfc/rfc3711#section-3.4>).
const ENCRYPTED: u8 = 0x80;

/// The kind of a packet and the number of its source. Neither is encrypted.
fn kind_of(packet: &[u8]) -> Option<(PacketKind, u32)> {
    let (kind, header, at) = if is_control(packet) {
        (PacketKind::Control, MIN_CONTROL, 4)
    } else {
        (PacketKind::Media, MIN_MEDIA, 8)
    };
    let is_rtp = matches!(packet.first(), Some(0x80..=0xbf)) && packet.len() >= header;
    let source = packet.get(at..at + 4).filter(|_| is_rtp)?;
    Some((kind, u32::from_be_bytes(source.try_into().ok()?)))
}

#[cfg(test)]
mod tests;
