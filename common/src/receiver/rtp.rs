//! A session of JPEG in RTP, and the reports to its sender.

mod frames;
mod numbering;
mod reports;

use std::net::SocketAddr;
use std::time::Duration;

use super::plain::{MAX_QUIET, PlainState};
use super::{Config, SILENCE};
use crate::stats::Statistics;
use crate::stats::{Insertion, Jitter, SequenceTracker};
use crate::time::SenderTime;
use crate::wire::Format;
use crate::wire::rtp::{self, Control, RtpPacket};
use crate::wire::rtp_jpeg::{Fragment, SentTables};
use frames::RtpFrames;
use numbering::{Numbering, RESUMED, RtpPace};
use reports::{Reception, Reports};

/// A sender that is silent for this long gets no reports: it is gone, or its source address was
/// forged.
const REPORTED_FOR: Duration = Duration::from_secs(5);

/// The longest time that a bye waits for media that refute it.
const BYE_WAIT: Duration = Duration::from_millis(200);

/// An RTP stream.
#[derive(Debug)]
pub(super) struct RtpSession {
    source: u32,
    state: PlainState,
    playout_delay: Duration,
    numbering: Numbering,
    numbers: SequenceTracker,
    jitter: Jitter,
    tables: SentTables,
    frames: RtpFrames,
    reports: Reports,
    /// Bytes of RTCP received from its machine, and sent there.
    control: (u64, u64),
    /// Where the newest packet ended.
    before: Option<End>,
    proven: bool,
    /// Its pictures are fields of interlaced video.
    has_fields: bool,
    bye: Option<Duration>,
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
    fn of(packet: &RtpPacket<'_>, fragment: &Fragment<'_>) -> Self {
        Self {
            sequence: packet.sequence,
            timestamp: packet.timestamp,
            offset: fragment.offset.saturating_add(fragment.data.len() as u32),
        }
    }

    /// Whether a packet continues here, within the frame or with the next one.
    fn goes_on(&self, packet: &RtpPacket<'_>, fragment: &Fragment<'_>) -> bool {
        let within = packet.timestamp == self.timestamp && fragment.offset == self.offset;
        let next = packet.timestamp != self.timestamp && fragment.offset == 0;
        packet.sequence == self.sequence.wrapping_add(1) && (within || next)
    }
}

/// A packet of JPEG in RTP: its header and its fragment.
pub(super) type JpegPacket<'a> = (RtpPacket<'a>, Fragment<'a>);

/// Decodes a datagram; `None` if it is not JPEG in RTP.
pub(super) fn decode(datagram: &[u8]) -> Option<JpegPacket<'_>> {
    let packet = RtpPacket::decode(datagram).ok()?;
    let known = packet.payload_type == rtp::JPEG || rtp::DYNAMIC.contains(&packet.payload_type);
    let fragment = Fragment::decode(packet.payload).ok()?;
    known.then_some((packet, fragment))
}

impl RtpSession {
    pub(super) fn new(
        source: u32,
        from: SocketAddr,
        viewer: u64,
        config: &Config,
        now: Duration,
    ) -> Self {
        Self {
            source,
            state: PlainState::new(source.into(), from, now),
            playout_delay: config.playout_delay,
            numbering: Numbering::default(),
            numbers: SequenceTracker::default(),
            jitter: Jitter::default(),
            tables: SentTables::default(),
            frames: RtpFrames::new(config.size, config.strict),
            reports: Reports::new(viewer, now),
            control: (0, 0),
            before: None,
            proven: false,
            has_fields: false,
            bye: None,
            ended: false,
        }
    }

    pub(super) fn state(&self) -> &PlainState {
        &self.state
    }

    pub(super) fn state_mut(&mut self) -> &mut PlainState {
        &mut self.state
    }

