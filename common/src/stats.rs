//! The one struct of figures: counted by the core, printed by the programs,
//! and the report file as it stands.
//!
//! What is not known is `None` (null in a report), never zero. Fields may be
//! added, never redefined.

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

pub use account::{Account, Arrived, ChannelAccount};
pub(crate) use counters::{Counters, LossCounts};
pub use counts::{Bytes, Frames, Packets};
pub use delays::DelayHistogram;
pub(crate) use delays::Jitter;
pub(crate) use discarded::Discards;
pub use discarded::{DiscardReason, Discarded};
pub(crate) use frame_log::FrameContents;
pub use frame_log::FrameRecord;
pub(crate) use join::JoinPoint;
pub use outcome::{OUTCOMES, Outcome, OutcomeInfo, Outcomes};
pub(crate) use outlook::Outlook;
pub use path::{Bursts, Clock, Delays, LossPattern};
pub use report_file::ReportFile;
pub use sequence::{Arrival, Gap, SequenceTracker};
pub use timecode::TimecodeCounts;
pub use viewer::ViewerFigures;

/// Everything that is told of a stream, by either side.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Statistics {
    /// Which stream, and what is known of it.
    pub stream: Stream,
    /// How many frames there were.
    pub frames: Frames,
    /// How each captured frame ended, as the viewer knows it: each is in exactly
    /// one. A sender knows of itself only what was replaced and not sent.
    pub outcomes: Outcomes,
    /// The packets of all channels.
    pub packets: Packets,
    /// Volumes.
    pub bytes: Bytes,
    /// Seconds from the first frame to the last: sent (sender) or received (viewer).
    pub duration_s: f64,
    /// Frames a second over that time: sent (sender) or shown (viewer).
    pub fps: Option<f64>,
    /// Bits a second of UDP payload over that time.
    pub bitrate_bps: Option<f64>,
    /// Interarrival jitter in milliseconds, measured on the send times of the
    /// packets (<https://www.rfc-editor.org/rfc/rfc3550#section-6.4.1>).
    pub jitter_ms: Option<f64>,
    /// The share of the image that had not arrived, from 0 to 1: the mean over the
    /// frames that are `concealed`, `None` if there are none. A sender does not
    /// know it.
    pub stale_share: Option<f64>,
    /// Capture to shown, in milliseconds: on the viewer's side `None` unless both
    /// ends share a clock, on the sender's side what its only viewer reports.
    pub latency_ms: Option<Percentiles>,
    /// What a viewer is accountable for of each stream that it followed, in
    /// turn; of more than 128 the newest.
    pub accounts: Vec<Account>,
    /// How lost packets lie among the others: those that carry chunks for the
    /// first time, in the order of sending.
    pub loss_pattern: Option<LossPattern>,
    /// How far packets were out of order, in packets of their channel
    /// (<https://www.rfc-editor.org/rfc/rfc4737#section-4.2>); `None` if none
    /// was.
    pub reordering_extent: Option<Percentiles>,
    /// The differences of transit time from packet to packet that `jitter_ms`
    /// smooths, in milliseconds: their distribution.
    pub jitter_distribution_ms: Option<Percentiles>,
    /// Where the time between capture and showing went.
    pub delays_ms: Delays,
    /// What is known of the sender's clock, on the viewer's side.
    pub clock: Option<Clock>,
    /// The viewers that connected; `None` unless the sender listens for them.
    pub admission: Option<Admission>,
    /// What the timecodes in the frames tell, if a viewer read them.
    pub timecode: Option<TimecodeCounts>,
    /// Datagrams that a viewer discarded, by reason.
    pub discarded: Vec<Discarded>,
    /// What each viewer reported last, on the sender's side.
    pub viewers: Vec<ViewerFigures>,
}

impl Statistics {
    /// From capture to shown, in milliseconds: on one clock, or on two whose
    /// offset is known.
    #[must_use]
    pub fn delay(&self) -> Option<Percentiles> {
        self.delays_ms.capture_to_shown.or(self.latency_ms)
    }

    /// Frames that were sent since the viewer joined and should have been seen,
    /// but never were. `None` if nothing is known of any of them.
    #[must_use]
    pub fn missed(&self) -> Option<u64> {
        sum(&[
            self.frames.lost,
            self.frames.incomplete,
            self.outcomes[Outcome::Late],
            self.outcomes[Outcome::Undecodable],
        ])
    }

    /// Frames whose end is known.
    #[must_use]
    pub fn settled(&self) -> Option<u64> {
        let skipped = self.outcomes[Outcome::Skipped];
        sum(&[self.missed(), self.frames.shown, skipped])
    }

    /// Adds what was counted of another stream before.
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

    /// Intervals between frames: one fewer than frames, of each stream.
    pub(crate) fn intervals(&self) -> Option<f64> {
        self.fps.map(|fps| fps * self.duration_s)
    }
}

fn sum(parts: &[Option<u64>]) -> Option<u64> {
    parts.iter().flatten().copied().reduce(u64::saturating_add)
}

/// Viewers that connected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Admission {
    /// Served now.
    pub served: u64,
    /// Admitted so far, each time that one connected.
    pub admitted: u64,
    /// Rejected because all slots were taken.
    pub rejected: u64,
    /// Times that an address was asked to prove itself. Those beyond `proven` never
    /// did: the address was forged, or an answer was lost.
    pub challenged: u64,
    /// Times that one did.
    pub proven: u64,
    /// Datagrams of addresses that are not served, repeated byes left out.
    pub foreign: u64,
}

/// The stream that the figures are of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stream {
    /// The side that counted.
    pub side: Side,
    /// The stream's number in 16 hexadecimal digits; the newest one, if a
    /// viewer followed several in turn.
    pub number: Option<String>,
    /// How many streams a viewer followed in turn, restarts included.
    pub followed: u64,
    /// How many other streams reached a viewer, which did not follow them.
    pub others: u64,
    /// Where the stream comes from (viewer) or goes to (sender).
    pub addresses: Vec<String>,
    /// The format of the datagrams.
    pub wire: Option<&'static str>,
    /// What carries the packets: `udp` or `tcp`.
    pub transport: Option<&'static str>,
    /// Width of the newest frame in pixels.
    pub width: Option<u32>,
    /// Height of the newest frame in pixels.
    pub height: Option<u32>,
    /// JPEG quality of the newest frame as the sender set it, 1 to 100.
    pub quality: Option<u8>,
    /// Whether both ends run on one clock.
    pub shared_clock: bool,
    /// Whether the sender's bye arrived, or was sent.
    pub ended: bool,
    /// Whether nothing arrived any more, though no bye had.
    pub silent: bool,
}

/// Who counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// `framegram-send`
    #[default]
    Sender,
    /// `framegram-view`
    Viewer,
}

/// Frames a second from the first to the last of this many, `seconds` apart.
/// `None` of one: no time passed.
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
    fn streams_of_one_rate_have_it_together() {
        // One frame a second, from the first to the last.
        let mut all = stream(3, 2.0);
        assert_eq!(all.fps, Some(1.0));
        for _ in 0..3 {
            all.add(&stream(3, 2.0));
            assert_eq!(all.fps, Some(1.0));
        }
        // A single frame is no rate, and takes no time.
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

/// Four numbers of a distribution, in the unit that the field names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Percentiles {
    /// The median.
    pub p50: f64,
    /// 95 of 100 values are at most this.
    pub p95: f64,
    /// 99 of 100 values are at most this.
    pub p99: f64,
    /// The largest.
    pub max: f64,
}
