//! A sender and viewers, each on a path that carries less than the source could
//! make, or much more: their packets, not those of a simulation, and frames as long
//! as the sender's program makes them.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use framegram_common::fec::Fec;
use framegram_common::receiver::{self, Receiver, SinkOutcome};
use framegram_common::sender::{self, Output, Rate, Sender};
use framegram_lab::impair::{Act, Impairment, Link};
use framegram_send::bitrate::BitrateControl;
use framegram_send::encode::{Encoder, Settings};
use framegram_send::source::{Pattern, Source as _};

/// Time from frame to frame.
pub const INTERVAL: Duration = Duration::from_micros(33_333);

/// One time in this many, the sender acts late, if it ever does.
pub const LATE: u32 = 8;

/// The datagrams for which a test pattern is cut into slices.
const DATAGRAM: usize = 1_452;

/// What an encoder makes of a limit: at least and at most.
const FITTED: [f64; 2] = [0.85, 0.98];

/// What comes back takes no longer.
const BACK: u64 = 100_000_000;

/// A source: how long its frames would be, and for how long it plays.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// Time from frame to frame; the sender is told [`INTERVAL`].
    pub every: Duration,
    /// What becomes of frames that the rate holds back.
    pub held_back: HeldBack,
    /// How long the system keeps the sender waiting for the processor at most, one time in
    /// [`LATE`] that it has something to do.
    pub late: Duration,
    /// Width and height of a test pattern, which is encoded in place of frames of `natural` bytes.
    pub pattern: Option<(usize, usize)>,
    /// Bytes of a frame that nothing limits, by the time since the start.
    pub natural: fn(Duration) -> usize,
    /// How long it plays.
    pub plays: Duration,
    /// How fast it is sent.
    pub rate: Rate,
    /// Random seed.
    pub seed: u64,
}

/// What becomes of frames that the rate holds back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldBack {
    /// The next one replaces them.
    Replaced,
    /// They wait, as the frames of a file do: this many at most, for which the source stands still.
    Wait(usize),
}

/// What came of a run to one viewer.
#[derive(Debug, Default)]
pub struct Run {
    /// Frames that were handed in.
    pub frames: usize,
    /// When each frame that the rate made shorter was handed in.
    pub shortened: Vec<Duration>,
    /// From handing in to the last datagram, of each frame.
    pub leaving: Vec<Duration>,
    /// When each frame that came complete was captured, and how long it took.
    pub complete: Vec<(Duration, Duration)>,
    /// What became of each datagram to the viewer.
    pub passed: Vec<Passed>,
    /// Rates that limited the frames, in bits a second.
    pub rates: Vec<u64>,
}

/// A datagram in front of a path.
#[derive(Clone, Copy, Debug)]
pub struct Passed {
    /// When it was sent.
    pub at: Duration,
    /// UDP payload.
    pub bytes: usize,
    /// How long it waited; `None` where the queue had no room.
    pub waited: Option<Duration>,
}

impl Run {
    fn within(&self, from: Duration, to: Duration) -> impl Iterator<Item = &Passed> {
        let passed = self.passed.iter();
        passed.filter(move |passed| (from..to).contains(&passed.at))
    }

    /// Bits a second that were sent in a time.
    pub fn rate(&self, from: Duration, to: Duration) -> f64 {
        let bytes: usize = self.within(from, to).map(|passed| passed.bytes).sum();
        bytes as f64 * 8.0 / (to - from).as_secs_f64()
    }

    /// Percentile of the time in the queue in a time.
    pub fn queue(&self, percent: usize, from: Duration, to: Duration) -> Duration {
        let waited = self.within(from, to).filter_map(|passed| passed.waited);
        percentile(waited.collect(), percent)
    }

    /// Share of the datagrams of a time that the queue had no room for.
    pub fn dropped(&self, from: Duration, to: Duration) -> f64 {
        let dropped = self.within(from, to).filter(|it| it.waited.is_none());
        dropped.count() as f64 / self.within(from, to).count().max(1) as f64
    }

    /// Percentile of the time that frames take until they are complete, of those captured
    /// from then on.
    pub fn delay(&self, percent: usize, from: Duration) -> Duration {
        let late = self
            .complete
            .iter()
            .filter(|(captured, _)| *captured >= from);
        percentile(late.map(|(_, took)| *took).collect(), percent)
    }
}

/// A viewer behind a path.
#[derive(Debug)]
pub struct Place {
    /// The viewer.
    pub receiver: Receiver,
    /// What it got.
    pub run: Run,
    delay: Duration,
    there: Link,
    back: Link,
}

