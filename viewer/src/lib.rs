//! `framegram-view`: frames from datagrams, in a window.
//!
//! Two threads: the network's, which owns the socket and the receiver, and the
//! main one, which owns the sinks (a window must be there). Between them stand
//! the [`pending`] frames on the way in, and what became of them on the way back.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod analyse;
pub mod args;
pub mod conceal;
pub mod discover;
pub mod exchange;
pub mod failures;
#[cfg(test)]
mod fixture;
pub mod gate;
mod grid;
mod invitation;
pub mod network;
mod no_stream;
pub mod pending;
pub mod report;
pub mod show;
pub mod sink;
mod socket;
pub mod stamps;
pub mod tracer;

use framegram_cli::numbers;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use framegram_cli::input::read_text;
use framegram_cli::output::{Growing, OutputFile};
use framegram_cli::pipe::{Pipe, StandardOutput};
use framegram_cli::signals;
use framegram_cli::stop::Stop;
use framegram_cli::threads::Threads;
use framegram_common::caller::Caller;
use framegram_common::gallery::Gallery;
use framegram_common::listener::{Config, Listener};
use framegram_common::receiver;
use framegram_common::stats::Side;
use framegram_common::wire::{Format, sdp};
use framegram_lab::impair::{ImpairedLinks, Impairment};
use framegram_net::{self as net, ListenOptions, Lookup, Socket, clock};

use self::args::{Args, Layout, Sender};
use self::discover::Search;
use self::exchange::Exchange;
use self::gate::Condition;
use self::grid::{Grid, Telling};
use self::network::Network;
use self::pending::{Keep, Pending};
use self::report::advice::Advice;
use self::report::files::Files;
use self::report::text;
use self::show::Show;
use self::sink::Sink;
use self::sink::headless::Headless;
use self::sink::recording::Recording;
use self::sink::snapshot::{Series, Snapshot};
use self::sink::wall::Wall;
use self::sink::window::Window;
use self::stamps::StampReader;
use self::tracer::Tracer;
use framegram_cli::console::Console;

/// Receives and shows one or more streams, until the arguments or a person say
/// that it is enough; writes what is to be written at the end.
///
/// # Errors
/// What kept it from beginning, or from ending well. The figures are written
/// in the second case too.
pub fn run(args: &Args) -> anyhow::Result<()> {
    if let Some(recording) = &args.analyse {
        return analyse::run(recording, args);
    }
    let told = Stop::new();
    let threads = Threads::new(&told);
    let _signals = signals::listen(&told, &threads)?;
    let console = Arc::new(Console::new(args.quiet));
    let ended = threads.guard(|| receive(args, &threads, &console));
    // A thread that is left behind keeps the console.
    console.flush();
    // Whatever else follows from a panic, it is the cause.
    threads.outcome()?;
    ended.unwrap_or(Ok(()))
}

