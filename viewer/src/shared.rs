//! State that the network thread and the main thread share: frames, their outcomes, and statistics.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context;
use framegram_cli::locks::lock;
use framegram_common::receiver::{FrameId, SinkOutcome};
use framegram_common::stats::{FrameRecord, TimecodeCounts};
use framegram_net::Waker;

use crate::frame_queue::FrameQueue;
use crate::report::live::Live;
use crate::report::timeline::Timeline;

/// The shared state.
pub struct Shared {
    /// The queue of frames to the sinks.
    pub frames: FrameQueue,
    outcomes: Mutex<Vec<(FrameId, SinkOutcome)>>,
    news: Mutex<News>,
    /// The counts of the timecodes shown, by tile, if they are read.
    timecode: Mutex<Vec<TimecodeCounts>>,
    /// Settled frames without a CSV row yet, if rows are written.
    records: Option<Mutex<Records>>,
    /// The timeline of the stream, once it is over.
    timeline: Mutex<Option<Timeline>>,
    /// The notice about the trace.
    traced: Mutex<Vec<String>>,
    stop: AtomicBool,
    over: AtomicBool,
    waker: Waker,
}

/// Settled frames without a CSV row yet.
#[derive(Default)]
struct Records {
    waiting: Vec<FrameRecord>,
    forgotten: u64,
}

/// What the main thread knows about the streams.
#[derive(Clone, Debug, Default)]
pub struct News {
    /// The figures of a moment ago.
    pub live: Arc<Live>,
    /// Each tile separately; one tile if a single stream is followed at a time.
    pub tiles: Arc<Vec<TileNews>>,
}

/// What the main thread knows about one tile.
#[derive(Clone, Debug, Default)]
pub struct TileNews {
    /// The figures of a moment ago.
    pub live: Live,
    /// When the stream ended.
    pub ended: Option<Duration>,
    /// When its newest datagram arrived.
    pub last_received: Option<Duration>,
}

impl News {
    /// Whether any stream has been followed.
    pub fn followed(&self) -> bool {
        self.tiles.iter().any(|tile| tile.last_received.is_some())
    }
}

impl Shared {
    /// With `rows`, each frame's record is kept until it is taken.
    ///
    /// # Errors
    /// If the system has no file descriptor left.
    pub fn new(frames: FrameQueue, rows: bool) -> anyhow::Result<Self> {
        Ok(Self {
            frames,
            outcomes: Mutex::default(),
            news: Mutex::default(),
            timecode: Mutex::default(),
            records: rows.then(Mutex::default),
            timeline: Mutex::default(),
            traced: Mutex::default(),
            stop: AtomicBool::new(false),
            over: AtomicBool::new(false),
            waker: Waker::new().context("cannot make a waker")?,
        })
    }

    /// Records the outcome of a frame that was taken. It is only counted, so the network thread
    /// takes it when it wakes for something else: a wake-up for each frame would cost more.
    pub fn settle(&self, id: FrameId, outcome: SinkOutcome) {
        lock(&self.outcomes).push((id, outcome));
    }

    /// Sets the timecode counts of a tile.
    pub fn set_timecode(&self, tile: usize, counts: TimecodeCounts) {
        let mut all = lock(&self.timecode);
        if all.len() <= tile {
            all.resize(tile + 1, TimecodeCounts::default());
        }
        all[tile] = counts;
    }

    /// Takes the records of newly settled frames. Also returns how many were dropped so far because
    /// they were not taken.
    pub fn take_records(&self) -> (Vec<FrameRecord>, u64) {
        let Some(records) = &self.records else {
            return (Vec::new(), 0);
        };
        let mut records = lock(records);
        (std::mem::take(&mut records.waiting), records.forgotten)
    }

    /// The timeline of the stream, once the network thread has ended.
    pub fn timeline(&self) -> Option<Timeline> {
        lock(&self.timeline).clone()
    }

    /// Keeps a record until it is taken, if rows are written.
    pub(crate) fn keep(&self, record: FrameRecord) {
        if let Some(records) = &self.records {
            let mut records = lock(records);
            if records.waiting.len() < MOST_RECORDS {
                records.waiting.push(record);
            } else {
                records.forgotten += 1;
            }
        }
    }

    /// The current news.
    pub fn news(&self) -> News {
        lock(&self.news).clone()
    }

    /// Stops the network thread.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Whether the network thread is to end.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Whether the network thread has put its last frame.
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// Records that no more frames come.
    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::Release);
        self.frames.wake();
    }

    /// Wakes the network thread.
    pub(crate) fn waker(&self) -> &Waker {
        &self.waker
    }

    /// Takes the outcomes recorded since the last call.
    pub(crate) fn take_outcomes(&self) -> Vec<(FrameId, SinkOutcome)> {
        std::mem::take(&mut *lock(&self.outcomes))
    }

    /// The newest timecode counts of a tile.
    pub(crate) fn timecode(&self, tile: usize) -> Option<TimecodeCounts> {
        lock(&self.timecode).get(tile).cloned()
    }

    /// The notice about the trace, once the network thread has ended.
    pub fn traced(&self) -> Vec<String> {
        lock(&self.traced).clone()
    }

    /// Sets the notice about the trace.
    pub(crate) fn set_traced(&self, lines: Vec<String>) {
        *lock(&self.traced) = lines;
    }

    /// Sets the timeline of the stream.
    pub(crate) fn set_timeline(&self, timeline: Timeline) {
        *lock(&self.timeline) = Some(timeline);
    }

    /// Changes the news.
    pub(crate) fn tell(&self, change: impl FnOnce(&mut News)) {
        change(&mut lock(&self.news));
    }
}

/// Upper bound on records that wait for their row: half an hour at 30 frames per second, while the
/// reader of a pipe stalls.
const MOST_RECORDS: usize = 1 << 16;
