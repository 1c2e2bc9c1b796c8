//! The threads between a source and the transmit loop: one reads frames when they are due, several
//! encode them.

mod ahead;
mod bypass;
mod early;
mod second;
mod source_loop;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use framegram_cli::locks::lock;
use framegram_cli::numbers::or_none;
use framegram_cli::threads::{Busy, OnDrop, Thread, Threads};
use framegram_common::frame::{MAX_FRAME_BYTES, Times};
use framegram_lab::timecode::{self, Timecode};
use framegram_net::{Waker, clock};
use log::info;

use self::ahead::Ahead;
use self::bypass::Bypass;
use self::early::EarlyEncoder;
pub(crate) use self::second::SecondFrame;
use self::second::{SecondEncoder, SecondPipeline};
use self::source_loop::SourceLoop;
use crate::args::{Options, Wire};
use crate::encode::{Encoded, Encoder, Limiter, Settings};
use crate::queue::{FrameSlot, Ordered, PutResult};
use crate::restart::Restart;
use crate::source::{Content, Source, Spec};
use crate::stop::Stop;

/// Upper bound on encoder threads: two encode 4K at 60 frames per second, more only help `--fps
/// max`, and each holds pictures.
const MAX_ENCODERS: usize = 8;

/// How long the end waits for a source that is blocked in its driver or pipe, before its thread is
/// left behind.
const SOURCE_GRACE: Duration = Duration::from_millis(300);

/// A frame on its way out.
pub(crate) struct EncodedFrame {
    /// The JPEG, or the error of encoding.
    pub(crate) encoded: Result<Encoded>,
    /// When it was captured and encoded, on the monotonic clock.
    pub(crate) times: Times,
}

/// What the source has done so far.
#[derive(Debug, Default)]
pub(crate) struct PipelineCounts {
    pub(crate) captured: AtomicU64,
    pub(crate) replaced: AtomicU64,
    pub(crate) unreadable: AtomicU64,
}

