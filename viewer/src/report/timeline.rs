//! The course of a stream: figures over time, the outcome of each frame, and the
//! distribution of delays. Its size is bounded, however long the stream is.

mod lossy;
mod strip;

use std::time::Duration;

use framegram_common::stats::{DelayHistogram, FrameRecord, Outcome, Statistics};
use serde::Serialize;

use self::lossy::LossyFrames;
use self::strip::OutcomeStrip;

pub use self::lossy::{LossyFrame, MAX_LOSSY_FRAMES};

/// Upper bound on buckets. If there are more, each becomes twice as long. Up to
/// twenty minutes, a bucket is one second.
pub const MAX_BUCKETS: usize = 1200;

/// The course of a stream over time.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Timeline {
    /// Length of each bucket in seconds.
    pub bucket_s: u32,
    /// Consecutive buckets, from the first frame or packet on.
    pub buckets: Vec<TimelineBucket>,
    /// Number of frames that each letter of `outcomes` covers; the letter is
    /// their worst outcome.
    pub frames_per_letter: u32,
    /// One letter per frame, in the order of frame numbers.
    pub outcomes: String,
    /// Frames by their delay from capture to display; null unless the sender's
    /// clock is known.
    pub delay_histogram: Option<DelayBins>,
    /// Frames with chunks that did not arrive when first sent, in the order in
    /// which the frames were settled; at most the first 2048.
    pub lossy_frames: Vec<LossyFrame>,
    /// Number of further such frames.
    pub lossy_frames_unlisted: u64,
}

/// Figures of one bucket. A frame counts when it was shown, otherwise when its
/// last chunk arrived, otherwise with the frame before it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct TimelineBucket {
    /// Frames shown, complete or concealed.
    pub shown: u64,
    /// Of these, complete after repair.
    pub repaired: u64,
    /// Of these, concealed.
    pub concealed: u64,
    /// Frames that should have been shown and were not.
    pub lost: u64,
    /// Packets lost on the network.
    pub packets_lost: u64,
    /// Packets dropped in the viewer's socket buffer.
    pub socket_dropped: u64,
    /// UDP payload received, in bytes.
    pub bytes: u64,
    /// JPEG quality at the end of the bucket.
    pub quality: Option<u8>,
    /// Delay from capture to display in milliseconds.
    pub delay_ms: Option<Spread>,
    /// Number of delays, and their sum in milliseconds.
    #[serde(skip)]
    pub(super) delays: (u64, f64),
}

/// Minimum, mean and maximum.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// The minimum.
    pub min: f64,
    /// The mean.
    pub mean: f64,
    /// The maximum.
    pub max: f64,
}

/// A histogram with bins of equal width.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DelayBins {
    /// Width of a bin in milliseconds.
    pub width_ms: f64,
    /// Frames in each bin, from 0 on; the last bin includes all larger values.
    pub frames: Vec<u64>,
}

/// Records the timeline of a stream.
#[derive(Debug, Default)]
pub struct TimelineRecorder {
    origin: Option<Duration>,
    /// The newest time at which a frame was counted.
    last: Duration,
    /// How often the time of a bucket was doubled.
    doublings: u32,
    buckets: Vec<TimelineBucket>,
    strip: OutcomeStrip,
    lossy: LossyFrames,
    delays: DelayHistogram,
    /// The newest totals: bytes, packets lost, packets dropped.
    told: [u64; 3],
}

impl TimelineRecorder {
    /// Takes the record of the next frame.
    pub fn record_frame(&mut self, record: &FrameRecord) {
        let at = record.shown.or(record.last_chunk).unwrap_or(self.last);
        self.last = at;
        self.strip.push(record.outcome);
        self.lossy.record(record);
        let delay = record.delay();
        if let Some(delay) = delay {
            self.delays.record(delay);
        }
        // Nothing before this frame had a time either.
        if at.is_zero() {
            return;
        }
        let bucket = self.at(at);
        bucket.shown += u64::from(record.outcome.is_shown());
        bucket.concealed += u64::from(record.outcome == Outcome::Concealed);
        bucket.repaired += u64::from(matches!(
            record.outcome,
            Outcome::IntactParity | Outcome::IntactRetransmission
        ));
        bucket.lost += u64::from(record.outcome.info().is_loss);
        if let Some(delay) = delay {
            let millis = delay.as_secs_f64() * 1e3;
            bucket.add_delays((1, millis), (millis, millis));
        }
    }

    /// When the statistics are due next if nobody else needs them: `margin` before
    /// a second ends, so that each bucket gets its own.
    pub fn due(&self, now: Duration, margin: Duration) -> Option<Duration> {
        let origin = self.origin?;
        let since = (now + margin).saturating_sub(origin);
        Some((origin + Duration::from_secs(since.as_secs() + 1)).saturating_sub(margin))
    }

