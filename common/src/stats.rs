//! Statistics of a stream: counted by the protocol, printed by the programs, and
//! written to the report file unchanged.
//!
//! An unknown figure is `None` (null in a report), never zero. Fields may be
//! added; the meaning of a field never changes.

mod account;
mod counters;
mod counts;
mod delays;
mod discarded;
mod frame_log;
mod join;
mod loss_pattern;
mod missing;
mod outcome;
mod outlook;
mod path;
mod report_file;
mod sequence;
mod socket_drops;
mod timecode;
mod unsent;
mod viewer;

use serde::Serialize;

pub use account::{Account, AccountPacket, ChannelAccount};
pub(crate) use counters::{Counters, LossCounts};
pub use counts::{Bytes, Frames, Packets};
pub use delays::DelayHistogram;
pub(crate) use delays::Jitter;
pub(crate) use discarded::Discards;
pub use discarded::{DiscardReason, Discarded};
pub use frame_log::FrameRecord;
pub(crate) use join::JoinPoint;
pub use outcome::{OUTCOMES, Outcome, OutcomeInfo, Outcomes};
pub(crate) use outlook::Outlook;
pub use path::{Bursts, ClockOffset, Delays, LossPattern, PathFigures, PathMtuFigures};
pub use report_file::ReportFile;
pub use sequence::{Gap, Insertion, SequenceTracker};
pub use timecode::TimecodeCounts;
pub use viewer::ViewerFigures;

/// The statistics of a stream, from the sender's or the viewer's side.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Statistics {
    /// The stream's identity and properties.
    pub stream: Stream,
    /// Frame counts.
    pub frames: Frames,
    /// How each captured frame ended, as the viewer knows it; each frame has
    /// exactly one outcome. A sender knows only which frames were replaced and
    /// not sent.
    pub outcomes: Outcomes,
    /// Packet counts over all channels.
    pub packets: Packets,
    /// Volumes in bytes.
    pub bytes: Bytes,
    /// Time from the first frame to the last, in seconds: sent (sender) or
    /// received (viewer).
    pub duration_s: f64,
    /// Frames per second over that time: sent (sender) or shown (viewer).
    pub fps: Option<f64>,
    /// UDP payload over that time, in bits per second.
    pub bitrate_bps: Option<f64>,
    /// Interarrival jitter in milliseconds, from the packets' send times
    /// (<https://www.rfc-editor.org/rfc/rfc3550#section-6.4.1>).
    pub jitter_ms: Option<f64>,
    /// Mean share of the image that was stale in `concealed` frames, from 0 to 1;
    /// `None` if there are none. Unknown to a sender.
    pub stale_share: Option<f64>,
    /// Delay from capture to display in milliseconds. On the viewer, `None`
    /// unless both ends share a clock; on the sender, the report of its only
    /// viewer.
    pub latency_ms: Option<Percentiles>,
    /// Packets and frames of each stream that a viewer followed, in order of
    /// time; at most the newest 128.
    pub accounts: Vec<Account>,
    /// Pattern of loss among the packets that carry chunks for the first time, in
    /// sending order.
    pub loss_pattern: Option<LossPattern>,
    /// Reordering extent in packets of one channel
    /// (<https://www.rfc-editor.org/rfc/rfc4737#section-4.2>); `None` if no
    /// packet was reordered.
    pub reordering_extent: Option<Percentiles>,
    /// Distribution of the differences in transit time between consecutive
    /// packets, which `jitter_ms` smooths, in milliseconds.
    pub jitter_distribution_ms: Option<Percentiles>,
    /// The parts of the delay from capture to display.
    pub delays_ms: Delays,
    /// The sender's clock, as the viewer estimates it.
    pub clock: Option<ClockOffset>,
    /// Viewers that connected; `None` unless the sender listens for them.
    pub admission: Option<Admission>,
    /// Figures from the timecodes in the frames, if the viewer read them.
    pub timecode: Option<TimecodeCounts>,
    /// Datagrams that the viewer discarded, by reason.
    pub discarded: Vec<Discarded>,
    /// The newest report of each viewer, on the sender's side.
    pub viewers: Vec<ViewerFigures>,
    /// The paths: on the sender's side those whose rate is adapted, on the viewer's side the one
    /// from the sender.
    pub paths: Vec<PathFigures>,
    /// The largest datagrams that the paths carry, on the sender's side; empty if the size is
    /// fixed.
    pub path_mtu: Vec<PathMtuFigures>,
}

impl Statistics {
    /// Delay from capture to display in milliseconds, if both ends share a clock
    /// or the clock offset is known.
    pub fn delay(&self) -> Option<Percentiles> {
        self.delays_ms.capture_to_shown.or(self.latency_ms)
    }

    /// Frames sent since the viewer joined that should have been shown and were
    /// not. `None` if none of the counts is known.
    pub fn missed(&self) -> Option<u64> {
        sum(&[
            self.frames.lost,
            self.frames.incomplete,
            self.outcomes[Outcome::Late],
            self.outcomes[Outcome::Undecodable],
        ])
    }

    /// Frames whose outcome is known.
    pub fn settled(&self) -> Option<u64> {
        let skipped = self.outcomes[Outcome::Skipped];
        sum(&[self.missed(), self.frames.shown, skipped])
    }

