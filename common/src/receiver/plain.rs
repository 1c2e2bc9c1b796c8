//! What sessions of RTP and of bare JPEG share. Their senders send no reports of ours, so only what
//! arrives is known.

use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;

use super::SinkOutcome;
use super::playout::{Playout, Ready};
use crate::jpeg::JpegHeader;
use crate::seq::FrameNumber;
use crate::stats::{self, Outcome, Statistics};
use crate::time::SenderTime;
use crate::wire::Format;

/// A sender is quiet after this many frame intervals: one frame may be lost, and the next one late.
const QUIET_INTERVALS: u32 = 3;

/// The least time after which a sender is quiet, however high its frame rate: a short outage.
const MIN_QUIET: Duration = Duration::from_millis(100);

/// The longest, however low its frame rate: whoever restarts a script wants to see it.
pub(super) const MAX_QUIET: Duration = Duration::from_millis(200);

/// State and counts of one stream.
#[derive(Debug)]
pub(super) struct PlainState {
    number: u64,
    from: SocketAddr,
    /// When its first and its newest datagram arrived.
    arrivals: (Duration, Duration),
    next: FrameNumber,
    pub(super) playout: Playout,
    pub(super) outcomes: OutcomeCounts,
    bytes: u64,
    jpeg_bytes: u64,
    socket_dropped: u64,
    size: Option<(u16, u16)>,
    /// When the newest frame was complete.
    newest: Option<Duration>,
    /// Mean interval of recent frames.
    interval: Option<Duration>,
}

/// A frame that can be shown.
#[derive(Debug)]
pub(super) struct PlainFrame {
    pub(super) jpeg: Bytes,
    /// What is missing, in minimum coded units.
    pub(super) stale: Vec<Range<u32>>,
    /// The stale share of the image.
    pub(super) stale_share: f64,
    pub(super) captured: SenderTime,
}

impl PlainFrame {
    pub(super) fn complete(jpeg: impl Into<Bytes>, captured: SenderTime) -> Self {
        Self {
            jpeg: jpeg.into(),
            stale: Vec::new(),
            stale_share: 0.0,
            captured,
        }
    }
}

/// Frames by outcome.
#[derive(Debug, Default)]
pub(super) struct OutcomeCounts {
    intact: u64,
    concealed: u64,
    /// The sum of their stale shares.
    stale: f64,
    pub(super) incomplete: u64,
    pub(super) late: u64,
    skipped: u64,
    pub(super) undecodable: u64,
}

impl PlainState {
    /// A stream whose first datagram arrives `now`.
    pub(super) fn new(number: u64, from: SocketAddr, now: Duration) -> Self {
        Self {
            number,
            from,
            arrivals: (now, now),
            next: FrameNumber(0),
            playout: Playout::new(number),
            outcomes: OutcomeCounts::default(),
            bytes: 0,
            jpeg_bytes: 0,
            socket_dropped: 0,
            size: None,
            newest: None,
            interval: None,
        }
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Where its newest datagram came from.
    pub(super) fn from(&self) -> SocketAddr {
        self.from
    }

    /// When its first datagram arrived.
    pub(super) fn begun(&self) -> Duration {
        self.arrivals.0
    }

    /// When its newest datagram arrived.
    pub(super) fn last_received(&self) -> Duration {
        self.arrivals.1
    }

    /// Bytes that arrived.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The frame interval, if it is known.
    pub(super) fn interval(&self) -> Option<Duration> {
        self.interval
    }

    /// How long it must be silent before another sender may succeed it.
    pub(super) fn quiet_time(&self) -> Duration {
        let intervals = self.interval.map(|interval| QUIET_INTERVALS * interval);
        intervals.unwrap_or(MAX_QUIET).clamp(MIN_QUIET, MAX_QUIET)
    }

    pub(super) fn socket_dropped(&self) -> u64 {
        self.socket_dropped
    }

    /// Whether a frame was complete or could be concealed.
    pub(super) fn has_frames(&self) -> bool {
        self.newest.is_some()
    }

    pub(super) fn record_datagram(&mut self, from: SocketAddr, len: usize, now: Duration) {
        (self.arrivals.1, self.from) = (now, from);
        self.bytes += len as u64;
    }

    pub(super) fn record_socket_drops(&mut self, datagrams: u64) {
        self.socket_dropped += datagrams;
    }

    /// Inserts a frame into the playout queue.
    pub(super) fn insert(&mut self, frame: PlainFrame, completed: Duration) {
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
        self.playout.insert(Ready {
            number,
            jpeg: frame.jpeg,
            stale: frame.stale,
            stale_share: frame.stale_share,
            checked: false,
            captured: frame.captured,
            completed,
        });
        self.playout.release(None);
    }

    /// Records what a sink did with a frame. Returns whether its outcome was open.
    pub(super) fn handle_outcome(&mut self, number: FrameNumber, outcome: SinkOutcome) -> bool {
        let Some(stale) = self.playout.close(number) else {
            return false;
        };
        let outcomes = &mut self.outcomes;
        match outcome {
            SinkOutcome::Shown { .. } if stale > 0.0 => {
                outcomes.concealed += 1;
                outcomes.stale += stale;
            }
            SinkOutcome::Shown { .. } => outcomes.intact += 1,
            SinkOutcome::Skipped => outcomes.skipped += 1,
            SinkOutcome::Undecodable => outcomes.undecodable += 1,
        }
        true
    }

    /// The counts.
    pub(super) fn statistics(&self, format: Format) -> Statistics {
        let outcomes = &self.outcomes;
        let shown = outcomes.intact + outcomes.concealed;
        let duration = self.duration();
        Statistics {
            stream: stats::Stream {
                number: Some(format!("{:016x}", self.number)),
                addresses: vec![self.from.to_string()],
                wire: Some(format.name()),
                width: self.size.map(|(width, _)| width.into()),
                height: self.size.map(|(_, height)| height.into()),
                ..stats::Stream::default()
            },
            frames: stats::Frames {
                shown: Some(shown),
                intact: Some(outcomes.intact),
                incomplete: Some(outcomes.incomplete),
                ..stats::Frames::default()
            },
            outcomes: [
                (Outcome::Concealed, outcomes.concealed),
                (Outcome::Late, outcomes.late),
                (Outcome::Skipped, outcomes.skipped),
                (Outcome::Undecodable, outcomes.undecodable),
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
            stale_share: (outcomes.concealed > 0)
                .then(|| outcomes.stale / outcomes.concealed as f64),
            duration_s: duration,
            fps: stats::fps(shown, duration),
            bitrate_bps: self.bitrate(),
            ..Statistics::default()
        }
    }

    /// Bits per second; `None` before any time has passed.
    pub(super) fn bitrate(&self) -> Option<f64> {
        let duration = self.duration();
        (duration > 0.0).then(|| self.bytes as f64 * 8.0 / duration)
    }

    fn duration(&self) -> f64 {
        let (first, last) = self.arrivals;
        last.saturating_sub(first).as_secs_f64()
    }
}
