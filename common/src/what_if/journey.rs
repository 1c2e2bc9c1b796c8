//! A trace, as far as it tells of one stream of framegram's own format.

use std::collections::BTreeMap;
use std::io::Read;
use std::time::Duration;

use thiserror::Error;

use super::layout::{self, FrameSent};
use super::slots::{Course, Heard, Slot};
use crate::trace::{
    Body, ChunkPlace, Content, Counts, Datagram, Entry, Fate, Reader, TraceError, Why,
};
use crate::wire::Format;
use crate::wire::native::Channel;

/// What the trace tells of the stream that it has the most of.
#[derive(Debug)]
pub struct Journey {
    /// How long the viewer waited for an incomplete frame.
    pub latency: Duration,
    /// The shortest round trip that was seen.
    pub rtt: Option<Duration>,
    /// The sender's counts, as it told them last.
    pub counts: Option<Counts>,
    /// Frames whose fate the trace knows, and of these those shown whole.
    pub settled: (u64, u64),
    /// Datagrams sent, as far as can be told, and of these lost on the way or
    /// damaged.
    pub datagrams: (u64, u64),
    /// The mean length of a run of lost datagrams.
    pub run: f64,
    /// How much of the stream is in it.
    pub part: Part,
    /// From the first frame to the last.
    pub duration: Duration,
    pub(super) interval: Option<Duration>,
    pub(super) frames: Vec<FrameSent>,
    /// All chunks of all frames, in their order.
    pub(super) media: Vec<Slot>,
    pub(super) repair: Vec<Slot>,
    pub(super) control: Vec<Slot>,
    pub(super) course: Course,
}

/// How much of a stream is in a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// All that the viewer saw.
    Whole,
    /// It ended at its limit.
    Limit,
    /// It ended since it could not be written as fast.
    Slow,
    /// The file is cut off or damaged; this says where.
    Broken(String),
    /// What follows is more than is looked at.
    Long,
}

/// Why nothing can be replayed.
#[derive(Debug, Error)]
pub enum JourneyError {
    /// It cannot be read.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// Nothing came.
    #[error("there is no datagram in it: no stream came while it was written")]
    Empty,
    /// Only other formats.
    #[error(
        "there is no stream of framegram's own format in it: RTP and bare JPEG have neither parity nor requests"
    )]
    Foreign,
    /// Not enough of a stream.
    #[error("there is no whole frame's time in it: trace for longer")]
    Short,
}

/// What is gathered of one stream while the trace is read.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) heard: [Vec<Heard>; 3],
    /// By number: a chunk of it, and the media number of its first chunk.
    pub(super) frames: BTreeMap<u64, (ChunkPlace, Option<u64>)>,
    pub(super) counts: Option<Counts>,
    /// Whether the stream said farewell.
    pub(super) ended: bool,
    rtt: Option<u64>,
    settled: (u64, u64),
}

impl Journey {
    /// Reads a trace to its end, or as far as it is whole.
    ///
    /// # Errors
    /// Where there is nothing in it to be replayed.
    pub fn read(input: impl Read) -> Result<Self, JourneyError> {
        let mut reader = Reader::new(input)?;
        let (mut latency, mut part) = (Duration::ZERO, Part::Whole);
        let (mut best, mut now) = (Gathered::default(), Gathered::default());
        let (mut native, mut any) = (true, false);
        loop {
            let entry = match reader.next_entry() {
                Ok(Some(entry)) => entry,
                Ok(None) => break,
                Err(error) if error.is_partial() => {
                    part = Part::Broken(error.to_string());
                    break;
                }
                Err(error) => return Err(error.into()),
            };
            match entry {
                Entry::Begin { budget, .. } => {
                    latency = Duration::from_micros(budget.min(MAX_LATENCY));
                }
                Entry::Stream { format, .. } => {
                    native = format == Format::Native;
                    best = best.or(std::mem::take(&mut now));
                }
                Entry::Frame { fate, .. } => {
                    now.settled.0 += 1;
                    now.settled.1 += u64::from(fate.is_intact());
                }
                Entry::Datagram(datagram) if native => {
                    any = true;
                    if !now.take(&datagram) {
                        part = Part::Long;
                        break;
                    }
                }
                Entry::Datagram(_) => any = true,
                Entry::Drops { .. } => {}
                Entry::End { why, .. } => {
                    part = match why {
                        Why::Over => Part::Whole,
                        Why::Limit => Part::Limit,
                        Why::Slow => Part::Slow,
                    };
                }
            }
        }
        match best.or(now) {
            gathered if gathered.len() > 0 => Self::of(gathered, latency, part),
            _ if any => Err(JourneyError::Foreign),
            _ => Err(JourneyError::Empty),
        }
    }

