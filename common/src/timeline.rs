//! How a stream went: figures by time, one mark for each frame, and the
//! distribution of delays; all of it bounded, however long the stream is.

mod hits;
mod marks;

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use self::hits::Hits;
use self::marks::Marks;
use crate::stats::{FrameRecord, Outcome, Statistics};

pub use self::hits::{Hit, MAX_HITS};

/// The most moments that a stream is cut into. When there are more, each is
/// made twice as long; of twenty minutes each second is one.
pub const MAX_MOMENTS: usize = 1200;

/// The course of a stream as reports tell it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Course {
    /// Length of each moment in seconds.
    pub moment_s: u32,
    /// One moment after another, from the first frame or packet on.
    pub moments: Vec<Moment>,
    /// Frames a mark stands for: the worst of their outcomes.
    pub frames_per_mark: u32,
    /// A letter for each mark ([`letter`]), in the order of frame numbers.
    pub marks: String,
    /// From capture to shown, where the sender's clock is known.
    pub delays: Option<Bins>,
    /// Frames of which chunks did not arrive as they were sent first, in the
    /// order of their outcomes; of more than [`MAX_HITS`] the first.
    pub hits: Vec<Hit>,
    /// How many more there are.
    pub hits_unlisted: u64,
}

/// What happened in one moment. Frames count at the time when they were shown,
/// or else when the last of them arrived, or else with the frame before.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Moment {
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
    pub packets_dropped: u64,
    /// UDP payload received, in bytes.
    pub bytes: u64,
    /// JPEG quality at the end of it.
    pub quality: Option<u8>,
    /// From capture to shown, in milliseconds.
    pub delay_ms: Option<Spread>,
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
pub struct Bins {
    /// Width of a bin in milliseconds.
    pub width_ms: f64,
    /// Frames in each bin, from 0 on; the last one has those beyond too.
    pub frames: Vec<u64>,
}

/// Follows a stream.
#[derive(Debug)]
pub struct Timeline {
    origin: Option<Duration>,
    /// The newest time at which a frame counted.
    last: Duration,
    moment_s: u32,
    moments: Vec<Gathered>,
    marks: Marks,
    hits: Hits,
    delays: Histogram<u32>,
    /// Bytes, packets lost and packets dropped, as they were told last.
    told: [u64; 3],
}

#[derive(Clone, Debug, Default)]
struct Gathered {
    moment: Moment,
    /// How many delays, and their sum in milliseconds.
    delays: (u64, f64),
}

impl Default for Timeline {
    fn default() -> Self {
        let delays = Histogram::new_with_bounds(1, LONGEST_DELAY, 3);
        Self {
            origin: None,
            last: Duration::ZERO,
            moment_s: 1,
            moments: Vec::new(),
            marks: Marks::default(),
            hits: Hits::default(),
            delays: delays.expect("these bounds are constants and valid"),
            told: [0; 3],
        }
    }
}

impl Timeline {
    /// Takes the record of the next frame.
    pub fn note_record(&mut self, record: &FrameRecord) {
        let at = record.shown.or(record.last_chunk).unwrap_or(self.last);
        self.last = at;
        self.marks.push(record.outcome);
        self.hits.note(record);
        let delay = delay(record);
        if let Some(delay) = delay {
            self.delays.saturating_record(delay.as_micros() as u64);
        }
        // Without a time of its own or of a frame before, there is no moment.
        if at.is_zero() {
            return;
        }
        let gathered = self.at(at);
        let moment = &mut gathered.moment;
        moment.shown += u64::from(record.outcome.is_shown());
        moment.concealed += u64::from(record.outcome == Outcome::Concealed);
        moment.repaired += u64::from(matches!(
            record.outcome,
            Outcome::IntactParity | Outcome::IntactRetransmission
        ));
        moment.lost += u64::from(is_lost(record.outcome));
        if let Some(delay) = delay {
            let millis = delay.as_secs_f64() * 1e3;
            gathered.delays.0 += 1;
            gathered.delays.1 += millis;
            let spread = moment.delay_ms.get_or_insert(Spread {
                min: millis,
                mean: millis,
                max: millis,
            });
            spread.min = spread.min.min(millis);
            spread.max = spread.max.max(millis);
        }
    }

    /// Takes the statistics of `now`, a few times a second. The counts of all
    /// moments together are those that were told last.
    pub fn note_statistics(&mut self, statistics: &Statistics, now: Duration) {
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
        let moment = &mut self.at(now).moment;
        moment.quality = quality.or(moment.quality);
        let before = std::mem::replace(&mut self.told, told);
        for (index, of) in COUNTS.into_iter().enumerate() {
            *of(&mut self.at(now).moment) += told[index].saturating_sub(before[index]);
            // What was missing and came late, or has another cause, makes a
            // count fall: it is taken from the newest moments that have it.
            let mut less = before[index].saturating_sub(told[index]);
            for gathered in self.moments.iter_mut().rev() {
                let count = of(&mut gathered.moment);
                let part = less.min(*count);
                *count -= part;
                less -= part;
            }
        }
    }

    /// All of it.
    #[must_use]
    pub fn course(&self) -> Course {
        let (hits, hits_unlisted) = self.hits.read();
        Course {
            moment_s: self.moment_s,
            moments: self.moments.iter().map(Gathered::moment).collect(),
            frames_per_mark: self.marks.frames_per_mark(),
            marks: self.marks.outcomes().map(letter).collect(),
            delays: self.bins(),
            hits,
            hits_unlisted,
        }
    }

