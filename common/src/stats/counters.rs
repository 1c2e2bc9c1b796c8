//! What became of every packet and every frame of one stream: plain counting.

mod accounts;
mod packets;

pub use packets::LossCounts;

use std::collections::BTreeSet;
use std::time::Duration;

use super::attribution::Causes;
use super::delays::Jitter;
use super::evidence::{Accountable, Evidence};
use super::frame_log::{FrameContents, FrameLog, Knowledge};
use super::join::JoinPoint;
use super::loss_pattern::LossPatternMeter;
use super::outcome::{FrameRecord, Outcome};
use super::sequence::{Arrival, SequenceTracker};
use super::unsent::Refusals;
use crate::seq::{FrameNumber, PacketNumber};
use crate::stats::{self, Statistics};
use crate::wire::native::{Channel, Header, ReceiverReport, SenderReport};
use accounts::Attendance;

/// The most damaged packets whose numbers are remembered, in case a good copy
/// arrives as well.
pub const MAX_CLAIMS: usize = 4096;

/// The accounts of one stream, kept by the side that receives it.
#[derive(Debug)]
pub struct Counters {
    /// The frames.
    pub frames: FrameLog,
    /// By channel, in the order of [`Channel`].
    numbers: [SequenceTracker; 3],
    causes: Causes,
    pattern: LossPatternMeter,
    jitter: Jitter,
    bytes: u64,
    jpeg_bytes: u64,
    socket_dropped: u64,
    /// Damaged packets whose numbers can be believed, and of which no good copy
    /// has arrived.
    claims: BTreeSet<(Channel, PacketNumber)>,
    /// Damaged packets whose numbers cannot be believed, or are forgotten.
    corrupt_besides: u64,
    refusals: Refusals,
    totals: Option<(SenderReport, SenderReport)>,
    from_start: bool,
    /// When the first frame began to arrive, and the newest.
    span: Option<(Duration, Duration)>,
    attendance: Attendance,
    /// Of no account.
    passed: JoinPoint,
}

/// What the counters is told of the frames that are still under way.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outlook {
    /// The first frame that is still waited for.
    pub awaited: Option<FrameNumber>,
    /// What is to be added to the sender's time to have this side's, in
    /// microseconds.
    pub offset_micros: Option<i64>,
    /// Whether the sender said that nothing follows.
    pub farewell: bool,
}

impl Counters {
    /// Nothing of the stream with this number has arrived.
    #[must_use]
    pub fn new(stream: u64) -> Self {
        Self {
            frames: FrameLog::new(stream),
            numbers: Default::default(),
            causes: Causes::default(),
            pattern: LossPatternMeter::default(),
            jitter: Jitter::default(),
            bytes: 0,
            jpeg_bytes: 0,
            socket_dropped: 0,
            claims: BTreeSet::new(),
            corrupt_besides: 0,
            refusals: Refusals::default(),
            totals: None,
            from_start: false,
            span: None,
            attendance: Attendance::default(),
            passed: JoinPoint::default(),
        }
    }

    /// Leaves out what came before this side joined.
    #[must_use]
    pub fn joined_after(self, passed: JoinPoint) -> Self {
        Self { passed, ..self }
    }

    /// Whether a packet is one that was sent before this side joined.
    pub fn is_before_joining(&mut self, header: &Header) -> bool {
        self.passed.covers(header)
    }

    /// Notes that a frame begins to arrive.
    pub fn begin_frame(&mut self, number: FrameNumber, contents: FrameContents, now: Duration) {
        let first = self.span.map_or(now, |(first, _)| first);
        self.span = Some((first, now));
        self.frames.begin(number, contents, now);
    }

    /// Counts a packet of `len` bytes. What follows of one that is not
    /// [`Arrival::New`] is not to be looked at.
    pub fn note_packet(&mut self, header: &Header, len: usize, now: Duration) -> Arrival {
        let arrival = self.note_number(header.channel, header.number);
        self.attendance.note(header, arrival, now);
        match arrival {
            Arrival::New => {
                self.bytes += len as u64;
                self.claims.remove(&(header.channel, header.number));
                if header.channel == Channel::Media {
                    self.jitter.note(header.sent, now);
                }
            }
            Arrival::Duplicate => self.bytes += len as u64,
            Arrival::Implausible => {}
        }
        arrival
    }

