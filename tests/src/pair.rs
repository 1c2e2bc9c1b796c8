//! A sender and a receiver joined by impaired links in virtual time. Time jumps
//! to the next deadline, so hours run in milliseconds and nothing sleeps.

mod pull;
mod scenario;
mod socket;
mod turns;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use framegram_common::Statistics;
use framegram_common::receiver::{self, Event, ReceivedFrame, Receiver, SinkOutcome};
use framegram_common::sender::{Output, Sender};
use framegram_common::stats::FrameRecord;
use framegram_lab::impair::Link;

use crate::truth::{self, Truth};
pub use scenario::{Life, Scenario};
use socket::Socket;
use turns::Turns;
pub use turns::{Waiting, Waits};

/// Results of a run.
#[derive(Debug)]
pub struct Results {
    /// The frames from the receiver, in order, with the times at which they were
    /// complete.
    pub shown: Vec<ReceivedFrame>,
    /// The receiver's events.
    pub events: Vec<Event>,
    /// The receiver's statistics.
    pub viewer: Statistics,
    /// The sender's statistics.
    pub sender: Statistics,
    /// The receiver's records of frames, in the order of output.
    pub records: Vec<FrameRecord>,
    /// What the link really did to each stream.
    pub truths: Vec<Truth>,
}

/// Sends the frames over the links until nothing happens any more.
///
/// # Panics
/// If the state machines never come to rest, or a frame is rejected.
pub fn run(scenario: &Scenario, frames: &[Bytes]) -> Results {
    let mut shown = Vec::new();
    let mut pair = Pair::new(scenario, true);
    pair.run(
        frames.iter().cloned(),
        &mut |frame| shown.push(frame),
        &mut |_, _| {},
    );
    let viewer = pair
        .receiver
        .as_ref()
        .map(Receiver::statistics)
        .unwrap_or_default();
    if let Some(receiver) = &mut pair.receiver {
        receiver.finish();
        pair.drain_receiver(&mut |frame| shown.push(frame));
    }
    let sender = pair.transmitter.statistics(pair.now);
    Results {
        shown,
        events: pair.events,
        records: pair.records,
        viewer,
        sender,
        truths: pair.truths,
    }
}

/// Sends frames over the links without keeping the results. Calls `shown` with
/// each frame from the receiver, and `sent` with the index of each frame before
/// it is sent and the sender's statistics so far. Returns the statistics of
/// sender and receiver.
///
/// # Panics
/// Those of [`run`].
pub fn run_through(
    scenario: &Scenario,
    frames: impl Iterator<Item = Bytes>,
    shown: &mut dyn FnMut(ReceivedFrame),
    sent: &mut dyn FnMut(usize, &Statistics),
) -> (Statistics, Statistics) {
    let mut pair = Pair::new(scenario, false);
    pair.run(frames, shown, sent);
    let viewer = pair.receiver.as_ref().map(Receiver::statistics);
    let sender = pair.transmitter.statistics(pair.now);
    (sender, viewer.unwrap_or_default())
}

struct Pair<'a> {
    scenario: &'a Scenario,
    now: Duration,
    /// The lives that follow.
    lives: VecDeque<Life>,
    life: Life,
    /// Stream number of this life.
    stream: u64,
    transmitter: Sender,
    frame_due: Duration,
    /// When the sender is killed, once it has sent all frames of this life.
    kill_at: Option<Duration>,
    /// When the sender was killed or sent its last bye.
    resting: Option<Duration>,
    receiver: Option<Receiver>,
    socket: Socket,
    forward: Link,
    backward: Link,
    /// Feedback that has reached the sender, with its time of arrival.
    returned: VecDeque<(Duration, Vec<u8>)>,
    sending: Turns,
    passing: Turns,
    viewing: Turns,
    events: Vec<Event>,
    records: Vec<FrameRecord>,
    truths: Vec<Truth>,
    keeps_truth: bool,
    buffer: Vec<u8>,
}

