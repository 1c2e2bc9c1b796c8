//! The network's thread: datagrams from the socket through the receiver;
//! frames to the sinks, fates back, and what a person may want to know.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};
use framegram_common::caller::{Answer, Caller};
use framegram_common::ledger::FrameRecord;
use framegram_common::listener::Listener;
use framegram_common::receiver::{Event, FrameId, Outcome};
use framegram_common::stamp::Stamps;
use framegram_common::timeline::{Course, Timeline};
use framegram_common::udp::{self, LARGEST_DATAGRAM, Listen, Received, Socket, Waker};
use framegram_common::wire::Format;
use framegram_common::{Statistics, os};

use crate::args::Prefix;
use crate::pending::Pending;
use crate::report::live::{Live, Meter};
use crate::report::progress::Console;
use crate::report::text::seconds;

/// What both threads have in hand.
pub struct Exchange {
    /// Frames on their way to the sinks.
    pub pending: Pending,
    fates: Mutex<Vec<(FrameId, Outcome)>>,
    news: Mutex<News>,
    /// What the stamps of the frames shown say, where they are read.
    stamps: Mutex<Option<Stamps>>,
    /// Frames that were settled and have no row yet, where rows are wanted.
    records: Option<Mutex<Records>>,
    /// How the stream went, once it is over.
    course: Mutex<Option<Course>>,
    stop: AtomicBool,
    waker: Waker,
}

/// Frames that were settled and have no row yet.
#[derive(Default)]
struct Records {
    waiting: Vec<FrameRecord>,
    forgotten: u64,
}

/// What the sinks' side may know of the stream.
#[derive(Clone, Debug, Default)]
pub struct News {
    /// The figures, as of a moment ago.
    pub live: Live,
    /// Whether any stream was followed yet.
    pub followed: bool,
    /// When the followed stream said farewell.
    pub ended: Option<Duration>,
    /// When the last datagram came that was allowed to.
    pub heard: Option<Duration>,
}

/// All that the thread needs.
pub struct Network {
    socket: Socket,
    /// Where the reports of an RTP sender will come, once one is followed.
    reports: Option<Listen>,
    /// The socket for them, where the port is free.
    control: Option<Socket>,
    /// Who was heard on it last: answers go out by it.
    reporter: Option<SocketAddr>,
    receiver: Listener,
    /// Asks a sender for its stream, where it does not come unasked.
    caller: Option<Caller>,
    /// The sender serves as many viewers as it may, which is so many.
    refused: Option<u16>,
    unheard_told: bool,
    allow: Vec<Prefix>,
    exchange: Arc<Exchange>,
    console: Arc<Console>,
    meter: Meter,
    timeline: Timeline,
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
}

impl Exchange {
    /// Where rows are wanted, each frame's record is kept until it is taken.
    ///
    /// # Errors
    /// Where the system has no file descriptor left.
    pub fn new(pending: Pending, rows: bool) -> anyhow::Result<Self> {
        Ok(Self {
            pending,
            fates: Mutex::default(),
            news: Mutex::default(),
            stamps: Mutex::default(),
            records: rows.then(Mutex::default),
            course: Mutex::default(),
            stop: AtomicBool::new(false),
            waker: Waker::new().context("cannot make a waker")?,
        })
    }

    /// Says what became of a frame that was taken.
    pub fn settle(&self, id: FrameId, outcome: Outcome) {
        lock(&self.fates).push((id, outcome));
        self.waker.wake();
    }

    /// Tells what the stamps of the frames shown say.
    pub fn note_stamps(&self, stamps: Stamps) {
        *lock(&self.stamps) = Some(stamps);
    }

    /// The records of the frames that were settled since, and how many were
    /// forgotten so far because they were not taken.
    pub fn take_records(&self) -> (Vec<FrameRecord>, u64) {
        let Some(records) = &self.records else {
            return (Vec::new(), 0);
        };
        let mut records = lock(records);
        (std::mem::take(&mut records.waiting), records.forgotten)
    }

