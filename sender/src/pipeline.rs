//! The threads between a source and the transmit loop: one reads frames when
//! they are due, several encode them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use framegram_cli::threads::{Busy, Thread, Threads};
use framegram_common::frame::Times;
use framegram_lab::timecode::{self, Stamp};
use framegram_net::{Waker, clock};

use crate::args::{Options, Rate, Wire};
use crate::encode::{Encoded, Encoder, Limiter, Settings};
use crate::handoff::{Handoff, Ordered, Put};
use crate::restart::Restart;
use crate::source::{Captured, Content, Pacer, Source};
use crate::stop::Stop;

/// The most encoder threads: two of them encode 4K at 60 frames a second, more
/// only serve `--fps max`, and each holds pictures.
const MAX_ENCODERS: usize = 8;

/// How long the end waits for a source that is blocked in its driver or pipe
/// before it is left behind.
const SOURCE_GRACE: Duration = Duration::from_millis(300);

/// A frame on its way out.
pub(crate) struct Made {
    /// The JPEG, or why there is none.
    pub(crate) encoded: Result<Encoded>,
    /// When it was taken and encoded, on the monotonic clock.
    pub(crate) times: Times,
}

/// What the source has done so far.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) captured: AtomicU64,
    pub(crate) replaced: AtomicU64,
    pub(crate) unreadable: AtomicU64,
}

/// A source and its encoders at work.
pub(crate) struct Pipeline {
    handoff: Arc<Handoff<Job>>,
    made: Arc<Ordered<Made>>,
    counts: Arc<Counts>,
    restart: Option<Arc<Mutex<Restart>>>,
    limiter: Limiter,
    /// A frame is one datagram.
    raw: bool,
    stop: Stop,
    source: Thread<Result<()>>,
    encoders: Vec<Thread<()>>,
}

/// What all stamps of one run have in common.
#[derive(Clone, Copy)]
struct Marks {
    clock: u16,
    run: u8,
}

impl Marks {
    fn draw() -> Self {
        let random = framegram_net::random_u64();
        Self {
            // Where the system does not tell its boot, a clock of its own.
            clock: timecode::clock().unwrap_or(random as u16),
            run: (random >> 16) as u8,
        }
    }
}

struct Job {
    content: Content,
    captured: Duration,
}

impl Pipeline {
    /// Starts the threads; `waker` is woken whenever there is something to take.
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
        let handoff = Arc::new(Handoff::new());
        let made = Arc::new(Ordered::new(encoders));
        let counts = Arc::new(Counts::default());

        let first = Encoder::new(settings)?;
        let restart = first.restart().cloned();
        let limiter = first.limiter();
        let mut encoding = Vec::new();
        let marks = options.timecode.then(Marks::draw);
        for _ in 1..encoders {
            let another = first.another()?;
            encoding.push(encode(another, marks, &handoff, &made, waker, threads)?);
        }
        encoding.push(encode(first, marks, &handoff, &made, waker, threads)?);

        let mut feed = Feed {
            source,
            handoff: Arc::clone(&handoff),
            counts: Arc::clone(&counts),
            stop: stop.clone(),
            rate: options.fps,
            repeat: options.repeat,
            frames: options.frames.unwrap_or(u64::MAX),
        };
        let closing = Arc::clone(&handoff);
        let source = threads.spawn("source", move || {
            // A panic ends it too.
            let _over = OnDrop(|| closing.close());
            feed.run()
        })?;
        // A source that blocks must not hold up the end.
        let closing = Arc::clone(&handoff);
        stop.on_stop(move || closing.close());
        Ok(Self {
            handoff,
            made,
            counts,
            restart,
            limiter,
            raw: options.wire == Wire::Raw,
            stop: stop.clone(),
            source,
            encoders: encoding,
        })
    }

    /// The next frame in order, if it is ready.
    pub(crate) fn take(&self) -> Option<Made> {
        self.made.take()
    }

    /// Whether all frames were taken and no more come.
    pub(crate) fn is_finished(&self) -> bool {
        self.made.is_finished()
    }

    pub(crate) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Whether nobody watches: then nothing is encoded, and of what is captured
    /// the newest waits.
    pub(crate) fn set_idle(&self, idle: bool) {
        self.handoff.set_idle(idle);
    }

    /// Frames that are begun from now on have at most so many bytes.
    pub(crate) fn set_frame_bytes(&self, bytes: usize) {
        self.limiter.set(bytes);
    }

    /// Frames go in datagrams of so many bytes from now on.
    pub(crate) fn set_datagram(&self, bytes: usize) {
        if self.raw {
            self.limiter.lower(bytes);
        }
        if let Some(restart) = &self.restart {
            restart
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .set_datagram(bytes);
        }
    }

    /// Ends the threads; how the source ended.
    ///
    /// # Errors
    /// What made the source fail.
    pub(crate) fn end(self) -> Result<()> {
        self.handoff.close();
        // Nobody takes what they still make.
        self.made.close();
        self.stop.stop();
        for encoder in self.encoders {
            encoder.join();
        }
        match self.source.join_within(SOURCE_GRACE) {
            Ok(Some(ended)) => ended,
            // Left behind, or a panic, which the threads' owner tells.
            Err(Busy) | Ok(None) => Ok(()),
        }
    }
}

