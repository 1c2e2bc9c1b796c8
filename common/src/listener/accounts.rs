//! What became of the frames of a stream that has no totals of its own.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;

use crate::jpeg::JpegHeader;
use crate::receiver::{FrameId, ReceivedFrame, SinkOutcome};
use crate::seq::FrameNumber;
use crate::stats::{self, Outcome, Statistics};

/// The most frames between being handed out and having their outcome told: more
/// than any sink keeps waiting.
const MAX_DELIVERED: usize = 1024;

/// A sender is silent after so many frame intervals: one frame may be lost, and
/// the next one late.
const QUIET_INTERVALS: u32 = 3;

/// The least time after which it is silent, however fast: that of a short
/// outage.
const MIN_QUIET: Duration = Duration::from_millis(100);

/// The most, however slow: whoever starts its script again wants to see it.
pub(super) const MAX_QUIET: Duration = Duration::from_millis(200);

/// Counts and frames on their way out.
#[derive(Debug)]
pub(super) struct Accounts {
    stream: u64,
    from: Option<SocketAddr>,
    next: FrameNumber,
    out: VecDeque<ReceivedFrame>,
    /// Handed out, without an outcome; the share of the picture that is stale.
    delivered: BTreeMap<FrameNumber, f64>,
    pub(super) counts: Counts,
    bytes: u64,
    jpeg_bytes: u64,
    socket_dropped: u64,
    arrivals: Option<(Duration, Duration)>,
    size: Option<(u16, u16)>,
    /// When the newest frame was handed out.
    newest: Option<Duration>,
    /// Mean time from frame to frame, of late.
    interval: Option<Duration>,
}

/// A frame that can be shown.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) jpeg: Bytes,
    /// What of the picture is missing, in minimum coded units.
    pub(super) stale: Vec<Range<u32>>,
    /// The share of the picture that is not.
    pub(super) fresh: f64,
    pub(super) captured: Duration,
}

impl Ready {
    pub(super) fn whole(jpeg: impl Into<Bytes>, captured: Duration) -> Self {
        Self {
            jpeg: jpeg.into(),
            stale: Vec::new(),
            fresh: 1.0,
            captured,
        }
    }
}

/// Frames by outcome.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) intact: u64,
    pub(super) concealed: u64,
    /// The stale shares of these, added up.
    stale: f64,
    pub(super) incomplete: u64,
    pub(super) late: u64,
    pub(super) skipped: u64,
    pub(super) undecodable: u64,
}

impl Accounts {
    /// Nothing of the stream with this number has arrived.
    pub(super) fn new(stream: u64) -> Self {
        Self {
            stream,
            from: None,
            next: FrameNumber(0),
            out: VecDeque::new(),
            delivered: BTreeMap::new(),
            counts: Counts::default(),
            bytes: 0,
            jpeg_bytes: 0,
            socket_dropped: 0,
            arrivals: None,
            size: None,
            newest: None,
            interval: None,
        }
    }

    pub(super) fn stream(&self) -> u64 {
        self.stream
    }

    /// Where its newest datagram came from.
    pub(super) fn from(&self) -> Option<SocketAddr> {
        self.from
    }

    /// When its newest datagram came.
    pub(super) fn heard(&self) -> Duration {
        self.arrivals.map_or(Duration::ZERO, |(_, last)| last)
    }

    /// When its first datagram came.
    pub(super) fn begun(&self) -> Duration {
        self.arrivals.map_or(Duration::ZERO, |(first, _)| first)
    }

    /// Bytes that came.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Time from frame to frame, once it is known.
    pub(super) fn interval(&self) -> Option<Duration> {
        self.interval
    }

    /// For how long nothing must come before another sender may be its
    /// successor.
    pub(super) fn quiet(&self) -> Duration {
        let intervals = self.interval.map(|interval| QUIET_INTERVALS * interval);
        intervals.unwrap_or(MAX_QUIET).clamp(MIN_QUIET, MAX_QUIET)
    }

    pub(super) fn socket_dropped(&self) -> u64 {
        self.socket_dropped
    }

    pub(super) fn note_datagram(&mut self, from: SocketAddr, len: usize, now: Duration) {
        let first = self.arrivals.map_or(now, |(first, _)| first);
        (self.arrivals, self.from) = (Some((first, now)), Some(from));
        self.bytes += len as u64;
    }