    /// How the stream went, once the network's thread has ended.
    pub fn course(&self) -> Option<Course> {
        lock(&self.course).clone()
    }

    fn keep(&self, record: FrameRecord) {
        if let Some(records) = &self.records {
            let mut records = lock(records);
            if records.waiting.len() < MOST_RECORDS {
                records.waiting.push(record);
            } else {
                records.forgotten += 1;
            }
        }
    }

    /// What is known by now.
    #[must_use]
    pub fn news(&self) -> News {
        lock(&self.news).clone()
    }

    /// Ends the network's thread.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.waker.wake();
    }
}

impl Network {
    /// Datagrams are taken from `allow`ed addresses, or from all if there are
    /// none; those of RTP's reports as `reports` says.
    #[must_use]
    pub fn new(
        socket: Socket,
        reports: Option<Listen>,
        receiver: Listener,
        caller: Option<Caller>,
        allow: Vec<Prefix>,
        exchange: Arc<Exchange>,
        console: Arc<Console>,
    ) -> Self {
        let now = os::now();
        Self {
            socket,
            reports,
            control: None,
            reporter: None,
            receiver,
            caller,
            refused: None,
            unheard_told: false,
            allow,
            exchange,
            console,
            meter: Meter::default(),
            timeline: Timeline::default(),
            to_introduce: None,
            size_missed: false,
            addresses: Vec::new(),
            others: 0,
            started: now,
            next_news: now,
            next_progress: now,
            feedback: Vec::new(),
        }
    }

    /// Runs until the exchange is stopped. Returns the final figures.
    ///
    /// # Errors
    /// When the socket fails for good; the figures are in the news all the same.
    pub fn run(mut self) -> anyhow::Result<Statistics> {
        let outcome = self.receive_all();
        self.leave();
        // The sinks' side waits for frames that will not come.
        self.exchange.pending.wake();
        self.settle();
        self.count_drops();
        self.receiver.finish();
        self.take_records();
        self.tell(os::now());
        *lock(&self.exchange.course) = Some(self.timeline.course());
        outcome?;
        Ok(lock(&self.exchange.news).live.statistics.clone())
    }

    fn receive_all(&mut self) -> anyhow::Result<()> {
        let mut buffer = vec![0; LARGEST_DATAGRAM];
        let mut failures = 0;
        while !self.exchange.stop.load(Ordering::Acquire) {
            self.settle();
            // Before the socket is emptied: nothing that arrived sooner is left
            // in it when the receiver is told that this time has come.
            let now = os::now();
            let received = match self.receive(&mut buffer) {
                Ok(received) => {
                    failures = 0;
                    received
                }
                Err(error) if failures < MOST_FAILURES => {
                    self.tell_unheard(&error);
                    failures += u32::from(!udp::is_refused(&error) && !udp::is_too_big(&error));
                    true
                }
                Err(error) => return Err(error).context("the network fails"),
            };
            if let (Some(most), Some(caller)) = (self.refused, &self.caller) {
                bail!(
                    "{} serves no more than {most} viewers, and that many are there: try later,                      or start it with a larger --max-viewers",
                    caller.to()
                );
            }
            self.count_drops();
            if now >= self.next_news {
                self.tell(now);
            }
            if !received {
                self.receiver.handle_timeout(now);
                self.drain(now);
                let next = self.receiver.poll_timeout().unwrap_or(Duration::MAX);
                let asking = self
                    .caller
                    .as_ref()
                    .filter(|_| !self.receiver.is_living(now));
                let ask = asking.map_or(Duration::MAX, Caller::poll_timeout);
                let next = next.min(ask).min(self.next_news).saturating_sub(now);
                let sockets: Vec<_> = std::iter::once(&self.socket).chain(&self.control).collect();
                udp::wait(&sockets, &self.exchange.waker, Some(next))
                    .context("cannot wait for datagrams")?;
            }
        }
        Ok(())
    }

