//! What became of every packet and every frame of one stream: plain counting.

mod delays;
mod frames;
mod numbers;

pub use delays::{Delays, Jitter};
pub use frames::FrameCounts;
pub use numbers::{Arrival, Numbers};

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;

use crate::seq::PacketNumber;
use crate::statistics::{self, Statistics};
use crate::wire::native::{Channel, Header, Report, Totals};

/// The most damaged packets whose numbers are remembered, in case a good copy
/// arrives as well.
pub const MAX_CLAIMS: usize = 4096;

/// The accounts of one stream, kept by the side that receives it.
#[derive(Debug, Default)]
pub struct Ledger {
    /// The frames.
    pub frames: FrameCounts,
    /// Capture to shown, where both ends share a clock.
    pub latency: Delays,
    media: Numbers,
    repair: Numbers,
    control: Numbers,
    jitter: Jitter,
    bytes: u64,
    jpeg_bytes: u64,
    socket_dropped: u64,
    /// Damaged packets whose numbers can be believed, and of which no good copy
    /// has arrived.
    claims: BTreeSet<(Channel, PacketNumber)>,
    /// Damaged packets whose numbers cannot be believed, or are forgotten.
    corrupt_besides: u64,
    totals: Option<(Totals, Totals)>,
    from_start: bool,
    arrivals: Option<(Duration, Duration)>,
}

