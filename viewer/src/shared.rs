//! State that the network thread and the main thread share: frames, their
//! outcomes, and what is known of the stream.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use framegram_common::receiver::{FrameId, SinkOutcome};
use framegram_common::stats::{FrameRecord, TimecodeCounts};
use framegram_net::Waker;

use crate::frame_queue::FrameQueue;
use crate::report::live::Live;
use crate::report::timeline::Timeline;

/// What both threads read and write.
pub struct Shared {
    /// Frames on their way to the sinks.
    pub frames: FrameQueue,
    outcomes: Mutex<Vec<(FrameId, SinkOutcome)>>,
    news: Mutex<News>,
    /// What the timecodes of the frames shown say, by tile, where they are read.
    timecode: Mutex<Vec<TimecodeCounts>>,
    /// Frames that were settled and have no row yet, where rows are wanted.
    records: Option<Mutex<Records>>,
    /// How the stream went, once it is over.
    timeline: Mutex<Option<Timeline>>,
    /// What there is to say of the trace.
    traced: Mutex<Option<String>>,
    stop: AtomicBool,
    waker: Waker,
}

/// Frames that were settled and have no row yet.
#[derive(Default)]
struct Records {
    waiting: Vec<FrameRecord>,
    forgotten: u64,
}

/// What the sinks' side may know of the stream.
#[derive(Clone, Debug, Default)]
pub struct News {
    /// The figures, as of a moment ago.
    pub live: Arc<Live>,
    /// Each tile by itself: one, unless all streams are shown.
    pub tiles: Arc<Vec<TileNews>>,
}

/// What the sinks' side may know of one tile.
#[derive(Clone, Debug, Default)]
pub struct TileNews {
    /// The figures, as of a moment ago.
    pub live: Live,
    /// When the stream ended.
    pub ended: Option<Duration>,
    /// When its newest datagram arrived.
    pub last_received: Option<Duration>,
}

impl News {
    /// Whether any stream was followed yet.
    #[must_use]
    pub fn followed(&self) -> bool {
        self.tiles.iter().any(|tile| tile.last_received.is_some())
    }
}

impl Shared {
    /// Where rows are wanted, each frame's record is kept until it is taken.
    ///
    /// # Errors
    /// Where the system has no file descriptor left.
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
            waker: Waker::new().context("cannot make a waker")?,
        })
    }

    /// Says what became of a frame that was taken.
    pub fn settle(&self, id: FrameId, outcome: SinkOutcome) {
        lock(&self.outcomes).push((id, outcome));
        self.waker.wake();
    }

    /// Sets what the timecodes of the frames shown in a tile tell.
    pub fn set_timecode(&self, tile: usize, counts: TimecodeCounts) {
        let mut all = lock(&self.timecode);
        if all.len() <= tile {
            all.resize(tile + 1, TimecodeCounts::default());
        }
        all[tile] = counts;
    }

    /// The records of the frames that were settled since, and how many were
    /// forgotten so far because they were not taken.
    pub fn take_records(&self) -> (Vec<FrameRecord>, u64) {
        let Some(records) = &self.records else {
            return (Vec::new(), 0);
        };
        let mut records = lock(records);
        (std::mem::take(&mut records.waiting), records.forgotten)
    }

    /// How the stream went, once the network's thread has ended.
    pub fn timeline(&self) -> Option<Timeline> {
        lock(&self.timeline).clone()
    }

    /// Keeps a record until it is taken, where rows are wanted.
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

    /// What is known by now.
    #[must_use]
    pub fn news(&self) -> News {
        lock(&self.news).clone()
    }

    /// Ends the network's thread.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Whether the network's thread is to end.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// What wakes the network's thread.
    pub(crate) fn waker(&self) -> &Waker {
        &self.waker
    }

    /// What became of frames since.
    pub(crate) fn take_outcomes(&self) -> Vec<(FrameId, SinkOutcome)> {
        std::mem::take(&mut *lock(&self.outcomes))
    }

    /// What the timecodes of the frames shown in a tile said last.
    pub(crate) fn timecode(&self, tile: usize) -> Option<TimecodeCounts> {
        lock(&self.timecode).get(tile).cloned()
    }

    /// What there is to say of the trace, once the network's thread has ended.
    pub fn traced(&self) -> Option<String> {
        lock(&self.traced).clone()
    }

    /// Says what there is to say of the trace.
    pub(crate) fn set_traced(&self, line: String) {
        *lock(&self.traced) = Some(line);
    }

    /// Says how the stream went.
    pub(crate) fn set_timeline(&self, timeline: Timeline) {
        *lock(&self.timeline) = Some(timeline);
    }

    /// Changes the news.
    pub(crate) fn tell(&self, change: impl FnOnce(&mut News)) {
        change(&mut lock(&self.news));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Records that wait for their row: half an hour at 30 frames per second, while
/// whoever reads a pipe does not.
const MOST_RECORDS: usize = 1 << 16;
