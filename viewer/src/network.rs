//! The network's thread: datagrams from the socket through the receiver;
//! frames to the sinks, outcomes back, and what a person may want to know.

mod connections;
mod moving;
mod notices;
mod unusable;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use framegram_cli::console::Console;
use framegram_cli::errors;
use framegram_cli::numbers::or_none;
use framegram_cli::threads::Threads;
use framegram_common::Statistics;
use framegram_common::receiver::{Output, Policy, Port, Receiver, SinkOutcome, Transmit, Verdict};
use framegram_common::wire::Format;
use framegram_common::wire::MAX_DATAGRAM;
use framegram_lab::impair::ImpairedLinks;
use framegram_net::{
    self as net, Batch, ListenOptions, Pollable, Received, Socket, TcpListener, clock,
};
use log::info;

use self::connections::Connections;
use self::moving::Moving;
use self::unusable::Unusable;
use crate::args::Prefix;
use crate::report::live::Meter;
use crate::report::timeline::TimelineRecorder;
use crate::seal::Seal;
use crate::shared::Shared;
use crate::socket::{Troubles, Unsent, delayed};
use crate::tracer::Tracer;

/// All that the thread needs.
pub struct Network {
    socket: Socket,
    /// Where RTCP will come, once an RTP stream is followed.
    rtcp_listen: Option<ListenOptions>,
    /// The socket for it, where the port is free.
    rtcp_socket: Option<Socket>,
    /// Senders that come over TCP.
    connections: Connections,
    ready: Ready,
    /// What stands between the socket and the receiver to do harm, if that is
    /// wanted.
    impaired: Option<ImpairedLinks<Received>>,
    receiver: Receiver,
    policy: Policy,
    /// When that has something to do.
    due: Option<Duration>,
    /// The sender that is asked for its stream, where it does not come unasked.
    connected: Option<SocketAddr>,
    /// Nothing is sent any more.
    is_over: bool,
    moving: Moving,
    unusable: Unusable,
    /// The newest datagram: what answers it leaves from the address it came to.
    latest: Option<Received>,
    /// The sender serves as many viewers as it may, which is this many.
    rejected: Option<u16>,
    unheard_told: bool,
    cloned_told: bool,
    allow: Vec<Prefix>,
    shared: Arc<Shared>,
    console: Arc<Console>,
    meter: Meter,
    /// Of each tile.
    meters: Vec<Meter>,
    timeline: TimelineRecorder,
    tracer: Option<Tracer>,
    /// What packets are opened and sealed with, if there is a key.
    seal: Option<Seal>,
    /// What is still to be said of the stream that is followed.
    to_introduce: Option<SocketAddr>,
    size_missed: bool,
    fields_told: bool,
    /// That no frame can be decoded was said.
    undecodable_told: bool,
    /// Addresses of the streams that were followed.
    addresses: Vec<String>,
    /// What the newest of them came over.
    transport: Option<&'static str>,
    /// Other streams that were told of.
    others: usize,
    started: Duration,
    /// When to tell the figures, and when to tell them to a person.
    next_news: Duration,
    next_progress: Duration,
    unsent: Unsent,
}

