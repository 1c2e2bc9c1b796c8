//! A stream of JPEG in RTP, and the reports to its sender.

mod frames;
mod numbering;
mod reports;

use std::net::SocketAddr;
use std::time::Duration;

use super::Config;
use super::accounts::{Accounts, MAX_QUIET};
use crate::receiver::SILENCE;
use crate::stats::{Arrival, Jitter, SequenceTracker, Statistics};
use crate::wire::Format;
use crate::wire::rtp::{self, Control, Packet};
use crate::wire::rtp_jpeg::{Fragment, SentTables};
use frames::Frames;
use numbering::{Numbering, Pace, RESUMED};
use reports::Reports;

/// A sender of which nothing came for so long is told nothing: it is gone, or
/// never was where its packets seem to come from.
const TOLD_FOR: Duration = Duration::from_secs(5);

/// The longest that a farewell waits for media that refute it.
const FAREWELL_WAIT: Duration = Duration::from_millis(200);

/// One stream.
#[derive(Debug)]
pub(super) struct RtpStream {
    source: u32,
    accounts: Accounts,
    budget: Duration,
    numbering: Numbering,
    numbers: SequenceTracker,
    jitter: Jitter,
    tables: SentTables,
    frames: Frames,
    reports: Reports,
    /// Bytes of RTCP that came from its machine, and that went there.
    control: (u64, u64),
    /// Where the packet ended that came last, and which one it was.
    before: Option<End>,
    proven: bool,
    farewell: Option<Duration>,
    ended: bool,
}

/// Where a packet ended.
#[derive(Clone, Copy, Debug)]
struct End {
    sequence: u16,
    timestamp: u32,
    /// In the scan of its frame.
    offset: u32,
}

impl End {
    fn of(packet: &Packet<'_>, fragment: &Fragment<'_>) -> Self {
        Self {
            sequence: packet.sequence,
            timestamp: packet.timestamp,
            offset: fragment.offset.saturating_add(fragment.data.len() as u32),
        }
    }

    /// Whether a packet goes on from here, within the frame or with the next.
    fn goes_on(&self, packet: &Packet<'_>, fragment: &Fragment<'_>) -> bool {
        let within = packet.timestamp == self.timestamp && fragment.offset == self.offset;
        let next = packet.timestamp != self.timestamp && fragment.offset == 0;
        packet.sequence == self.sequence.wrapping_add(1) && (within || next)
    }
}

/// The packet and the fragment in a datagram, if it is of JPEG in RTP.
pub(super) fn decode(datagram: &[u8]) -> Option<(Packet<'_>, Fragment<'_>)> {
    let packet = Packet::decode(datagram).ok()?;
    let known = packet.payload_type == rtp::JPEG || rtp::DYNAMIC.contains(&packet.payload_type);
    let fragment = Fragment::decode(packet.payload).ok()?;
    known.then_some((packet, fragment))
}

impl RtpStream {
    pub(super) fn new(source: u32, viewer: u64, config: &Config, now: Duration) -> Self {
        Self {
            source,
            accounts: Accounts::new(source.into()),
            budget: config.receiver.budget,
            numbering: Numbering::default(),
            numbers: SequenceTracker::default(),
            jitter: Jitter::default(),
            tables: SentTables::default(),
            frames: Frames::new(config.size, config.receiver.strict),
            reports: Reports::new(viewer, now),
            control: (0, 0),
            before: None,
            proven: false,
            farewell: None,
            ended: false,
        }
    }

    pub(super) fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    pub(super) fn accounts_mut(&mut self) -> &mut Accounts {
        &mut self.accounts
    }

