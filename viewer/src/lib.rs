//! `framegram-view`: frames from datagrams, in a window.
//!
//! ```text
//! thread "network"                            main thread                  thread "decoder"
//! ┌────────────────────────────┐   frames    ┌────────────────────────┐    ┌──────────────────┐
//! │ socket ► (impairment) ►    │ ─FrameQueue►│ window, recording,     │ ─► │ conceal, decode  │
//! │ receiver ► (trace)         │ ◄─Shared─── │ snapshot, report       │ ◄─ │                  │
//! └────────────────────────────┘   outcomes  └────────────────────────┘    └──────────────────┘
//! ```
//!
//! Without a window, and with a pipe or nothing to record to, the thread "decoder" does the work of
//! the main thread while frames arrive.
//!
//! Beside them: "signals" stops the run, "console" writes to standard error,
//! and one thread for each pipe, and for the trace, writes there. [`Threads`]
//! owns them: a panic in any ends the program in order.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod args;
pub mod conceal;
pub mod decoding;
mod description;
pub mod discover;
#[cfg(test)]
mod fixture;
pub mod frame_queue;
mod invitation;
pub mod network;
mod no_stream;
mod outputs;
pub mod presenter;
pub mod report;
mod sandbox;
pub mod seal;
pub mod shared;
mod showing;
pub mod sink;
mod socket;
pub mod tracer;

pub use framegram_cli::threads;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use framegram_cli::console::Console;
use framegram_cli::numbers::or_none;
use framegram_cli::sandbox::Work;
use framegram_cli::stop::Stop;
use framegram_cli::threads::Threads;
use framegram_cli::{key, logging, numbers, signals};
use framegram_common::receiver::{Config, Policy, Receiver};
use framegram_common::wire::Format;
use framegram_common::wire::native::Integrity;
use framegram_lab::impair::Impairment;
use framegram_net::{self as net, ListenOptions, Socket, clock};
use log::info;

use self::args::{Args, Command};
use self::decoding::DecodingThread;
use self::description::Description;
use self::frame_queue::{FrameQueue, Keep};
use self::network::Network;
use self::outputs::Outputs;
use self::report::advice::Advice;
use self::seal::Seal;
use self::shared::Shared;
use self::showing::Showing;
use self::sink::Sink;
use self::sink::headless::Headless;
use self::sink::recordings::Recordings;
use self::sink::snapshot::Series;
use self::sink::tiles::Tiles;
use self::sink::wall::Wall;
use self::sink::window::StreamWindow;

/// Receives and shows one or more streams until a flag or a person ends the run, and writes its
/// reports.
///
/// # Errors
/// If it cannot start, or does not end well. In the second case the reports are written
/// nevertheless.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let mut args = args.clone();
    args.key.ask()?;
    let args = &args;
    // Before any thread is started, since running threads are not restricted.
    let sandbox = sandbox::enter(args);
    let told = Stop::new();
    let threads = Threads::within(sandbox, &told);
    let _signals = signals::listen(&told, &threads)?;
    let console = Arc::new(Console::new(args.quiet));
    let (name, version) = (env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
    logging::start(name, version, args.verbose, &console);
    info!("sandbox: {}", threads.sandbox());
    let ended = threads.guard(|| receive(args, &threads, &console));
    // A thread that is left behind holds on to the console.
    console.flush();
    // A panic is the cause of whatever else follows.
    threads.outcome()?;
    ended.unwrap_or(Ok(()))
}