/// Plays a source to viewers, each over a path of its own, whose rate changes at
/// these times to this many bits a second.
pub fn play(source: Source, paths: &[Impairment], changes: &[(Duration, u64)]) -> Vec<Place> {
    let mut program = Program::new(source, paths.len());
    let places = paths.iter().enumerate();
    let mut places: Vec<_> = places.map(|(at, path)| Place::new(at, path)).collect();
    let from = SocketAddr::from(([192, 0, 2, 1], 5005));
    let mut changes = changes.iter().copied().peekable();
    let mut now = Duration::ZERO;
    while now < source.plays {
        if let Some((_, rate)) = changes.next_if(|(at, _)| *at <= now) {
            for place in &mut places {
                place.there.set_rate(rate, now);
            }
        }
        let is_awake = program.is_awake(&places, now);
        if is_awake {
            program.run(&mut places, now);
        }
        let mut waits = vec![changes.peek().map(|(at, _)| *at)];
        for place in &mut places {
            place.take(from, now);
            waits.push(place.receiver.poll_timeout(now));
            waits.push(place.there.poll_timeout());
        }
        if is_awake {
            program.receive(&mut places, now);
        }
        waits.push(Some(program.wakes(&places)));
        let next = waits.into_iter().flatten().min();
        now = next.unwrap_or(source.plays).max(now);
    }
    for place in &mut places {
        place.run.frames = program.handed_in.len();
        place.run.shortened.clone_from(&program.shortened);
        place.run.rates.clone_from(&program.rates);
    }
    places
}

/// An encoded frame that was not handed in yet.
struct Encoded {
    captured: Duration,
    encoded: Duration,
    len: usize,
    is_shortened: bool,
    natural: f64,
    fitted: f64,
}

/// What the sender's program does around the sender.
struct Program {
    source: Source,
    sender: Sender,
    control: Option<BitrateControl>,
    pattern: Option<(Pattern, Encoder)>,
    second: Option<(usize, BitrateControl)>,
    rng: Rng,
    /// When the next frame is captured.
    due: Duration,
    waiting: VecDeque<Encoded>,
    /// How late it acts the next time, and what that is drawn from.
    late: Duration,
    lateness: Rng,
    handed_in: Vec<Duration>,
    shortened: Vec<Duration>,
    rates: Vec<u64>,
}

impl Program {
    fn new(source: Source, destinations: usize) -> Self {
        let config = sender::Config {
            interval: Some(INTERVAL),
            destinations,
            second_encoding: true,
            rate: source.rate,
            ..sender::Config::default()
        };
        Self {
            source,
            sender: Sender::new(config, 1, Duration::ZERO),
            control: None,
            pattern: source.pattern.map(|(width, height)| {
                let settings = Settings {
                    slices: Some(DATAGRAM),
                    ..Settings::default()
                };
                let pattern = Pattern::new(width, height, 30.0).expect("a size");
                (pattern, Encoder::new(settings).expect("libjpeg-turbo"))
            }),
            second: None,
            rng: Rng::with_seed(source.seed),
            due: Duration::ZERO,
            waiting: VecDeque::new(),
            late: Duration::ZERO,
            lateness: Rng::with_seed(!source.seed),
            handed_in: Vec::new(),
            shortened: Vec::new(),
            rates: Vec::new(),
        }
    }

    /// When it acts next.
    fn wakes(&self, places: &[Place]) -> Duration {
        let arrives = places.iter().filter_map(|place| place.back.poll_timeout());
        let due = self.has_room().then_some(self.due);
        let wakes = arrives.chain(due).chain(self.sender.poll_timeout()).min();
        wakes.unwrap_or(self.source.plays) + self.late
    }

    fn is_awake(&self, places: &[Place], now: Duration) -> bool {
        self.wakes(places) <= now
    }

    /// Whether another frame may wait.
    fn has_room(&self) -> bool {
        match self.source.held_back {
            HeldBack::Replaced => true,
            HeldBack::Wait(most) => self.waiting.len() < most,
        }
    }

    fn run(&mut self, places: &mut [Place], now: Duration) {
        while now >= self.due && self.has_room() {
            self.capture(now);
        }
        while !self.sender.is_held_back(now)
            && let Some(frame) = self.waiting.pop_front()
        {
            self.hand_in(&frame, now);
            for place in &mut *places {
                place.run.leaving.push(Duration::ZERO);
            }
            self.transmit(places, now);
        }
        if self.source.held_back == HeldBack::Replaced {
            self.waiting.clear();
        }
        self.transmit(places, now);
    }

    fn receive(&mut self, places: &mut [Place], now: Duration) {
        for (at, place) in places.iter_mut().enumerate() {
            while let Some(datagram) = place.back.poll(now) {
                self.sender.handle_datagram(at, &datagram, now);
            }
        }
        self.late = if self.lateness.u32(..LATE) == 0 {
            self.source.late.mul_f64(self.lateness.f64())
        } else {
            Duration::ZERO
        };
    }