impl PipelineCounts {
    /// A frame was captured. It may have replaced an older one.
    fn record(&self, put: PutResult) {
        self.captured.fetch_add(1, Ordering::Relaxed);
        if put == PutResult::Replaced {
            self.replaced.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A source and its encoders at work.
pub(crate) struct Pipeline {
    captured: Arc<FrameSlot<CapturedFrame>>,
    encoded: Arc<Ordered<EncodedFrame>>,
    /// Set if frames may be passed through.
    bypass: Option<Arc<Bypass>>,
    /// Set if viewers may need a second encoding.
    second: Option<SecondPipeline>,
    counts: Arc<PipelineCounts>,
    restart: Option<Arc<Mutex<Restart>>>,
    limiter: Limiter,
    /// Each frame is one datagram.
    raw: bool,
    stop: Stop,
    source: Thread<Result<()>>,
    encoders: Vec<Thread<()>>,
    /// Those that encode lower halves for the encoders.
    helpers: Vec<Thread<()>>,
}

/// What the timecodes of one run have in common.
#[derive(Clone, Copy)]
struct RunIdentity {
    clock: u16,
    run: u8,
}

impl RunIdentity {
    fn draw() -> Self {
        let random = framegram_net::random_u64();
        Self {
            // If the system does not report its boot id, the run has a clock of its own.
            clock: timecode::clock().unwrap_or(random as u16),
            run: (random >> 16) as u8,
        }
    }
}

/// A frame that waits to be encoded.
struct CapturedFrame {
    content: Content,
    captured: Duration,
}

impl Pipeline {
    /// Starts the threads. `waker` is woken when a frame is ready.
    pub(crate) fn start(
        source: Box<dyn Source>,
        options: &Options,
        settings: Settings,
        stop: &Stop,
        waker: &Waker,
        threads: &Threads,
    ) -> Result<Self> {
        let parallel = thread::available_parallelism().map_or(1, usize::from);
        let encoders = parallel.min(MAX_ENCODERS);
        info!(
            "{encoders} encoder threads, quality {}, at most {} bytes a frame",
            or_none(settings.quality),
            or_none(settings.max_frame_bytes)
        );
        let captured = Arc::new(FrameSlot::new());
        let encoded = Arc::new(Ordered::new(encoders));
        let counts = Arc::new(PipelineCounts::default());

        let first = Encoder::new(settings)?;
        let restart = first.restart().cloned();
        let limiter = first.limiter();
        let passing = first.pass_through();
        let identity = options.timecode.then(RunIdentity::draw);
        let (second, mut seconds) = if options.may_encode_twice() {
            let settings = Settings {
                first_frame_bytes: Some(MAX_FRAME_BYTES),
                ..settings
            };
            let (second, each) = SecondPipeline::new(settings, encoders)?;
            (Some(second), each)
        } else {
            (None, Vec::new())
        };
        let early = first.another()?;
        let mut all = Vec::new();
        for _ in 1..encoders {
            all.push(first.another()?);
        }
        all.push(first);
        // Nobody waits for the frames of a file.
        let is_urgent = source.is_live() || !matches!(options.source, Spec::Path(_));
        let (mut encoding, mut helpers) = (Vec::new(), Vec::new());
        for mut encoder in all {
            if is_urgent && parallel > 1 {
                helpers.push(threads.spawn("lower half", encoder.second_thread()?)?);
            }
            let maker = Maker {
                encoder,
                second: seconds.pop(),
                identity,
            };
            encoding.push(encode(maker, &captured, &encoded, waker, threads)?);
        }

        // A timecode is drawn, and a second encoding made, by the encoders.
        let bypass = (identity.is_none() && second.is_none()).then(|| {
            Arc::new(Bypass {
                passing,
                captured: Arc::clone(&captured),
                encoded: Arc::clone(&encoded),
                counts: Arc::clone(&counts),
                waker: waker.clone(),
                ahead: Ahead::default(),
            })
        });
        let mut source_loop = SourceLoop {
            source,
            captured: Arc::clone(&captured),
            bypass: bypass.clone(),
            early: (!is_urgent).then(|| EarlyEncoder::new(early)),
            counts: Arc::clone(&counts),
            stop: stop.clone(),
            is_piped: matches!(options.source, Spec::Stdin),
            rate: options.fps,
            repeat: options.repeat,
            frames: options.frames.unwrap_or(u64::MAX),
        };
        let closing = Arc::clone(&captured);
        let source = threads.spawn("source", move || {
            // Also after a panic.
            let _over = OnDrop(|| closing.close());
            source_loop.run()
        })?;
        // A source that blocks must not delay the end.
        let (closing, early) = (Arc::clone(&captured), bypass.clone());
        stop.on_stop(move || {
            closing.close();
            early.iter().for_each(|bypass| bypass.ahead.close());
        });
        Ok(Self {
            captured,
            encoded,
            bypass,
            second,
            counts,
            restart,
            limiter,
            raw: options.wire == Wire::Raw,
            stop: stop.clone(),
            source,
            encoders: encoding,
            helpers,
        })
    }

    /// Hands over the frames that were read before they were due and now are. Returns when to call
    /// it again, even if nothing wakes the transmit loop.
    pub(crate) fn release(&self, now: Duration) -> Option<Duration> {
        self.bypass.as_ref().and_then(|bypass| bypass.release(now))
    }

    /// The next frame in order, if it is ready.
    pub(crate) fn take(&self) -> Option<EncodedFrame> {
        let frame = self.encoded.take()?;
        if let Some(second) = &self.second {
            second.record_first();
        }
        Some(frame)
    }

    /// The second encoding of the next frame that was taken, if it is ready.
    pub(crate) fn take_second(&self) -> Option<SecondFrame> {
        self.second.as_ref().and_then(SecondPipeline::take)
    }

    /// Whether all frames were taken and no more come.
    pub(crate) fn is_finished(&self) -> bool {
        self.encoded.is_finished() && self.second.as_ref().is_none_or(SecondPipeline::is_finished)
    }

    pub(crate) fn counts(&self) -> &PipelineCounts {
        &self.counts
    }

    /// Sets whether nobody watches. Then nothing is encoded, and the newest captured frame waits.
    pub(crate) fn set_idle(&self, idle: bool) {
        self.captured.set_idle(idle);
    }

    /// Limits frames that are begun from now on to this many bytes.
    pub(crate) fn set_frame_bytes(&self, bytes: usize) {
        self.limiter.set(bytes);
    }

    /// Limits the second encoding of frames that are begun from now on to this many bytes; `None`:
    /// there is none.
    pub(crate) fn set_second(&self, bytes: Option<usize>) {
        if let Some(second) = &self.second {
            second.set(bytes);
        }
    }

    /// Sets the datagram size.
    pub(crate) fn set_datagram(&self, bytes: usize) {
        if self.raw {
            self.limiter.lower(bytes);
        }
        let second = self.second.as_ref().and_then(SecondPipeline::restart);
        for restart in self.restart.iter().chain(second) {
            lock(restart).set_datagram(bytes);
        }
    }

    /// Ends the threads.
    ///
    /// # Errors
    /// The error of the source.
    pub(crate) fn end(self) -> Result<()> {
        self.captured.close();
        // Nobody takes what they still encode.
        self.encoded.close();
        if let Some(second) = &self.second {
            second.close();
        }
        self.stop.stop();
        for thread in self.encoders.into_iter().chain(self.helpers) {
            thread.join();
        }
        match self.source.join_within(SOURCE_GRACE) {
            Ok(Some(ended)) => ended,
            // Left behind, or a panic, which the owner of the threads reports.
            Err(Busy) | Ok(None) => Ok(()),
        }
    }
}

/// What one encoder thread encodes with.
struct Maker {
    encoder: Encoder,
    second: Option<SecondEncoder>,
    identity: Option<RunIdentity>,
}

fn encode(
    mut maker: Maker,
    captured: &Arc<FrameSlot<CapturedFrame>>,
    encoded: &Arc<Ordered<EncodedFrame>>,
    waker: &Waker,
    threads: &Threads,
) -> Result<Thread<()>> {
    let (captured, frames, waker) = (Arc::clone(captured), Arc::clone(encoded), waker.clone());
    threads.spawn("encoder", move || {
        // Also after a panic; then the position of its frame stays empty.
        let seconds = maker.second.as_ref().map(SecondEncoder::exit);
        let _over = OnDrop(|| {
            if thread::panicking() {
                frames.close();
            }
            frames.leave();
            if let Some(seconds) = &seconds {
                seconds(thread::panicking());
            }
            waker.wake();
        });
        while let Some((place, frame)) = captured.take() {
            let timecode = maker
                .identity
                .map(|identity| Timecode::new(place, frame.captured, identity.clock, identity.run));
            let encoded = maker.encoder.encode_with(&frame.content, timecode);
            let times = Times {
                captured: frame.captured,
                encoded: Some(clock::now()),
            };
            let first = EncodedFrame { encoded, times };
            let Some(second) = &mut maker.second else {
                frames.put(place, first);
                waker.wake();
                continue;
            };
            let shown = SecondEncoder::first(&first);
            frames.put(place, first);
            waker.wake();
            second.put(place, shown, |encoder| {
                encoder.encode_with(&frame.content, timecode)
            });
            waker.wake();
        }
    })
}
