//! Counts what happened to every packet and frame of one stream.

mod accounts;
mod packets;

pub(crate) use packets::LossCounts;

use std::time::Duration;

use super::delays::Jitter;
use super::frame_log::{FrameLog, FrameRecord, Knowledge};
use super::join::JoinPoint;
use super::loss_pattern::LossPatternMeter;
use super::missing::MissingPackets;
use super::outcome::Outcome;
use super::outlook::Outlook;
use super::sequence::{Insertion, SequenceTracker};
use super::socket_drops::SocketDrops;
use super::unsent::UnsentRanges;
use crate::seq::FrameNumber;
use crate::stats::{self, Statistics};
use crate::time::SenderTime;
use crate::wire::native::{Channel, Header, ReceiverReport, SenderReport};
use accounts::Attendance;

/// Counters of one stream, kept by the receiving side.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// The frames.
    pub(crate) frames: FrameLog,
    /// Packet numbers by channel, in the order of [`Channel`].
    numbers: [SequenceTracker; 3],
    drops: SocketDrops,
    pattern: LossPatternMeter,
    jitter: Jitter,
    bytes: u64,
    jpeg_bytes: u64,
    socket_dropped: u64,
    corrupt: u64,
    unsent: UnsentRanges,
    /// By channel: whether nothing has been received since an outage.
    resuming: [bool; 3],
    /// Losses in outages.
    outages: LossCounts,
    totals: Option<(SenderReport, SenderReport)>,
    from_start: bool,
    /// When the first frame and the newest one began to arrive.
    span: Option<(Duration, Duration)>,
    attendance: Attendance,
    /// Packet numbers seen before this side joined; excluded from all counts.
    passed: JoinPoint,
}

impl Counters {
    /// Counters of a stream of which nothing has arrived yet.
    pub(crate) fn new(stream: u64) -> Self {
        Self {
            frames: FrameLog::new(stream),
            ..Self::default()
        }
    }

    /// Excludes packets sent before this side joined.
    pub(crate) fn joined_after(self, passed: JoinPoint) -> Self {
        Self { passed, ..self }
    }

    /// Whether the packet was sent before this side joined.
    pub(crate) fn is_before_joining(&mut self, header: &Header) -> bool {
        self.passed.covers(header)
    }

    /// Records that a frame begins to arrive.
    pub(crate) fn begin_frame(&mut self, number: FrameNumber, chunks: u16, now: Duration) {
        let first = self.span.map_or(now, |(first, _)| first);
        self.span = Some((first, now));
        self.frames.begin(number, chunks, now);
    }

    /// Counts a packet of `len` bytes. The caller must ignore its content unless
    /// the result is [`Insertion::New`].
    pub(crate) fn record_packet(
        &mut self,
        header: &Header,
        len: usize,
        now: Duration,
    ) -> Insertion {
        let arrival = self.record_number(header.channel, header.number);
        self.attendance.record(header, arrival, now);
        match arrival {
            Insertion::New => {
                self.bytes += len as u64;
                if header.channel == Channel::Media {
                    self.jitter
                        .record(SenderTime::from_micros(header.sent), now);
                }
            }
            Insertion::Duplicate => self.bytes += len as u64,
            Insertion::Implausible => {}
        }
        arrival
    }

    /// Counts a datagram with a wrong checksum.
    pub(crate) fn record_corrupt(&mut self) {
        self.corrupt += 1;
    }

    /// Datagrams dropped in the socket buffer.
    pub(crate) fn socket_drops(&self) -> u64 {
        self.socket_dropped
    }

    /// Counts datagrams dropped in the socket buffer.
    pub(crate) fn record_socket_drops(&mut self, datagrams: u64) {
        self.socket_dropped += datagrams;
        self.drops.record(datagrams);
    }

    /// Records drops in the buffer of a socket that several streams share.
    pub(crate) fn record_shared_drops(&mut self) {
        self.drops.record_shared();
    }