impl<'a> Pair<'a> {
    fn new(scenario: &'a Scenario, keeps_truth: bool) -> Self {
        let mut lives: VecDeque<_> = scenario.lives.iter().copied().collect();
        let life = lives.pop_front().unwrap_or_default();
        let mut pair = Self {
            scenario,
            now: START,
            lives,
            life,
            stream: STREAM,
            transmitter: transmitter(scenario, STREAM, START),
            frame_due: START,
            kill_at: None,
            resting: None,
            receiver: None,
            socket: Socket::new(since_start(&scenario.stalls), scenario.buffer),
            forward: Link::new(scenario.forward.clone()),
            backward: Link::new(scenario.backward.clone()),
            returned: VecDeque::new(),
            sending: Turns::new(scenario.waits.sender, scenario.forward.seed)
                .with_stops(since_start(&scenario.stops)),
            passing: Turns::new(scenario.waits.path, !scenario.forward.seed),
            viewing: Turns::new(scenario.waits.viewer, scenario.backward.seed),
            events: Vec::new(),
            records: Vec::new(),
            truths: Vec::new(),
            keeps_truth,
            buffer: Vec::new(),
        };
        pair.record_life();
        pair
    }

    fn run(
        &mut self,
        frames: impl Iterator<Item = Bytes>,
        shown: &mut dyn FnMut(ReceivedFrame),
        sent: &mut dyn FnMut(usize, &Statistics),
    ) {
        let mut frames = frames.enumerate().peekable();
        let mut hesitations = self.scenario.hesitations.iter().copied().cycle();
        let join = START + self.scenario.join;
        let mut steps_at_rest = 0;
        loop {
            let now = self.now;
            if self.receiver.is_none() && now >= join {
                let mut receiver =
                    Receiver::new(self.scenario.receiver.clone(), VIEWER, (1, 2), now);
                if self.scenario.pull {
                    receiver.connect(sender(0), now);
                }
                self.receiver = Some(receiver);
            }
            if frames.peek().is_some() && self.reborn_at().is_some_and(|at| now >= at) {
                self.begin_anew();
            }
            let sends = self.sending.takes(self.sender_due(), now);
            let due = self.resting.is_none() && self.kill_at.is_none() && now >= self.frame_due;
            if sends && due {
                if self.life.frames > 0
                    && let Some((index, frame)) = frames.next()
                {
                    sent(index, &self.transmitter.statistics(now));
                    let taken = self.transmitter.handle_frame(frame, now, None, now);
                    taken.expect("the frame is sendable");
                    self.life.frames -= 1;
                    let last = self.life.frames == 0 || frames.peek().is_none();
                    self.kill_at = self.life.killed_after.filter(|_| last).map(|d| now + d);
                } else {
                    self.transmitter.finish(now);
                }
                let interval = self.scenario.interval;
                self.frame_due += interval + hesitations.next().unwrap_or_default();
            }
            self.drain(sends, shown);
            let at_rest =
                self.kill_at.is_some_and(|at| now >= at) || self.transmitter.is_finished();
            if at_rest {
                self.resting.get_or_insert(now);
            }
            let more = frames.peek().is_some() && !self.lives.is_empty();
            let over = !more && self.is_over();
            let waits = [
                (!over && self.receiver.is_none()).then_some(join),
                self.kill_at.filter(|_| self.resting.is_none()),
                self.reborn_at().filter(|_| more),
                self.next_deadline(),
            ];
            let Some(next) = waits.into_iter().flatten().min().filter(|_| !over) else {
                return;
            };
            steps_at_rest = if next > now { 0 } else { steps_at_rest + 1 };
            assert!(steps_at_rest < 10_000, "does not come to rest at {now:?}");
            self.now = next.max(now);
        }
    }

    /// When the sender's next life begins.
    fn reborn_at(&self) -> Option<Duration> {
        let since = self.resting.filter(|_| !self.lives.is_empty())?;
        Some(since + self.life.pause)
    }

    fn begin_anew(&mut self) {
        self.life = self.lives.pop_front().unwrap_or_default();
        self.stream += 1;
        self.transmitter = transmitter(self.scenario, self.stream, self.now);
        (self.frame_due, self.kill_at, self.resting) = (self.now, None, None);
        self.record_life();
    }

    fn record_life(&mut self) {
        if self.keeps_truth {
            let earliest = self.now + self.scenario.forward.delay;
            self.truths.push(Truth {
                missed: START + self.scenario.join > earliest,
                ..Truth::new(self.stream)
            });
        }
    }

