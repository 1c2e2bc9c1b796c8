//! The network's thread: datagrams from the socket through the receiver;
//! frames to the sinks, outcomes back, and what a person may want to know.

mod moving;
mod notices;
mod unusable;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use framegram_cli::errors;
use framegram_common::Statistics;
use framegram_common::caller::{Answer, Caller};
use framegram_common::listener::Listener;
use framegram_common::receiver::SinkOutcome;
use framegram_common::wire::Format;
use framegram_common::wire::MAX_DATAGRAM;
use framegram_lab::impair::ImpairedLinks;
use framegram_net::{self as net, ListenOptions, Received, Socket, clock};

use crate::args::Prefix;
use crate::exchange::Exchange;
use crate::report::live::Meter;
use crate::report::timeline::TimelineRecorder;
use crate::socket::{Troubles, Unsent, delayed};
use crate::tracer::Tracer;
use framegram_cli::console::Console;
use framegram_cli::threads::Threads;
use moving::Moving;
use unusable::Unusable;

pub(crate) use notices::CLONED;

/// All that the thread needs.
pub struct Network {
    socket: Socket,
    /// Where the reports of an RTP sender will come, once one is followed.
    reports: Option<ListenOptions>,
    /// The socket for them, where the port is free.
    control: Option<Socket>,
    /// Who was heard on it last: answers go out by it.
    reporter: Option<SocketAddr>,
    /// What stands between the socket and the receiver to do harm, if that is
    /// wanted.
    impaired: Option<ImpairedLinks<Received>>,
    receiver: Listener,
    /// Asks a sender for its stream, where it does not come unasked.
    caller: Option<Caller>,
    moving: Moving,
    unusable: Unusable,
    /// The newest datagram: what answers it leaves from the address it came to.
    latest: Option<Received>,
    /// The sender serves as many viewers as it may, which is so many.
    refused: Option<u16>,
    unheard_told: bool,
    cloned_told: bool,
    allow: Vec<Prefix>,
    exchange: Arc<Exchange>,
    console: Arc<Console>,
    meter: Meter,
    timeline: TimelineRecorder,
    tracer: Option<Tracer>,
    /// What is still to be said of the stream that is followed.
    to_introduce: Option<SocketAddr>,
    size_missed: bool,
    /// Addresses of the streams that were followed.
    addresses: Vec<String>,
    /// Other streams that were told of.
    others: usize,
    started: Duration,
    /// When to tell the figures, and when to tell them to a person.
    next_news: Duration,
    next_progress: Duration,
    /// One feedback datagram.
    feedback: Vec<u8>,
    unsent: Unsent,
}

impl Network {
    /// Datagrams are taken from `allow`ed addresses, or from all if there are
    /// none; those of RTP's reports as `reports` says.
    #[must_use]
    pub fn new(
        socket: Socket,
        reports: Option<ListenOptions>,
        receiver: Listener,
        caller: Option<Caller>,
        allow: Vec<Prefix>,
        exchange: Arc<Exchange>,
        console: Arc<Console>,
    ) -> Self {
        let now = clock::now();
        Self {
            socket,
            reports,
            control: None,
            reporter: None,
            impaired: None,
            receiver,
            caller,
            moving: Moving::new(now),
            unusable: Unusable::default(),
            latest: None,
            refused: None,
            unheard_told: false,
            cloned_told: false,
            allow,
            exchange,
            console,
            meter: Meter::default(),
            timeline: TimelineRecorder::default(),
            tracer: None,
            to_introduce: None,
            size_missed: false,
            addresses: Vec::new(),
            others: 0,
            started: now,
            next_news: now,
            next_progress: now,
            feedback: Vec::new(),
            unsent: Unsent::default(),
        }
    }

    /// Records what comes.
    #[must_use]
    pub fn with_tracer(self, tracer: Option<Tracer>) -> Self {
        Self { tracer, ..self }
    }

    /// Puts a link between the socket and the receiver.
    #[must_use]
    pub fn with_impairment(self, impaired: Option<ImpairedLinks<Received>>) -> Self {
        Self { impaired, ..self }
    }

    /// Runs until the exchange is stopped. Returns the final figures.
    ///
    /// # Errors
    /// When the socket fails for good, or a log cannot be written; the figures
    /// are in the news all the same.
    pub fn run(mut self, threads: &Threads) -> anyhow::Result<Statistics> {
        // After a panic too, the sender is told and the figures are gathered.
        let outcome = threads.guard(|| self.receive_all()).unwrap_or(Ok(()));
        self.leave();
        // The sinks' side waits for frames that will not come.
        self.exchange.pending.wake();
        self.settle();
        let logged = self.impaired.take().map_or(Ok(()), ImpairedLinks::finish);
        self.count_drops();
        self.receiver.finish();
        self.take_records();
        self.tell(clock::now());
        self.exchange.set_timeline(self.timeline.timeline());
        let traced = self.tracer.take().map(Tracer::finish).transpose();
        let traced = traced.map(|line| {
            line.into_iter()
                .for_each(|line| self.exchange.set_traced(line));
        });
        errors::all_of([outcome, traced, logged])?;
        Ok(self.exchange.news().live.statistics)
    }

