//! The native stream of a trace.

use std::io::Read;
use std::time::Duration;

use framegram_common::wire::Format;
use thiserror::Error;

use super::layout::{self, FrameSent};
use super::slots::{LossTimeline, PacketSlot};
use super::stream_index::StreamIndex;
use crate::trace::{Entry, TraceError, TraceReader, TracedCounts, Why};

/// The stream with the most packets in a trace.
#[derive(Debug)]
pub struct TracedStream {
    /// Playout delay of the viewer.
    pub latency: Duration,
    /// Shortest RTT in the trace.
    pub rtt: Option<Duration>,
    /// The newest sender report.
    pub counts: Option<TracedCounts>,
    /// Frames with a known outcome, and those shown complete.
    pub settled: (u64, u64),
    /// Datagrams sent, as far as known, and those lost or corrupt.
    pub datagrams: (u64, u64),
    /// Mean length of a run of lost datagrams.
    pub run: f64,
    /// How much of the stream the trace contains.
    pub part: Completeness,
    /// Number of streams of this format in the trace, and the position of this
    /// one, counted from 1.
    pub streams: (usize, usize),
    /// Position of data after the end of the trace, in bytes, if there is any.
    pub junk: Option<u64>,
    /// Time from the first frame to the last.
    pub duration: Duration,
    pub(super) interval: Option<Duration>,
    pub(super) frames: Vec<FrameSent>,
    /// All chunks of all frames, in order.
    pub(super) media: Vec<PacketSlot>,
    pub(super) losses: LossTimeline,
}

/// How much of a stream is in a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Completeness {
    /// Everything that the viewer received.
    Complete,
    /// The trace ended at its size limit.
    Limit,
    /// The trace ended because writing could not keep up.
    Slow,
    /// The file is incomplete or damaged; the text says where.
    Broken(String),
    /// The rest exceeds the limits of this reader.
    Long,
}

/// Why a trace cannot be replayed.
#[derive(Debug, Error)]
pub enum TracedStreamError {
    /// The trace cannot be read.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// No datagram of a stream arrived.
    #[error("there is no datagram in it: no stream arrived while it was recorded")]
    Empty,
    /// The trace has only other formats.
    #[error(
        "there is no stream of the native format in it: RTP and bare JPEG have neither parity nor NACKs"
    )]
    Foreign,
    /// The stream is too short.
    #[error("it covers less than one frame interval: record for longer")]
    Short,
}

/// The streams of a trace. Only the one with the most packets is kept.
#[derive(Debug, Default)]
struct Streams {
    best: StreamIndex,
    now: StreamIndex,
    /// Number of streams with packets, and the position of the best one.
    count: usize,
    which: usize,
}

impl Streams {
    /// Starts another stream.
    fn begin(&mut self) {
        let now = std::mem::take(&mut self.now);
        if now.len() == 0 {
            return;
        }
        self.count += 1;
        if now.len() >= self.best.len() {
            (self.best, self.which) = (now, self.count);
        }
    }
}

impl TracedStream {
    /// Reads a trace to its end, or up to its last complete block.
    ///
    /// # Errors
    /// If the trace has nothing to replay.
    pub fn read(input: impl Read) -> Result<Self, TracedStreamError> {
        let mut reader = TraceReader::new(input)?;
        let (mut latency, mut part, mut junk) = (Duration::ZERO, Completeness::Complete, None);
        let mut streams = Streams::default();
        let (mut native, mut any, mut broken) = (true, false, None);
        loop {
            let entry = match reader.next_entry() {
                Ok(Some(entry)) => entry,
                Ok(None) => break,
                Err(TraceError::Junk(behind)) => {
                    junk = Some(behind);
                    break;
                }
                Err(error) if error.is_partial() => {
                    part = Completeness::Broken(error.to_string());
                    broken = Some(error);
                    break;
                }
                Err(error) => return Err(error.into()),
            };
            match entry {
                Entry::Begin { playout_delay, .. } => {
                    latency = Duration::from_micros(playout_delay.min(MAX_LATENCY));
                }
                Entry::Stream { format, .. } => {
                    native = format == Format::Native;
                    streams.begin();
                }
                Entry::Frame { number, outcome } => streams.now.settle(number, outcome),
                Entry::Datagram(datagram) if native => {
                    any = true;
                    if !streams.now.take(&datagram) {
                        part = Completeness::Long;
                        break;
                    }
                }
                Entry::Datagram(_) => any = true,
                Entry::Drops { .. } => {}
                Entry::End { why, .. } => {
                    part = match why {
                        Why::Over => Completeness::Complete,
                        Why::Limit => Completeness::Limit,
                        Why::Slow => Completeness::Slow,
                    };
                }
            }
        }
        streams.begin();
        if streams.best.len() == 0 {
            return Err(match broken {
                _ if any => TracedStreamError::Foreign,
                Some(error) => error.into(),
                None => TracedStreamError::Empty,
            });
        }
        let which = (streams.count, streams.which);
        match (Self::of(streams.best, latency, part), broken) {
            (Some(stream), _) => Ok(Self {
                streams: which,
                junk,
                ..stream
            }),
            (None, Some(error)) => Err(error.into()),
            (None, None) => Err(TracedStreamError::Short),
        }
    }

    fn of(index: StreamIndex, latency: Duration, part: Completeness) -> Option<Self> {
        let (rtt, settled) = (index.rtt, index.settled);
        let laid = layout::lay_out(index)?;
        let losses = LossTimeline::new(&laid.media);
        let first = laid.frames.first().map_or(0, |frame| frame.start);
        let last = laid.frames.last().map_or(0, |frame| frame.start);
        let interval = laid.counts.map_or(0, |counts| counts.interval);
        Some(Self {
            latency,
            rtt: rtt.map(Duration::from_micros),
            counts: laid.counts,
            settled,
            datagrams: laid.datagrams,
            run: losses.mean_run(),
            part,
            streams: (1, 1),
            junk: None,
            duration: Duration::from_micros(last - first),
            interval: (interval > 0).then(|| Duration::from_micros(interval.into())),
            frames: laid.frames,
            media: laid.media,
            losses,
        })
    }

    /// Number of frames sent, including those of which nothing arrived.
    pub fn frames(&self) -> u64 {
        self.frames.len() as u64
    }

    /// Number of frames that are replayed: all, or evenly distributed stretches
    /// of a long trace.
    pub fn replayed(&self) -> u64 {
        self.chosen().count() as u64
    }

    /// Positions of the replayed frames.
    pub(super) fn chosen(&self) -> impl Iterator<Item = usize> {
        let turn = STRETCH.max(STRETCH * self.media.len() as u64 / MOST_REPLAYED);
        let first = self.frames.first().map_or(0, |frame| frame.start);
        let frames = self.frames.iter().enumerate();
        let chosen = frames.filter(move |(_, frame)| (frame.start - first) % turn < STRETCH);
        // The chosen stretches may contain more chunks than the target.
        let mut chunks = 0;
        let chosen = chosen.take_while(move |(_, frame)| {
            chunks += u64::from(frame.len.div_ceil(frame.size.into()));
            chunks <= 2 * MOST_REPLAYED
        });
        chosen.map(|(at, _)| at)
    }
}

/// Target number of chunks to replay. It takes a fraction of a second.
const MOST_REPLAYED: u64 = 75_000;

/// Length of a stretch in microseconds. Parity adapts to loss within a few
/// seconds.
const STRETCH: u64 = 15_000_000;

/// Upper bound on a viewer's playout delay in microseconds.
const MAX_LATENCY: u64 = 10_000_000;