    /// Adds the statistics of an earlier stream.
    pub(crate) fn add(&mut self, before: &Self) {
        let intervals = [&*self, before].map(Self::intervals);
        let stale = [&*self, before].map(|of| {
            let concealed = of.outcomes[Outcome::Concealed].unwrap_or(0) as f64;
            (concealed, concealed * of.stale_share.unwrap_or(0.0))
        });
        let [(own, own_stale), (older, older_stale)] = stale;
        self.stale_share = (own + older > 0.0).then(|| (own_stale + older_stale) / (own + older));
        self.frames.add(&before.frames);
        self.packets.add(&before.packets);
        self.bytes.add(&before.bytes);
        self.outcomes.add(&before.outcomes);
        self.add_accounts(&before.accounts);
        if let (Some(pattern), Some(before)) = (&mut self.loss_pattern, &before.loss_pattern) {
            pattern.add(before);
        }
        self.duration_s += before.duration_s;
        let rate = |amount: Option<u64>| {
            amount
                .filter(|_| self.duration_s > 0.0)
                .map(|n| n as f64 / self.duration_s)
        };
        self.bitrate_bps = rate(self.bytes.received).map(|bytes| bytes * 8.0);
        let intervals = intervals
            .into_iter()
            .flatten()
            .reduce(|own, other| own + other);
        self.fps = intervals
            .filter(|_| self.duration_s > 0.0)
            .map(|intervals| intervals / self.duration_s);
    }

    /// Number of intervals between frames. Each stream has one fewer than frames.
    pub(crate) fn intervals(&self) -> Option<f64> {
        self.fps.map(|fps| fps * self.duration_s)
    }
}

fn sum(parts: &[Option<u64>]) -> Option<u64> {
    parts.iter().flatten().copied().reduce(u64::saturating_add)
}

/// Counts of viewers that connected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Admission {
    /// Viewers served now.
    pub served: u64,
    /// Viewers admitted so far; a viewer that connects again counts again.
    pub admitted: u64,
    /// Viewers rejected because all slots were taken.
    pub rejected: u64,
    /// Challenges sent. Those beyond `proven` had no answer: the address was
    /// forged, or a packet was lost.
    pub challenged: u64,
    /// Challenges answered.
    pub proven: u64,
    /// Datagrams from addresses that are not served, except repeated byes.
    pub foreign: u64,
}

/// Identity and properties of the stream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stream {
    /// The side that wrote the statistics.
    pub side: Side,
    /// The stream number in 16 hexadecimal digits; the newest one if a viewer
    /// followed several in turn.
    pub number: Option<String>,
    /// Streams that a viewer followed in turn; a restart of the sender is a new
    /// stream.
    pub followed: u64,
    /// Other streams that reached a viewer and were not followed.
    pub others: u64,
    /// Source address (viewer) or destination addresses (sender).
    pub addresses: Vec<String>,
    /// Format of the datagrams.
    pub wire: Option<&'static str>,
    /// Transport of the packets: `udp` or `tcp`.
    pub transport: Option<&'static str>,
    /// The longest datagram of a native stream that reached a viewer, in bytes of UDP
    /// payload.
    pub longest_datagram: Option<usize>,
    /// Width of the newest frame in pixels.
    pub width: Option<u32>,
    /// Height of the newest frame in pixels.
    pub height: Option<u32>,
    /// JPEG quality of the newest frame, as the sender set it, from 1 to 100.
    pub quality: Option<u8>,
    /// Whether both ends share one clock.
    pub shared_clock: bool,
    /// Whether the sender's bye arrived (viewer) or was sent (sender).
    pub ended: bool,
    /// Whether the stream fell silent without a bye.
    pub silent: bool,
}

/// The side of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// `framegram-send`
    #[default]
    Sender,
    /// `framegram-view`
    Viewer,
}

/// Frames per second, from the first of `frames` to the last, `seconds` later.
/// `None` for a single frame, because no time passed.
pub(crate) fn fps(frames: u64, seconds: f64) -> Option<f64> {
    (frames != 1 && seconds > 0.0).then(|| frames.saturating_sub(1) as f64 / seconds)
}

#[cfg(test)]
mod fps_tests {
    use super::*;

    fn stream(frames: u64, seconds: f64) -> Statistics {
        Statistics {
            duration_s: seconds,
            fps: fps(frames, seconds),
            frames: Frames {
                shown: Some(frames),
                ..Frames::default()
            },
            ..Statistics::default()
        }
    }

    #[test]
    fn streams_of_one_rate_keep_that_rate_when_added() {
        // One frame per second, from the first to the last.
        let mut all = stream(3, 2.0);
        assert_eq!(all.fps, Some(1.0));
        for _ in 0..3 {
            all.add(&stream(3, 2.0));
            assert_eq!(all.fps, Some(1.0));
        }
        // A single frame has no rate and no duration.
        all.add(&stream(1, 0.0));
        assert_eq!(all.fps, Some(1.0));
        let mut single = stream(1, 0.0);
        assert_eq!(single.fps, None);
        single.add(&stream(1, 0.0));
        assert_eq!(single.fps, None);
        single.add(&stream(11, 1.0));
        assert_eq!(single.fps, Some(10.0));
    }
}

/// Quantiles of a distribution, in the unit that the field names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Percentiles {
    /// The median.
    pub p50: f64,
    /// 95 % of the values are at most this.
    pub p95: f64,
    /// 99 % of the values are at most this.
    pub p99: f64,
    /// The maximum.
    pub max: f64,
}