/// Receives and shows until it is enough.
fn receive(args: &Args, threads: &Threads, console: &Arc<Console>) -> anyhow::Result<()> {
    let console = Arc::clone(console);
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    threads
        .stop()
        .on_stop(move || flag.store(true, Ordering::Release));
    if args.discover {
        return list(&stop);
    }
    let files = Files::claim(&args.report, threads)?;
    let snapshot = args.snapshot.as_deref();
    let snapshot = snapshot.map(|path| Snapshot::claim(path, threads));
    let snapshot = snapshot.transpose()?;
    let stats = args.stats.map(|_| Pipe::standard_output(threads));
    let stats = stats.transpose()?;
    let log = args.impair_log.as_deref();
    let log = log.map(|path| growing(path, "impairment log", &console, threads));
    let log = log.transpose()?;
    let impaired = args
        .impair
        .as_ref()
        .map(|it| ImpairedLinks::new(it, Side::Viewer, log));
    // What came before it listened cannot come through the link after this.
    let blind = args
        .impair
        .as_ref()
        .map_or(Duration::ZERO, Impairment::longest);
    let config = Config {
        format: args.wire.format(),
        size: args.sdp.as_deref().map(described_size).transpose()?,
        receiver: receiver::Config {
            budget: args.budget(),
            strict: args.strict,
            clock_id: clock::clock_id,
            secret: (net::random_u64(), net::random_u64()),
            ..receiver::Config::default()
        },
    };
    let traced = args.trace.as_ref().map(|path| {
        let limit = args.trace_limit;
        Tracer::create(path, limit, &config.receiver, &console, threads)
    });
    let tracer = traced.transpose()?;
    let viewer = net::random_u64();
    let mut lookup = None;
    let caller = match &args.connect {
        None => None,
        Some(sender) => {
            lookup = looking_up(sender);
            let Some(address) = find(sender, args.wait, &stop, &console)? else {
                return Ok(());
            };
            Some(Caller::new(viewer, address, clock::now()))
        }
    };
    let (socket, listen) = match &caller {
        Some(caller) => (socket::towards(caller.to(), args.buffer)?, None),
        None => socket::listen(args).map(|(socket, listen)| (socket, Some(listen)))?,
    };
    let invitation = match &caller {
        Some(caller) => vec![format!("Asking {} for its stream.", caller.to())],
        None => invitation::lines(socket.local_addr()?, &net::local_addresses()),
    };
    let advice = Advice {
        buffer: args.buffer,
        given: socket.receive_buffer().unwrap_or(args.buffer),
        latency: args.budget(),
        strict: args.strict,
    };
    if args.layout == Layout::Grid {
        let wall = (!args.headless).then(|| Wall::open(invitation.clone()));
        let wall = wall.transpose()?;
        greet(&invitation, &advice, &console);
        let reports = reports_at(&socket, listen, &config)?;
        let gallery = Gallery::new(config, viewer, clock::now() + blind);
        let telling = Telling::new(files, stats);
        let mut grid = Grid::new(socket, reports, gallery, wall, telling, console, threads)?;
        grid.impaired = impaired;
        let shown = threads.guard(|| grid.run(args, &stop));
        let shown = shown.unwrap_or(Ok(()));
        let (statistics, finished) = grid.finish(snapshot, &advice);
        let checked = Condition::check_all(&args.fail_if, &statistics);
        return failures::all_of([shown, finished, checked.map_err(Into::into)]);
    }
    let (display, recording) = sinks(args, &invitation, &console, threads)?;
    let stamps = args.read_stamp.then(StampReader::new).transpose()?;
    greet(&invitation, &advice, &console);
    let keep = if args.headless || recording.is_some() {
        Keep::All
    } else {
        Keep::Newest
    };
    let exchange = Arc::new(Exchange::new(Pending::new(keep), files.want_rows())?);
    let reports = reports_at(&socket, listen, &config)?;
    let listener = Listener::new(config, viewer, clock::now() + blind);
    let network = Network::new(
        socket,
        reports,
        listener,
        caller,
        args.allow.clone(),
        Arc::clone(&exchange),
        Arc::clone(&console),
    )
    .with_lookup(lookup, args.buffer)
    .with_tracer(tracer)
    .with_impairment(impaired);
    let guard = threads.clone();
    let network = threads.spawn("network", move || network.run(&guard))?;
    // From here on nothing fails without the end that tells the sender and
    // writes the report.
    let mut show = Show::new(
        display,
        recording,
        stamps,
        files,
        Arc::clone(&exchange),
        stop,
    );
    if let Some(stats) = stats {
        show.tell_to(stats);
    }
    let shown = threads.guard(|| show.run(args, || network.is_finished()));
    let shown = shown.unwrap_or(Ok(()));
    show.put_away();
    exchange.stop();
    let received = network.join();
    console.end_progress();

    let statistics = match &received {
        Some(Ok(statistics)) => statistics.clone(),
        Some(Err(_)) | None => exchange.news().live.statistics,
    };
    let last = show.last().cloned();
    let lines = text::lines(&statistics, &advice);
    for line in lines.into_iter().chain(exchange.traced()) {
        console.say(&line);
    }
    failures::all_of([
        shown,
        received.map_or(Ok(()), |received| received.map(drop)),
        threads.guard(|| show.finish()).unwrap_or(Ok(())),
        show.tell_last(),
        write_snapshot(snapshot, last.as_deref(), &console),
        show.report(&statistics, &advice),
        Condition::check_all(&args.fail_if, &statistics).map_err(Into::into),
    ])
}