    /// Captures a frame and encodes it.
    fn capture(&mut self, now: Duration) {
        let captured = self.due;
        self.due += self.source.every;
        if let Some(rate) = self.sender.rate(now) {
            self.rates.push(rate);
            let new = || BitrateControl::new(rate, Some(INTERVAL), Fec::Auto, now);
            let _ = self.control.get_or_insert_with(new).set_rate(rate);
        }
        if self.source.held_back == HeldBack::Replaced {
            self.observe(Duration::ZERO, now);
        }
        let fitted = FITTED[0] + (FITTED[1] - FITTED[0]) * self.rng.f64();
        let limit = self
            .control
            .as_ref()
            .map_or(f64::MAX, |it| it.target() as f64);
        let natural = (self.source.natural)(now) as f64 * (0.95 + 0.1 * self.rng.f64());
        let is_long = natural > limit;
        let mut frame = Encoded {
            captured,
            encoded: now,
            len: if is_long { limit * fitted } else { natural } as usize,
            is_shortened: is_long,
            natural,
            fitted,
        };
        if let Some((pattern, encoder)) = &mut self.pattern {
            if let Some(control) = &self.control {
                encoder.limiter().set(control.target());
            }
            let picture = pattern.next().expect("it never ends").expect("a picture");
            let encoded = encoder.encode(&picture.content).expect("it fits");
            frame.len = encoded.jpeg.len();
            frame.is_shortened = encoded.quality_lowered;
        }
        self.waiting.push_back(frame);
    }

    fn observe(&mut self, waited: Duration, now: Duration) {
        if let Some(control) = &mut self.control {
            control.observe(self.sender.volume(), waited, now);
        }
    }

    fn hand_in(&mut self, frame: &Encoded, now: Duration) {
        let Encoded {
            captured,
            encoded,
            len,
            is_shortened,
            natural,
            fitted,
        } = *frame;
        if self.source.held_back != HeldBack::Replaced {
            self.observe(now - encoded, now);
        }
        let jpeg = Bytes::from(vec![7; len]);
        let taken = self.sender.handle_frame(jpeg, captured, None, now);
        self.handed_in.extend(taken.is_ok().then_some(now));
        self.shortened.extend(is_shortened.then_some(now));
        let Some(target) = self.sender.second_encoding(now) else {
            return;
        };
        let (slowest, volume) = target.slowest;
        let before = self.second.take().filter(|(of, _)| *of == slowest);
        let new = || BitrateControl::new(target.bitrate, Some(INTERVAL), Fec::Auto, now);
        let (_, mut control) = before.unwrap_or_else(|| (slowest, new()));
        let _ = control.set_rate(target.bitrate);
        control.observe(volume, now - encoded, now);
        let len = natural.min(control.target() as f64 * fitted);
        self.second = Some((slowest, control));
        let jpeg = Bytes::from(vec![9; len as usize]);
        let taken = self.sender.handle_second(jpeg, captured, None, now);
        taken.expect("it is shorter than the first");
    }

    fn transmit(&mut self, places: &mut [Place], now: Duration) {
        let mut out = Vec::new();
        loop {
            match self.sender.poll_output(now, &mut out) {
                Output::Transmit(sent) => {
                    let last = self.handed_in.last().copied();
                    places[sent.destination].send(&out, sent.segment, last, now);
                }
                Output::Timeout(_) => break,
                // Nobody connects, and no path is searched for its MTU.
                Output::Answer(_) | Output::Event(_) => {}
            }
        }
    }
}

impl Place {
    fn new(at: usize, path: &Impairment) -> Self {
        let back = Impairment {
            rate: Some(BACK),
            bucket: 0,
            ..path.clone()
        };
        let config = receiver::Config::default();
        Self {
            receiver: Receiver::new(config, 2 + at as u64, (3, 4), Duration::ZERO),
            run: Run::default(),
            delay: path.delay,
            there: Link::new(path.clone()),
            back: Link::new(back),
        }
    }

    fn send(&mut self, out: &[u8], segment: usize, last: Option<Duration>, now: Duration) {
        for datagram in out.chunks(segment) {
            let decision = self.there.send(datagram, now);
            let passage = decision.passages[0];
            if passage.is_some() || decision.dropped == Some(Act::Queue) {
                self.run.passed.push(Passed {
                    at: now,
                    bytes: datagram.len(),
                    waited: passage.map(|it| it.arrives.saturating_sub(now + self.delay)),
                });
            }
        }
        if let (Some(leaving), Some(at)) = (self.run.leaving.last_mut(), last)
            && out.len() > 1_000
        {
            *leaving = now - at;
        }
    }

    /// Takes what has arrived by now.
    fn take(&mut self, from: SocketAddr, now: Duration) {
        let receiver = &mut self.receiver;
        while let Some(datagram) = self.there.poll(now) {
            receiver.handle_datagram(from, &datagram, now);
        }
        receiver.handle_timeout(now);
        loop {
            match receiver.poll_output(now) {
                receiver::Output::Frame(frame) => {
                    receiver.handle_outcome(frame.id, SinkOutcome::Shown { at: now });
                    // One clock, that of the simulation.
                    let captured = Duration::from_micros(frame.captured.as_micros());
                    if frame.stale.is_empty() {
                        self.run.complete.push((captured, now - captured));
                    }
                }
                receiver::Output::Transmit(sent) => {
                    self.back.send(&sent.datagram, now);
                }
                receiver::Output::Event(_) | receiver::Output::Record(_) => {}
                receiver::Output::Timeout(_) => break,
            }
        }
    }
}

/// A percentile of some times; zero of none.
pub fn percentile(mut times: Vec<Duration>, percent: usize) -> Duration {
    times.sort_unstable();
    times
        .get(times.len() * percent / 100)
        .copied()
        .unwrap_or_default()
}
