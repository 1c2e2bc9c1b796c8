//! `framegram-send`: frames from a source, as datagrams.
//!
//! ```text
//! thread "source"                threads "encoder"            main thread
//! ┌──────────────┐  newest frame  ┌───────────────┐  in order  ┌─────────────────┐
//! │ camera, file │ ──FrameSlot──► │ scale, encode │ ──Ordered─►│ chunks, parity, │ ─► sockets
//! │ pattern      │                │ to JPEG       │            │ pacer           │
//! └──────────────┘                └───────────────┘            └─────────────────┘
//! ```
//!
//! Beside them: "opening" opens the source, "announcing" answers mDNS, "preview"
//! shows what is sent, "signals" stops the run, "console" writes to standard
//! error. [`Threads`] owns them: a panic in any ends the program in order.
//!
//! Knows nothing of the viewer. There are two programs: one without OpenCV, which
//! starts at once, and a companion with it, which the first one becomes if it has
//! to.

mod accept;
mod announce;
pub mod args;
pub use framegram_cli::{console, stop};
pub mod bitrate;
mod destinations;
pub mod encode;
mod encoding_log;
pub mod frame;
mod keygen;
mod latest;
mod path_notice;
mod pipeline;
mod preview;
pub mod program;
mod progress;
pub mod queue;
mod report;
pub mod restart;
mod sandbox;
mod sdp_file;
mod seal;
pub mod source;
mod transmit;

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use anyhow::{Context, Result};
use framegram_cli::logging;
use framegram_cli::output::OutputFile;
use framegram_cli::secrets::redacted_in;
use framegram_cli::threads::Threads;
use framegram_common::stats::{Side, Statistics};
use framegram_lab::impair::ImpairedLinks;
use framegram_net::{Waker, clock};
use log::info;

use crate::accept::AcceptSocket;
use crate::announce::Announcement;
use crate::args::{FrameRate, Options};
use crate::console::Console;
use crate::encode::Settings;
use crate::pipeline::Pipeline;
use crate::preview::Preview;
use crate::sdp_file::SdpFile;
use crate::source::{OpenSource, Request, Source};
use crate::stop::Stop;
use crate::transmit::{Outlets, TransmitLoop};

