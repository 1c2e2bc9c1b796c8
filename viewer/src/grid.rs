//! Several senders side by side: `--grid`.
//!
//! One thread does it all. Frames of many small streams are cheap to decode,
//! and while the window is drawn the socket's buffer holds what arrives.

mod decoding;
mod memory;
mod pictures;
mod reports;
mod telling;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use framegram_cli::errors;
use framegram_cli::numbers::seconds;
use framegram_cli::threads::Threads;
use framegram_common::Statistics;
use framegram_common::gallery::Gallery;
use framegram_common::receiver::{Event, FrameId, ReceivedFrame, SinkOutcome};
use framegram_common::wire::Format;
use framegram_common::wire::MAX_DATAGRAM;
use framegram_lab::impair::ImpairedLinks;
use framegram_media::Decoder;
use framegram_net::{self as net, ListenOptions, Received, RouteMonitor, Socket, Waker, clock};

use crate::args::Args;
use crate::network::CLONED;
use crate::no_stream;
use crate::report::advice::Advice;
use crate::report::live::{Live, Meter};
use crate::report::text;
use crate::sink::Flow;
use crate::sink::snapshot::Snapshot;
use crate::sink::wall::Wall;
use crate::socket::{Troubles, Unsent, delayed};
use decoding::Decoding;
use framegram_cli::console::Console;
use reports::Reports;
pub(crate) use telling::Telling;

/// All senders of a socket, and where they are seen.
pub(crate) struct Grid {
    socket: Socket,
    reports: Reports,
    /// What stands between the socket and the gallery to do harm, if that is
    /// wanted.
    pub(crate) impaired: Option<ImpairedLinks<Received>>,
    gallery: Gallery,
    /// `None`: nobody looks, but frames are decoded all the same.
    wall: Option<Wall>,
    console: Arc<Console>,
    telling: Telling,
    decoding: Decoding,
    /// For the snapshot.
    decoder: Decoder,
    senders: Vec<Sender>,
    meter: Meter,
    live: Live,
    shown: u64,
    first: Option<Duration>,
    feedback: Vec<u8>,
    /// The newest datagram: what answers it leaves from the address it came to.
    latest: Option<Received>,
    /// When something came last, or the grid began.
    heard: Duration,
    upkeep: RouteMonitor,
    unsent: Unsent,
    cloned_told: bool,
}

/// What is kept of a sender here.
#[derive(Default)]
struct Sender {
    waiting: Option<ReceivedFrame>,
    /// The frame that is being decoded.
    decoded: Option<FrameId>,
    /// Its frames take long until then.
    slow_until: Duration,
    /// The frame shown before, to fill holes from.
    last: Option<Bytes>,
    meter: Meter,
    live: Live,
    ended: bool,
}

impl Sender {
    /// Whether none of its frames is still to be shown.
    fn is_idle(&self) -> bool {
        self.waiting.is_none() && self.decoded.is_none()
    }
}