    /// Takes what is in the socket, but not for so long that all else waits.
    /// Returns whether there may be more.
    fn receive(&mut self, buffer: &mut [u8]) -> std::io::Result<bool> {
        for _ in 0..BATCH {
            let Some(received) = self.socket.receive(buffer)? else {
                return Ok(self.receive_report(buffer));
            };
            if self.take(received, buffer) {
                lock(&self.exchange.news).heard = Some(received.arrival);
            }
        }
        Ok(true)
    }

    /// Takes one of RTP's reports. Returns whether there may be more.
    fn receive_report(&mut self, buffer: &mut [u8]) -> bool {
        // What the network says of an answer that did not arrive is no news.
        let received = self.control.as_ref().map(|control| control.receive(buffer));
        let Some(Ok(Some(received))) = received else {
            return false;
        };
        self.reporter = Some(received.from);
        self.take(received, buffer);
        true
    }

    /// Passes a datagram on, if it is allowed.
    fn take(&mut self, received: Received, buffer: &[u8]) -> bool {
        let ip = received.from.ip();
        if !self.allow.is_empty() && !self.allow.iter().any(|prefix| prefix.contains(ip)) {
            self.receiver.handle_foreign();
            return false;
        }
        let datagram = &buffer[..received.len.min(buffer.len())];
        if let Some(caller) = &mut self.caller
            && !self.receiver.is_living(received.arrival)
        {
            match caller.handle_datagram(received.from, datagram, received.arrival) {
                Answer::None => {}
                Answer::Challenge => {
                    self.drain(received.arrival);
                    return true;
                }
                Answer::Refusal(most) => {
                    self.refused = Some(most);
                    return true;
                }
            }
        }
        self.receiver
            .handle_datagram(received.from, datagram, received.arrival);
        self.drain(received.arrival);
        true
    }

    /// Empties the receiver: frames first, so that they are there when the end is told.
    fn drain(&mut self, now: Duration) {
        while let Some(frame) = self.receiver.poll_frame() {
            for id in self.exchange.pending.put(frame) {
                self.receiver.handle_fate(id, Outcome::Superseded);
            }
        }
        while let Some(event) = self.receiver.poll_event() {
            self.hear(event, now);
        }
        self.take_records();
        if let Some(caller) = &mut self.caller
            && !self.receiver.is_living(now)
            && caller.poll_transmit(now, &mut self.feedback)
        {
            // As good as lost on the way: it is asked again.
            let _ = self.socket.send(None, &self.feedback, self.feedback.len());
        }
        while let Some(to) = self.receiver.poll_transmit(now, &mut self.feedback) {
            // Feedback that cannot be sent is as good as lost on the way.
            let control = self.control.as_ref().filter(|_| self.reporter == Some(to));
            let _ =
                control
                    .unwrap_or(&self.socket)
                    .send(Some(to), &self.feedback, self.feedback.len());
        }
    }

    /// Says, once, that nobody is there to be asked.
    fn tell_unheard(&mut self, error: &std::io::Error) {
        if let Some(caller) = &self.caller
            && udp::is_refused(error)
            && !self.unheard_told
        {
            self.unheard_told = true;
            let to = caller.to();
            self.console
                .notice(&format!("Nobody listens at {to} yet; asking on."));
        }
    }

    /// Says that this viewer wants no more, several times, since any of them
    /// may be lost; the sender finds out by itself in the end.
    fn leave(&mut self) {
        if let Some(caller) = &mut self.caller {
            for _ in 0..LEAVES {
                caller.leave(os::now(), &mut self.feedback);
                let _ = self.socket.send(None, &self.feedback, self.feedback.len());
            }
        }
    }

    fn take_records(&mut self) {
        while let Some(record) = self.receiver.poll_record() {
            self.timeline.note_record(&record);
            self.exchange.keep(record);
        }
    }