    pub(super) fn note_socket_drops(&mut self, datagrams: u64) {
        self.socket_dropped += datagrams;
    }

    /// Hands a frame out.
    pub(super) fn hand_out(&mut self, frame: Ready, completed: Duration) {
        if let Ok(header) = JpegHeader::parse(&frame.jpeg) {
            self.size = Some((header.width, header.height));
        }
        self.jpeg_bytes += frame.jpeg.len() as u64;
        if let Some(before) = self.newest.replace(completed) {
            let passed = completed.saturating_sub(before);
            let mean = self.interval.unwrap_or(passed);
            self.interval = Some((7 * mean + passed) / 8);
        }
        let number = self.next;
        self.next = number.next();
        self.delivered.insert(number, 1.0 - frame.fresh);
        if self.delivered.len() > MAX_DELIVERED {
            self.delivered.pop_first();
        }
        self.out.push_back(ReceivedFrame {
            id: FrameId {
                stream: self.stream,
                number,
            },
            jpeg: frame.jpeg,
            stale: frame.stale,
            checked: false,
            captured: frame.captured,
            completed,
        });
    }

    /// Numbers its frames from where those of another stream under its number
    /// end, so that they can be told apart.
    pub(super) fn go_on_from(&mut self, before: &Self) {
        let by = before.next.0;
        self.next.0 += by;
        for frame in &mut self.out {
            frame.id.number.0 += by;
        }
        let delivered = std::mem::take(&mut self.delivered).into_iter();
        self.delivered = delivered
            .map(|(number, stale)| (FrameNumber(number.0 + by), stale))
            .collect();
    }

    /// Whether the outcome of this frame is still to be told.
    pub(super) fn awaits_outcome(&self, number: FrameNumber) -> bool {
        self.delivered.contains_key(&number)
    }

    /// Whether any frame was handed out.
    pub(super) fn has_frames(&self) -> bool {
        self.newest.is_some()
    }

    pub(super) fn poll_frame(&mut self) -> Option<ReceivedFrame> {
        self.out.pop_front()
    }

    pub(super) fn handle_outcome(&mut self, number: FrameNumber, outcome: SinkOutcome) {
        let Some(stale) = self.delivered.remove(&number) else {
            return;
        };
        let counts = &mut self.counts;
        match outcome {
            SinkOutcome::Shown { .. } if stale > 0.0 => {
                counts.concealed += 1;
                counts.stale += stale;
            }
            SinkOutcome::Shown { .. } => counts.intact += 1,
            SinkOutcome::Skipped => counts.skipped += 1,
            SinkOutcome::Undecodable => counts.undecodable += 1,
        }
    }

    /// What is known of any such stream; totals are not.
    pub(super) fn statistics(&self, wire: &'static str) -> Statistics {
        let counts = &self.counts;
        let shown = counts.intact + counts.concealed;
        let (first, last) = self.arrivals.unwrap_or_default();
        let duration = last.saturating_sub(first).as_secs_f64();
        let rate = |amount: f64| (duration > 0.0).then(|| amount / duration);
        Statistics {
            stream: stats::Stream {
                number: Some(format!("{:016x}", self.stream)),
                addresses: self.from.iter().map(ToString::to_string).collect(),
                wire: Some(wire),
                width: self.size.map(|(width, _)| width.into()),
                height: self.size.map(|(_, height)| height.into()),
                ..stats::Stream::default()
            },
            frames: stats::Frames {
                shown: Some(shown),
                intact: Some(counts.intact),
                incomplete: Some(counts.incomplete),
                ..stats::Frames::default()
            },
            outcomes: [
                (Outcome::Concealed, counts.concealed),
                (Outcome::Late, counts.late),
                (Outcome::Skipped, counts.skipped),
                (Outcome::Undecodable, counts.undecodable),
            ]
            .into_iter()
            .collect(),
            packets: stats::Packets {
                socket_dropped: Some(self.socket_dropped),
                ..stats::Packets::default()
            },
            bytes: stats::Bytes {
                received: Some(self.bytes),
                jpeg: Some(self.jpeg_bytes),
                ..stats::Bytes::default()
            },
            stale_share: (counts.concealed > 0).then(|| counts.stale / counts.concealed as f64),
            duration_s: duration,
            fps: stats::fps(shown, duration),
            bitrate_bps: rate(self.bytes as f64 * 8.0),
            ..Statistics::default()
        }
    }
}