    /// Records an outage. The packets missing before the next one received are
    /// excluded from the loss that parity is planned for, because no parity helps
    /// against outages.
    pub(crate) fn record_outage(&mut self) {
        self.resuming = [true; 3];
    }

    /// Counts the JPEG bytes of a complete frame.
    pub(crate) fn record_complete(&mut self, jpeg_bytes: usize) {
        self.jpeg_bytes += jpeg_bytes as u64;
    }

    /// Takes a sender report. `from_start` says whether this side was listening
    /// when the stream began; the first report decides, as clocks drift.
    pub(crate) fn record_sender_report(&mut self, totals: SenderReport, from_start: bool) {
        if self.totals.is_none() {
            self.from_start = from_start;
        }
        let refused = totals.unsent_first..totals.unsent_end.min(totals.media);
        self.unsent.record(refused);
        match &mut self.totals {
            None => self.totals = Some((totals, totals)),
            Some((_, last)) if totals.control > last.control => *last = totals,
            Some(_) => return,
        }
        for channel in Channel::ALL {
            let end = packets::counted(&totals, channel);
            let numbers = &mut self.numbers[channel as usize];
            if !self.from_start && numbers.first().is_none() {
                numbers.begin_at(end);
            }
            // Packets dropped before the report arrived were sent before the
            // report.
            let event = self.drops.take(channel);
            let gap = numbers.revealed()..end;
            numbers.reveal(end, event);
            self.drops.record_gap(event, channel, gap);
        }
    }

    /// Whether this side was listening when the stream began.
    pub(crate) fn is_from_start(&self) -> bool {
        self.from_start
    }

    /// The newest sender report.
    pub(crate) fn totals(&self) -> Option<&SenderReport> {
        self.totals.as_ref().map(|(_, last)| last)
    }

    /// First frame in the counts.
    pub(crate) fn first_frame(&self) -> u64 {
        let own = self.frames.first_own(self.media().0);
        match (self.from_start, own, &self.totals) {
            (false, Some(first), _) => first,
            (false, None, Some((joined, _))) => joined.frames_sent,
            _ => 0,
        }
    }

    /// One above the newest frame known to have been sent.
    pub(crate) fn frames_sent(&self) -> u64 {
        self.frames
            .next()
            .max(self.totals().map_or(0, |totals| totals.frames_sent))
    }

    /// Settles the frames whose outcome can no longer change, at the `end` all frames.
    /// Calls `settled` with the record of each frame of which something arrived.
    pub(crate) fn settle(
        &mut self,
        outlook: &Outlook,
        end: bool,
        settled: &mut dyn FnMut(&FrameRecord),
    ) {
        let due = self.frames.due(&self.knowledge(outlook), end);
        self.frames.settle(due, settled);
    }

    /// Fills in the counts of a receiver report.
    pub(crate) fn fill_report(&self, outlook: &Outlook, report: &mut ReceiverReport) {
        let packets = self.packets();
        let frames = self.frames.tally(&self.knowledge(outlook));
        let media = self.range(Channel::Media);
        report.media_expected = media.end - media.start;
        report.media_received = self.numbers(Channel::Media).received();
        report.repair_received = self.repair_received();
        report.packets_received = packets.received;
        report.packets_lost = packets.lost;
        report.packets_duplicate = packets.duplicate;
        report.packets_reordered = packets.reordered;
        report.packets_corrupt = self.corrupt;
        report.socket_dropped = packets.socket_dropped;
        report.bytes = self.bytes;
        report.frames_shown = frames.sum(Outcome::is_shown);
        report.frames_intact = frames.sum(Outcome::is_intact);
        report.frames_concealed = frames.of(Outcome::Concealed);
        report.frames_incomplete = frames.incomplete;
        report.frames_lost = frames.lost;
        report.frames_late = frames.of(Outcome::Late);
        report.frames_skipped = frames.of(Outcome::Skipped);
        report.frames_undecodable = frames.of(Outcome::Undecodable);
        report.jitter = self.jitter.micros().map_or(0, |micros| micros as u32);
    }