    fn drain(&mut self, sends: bool, shown: &mut dyn FnMut(ReceivedFrame)) {
        let now = self.now;
        if sends {
            self.transmit();
        }
        let passes = self.passing.takes(self.path_due(), now);
        while passes && let Some(datagram) = self.forward.poll(now) {
            if self.receiver.is_some() {
                self.socket.put(datagram, now);
            }
        }
        let views = self.socket.stalled_until(now).is_none();
        if views && self.viewing.takes(self.viewer_due(), now) {
            self.view(shown);
        }
        while passes && let Some(datagram) = self.backward.poll(now) {
            self.returned.push_back((now, datagram));
        }
        let mut asked = false;
        while sends && let Some((arrival, datagram)) = self.returned.pop_front() {
            self.hear_viewer(&datagram, arrival);
            asked = true;
        }
        if asked && !self.scenario.waits.sender.is_none() {
            // Answers leave in the same turn.
            self.transmit();
        }
    }

    /// Passes feedback to the sender.
    fn hear_viewer(&mut self, datagram: &[u8], arrival: Duration) {
        if self.scenario.pull {
            let from = pull::viewer();
            self.transmitter.handle_incoming(from, datagram, arrival);
        } else {
            self.transmitter.handle_datagram(0, datagram, arrival);
        }
    }

    fn transmit(&mut self) {
        let now = self.now;
        let killed = self.kill_at.is_some_and(|at| now >= at);
        let cut = self.scenario.cut.is_some_and(|cut| now >= START + cut);
        let out = self.is_out();
        let narrows = self.scenario.narrows;
        let longest = narrows.filter(|(from, _)| now >= START + *from);
        let longest = longest.map_or(usize::MAX, |(_, longest)| longest);
        if killed {
            return;
        }
        loop {
            let sent = match self.transmitter.poll_output(now, &mut self.buffer) {
                Output::Transmit(sent) => sent,
                Output::Answer(_) => {
                    if !out {
                        self.forward.send(&self.buffer, now);
                    }
                    continue;
                }
                Output::Event(_) => continue,
                Output::Timeout(_) => return,
            };
            for datagram in self.buffer.chunks(sent.segment) {
                if !cut && !out && datagram.len() <= longest {
                    self.forward.send(datagram, now);
                }
                if let Some(truth) = self.truths.last_mut() {
                    truth.record_sent(datagram);
                }
            }
        }
    }

    /// Whether there is an outage now.
    fn is_out(&self) -> bool {
        let out = |outage: &Range<Duration>| outage.contains(&(self.now - START));
        self.scenario.outages.iter().any(out)
    }

    /// Runs the viewer's turn.
    fn view(&mut self, shown: &mut dyn FnMut(ReceivedFrame)) {
        let now = self.now;
        while let Some(queued) = self.socket.take(now) {
            if queued.no_room {
                self.truth_of(&queued.datagram, Truth::record_dropped);
                continue;
            }
            let life = match self.scenario.lives.len() {
                0 | 1 => 0,
                _ => u64::from(truth::read(&queued.datagram).0.stream) - STREAM,
            };
            let (mut free, mut held) = (false, false);
            if let Some(receiver) = &mut self.receiver {
                free = !receiver.is_living(queued.arrival);
                held = free || receiver.is_in_vain(queued.arrival);
                receiver.handle_socket_drops(queued.dropped);
                let from = sender(life);
                let handshake = self.scenario.pull && free && pull::is_handshake(&queued.datagram);
                receiver.handle_datagram(from, &queued.datagram, queued.arrival);
                if handshake {
                    continue;
                }
            }
            self.record_arrived(&queued.datagram, free, held);
        }
        if let Some(receiver) = &mut self.receiver {
            receiver.handle_socket_drops(self.socket.dropped());
            receiver.handle_timeout(now);
        }
        self.drain_receiver(shown);
    }

    fn drain_receiver(&mut self, shown: &mut dyn FnMut(ReceivedFrame)) {
        let now = self.now;
        let present = sender(self.stream - STREAM);
        let passes = self.resting.is_none() && !self.is_out();
        let Some(receiver) = &mut self.receiver else {
            return;
        };
        loop {
            match receiver.poll_output(now) {
                receiver::Output::Frame(frame) => {
                    receiver.handle_outcome(frame.id, SinkOutcome::Shown { at: now });
                    shown(frame);
                }
                receiver::Output::Event(event) => self.events.push(event),
                receiver::Output::Record(record) => self.records.push(record),
                receiver::Output::Transmit(transmit) => {
                    if passes && (transmit.to == present || self.scenario.pull) {
                        self.backward.send(&transmit.datagram, now);
                    }
                }
                receiver::Output::Timeout(_) => return,
            }
        }
    }