impl Grid {
    /// Shows what comes to the socket, and of RTP's reports to the other one.
    ///
    /// # Errors
    /// When the decoder's own memory cannot be had.
    pub(crate) fn new(
        socket: Socket,
        reports: Option<ListenOptions>,
        gallery: Gallery,
        wall: Option<Wall>,
        telling: Telling,
        console: Arc<Console>,
        threads: &Threads,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            socket,
            reports: Reports::new(reports),
            impaired: None,
            gallery,
            wall,
            console,
            telling,
            decoding: Decoding::start(threads)?,
            decoder: Decoder::new()?,
            senders: Vec::new(),
            meter: Meter::default(),
            live: Live::default(),
            shown: 0,
            first: None,
            feedback: Vec::new(),
            latest: None,
            heard: clock::now(),
            upkeep: RouteMonitor::default(),
            unsent: Unsent::default(),
            cloned_told: false,
        })
    }

    /// Shows until the arguments, a person or a signal say that it is enough.
    ///
    /// # Errors
    /// When the window or the network fails, or nothing came while the
    /// arguments said to wait.
    pub(crate) fn run(&mut self, args: &Args, stop: &AtomicBool) -> anyhow::Result<()> {
        let waker = Waker::new().context("cannot make a waker")?;
        let mut buffer = vec![0; MAX_DATAGRAM];
        let mut troubles = Troubles::default();
        let begun = clock::now();
        let (mut next_draw, mut next_news, mut next_progress) = (begun, begun, begun);
        while !stop.load(Ordering::Acquire) {
            let now = clock::now();
            let more = match self.receive(args, &mut buffer, now) {
                Ok(more) => {
                    troubles.passed();
                    more
                }
                Err(error) => {
                    troubles.note(error)?;
                    true
                }
            };
            if !more {
                self.gallery.handle_timeout(now);
                self.hand_on(now);
                self.tend(now);
            }
            self.speak(clock::now());
            if now >= next_news {
                next_news = now + NEWS;
                self.take_figures(now);
                self.telling.write_rows(&mut self.gallery);
                self.telling.tell(&self.live, &self.gallery, now)?;
                if now >= next_progress && !self.gallery.is_empty() {
                    next_progress = now + self.console.progress_interval();
                    let time = seconds(now.saturating_sub(begun).as_secs_f64());
                    let count = self.gallery.len();
                    let line = self.live.line();
                    self.console
                        .progress(&format!("{time}: {count} senders, {line}"));
                }
            }
            if now >= next_draw {
                next_draw = now + DRAW;
                if self.show(now, args.frames)? == Flow::Quit {
                    return Ok(());
                }
            }
            let over = |since: Option<Duration>, limit: Option<Duration>| {
                since
                    .zip(limit)
                    .is_some_and(|(since, limit)| now.saturating_sub(since) >= limit)
            };
            if over(self.first, args.duration) || (args.once && self.is_over(now)) {
                return Ok(());
            }
            if self.gallery.is_empty() && over(Some(begun), args.wait) {
                bail!(no_stream::line(args, &self.gallery.all()));
            }
            if !more {
                let due = self.gallery.poll_timeout().unwrap_or(Duration::MAX);
                let held = self.impaired.as_ref().and_then(ImpairedLinks::poll_timeout);
                let due = due.min(held.unwrap_or(Duration::MAX));
                let next = due.min(next_draw).min(next_news);
                let patience = next.saturating_sub(clock::now());
                let sockets: Vec<_> = std::iter::once(&self.socket)
                    .chain(self.reports.socket())
                    .collect();
                net::wait(&sockets, &waker, Some(patience)).context("cannot wait for datagrams")?;
            }
        }
        Ok(())
    }

    /// Tells what became of every sender's frames, and returns the figures of
    /// all of them together, and what could not be written.
    pub(crate) fn finish(
        mut self,
        snapshot: Option<Snapshot>,
        advice: &Advice,
    ) -> (Statistics, anyhow::Result<()>) {
        let pictured = self.write_snapshot(snapshot);
        for place in 0..self.senders.len() {
            let sender = &mut self.senders[place];
            let waiting = sender.waiting.take().map(|frame| frame.id);
            for id in waiting.into_iter().chain(sender.decoded.take()) {
                self.gallery.handle_outcome(place, id, SinkOutcome::Skipped);
            }
        }
        self.gallery.finish();
        self.take_figures(clock::now());
        self.telling.write_rows(&mut self.gallery);
        self.console.end_progress();
        let each = self.gallery.each();
        for (place, statistics) in each.iter().enumerate() {
            let from = statistics.stream.addresses.join(", ");
            self.console.say(&format!("Sender {}, {from}:", place + 1));
            for line in text::lines(statistics, advice) {
                self.console.say(&format!("  {line}"));
            }
        }
        let mut all = self.gallery.all();
        all.packets.feedback_errors = Some(self.unsent.datagrams());
        match each.len() {
            0 => self.console.say("No frame arrived."),
            1 => {}
            senders => {
                self.console
                    .say(&format!("All {senders} senders together:"));
                for line in text::lines_of_several(&all, advice) {
                    self.console.say(&format!("  {line}"));
                }
            }
        }
        let told = self.telling.finish(&self.live, &all, &each, advice);
        let logged = self.impaired.map_or(Ok(()), ImpairedLinks::finish);
        let finished = errors::all_of([told, logged, pictured]);
        (all, finished)
    }

    /// Takes what is in the socket, but not for so long that all else waits,
    /// and what was held back and is due by `now`. Returns whether there may
    /// be more.
    fn receive(&mut self, args: &Args, buffer: &mut [u8], now: Duration) -> std::io::Result<bool> {
        for _ in 0..BATCH {
            let Some(received) = self.socket.receive(buffer)? else {
                self.take_due(args, now);
                return Ok(self.receive_report(args, buffer));
            };
            let datagram = &buffer[..received.len.min(buffer.len())];
            if self.impaired.is_some() {
                self.take_due(args, received.arrival);
                if let Some(impaired) = &mut self.impaired {
                    impaired.push(0, datagram, received, received.arrival);
                }
            } else {
                self.take(args, received, datagram);
            }
        }
        Ok(true)
    }

    /// Takes one of RTP's reports. Returns whether there may be more.
    fn receive_report(&mut self, args: &Args, buffer: &mut [u8]) -> bool {
        let Some(mut received) = self.reports.receive(buffer) else {
            return false;
        };
        // The count of this socket's own drops is not that of the other one's.
        received.dropped = self.socket.dropped().unwrap_or(0);
        let datagram = &buffer[..received.len.min(buffer.len())];
        self.take(args, received, datagram);
        true
    }

    /// Takes what was held back until `now`.
    fn take_due(&mut self, args: &Args, now: Duration) {
        while let Some((_, passed)) = self.impaired.as_mut().and_then(|it| it.poll(now)) {
            self.take(args, delayed(&passed), &passed.datagram);
        }
    }

    fn take(&mut self, args: &Args, received: Received, datagram: &[u8]) {
        self.gallery.handle_socket_drops(received.dropped);
        if is_allowed(args, received.from.ip()) {
            self.gallery
                .handle_datagram(received.from, datagram, received.arrival);
            (self.heard, self.latest) = (received.arrival, Some(received));
            // Behind the filter: strangers are not remembered.
            if self.gallery.is_followed(received.from) {
                let socket = self.reports.towards(received.from);
                socket.unwrap_or(&self.socket).remember(&received);
            }
            // What is said is of all that has come, and of when it leaves.
            self.hand_on(received.arrival);
        } else {
            self.gallery.handle_foreign(received.from);
        }
    }

    /// Passes on what has come.
    fn hand_on(&mut self, now: Duration) {
        while let Some((place, event)) = self.gallery.poll_event() {
            let sender = sender(&mut self.senders, place);
            match event {
                Event::Followed { from, .. } => {
                    sender.ended = false;
                    // Its place may have been another one's.
                    sender.last = None;
                    if self.gallery.format(place) == Some(Format::Rtp) {
                        self.reports.open();
                    }
                    let number = place + 1;
                    self.console.say(&format!("Sender {number} is {from}."));
                }
                Event::Ended { .. } => {
                    sender.ended = true;
                    let number = place + 1;
                    self.console
                        .say(&format!("Sender {number} ended its stream."));
                }
                Event::Other { .. } => {}
            }
        }
        while let Some((place, frame)) = self.gallery.poll_frame() {
            let waiting = &mut sender(&mut self.senders, place).waiting;
            if let Some(older) = waiting.replace(frame) {
                self.gallery
                    .handle_outcome(place, older.id, SinkOutcome::Skipped);
            }
            for (place, id) in memory::bound(&mut self.senders, memory::MAX_KEPT) {
                self.gallery.handle_outcome(place, id, SinkOutcome::Skipped);
            }
            self.decode(place, now);
        }
    }

    /// Says what is to be said.
    fn speak(&mut self, now: Duration) {
        while let Some(to) = self.gallery.poll_transmit(now, &mut self.feedback) {
            let socket = self.reports.towards(to).unwrap_or(&self.socket);
            let sent = match self.latest.filter(|latest| latest.from == to) {
                Some(latest) => socket.reply(&latest, &self.feedback),
                None => socket.send(Some(to), &self.feedback, self.feedback.len()),
            };
            if let Some(notice) = self.unsent.note(to, sent) {
                self.console.say(&notice);
            }
        }
    }

    /// Joins the group again while nothing comes, if the interface is another
    /// by now: nothing says by itself that the membership is gone.
    fn tend(&mut self, now: Duration) {
        if now.saturating_sub(self.heard) >= MEMBERSHIP_SILENCE && self.upkeep.is_due(now) {
            for socket in std::iter::once(&self.socket).chain(self.reports.socket()) {
                // Where it cannot be joined now, it may be the next time.
                let _ = socket.refresh_membership();
            }
        }
    }

    fn take_figures(&mut self, now: Duration) {
        self.count_drops();
        for (place, statistics) in self.gallery.each().into_iter().enumerate() {
            let cloned = statistics.clock.is_some_and(|clock| clock.cloned);
            if cloned && !std::mem::replace(&mut self.cloned_told, true) {
                self.console.say(CLONED);
            }
            let sender = sender(&mut self.senders, place);
            sender.live = sender.meter.take(statistics, now);
        }
        self.live = self.meter.take(self.gallery.all(), now);
    }

    fn count_drops(&mut self) {
        // What is held back was there before what was dropped last.
        let held = self.impaired.as_ref().and_then(ImpairedLinks::poll_timeout);
        if let Some(total) = self.socket.dropped().filter(|_| held.is_none()) {
            self.gallery.handle_socket_drops(total);
        }
    }

    /// Whether every sender has ended, by its farewell or for want of it.
    fn is_over(&self, now: Duration) -> bool {
        let mut senders = self.senders.iter().enumerate();
        let silent = |place| {
            let heard = self.gallery.heard(place).unwrap_or(now);
            now.saturating_sub(heard) >= SILENCE
        };
        !self.senders.is_empty()
            && senders.all(|(place, sender)| (sender.ended && sender.is_idle()) || silent(place))
    }
}

fn sender(senders: &mut Vec<Sender>, place: usize) -> &mut Sender {
    while senders.len() <= place {
        senders.push(Sender::default());
    }
    &mut senders[place]
}

fn is_allowed(args: &Args, ip: IpAddr) -> bool {
    args.allow.is_empty() || args.allow.iter().any(|prefix| prefix.contains(ip))
}

/// Time from drawing to drawing: that of most screens.
const DRAW: Duration = Duration::from_millis(16);

/// How often figures are taken.
const NEWS: Duration = Duration::from_millis(250);

/// Datagrams that are taken in one go.
const BATCH: usize = 256;

/// Silence of all senders after which a group may have to be joined again: a
/// few frames of a usual stream.
const MEMBERSHIP_SILENCE: Duration = Duration::from_millis(300);

/// A sender that says nothing for so long is gone, its farewell lost.
const SILENCE: Duration = Duration::from_secs(5);