    fn of(gathered: Gathered, latency: Duration, part: Part) -> Result<Self, JourneyError> {
        let (rtt, settled) = (gathered.rtt, gathered.settled);
        let laid = layout::lay_out(gathered).ok_or(JourneyError::Short)?;
        let channels = [&laid.media, &laid.repair, &laid.control];
        let sent = channels.map(|slots| slots.len() as u64).iter().sum();
        let slots = channels.into_iter().flatten();
        let lost = slots.filter(|slot| slot.is_lost()).count() as u64;
        let course = Course::new(&laid.media);
        let first = laid.frames.first().map_or(0, |frame| frame.start);
        let last = laid.frames.last().map_or(0, |frame| frame.start);
        let interval = laid.counts.map_or(0, |counts| counts.interval);
        Ok(Self {
            latency,
            rtt: rtt.map(Duration::from_micros),
            counts: laid.counts,
            settled,
            datagrams: (sent, lost),
            run: course.mean_run(),
            part,
            duration: Duration::from_micros(last - first),
            interval: (interval > 0).then(|| Duration::from_micros(interval.into())),
            frames: laid.frames,
            media: laid.media,
            repair: laid.repair,
            control: laid.control,
            course,
        })
    }

    /// How many frames were sent, those of which nothing arrived included.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.frames.len() as u64
    }

    /// How many of them are replayed: all but of a long trace, of which
    /// stretches are that are spread over it evenly.
    #[must_use]
    pub fn replayed(&self) -> u64 {
        self.chosen().count() as u64
    }

    /// Those frames, counted from the first.
    pub(super) fn chosen(&self) -> impl Iterator<Item = usize> {
        let turn = STRETCH.max(STRETCH * self.media.len() as u64 / MOST_REPLAYED);
        let first = self.frames.first().map_or(0, |frame| frame.start);
        let frames = self.frames.iter().enumerate();
        let chosen = frames.filter(move |(_, frame)| (frame.start - first) % turn < STRETCH);
        // A stretch may have more in it than all are to have.
        let mut chunks = 0;
        let chosen = chosen.take_while(move |(_, frame)| {
            chunks += u64::from(frame.len.div_ceil(frame.size.into()));
            chunks <= 2 * MOST_REPLAYED
        });
        chosen.map(|(at, _)| at)
    }
}

impl Gathered {
    fn len(&self) -> usize {
        self.heard.iter().map(Vec::len).sum()
    }

    /// The one with more in it.
    fn or(self, other: Self) -> Self {
        if self.len() > other.len() {
            self
        } else {
            other
        }
    }

    /// Takes a datagram, unless there are too many.
    fn take(&mut self, datagram: &Datagram) -> bool {
        let Content::Native {
            channel,
            number,
            sent,
            body,
        } = datagram.content
        else {
            return true;
        };
        if self.len() >= MAX_HEARD || self.frames.len() >= MAX_FRAMES {
            return false;
        }
        if number > MAX_NUMBER {
            return true;
        }
        let transit = datagram.arrival.wrapping_sub(sent) as i64;
        let heard = match datagram.fate {
            Fate::Received => Heard::new(number, sent, Some(transit)),
            Fate::Corrupt => Heard::new(number, sent, None),
            Fate::Duplicate | Fate::Foreign | Fate::Malformed => return true,
        };
        self.heard[channel as usize].push(heard);
        match body {
            Body::Chunk(place) | Body::Resent(place) if place.frame > MAX_NUMBER => {}
            Body::Chunk(place) => {
                let base = number.checked_sub(place.index.into());
                self.frames.insert(place.frame, (place, base));
            }
            Body::Resent(place) => {
                self.frames.entry(place.frame).or_insert((place, None));
            }
            Body::Totals(counts) | Body::Farewell(counts) => {
                self.counts = Some(counts);
                self.ended |= matches!(body, Body::Farewell(_));
            }
            Body::Reply { rtt } if rtt > MAX_RTT => {}
            Body::Reply { rtt } => {
                self.rtt = Some(self.rtt.map_or(rtt, |least| least.min(rtt)));
            }
            Body::Parity | Body::Tables | Body::Damaged => {}
        }
        debug_assert!(channel == Channel::Media || !matches!(body, Body::Chunk(_)));
        true
    }
}

/// The most datagrams of a trace that are looked at: ten minutes of a fast
/// stream, hours of others.
const MAX_HEARD: usize = 4_000_000;

/// The most frames: nine hours at 30 frames a second.
pub(super) const MAX_FRAMES: usize = 1_000_000;

/// No stream counts so far: above it sums could overflow.
const MAX_NUMBER: u64 = 1 << 48;

/// A longer round trip, in microseconds, is a slip of a clock.
const MAX_RTT: u64 = 10_000_000;

/// So many chunks are replayed in a fraction of a second.
const MOST_REPLAYED: u64 = 75_000;

/// Microseconds of a stretch: parity follows the loss within a few seconds.
const STRETCH: u64 = 15_000_000;

/// No viewer waits for longer, in microseconds.
const MAX_LATENCY: u64 = 10_000_000;
