//! The network thread: passes datagrams from the socket through the receiver, frames to the sinks,
//! and outcomes back; tells a person about events.

mod connections;
mod moving;
mod notices;
mod receiving;
mod sending;
mod unusable;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use framegram_cli::console::Console;
use framegram_cli::errors;
use framegram_cli::threads::Threads;
use framegram_common::Statistics;
use framegram_common::receiver::{Output, Policy, Receiver, SinkOutcome};
use framegram_common::wire::MAX_DATAGRAM;
use framegram_lab::impair::ImpairedLinks;
use framegram_net::{
    self as net, Batch, ListenOptions, Pollable, Received, Socket, TcpListener, clock,
};

use self::connections::Connections;
use self::moving::Moving;
use self::unusable::Unusable;
use crate::args::Prefix;
use crate::report::live::Meter;
use crate::report::timeline::TimelineRecorder;
use crate::seal::Seal;
use crate::shared::Shared;
use crate::socket::{Troubles, Unsent};
use crate::tracer::Tracer;

/// All that the thread needs.
pub struct Network {
    socket: Socket,
    /// Where RTCP will arrive, once an RTP stream is followed.
    rtcp_listen: Option<ListenOptions>,
    /// The socket for RTCP, if the port is free.
    rtcp_socket: Option<Socket>,
    /// Senders that connect over TCP.
    connections: Connections,
    ready: Readiness,
    /// The simulated impairment of incoming datagrams (`--impair`).
    impaired: Option<ImpairedLinks<Received>>,
    receiver: Receiver,
    policy: Policy,
    /// When the impaired link is due next.
    due: Option<Duration>,
    /// The sender to connect to (`--connect`).
    connected: Option<SocketAddr>,
    /// Set when nothing more may be sent.
    is_over: bool,
    moving: Moving,
    unusable: Unusable,
    /// The newest datagram. Replies leave from the address that it was sent to.
    latest: Option<Received>,
    /// Set if the sender rejected this viewer: the number of viewers that it serves.
    rejected: Option<u16>,
    unheard_told: bool,
    unanswered_told: bool,
    cloned_told: bool,
    allow: Vec<Prefix>,
    shared: Arc<Shared>,
    console: Arc<Console>,
    meter: Meter,
    /// One for each tile.
    meters: Vec<Meter>,
    timeline: TimelineRecorder,
    tracer: Option<Tracer>,
    /// Opens and seals packets, if there is a key.
    seal: Option<Seal>,
    /// The stream to describe to the user, once its properties are known.
    to_introduce: Option<SocketAddr>,
    /// Set if the path is to be described, once an RTT is known.
    is_path_due: bool,
    size_missed: bool,
    fields_told: bool,
    /// That no frame can be decoded was said.
    undecodable_told: bool,
    /// Addresses of the streams that were followed.
    addresses: Vec<String>,
    /// The transport of the newest stream.
    transport: Option<&'static str>,
    /// Other streams that notices were printed about.
    others: usize,
    started: Duration,
    /// Whether a person or a script watches the figures change.
    is_watched: bool,
    /// When to update the figures, and when to print them.
    next_news: Duration,
    next_progress: Duration,
    unsent: Unsent,
}

impl Network {
    /// Accepts datagrams from the addresses in `allow`, or from all if it is empty, and RTCP
    /// according to `rtcp_listen`.
    pub fn new(
        socket: Socket,
        rtcp_listen: Option<ListenOptions>,
        (receiver, policy): (Receiver, Policy),
        connected: Option<SocketAddr>,
        allow: Vec<Prefix>,
        shared: Arc<Shared>,
        console: Arc<Console>,
    ) -> Self {
        let now = clock::now();
        Self {
            socket,
            rtcp_listen,
            rtcp_socket: None,
            connections: Connections::default(),
            ready: Readiness::UNKNOWN,
            impaired: None,
            receiver,
            policy,
            due: None,
            connected,
            is_over: false,
            moving: Moving::new(now),
            unusable: Unusable::default(),
            latest: None,
            rejected: None,
            unheard_told: false,
            unanswered_told: false,
            cloned_told: false,
            allow,
            shared,
            console,
            meter: Meter::default(),
            meters: Vec::new(),
            timeline: TimelineRecorder::default(),
            tracer: None,
            seal: None,
            to_introduce: None,
            is_path_due: false,
            size_missed: false,
            fields_told: false,
            undecodable_told: false,
            addresses: Vec::new(),
            transport: None,
            others: 0,
            started: now,
            is_watched: true,
            next_news: now,
            next_progress: now,
            unsent: Unsent::default(),
        }
    }

    /// Accepts senders that connect to the listener.
    pub fn with_listener(self, listener: Option<TcpListener>) -> Self {
        Self {
            connections: Connections::new(listener),
            ..self
        }
    }

    /// Traces the datagrams.
    pub fn with_tracer(self, tracer: Option<Tracer>) -> Self {
        Self { tracer, ..self }
    }

    /// Accepts only packets sealed with the key, and seals what it sends.
    pub fn with_seal(self, seal: Option<Seal>) -> Self {
        Self { seal, ..self }
    }