    /// Whether two packets in sequence or a complete frame arrived
    /// (<https://www.rfc-editor.org/rfc/rfc3550#appendix-A.1>). Bytes that look like one packet by
    /// chance are no stream.
    pub(super) fn is_proven(&self) -> bool {
        self.proven
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Whether a packet of `now` belongs to another stream with the same number: some cameras use a
    /// single fixed SSRC.
    pub(super) fn is_over(&self, now: Duration) -> bool {
        let silent = |bye| now.saturating_sub(bye) >= SILENCE;
        self.ended && self.bye.is_some_and(silent)
    }

    /// Whether frames arrive without any description of their size.
    pub(super) fn lacks_size(&self) -> bool {
        self.frames.lacks_size()
    }

    /// Whether each of its pictures is one field of interlaced video.
    pub(super) fn has_fields(&self) -> bool {
        self.has_fields
    }

    /// Bytes of frames that are held.
    pub(super) fn held_bytes(&self) -> usize {
        self.frames.held_bytes()
    }

    /// Gives up its oldest frame. Returns whether there is one.
    pub(super) fn shed(&mut self, now: Duration) -> bool {
        let shed = self.frames.shed(&mut self.state.outcomes);
        self.release(now);
        shed
    }

    /// Handles a packet of `len` bytes. Returns whether it can belong to this stream.
    pub(super) fn handle_packet(
        &mut self,
        packet: &RtpPacket<'_>,
        fragment: &Fragment<'_>,
        from: SocketAddr,
        len: usize,
        now: Duration,
    ) -> bool {
        let next = self.numbers.next();
        let silence = now.saturating_sub(self.state.last_received());
        let pace = RtpPace {
            interval: self.state.interval().unwrap_or(MAX_QUIET),
            // Before anything is proved, there is nothing to protect.
            quiet: if self.proven {
                self.state.quiet_time()
            } else {
                Duration::ZERO
            },
        };
        let Some(extended) =
            self.numbering
                .extend(packet.sequence, packet.timestamp, next, pace, now)
        else {
            return false;
        };
        if silence >= RESUMED {
            // What earlier frames lack does not arrive any more.
            self.frames.expire(now, RESUMED, &mut self.state.outcomes);
        }
        match self.numbers.insert(extended.number) {
            Insertion::New => {}
            Insertion::Duplicate => {
                self.state.record_datagram(from, len, now);
                return true;
            }
            Insertion::Implausible => return false,
        }
        self.state.record_datagram(from, len, now);
        let wait = self.bye_wait();
        // Media that continue prove that it was forged.
        self.bye
            .take_if(|at| now.saturating_sub(*at) > wait && !self.ended);
        self.jitter.record(sender_time(extended.ticks), now);
        let tables = self.tables.resolve(fragment.kind.q, fragment.tables);
        let fits = self.frames.insert(
            (extended.number.0, extended.ticks),
            packet,
            fragment,
            tables,
            now,
        );
        self.release(now);
        self.has_fields |= fits && Fragment::is_field(packet.payload);
        if fits && !self.proven && !fragment.data.is_empty() {
            let goes_on = |before: End| before.goes_on(packet, fragment);
            self.proven = self.state.has_frames() || self.before.is_some_and(goes_on);
            self.before = Some(End::of(packet, fragment));
        }
        fits
    }

    /// Handles a compound RTCP packet of `len` bytes.
    pub(super) fn handle_control(
        &mut self,
        controls: &[Control],
        (from, len): (SocketAddr, usize),
        now: Duration,
    ) {
        // Only the sender's own machine may end its stream.
        if self.state.from().ip() != from.ip() {
            return;
        }
        self.control.0 += len as u64;
        for control in controls {
            match control {
                Control::Sender(info, _) if info.source == self.source => {
                    self.reports.handle_sender(info, from, now);
                }
                Control::Bye { source } if *source == self.source => {
                    self.bye.get_or_insert(now);
                }
                Control::Sender(..)
                | Control::Bye { .. }
                | Control::Receiver { .. }
                | Control::Name { .. } => {}
            }
        }
    }

    /// Gives up what is past its deadline. Returns whether that ends the stream.
    pub(super) fn handle_timeout(&mut self, now: Duration) -> bool {
        self.frames
            .expire(now, self.playout_delay, &mut self.state.outcomes);
        self.release(now);
        let over = self.bye_due().is_some_and(|due| now >= due);
        if over && !self.ended {
            self.end();
            return true;
        }
        false
    }

    pub(super) fn end(&mut self) {
        self.ended = true;
        self.frames.give_up_all(&mut self.state.outcomes);
        let last_received = self.state.last_received();
        self.release(last_received);
    }

    pub(super) fn poll_timeout(&self) -> Option<Duration> {
        let frames = self.frames.expiry(self.playout_delay);
        let report = self.reports.due().filter(|_| !self.ended);
        let end = self.bye_due().filter(|_| !self.ended);
        [frames, report, end].into_iter().flatten().min()
    }

    pub(super) fn poll_transmit(&mut self, now: Duration, out: &mut Vec<u8>) -> Option<SocketAddr> {
        if self.ended {
            return None;
        }
        if now >= self.state.last_received() + REPORTED_FOR {
            self.reports.stop();
            return None;
        }
        let reception = Reception {
            source: self.source,
            numbers: &self.numbers,
            numbering: &self.numbering,
            jitter: self.jitter.micros().unwrap_or(0.0),
            bitrate: self.state.bitrate(),
        };
        let to = self.reports.poll(&reception, now, out)?;
        // The source address is not proved, so it gets no more bytes than it sent.
        let (received, sent) = self.control;
        let sent = sent + out.len() as u64;
        if sent > self.state.bytes() + received {
            out.clear();
            return None;
        }
        self.control.1 = sent;
        Some(to)
    }

    /// How long no media must follow a bye, which anyone may forge.
    fn bye_wait(&self) -> Duration {
        let interval = self.state.interval();
        interval.map_or(BYE_WAIT, |interval| BYE_WAIT.min(2 * interval))
    }

    /// When its bye ends the stream: after the deadline of frames on the way.
    fn bye_due(&self) -> Option<Duration> {
        let at = self.bye?.max(self.state.last_received());
        Some(at + self.bye_wait().max(self.playout_delay))
    }

    pub(super) fn statistics(&self) -> Statistics {
        let mut statistics = self.state.statistics(Format::Rtp);
        statistics.stream.ended = self.bye.is_some();
        let first = self.numbers.first().unwrap_or(0);
        let expected = self.numbers.next().saturating_sub(first);
        let missing = expected.saturating_sub(self.numbers.received());
        let dropped = self.state.socket_dropped().min(missing);
        let packets = &mut statistics.packets;
        packets.received = Some(self.numbers.received());
        packets.socket_dropped = Some(dropped);
        packets.lost = Some(missing - dropped);
        packets.duplicate = Some(self.numbers.duplicate());
        packets.reordered = Some(self.numbers.reordered());
        // Without missing packets no frame is lost; otherwise the number is unknown.
        statistics.frames.lost = (missing == 0).then_some(0);
        statistics.jitter_ms = self.jitter.micros().map(|micros| micros / 1000.0);
        statistics
    }

    fn release(&mut self, now: Duration) {
        while let Some(frame) = self.frames.pop(&mut self.state.outcomes) {
            self.state.insert(frame, now);
        }
    }
}

fn sender_time(ticks: u64) -> SenderTime {
    SenderTime::from_micros(ticks * 1000 / u64::from(rtp::CLOCK / 1000))
}