impl Ledger {
    /// Counts a packet of `len` bytes. What follows of one that is not
    /// [`Arrival::New`] is not to be looked at.
    pub fn note_packet(&mut self, header: &Header, len: usize, now: Duration) -> Arrival {
        let numbers = match header.channel {
            Channel::Media => &mut self.media,
            Channel::Repair => &mut self.repair,
            Channel::Control => &mut self.control,
        };
        let arrival = numbers.note(header.number);
        match arrival {
            Arrival::New => {
                self.bytes += len as u64;
                self.claims.remove(&(header.channel, header.number));
                if header.channel == Channel::Media {
                    self.jitter.note(header.sent, now);
                }
                let first = self.arrivals.map_or(now, |(first, _)| first);
                self.arrivals = Some((first, now));
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
            return;
        };
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
    }

    /// Counts the bytes of a whole frame.
    pub fn note_whole(&mut self, jpeg_bytes: usize) {
        self.jpeg_bytes += jpeg_bytes as u64;
    }

    /// Takes the sender's counts. `from_start` says whether this side was
    /// listening when the stream began.
    pub fn note_totals(&mut self, totals: Totals, from_start: bool) {
        self.from_start |= from_start;
        match &mut self.totals {
            None => self.totals = Some((totals, totals)),
            Some((_, last)) if totals.control > last.control => *last = totals,
            Some(_) => {}
        }
    }

    /// Whether this side was listening when the stream began.
    #[must_use]
    pub fn is_from_start(&self) -> bool {
        self.from_start
    }

    /// The sender's newest counts.
    #[must_use]
    pub fn totals(&self) -> Option<&Totals> {
        self.totals.as_ref().map(|(_, last)| last)
    }

    /// The frames that this side is accountable for begin with this one.
    #[must_use]
    pub fn first_frame(&self) -> u64 {
        match (self.from_start, self.own_frames().first(), &self.totals) {
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

    /// Repair packets received.
    #[must_use]
    pub fn repair_received(&self) -> u64 {
        self.repair.received()
    }

    /// What the numbers of media and repair packets say of loss.
    #[must_use]
    pub fn loss_counts(&self) -> LossCounts {
        let mut counts = LossCounts::default();
        for numbers in [&self.media, &self.repair] {
            let expected = numbers.next() - numbers.first().unwrap_or(0);
            counts.expected += expected;
            counts.missing += expected - numbers.received();
            counts.gaps += numbers.gaps();
        }
        counts
    }

    /// Fills in what a report carries of the counts; `absent` frames are still
    /// waited for though nothing of them arrived.
    pub fn fill_report(&self, absent: u64, report: &mut Report) {
        let packets = self.packets();
        let frames = self.own_frames();
        let media = self.range(Channel::Media);
        report.media_expected = media.end - media.start;
        report.media_received = self.media.received();
        report.repair_received = self.repair.received();
        report.packets_received = packets.received;
        report.packets_lost = packets.lost;
        report.packets_duplicate = packets.duplicate;
        report.packets_reordered = packets.reordered;
        report.packets_corrupt = packets.corrupt;
        report.socket_dropped = packets.socket_dropped;
        report.bytes = self.bytes;
        report.frames_shown = frames.shown();
        report.frames_intact = frames.intact;
        report.frames_concealed = frames.concealed;
        report.frames_incomplete = frames.incomplete;
        report.frames_lost = self.frames_lost(absent);
        report.frames_late = frames.late;
        report.frames_superseded = frames.superseded;
        report.frames_undecodable = frames.undecodable;
        report.jitter = self.jitter.micros().map_or(0, |micros| micros as u32);
        let latency = |share| u32::try_from(self.latency.micros_at(share)).unwrap_or(u32::MAX);
        report.latency_p50 = latency(0.50);
        report.latency_p95 = latency(0.95);
        report.latency_p99 = latency(0.99);
        report.latency_max = latency(1.0);
    }

    /// All counts; `absent` as for [`Ledger::fill_report`].
    #[must_use]
    pub fn statistics(&self, absent: u64) -> Statistics {
        let totals = self.totals();
        let packets = self.packets();
        let frames = self.own_frames();
        let sent = self.frames_sent();
        let (first, last) = self.arrivals.unwrap_or_default();
        let duration = last.saturating_sub(first).as_secs_f64();
        let rate = |amount: f64| (duration > 0.0).then(|| amount / duration);
        Statistics {
            frames: statistics::Frames {
                captured: totals.map(|totals| {
                    totals
                        .frames_captured
                        .max(sent + totals.frames_replaced + totals.frames_not_sent)
                }),
                replaced: totals.map(|totals| totals.frames_replaced),
                not_sent: totals.map(|totals| totals.frames_not_sent),
                sent: totals.map(|_| sent),
                before_joining: totals.map(|_| self.first_frame()),
                shown: Some(frames.shown()),
                intact: Some(frames.intact),
                repaired_by_parity: Some(frames.repaired_by_parity),
                repaired_by_request: Some(frames.repaired_by_request),
                concealed: Some(frames.concealed),
                incomplete: Some(frames.incomplete),
                lost: Some(self.frames_lost(absent)),
                late: Some(frames.late),
                superseded: Some(frames.superseded),
                undecodable: Some(frames.undecodable),
                ..statistics::Frames::default()
            },
            packets: statistics::Packets {
                sent: totals.map(|_| packets.expected),
                received: Some(packets.received),
                lost: Some(packets.lost),
                duplicate: Some(packets.duplicate),
                reordered: Some(packets.reordered),
                socket_dropped: Some(packets.socket_dropped),
                corrupt: Some(packets.corrupt),
                ..statistics::Packets::default()
            },
            bytes: statistics::Bytes {
                sent: totals.map(|totals| totals.bytes),
                received: Some(self.bytes),
                jpeg: Some(self.jpeg_bytes),
            },
            duration_s: duration,
            fps: rate(frames.shown().saturating_sub(1) as f64),
            bitrate_bps: rate(self.bytes as f64 * 8.0),
            jitter_ms: self.jitter.micros().map(|micros| micros / 1000.0),
            stale_share: frames.stale_share(),
            latency_ms: self.latency.percentiles(),
            ..Statistics::default()
        }
    }

    fn frames_lost(&self, absent: u64) -> u64 {
        let lost = self
            .own_frames()
            .lost(self.first_frame(), self.frames_sent());
        lost.saturating_sub(absent)
    }

    /// The frames that this side is accountable for.
    fn own_frames(&self) -> FrameCounts {
        if self.from_start {
            self.frames.clone()
        } else {
            self.frames.since_joining()
        }
    }

    /// The packet numbers of a channel that this side is accountable for.
    fn range(&self, channel: Channel) -> Range<u64> {
        let numbers = self.numbers(channel);
        let of = |totals: &Totals| match channel {
            Channel::Media => totals.media,
            Channel::Repair => totals.repair,
            Channel::Control => totals.control,
        };
        let joined = self.totals.as_ref().map(|(joined, _)| of(joined));
        let first = match (self.from_start, numbers.first(), joined) {
            (true, _, _) => 0,
            // What was sent before the first totals and after the first packet
            // of another channel may have been before joining.
            (false, Some(first), Some(joined)) => first.min(joined),
            (false, first, joined) => first.or(joined).unwrap_or(0),
        };
        first..numbers.next().max(self.totals().map_or(0, of)).max(first)
    }

    fn numbers(&self, channel: Channel) -> &Numbers {
        match channel {
            Channel::Media => &self.media,
            Channel::Repair => &self.repair,
            Channel::Control => &self.control,
        }
    }

    fn packets(&self) -> PacketCounts {
        let ranges = CHANNELS.map(|channel| (channel, self.range(channel)));
        let sum = |of: fn(&Numbers) -> u64| {
            CHANNELS
                .map(|channel| of(self.numbers(channel)))
                .iter()
                .sum()
        };
        let expected = ranges
            .iter()
            .map(|(_, range)| range.end - range.start)
            .sum::<u64>();
        let received = sum(Numbers::received);
        let missing = expected.saturating_sub(received);
        let claimed = self.claims.iter().filter(|(claimed, number)| {
            ranges
                .iter()
                .any(|(channel, range)| channel == claimed && range.contains(&number.0))
        });
        let corrupt = (claimed.count() as u64 + self.corrupt_besides).min(missing);
        let socket_dropped = self.socket_dropped.min(missing - corrupt);
        PacketCounts {
            expected,
            received,
            lost: missing - corrupt - socket_dropped,
            duplicate: sum(Numbers::duplicate),
            reordered: sum(Numbers::reordered),
            corrupt,
            socket_dropped,
        }
    }
}

/// Packets that carry frames, before any repair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LossCounts {
    /// From the first received to the highest received.
    pub expected: u64,
    /// Of these, not received.
    pub missing: u64,
    /// Runs of packets that were missing when the next one came.
    pub gaps: u64,
}

/// Packets of all channels:
/// expected = received + lost + corrupt + `socket_dropped`.
struct PacketCounts {
    expected: u64,
    received: u64,
    lost: u64,
    duplicate: u64,
    reordered: u64,
    corrupt: u64,
    socket_dropped: u64,
}

const CHANNELS: [Channel; 3] = [Channel::Media, Channel::Repair, Channel::Control];
