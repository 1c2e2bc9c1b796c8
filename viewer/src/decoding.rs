//! The decoders, in a thread that can open nothing.
//!
//! JPEGs come from the network, and a damaged one may take over its decoder. The main thread has
//! the window and the output files, so it decodes nothing itself: the decoding thread does, and
//! whoever hands it a frame waits for the result. The order of frames, their outcomes and the end
//! are therefore those of a single thread.
//!
//! Frames that go to an open pipe, or nowhere, need nothing that the thread may not do. It presents
//! them itself ([`DecodingThread::host`]), so that no frame waits for two more threads to wake.

use std::mem::take;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::{self, ThreadId};
use std::time::Duration;

use bytes::Bytes;
use framegram_cli::locks::lock;
use framegram_cli::sandbox::Work;
use framegram_cli::threads::{Thread, Threads};
use framegram_common::receiver::ReceivedFrame;
use framegram_common::stats::TimecodeCounts;
use framegram_lab::timecode::{self, TimecodeMeter};
use framegram_media::{Decoder, Planes, Undecodable, Vetter, XrgbImage, vet};
use framegram_net::clock;

use crate::conceal::Concealer;

/// The decoding thread. Clones belong to the same thread, which ends with the last of them.
#[derive(Clone)]
pub struct DecodingThread(Arc<Inner>);

struct Inner {
    jobs: Option<SyncSender<Job>>,
    thread: Mutex<Option<Thread<()>>>,
    own: Arc<Own>,
    threads: Threads,
    /// An anomaly of a frame, until it is reported.
    remark: Mutex<Option<String>>,
}

type Job = Box<dyn FnOnce(&Own) + Send>;

/// What belongs to the thread.
struct Own {
    decoders: Mutex<Decoders>,
    id: OnceLock<ThreadId>,
}

/// What the thread keeps from frame to frame.
pub struct Decoders {
    /// For images and planes.
    pub decoder: Decoder,
    concealer: Concealer,
    /// One for each tile.
    vetters: Vec<Vetter>,
    meters: Vec<TimecodeMeter>,
}

/// Upper bound on jobs that wait. Whoever has one waits for its result.
const MAX_JOBS: usize = 1;

impl DecodingThread {
    /// Starts the thread. `threads` records its panic, which ends the run.
    ///
    /// # Errors
    /// If there is no memory for a decoder, or no thread.
    pub fn start(threads: &Threads) -> anyhow::Result<Self> {
        let (jobs, waiting) = sync_channel::<Job>(MAX_JOBS);
        let own = Arc::new(Own {
            decoders: Mutex::new(Decoders {
                decoder: Decoder::new()?,
                concealer: Concealer::default(),
                vetters: Vec::new(),
                meters: Vec::new(),
            }),
            id: OnceLock::new(),
        });
        let of_thread = Arc::clone(&own);
        let thread = threads.spawn_confined(Work::Decoding, "decoder", move || {
            of_thread.id.get_or_init(|| thread::current().id());
            while let Ok(job) = waiting.recv() {
                job(&of_thread);
            }
        })?;
        Ok(Self(Arc::new(Inner {
            jobs: Some(jobs),
            thread: Mutex::new(Some(thread)),
            own,
            threads: threads.clone(),
            remark: Mutex::default(),
        })))
    }

    /// Lets a second thread decode the lower half of large frames to planes, as in
    /// [`Decoder::second_thread`].
    ///
    /// # Errors
    /// If there is no memory for its decoder, or no thread.
    pub fn divide(&self, threads: &Threads) -> anyhow::Result<()> {
        let work = self.run(|decoders| decoders.decoder.second_thread(clock::now))?;
        threads.spawn_confined(Work::Decoding, "lower half", work)?;
        Ok(())
    }