    /// Counts a damaged packet, with its header where that can be believed.
    pub fn note_corrupt(&mut self, claimed: Option<Header>) {
        let Some(header) = claimed else {
            self.corrupt_besides += 1;
            self.causes.note_damaged();
            return;
        };
        self.attendance.note_damaged(&header);
        if !self.numbers(header.channel).has(header.number) {
            self.claims.insert((header.channel, header.number));
        }
        if self.claims.len() > MAX_CLAIMS {
            self.claims.pop_first();
            self.corrupt_besides += 1;
        }
    }

    /// Counts datagrams dropped in the socket's buffer.
    pub fn note_socket_drops(&mut self, datagrams: u64) {
        self.socket_dropped += datagrams;
        self.causes.note_dropped(datagrams);
    }

    /// Datagrams were dropped in the buffer of a socket that several streams
    /// share.
    pub fn note_shared_drops(&mut self) {
        self.causes.note_shared_drops();
    }

    /// Counts the bytes of a whole frame.
    pub fn note_whole(&mut self, jpeg_bytes: usize) {
        self.jpeg_bytes += jpeg_bytes as u64;
    }

    /// Takes the sender's counts. `from_start` says whether this side was
    /// listening when the stream began.
    pub fn note_totals(&mut self, totals: SenderReport, from_start: bool) {
        self.from_start |= from_start;
        let refused = totals.unsent_first..totals.unsent_end.min(totals.media);
        self.refusals.note(refused);
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
            // What was dropped before this packet was sent before it.
            let episode = self.causes.take(channel);
            let gap = numbers.revealed()..end;
            numbers.reveal(end, episode);
            self.causes.note_gap(episode, channel, gap);
        }
    }

    /// Whether this side was listening when the stream began.
    #[must_use]
    pub fn is_from_start(&self) -> bool {
        self.from_start
    }

    /// The sender's newest counts.
    #[must_use]
    pub fn totals(&self) -> Option<&SenderReport> {
        self.totals.as_ref().map(|(_, last)| last)
    }

    /// The frames that this side is accountable for begin with this one.
    #[must_use]
    pub fn first_frame(&self) -> u64 {
        match (self.from_start, self.frames.first_own(), &self.totals) {
            (false, Some(first), _) => first,
            (false, None, Some((joined, _))) => joined.frames_sent,
            _ => 0,
        }
    }

    /// One above the newest frame known to have been sent.
    #[must_use]
    pub fn frames_sent(&self) -> u64 {
        self.frames
            .next()
            .max(self.totals().map_or(0, |totals| totals.frames_sent))
    }

    /// Hands out the records of frames whose outcome is settled: of all at the
    /// `end`. `settled` is shown each of a frame of which something arrived.
    pub fn settle(&mut self, outlook: &Outlook, end: bool, settled: &mut dyn FnMut(&FrameRecord)) {
        let (first, sent) = (self.first_frame(), self.frames_sent());
        // Lent out, so that the packets can be looked at meanwhile.
        let mut frames = std::mem::take(&mut self.frames);
        let knowledge = Knowledge {
            first,
            sent,
            ..self.knowledge(outlook)
        };
        frames.settle(&knowledge, end, settled);
        self.frames = frames;
    }

    /// Fills in what a report carries of the counts.
    pub fn fill_report(&self, outlook: &Outlook, report: &mut ReceiverReport) {
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
        report.packets_corrupt = packets.corrupt;
        report.socket_dropped = packets.socket_dropped;
        report.bytes = self.bytes;
        report.frames_shown = frames.shown();
        report.frames_intact = frames.intact();
        report.frames_concealed = frames.of(Outcome::Concealed);
        report.frames_incomplete = frames.incomplete;
        report.frames_lost = frames.lost;
        report.frames_late = frames.of(Outcome::Late);
        report.frames_skipped = frames.of(Outcome::Skipped);
        report.frames_undecodable = frames.of(Outcome::Undecodable);
        report.jitter = self.jitter.micros().map_or(0, |micros| micros as u32);
    }

    /// All counts.
    #[must_use]
    pub fn statistics(&self, outlook: &Outlook) -> Statistics {
        let totals = self.totals();
        let packets = self.packets();
        let frames = self.frames.tally(&self.knowledge(outlook));
        let (by_parity, by_retransmission) = self.frames.repaired();
        let sent = self.frames_sent();
        let (first, last) = self.span.unwrap_or_default();
        let duration = last.saturating_sub(first).as_secs_f64();
        let rate = |amount: f64| (duration > 0.0).then(|| amount / duration);
        let captured = totals.map(|totals| {
            totals
                .frames_captured
                .max(sent + totals.frames_replaced + totals.frames_not_sent)
        });
        let of_sender = totals
            .zip(captured)
            .map(|(totals, captured)| [captured, totals.frames_replaced, totals.frames_not_sent]);
        let mut outcomes = frames.outcomes(self.first_frame(), of_sender);
        outcomes.after_last_totals = (outlook.farewell && totals.is_some()).then_some(0);
        Statistics {
            frames: stats::Frames {
                captured,
                replaced: totals.map(|totals| totals.frames_replaced),
                not_sent: totals.map(|totals| totals.frames_not_sent),
                sent: totals.map(|_| sent),
                before_joining: totals.map(|_| self.first_frame()),
                shown: Some(frames.shown()),
                intact: Some(frames.intact()),
                repaired_by_parity: Some(frames.of(Outcome::IntactParity)),
                repaired_by_retransmission: Some(frames.of(Outcome::IntactRetransmission)),
                concealed: Some(frames.of(Outcome::Concealed)),
                incomplete: Some(frames.incomplete),
                lost: Some(frames.lost),
                late: Some(frames.of(Outcome::Late)),
                skipped: Some(frames.of(Outcome::Skipped)),
                undecodable: Some(frames.of(Outcome::Undecodable)),
                ..stats::Frames::default()
            },
            packets: stats::Packets {
                sent: totals.map(|_| packets.expected - packets.refused),
                send_errors: totals.map(|_| packets.refused),
                received: Some(packets.received),
                lost: Some(packets.lost),
                duplicate: Some(packets.duplicate),
                reordered: Some(packets.reordered),
                socket_dropped: Some(packets.socket_dropped),
                corrupt: Some(packets.corrupt),
                repaired_by_parity: Some(by_parity),
                repaired_by_retransmission: Some(by_retransmission),
                ..stats::Packets::default()
            },
            bytes: stats::Bytes {
                // Totals tell of no byte behind them, the farewell's of all.
                sent: totals
                    .filter(|_| outlook.farewell)
                    .map(|totals| totals.bytes),
                received: Some(self.bytes),
                jpeg: Some(self.jpeg_bytes),
            },
            duration_s: duration,
            fps: stats::fps(frames.shown(), duration),
            bitrate_bps: rate(self.bytes as f64 * 8.0),
            jitter_ms: self.jitter.micros().map(|micros| micros / 1000.0),
            jitter_distribution_ms: self.jitter.distribution(),
            stale_share: frames.stale_share(),
            outcomes,
            accounts: vec![self.account()],
            loss_pattern: Some(self.loss_pattern()),
            reordering_extent: self.reordering_extent(),
            ..Statistics::default()
        }
    }

    fn knowledge<'a>(&'a self, outlook: &Outlook) -> Knowledge<'a> {
        let media = self.range(Channel::Media);
        let [media_numbers, repair, control] = &self.numbers;
        Knowledge {
            evidence: Evidence {
                numbers: [media_numbers, repair, control],
                causes: &self.causes,
                claims: &self.claims,
                refusals: &self.refusals,
                media: Accountable {
                    start: media.start,
                    end: media.end,
                },
            },
            first: self.first_frame(),
            sent: self.frames_sent(),
            awaited: outlook.awaited.map(|number| number.0),
            offset_micros: outlook.offset_micros,
        }
    }

    fn numbers(&self, channel: Channel) -> &SequenceTracker {
        &self.numbers[channel as usize]
    }
}