    fn receive_all(&mut self) -> anyhow::Result<()> {
        let mut buffer = vec![0; MAX_DATAGRAM];
        let mut troubles = Troubles::default();
        while !self.exchange.is_stopped() {
            self.settle();
            // Before the socket is emptied: nothing that arrived sooner is left
            // in it when the receiver is told that this time has come.
            let now = clock::now();
            let received = match self.receive(&mut buffer, now) {
                Ok(received) => {
                    troubles.passed();
                    received
                }
                Err(error) => {
                    self.tell_unheard(&error);
                    troubles.note(error)?;
                    true
                }
            };
            if let (Some(most), Some(caller)) = (self.refused, &self.caller) {
                bail!(
                    "{} serves no more than {most} viewers, and that many are there: try later, \
                     or start it with a larger --max-viewers",
                    caller.to()
                );
            }
            if now >= self.next_news {
                self.tell(now);
            }
            self.tend(now);
            if received {
                // There may be more for long: what is missing is asked for all
                // the same.
                self.speak(clock::now());
            } else {
                self.receiver.handle_timeout(now);
                self.drain(now);
                let next = self.receiver.poll_timeout().unwrap_or(Duration::MAX);
                let asking = self.caller.as_ref().filter(|_| self.is_asking(now));
                let ask = asking.map_or(Duration::MAX, Caller::poll_timeout);
                let held = self.impaired.as_ref().and_then(ImpairedLinks::poll_timeout);
                let next = next.min(ask).min(held.unwrap_or(Duration::MAX));
                let next = next.min(self.next_news).saturating_sub(now);
                let sockets: Vec<_> = std::iter::once(&self.socket).chain(&self.control).collect();
                net::wait(&sockets, self.exchange.waker(), Some(next))
                    .context("cannot wait for datagrams")?;
            }
        }
        Ok(())
    }

    /// Takes what is in the socket, but not for so long that all else waits,
    /// and what was held back and is due by `now`. Returns whether there may
    /// be more.
    fn receive(&mut self, buffer: &mut [u8], now: Duration) -> std::io::Result<bool> {
        for _ in 0..BATCH {
            let Some(received) = self.socket.receive(buffer)? else {
                self.take_due(now);
                self.count_drops();
                return Ok(self.receive_report(buffer));
            };
            let datagram = &buffer[..received.len.min(buffer.len())];
            if self.impaired.is_some() {
                self.take_due(received.arrival);
                if let Some(impaired) = &mut self.impaired {
                    impaired.push(0, datagram, received, received.arrival);
                }
            } else {
                self.take_in(received, datagram);
            }
        }
        Ok(true)
    }

    /// Takes what was held back until `now`.
    fn take_due(&mut self, now: Duration) {
        while let Some((_, passed)) = self.impaired.as_mut().and_then(|it| it.poll(now)) {
            self.take_in(delayed(&passed), &passed.datagram);
        }
    }

    fn take_in(&mut self, received: Received, datagram: &[u8]) {
        self.receiver.handle_socket_drops(received.dropped);
        if self.take(received, datagram) {
            self.exchange
                .tell(|news| news.heard = Some(received.arrival));
        }
    }

    /// Takes one of RTP's reports. Returns whether there may be more.
    fn receive_report(&mut self, buffer: &mut [u8]) -> bool {
        // What the network says of an answer that did not arrive is no news.
        let received = self.control.as_ref().map(|control| control.receive(buffer));
        let Some(Ok(Some(received))) = received else {
            return false;
        };
        self.reporter = Some(received.from);
        self.take(received, &buffer[..received.len.min(buffer.len())]);
        true
    }