    /// The statistics of the stream.
    pub(crate) fn statistics(&self, outlook: &Outlook) -> Statistics {
        let totals = self.totals();
        let packets = self.packets();
        let frames = self.frames.tally(&self.knowledge(outlook));
        let (by_parity, by_retransmission) = self.frames.repaired();
        let sent = self.frames_sent();
        let (first, last) = self.span.unwrap_or_default();
        let duration = last.saturating_sub(first).as_secs_f64();
        let rate = |amount: f64| (duration > 0.0).then(|| amount / duration);
        let before_joining = self.first_frame();
        let captured = totals.map(|totals| {
            let sum = sent + totals.frames_replaced + totals.frames_not_sent;
            totals.frames_captured.max(sum)
        });
        let of_sender = totals.map(|totals| {
            [
                before_joining,
                totals.frames_replaced,
                totals.frames_not_sent,
            ]
        });
        let own = frames.sum(|outcome| outcome != Outcome::BeforeJoining);
        let accounted = of_sender.map(|counts| counts.iter().sum::<u64>() + own);
        let shown = frames.sum(Outcome::is_shown);
        Statistics {
            frames: stats::Frames {
                captured,
                not_sent: totals.map(|totals| totals.frames_not_sent),
                sent: totals.map(|_| sent),
                shown: Some(shown),
                intact: Some(frames.sum(Outcome::is_intact)),
                incomplete: Some(frames.incomplete),
                lost: Some(frames.lost),
                unaccounted: captured
                    .zip(accounted)
                    .map(|(captured, accounted)| captured.saturating_sub(accounted)),
                after_last_report: (outlook.bye && totals.is_some()).then_some(0),
                ..stats::Frames::default()
            },
            outcomes: frames.outcomes(of_sender),
            packets: stats::Packets {
                sent: totals.map(|_| packets.expected - packets.send_errors),
                send_errors: totals.map(|_| packets.send_errors),
                received: Some(packets.received),
                lost: Some(packets.lost),
                duplicate: Some(packets.duplicate),
                reordered: Some(packets.reordered),
                socket_dropped: Some(packets.socket_dropped),
                corrupt: Some(self.corrupt),
                repaired_by_parity: Some(by_parity),
                repaired_by_retransmission: Some(by_retransmission),
                ..stats::Packets::default()
            },
            bytes: stats::Bytes {
                // A sender report counts the bytes sent before it. Only the bye
                // counts all of them.
                sent: totals.filter(|_| outlook.bye).map(|totals| totals.bytes),
                received: Some(self.bytes),
                jpeg: Some(self.jpeg_bytes),
            },
            duration_s: duration,
            fps: stats::fps(shown, duration),
            bitrate_bps: rate(self.bytes as f64 * 8.0),
            jitter_ms: self.jitter.micros().map(|micros| micros / 1000.0),
            jitter_distribution_ms: self.jitter.distribution(),
            stale_share: frames.stale_share(),
            accounts: vec![self.account()],
            loss_pattern: Some(self.loss_pattern()),
            reordering_extent: self.reordering_extent(),
            ..Statistics::default()
        }
    }

    fn knowledge<'a>(&'a self, outlook: &'a Outlook) -> Knowledge<'a> {
        Knowledge {
            missing: MissingPackets {
                numbers: &self.numbers,
                drops: &self.drops,
                unsent: &self.unsent,
                media: self.media(),
            },
            first: self.first_frame(),
            sent: self.frames_sent(),
            outlook,
        }
    }

    /// First media packet in the counts, and one above the last.
    fn media(&self) -> (u64, u64) {
        let media = self.range(Channel::Media);
        (media.start, media.end)
    }

    fn numbers(&self, channel: Channel) -> &SequenceTracker {
        &self.numbers[channel as usize]
    }
}

#[cfg(test)]
mod tests;