    /// Takes the statistics at `now`, at least once per second. The counts of all
    /// buckets add up to the newest totals.
    pub fn record_statistics(&mut self, statistics: &Statistics, now: Duration) {
        let packets = &statistics.packets;
        let told = [
            statistics.bytes.received,
            packets.lost,
            packets.socket_dropped,
        ]
        .map(|count| count.unwrap_or(0));
        if self.origin.is_none() && told == [0; 3] {
            return;
        }
        let quality = statistics.stream.quality;
        let bucket = self.at(now);
        bucket.quality = quality.or(bucket.quality);
        let before = std::mem::replace(&mut self.told, told);
        for (index, of) in COUNTS.into_iter().enumerate() {
            *of(self.at(now)) += told[index].saturating_sub(before[index]);
            // A total falls if a missing packet arrives late or is attributed to
            // another cause. The difference is taken from the newest buckets that
            // have any.
            let mut less = before[index].saturating_sub(told[index]);
            for bucket in self.buckets.iter_mut().rev() {
                let count = of(bucket);
                let part = less.min(*count);
                *count -= part;
                less -= part;
            }
        }
    }

    /// The timeline so far.
    pub fn timeline(&self) -> Timeline {
        Timeline {
            bucket_s: self.bucket_s(),
            buckets: self.buckets.clone(),
            frames_per_letter: self.strip.frames_per_letter(),
            outcomes: self.strip.letters(),
            delay_histogram: self.bins(),
            lossy_frames: self.lossy.listed.clone(),
            lossy_frames_unlisted: self.lossy.unlisted,
        }
    }

    fn bucket_s(&self) -> u32 {
        1 << self.doublings
    }

    /// The bucket for `time`. Earlier times count in the first one.
    fn at(&mut self, time: Duration) -> &mut TimelineBucket {
        let origin = *self.origin.get_or_insert(time);
        let seconds = time.saturating_sub(origin).as_secs();
        while seconds / u64::from(self.bucket_s()) >= MAX_BUCKETS as u64 {
            self.doublings += 1;
            let pairs = self.buckets.chunks(2);
            self.buckets = pairs.map(TimelineBucket::join).collect();
        }
        let index = (seconds / u64::from(self.bucket_s())) as usize;
        if index >= self.buckets.len() {
            self.buckets.resize_with(index + 1, TimelineBucket::default);
        }
        &mut self.buckets[index]
    }

    fn bins(&self) -> Option<DelayBins> {
        if self.delays.count() == 0 {
            return None;
        }
        let most = self.delays.micros_at(0.99).max(1) as f64 / 1e3;
        let width_ms = WIDTHS
            .into_iter()
            .find(|width| most / width < MAX_BINS as f64 - 1.0)
            .unwrap_or(WIDTHS[WIDTHS.len() - 1]);
        let mut frames = vec![0; ((most / width_ms) as usize + 2).min(MAX_BINS)];
        let last = frames.len() - 1;
        for (micros, count) in self.delays.recorded() {
            let bin = (micros as f64 / 1e3 / width_ms) as usize;
            frames[bin.min(last)] += count;
        }
        Some(DelayBins { width_ms, frames })
    }
}

impl TimelineBucket {
    /// Adds delays, given their number, sum, minimum and maximum.
    fn add_delays(&mut self, (count, sum): (u64, f64), (min, max): (f64, f64)) {
        self.delays.0 += count;
        self.delays.1 += sum;
        let before = self.delay_ms;
        self.delay_ms = Some(Spread {
            min: before.map_or(min, |before| before.min.min(min)),
            mean: self.delays.1 / self.delays.0 as f64,
            max: before.map_or(max, |before| before.max.max(max)),
        });
    }

    /// Joins one or two buckets into one.
    fn join(parts: &[Self]) -> Self {
        let mut all = Self::default();
        for part in parts {
            all.shown += part.shown;
            all.repaired += part.repaired;
            all.concealed += part.concealed;
            all.lost += part.lost;
            all.packets_lost += part.packets_lost;
            all.socket_dropped += part.socket_dropped;
            all.bytes += part.bytes;
            all.quality = part.quality.or(all.quality);
            if let Some(spread) = part.delay_ms {
                all.add_delays(part.delays, (spread.min, spread.max));
            }
        }
        all
    }
}

/// The counts of a bucket, in the order of `told`.
const COUNTS: [fn(&mut TimelineBucket) -> &mut u64; 3] = [
    |bucket| &mut bucket.bytes,
    |bucket| &mut bucket.packets_lost,
    |bucket| &mut bucket.socket_dropped,
];

/// Round bin widths in milliseconds.
const WIDTHS: [f64; 13] = [
    0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 1000.0, 10_000.0, 100_000.0,
];

/// Upper bound on bins: more are not easier to read.
const MAX_BINS: usize = 50;

#[cfg(test)]
mod tests;