impl Network {
    /// Datagrams are taken from `allow`ed addresses, or from all if there are
    /// none; RTCP as `rtcp_listen` says.
    #[must_use]
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
            ready: Ready::UNKNOWN,
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
            size_missed: false,
            fields_told: false,
            undecodable_told: false,
            addresses: Vec::new(),
            transport: None,
            others: 0,
            started: now,
            next_news: now,
            next_progress: now,
            unsent: Unsent::default(),
        }
    }

    /// Takes senders that connect there too.
    #[must_use]
    pub fn with_listener(self, listener: Option<TcpListener>) -> Self {
        Self {
            connections: Connections::new(listener),
            ..self
        }
    }

    /// Records what comes.
    #[must_use]
    pub fn with_tracer(self, tracer: Option<Tracer>) -> Self {
        Self { tracer, ..self }
    }

    /// Takes nothing but what is sealed with a key, and seals what is sent.
    #[must_use]
    pub fn with_seal(self, seal: Option<Seal>) -> Self {
        Self { seal, ..self }
    }

    /// Puts a link between the socket and the receiver.
    #[must_use]
    pub fn with_impairment(self, impaired: Option<ImpairedLinks<Received>>) -> Self {
        Self { impaired, ..self }
    }

    /// Runs until it is stopped. Returns the final figures.
    ///
    /// # Errors
    /// When the socket fails for good, or a log cannot be written; the figures
    /// are in the news all the same.
    pub fn run(mut self, threads: &Threads) -> anyhow::Result<Statistics> {
        // After a panic too, the sender is told and the figures are gathered.
        let outcome = threads.guard(|| self.receive_all()).unwrap_or(Ok(()));
        self.receiver.leave();
        self.drain();
        self.is_over = true;
        // The sinks' side waits for frames that will not come.
        self.shared.frames.wake();
        self.settle();
        let logged = self.impaired.take().map_or(Ok(()), ImpairedLinks::finish);
        self.count_drops();
        self.receiver.finish();
        self.drain();
        self.tell(clock::now());
        self.shared.set_timeline(self.timeline.timeline());
        let traced = self.tracer.take().map(Tracer::finish).transpose();
        let traced = traced.map(|line| {
            line.into_iter()
                .for_each(|line| self.shared.set_traced(line));
        });
        errors::all_of([outcome, traced, logged])?;
        Ok(self.shared.news().live.statistics.clone())
    }

    fn receive_all(&mut self) -> anyhow::Result<()> {
        let mut batch = Batch::new(MAX_DATAGRAM);
        let mut troubles = Troubles::default();
        while !self.shared.is_stopped() {
            self.settle();
            // Before the socket is emptied: nothing that arrived sooner is left
            // in it when the receiver is told that this time has come.
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
                // What comes later tells of drops itself.
                self.count_drops();
                self.tell(now);
            }
            self.tend(now);
            if !more {
                self.receiver.handle_timeout(now);
            }
            // There may be more for long: what is missing is asked for all the same.
            self.drain();
            if let (Some(most), Some(to)) = (self.rejected, self.connected) {
                bail!(
                    "{to} serves no more than {most} viewers, and that many are there: try \
                     later, or start it with a larger --max-viewers"
                );
            }
            if !more {
                let held = self.impaired.as_ref().and_then(ImpairedLinks::poll_timeout);
                let idle = self.connections.poll_timeout();
                let due = [self.due, held, idle, Some(self.next_news)];
                let due = due.into_iter().flatten();
                let next = due.min().map(|due| due.saturating_sub(now));
                let sockets = self.sockets().map(|socket| socket as &dyn Pollable);
                let sockets: Vec<_> = sockets.chain(self.connections.pollables()).collect();
                let ready = net::wait(&sockets, self.shared.waker(), next)
                    .context("cannot wait for datagrams")?;
                let mut ready = ready.into_iter();
                self.ready = Ready {
                    socket: ready.next() == Some(true),
                    others: ready.any(|ready| ready),
                };
            } else {
                self.ready = Ready::UNKNOWN;
            }
        }
        Ok(())
    }

    /// Takes what is in the sockets, but not for so long that all else waits,
    /// and what was held back and is due by `now`. Returns whether there may
    /// be more.
    fn receive(&mut self, batch: &mut Batch, now: Duration) -> std::io::Result<bool> {
        for _ in 0..MOST_BATCHES {
            let is_left = self.ready.socket && self.receive_batch(batch)?;
            if !is_left {
                self.take_due(now);
                let idle = self.connections.poll_timeout();
                if !self.ready.others && idle.is_none_or(|due| due > now) {
                    return Ok(false);
                }
                let more = self.receive_connected();
                return Ok(self.receive_rtcp(batch) || more);
            }
        }
        Ok(true)
    }

    /// Takes what one call gives. Returns whether more may be left.
    fn receive_batch(&mut self, batch: &mut Batch) -> std::io::Result<bool> {
        self.socket.receive_batch(batch)?;
        for (received, datagram) in batch.iter() {
            if self.connections.has(received.from) {
                // Whoever has a connection sends no datagrams from its port.
                self.receiver.handle_disallowed(received.from);
            } else if self.impaired.is_some() {
                self.take_due(received.arrival);
                if let Some(impaired) = &mut self.impaired {
                    impaired.push(0, datagram, received, received.arrival);
                }
            } else {
                self.take(received, datagram);
            }
        }
        Ok(batch.is_full())
    }

    /// Takes what was held back until `now`.
    fn take_due(&mut self, now: Duration) {
        while let Some((_, passed)) = self.impaired.as_mut().and_then(|it| it.poll(now)) {
            self.take(delayed(&passed), &passed.datagram);
        }
    }

    /// Takes datagrams of RTCP from their own socket. Returns whether there may be
    /// more.
    fn receive_rtcp(&mut self, batch: &mut Batch) -> bool {
        let received = self.rtcp_socket.as_ref().map(|it| it.receive_batch(batch));
        if !matches!(received, Some(Ok(()))) {
            // What the network says of an answer that did not arrive is no news.
            return false;
        }
        for (received, datagram) in batch.iter() {
            if self.is_allowed(&received) {
                let from = received.from;
                self.receiver
                    .handle_rtcp_datagram(from, datagram, received.arrival);
                self.record(&received, datagram, None, Port::Rtcp);
            }
        }
        batch.is_full()
    }

    /// Takes a datagram, if it is allowed.
    fn take(&mut self, received: Received, datagram: &[u8]) {
        self.receiver.handle_socket_drops(received.dropped);
        if !self.is_allowed(&received) {
            return;
        }
        let Some(mut seal) = self.seal.take() else {
            self.take_packet(received, datagram);
            return;
        };
        if let Some(packet) = seal.open(received.from, datagram, received.arrival) {
            self.take_packet(received, packet);
        }
        self.seal = Some(seal);
    }

    /// Takes a packet in the clear.
    fn take_packet(&mut self, received: Received, datagram: &[u8]) {
        self.moving.hear(received.arrival);
        let session = self.receiver.session_of(0);
        let verdict = self
            .receiver
            .handle_datagram(received.from, datagram, received.arrival);
        if self.receiver.session_of(0) != session {
            self.trace_followed(received.arrival);
        }
        let from = received.from;
        if !self.receiver.follows(from) {
            self.unusable.insert(from, datagram, received.arrival);
        } else if self.policy == Policy::Grid {
            self.unusable.clear_from(from);
        } else {
            self.unusable.clear();
        }
        self.record(&received, datagram, verdict, Port::Media);
    }

    fn is_allowed(&mut self, received: &Received) -> bool {
        let ip = received.from.ip();
        if self.allow.is_empty() || self.allow.iter().any(|prefix| prefix.contains(ip)) {
            return true;
        }
        self.receiver.handle_disallowed(received.from);
        if let Some(tracer) = &mut self.tracer {
            tracer.record_foreign(received);
        }
        false
    }

    /// Notes a datagram that the receiver took.
    fn record(
        &mut self,
        received: &Received,
        datagram: &[u8],
        verdict: Option<Verdict>,
        port: Port,
    ) {
        self.latest = Some(*received);
        // Strangers are not remembered.
        if self.receiver.is_followed(received.from) {
            self.socket_of(port).remember(received);
        }
        // A trace is of the stream in the first tile.
        let own = self.policy == Policy::Follow || self.receiver.from(0) == Some(received.from);
        let verdict = if own { verdict } else { Some(Verdict::Foreign) };
        if let Some(tracer) = &mut self.tracer {
            tracer.record_datagram(received, datagram, verdict);
        }
    }

    /// Passes on what the receiver has.
    fn drain(&mut self) {
        // Of when it leaves, not of when what it answers arrived.
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

    fn send(&mut self, transmit: &Transmit) {
        if self.is_over {
            return;
        }
        let mut datagram = &*transmit.datagram;
        let mut seal = self.seal.take();
        if let Some(seal) = &mut seal {
            match seal.seal(datagram, clock::now()) {
                Some(sealed) => datagram = sealed,
                None => datagram = &[],
            }
        }
        if !datagram.is_empty() {
            self.send_datagram(transmit, datagram);
        }
        self.seal = seal;
    }

    fn send_datagram(&mut self, transmit: &Transmit, datagram: &[u8]) {
        let to = transmit.to;
        if self.connections.send(to, datagram) {
            return;
        }
        let socket = self.socket_of(transmit.port);
        let sent = match self.latest.filter(|latest| latest.from == to) {
            Some(latest) => socket.reply(&latest, datagram),
            None if self.connected == Some(to) => socket.send(None, datagram, datagram.len()),
            None => socket.send(Some(to), datagram, datagram.len()),
        };
        if let Some(notice) = self.unsent.record(to, sent) {
            self.console.say(&notice);
        }
    }

    fn socket_of(&self, port: Port) -> &Socket {
        let rtcp = self.rtcp_socket.as_ref();
        rtcp.filter(|_| port == Port::Rtcp).unwrap_or(&self.socket)
    }

    fn sockets(&self) -> impl Iterator<Item = &Socket> {
        std::iter::once(&self.socket).chain(&self.rtcp_socket)
    }

    /// Opens the socket for RTCP, when there is an RTP stream. Where another
    /// program has the port, the stream is shown without reports.
    fn listen_for_rtcp(&mut self, tile: usize) {
        if self.receiver.format(tile) == Some(Format::Rtp)
            && let Some(listen) = self.rtcp_listen.take()
        {
            let opened = Socket::listen(&listen);
            info!(
                "RTCP at {}: {}",
                or_none(listen.address),
                opened
                    .as_ref()
                    .map_or_else(ToString::to_string, |_| "open".to_owned())
            );
            self.rtcp_socket = opened.ok();
        }
    }

    fn trace_followed(&mut self, now: Duration) {
        if let Some(tracer) = &mut self.tracer
            && let (Some(stream), Some(from)) = (self.receiver.stream(0), self.receiver.from(0))
        {
            tracer.record_followed(stream, self.receiver.format(0), from, now);
        }
    }

    /// Passes on what became of frames.
    fn settle(&mut self) {
        for (id, outcome) in self.shared.take_outcomes() {
            self.receiver.handle_outcome(id, outcome);
        }
    }

    fn count_drops(&mut self) {
        // What is held back was there before what was dropped last.
        let held = self.impaired.as_ref().and_then(ImpairedLinks::poll_timeout);
        if let Some(total) = self.socket.dropped().filter(|_| held.is_none()) {
            self.receiver.handle_socket_drops(total);
            if let Some(tracer) = &mut self.tracer {
                tracer.record_drops(total);
            }
        }
    }
}

/// Batches that are taken in one go: a large frame, so that outcomes and the
/// word to stop wait for a millisecond at most.
const MOST_BATCHES: usize = 8;

/// What the system said of the sockets last.
#[derive(Clone, Copy, Debug)]
struct Ready {
    /// The socket for datagrams.
    socket: bool,
    /// Any other, and the connections.
    others: bool,
}

impl Ready {
    /// Any may have something.
    const UNKNOWN: Self = Self {
        socket: true,
        others: true,
    };
}