    /// The moment of a time; times before the first are in the first.
    fn at(&mut self, time: Duration) -> &mut Gathered {
        let origin = *self.origin.get_or_insert(time);
        let seconds = time.saturating_sub(origin).as_secs();
        while seconds / u64::from(self.moment_s) >= MAX_MOMENTS as u64 {
            self.moment_s *= 2;
            let pairs = self.moments.chunks(2);
            self.moments = pairs.map(Gathered::join).collect();
        }
        let index = (seconds / u64::from(self.moment_s)) as usize;
        if index >= self.moments.len() {
            self.moments.resize_with(index + 1, Gathered::default);
        }
        &mut self.moments[index]
    }

    fn bins(&self) -> Option<Bins> {
        if self.delays.is_empty() {
            return None;
        }
        let most = self.delays.value_at_quantile(0.99).max(1) as f64 / 1e3;
        let width_ms = WIDTHS
            .into_iter()
            .find(|width| most / width < MAX_BINS as f64 - 1.0)
            .unwrap_or(WIDTHS[WIDTHS.len() - 1]);
        let mut frames = vec![0; ((most / width_ms) as usize + 2).min(MAX_BINS)];
        let last = frames.len() - 1;
        for value in self.delays.iter_recorded() {
            let bin = (value.value_iterated_to() as f64 / 1e3 / width_ms) as usize;
            frames[bin.min(last)] += u64::from(value.count_at_value());
        }
        Some(Bins { width_ms, frames })
    }
}

impl Gathered {
    fn moment(&self) -> Moment {
        let mut moment = self.moment.clone();
        if let Some(spread) = &mut moment.delay_ms {
            spread.mean = self.delays.1 / self.delays.0.max(1) as f64;
        }
        moment
    }

    /// One or two as one.
    fn join(parts: &[Self]) -> Self {
        let mut all = Self::default();
        for part in parts {
            let (to, from) = (&mut all.moment, &part.moment);
            to.shown += from.shown;
            to.repaired += from.repaired;
            to.concealed += from.concealed;
            to.lost += from.lost;
            to.packets_lost += from.packets_lost;
            to.packets_dropped += from.packets_dropped;
            to.bytes += from.bytes;
            to.quality = from.quality.or(to.quality);
            to.delay_ms = match (to.delay_ms, from.delay_ms) {
                (Some(a), Some(b)) => Some(Spread {
                    min: a.min.min(b.min),
                    max: a.max.max(b.max),
                    ..a
                }),
                (a, b) => a.or(b),
            };
            all.delays.0 += part.delays.0;
            all.delays.1 += part.delays.1;
        }
        all
    }
}

/// From capture to shown, on the viewer's clock; `None` where the frame was not
/// shown, or the sender's clock is not known.
#[must_use]
pub fn delay(record: &FrameRecord) -> Option<Duration> {
    let captured = record.captured?.as_micros() as i128 + i128::from(record.offset_micros?);
    let micros = record.shown?.as_micros() as i128 - captured;
    // An offset that is a little off makes less than nothing of a short one.
    u64::try_from(micros.max(0)).ok().map(Duration::from_micros)
}

/// Whether a frame should have been shown, and was not.
#[must_use]
pub fn is_lost(outcome: Outcome) -> bool {
    match outcome {
        Outcome::LostNetwork
        | Outcome::NotSent
        | Outcome::LostSocket
        | Outcome::LostUnknown
        | Outcome::Corrupt
        | Outcome::Late
        | Outcome::Undecodable => true,
        Outcome::IntactUnrepaired
        | Outcome::IntactRetransmission
        | Outcome::IntactParity
        | Outcome::Concealed
        | Outcome::Skipped
        | Outcome::BeforeJoining
        | Outcome::TailUnknown
        | Outcome::Open => false,
    }
}

/// The letter that stands for an outcome.
#[must_use]
pub fn letter(outcome: Outcome) -> char {
    match outcome {
        Outcome::IntactUnrepaired => '.',
        Outcome::IntactRetransmission => 'r',
        Outcome::IntactParity => 'p',
        Outcome::Concealed => 'c',
        Outcome::Skipped => 's',
        Outcome::Undecodable => 'u',
        Outcome::Late => 'l',
        Outcome::Corrupt => 'x',
        Outcome::LostUnknown => 'm',
        Outcome::LostSocket => 'b',
        Outcome::LostNetwork => 'n',
        Outcome::NotSent => 'k',
        Outcome::BeforeJoining => '-',
        Outcome::TailUnknown => '?',
        Outcome::Open => 'o',
    }
}

/// The counts of a moment, in the order in which they are told.
const COUNTS: [fn(&mut Moment) -> &mut u64; 3] = [
    |moment| &mut moment.bytes,
    |moment| &mut moment.packets_lost,
    |moment| &mut moment.packets_dropped,
];

/// An hour in microseconds: no frame is shown after that.
const LONGEST_DELAY: u64 = 3_600_000_000;

/// Widths of bins in milliseconds that are easy to read.
const WIDTHS: [f64; 13] = [
    0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 1000.0, 10_000.0, 100_000.0,
];

/// More bins are no easier to read.
const MAX_BINS: usize = 50;

#[cfg(test)]
mod tests;