    /// Runs `work` in the thread, and waits for its result.
    ///
    /// # Errors
    /// If `work` fails or panics. Nothing can be decoded after a panic.
    pub fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Decoders) -> Result<T, Undecodable> + Send + 'static,
    ) -> Result<T, Undecodable> {
        let done = if self.0.own.is_current() {
            // A panic of a decoder does not take whatever runs in the thread with it.
            self.0.threads.guard(|| self.0.own.run(work)).flatten()
        } else {
            self.hand_over(|own| own.run(work)).flatten()
        };
        let (result, remark) = done.ok_or_else(|| Undecodable::because(ENDED))?;
        if remark.is_some() {
            *lock(&self.0.remark) = remark;
        }
        result
    }

    /// Runs `work` in the thread and waits for its end. What it decodes meanwhile is handed to no
    /// other thread. `None` if it panics.
    pub fn host<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        self.hand_over(|_| work())
    }

    fn hand_over<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Own) -> T + Send + 'static,
    ) -> Option<T> {
        let (finished, result) = sync_channel(1);
        let job: Job = Box::new(move |own| {
            // The requester waits for it.
            let _ = finished.send(work(own));
        });
        self.0.jobs.as_ref()?.send(job).ok()?;
        result.recv().ok()
    }

    /// Fills the holes of a frame from the one shown `before`. Checks a frame that has no
    /// checksum.
    ///
    /// # Errors
    /// If a part of the frame is missing or damaged.
    pub fn prepare(
        &self,
        frame: &mut ReceivedFrame,
        before: Option<&Bytes>,
    ) -> Result<(), Undecodable> {
        if frame.checked && (frame.stale.is_empty() || before.is_none()) {
            return Ok(());
        }
        let (mut filled, before) = (frame.clone(), before.cloned());
        let (jpeg, vetted) = self.run(move |decoders| {
            decoders.concealer.conceal(&mut filled, before.as_ref());
            let vetted = match filled.checked {
                true => Ok(()),
                false => vet(&filled.jpeg, false),
            };
            Ok((filled.jpeg, vetted))
        })?;
        frame.jpeg = jpeg;
        vetted
    }

    /// Looks at the next JPEG of a tile, whose image nobody looks at.
    ///
    /// # Errors
    /// As [`Decoder::check`].
    pub fn check(&self, tile: usize, jpeg: &Bytes) -> Result<(), Undecodable> {
        let jpeg = jpeg.clone();
        self.run(move |decoders| {
            if decoders.vetters.len() <= tile {
                decoders.vetters.resize(tile + 1, Vetter::default());
            }
            decoders.decoder.size(&jpeg)?;
            decoders.vetters[tile].vet(&jpeg)
        })
    }

    /// Decodes at full size into `planes`, whose memory is reused.
    ///
    /// # Errors
    /// As [`Decoder::decode_planes`].
    pub fn decode_planes(&self, jpeg: &Bytes, planes: &mut Planes) -> Result<(), Undecodable> {
        let (jpeg, mut used) = (jpeg.clone(), take(planes));
        let (used, decoded) = self.run(move |decoders| {
            let decoded = decoders.decoder.decode_planes(&jpeg, &mut used);
            Ok((used, decoded))
        })?;
        *planes = used;
        decoded
    }

    /// Decodes at full size.
    ///
    /// # Errors
    /// As [`Decoder::decode_whole`].
    pub fn decode_whole(&self, jpeg: &Bytes) -> Result<XrgbImage, Undecodable> {
        let jpeg = jpeg.clone();
        self.run(move |decoders| decoders.decoder.decode_whole(&jpeg))
    }

    /// Reads the timecode of a frame shown at `at`. Returns the counts of its tile.
    ///
    /// # Errors
    /// If there is no memory for a decoder.
    pub fn read_timecode(
        &self,
        tile: usize,
        jpeg: &Bytes,
        at: Duration,
    ) -> Result<TimecodeCounts, Undecodable> {
        let jpeg = jpeg.clone();
        self.run(move |decoders| {
            while decoders.meters.len() <= tile {
                decoders.meters.push(TimecodeMeter::new(timecode::clock())?);
            }
            let meter = &mut decoders.meters[tile];
            meter.read_jpeg(&jpeg, at);
            Ok(meter.figures())
        })
    }

    /// An anomaly of the decoded frames, once.
    pub fn take_remark(&self) -> Option<String> {
        lock(&self.0.remark).take()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.jobs = None;
        // It has no job, since whoever has one waits for it.
        lock(&self.thread).take().map(Thread::join);
    }
}