/// Writes the senders that announce themselves to standard output.
fn list(stop: &AtomicBool) -> anyhow::Result<()> {
    let mut search = Search::new(None)?;
    let stopped = |_: &_| stop.load(Ordering::Acquire);
    let senders = search.senders(discover::LISTEN, stopped)?;
    if senders.is_empty() {
        bail!(
            "no sender announces itself on this network; one that does is started with \
             framegram-send --listen :5005 --announce NAME"
        );
    }
    for (name, address) in senders {
        writeln!(StandardOutput, "{name}\t{address}")?;
    }
    Ok(())
}

/// Where a sender is; `None` when a signal said that it is not wanted any more.
fn find(
    sender: &Sender,
    wait: Option<Duration>,
    stop: &AtomicBool,
    console: &Console,
) -> anyhow::Result<Option<SocketAddr>> {
    let name = match sender {
        Sender::Name(name) => name,
        Sender::Address(text) => {
            let address = net::resolve(text, None)?;
            if address.ip().is_multicast() {
                bail!("{text} is a multicast group: type framegram-view {text}, without --connect");
            }
            return Ok(Some(address));
        }
    };
    console.say(&format!("Looking for {name:?} on the local network."));
    let mut search = Search::new(Some(name))?;
    let found = search.senders(wait.unwrap_or(Duration::MAX), |senders| {
        senders.contains_key(name) || stop.load(Ordering::Acquire)
    })?;
    match found.get(name) {
        Some(address) => Ok(Some(*address)),
        None if stop.load(Ordering::Acquire) => Ok(None),
        None => bail!(
            "no sender announces the name {name:?}: framegram-view --discover lists those that \
             there are"
        ),
    }
}

/// How to find a sender again that has a name.
fn looking_up(sender: &Sender) -> Option<Lookup> {
    match sender {
        Sender::Address(text) => Lookup::of(text, None),
        Sender::Name(name) => {
            let name = name.clone();
            Some(Lookup::new(move || discover::locate(&name)))
        }
    }
}

/// A file that grows, and what is said where it takes an older one's place.
fn growing(
    path: &Path,
    what: &'static str,
    console: &Arc<Console>,
    threads: &Threads,
) -> anyhow::Result<Growing> {
    let console = Arc::clone(console);
    let file = OutputFile::claim(path, what, threads)?;
    Ok(file.grow(move |line| console.say(line)))
}

fn described_size(path: &Path) -> anyhow::Result<(u16, u16)> {
    let text = read_text(path, MAX_SDP).context("cannot take the session description")?;
    sdp::size(&text).with_context(|| {
        format!(
            "{} tells no size: it takes a line like a=x-dimensions:2560,1440",
            path.display()
        )
    })
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

type Sinks = (Option<Box<dyn Sink>>, Option<Recording>);

/// The sink for the eye, or the one that counts if there is no other; and the
/// recording.
fn sinks(
    args: &Args,
    invitation: &[String],
    console: &Arc<Console>,
    threads: &Threads,
) -> anyhow::Result<Sinks> {
    let recording = match (&args.output, args.format()?) {
        (Some(path), Some(format)) => {
            let patience = (!args.headless).then_some(PATIENCE);
            let recording = Recording::create(path, format, patience, console, threads)?;
            Some(recording)
        }
        _ => None,
    };
    let display: Option<Box<dyn Sink>> = if !args.headless {
        let series = Series::new(args.snapshot.as_deref().map(Path::new));
        Some(Box::new(Window::open(invitation.to_vec(), series)?))
    } else if recording.is_none() {
        Some(Box::new(Headless::new()?))
    } else {
        None
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

fn write_snapshot(
    snapshot: Option<Snapshot>,
    last: Option<&[u8]>,
    console: &Console,
) -> anyhow::Result<()> {
    match (snapshot, last) {
        (None, _) => {}
        (Some(_), None) => console.say("No frame was shown, so there is no snapshot."),
        (Some(snapshot), Some(jpeg)) => {
            let path = snapshot.write(jpeg)?;
            console.say(&format!("Snapshot of the last frame: {}", path.display()));
        }
    }
    Ok(())
}

/// How long a window stands still where the reader of a recording stops: hardly
/// to be seen, and enough for one who was not scheduled.
const PATIENCE: Duration = Duration::from_millis(100);

/// The longest session description that is read, in bytes: one takes some
/// hundred.
const MAX_SDP: u64 = 64 << 10;
