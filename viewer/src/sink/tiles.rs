//! Several streams side by side, each in a tile of one window, or decoded without a window.

mod decoding;
mod memory;

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use framegram_cli::threads::Threads;
use framegram_common::receiver::{FrameId, ReceivedFrame};
use framegram_media::XrgbImage;
use framegram_net::clock;

use super::wall::{self, TileLabel, Wall};
use super::{Flow, Settled, Shown, Sink, Status};
use crate::decoding::DecodingThread;
use crate::shared::TileNews;
use decoding::{TileDecoders, TileJob};

/// The tiles. Frames are decoded outside the main thread.
pub(crate) struct Tiles {
    /// `None`: without a window. Frames are decoded all the same.
    window: Option<Wall>,
    decoding: TileDecoders,
    /// Decodes for the snapshot.
    snapshots: DecodingThread,
    tiles: Vec<TileState>,
    /// Frames with an outcome to report.
    settled: VecDeque<Settled>,
    next_draw: Duration,
    /// An anomaly of a frame, until it is reported.
    remark: Option<String>,
}

/// The state of a tile.
#[derive(Default)]
struct TileState {
    /// The session of the newest frames.
    session: u64,
    /// The newest frame, which is decoded next.
    waiting: Option<ReceivedFrame>,
    /// The frame that is being decoded.
    decoded: Option<FrameId>,
    /// Until this time, its frames count as slow.
    slow_until: Duration,
    /// The previously shown frame, to fill holes from.
    last: Option<Bytes>,
}

impl Tiles {
    /// Shows the tiles in this window, if there is one.
    ///
    /// # Errors
    /// If the decoders or their threads cannot be created.
    pub(crate) fn new(
        window: Option<Wall>,
        snapshots: DecodingThread,
        threads: &Threads,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            window,
            decoding: TileDecoders::start(threads)?,
            snapshots,
            tiles: Vec::new(),
            settled: VecDeque::new(),
            next_draw: Duration::ZERO,
            remark: None,
        })
    }

    fn settle(&mut self, id: FrameId, tile: usize, shown: Shown, jpeg: Bytes) {
        self.settled.push_back(Settled {
            id,
            tile,
            shown,
            jpeg,
        });
    }

    /// Passes the waiting frame of a tile to the decoders, unless they still have one of this tile.
    fn decode(&mut self, tile: usize, now: Duration) {
        let state = &mut self.tiles[tile];
        if state.decoded.is_some() {
            return;
        }
        let Some(frame) = state.waiting.take() else {
            return;
        };
        state.decoded = Some(frame.id);
        let is_slow = now < state.slow_until || decoding::looks_slow(&frame.jpeg);
        let job = TileJob {
            tile,
            frame,
            before: state.last.clone(),
            area: self.window.as_mut().map(|window| window.area(tile)),
            picture: XrgbImage::default(),
        };
        self.decoding.put(job, is_slow);
    }

    /// Takes the decoded frames.
    fn take_decoded(&mut self, now: Duration) {
        while let Some(done) = self.decoding.poll() {
            let tile = done.tile;
            let state = &mut self.tiles[tile];
            state.decoded = None;
            if done.took >= SLOW {
                state.slow_until = now + SLOW_FOR;
            }
            let shown = match done.outcome {
                Err(_) => Shown::Undecodable,
                Ok(()) => {
                    let remark = done.remark;
                    let remark = remark.map(|it| format!("sender {}: {it}", tile + 1));
                    self.remark = self.remark.take().or(remark);
                    if let Some(window) = &mut self.window {
                        window.put(tile, done.picture);
                    }
                    state.last = Some(done.jpeg.clone());
                    Shown::Yes
                }
            };
            self.settle(done.id, tile, shown, done.jpeg);
            self.decode(tile, now);
        }
    }
}

impl Sink for Tiles {
    fn show(&mut self, frame: &ReceivedFrame, status: &Status) -> anyhow::Result<Shown> {
        let tile = frame.tile;
        if self.tiles.len() <= tile {
            self.tiles.resize_with(tile + 1, TileState::default);
        }
        let state = &mut self.tiles[tile];
        if state.session != frame.id.session {
            // The tile has another stream: there is no frame to fill holes from.
            state.session = frame.id.session;
            state.last = None;
        }
        let older = state.waiting.replace(frame.clone());
        let bounded = memory::bound(&mut self.tiles, memory::MAX_KEPT);
        for older in older.into_iter().chain(bounded) {
            self.settle(older.id, older.tile, Shown::Withheld, older.jpeg);
        }
        self.decode(tile, status.now);
        Ok(Shown::Later)
    }

    fn poll_settled(&mut self) -> Option<Settled> {
        self.settled.pop_front()
    }

    fn tend(&mut self, status: &Status) -> anyhow::Result<Flow> {
        self.take_decoded(status.now);
        let Some(window) = self
            .window
            .as_mut()
            .filter(|_| status.now >= self.next_draw)
        else {
            return Ok(Flow::Continue);
        };
        self.next_draw = status.now + DRAW;
        window.tend(&labels(status), status.live)
    }

    fn is_idle(&self) -> bool {
        let idle = |tile: &TileState| tile.waiting.is_none() && tile.decoded.is_none();
        self.settled.is_empty() && self.tiles.iter().all(idle)
    }

    fn take_remark(&mut self) -> Option<String> {
        self.remark.take()
    }

    fn patience(&self) -> Duration {
        DRAW
    }

    /// An image of all tiles.
    fn image(&mut self, status: &Status) -> Option<XrgbImage> {
        let begun = clock::now();
        let mut pictures = Vec::new();
        for tile in &self.tiles {
            // Tiles that would delay the end are left out.
            let in_time = clock::now().saturating_sub(begun) < SNAPSHOT;
            let last = tile.last.as_ref().filter(|_| in_time);
            pictures.push(last.and_then(|jpeg| self.snapshots.decode_whole(jpeg).ok()));
        }
        if pictures.iter().all(Option::is_none) {
            return None;
        }
        let size = self.window.as_ref().map_or(wall::SIZE, Wall::size);
        Some(wall::compose(&pictures, &labels(status), size))
    }

    fn discard(&mut self) {
        for tile in 0..self.tiles.len() {
            let state = &mut self.tiles[tile];
            let waiting = state.waiting.take().map(|frame| frame.id);
            for id in waiting.into_iter().chain(state.decoded.take()) {
                self.settle(id, tile, Shown::Withheld, Bytes::new());
            }
        }
    }
}

fn labels<'a>(status: &Status<'a>) -> Vec<TileLabel<'a>> {
    let label = |tile: &'a TileNews| TileLabel {
        live: &tile.live,
        ended: tile.ended.is_some(),
        silence: status
            .now
            .saturating_sub(tile.last_received.unwrap_or(status.now)),
    };
    status.tiles.iter().map(label).collect()
}

/// Interval of drawing: that of most screens.
const DRAW: Duration = Duration::from_millis(16);

/// A frame that takes longer to decode counts as slow. At 20 frames per second, such a sender
/// occupies one decoder.
const SLOW: Duration = Duration::from_millis(50);

/// For this long after a slow frame, that sender's frames count as slow.
const SLOW_FOR: Duration = Duration::from_secs(10);

/// The longest time spent decoding pictures for the snapshot at the end.
const SNAPSHOT: Duration = Duration::from_secs(2);
