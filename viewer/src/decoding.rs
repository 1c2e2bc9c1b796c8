//! The decoders of the main thread, in a thread that can open nothing.
//!
//! JPEGs come from the network, and a damaged one may take over its decoder. The main thread has
//! the window and the output files, so it decodes nothing itself: the decoding thread does, and
//! the main thread waits for it. The order of frames, their outcomes and the end are therefore
//! those of a single thread.

use std::cell::RefCell;
use std::mem::take;
use std::rc::Rc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use bytes::Bytes;
use framegram_cli::sandbox::Work;
use framegram_cli::threads::{Thread, Threads};
use framegram_common::receiver::ReceivedFrame;
use framegram_common::stats::TimecodeCounts;
use framegram_lab::timecode::TimecodeMeter;
use framegram_media::{Decoder, Planes, Reduction, Undecodable, Vetter, XrgbImage, vet};
use framegram_net::clock;
use framegram_window::fit;

use crate::conceal::Concealer;

/// The decoding thread. Clones belong to the same thread, which ends with the last of them.
#[derive(Clone)]
pub struct DecodingThread(Rc<Inner>);

struct Inner {
    jobs: Option<SyncSender<Job>>,
    thread: Option<Thread<()>>,
    /// An anomaly of a frame, until it is reported.
    remark: RefCell<Option<String>>,
}

type Job = Box<dyn FnOnce(&mut Decoders) + Send>;

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
        let mut decoders = Decoders {
            decoder: Decoder::new()?,
            concealer: Concealer::default(),
            vetters: Vec::new(),
            meters: Vec::new(),
        };
        let thread = threads.spawn_confined(Work::Decoding, "decoder", move || {
            while let Ok(job) = waiting.recv() {
                job(&mut decoders);
            }
        })?;
        Ok(Self(Rc::new(Inner {
            jobs: Some(jobs),
            thread: Some(thread),
            remark: RefCell::default(),
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
        let (finished, result) = sync_channel(1);
        let job: Job = Box::new(move |decoders| {
            let result = work(decoders);
            // The requester waits for it.
            let _ = finished.send((result, decoders.decoder.take_remark()));
        });
        let sent = self.0.jobs.as_ref().map(|jobs| jobs.send(job));
        let result = sent.and_then(Result::ok).and_then(|()| result.recv().ok());
        let (result, remark) = result.ok_or_else(|| Undecodable::because(ENDED))?;
        if remark.is_some() {
            *self.0.remark.borrow_mut() = remark;
        }
        result
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
                decoders.meters.push(TimecodeMeter::new()?);
            }
            let meter = &mut decoders.meters[tile];
            meter.read_jpeg(&jpeg, at);
            Ok(meter.figures())
        })
    }

    /// An anomaly of the decoded frames, once.
    pub fn take_remark(&self) -> Option<String> {
        self.0.remark.take()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.jobs = None;
        // It has no job, since whoever has one waits for it.
        self.thread.take().map(Thread::join);
    }
}

/// Decodes into `picture`, reduced to about the size that it has in an `area`. Returns its width
/// and height as coded, and the reduction.
///
/// # Errors
/// As [`Decoder::decode`].
pub(crate) fn decode_for(
    decoder: &mut Decoder,
    jpeg: &[u8],
    area: (usize, usize),
    picture: &mut XrgbImage,
) -> Result<((usize, usize), Reduction), Undecodable> {
    let coded = decoder.size(jpeg)?;
    let shown = fit(coded, area);
    let reduction = Reduction::towards(coded, (shown.width, shown.height));
    decoder.decode(jpeg, reduction, picture)?;
    Ok((coded, reduction))
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
            let sandbox = Sandbox::enter(&Files::new());
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