    fn hear(&mut self, event: Event, now: Duration) {
        match event {
            Event::Followed { from, again, .. } => {
                self.console.notice(&if again {
                    format!("Following another stream, from {from}.")
                } else {
                    format!("Following the stream from {from}.")
                });
                self.remember(from);
                self.to_introduce = Some(from);
                self.listen_for_reports();
                let mut news = lock(&self.exchange.news);
                (news.followed, news.ended) = (true, None);
            }
            Event::Other { from, .. } => {
                self.others += 1;
                if self.others <= MOST_OTHERS {
                    self.console.notice(&format!(
                        "Another stream arrives from {from}; it is counted, and not shown."
                    ));
                }
            }
            Event::Ended { .. } => {
                self.console.notice("The sender ended the stream.");
                lock(&self.exchange.news).ended = Some(now);
                self.exchange.pending.wake();
            }
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

    /// Says what the stream is, once that is known.
    fn introduce(&mut self, live: &Live) {
        let stream = &live.statistics.stream;
        if let Some(from) = self.to_introduce
            && let (Some(width), Some(height), Some(fps)) = (stream.width, stream.height, live.fps)
            && fps > 0.0
        {
            self.to_introduce = None;
            let format = match self.receiver.format() {
                Some(Format::Native) | None => "framegram's own format",
                Some(Format::Rtp) => "JPEG in RTP",
                Some(Format::Raw) => "bare JPEG",
            };
            self.console.notice(&format!(
                "It is {format}, {width}x{height} at {fps:.1} frames a second, from {from}."
            ));
        }
        if self.receiver.lacks_size() && !self.size_missed {
            self.size_missed = true;
            self.console.notice(
                "These pictures are larger than RTP can tell: give the sender's session \
                 description with --sdp FILE.",
            );
        }
    }

    fn remember(&mut self, from: SocketAddr) {
        let from = from.to_string();
        self.addresses.retain(|known| *known != from);
        if self.addresses.len() == MOST_ADDRESSES {
            self.addresses.remove(0);
        }
        self.addresses.push(from);
    }

    /// Passes on what became of frames.
    fn settle(&mut self) {
        let fates = std::mem::take(&mut *lock(&self.exchange.fates));
        for (id, outcome) in fates {
            self.receiver.handle_fate(id, outcome);
        }
    }

    fn count_drops(&mut self) {
        if let Some(total) = self.socket.dropped() {
            self.receiver.handle_socket_drops(total);
        }
    }

    fn tell(&mut self, now: Duration) {
        self.next_news = now + NEWS;
        let mut statistics = self.receiver.statistics();
        statistics.stream.addresses.clone_from(&self.addresses);
        statistics.stamps.clone_from(&lock(&self.exchange.stamps));
        self.timeline.note_statistics(&statistics, now);
        let live = self.meter.take(statistics, now);
        self.introduce(&live);
        if now >= self.next_progress && lock(&self.exchange.news).followed {
            self.next_progress = now + self.console.progress_interval();
            let time = seconds(now.saturating_sub(self.started).as_secs_f64());
            self.console.progress(&format!("{time}: {}", live.line()));
        }
        lock(&self.exchange.news).live = live;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Datagrams that are taken in one go: a large frame, so that fates and the
/// word to stop wait for a millisecond at most.
const BATCH: usize = 256;

/// How often a viewer says that it goes.
const LEAVES: usize = 3;

/// Records that wait for their row: half an hour at 30 frames a second, while
/// whoever reads a pipe does not.
const MOST_RECORDS: usize = 1 << 16;

/// How often the figures are told to the window.
const NEWS: Duration = Duration::from_millis(200);

/// Errors in a row after which the socket is given up.
const MOST_FAILURES: u32 = 100;

/// Other streams that are told of; more are a nuisance, and counted.
const MOST_OTHERS: usize = 8;

/// Senders that are remembered by address, for the report.
const MOST_ADDRESSES: usize = 8;