    /// Passes a datagram on, if it is allowed.
    fn take(&mut self, received: Received, datagram: &[u8]) -> bool {
        let ip = received.from.ip();
        if !self.allow.is_empty() && !self.allow.iter().any(|prefix| prefix.contains(ip)) {
            self.receiver.handle_foreign(received.from);
            if let Some(tracer) = &mut self.tracer {
                tracer.note_foreign(&received);
            }
            return false;
        }
        let asking = self.is_asking(received.arrival);
        self.moving.hear(received.arrival);
        if let Some(caller) = &mut self.caller
            && asking
        {
            match caller.handle_datagram(received.from, datagram, received.arrival) {
                Answer::None => {}
                Answer::Challenge => {
                    self.drain(received.arrival);
                    return true;
                }
                Answer::Reject(most) => {
                    self.refused = Some(most);
                    return true;
                }
            }
        }
        let verdict = self
            .receiver
            .handle_datagram(received.from, datagram, received.arrival);
        if self.receiver.format().is_some() {
            self.unusable.clear();
        } else {
            self.unusable
                .insert(received.from, datagram, received.arrival);
        }
        self.latest = Some(received);
        // Behind the filter: strangers are not remembered.
        if self.receiver.is_followed(received.from) {
            self.socket_towards(received.from).remember(&received);
        }
        // Not a word yet: what is said is of what has come by now, and at the
        // time that it leaves, not of when this one came.
        self.hand_on(received.arrival);
        if let Some(tracer) = &mut self.tracer {
            tracer.note_datagram(&received, datagram, verdict);
        }
        true
    }

    /// Empties the receiver.
    fn drain(&mut self, now: Duration) {
        self.hand_on(now);
        self.speak(clock::now());
    }

    /// Passes on what has come: frames first, so that they are there when the
    /// end is told.
    fn hand_on(&mut self, now: Duration) {
        while let Some(frame) = self.receiver.poll_frame() {
            for id in self.exchange.pending.put(frame) {
                self.receiver.handle_outcome(id, SinkOutcome::Skipped);
            }
        }
        while let Some(event) = self.receiver.poll_event() {
            self.hear(event, now);
        }
        self.take_records();
    }

    /// Says what is to be said.
    fn speak(&mut self, now: Duration) {
        let asking = self.is_asking(now);
        if let Some(caller) = &mut self.caller
            && asking
            && caller.poll_transmit(now, &mut self.feedback)
        {
            // As good as lost on the way: it is asked again.
            let to = caller.to();
            let sent = self.socket.send(None, &self.feedback, self.feedback.len());
            if let Some(notice) = self.unsent.note(to, sent) {
                self.console.say(&notice);
            }
        }
        while let Some(to) = self.receiver.poll_transmit(now, &mut self.feedback) {
            let socket = self.socket_towards(to);
            let sent = match self.latest.filter(|latest| latest.from == to) {
                Some(latest) => socket.reply(&latest, &self.feedback),
                None => socket.send(Some(to), &self.feedback, self.feedback.len()),
            };
            if let Some(notice) = self.unsent.note(to, sent) {
                self.console.say(&notice);
            }
        }
    }

    /// The socket on which that address was heard last.
    fn socket_towards(&self, to: SocketAddr) -> &Socket {
        let control = self.control.as_ref().filter(|_| self.reporter == Some(to));
        control.unwrap_or(&self.socket)
    }

    /// Says that this viewer wants no more, several times, since any of them
    /// may be lost; the sender finds out by itself in the end.
    fn leave(&mut self) {
        if let Some(caller) = &mut self.caller {
            for _ in 0..LEAVES {
                caller.leave(clock::now(), &mut self.feedback);
                let _ = self.socket.send(None, &self.feedback, self.feedback.len());
            }
        }
    }

    fn take_records(&mut self) {
        while let Some(record) = self.receiver.poll_record() {
            self.timeline.record_frame(&record);
            if let Some(tracer) = &mut self.tracer {
                tracer.note_record(&record);
            }
            self.exchange.keep(record);
        }
    }

    /// Opens the socket for RTP's reports, when there is an RTP stream. Where
    /// another program has the port, the stream is shown without them.
    fn listen_for_reports(&mut self) {
        if self.receiver.format() == Some(Format::Rtp)
            && let Some(listen) = self.reports.take()
        {
            self.control = Socket::listen(&listen).ok();
        }
    }

    /// Passes on what became of frames.
    fn settle(&mut self) {
        for (id, outcome) in self.exchange.take_outcomes() {
            self.receiver.handle_outcome(id, outcome);
        }
    }

    fn count_drops(&mut self) {
        // What is held back was there before what was dropped last.
        let held = self.impaired.as_ref().and_then(ImpairedLinks::poll_timeout);
        if let Some(total) = self.socket.dropped().filter(|_| held.is_none()) {
            self.receiver.handle_socket_drops(total);
            if let Some(tracer) = &mut self.tracer {
                tracer.note_drops(total);
            }
        }
    }
}

/// Datagrams that are taken in one go: a large frame, so that outcomes and the
/// word to stop wait for a millisecond at most.
const BATCH: usize = 256;

/// How often a viewer says that it goes.
const LEAVES: usize = 3;