impl Own {
    fn is_current(&self) -> bool {
        self.id.get() == Some(&thread::current().id())
    }

    /// The result of `work`, and an anomaly of what it decoded. `None` after a panic.
    fn run<T>(
        &self,
        work: impl FnOnce(&mut Decoders) -> Result<T, Undecodable>,
    ) -> Option<(Result<T, Undecodable>, Option<String>)> {
        let mut decoders = self.decoders.lock().ok()?;
        let result = work(&mut decoders);
        Some((result, decoders.decoder.take_remark()))
    }
}

/// Why nothing is decoded after a panic, which is reported by itself.
const ENDED: &str = "the decoding thread has ended";

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::thread;

    use framegram_cli::sandbox::{Files, Sandbox};
    use framegram_cli::stop::Stop;

    use super::*;
    use crate::fixture::{frame, quadrants};

    #[test]
    fn it_opens_no_file_while_the_thread_that_waits_does() {
        let main = thread::spawn(|| {
            let sandbox = Sandbox::enter(&Files::default());
            let decoding = DecodingThread::start(&Threads::within(sandbox, &Stop::new())).unwrap();
            let is_open = |_: &mut Decoders| Ok(File::open("/etc/hosts").is_ok());
            assert!(!decoding.run(is_open).unwrap());
            assert!(File::open("/etc/hosts").is_ok());
            let jpeg = Bytes::from(quadrants(64, 48));
            assert_eq!(decoding.decode_whole(&jpeg).unwrap().width, 64);
        });
        main.join().unwrap();
    }

    #[test]
    fn what_it_hosts_decodes_in_the_thread_and_opens_no_file() {
        let main = thread::spawn(|| {
            let sandbox = Sandbox::enter(&Files::default());
            let decoding = DecodingThread::start(&Threads::within(sandbox, &Stop::new())).unwrap();
            let within = decoding.clone();
            let hosted = decoding.host(move || {
                let here = thread::current().id();
                let same = within.run(move |_| Ok(thread::current().id() == here));
                (same, File::open("/etc/hosts").is_ok())
            });
            assert_eq!(hosted, Some((Ok(true), false)));
        });
        main.join().unwrap();
    }

    #[test]
    fn a_panic_of_a_decoder_ends_the_run_and_what_is_hosted_goes_on() {
        let stop = Stop::new();
        let threads = Threads::new(&stop);
        let decoding = DecodingThread::start(&threads).unwrap();
        let within = decoding.clone();
        let hosted = decoding.host(move || {
            let broken = within.run(|_| -> Result<(), _> { panic!("a decoder that breaks") });
            (broken, within.check(0, &Bytes::from(quadrants(32, 32))))
        });
        let undecodable = || Err(Undecodable::because(ENDED));
        assert_eq!(hosted, Some((undecodable(), undecodable())));
        assert!(stop.is_stopped());
        let told = threads.outcome().unwrap_err().to_string();
        assert!(told.contains("a decoder that breaks"), "{told}");
    }

    #[test]
    fn a_panic_ends_the_run_and_every_later_frame_is_undecodable() {
        let stop = Stop::new();
        let threads = Threads::new(&stop);
        let decoding = DecodingThread::start(&threads).unwrap();
        let jpeg = Bytes::from(quadrants(32, 32));
        assert_eq!(decoding.check(0, &jpeg), Ok(()));
        let broken = decoding.run(|_| -> Result<(), _> { panic!("a decoder that breaks") });
        assert_eq!(broken, Err(Undecodable::because(ENDED)));
        assert!(decoding.check(0, &jpeg).is_err());
        let mut frame = frame(0, &jpeg);
        assert!(decoding.prepare(&mut frame, None).is_err());
        assert_eq!(frame.jpeg, jpeg);
        drop(decoding);
        assert!(stop.is_stopped());
        let told = threads.outcome().unwrap_err().to_string();
        assert!(told.contains("a decoder that breaks"), "{told}");
    }
}