    /// Records a datagram that the viewer received. `free`: no stream was being
    /// followed. `held`: the receiver may have kept the datagram for probation.
    fn record_arrived(&mut self, datagram: &[u8], free: bool, held: bool) {
        let followed = self.receiver.as_ref().and_then(|it| it.stream(0));
        let listening = self.receiver.is_some();
        self.truth_of(datagram, |truth, datagram| {
            let followed = followed == Some(truth.stream);
            if listening && !followed && !truth.followed {
                if held {
                    truth.hold(datagram);
                    return;
                }
                truth.record_passed(datagram);
            }
            // The viewer was following another stream.
            truth.missed |= followed && !truth.followed && !free;
            truth.record_arrived(datagram, followed);
        });
    }

    /// Records a datagram in the truth of its stream, if truth is kept.
    fn truth_of(&mut self, datagram: &[u8], note: impl FnOnce(&mut Truth, &[u8])) {
        if self.keeps_truth {
            let stream = truth::read(datagram).0.stream;
            let mut truths = self.truths.iter_mut();
            if let Some(truth) = truths.find(|truth| truth.stream == u64::from(stream)) {
                note(truth, datagram);
            }
        }
    }

    fn next_deadline(&self) -> Option<Duration> {
        let now = self.now;
        let stalled = self.socket.stalled_until(now);
        [
            self.sending.next(self.sender_due(), now),
            stalled.or(self.viewing.next(self.viewer_due(), now)),
            self.passing.next(self.path_due(), now),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// When the sender has something to do.
    fn sender_due(&self) -> Option<Duration> {
        let transmitter = self.transmitter.poll_timeout();
        let frame = self.kill_at.is_none().then_some(self.frame_due);
        let lives = transmitter.into_iter().chain(frame);
        let lives = lives.filter(|_| self.resting.is_none());
        let returned = self.returned.front().map(|(arrival, _)| *arrival);
        lives.chain(returned).min()
    }

    /// When a link has something to deliver, in either direction.
    fn path_due(&self) -> Option<Duration> {
        let links = [&self.forward, &self.backward];
        links.into_iter().filter_map(Link::poll_timeout).min()
    }

    /// When the viewer has something to do.
    fn viewer_due(&self) -> Option<Duration> {
        let receiver = self.receiver.as_ref();
        let receiver = receiver.and_then(|it| it.poll_timeout(self.now));
        receiver.into_iter().chain(self.socket.first()).min()
    }

    /// Whether the sender is done and everything that it sent has been handled.
    fn is_over(&self) -> bool {
        let quiet = self.path_due().is_none() && self.returned.is_empty();
        let last = Event::Ended {
            tile: 0,
            stream: self.stream,
        };
        let nothing_comes = self
            .receiver
            .as_ref()
            .is_some_and(|it| it.poll_timeout(self.now).is_none());
        let quiet = quiet && self.socket.stalled_until(self.now).is_none();
        let unheard = self.resting.is_some_and(|at| self.now > at + UNHEARD);
        self.resting.is_some() && quiet && (self.events.contains(&last) || nothing_comes || unheard)
    }
}

fn transmitter(scenario: &Scenario, stream: u64, now: Duration) -> Sender {
    let mut config = scenario.transmitter;
    if scenario.pull {
        config.destinations = 0;
        config.acceptor = Some(pull::ACCEPTOR);
    }
    let mut sender = Sender::new(config, stream, now);
    if let Some(ceiling) = scenario.ceiling {
        sender.search_path_mtu(0, ceiling, now);
    }
    sender
}

/// Times of the virtual clock.
fn since_start(periods: &[Range<Duration>]) -> Vec<Range<Duration>> {
    let periods = periods.iter();
    periods.map(|it| START + it.start..START + it.end).collect()
}

/// The sender's address in this life.
fn sender(life: u64) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 40_000 + life as u16))
}

const STREAM: u64 = 0x5eed;
const VIEWER: u64 = 0x1e77;
/// When the sender starts.
pub const START: Duration = Duration::from_secs(100);
/// Time after which the run ends if the viewer received no bye.
const UNHEARD: Duration = Duration::from_secs(1);
