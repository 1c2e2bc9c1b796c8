//! Decodes frames of several senders in threads of their own. Slow frames of one sender delay
//! neither the others nor the end: the decoders have one frame of each sender at a time, the newest
//! waiting one is next, and one decoder is reserved for quick frames.

use std::num::NonZero;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use bytes::Bytes;
use crossbeam_channel::{Receiver, RecvError, Sender, never, select, unbounded};
use framegram_cli::sandbox::Work;
use framegram_cli::threads::Threads;
use framegram_common::jpeg::{self, JpegHeader};
use framegram_common::receiver::{FrameId, ReceivedFrame};
use framegram_common::slices;
use framegram_media::{Decoder, Reduction, Undecodable, XrgbImage, vet};
use framegram_window::decode_for;

/// A frame to be decoded.
pub(super) struct TileJob {
    pub(super) tile: usize,
    pub(super) frame: ReceivedFrame,
    /// The previously shown frame, to fill holes from.
    pub(super) before: Option<Bytes>,
    /// The display size; `None` without a window.
    pub(super) area: Option<(usize, usize)>,
    /// Memory for its pixels.
    pub(super) picture: XrgbImage,
}

/// The result of a job.
pub(super) struct Done {
    pub(super) tile: usize,
    pub(super) id: FrameId,
    /// The JPEG with its holes filled.
    pub(super) jpeg: Bytes,
    pub(super) picture: XrgbImage,
    pub(super) outcome: Result<(), Undecodable>,
    /// An anomaly of the frame, which could be decoded nevertheless.
    pub(super) remark: Option<String>,
    pub(super) took: Duration,
}

/// The decoders, each in a thread of its own. A decoder that is busy at the end is left behind.
pub(super) struct TileDecoders {
    quick: JobQueue,
    slow: JobQueue,
    done: Receiver<Done>,
}

/// Jobs that wait: at most one of each tile.
type JobQueue = (Sender<TileJob>, Receiver<TileJob>);

impl TileDecoders {
    /// Starts the decoders. `threads` records their panics.
    ///
    /// # Errors
    /// If the system cannot start them.
    pub(super) fn start(threads: &Threads) -> Result<Self> {
        let processors = thread::available_parallelism().map_or(1, NonZero::get);
        let decoders = processors.clamp(*DECODERS.start(), *DECODERS.end());
        Self::with(threads, decoders, || {
            let mut decoder = Decoder::new()?;
            Ok(move |job| decode(&mut decoder, job))
        })
    }

    fn with<W: FnMut(TileJob) -> Done + Send + 'static>(
        threads: &Threads,
        decoders: usize,
        worker: impl Fn() -> Result<W>,
    ) -> Result<Self> {
        let (quick, slow): (JobQueue, JobQueue) = (unbounded(), unbounded());
        let (finished, done) = unbounded();
        for decoder in 0..decoders {
            let (finished, mut work) = (finished.clone(), worker()?);
            let quick = quick.1.clone();
            let slow = if decoder > 0 { slow.1.clone() } else { never() };
            threads.spawn_confined(Work::Decoding, "decoder", move || {
                while let Ok(job) = next(&quick, &slow) {
                    // The requester may be gone.
                    let _ = finished.send(work(job));
                }
            })?;
        }
        Ok(Self { quick, slow, done })
    }

    /// Queues a frame after those of other senders. If it `is_slow`, the decoder reserved for quick
    /// frames does not take it.
    pub(super) fn put(&self, job: TileJob, is_slow: bool) {
        let queue = if is_slow { &self.slow } else { &self.quick };
        // It is open: this side has a receiver too.
        let _ = queue.0.send(job);
    }

    /// A decoded frame, if there is one.
    pub(super) fn poll(&self) -> Option<Done> {
        self.done.try_recv().ok()
    }
}

impl Drop for TileDecoders {
    fn drop(&mut self) {
        // What waits at the end is not decoded any more.
        for (_, waiting) in [&self.quick, &self.slow] {
            waiting.try_iter().for_each(drop);
        }
    }
}

/// Waits for a frame, slow ones first.
///
/// # Errors
/// When there are no more.
fn next(quick: &Receiver<TileJob>, slow: &Receiver<TileJob>) -> Result<TileJob, RecvError> {
    slow.try_recv().or_else(|_| {
        select! {
            recv(slow) -> job => job,
            recv(quick) -> job => job,
        }
    })
}

/// Whether a frame probably takes long to decode, judging by its header.
pub(super) fn looks_slow(jpeg: &[u8]) -> bool {
    let Ok(header) = JpegHeader::parse(jpeg) else {
        return false;
    };
    let pixels = usize::from(header.width) * usize::from(header.height);
    pixels * jpeg::scan_count(jpeg) > QUICK_PIXELS
}