    /// Whether two packets in sequence or a whole frame came
    /// (<https://www.rfc-editor.org/rfc/rfc3550#appendix-A.1>): bytes that look
    /// like one packet by chance are no stream.
    pub(super) fn is_proven(&self) -> bool {
        self.proven
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Whether a packet of `now` is of another stream under the same number:
    /// some cameras have but one.
    pub(super) fn is_over(&self, now: Duration) -> bool {
        let silent = |farewell| now.saturating_sub(farewell) >= SILENCE;
        self.ended && self.farewell.is_some_and(silent)
    }

    /// Whether frames come whose size is told nowhere.
    pub(super) fn lacks_size(&self) -> bool {
        self.frames.lacks_size()
    }

    /// Bytes of frames that are held.
    pub(super) fn held_bytes(&self) -> usize {
        self.frames.held_bytes()
    }

    /// Gives up the oldest of them. Returns whether there is one.
    pub(super) fn shed(&mut self, now: Duration) -> bool {
        let shed = self.frames.shed(&mut self.accounts.counts);
        self.hand_out(now);
        shed
    }

    /// Takes a packet of `len` bytes. Returns whether it can be one of this
    /// stream.
    pub(super) fn handle_packet(
        &mut self,
        packet: &Packet<'_>,
        fragment: &Fragment<'_>,
        from: SocketAddr,
        len: usize,
        now: Duration,
    ) -> bool {
        let next = self.numbers.next();
        let silence = now.saturating_sub(self.accounts.heard());
        let pace = Pace {
            interval: self.accounts.interval().unwrap_or(MAX_QUIET),
            // Before anything is proved, there is nothing to be disturbed.
            quiet: if self.proven {
                self.accounts.quiet()
            } else {
                Duration::ZERO
            },
        };
        let Some(place) = self
            .numbering
            .place(packet.sequence, packet.timestamp, next, pace, now)
        else {
            return false;
        };
        if silence >= RESUMED {
            // What is missing of frames of before does not come any more.
            self.frames.expire(now, RESUMED, &mut self.accounts.counts);
        }
        match self.numbers.insert(place.number) {
            Arrival::New => {}
            Arrival::Duplicate => {
                self.accounts.note_datagram(from, len, now);
                return true;
            }
            Arrival::Implausible => return false,
        }
        self.accounts.note_datagram(from, len, now);
        let wait = self.farewell_wait();
        // Media that go on show that somebody else said it.
        self.farewell
            .take_if(|said| now.saturating_sub(*said) > wait && !self.ended);
        self.jitter.note(micros(place.ticks), now);
        let tables = self.tables.resolve(fragment.kind.q, fragment.tables);
        let placed = self
            .frames
            .place(place.number.0, place.ticks, packet, fragment, tables, now);
        self.hand_out(now);
        if placed && !self.proven && !fragment.data.is_empty() {
            let goes_on = |before: End| before.goes_on(packet, fragment);
            self.proven = self.accounts.has_frames() || self.before.is_some_and(goes_on);
            self.before = Some(End::of(packet, fragment));
        }
        placed
    }

    /// Takes a datagram of RTCP. Returns whether it is sound.
    pub(super) fn handle_control(
        &mut self,
        from: SocketAddr,
        datagram: &[u8],
        now: Duration,
    ) -> bool {
        let Ok(controls) = Control::decode(datagram) else {
            return false;
        };
        // Nobody but the sender's own machine may end its stream.
        if self.accounts.from().map(|media| media.ip()) != Some(from.ip()) {
            return true;
        }
        self.control.0 += datagram.len() as u64;
        for control in controls {
            match control {
                Control::Sender(info, _) if info.source == self.source => {
                    self.reports.handle_sender(&info, from, now);
                }
                Control::Bye { source } if source == self.source => {
                    self.farewell.get_or_insert(now);
                }
                Control::Sender(..)
                | Control::Bye { .. }
                | Control::Receiver { .. }
                | Control::Name { .. } => {}
            }
        }
        true
    }

    /// Gives up what has had its time. Returns whether the stream ends by it.
    pub(super) fn handle_timeout(&mut self, now: Duration) -> bool {
        self.frames
            .expire(now, self.budget, &mut self.accounts.counts);
        self.hand_out(now);
        let over = self.farewell_due().is_some_and(|due| now >= due);
        if over && !self.ended {
            self.end();
            return true;
        }
        false
    }

    pub(super) fn end(&mut self) {
        self.ended = true;
        self.frames.give_up_all(&mut self.accounts.counts);
        let heard = self.accounts.heard();
        self.hand_out(heard);
    }

    pub(super) fn poll_timeout(&self) -> Option<Duration> {
        let frames = self.frames.expiry(self.budget);
        let report = self.reports.due().filter(|_| !self.ended);
        let end = self.farewell_due().filter(|_| !self.ended);
        [frames, report, end].into_iter().flatten().min()
    }

    pub(super) fn poll_transmit(&mut self, now: Duration, out: &mut Vec<u8>) -> Option<SocketAddr> {
        if self.ended {
            return None;
        }
        if now >= self.accounts.heard() + TOLD_FOR {
            self.reports.stop();
            return None;
        }
        let jitter = self.jitter.micros().unwrap_or(0.0);
        let rate = self.accounts.statistics("").bitrate_bps;
        let to = self.reports.poll(
            self.source,
            &self.numbers,
            &self.numbering,
            jitter,
            rate,
            now,
            out,
        )?;
        // Nothing proves that it is where its packets seem to come from: it is
        // told no more than it said.
        let (came, went) = self.control;
        let told = went + out.len() as u64;
        if told > self.accounts.bytes() + came {
            out.clear();
            return None;
        }
        self.control.1 = told;
        Some(to)
    }

    /// How long media may stay out before a farewell is believed: anyone may
    /// have said it.
    fn farewell_wait(&self) -> Duration {
        let interval = self.accounts.interval();
        interval.map_or(FAREWELL_WAIT, |interval| FAREWELL_WAIT.min(2 * interval))
    }

    /// When the stream ends by its farewell: once what was still under way had
    /// its time too.
    fn farewell_due(&self) -> Option<Duration> {
        let said = self.farewell?.max(self.accounts.heard());
        Some(said + self.farewell_wait().max(self.budget))
    }

    pub(super) fn statistics(&self) -> Statistics {
        let mut statistics = self.accounts.statistics(Format::Rtp.name());
        statistics.stream.ended = self.farewell.is_some();
        let first = self.numbers.first().unwrap_or(0);
        let expected = self.numbers.next().saturating_sub(first);
        let missing = expected.saturating_sub(self.numbers.received());
        let dropped = self.accounts.socket_dropped().min(missing);
        let packets = &mut statistics.packets;
        packets.received = Some(self.numbers.received());
        packets.socket_dropped = Some(dropped);
        packets.lost = Some(missing - dropped);
        packets.duplicate = Some(self.numbers.duplicate());
        packets.reordered = Some(self.numbers.reordered());
        // With no packet missing no frame is; else nobody knows.
        statistics.frames.lost = (missing == 0).then_some(0);
        statistics.jitter_ms = self.jitter.micros().map(|micros| micros / 1000.0);
        statistics
    }

    fn hand_out(&mut self, now: Duration) {
        while let Some(ready) = self.frames.pop(&mut self.accounts.counts) {
            self.accounts.hand_out(ready, now);
        }
    }
}

fn micros(ticks: u64) -> u64 {
    ticks * 1000 / u64::from(rtp::CLOCK / 1000)
}