/// Streams until the source, opened by `open`, ends, a limit is reached, or `threads` are stopped
/// by a signal or a panic. Returns the figures of the report.
///
/// # Errors
/// What failed, with its causes. A stream that had begun is ended in order first, and its report is
/// written.
pub fn run(options: &Options, threads: &Threads, open: OpenSource) -> Result<Statistics> {
    let console = Arc::new(Console::new(options.quiet));
    let (name, version) = (env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
    logging::start(name, version, options.verbose, &console);
    info!("sandbox: {}", threads.sandbox());
    let ended = stream(options, threads, open, &console);
    // A source that is left behind holds on to the console.
    console.flush();
    // A panic is the cause of whatever else follows.
    threads.outcome()?;
    ended
}

fn stream(
    options: &Options,
    threads: &Threads,
    open: OpenSource,
    console: &Arc<Console>,
) -> Result<Statistics> {
    // Limits and the end of the source set it too.
    let stop = Stop::new();
    let told = stop.clone();
    threads.stop().on_stop(move || told.stop());
    let seal = seal::of(options, console)?;
    let connect_options = destinations::connect_options(options)?;
    let destinations =
        destinations::open_all(&options.destinations, &connect_options, options.transport)?;
    let number = framegram_net::random_u64();
    let listen = options.listen.as_deref().map(|text| {
        let size = options.packet_size();
        AcceptSocket::open(text, options.max_viewers, size, options.key.invited())
            .with_context(|| format!("cannot listen at {text}"))
    });
    let accept = listen.transpose()?;
    let description = options.sdp.as_deref();
    let description = description.map(|path| SdpFile::claim(path, seal.is_some(), threads));
    let description = description.transpose()?;
    let report = options.report.as_deref();
    let report = report.map(|path| OutputFile::claim(path, "report", threads));
    let report = report.transpose()?;
    let log = options.impair_log.as_deref().map(|path| {
        let told = Arc::clone(console);
        let file = OutputFile::claim(path, "impairment log", threads)?;
        anyhow::Ok(file.grow(move |line| told.say(line)))
    });
    let log = log.transpose()?;
    let impairment = options.impair.as_ref();
    let impaired = impairment.map(|impairment| ImpairedLinks::new(impairment, Side::Sender, log));
    let preview = options
        .preview
        .then(|| Preview::open(threads))
        .transpose()?;
    let fixed = match options.fps {
        Some(FrameRate::Fixed(rate)) => Some(rate),
        Some(FrameRate::Max) | None => None,
    };
    let request = Request {
        size: options.size,
        rate: fixed,
        pass_through: options.settings().pass_through(),
        keep_broken: options.keep_broken,
        stop: stop.clone(),
        console: Arc::clone(console),
    };
    let source = open_source(options, request, &stop, threads, open)?;

    let waker = Waker::new().context("cannot make a waker")?;
    let woken = waker.clone();
    stop.on_stop(move || woken.wake());
    let interval = interval(source.as_ref(), options.fps);
    info!(
        "source {}, live: {}, frame interval {interval:?}",
        redacted_in(&format!("{:?}", options.source)),
        source.is_live()
    );
    for line in accept.iter().flat_map(AcceptSocket::invitation) {
        console.say(&line);
    }
    let announced = options.announce.as_deref().zip(accept.as_ref());
    let needs_key = seal.is_some();
    let announcement = announced.map(|(name, accept)| {
        let address = accept
            .address()
            .context("cannot read the address it listens on")?;
        Announcement::new(name, address, needs_key, console, threads)
    });
    let announcement = announcement.transpose()?;
    let outlets = Outlets {
        destinations,
        accept,
        impaired,
        description,
        preview,
        seal,
    };
    let mut stream = TransmitLoop::new(number, outlets, options, interval, console)?;
    let until = options.duration.map(|duration| clock::now() + duration);
    let settings = Settings {
        first_frame_bytes: stream.frame_bytes(),
        ..options.settings()
    };
    let pipeline = Pipeline::start(source, options, settings, &stop, &waker, threads)?;
    let streamed = threads.guard(|| stream.run(&pipeline, &stop, &waker, until));
    if !matches!(streamed, Some(Ok(()))) {
        // The viewers get a bye nevertheless, if that is still possible.
        threads.guard(|| stream.cut_short(&pipeline, &waker));
    }
    drop(announcement);
    let sourced = pipeline.end();
    let statistics = stream.statistics(clock::now());
    let written = report.map_or(Ok(()), |file| report::write(&file, &statistics));
    let logged = stream.impaired.take().map_or(Ok(()), ImpairedLinks::finish);
    stream.close_preview();
    streamed.unwrap_or(Ok(())).and(sourced).and(written)?;
    logged?;
    let described = stream.undescribed.take().map_or(Ok(()), Err);
    console.say(&progress::summary(&statistics));
    stream.reached()?;
    described?;
    Ok(statistics)
}

/// Opens the source in a thread of its own, since a pipe or a server may block. If the stream ends
/// meanwhile, it has no frames.
fn open_source(
    options: &Options,
    request: Request,
    stop: &Stop,
    threads: &Threads,
    open: OpenSource,
) -> Result<Box<dyn Source>> {
    let (opened, result) = mpsc::channel();
    let stopped = opened.clone();
    stop.on_stop(move || {
        // The receiver may be gone. A panic while the source is opened ends up here too.
        let _ = stopped.send(Ok(Box::new(source::Nothing) as Box<dyn Source>));
    });
    let spec = options.source.clone();
    let opening = threads.spawn("opening", move || {
        let _ = opened.send(open(&spec, &request));
    })?;
    let source = match options.duration {
        None => result.recv().map_err(|_| RecvTimeoutError::Disconnected),
        Some(duration) => result.recv_timeout(duration),
    };
    // A thread that still waits for its source is left behind.
    let _ = opening.join_within(OPENED);
    match source {
        Ok(source) => source,
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
            Ok(Box::new(source::Nothing))
        }
    }
}

/// How long to wait for the thread that opened the source.
const OPENED: Duration = Duration::from_millis(20);

/// The frame interval, if the source has one.
fn interval(source: &dyn Source, rate: Option<FrameRate>) -> Option<Duration> {
    let rate = match rate {
        Some(FrameRate::Max) => None,
        Some(FrameRate::Fixed(rate)) => Some(rate),
        None => source.frame_rate(),
    };
    rate.and_then(|rate| Duration::try_from_secs_f64(1.0 / rate).ok())
}