    /// Updates the figures more seldom if nobody watches them change.
    pub fn watched(self, is_watched: bool) -> Self {
        Self { is_watched, ..self }
    }

    /// Puts an impaired link between the socket and the receiver.
    pub fn with_impairment(self, impaired: Option<ImpairedLinks<Received>>) -> Self {
        Self { impaired, ..self }
    }

    /// Runs until it is stopped. Returns the final figures.
    ///
    /// # Errors
    /// If the socket fails permanently, or a log cannot be written. The figures are available in
    /// the news nevertheless.
    pub fn run(mut self, threads: &Threads) -> anyhow::Result<Statistics> {
        // Even after a panic, the sender gets a bye and the figures are collected.
        let outcome = threads.guard(|| self.receive_all()).unwrap_or(Ok(()));
        self.receiver.leave();
        self.drain();
        self.is_over = true;
        // Wakes the sinks, which would wait for frames that do not come.
        self.shared.frames.wake();
        self.settle();
        let logged = self.impaired.take().map_or(Ok(()), ImpairedLinks::finish);
        self.count_drops();
        self.receiver.finish();
        self.drain();
        self.tell(clock::now());
        self.shared.set_timeline(self.timeline.timeline());
        let traced = self.tracer.take().map(Tracer::finish).transpose();
        let traced = traced.map(|lines| self.shared.set_traced(lines.unwrap_or_default()));
        self.shared.end();
        errors::all_of([outcome, traced, logged])?;
        Ok(self.shared.news().live.statistics.clone())
    }

    fn receive_all(&mut self) -> anyhow::Result<()> {
        let mut batch = Batch::new(MAX_DATAGRAM);
        let mut troubles = Troubles::default();
        while !self.shared.is_stopped() {
            self.settle();
            // The time is taken before the socket is emptied, so that no datagram in it arrived
            // before the time passed to the receiver.
            let now = clock::now();
            let more = match self.receive(&mut batch, now) {
                Ok(more) => {
                    troubles.passed();
                    more
                }
                Err(error) => {
                    self.tell_unheard(&error);
                    troubles.record(error)?;
                    true
                }
            };
            if now >= self.next_news {
                // Batches count drops themselves.
                self.count_drops();
                self.tell(now);
            }
            self.tend(now);
            if !more {
                self.receiver.handle_timeout(now);
            }
            // The socket may stay full for long. Missing chunks are requested all the same.
            self.drain();
            if let (Some(most), Some(to)) = (self.rejected, self.connected) {
                bail!(
                    "{to} already serves {most} viewers, its maximum: try later, or start the \
                     sender with a larger --max-viewers"
                );
            }
            if !more {
                let held = self.impaired.as_ref().and_then(ImpairedLinks::poll_timeout);
                let idle = self.connections.poll_timeout();
                let news = Some(self.next_news + NEWS_LATE);
                let due = [self.due, held, idle, news];
                let due = due.into_iter().flatten();
                let next = due.min().map(|due| due.saturating_sub(now));
                let sockets = self.sockets().map(|socket| socket as &dyn Pollable);
                let sockets: Vec<_> = sockets.chain(self.connections.pollables()).collect();
                let ready = net::wait(&sockets, self.shared.waker(), next)
                    .context("cannot wait for datagrams")?;
                let mut ready = ready.into_iter();
                self.ready = Readiness {
                    socket: ready.next() == Some(true),
                    others: ready.any(|ready| ready),
                };
            } else {
                self.ready = Readiness::UNKNOWN;
            }
        }
        Ok(())
    }

    /// Distributes the receiver's output.
    fn drain(&mut self) {
        // The time of sending, not of the arrival that it answers.
        let now = clock::now();
        loop {
            match self.receiver.poll_output(now) {
                Output::Frame(frame) => {
                    for id in self.shared.frames.put(frame) {
                        self.receiver.handle_outcome(id, SinkOutcome::Skipped);
                    }
                }
                Output::Event(event) => self.handle_event(event, now),
                Output::Record(record) => {
                    self.timeline.record_frame(&record);
                    if let Some(tracer) = &mut self.tracer {
                        tracer.record_frame(&record);
                    }
                    self.shared.keep(record);
                }
                Output::Transmit(transmit) => self.send(&transmit),
                Output::Timeout(due) => {
                    self.due = due;
                    return;
                }
            }
        }
    }

    /// Passes the outcomes of frames to the receiver.
    fn settle(&mut self) {
        for (id, outcome) in self.shared.take_outcomes() {
            self.receiver.handle_outcome(id, outcome);
        }
    }
}

/// How long the news waits for a datagram to wake the thread: the time between frames at 20 frames
/// per second.
const NEWS_LATE: Duration = Duration::from_millis(50);

/// The readiness of the sockets when last polled.
#[derive(Clone, Copy, Debug)]
struct Readiness {
    /// The socket for datagrams.
    socket: bool,
    /// Any other socket, and the connections.
    others: bool,
}

impl Readiness {
    /// Any of them may be readable.
    const UNKNOWN: Self = Self {
        socket: true,
        others: true,
    };
}
