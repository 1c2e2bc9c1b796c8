//! How a stream went: figures by time, a letter for each frame, and the
//! distribution of delays; all of it bounded, however long the stream is.

mod lossy;
mod strip;

use std::time::Duration;

use framegram_common::stats::{DelayHistogram, FrameRecord, Outcome, Statistics};
use serde::Serialize;

use self::lossy::LossyFrames;
use self::strip::OutcomeStrip;

pub use self::lossy::{LossyFrame, MAX_LOSSY_FRAMES};

/// The most buckets that a stream is cut into. When there are more, each is made
/// twice as long; of twenty minutes each second is one.
pub const MAX_BUCKETS: usize = 1200;

/// How a stream went, as reports tell it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Timeline {
    /// Length of each bucket in seconds.
    pub bucket_s: u32,
    /// One bucket after another, from the first frame or packet on.
    pub buckets: Vec<Bucket>,
    /// How many frames a letter of `outcomes` stands for, by the worst of them.
    pub frames_per_letter: u32,
    /// A letter for each frame, in the order of frame numbers.
    pub outcomes: String,
    /// Frames by their delay from capture to shown; null unless the sender's
    /// clock is known.
    pub delay_histogram: Option<DelayBins>,
    /// Frames of which chunks did not arrive as they were sent first, in the
    /// order in which they ended; of more than 2048 the first.
    pub lossy_frames: Vec<LossyFrame>,
    /// How many more there are.
    pub lossy_frames_unlisted: u64,
}

/// What happened in some seconds. A frame counts at the time when it was shown,
/// or else when the last of it arrived, or else with the frame before.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Bucket {
    /// Frames shown, with holes or without.
    pub shown: u64,
    /// Of these, whole since they were repaired.
    pub repaired: u64,
    /// Of these, with holes.
    pub concealed: u64,
    /// Frames that should have been shown and were not.
    pub lost: u64,
    /// Packets lost on the way.
    pub packets_lost: u64,
    /// Packets dropped in the viewer's socket buffer.
    pub socket_dropped: u64,
    /// UDP payload received, in bytes.
    pub bytes: u64,
    /// JPEG quality at the end of it.
    pub quality: Option<u8>,
    /// From capture to shown, in milliseconds.
    pub delay_ms: Option<Spread>,
    /// How many delays there are, and their sum in milliseconds.
    #[serde(skip)]
    pub(super) delays: (u64, f64),
}

/// A few values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// The least.
    pub min: f64,
    /// Their mean.
    pub mean: f64,
    /// The largest.
    pub max: f64,
}

/// A distribution in bins of one width.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DelayBins {
    /// Width of a bin in milliseconds.
    pub width_ms: f64,
    /// Frames in each bin, from 0 on; the last one has those beyond too.
    pub frames: Vec<u64>,
}

/// Follows a stream.
#[derive(Debug)]
pub struct TimelineRecorder {
    origin: Option<Duration>,
    /// The newest time at which a frame counted.
    last: Duration,
    bucket_s: u32,
    buckets: Vec<Bucket>,
    strip: OutcomeStrip,
    lossy: LossyFrames,
    delays: DelayHistogram,
    /// Bytes, packets lost and packets dropped, as they were told last.
    told: [u64; 3],
}

impl Default for TimelineRecorder {
    fn default() -> Self {
        Self {
            origin: None,
            last: Duration::ZERO,
            bucket_s: 1,
            buckets: Vec::new(),
            strip: OutcomeStrip::default(),
            lossy: LossyFrames::default(),
            delays: DelayHistogram::default(),
            told: [0; 3],
        }
    }
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
        // Without a time of its own or of a frame before, there is no bucket.
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

    /// Takes the statistics of `now`, a few times a second. The counts of all
    /// buckets together are those that were told last.
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
            // What was missing and came late, or has another cause, makes a
            // count fall: it is taken from the newest buckets that have it.
            let mut less = before[index].saturating_sub(told[index]);
            for bucket in self.buckets.iter_mut().rev() {
                let count = of(bucket);
                let part = less.min(*count);
                *count -= part;
                less -= part;
            }
        }
    }

    /// All of it.
    #[must_use]
    pub fn timeline(&self) -> Timeline {
        Timeline {
            bucket_s: self.bucket_s,
            buckets: self.buckets.clone(),
            frames_per_letter: self.strip.frames_per_letter,
            outcomes: self.strip.letters(),
            delay_histogram: self.bins(),
            lossy_frames: self.lossy.listed.clone(),
            lossy_frames_unlisted: self.lossy.unlisted,
        }
    }

    /// The bucket of a time; times before the first are in the first.
    fn at(&mut self, time: Duration) -> &mut Bucket {
        let origin = *self.origin.get_or_insert(time);
        let seconds = time.saturating_sub(origin).as_secs();
        while seconds / u64::from(self.bucket_s) >= MAX_BUCKETS as u64 {
            self.bucket_s *= 2;
            let pairs = self.buckets.chunks(2);
            self.buckets = pairs.map(Bucket::join).collect();
        }
        let index = (seconds / u64::from(self.bucket_s)) as usize;
        if index >= self.buckets.len() {
            self.buckets.resize_with(index + 1, Bucket::default);
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

impl Bucket {
    /// Adds this many delays with this sum, the least and the largest of them.
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

    /// One or two as one.
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
const COUNTS: [fn(&mut Bucket) -> &mut u64; 3] = [
    |bucket| &mut bucket.bytes,
    |bucket| &mut bucket.packets_lost,
    |bucket| &mut bucket.socket_dropped,
];

/// Widths of bins in milliseconds that are easy to read.
const WIDTHS: [f64; 13] = [
    0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 1000.0, 10_000.0, 100_000.0,
];

/// More bins are no easier to read.
const MAX_BINS: usize = 50;

#[cfg(test)]
mod tests;