fn decode(decoder: &mut Decoder, job: TileJob) -> Done {
    let begun = Instant::now();
    let TileJob {
        tile,
        frame,
        before,
        area,
        mut picture,
    } = job;
    let jpeg = filled(&frame, before.as_ref());
    let vetted = match frame.checked {
        true => Ok(()),
        false => vet(&jpeg, false),
    };
    let outcome = vetted.and_then(|()| match area {
        Some(area) => decode_for(decoder, &jpeg, area, &mut picture).map(drop),
        None => decoder.decode(&jpeg, Reduction::Eighth, &mut picture),
    });
    Done {
        tile,
        id: frame.id,
        jpeg,
        picture,
        outcome,
        remark: decoder.take_remark(),
        took: begun.elapsed(),
    }
}

/// The JPEG of a frame, its holes filled from the one before.
fn filled(frame: &ReceivedFrame, before: Option<&Bytes>) -> Bytes {
    let filled = before
        .filter(|_| !frame.stale.is_empty())
        .and_then(|before| slices::fill(&frame.jpeg, &frame.stale, before));
    filled.map_or_else(|| frame.jpeg.clone(), Bytes::from)
}

/// The number of decoders: at least one besides that for quick frames, and few, since a progressive
/// picture takes 240 MB while it is decoded.
const DECODERS: std::ops::RangeInclusive<usize> = 2..=4;

/// Upper bound on the pixels of all scans of a quick frame: twice 4K.
const QUICK_PIXELS: usize = 2 * 3_840 * 2_160;

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{self, channel};
    use std::sync::{Arc, Mutex};

    use framegram_cli::stop::Stop;

    use super::*;
    use crate::fixture::{frame, quadrants};

    /// The longest that a decoder may take on a busy machine.
    const PATIENCE: Duration = Duration::from_secs(30);

    fn job(tile: usize, number: u64, jpeg: &[u8]) -> TileJob {
        TileJob {
            tile,
            frame: frame(number, jpeg),
            before: None,
            area: None,
            picture: XrgbImage::default(),
        }
    }

    /// Decoders whose slow frames, those of tile 0, take until the returned sender is dropped.
    fn held_up(decoders: usize) -> (TileDecoders, mpsc::Sender<()>) {
        let (release, held) = channel::<()>();
        let held = Arc::new(Mutex::new(held));
        let threads = Threads::new(&Stop::new());
        let decoding = TileDecoders::with(&threads, decoders, || {
            let held = Arc::clone(&held);
            let mut decoder = Decoder::new()?;
            Ok(move |job: TileJob| {
                if job.tile == 0 {
                    let _ = held.lock().unwrap().recv();
                }
                decode(&mut decoder, job)
            })
        });
        (decoding.unwrap(), release)
    }

    #[test]
    fn one_sender_s_slow_frames_do_not_hold_up_the_others() {
        for decoders in [2, 4] {
            let (decoding, release) = held_up(decoders);
            let jpeg = quadrants(64, 48);
            // As if from many senders.
            for number in 0..8 {
                decoding.put(job(0, number, &jpeg), true);
            }
            for number in 0..50 {
                decoding.put(job(1, number, &jpeg), false);
                let done = decoding.done.recv_timeout(PATIENCE).unwrap();
                assert_eq!((done.tile, done.id.number.0), (1, number));
                assert!(done.outcome.is_ok());
            }
            drop(release);
            for _ in 0..8 {
                let done = decoding.done.recv_timeout(PATIENCE).unwrap();
                assert_eq!(done.tile, 0);
            }
        }
    }

    #[test]
    fn the_end_waits_for_no_frame() {
        let (decoding, release) = held_up(2);
        for number in 0..3 {
            decoding.put(job(0, number, &quadrants(64, 48)), true);
        }
        drop(decoding);
        drop(release);
    }

    #[test]
    fn large_frames_of_many_scans_look_slow() {
        assert!(!looks_slow(&quadrants(64, 48)));
        assert!(!looks_slow(b"no jpeg"));
        let mut large = quadrants(64, 48);
        let sof = large.windows(2).position(|w| w == [0xff, 0xc0]).unwrap();
        let side = 4_000_u16.to_be_bytes();
        large[sof + 5..sof + 9].copy_from_slice(&[side, side].concat());
        assert!(!looks_slow(&large));
        large.extend([0xff, 0xda]);
        assert!(looks_slow(&large));
    }
}