fn encode(
    mut encoder: Encoder,
    marks: Option<Marks>,
    handoff: &Arc<Handoff<Job>>,
    made: &Arc<Ordered<Made>>,
    waker: &Waker,
    threads: &Threads,
) -> Result<Thread<()>> {
    let (handoff, made, waker) = (Arc::clone(handoff), Arc::clone(made), waker.clone());
    threads.spawn("encoder", move || {
        // A panic ends it too; then the place of its frame stays empty.
        let _over = OnDrop(|| {
            if thread::panicking() {
                made.close();
            }
            made.leave();
            waker.wake();
        });
        while let Some((place, job)) = handoff.take() {
            let encoded = match marks {
                Some(Marks { clock, run }) => encoder
                    .encode_stamped(&job.content, Stamp::new(place, job.captured, clock, run)),
                None => encoder.encode(&job.content),
            };
            let times = Times {
                captured: job.captured,
                encoded: Some(clock::now()),
            };
            made.put(place, Made { encoded, times });
            waker.wake();
        }
    })
}

/// Does something when it is dropped, by a panic too.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// What the source's thread works with.
struct Feed {
    source: Box<dyn Source>,
    handoff: Arc<Handoff<Job>>,
    counts: Arc<Counts>,
    stop: Stop,
    rate: Option<Rate>,
    repeat: bool,
    frames: u64,
}

impl Feed {
    fn run(&mut self) -> Result<()> {
        let mut pacer = Pacer::new();
        let mut thinner = Thinner::new(self.rate, self.source.as_ref());
        let mut captured = 0;
        while captured < self.frames && !self.stop.is_stopped() {
            let next = self.source.next();
            self.counts
                .unreadable
                .store(self.source.unreadable(), Ordering::Relaxed);
            let Some(frame) = next? else {
                if self.repeat && captured > 0 && self.source.rewind()? {
                    continue;
                }
                return Ok(());
            };
            let Some(taken) = self.when(&frame, &mut pacer) else {
                return Ok(());
            };
            if !thinner.takes(taken) {
                continue;
            }
            let job = Job {
                content: frame.content,
                captured: taken,
            };
            let put = if self.source.is_live() {
                self.handoff.put_newest(job)
            } else if self.rate == Some(Rate::Max) {
                // Without a pace, nothing but its being taken holds it up.
                self.handoff.put_waiting(job)
            } else {
                self.handoff.put_in_turn(job)
            };
            if put == Put::Closed {
                return Ok(());
            }
            captured += 1;
            self.counts.captured.store(captured, Ordering::Relaxed);
            if put == Put::Replaced {
                self.counts.replaced.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    /// Waits until the frame is due; when it was taken, or `None` if the
    /// stream ends before.
    fn when(&self, frame: &Captured, pacer: &mut Pacer) -> Option<Duration> {
        if let (Some(media_time), false) = (frame.media_time, self.rate == Some(Rate::Max)) {
            let now = clock::now();
            let wait = pacer.due(media_time, now).saturating_sub(now);
            if !wait.is_zero() && self.stop.wait(wait) {
                return None;
            }
        }
        Some(frame.taken.unwrap_or_else(clock::now))
    }
}

/// Leaves frames of a live source out that come faster than was asked for.
struct Thinner {
    interval: Option<Duration>,
    next: Option<Duration>,
}

impl Thinner {
    fn new(rate: Option<Rate>, source: &dyn Source) -> Self {
        let interval = match rate {
            Some(Rate::Fixed(rate)) if source.is_live() => {
                Some(Duration::from_secs_f64(1.0 / rate))
            }
            _ => None,
        };
        Self {
            interval,
            next: None,
        }
    }

    fn takes(&mut self, taken: Duration) -> bool {
        let Some(interval) = self.interval else {
            return true;
        };
        let next = self.next.unwrap_or(taken);
        // A camera's clock trembles; a quarter early is still in time.
        if taken + interval / 4 < next {
            return false;
        }
        self.next = Some(if taken > next + interval { taken } else { next } + interval);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Pattern;

    struct Live;

    impl Source for Live {
        fn next(&mut self) -> Result<Option<Captured>> {
            Ok(None)
        }
        fn is_live(&self) -> bool {
            true
        }
    }

    fn taken_of(rate: f64, source: &dyn Source, camera: f64, seconds: f64) -> usize {
        let mut thinner = Thinner::new(Some(Rate::Fixed(rate)), source);
        let frames = (camera * seconds) as u32;
        (0..frames)
            .filter(|&frame| {
                // Every other one is three milliseconds late.
                let late = f64::from(frame % 2) * 0.003;
                thinner.takes(Duration::from_secs_f64(
                    10.0 + f64::from(frame) / camera + late,
                ))
            })
            .count()
    }

    #[test]
    fn thins_a_camera_that_is_too_fast_and_no_other() {
        assert_eq!(taken_of(30.0, &Live, 30.0, 10.0), 300);
        assert_eq!(taken_of(30.0, &Live, 15.0, 10.0), 150);
        assert_eq!(taken_of(10.0, &Live, 30.0, 10.0), 100);
        let some = taken_of(25.0, &Live, 30.0, 10.0);
        assert!((245..=255).contains(&some), "{some}");
        let pattern = Pattern::new(16, 16, 30.0).unwrap();
        assert_eq!(taken_of(10.0, &pattern, 30.0, 10.0), 300);
    }
}