/// Receives and shows until the run ends.
fn receive(args: &Args, threads: &Threads, console: &Arc<Console>) -> anyhow::Result<()> {
    let console = Arc::clone(console);
    let stop = threads.stop();
    if let Some(Command::Discover) = args.command {
        return discover::list(stop);
    }
    // Datagrams from before it listened do not pass through the impaired link.
    let blind = args
        .impair
        .as_ref()
        .map_or(Duration::ZERO, Impairment::longest);
    let described = args.sdp.as_deref();
    let described = described.map(|path| Description::read(path, |line| console.say(line)));
    let described = described.transpose()?;
    let srtp = described.as_ref().and_then(|it| it.key.as_ref());
    let config = Config {
        format: srtp.map_or(args.wire.format(), |_| Some(Format::Rtp)),
        size: described.as_ref().and_then(|it| it.size),
        policy: if args.grid {
            Policy::Grid
        } else {
            Policy::Follow
        },
        playout_delay: args.playout_delay(),
        strict: args.strict,
        integrity: match (srtp, args.key.given()) {
            (None, Some(_)) => Integrity::Tag,
            _ => Integrity::Checksum,
        },
        clock_id: clock::clock_id,
        ..Config::default()
    };
    let outputs = Outputs::claim(args, &config, &console, threads)?;
    let secret = args.key.secret(|line| console.say(line))?;
    clock::prepare_clock_id();
    let viewer = net::random_u64();
    let how = match (srtp, args.key.invited()) {
        (Some(_), _) => "--wire rtp --key-file FILE --sdp FILE camera".to_owned(),
        (None, Some(key)) => format!("{key} camera"),
        (None, None) => "camera".to_owned(),
    };
    let seal = match (srtp, secret) {
        (Some(key), _) => Some(Seal::srtp(key)?),
        (None, Some(secret)) => {
            let (suite, connects) = (key::suite()?, args.connect.is_some());
            Some(Seal::native(secret, viewer, suite, connects))
        }
        (None, None) => None,
    };
    let secret = (net::random_u64(), net::random_u64());
    let mut lookup = None;
    let connected = match &args.connect {
        None => None,
        Some(sender) => {
            lookup = discover::lookup(sender);
            let Some(address) = discover::find(sender, args.wait, stop, &console)? else {
                return Ok(());
            };
            Some(address)
        }
    };
    let (socket, listen) = match connected {
        Some(to) => (socket::towards(to, args.buffer)?, None),
        None => socket::listen(args).map(|(socket, listen)| (socket, Some(listen)))?,
    };
    let unwanted = matches!(config.format, Some(Format::Rtp | Format::Raw));
    let listener = listen.as_ref().filter(|_| !unwanted);
    let listener = listener.and_then(|_| socket::listen_for_tcp(&socket, &console));
    let invitation = match connected {
        Some(to) => vec![format!("Connecting to {to}.")],
        None => invitation::lines(socket.local_addr()?, &net::local_addresses(), &how),
    };
    let advice = Advice {
        buffer: args.buffer,
        given: socket.receive_buffer().unwrap_or(args.buffer),
        latency: args.playout_delay(),
        strict: args.strict,
    };
    info!(
        "socket {} with a receive buffer of {} bytes, format {}, latency {:?}",
        socket.local_addr()?,
        advice.given,
        or_none(config.format.map(Format::name)),
        advice.latency
    );
    let decoding = DecodingThread::start(threads)?;
    let (display, recording) = sinks(args, &invitation, &console, (&decoding, threads))?;
    greet(&invitation, &advice, &console);
    let keep = if recording.is_some() || (args.headless && !args.grid) {
        Keep::All
    } else {
        Keep::Newest
    };
    let shared = Arc::new(Shared::new(
        FrameQueue::new(keep),
        outputs.files.want_rows(),
    )?);
    let reports = reports_at(&socket, listen, &config)?;
    let policy = config.policy;
    let config = Config {
        socket_buffer: advice.given,
        ..config
    };
    let mut receiver = Receiver::new(config, viewer, secret, clock::now() + blind);
    if let Some(to) = connected {
        receiver.connect(to, clock::now());
    }
    let network = Network::new(
        socket,
        reports,
        (receiver, policy),
        connected,
        args.allow.clone(),
        Arc::clone(&shared),
        Arc::clone(&console),
    )
    .with_listener(listener)
    .with_seal(seal)
    .with_lookup(lookup, args.buffer)
    .with_tracer(outputs.tracer)
    .watched(!args.headless || args.stats.is_some() || console.is_redrawn())
    .with_impairment(outputs.impaired);
    let guard = threads.clone();
    let receive = move || network.run(&guard);
    let network = match args.impair_log {
        // The thread opens the log with the first line that it writes.
        Some(_) => threads.spawn("network", receive),
        None => threads.spawn_confined(Work::Receiving, "network", receive),
    }?;
    let showing = Showing {
        args,
        threads,
        console,
        network,
        decoding,
        shared,
        files: outputs.files,
        snapshot: outputs.snapshot,
        stats: outputs.stats,
        advice,
    };
    let needs_files = recording.as_ref().is_some_and(|it| !it.are_piped());
    match display {
        Display::Main(display) => showing.in_main_thread(Some(display), recording),
        Display::Any(display) if needs_files => {
            let display = display.map(|display| display as Box<dyn Sink>);
            showing.in_main_thread(display, recording)
        }
        Display::Any(display) => showing.in_decoding_thread(display, recording),
    }
}

/// Where RTP's reports come, if anything of RTP may.
fn reports_at(
    socket: &Socket,
    listen: Option<ListenOptions>,
    config: &Config,
) -> anyhow::Result<Option<ListenOptions>> {
    let unwanted = matches!(config.format, Some(Format::Native | Format::Raw));
    let listen = listen.filter(|_| !unwanted);
    let next = listen.map(|listen| socket::next_port(socket, listen));
    Ok(next.transpose()?.flatten())
}

/// The display.
enum Display {
    /// Belongs to the main thread.
    Main(Box<dyn Sink>),
    /// A sink that only counts, or none.
    Any(Option<Box<dyn Sink + Send>>),
}

/// The display, and the recording.
fn sinks(
    args: &Args,
    invitation: &[String],
    console: &Arc<Console>,
    owners: (&DecodingThread, &Threads),
) -> anyhow::Result<(Display, Option<Recordings>)> {
    let (decoding, threads) = owners;
    let recording = match (&args.output, args.format()?) {
        (Some(path), Some(format)) => {
            let patience = (!args.headless).then_some(PATIENCE);
            let recording = Recordings::create(path, format, patience, console, owners)?;
            Some(recording)
        }
        _ => None,
    };
    let output = args.output.as_ref().map(|path| path.display());
    info!("window: {}, recording: {}", !args.headless, or_none(output));
    let display = if args.grid {
        let window = (!args.headless).then(|| Wall::open(invitation.to_vec()));
        let window = window.transpose()?;
        Display::Main(Box::new(Tiles::new(window, decoding.clone(), threads)?))
    } else if !args.headless {
        let series = Series::new(args.snapshot.as_deref().map(Path::new));
        let window = StreamWindow::open(invitation.to_vec(), series, decoding.clone())?;
        Display::Main(Box::new(window))
    } else if recording.is_none() {
        Display::Any(Some(Box::new(Headless::new(decoding.clone()))))
    } else {
        Display::Any(None)
    };
    Ok((display, recording))
}

fn greet(invitation: &[String], advice: &Advice, console: &Console) {
    for line in invitation {
        console.say(line);
    }
    if let Some(allow) = advice.allow() {
        console.say(&format!(
            "The system gives a socket buffer of {} bytes, not the {} asked for: bursts may be \
             lost. To allow more: {allow}",
            numbers::count(advice.given as u64),
            numbers::count(advice.buffer as u64),
        ));
    }
}

/// How long a window stalls if the reader of a recording stops: hardly visible, and enough for a
/// reader that was not scheduled.
const PATIENCE: Duration = Duration::from_millis(100);
